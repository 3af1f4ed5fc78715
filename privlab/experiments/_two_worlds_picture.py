"""The pictures of two worlds: both sets of answers, what attackers get, and the last digits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.experiments._two_worlds_noise import RESPONSE, Array
from privlab.experiments._two_worlds_result import hundredths, interval
from privlab.explain import guess_limit
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._two_worlds_noise import Noise
    from privlab.experiments._two_worlds_result import Result

HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
WITHOUT, WITH, ATTACKER, LIMIT = COLOURS["floor"], COLOURS["private"], COLOURS["attacker"], COLOURS["proven"]
ANSWERS = (-8.0, 9.0)


class Picture(Drawing):
    """Draws a `two_worlds.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.views = {"worlds": _Worlds(figure), "attackers": _Attackers(figure), "low_bits": _Digits(figure)}
        self.still: tuple[str, str] | None = None
        self.moving: list[Artist] = []

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        shown = self.views[s.view]
        shown.update(result)
        if (s.view, s.mechanism) == self.still:
            return False
        self.still = s.view, s.mechanism
        for view in self.views.values():
            for ax in view.axes:
                ax.set_visible(view is shown)
        self.moving = shown.moving
        self.title.set_text(shown.title)
        self.key.set_text(shown.key)
        shown.background(s.mechanism)
        return True


class _View(ABC):
    """One way to look: its axes, what moves on them, and its words."""

    title: str
    key: str
    axes: tuple[Any, ...]
    moving: list[Artist]

    def background(self, mechanism: str) -> None:  # noqa: B027 - most views have nothing to fit
        """Fit what keeps still to a mechanism."""

    @abstractmethod
    def update(self, result: Result) -> None:
        """Move what moves to a result."""


class _Bars:
    """Dots with 95 % intervals, moved together."""

    def __init__(self, ax: Any, colour: str, marker: str = "o", zorder: float = 4) -> None:
        style = {"color": colour, "animated": True, "zorder": zorder}
        (self.dots,) = ax.plot([], [], marker, markersize=5, **style)
        self.up = ax.vlines([], [], [], linewidth=1.5, **style)
        self.across = ax.hlines([], [], [], linewidth=1.5, **style)
        self.artists: list[Artist] = [self.up, self.across, self.dots]

    def show(self, x: Array, y: Array, *, up: tuple[Array, Array], across: tuple[Array, Array] | None = None) -> None:
        self.dots.set_data(x, y)
        self.up.set_segments([[(a, low), (a, high)] for a, low, high in zip(x, *up, strict=True)])
        if across is not None:
            self.across.set_segments([[(low, b), (high, b)] for b, low, high in zip(y, *across, strict=True)])


class _Worlds(_View):
    """Above: how likely each answer is, without and with you. Below: what each answer says about you."""

    title = "Can one noisy answer give you away?"
    key = "lines: theory · dots: answers released by OpenDP, with 95 % intervals"

    def __init__(self, figure: Figure) -> None:
        top, low = axes(figure, (0.1, 0.44, 0.87, 0.42)), axes(figure, (0.1, 0.145, 0.87, 0.25))
        self.axes = top, low
        self.top, self.low = top, low
        top.set_ylim(0, 1.32)
        top.set_yticks([])
        top.set_ylabel("how likely", fontsize=TEXT)
        low.set_ylim(-1.75, 1.75)
        low.set_yticks([-1, 0, 1], ["−ε", "0", "+ε"])
        low.set_ylabel("evidence", fontsize=TEXT)
        top.tick_params(labelbottom=False)
        for y in (-1, 1):
            low.axhline(y, color=LIMIT, linewidth=2, linestyle=(0, (6, 3)))
        shade: dict[str, Any] = {"linewidth": 0, "animated": True}
        self.alarms = top.fill_between([0, 1], [0, 0], color=WITHOUT, alpha=0.35, hatch="///", **shade)
        self.hits = top.fill_between([0, 1], [0, 0], color=WITH, alpha=0.15, **shade)
        (self.without,) = top.plot([], [], color=WITHOUT, linewidth=2.4, linestyle="--", animated=True)
        (self.within,) = top.plot([], [], color=WITH, linewidth=2.4, animated=True)
        self.dots = _Bars(top, WITHOUT), _Bars(top, WITH, "s")
        self.cuts = [
            ax.axvline(0, color=ATTACKER, linewidth=2, linestyle=":", animated=True, zorder=3) for ax in self.axes
        ]
        (self.ratio,) = low.plot([], [], color=ATTACKER, linewidth=2.6, animated=True, zorder=4)
        words: dict[str, Any] = {"fontsize": SMALL, "animated": True, "zorder": 6, "bbox": HALO, "parse_math": False}
        self.says = top.text(0, 1.3, "", color=ATTACKER, fontweight="bold", va="top", **words)
        self.names = [
            top.text(0, 1.06, "", color=colour, fontweight="bold", ha=ha, va="center", **words)
            for colour, ha in ((WITHOUT, "right"), (WITH, "left"))
        ]
        self.bounds = [
            low.text(place, y, "", color="#8A3D6B", ha=ha, va=va, transform=low.get_yaxis_transform(), **words)
            for place, y, ha, va in ((0.01, 1.06, "left", "bottom"), (0.99, -1.06, "right", "top"))
        ]
        self.moving = [
            self.alarms, self.hits, self.without, self.within, *self.cuts, self.ratio, self.says, *self.names,
            *self.bounds, *self.dots[0].artists, *self.dots[1].artists,
        ]  # fmt: skip

    def background(self, mechanism: str) -> None:
        if mechanism == RESPONSE:
            self.limits, ticks, label = (-1.6, 2.6), {0: "no", 1: "yes"}, "your answer, as it comes out"
            names = "your truth: no", "your truth: yes"
        else:
            self.limits, ticks = ANSWERS, {t: f"{t:+d}" if t else "0" for t in range(-8, 9, 2)}
            label, names = "released count, above what it truly is without you", ("without you", "with you")
        for ax in self.axes:
            ax.set_xlim(*self.limits)
            ax.set_xticks(list(ticks), list(ticks.values()))
        self.low.set_xlabel(label, fontsize=TEXT)
        for name, words, x in zip(self.names, names, (-0.25, 1.25), strict=True):
            name.set(x=x, text=words)

    def update(self, result: Result) -> None:
        noise, s = result.noise, result.settings
        x, answer = _grid(noise)
        heights = noise.height(answer, 0), noise.height(answer, 1)
        self.without.set_data(x, heights[0])
        self.within.set_data(x, heights[1])
        said = answer > s.threshold
        for fill, height in ((self.alarms, heights[0]), (self.hits, heights[1])):
            fill.set_data(x, 0, np.where(said, height, 0))
        left, right = (-1.6, 2.6) if noise.mechanism == RESPONSE else ANSWERS
        cut = min(max(s.threshold, left), right)
        for line in self.cuts:
            line.set_xdata([cut, cut])
        said_so = [hundredths(float(noise.above(s.threshold, world))) for world in (0, 1)]
        room = "right" if cut < (left + right) / 2 else "left"  # away from the line's empty side
        self.says.set(
            text=f"says “in”: {said_so[0]} in 100 without, {said_so[1]} with  →",
            x=right if room == "right" else left,
            ha=room,
        )
        self.ratio.set_data(x, noise.log_ratio(answer) / s.epsilon)
        factor = f"{math.exp(s.epsilon):.3g} times likelier"
        for text, where in zip(self.bounds, ("with you", "without you"), strict=True):
            text.set_text(f"{factor} {where}")
        for world, dots in enumerate(self.dots):
            x, y, up = _seen(result, world, left, right)
            dots.show(x, y, up=up)


def _grid(noise: Noise) -> tuple[Array, Array]:
    """Places for a line, and the answers there: each whole number is a step of its own."""
    if not noise.whole:
        x = np.linspace(*ANSWERS, 1701)
        return x, x
    whole = np.arange(0.0, 2.0) if noise.mechanism == RESPONSE else np.arange(ANSWERS[0], ANSWERS[1] + 1)
    return np.ravel([whole - 0.5, whole + 0.5], order="F"), np.repeat(whole, 2)


def _seen(result: Result, world: int, left: float, right: float) -> tuple[Array, Array, tuple[Array, Array]]:
    """Where releases fell: places, heights and their intervals, on the scale of `Noise.height`.

    A dot is as far from its line as the number of releases about there is from what the theory expects.
    """
    noise = result.noise
    edges = np.arange(math.ceil(left) - 0.5, right, 1.0)
    answers = np.sort(result.released[world])
    counts = np.diff(np.searchsorted(answers, edges)).astype(float)
    chance = -np.diff(noise.above(edges, world))
    kept = chance * len(answers) > 5
    x = (edges[:-1] + 0.5)[kept]
    height = noise.height(x, world) / (chance[kept] * len(answers))
    low, high = interval(counts[kept], len(answers))
    return x, counts[kept] * height, (low * len(answers) * height, high * len(answers) * height)


class _Attackers(_View):
    """Hits over false alarms, below what ε allows."""

    title = "How good can any attacker be?"
    key = "dots: counted on answers released by OpenDP, with 95 % intervals"

    def __init__(self, figure: Figure) -> None:
        ax = axes(figure, (0.115, 0.145, 0.6, 0.71))
        self.axes = (ax,)
        ax.set_xlim(-2, 102)
        ax.set_ylim(-2, 102)
        ax.set_xlabel("false alarms (times in 100, without you)", fontsize=TEXT)
        ax.set_ylabel("hits (times in 100, with you)", fontsize=TEXT)
        ax.plot([0, 100], [0, 100], color=WITHOUT, linewidth=1.5, linestyle=(0, (6, 3)))
        ax.text(
            60, 57, "guessing by coin", color=WITHOUT, fontsize=SMALL, rotation=45, rotation_mode="anchor", va="top"
        )
        self.forbidden = ax.fill_between([0, 100], [100, 100], 100, color=LIMIT, alpha=0.25, linewidth=0, animated=True)
        (self.limit,) = ax.plot([], [], color=LIMIT, linewidth=2, linestyle=(0, (6, 3)), animated=True)
        (self.best,) = ax.plot([], [], color=ATTACKER, linewidth=2.8, animated=True, zorder=3)
        self.bars = _Bars(ax, WITH)
        (self.point,) = ax.plot([], [], "o", color=COLOURS["held"], markersize=9, animated=True, zorder=6)
        words: dict[str, Any] = {"fontsize": SMALL, "fontweight": "bold", "transform": ax.transAxes, "animated": True}
        self.names = [
            ax.text(1.03, 0.97, "", color="#8A3D6B", va="top", **words),
            ax.text(1.03, 0.72, "best attackers\non this noise", color=ATTACKER, va="top", **words),
            ax.text(1.03, 0.52, "your attacker", color=COLOURS["held"], va="top", **words),
        ]
        self.moving = [
            self.forbidden, self.limit, self.best, *self.bars.artists, self.point, *self.names,
        ]  # fmt: skip

    def update(self, result: Result) -> None:
        noise, n = result.noise, result.released.shape[1]
        alarms = np.linspace(0, 1, 201)
        self.limit.set_data(100 * alarms, 100 * noise.limit(alarms))
        self.forbidden.set_data(100 * alarms, 100 * noise.limit(alarms), 100)
        self.best.set_data(*(100 * part for part in noise.roc()))
        counts = result.above(0), result.above(1)
        across, up = (tuple(100 * end for end in interval(count, n)) for count in counts)
        self.bars.show(100 * counts[0] / n, 100 * counts[1] / n, up=(up[0], up[1]), across=(across[0], across[1]))
        t = result.settings.threshold
        self.point.set_data([100 * float(noise.above(t, 0))], [100 * float(noise.above(t, 1))])
        promise = f"ε = {noise.epsilon:.3g}" + (f",\nδ = {noise.delta:g}" if noise.delta else "")
        self.names[0].set_text(f"not allowed\nby {promise}")


class _Digits(_View):
    """How often attackers are right when they speak."""

    title = "Do the last digits of the noise give you away?"
    key = "how often an attacker is right when they speak, with 95 % intervals"
    rows = (("size", "NumPy"), ("size", "OpenDP"), ("last digits", "NumPy"), ("last digits", "OpenDP"))

    def __init__(self, figure: Figure) -> None:
        ax = axes(figure, (0.3, 0.145, 0.66, 0.71))
        self.axes = (ax,)
        ax.set_xlim(45, 101)
        ax.set_ylim(-0.6, 3.6)
        ax.set_yticks(range(4), [f"looks at {look}\n{made} noise" for look, made in self.rows[::-1]])
        ax.set_xlabel("right (times in 100)", fontsize=TEXT)
        ax.grid(axis="y", visible=False)
        ax.axvline(50, color=WITHOUT, linewidth=1.5, linestyle=(0, (6, 3)))
        ax.text(50.4, 3.5, "coin", color=WITHOUT, fontsize=SMALL, va="top")
        self.limit = ax.axvline(50, color=LIMIT, linewidth=2.5, linestyle=(0, (6, 3)), animated=True)
        self.allowed = ax.text(
            50, -0.5, "", color="#8A3D6B", fontsize=SMALL, fontweight="bold", va="bottom", animated=True, bbox=HALO
        )
        self.bars = _Bars(ax, ATTACKER)
        style: dict[str, Any] = {"fontsize": TEXT, "fontweight": "bold", "ha": "center", "animated": True}
        self.values = [ax.text(0, row + 0.16, "", bbox=HALO, **style) for row in (3, 2, 1, 0)]
        self.moving = [self.limit, *self.bars.artists, *self.values, self.allowed]

    def update(self, result: Result) -> None:
        limit = 100 * guess_limit(result.settings.epsilon)
        self.limit.set_xdata([limit, limit])
        right = limit > 75
        self.allowed.set(x=limit, text="most that ε allows ", ha="right" if right else "left")
        found = {(attack.looks_at, attack.made_by): attack for attack in result.attacks}
        spoken = [(row, found[name]) for row, name in zip((3, 2, 1, 0), self.rows, strict=True)]
        for (_, attack), value in zip(spoken, self.values, strict=True):
            share = 100 * attack.right / max(attack.spoken, 1)
            value.set(x=min(max(share, 50), 97), text=f"{share:.0f}" if attack.spoken else "")
        shown = [(row, attack) for row, attack in spoken if attack.spoken]
        y = np.array([float(row) for row, _ in shown])
        x = np.array([100 * attack.right / attack.spoken for _, attack in shown])
        ends = 100 * np.array([attack.interval for _, attack in shown]).reshape(-1, 2)
        self.bars.show(x, y, up=(y, y), across=(ends[:, 0], ends[:, 1]))
