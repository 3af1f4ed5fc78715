"""The pictures of membership attacks: how many members are found, and who is exposed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from privlab import datasets
from privlab.attacks import FALSE_ALARMS
from privlab.experiments._membership_result import ALARM, TRAITS
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.membership import Result

LEFT = FALSE_ALARMS >= 0.00099  # what the picture shows of a curve
TICKS = (0.001, 0.01, 0.1, 1.0)
STYLES: dict[str, tuple[str, Any]] = {
    "plain": (COLOURS["non-private"], (0, (6, 3))),
    "private": (COLOURS["private"], "-"),
}
LIMIT_TEXT = "#8A3D6B"
BINS = np.linspace(0.28, 1, 19)  # of how often the attacker is right


class Picture(Drawing):
    """Draws a `membership.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.views: dict[str, _View] = {"attack": _Attack(figure), "people": _People(figure)}
        self.still: tuple[str, str] | None = None
        self.moving: list[Artist] = []

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        shown = self.views[s.view]
        shown.update(result)
        if self.still == (s.view, s.dataset):
            return False
        self.still = s.view, s.dataset
        for view in self.views.values():
            for ax in view.axes:
                ax.set_visible(view is shown)
        self.moving = shown.moving
        self.title.set_text(shown.title.format(datasets.card(s.dataset).short))
        self.key.set_text(shown.key)
        return True


class _View(ABC):
    """One way to look: its axes, what moves on them, and its words."""

    title: str
    key: str
    axes: tuple[Any, ...]
    moving: list[Artist]

    @abstractmethod
    def update(self, result: Result) -> None:
        """Move what moves to a result."""


class _Attack(_View):
    """Members found over false alarms, both in factors."""

    title = "Who was in the training data of {}?"
    key = "lines: the attack · bands: 95 % intervals · numbers: found at 1 false alarm in 100"

    def __init__(self, figure: Figure) -> None:
        ax = axes(figure, (0.12, 0.145, 0.53, 0.69))
        self.axes = (ax,)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(0.001, 1)
        ax.set_ylim(0.001, 1.06)
        ax.set_xticks(TICKS, [f"{100 * tick:g}" for tick in TICKS])
        ax.set_yticks(TICKS, [f"{100 * tick:g}" for tick in TICKS])
        ax.minorticks_off()
        ax.set_xlabel("non-members accused (of 100)", fontsize=TEXT)
        ax.set_ylabel("members found (of 100)", fontsize=TEXT)
        ax.axvline(ALARM, color=COLOURS["held"], linewidth=1, linestyle=":")
        ax.plot([0.001, 1], [0.001, 1], color=COLOURS["floor"], linewidth=1.5, linestyle=(0, (2, 2)))
        shade: dict[str, Any] = {"linewidth": 0, "animated": True}
        self.forbidden = ax.fill_between([0.001, 1], [1, 1], 1.06, color=COLOURS["proven"], alpha=0.2, **shade)
        (self.limit,) = ax.plot([], [], color=COLOURS["proven"], linewidth=2.2, linestyle=(0, (6, 3)), animated=True)
        (self.simple,) = ax.plot([], [], color=COLOURS["attacker"], linewidth=2, linestyle="-.", animated=True)
        self.lines, self.bands, self.points = {}, {}, {}
        for kind, (colour, dash) in STYLES.items():
            self.bands[kind] = ax.fill_between([0.01, 1], [1, 1], color=colour, alpha=0.25, **shade)
            (self.lines[kind],) = ax.plot([], [], color=colour, linestyle=dash, linewidth=2.6, animated=True, zorder=4)
            (self.points[kind],) = ax.plot([], [], "o", color=colour, markersize=8, animated=True, zorder=5)
        self.names = _Names(ax)
        self.moving = [
            self.forbidden, self.limit, self.simple, *self.bands.values(), *self.lines.values(),
            *self.points.values(), *self.names.texts.values(),
        ]  # fmt: skip

    def update(self, result: Result) -> None:
        x = FALSE_ALARMS[LEFT]
        allowed = np.maximum(result.limit(x), 1e-9)
        self.limit.set_data(x, allowed)
        self.forbidden.set_data(x, allowed, 1.06)
        for kind, attack in result.attacks.items():
            hits = np.maximum(attack.hits(x), 1e-6)
            low, high = (np.maximum(end[:-1][LEFT], 1e-6) for end in attack.intervals)
            told = ~np.isnan(hits)
            self.lines[kind].set_data(x[told], hits[told])
            self.bands[kind].set_data(x[told], low[told], high[told])
            self.points[kind].set_data([ALARM], [float(attack.hits(ALARM))])
        simple = result.simple.hits(x)
        self.simple.set_data(x, np.where(np.isnan(simple), np.nan, np.maximum(simple, 1e-6)))
        found = {kind: 100 * float(attack.hits(ALARM)) for kind, attack in result.attacks.items()}
        self.names.show(
            {
                "plain": f"without privacy:\n{found['plain']:.1f} of 100 found",
                "simple": f"… by fit alone:\n{100 * float(result.simple.hits(ALARM)):.1f}",
                "limit": f"most that ε = {result.settings.epsilon:.3g}\nallows anyone: {result.most}",
                "private": f"with ε = {result.settings.epsilon:.3g}:\n{found['private']:.1f}",
                "coin": "blind guessing:\n1.0",
            }
        )


class _Names:
    """The lines' names beside the axes, each with a piece of its line."""

    looks: ClassVar[dict[str, tuple[str, Any, str]]] = {
        "plain": (*STYLES["plain"], "#006E50"),
        "simple": (COLOURS["attacker"], "-.", "#B04A00"),
        "limit": (COLOURS["proven"], (0, (6, 3)), LIMIT_TEXT),
        "private": (*STYLES["private"], COLOURS["private"]),
        "coin": (COLOURS["floor"], (0, (2, 2)), COLOURS["floor"]),
    }

    def __init__(self, ax: Any) -> None:
        self.texts = {}
        place: dict[str, Any] = {"transform": ax.transAxes, "clip_on": False}
        for row, (name, (colour, dash, ink)) in enumerate(self.looks.items()):
            y = 0.94 - 0.2 * row
            ax.plot([1.04, 1.12], [y + 0.035] * 2, color=colour, linestyle=dash, linewidth=2.4, **place)
            self.texts[name] = ax.text(
                1.14, y, "", color=ink, fontsize=SMALL, fontweight="bold", va="center", animated=True,
                parse_math=False, **place,
            )  # fmt: skip

    def show(self, words: dict[str, str]) -> None:
        for name, word in words.items():
            self.texts[name].set_text(word)


class _People(_View):
    """How often the attacker is right about each person, and what the most exposed have in common."""

    title = "Whom do models trained on {} give away?"
    key = "left: how often an attacker is right about each · right: who is exposed"

    def __init__(self, figure: Figure) -> None:
        ax = axes(figure, (0.105, 0.145, 0.48, 0.67))
        low = axes(figure, (0.64, 0.145, 0.325, 0.67))
        self.axes = ax, low
        ax.set_xlim(28, 102)
        ax.set_ylim(0, 75)
        ax.set_xlabel("right about a person (of 100)", fontsize=TEXT)
        ax.set_ylabel("people (of 100)", fontsize=TEXT)
        style: dict[str, Any] = {"animated": True}
        edges = 100 * BINS
        self.bars = {
            "plain": ax.stairs(np.zeros(len(edges) - 1), edges, fill=True, alpha=0.3, color=STYLES["plain"][0],
                               hatch="///", linewidth=0, **style),
            "private": ax.stairs(np.zeros(len(edges) - 1), edges, color=STYLES["private"][0], linewidth=2.4, **style),
            "coin": ax.stairs(np.zeros(len(edges) - 1), edges, color=COLOURS["floor"], linewidth=1.6,
                              linestyle=(0, (2, 2)), **style),
        }  # fmt: skip
        words: dict[str, Any] = {"fontsize": SMALL, "fontweight": "bold", "animated": True, "parse_math": False}
        self.names = {
            kind: ax.text(101.5, y, "", color=colour, ha="right", va="top", **words)
            for kind, y, colour in (
                ("plain", 74, "#006E50"),
                ("private", 58, STYLES["private"][0]),
                ("coin", 42, COLOURS["floor"]),
            )
        }
        low.set_xlim(0, 100)
        low.set_ylim(-0.75, len(TRAITS) - 0.25)
        low.set_yticks([])
        low.spines["left"].set_visible(False)
        low.set_xlabel("have it (of 100)", fontsize=TEXT)
        low.grid(axis="y", visible=False)
        y = np.arange(len(TRAITS))[::-1].astype(float)
        self.y = y
        self.exposed = low.barh(y - 0.1, np.zeros(len(y)), 0.28, color=COLOURS["attacker"], animated=True)
        self.all = low.barh(
            y - 0.38, np.zeros(len(y)), 0.2, color="#9A9A9A", hatch="...", edgecolor="white", animated=True
        )
        self.spread = low.hlines(y - 0.1, 0, 0, color="black", linewidth=1.5, animated=True)
        self.labels = [
            low.text(0, at + 0.1, name, fontsize=SMALL, va="bottom", animated=True)
            for at, name in zip(y, TRAITS, strict=True)
        ]
        self.who = [
            figure.text(x, 0.845, "", fontsize=SMALL, fontweight="bold", va="center", color=colour, animated=True)
            for x, colour in ((0.64, "#B04A00"), (0.885, "#5F5F5F"))
        ]
        self.moving = [
            *self.bars.values(), *self.names.values(), *self.exposed, *self.all, self.spread, *self.labels, *self.who,
        ]  # fmt: skip

    def update(self, result: Result) -> None:
        count = len(result.attacks["plain"].scores)
        for kind, attack in result.attacks.items():
            self.bars[kind].set_data(100 * np.histogram(np.clip(attack.right, 0.29, 1), BINS)[0] / len(attack.right))
        self.bars["coin"].set_data(100 * _coin(count))
        rates = {kind: 100 * attack.exposed(result.share)[1] for kind, attack in result.attacks.items()}
        self.names["plain"].set_text(f"without privacy\nmost exposed: {rates['plain']:.0f}")
        self.names["private"].set_text(f"ε = {result.settings.epsilon:.3g}\nmost exposed: {rates['private']:.0f}")
        self.names["coin"].set_text("if nothing leaked")
        exposed, everybody, number = result.unusual()
        half = 1.96 * np.sqrt(exposed * (1 - exposed) / number + 1 / number**2)
        for bars, shares in ((self.exposed, exposed), (self.all, everybody)):
            for bar, share in zip(bars, shares, strict=True):
                bar.set_width(100 * share)
        ends = 100 * np.clip([exposed - half, exposed + half], 0, 1)
        wrong = bool(result.traits[:, -1].any())
        segments = [[(a, y), (b, y)] for a, b, y in zip(*ends, self.y - 0.1, strict=True)]
        self.spread.set_segments(segments if wrong else segments[:-1])
        for artist in (self.exposed[-1], self.all[-1], self.labels[-1]):
            artist.set_visible(wrong)
        self.who[0].set_text(f"{number} most exposed")
        self.who[1].set_text("all")


def _coin(count: int) -> Any:
    """Shares of people in each of `BINS` if every guess were a coin's."""
    chances = np.exp(
        [math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) for k in range(count + 1)]
        - count * np.log(2)
    )
    return np.histogram(np.arange(count + 1) / count, BINS, weights=chances)[0]
