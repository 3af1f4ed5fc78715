"""The picture of linkage: how many people are left alone as more about them is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.linkage import Result

MOST = 9  # columns that may be known


class Picture(Drawing):
    """Draws a `linkage.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        ax = axes(figure, (0.285, 0.145, 0.685, 0.64))
        self.title.set_text("Who can be found in a table without names?")
        self.key.set_text("each bar: all people, if this and everything above it is known of them")
        ax.set_xlim(0, 100)
        ax.set_ylim(MOST - 0.4, -0.6)
        ax.set_yticks([])
        ax.grid(axis="y", visible=False)
        ax.set_xlabel("people (of 100)", fontsize=TEXT)
        y, nothing = np.arange(MOST, dtype=float), np.zeros(MOST)
        style: dict[str, Any] = {"animated": True, "height": 0.72}
        self.many = ax.barh(y, nothing, color="#E4E4E4", **style)
        self.few = ax.barh(y, nothing, color="#F3B98F", hatch="///", edgecolor="white", linewidth=0, **style)
        self.alone = ax.barh(y, nothing, color=COLOURS["attacker"], **style)
        self.spread = ax.hlines([], [], [], color="black", linewidth=1.8, animated=True, zorder=5)
        words: dict[str, Any] = {"fontsize": TEXT, "va": "center", "animated": True, "zorder": 6}
        self.values = [ax.text(0, row, "", fontweight="bold", **words) for row in y]
        self.names = [ax.text(-2, row, "", ha="right", **words) for row in y]
        for x, word, colour in (
            (0.285, "only one row fits", "#B04A00"),
            (0.545, "2 to 4 fit (striped)", "#9C5F33"),
            (0.83, "5 or more", "#6A6A6A"),
        ):
            figure.text(x, 0.83, word, color=colour, fontsize=SMALL, fontweight="bold", va="center")
        self.moving: list[Artist] = [
            *self.many, *self.few, *self.alone, self.spread, *self.values, *self.names,
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        alone, few = (result.share(what) for what in ("alone", "few"))
        shown, width = len(result.steps), 100 * alone.mean
        for row in range(MOST):
            for artist in (self.many[row], self.few[row], self.alone[row], self.values[row], self.names[row]):
                artist.set_visible(row < shown)
        for row, name in enumerate(result.steps):
            self.many[row].set_width(100)
            self.few[row].set_width(width[row] + 100 * few.mean[row])
            self.alone[row].set_width(width[row])
            inside = width[row] - 100 * alone.band[row] > 11
            self.values[row].set(
                x=width[row] - 1.5 - 100 * alone.band[row] if inside else width[row] + 2 + 100 * alone.band[row],
                text=f"{width[row]:.1f}" if width[row] < 9.95 else f"{width[row]:.0f}",
                ha="right" if inside else "left",
                color="white" if inside else "black",
            )
            self.names[row].set_text(name)
        half = 100 * alone.band
        self.spread.set_segments(
            [[(x - h, row), (x + h, row)] for row, (x, h) in enumerate(zip(width, half, strict=True))]
        )
        return False
