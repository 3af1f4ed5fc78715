"""The picture of what a server sees: columns read, numbers that arrive, and who could still see what."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.server_view import Result

LEFT, RIGHT = (0.212, 0.125, 0.323, 0.72), (0.6, 0.625, 0.375, 0.185)
MOST = 34  # columns
SHOWN = 14  # column names that fit
BINS = 41
WIDE = 33  # characters of a line of the card
LINES = 4  # of the card
EDGES = {"none": (-0.6, 0.6), "masks": (0.0, 1.0), "noise": (-25.0, 25.0), "both": (0.0, 1.0)}
ARRIVES = {
    "none": "numbers of an update",
    "masks": "as shares of the largest number",
    "noise": "numbers of an update",
    "both": "as shares of the largest number",
}


class Picture(Drawing):
    """Draws a `server_view.Result` on a figure."""

    size = (7.1, 5.2)

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax, self.numbers = axes(figure, LEFT), axes(figure, RIGHT)
        self.ax.grid(visible=False, axis="y")
        self.ax.grid(visible=True, axis="x", color="#E6E6E6", linewidth=0.8)
        self.ax.set_xlim(0, 103)
        self.ax.set_xticks((0, 50, 100))
        self.ax.set_xlabel("people read exactly (%)", fontsize=TEXT)
        self.numbers.set_yticks([])
        self.numbers.spines["left"].set_visible(False)
        self.numbers.set_title("what arrives from one client", fontsize=SMALL, loc="left", pad=4)
        shade: dict[str, Any] = {"color": COLOURS["attacker"], "solid_capstyle": "butt", "animated": True}
        self.bars = [self.ax.plot([], [], linewidth=9, **shade)[0] for _ in range(MOST)]
        self.errors = [self.ax.plot([], [], color="#222222", linewidth=1.5, animated=True)[0] for _ in range(MOST)]
        (self.guess,) = self.ax.plot(
            [], [], "|", color=COLOURS["floor"], markersize=15, markeredgewidth=3, animated=True, zorder=5
        )
        self.steps = self.numbers.fill_between([0], [0], [0], step="mid", color=COLOURS["private"], animated=True)
        words: dict[str, Any] = {"fontsize": SMALL, "va": "top", "animated": True, "linespacing": 1.15}
        figure.text(0.6, 0.475, "Who could still see what", fontsize=TEXT, fontweight="bold", va="top")
        self.who = [figure.text(0.6, 0, "", fontweight="bold", color="#222222", **words) for _ in range(LINES)]
        self.what = [figure.text(0.6, 0, "", color="#222222", **words) for _ in range(LINES)]
        self.still: tuple[str, str] | None = None
        self.moving: list[Artist] = [*self.bars, *self.errors, self.guess, self.steps, *self.who, *self.what]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        changed, self.still = self.still != (s.protect, s.dataset), (s.protect, s.dataset)
        if changed:
            self._background(result)
        share, half = 100 * result.read[s.protect], 100 * result.half(s.protect)
        for k in range(MOST):
            there = k < len(result.columns)
            self.bars[k].set_visible(there)
            self.errors[k].set_visible(there)
            if there:
                self.bars[k].set_data([0, share[k]], [k, k])
                self.errors[k].set_data([max(0, share[k] - half[k]), min(100, share[k] + half[k])], [k, k])
        self.guess.set_data(100 * result.read["guess"], np.arange(len(result.columns)))
        low, high = EDGES[s.protect]
        counts, edges = np.histogram(result.arrived[s.protect], bins=BINS, range=(low, high))
        self.steps.set_data((edges[1:] + edges[:-1]) / 2, 0 * counts, np.sqrt(counts / max(1, counts.max())))
        return changed

    def _background(self, result: Result) -> None:
        s, number = result.settings, len(result.columns)
        card = datasets.card(s.dataset)
        self.title.set_text(f"What can the server read of a person, on {card.short}?")
        self.key.set_text("bars: read from what comes out · grey marks: guessing the commonest · lines: 95 %")
        self.ax.set_ylim(number - 0.4, -0.6)
        every = -(-number // SHOWN)
        self.ax.set_yticks(range(0, number, every), [_short(card.call(name)) for name in result.columns[::every]])
        low, high = EDGES[s.protect]
        self.numbers.set_xlim(low, high)
        self.numbers.set_xticks([low, (low + high) / 2, high])
        self.numbers.set_ylim(0, 1.08)
        self.numbers.set_xlabel(ARRIVES[s.protect], fontsize=SMALL)
        width = max(4, min(9, 110 / number))
        for bar in self.bars:
            bar.set_linewidth(width)
        y = 0.425
        for k in range(LINES):
            who, what = (list(result.card.items()) + [("", "")] * LINES)[k]
            lines = textwrap.wrap(what, WIDE)
            self.who[k].set_text(who)
            self.who[k].set_position((0.6, y))
            self.what[k].set_text("\n".join(lines))
            self.what[k].set_position((0.6, y - 0.043))
            y -= 0.058 + 0.045 * len(lines)


def _short(name: str) -> str:
    return name if len(name) <= 14 else name[:11] + "…"
