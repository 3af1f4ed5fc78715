"""Pictures for people at the back of a room: few words, large type, each drawn for a wide page and for a phone's.

They draw plain data that `privlab.scenes` reads from results. `update(data)` returns whether the background changed.
"""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from matplotlib.patches import Circle, Rectangle, Wedge

from privlab import cards
from privlab.style import COLOURS, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.dpsgd import Array

WIDE, NARROW, SHORT = (8.0, 4.1), (3.5, 3.7), (3.5, 3.0)  # inches of 100 CSS pixels
PALE, INK = "#DADADA", "#222222"
SURE, UNSURE, REST = 1.0, 0.45, 0.0


class Poster:
    """What all pictures share: an empty page, and type for its width."""

    size: ClassVar[tuple[float, float]] = WIDE
    phone: ClassVar[tuple[float, float]] = NARROW

    def __init__(self, figure: Figure) -> None:
        self.narrow = self.size == self.phone
        self.big, self.text = (15, 12) if self.narrow else (21, 15)
        self.moving: list[Artist] = []
        self.page = figure.add_axes((0, 0, 1, 1))
        self.page.set_xlim(0, 100 * self.size[0])
        self.page.set_ylim(0, 100 * self.size[1])  # in CSS pixels, so that circles are round
        self.page.set_axis_off()

    def write(self, x: float, y: float, words: str = "", **look: Any) -> Any:
        """Text on the page; a dollar is a dollar."""
        given: dict[str, Any] = {"fontsize": self.text, "color": INK, "va": "center", "parse_math": False}
        return self.page.text(x, y, words, **given | look)

    def wipe(self) -> None:
        """Take away what `update` drew anew."""
        for artist in self.moving:
            artist.remove()
        self.moving.clear()


def for_phones(picture: type[Any]) -> type[Any]:
    """The same picture, drawn for a narrow page."""
    return type(picture.__name__, (picture,), {"size": picture.phone})


@dataclass(frozen=True)
class Share:
    """So many in 100, with its 95 % interval; shares from 0 to 1."""

    head: str
    share: float
    low: float
    high: float
    words: str  # below the head, such as "70 in 100"
    colour: str = "attacker"


@dataclass(frozen=True)
class Hundreds:
    """Two shares, each as a hundred people; `coin` draws the line that guessing reaches."""

    title: str
    shares: tuple[Share, Share]
    coin: bool = False


class People(Poster):
    """A hundred dots for each of two shares: full, unsure (half-tone) or empty."""

    phone = SHORT

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        width, height = self.page.get_xlim()[1], self.page.get_ylim()[1]
        step = 14.8 if self.narrow else 25.0
        self.dots, self.heads, self.words, self.lines = [], [], [], []
        self.title = self.write(4, height - (12 if self.narrow else 14), fontweight="bold")
        self.key = self.write(width / 2, 0.65 * step, ha="center", color="#555555")
        for half in (0, 1):
            middle = width * (0.25 + 0.5 * half)
            left, bottom = middle - 4.5 * step, 1.9 * step
            rows = [
                Circle((left + step * (i % 10), bottom + step * (i // 10)), 0.41 * step, lw=1.0, ec="#8A8A8A")
                for i in range(100)
            ]
            for dot in rows:
                self.page.add_patch(dot)
            self.dots.append(rows)
            top = bottom + 9.5 * step
            self.words.append(self.write(middle, top + 18, ha="center", fontsize=self.big, fontweight="bold"))
            self.heads.append(self.write(middle, top + 43, ha="center", va="baseline", linespacing=1.1))
            line = bottom + 4.5 * step
            self.lines += self.page.plot([left - step, left + 10 * step], [line] * 2, color=INK, lw=2, ls=(0, (3, 2)))

    def update(self, data: Hundreds) -> bool:
        """Fill the dots; every one of them may change, so all is background."""
        self.title.set_text(data.title)
        for share, dots, head, words in zip(data.shares, self.dots, self.heads, self.words, strict=True):
            head.set_text(share.head)
            words.set_text(share.words)
            words.set_color(COLOURS[share.colour])
            low, middle, high = (round(100 * one) for one in (share.low, share.share, share.high))
            for i, dot in enumerate(dots):
                sure = i < low or (low == high and i < middle)
                dot.set_facecolor((COLOURS[share.colour], SURE if sure else UNSURE if i < high else REST))
        for line in self.lines:
            line.set_visible(data.coin)
        self.key.set_text("dashed: a coin · pale: unsure" if data.coin else "pale: unsure")
        return True


@dataclass(frozen=True)
class Cost:
    """Scores over ε (in 100), the point that is held, and what they are held against."""

    x: Array
    mean: Array
    half: Array
    held: int | None  # None: the model without privacy
    ceiling: float | None
    floor: float


class Curve(Poster):
    """What a model is worth over ε, between always the same answer and no privacy, under ε in use elsewhere."""

    LOW, HIGH = 75.0, 87.0

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = ax = axes(figure, (0.15, 0.19, 0.82, 0.55) if self.narrow else (0.085, 0.17, 0.9, 0.62))
        ax.set_xscale("log")
        ax.set_xlim(0.045, 42)
        ax.set_ylim(self.LOW, self.HIGH)
        ticks = (0.1, 1, 10) if self.narrow else (0.05, 0.1, 0.3, 1, 3, 10, 30)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks((76, 80, 84))
        ax.minorticks_off()
        ax.tick_params(labelsize=self.text)
        gap = " " * (4 if self.narrow else 10)
        ends = ("private", "open") if self.narrow else ("more private", "less private")
        ax.set_xlabel(f"← {ends[0]}{gap}ε{gap}{ends[1]} →", fontsize=self.text)
        self.write(4, self.page.get_ylim()[1] - 12, "right about … of 100 people", fontweight="bold")
        private, dashed = COLOURS["private"], (0, (6, 3))
        self.band = ax.fill_between([1], [0], [0], color=private, alpha=0.3, lw=0)
        (self.line,) = ax.plot([], [], color=private, lw=3.5)
        self.ceiling = ax.axhline(0, color=COLOURS["non-private"], lw=2.5, ls=dashed)
        self.floor = ax.axhline(0, color=COLOURS["floor"], lw=2.5, ls=dashed)
        (self.point,) = ax.plot([], [], "o", color=COLOURS["held"], ms=15, zorder=6)
        named: dict[str, Any] = {"fontsize": self.text, "ha": "left", "transform": ax.get_yaxis_transform()}
        self.names = [
            ax.text(0.01, 0, words, va=side, color=COLOURS[colour], **named)
            for words, side, colour in (("no privacy", "bottom", "non-private"),
                                        ("always the same answer", "bottom", "floor"))
        ]  # fmt: skip
        self.value = ax.annotate(
            "", (1, 0), xytext=(0, -18), textcoords="offset points", fontsize=self.big, fontweight="bold",
            ha="center", va="top", zorder=7,
        )  # fmt: skip
        self._elsewhere()

    def _elsewhere(self) -> None:
        """Where well-known uses stand; what they protect differs, so their place is all that is said."""
        with (cards.folder() / "deployments.csv").open(encoding="utf-8", newline="") as file:
            known = [(float(row["epsilon"]), row["label"]) for row in csv.DictReader(file) if row["label"]]
        if self.narrow:
            known = [one for one in known if one[1] in ("Wikimedia", "US Census")]
        look: dict[str, Any] = {"transform": self.ax.get_xaxis_transform(), "color": COLOURS["deployed"]}
        heights = (1.03, 1.03 if self.narrow else 1.115)
        words = "in use:" if self.narrow else "in use (each in a unit of its own):"
        self.ax.text(0.045, heights[1], words, va="bottom", fontsize=12, **look)
        for i, (epsilon, label) in enumerate(known):
            high = heights[i % 2]
            self.ax.plot([epsilon] * 2, [0.97, high], lw=1.5, clip_on=False, **look)
            last = i == len(known) - 1
            self.ax.text(42 if last else epsilon, high, label, va="bottom", ha="right" if last else "center",
                         fontsize=12, **look)  # fmt: skip

    def update(self, data: Cost) -> bool:
        """Move curve, lines and point."""
        self.line.set_data(data.x, data.mean)
        self.band.set_data(data.x, data.mean - data.half, data.mean + data.half)
        self.floor.set_ydata([data.floor] * 2)
        self.names[1].set_y(data.floor + 0.15)
        there = data.ceiling is not None
        self.ceiling.set_visible(there)
        self.names[0].set_visible(there)
        if data.ceiling is not None:
            self.ceiling.set_ydata([data.ceiling] * 2)
            self.names[0].set_y(data.ceiling + 0.25)
        x, y = (30.0, data.ceiling) if data.held is None else (float(data.x[data.held]), float(data.mean[data.held]))
        self.point.set_visible(y is not None)
        self.value.set_visible(y is not None)
        if y is not None:
            self.point.set_data([x], [y])
            self.value.set_text(f"{y:.0f}")
            self.value.xy = (x, y)
        return True


@dataclass(frozen=True)
class Way:
    """A way to learn: how much whoever runs it and the model betray (0 to 3), and how good it is (in 100)."""

    name: str
    server: int
    model: int
    right: str


@dataclass(frozen=True)
class Ways:
    """All ways, one of them looked at."""

    rows: tuple[Way, ...]
    held: int


class Eyes(Poster):
    """A row for each way: pies for what is seen, and how good the model is."""

    def update(self, data: Ways) -> bool:
        """Draw the table anew: it is small."""
        self.wipe()
        width, height = self.page.get_xlim()[1], self.page.get_ylim()[1]
        at = (6, 0.515 * width, 0.725 * width, 0.91 * width) if self.narrow else (16, 375, 560, 722)
        heads = ("", "who runs\nit sees", "model\ntells", "right\nof 100")
        if not self.narrow:
            heads = ("", "whoever runs it\nsees", "the model\ntells", "right about\n… of 100")
        top, radius = height - (24 if self.narrow else 32), 11 if self.narrow else 18
        for x, words in zip(at, heads, strict=True):
            self.moving.append(self.write(x, top, words, ha="center", color="#555555", linespacing=1.1))
        step = (height - 95) / 5 if self.narrow else (height - 104) / 5
        for i, way in enumerate(data.rows):
            y = height - (68 if self.narrow else 76) - step * (i + 0.42)
            bold = {"fontweight": "bold"} if i == data.held else {}
            if i == data.held:
                box = Rectangle((1, y - step / 2 + 1), width - 2, step - 2, fc="#FFF3C4", ec=INK, lw=2, zorder=0)
                self.moving.append(self.page.add_patch(box))
            self.moving.append(self.write(at[0], y, way.name, linespacing=1.05, **bold))
            for x, seen in zip(at[1:3], (way.server, way.model), strict=True):
                self._pie(x, y, radius, seen)
            self.moving.append(self.write(at[3], y, way.right, ha="center", fontsize=self.big, **bold))
        foot = "● all   ◐ much   ◔ little   ○ nothing"
        self.moving.append(self.write(width / 2, 11 if self.narrow else 13, foot, ha="center", color="#555555"))
        return True

    def _pie(self, x: float, y: float, radius: float, seen: int) -> None:
        colour = COLOURS["attacker"]
        self.moving.append(self.page.add_patch(Circle((x, y), radius, fc="white", ec=colour, lw=2)))
        share = (0, 0.25, 0.5, 1)[seen]
        if share:
            self.moving.append(self.page.add_patch(Wedge((x, y), radius, 90 - 360 * share, 90, fc=colour, lw=0)))


@dataclass(frozen=True)
class Card:
    """A program under checks: a mark for each (passed or not) and, if they are few, words for each."""

    head: str
    marks: tuple[bool, ...]
    places: int
    words: tuple[str, ...] = ()
    verdict: str = ""
    good: bool = True


@dataclass(frozen=True)
class Checks:
    """An honest program beside a broken one."""

    cards: tuple[Card, Card]


class Checklist(Poster):
    """Two cards with ticks and crosses."""

    def update(self, data: Checks) -> bool:
        """Draw both cards anew."""
        self.wipe()
        width, height = self.page.get_xlim()[1], self.page.get_ylim()[1]
        for i, card in enumerate(data.cards):
            if self.narrow:
                self._card(card, 2, height * (0.505 - 0.505 * i) + 2, width - 4, height * 0.485)
            else:
                self._card(card, 4 + i * width / 2, 4, width / 2 - 14, height - 8)
        return True

    def _card(self, card: Card, x: float, y: float, width: float, height: float) -> None:
        colour = COLOURS["non-private" if card.good else "attacker"]
        self.moving.append(self.page.add_patch(Rectangle((x, y), width, height, fc="#FAFAFA", ec=colour, lw=3)))
        middle, top = x + width / 2, y + height
        edge = 20 if self.narrow else 34
        self.moving.append(self.write(middle, top - edge, card.head, ha="center", fontweight="bold"))
        verdict = self.write(middle, y + edge, card.verdict, ha="center", fontsize=self.big, fontweight="bold")
        verdict.set_color(colour)
        self.moving.append(verdict)
        if card.words:
            room = height - 3.2 * edge
            for i, (mark, words) in enumerate(zip(card.marks, card.words, strict=True)):
                at = top - 1.9 * edge - room * (i + 0.5) / len(card.words)
                self._mark(x + 1.1 * edge, at, mark)
                folded = textwrap.fill(words, 33 if self.narrow else 25)
                self.moving.append(self.write(x + 2 * edge, at, folded, linespacing=1.15))
            return
        for i in range(card.places):
            across, down = (8, 2) if self.narrow else (5, 3)
            px = middle + (i % across - (across - 1) / 2) * width / (across + 0.6)
            py = y + height / 2 + ((down - 1) / 2 - i // across) * (34 if self.narrow else 72)
            self._mark(px, py, card.marks[i] if i < len(card.marks) else None)

    def _mark(self, x: float, y: float, passed: bool | None) -> None:
        size, colour = (9 if self.narrow else 14), COLOURS["non-private" if passed else "attacker"]
        if passed is None:
            (mark,) = self.page.plot([x], [y], "o", color=PALE, ms=size)
        elif passed:
            (mark,) = self.page.plot([x - size, x - size / 3, x + size], [y, y - size * 0.8, y + size], color=colour,
                                     lw=4)  # fmt: skip
        else:
            (mark,) = self.page.plot([x], [y], "x", color=colour, ms=1.35 * size, mew=4)
        self.moving.append(mark)


@dataclass(frozen=True)
class Spending:
    """A budget: what each move of a hand was (charged, free or refused) and what had been spent after it."""

    budget: float
    spent: Sequence[float]
    fates: Sequence[str]
    moves: int


class Purse(Poster):
    """Steps up to a budget's line; below, a mark for each move."""

    MARKS: ClassVar[Mapping[str, tuple[str, str]]] = {
        "charged": ("o", "private"), "free": ("s", "non-private"), "refused": ("x", "attacker"),
    }  # fmt: skip

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, (0.12, 0.21, 0.85, 0.64) if self.narrow else (0.07, 0.2, 0.91, 0.68))
        self.ax.grid(visible=False)
        self.ax.set_ylim(-0.3, 1.18)
        self.ax.set_yticks((0, 0.5, 1), ("0", "half", "all"))
        self.ax.tick_params(labelsize=self.text, length=0)
        self.ax.spines["bottom"].set_visible(False)
        self.ax.spines["left"].set_bounds(0, 1)
        self.ax.axhline(0, color=INK, lw=1)
        self.ax.axhline(1, color=COLOURS["held"], lw=3)
        self.ax.set_xticks([])
        self.fill = self.ax.fill_between([0], [0], [0], step="post", color=COLOURS["private"], alpha=0.35, lw=0)
        self.ax.set_xlabel("looks, one after another →", fontsize=self.text, labelpad=2)
        self.title = self.write(4, self.page.get_ylim()[1] - 14, fontweight="bold")
        self.rows = {
            fate: self.ax.plot([], [], mark, color=COLOURS[colour], ms=5 if self.narrow else 11, mew=2, ls="none")[0]
            for fate, (mark, colour) in self.MARKS.items()
        }
        named = ["paid", "free: seen" if self.narrow else "free: seen before", "refused"]
        self.ax.legend(
            list(self.rows.values()), named, loc="upper center", frameon=False,
            bbox_to_anchor=(0.5, -0.1), ncols=3, fontsize=12 if self.narrow else self.text, handletextpad=0.1,
            columnspacing=0.8, borderpad=0.2,
        )  # fmt: skip

    def update(self, data: Spending) -> bool:
        """Move the steps and the marks."""
        self.ax.set_xlim(0, data.moves + 1)
        self.title.set_text(f"spent of the budget ε = {data.budget:g}")
        count = np.arange(1, len(data.spent) + 1)
        share = np.asarray(data.spent) / data.budget
        self.fill.set_data(np.append(count, data.moves + 1)[: len(count) + 1] - 0.5, np.append(share, share[-1]), 0)
        for fate, row in self.rows.items():
            own = np.array(data.fates) == fate
            row.set_data(count[own], np.full(own.sum(), -0.16))
        return True
