"""The pictures of the ledger: the budget over the moves of a slider, and the book as written and as found."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.experiments import _ends
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.ledger import Result

TOP = 160  # % of the budget that the axis ends at
REFUSED = 121  # % of the budget: where refused moves are marked
GAP = 0.062  # height of a line of a name, in heights of the axes
LINES: dict[str, tuple[str, Any, str]] = {
    "added": ("#5B6B7B", ":", "added up"),
    "ledger": (COLOURS["private"], "-", "ledger"),
    "tight": ("#6A3D9A", (0, (7, 2)), "tight, if all\nwas planned\nbeforehand"),
}
SHOWN = 8  # boxes of the book
WIDE = 70  # letters in a line of the inspection


class _Budget:
    """The budget over the moves."""

    def __init__(self, figure: Figure) -> None:
        self.ax = ax = axes(figure, (0.115, 0.145, 0.665, 0.69))
        ax.set_ylim(0, TOP)
        ax.set_yticks((0, 50, 100, 150), ("0", "50", "100", "150"))
        ax.set_ylabel("budget used (%)", fontsize=TEXT)
        ax.set_xlabel("moves of the slider", fontsize=TEXT)
        ax.axhline(100, color=COLOURS["held"], linewidth=1.6)
        ax.text(0.995, 102, "the budget", fontsize=SMALL, transform=ax.get_yaxis_transform(), ha="right", va="bottom")
        self.lines, self.names = {}, {}
        for key, (colour, dash, name) in LINES.items():
            (self.lines[key],) = ax.plot(
                [], [], color=colour, linestyle=dash, linewidth=2.6, drawstyle="steps-post", animated=True
            )
            self.names[key] = _ends.name(ax, colour, name)
        blue = COLOURS["private"]
        style: dict[str, Any] = {"linestyle": "none", "animated": True, "zorder": 5}
        self.marks = {
            "charged": ax.plot([], [], "o", color=blue, markersize=6, **style)[0],
            "free": ax.plot([], [], "o", markerfacecolor="white", markeredgecolor=blue, markersize=6, **style)[0],
            "refused": ax.plot([], [], "x", color=COLOURS["held"], markersize=8, markeredgewidth=2.2, **style)[0],
        }
        self.moving: list[Artist] = [*self.lines.values(), *self.names.values(), *self.marks.values()]

    def still(self, result: Result) -> None:
        self.ax.set_xlim(0, result.settings.looks + 0.5)

    def move(self, result: Result) -> None:
        x, share = np.arange(len(result.fates) + 1), 100 / result.settings.epsilon
        ends = {}
        for key, line in self.lines.items():
            y = share * np.append(0, getattr(result, key))
            line.set_data(x, y)
            ends[key] = float(min(y[-1], TOP))
        fates, on = np.array(result.fates), share * result.ledger
        for fate, mark in self.marks.items():
            mine = np.flatnonzero(fates == fate)
            mark.set_data(mine + 1, on[mine] if fate != "refused" else np.full(len(mine), REFUSED))
        _ends.spread([(end / TOP, self.names[key]) for key, end in ends.items()], GAP)


class _Book:
    """The book as it was written, as it was found, and the inspection's words."""

    def __init__(self, figure: Figure) -> None:
        self.ax = ax = figure.add_axes((0.02, 0.03, 0.96, 0.82))
        ax.set_axis_off()
        ax.set_xlim(0, SHOWN + 1.55)
        ax.set_ylim(0, 10)
        self.rows = []
        for y, name in ((7.6, "as written"), (4.3, "as found")):
            ax.text(0.05, y + 1.35, name, fontsize=TEXT, fontweight="bold", va="center")
            boxes = [
                ax.text(place + 0.65, y, "", fontsize=SMALL, ha="center", va="center", linespacing=1.3, animated=True)
                for place in range(SHOWN)
            ]
            for place in range(SHOWN - 1):
                ax.text(place + 1.15, y, "–", fontsize=TEXT, ha="center", va="center", color=COLOURS["floor"])
            self.rows.append(boxes)
        self.head = ax.text(SHOWN + 0.9, 7.6, "", fontsize=TEXT, ha="center", va="center", animated=True,
                            linespacing=1.3)  # fmt: skip
        self.words = ax.text(0.05, 2.2, "", fontsize=TEXT, va="top", linespacing=1.35, animated=True, parse_math=False)
        self.moving: list[Artist] = [*self.rows[0], *self.rows[1], self.head, self.words]

    def still(self, result: Result) -> None:
        """Nothing changes behind the boxes."""

    def move(self, result: Result) -> None:
        book = result.book
        assert book is not None
        bad = {n for problem in book.verification.problems for n in problem.entries}
        for entries, boxes, found in zip((book.written, book.found), self.rows, (False, True), strict=True):
            for place, box in enumerate(boxes):
                there = place < len(entries)
                number, price = entries[place] if there else (0, "")
                wrong = found and (not there or number in bad)
                colour = COLOURS["attacker"] if wrong else COLOURS["private"]
                box.set_text(f"{number}\nε {price}" if there else "–\ngone")
                box.set_color(colour if wrong else COLOURS["held"])
                box.set_bbox({"boxstyle": "round,pad=0.4", "fc": "white", "ec": colour, "lw": 3 if wrong else 1.5,
                              "ls": "--" if wrong else "-"})  # fmt: skip
        self.head.set_text(f"a note\nelsewhere:\n{len(book.written)} entries")
        self.words.set_text("\n".join(textwrap.wrap(f"Inspection: {book.verification}", WIDE)))
        self.words.set_color(COLOURS["held"] if book.verification else COLOURS["attacker"])


class Picture(Drawing):
    """Draws a `ledger.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.scenes: dict[str, _Budget | _Book] = {"budget": _Budget(figure), "book": _Book(figure)}
        self.shown: tuple[str, int] | None = None
        self.moving: list[Artist] = [artist for scene in self.scenes.values() for artist in scene.moving]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        view = result.settings.view
        scene, shown = self.scenes[view], (view, result.settings.looks)
        changed = shown != self.shown
        if changed:
            self.shown = shown
            for name, one in self.scenes.items():
                one.ax.set_visible(name == view)
                for artist in one.moving:
                    artist.set_visible(name == view)
            if view == "budget":
                self.title.set_text("How many looks does the budget pay for?")
                self.key.set_text("dots: paid looks · rings: seen before, free · crosses: refused")
            else:
                self.title.set_text("Who notices when the book is cooked?")
                self.key.set_text("each box: an entry with its price, sealed together with the one before it")
            scene.still(result)
        scene.move(result)
        return changed
