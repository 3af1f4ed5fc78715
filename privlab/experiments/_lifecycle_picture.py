"""The picture of the whole way: left, who remains at each step; right, what it did to the model and to attackers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from privlab.experiments.lifecycle import Result

LEFT, RIGHT = (0.03, 0.2, 0.33, 0.63), (0.435, 0.2, 0.525, 0.63)
KINDS = {"model": COLOURS["private"], "people": COLOURS["held"], "attacker": COLOURS["attacker"]}
ROWS = ("model", "people", "people", "attacker", "attacker", "attacker")
STEPS = 4
BELOW = 0.17  # how far a bar or mark stands below the middle of its row, whose words stand above


class Picture(Drawing):
    """Draws a `lifecycle.Result` on a figure."""

    size = (6.8, 4.9)

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.title.set_text("What is left once Adult has gone the whole way?")
        self.key.set_text("○ as collected · ● at your settings, bars 95 % · ◆ the most that ε allows")
        left, right = _bare(figure, LEFT, STEPS), _bare(figure, RIGHT, len(ROWS))
        left.set_xlabel("of those asked (%)", fontsize=TEXT, labelpad=2)
        right.set_xlabel("of 100", fontsize=TEXT, labelpad=2)
        self.bars = left.barh(np.arange(STEPS) + BELOW, np.zeros(STEPS), 0.3, color="#6E6E6E", animated=True, zorder=3)
        left.barh(np.arange(STEPS) + BELOW, 100, 0.3, color="#E4E4E4")
        stick: dict[str, Any] = {"linewidth": 2.4, "animated": True, "zorder": 4}
        self.spread = left.hlines([], [], [], color="black", **stick)
        words: dict[str, Any] = {"fontsize": SMALL, "va": "center", "animated": True, "parse_math": False}
        self.counts = [left.text(0, row - 0.22, "", fontweight="bold", **words) for row in range(STEPS)]
        self.names, self.values, self.ways, self.marks, self.sticks = [], [], [], [], []
        for row, kind in enumerate(ROWS):
            colour = KINDS[kind]
            self.names.append(right.text(0, row - 0.22, "", color=colour, fontweight="bold", **words))
            self.values.append(right.text(100, row - 0.22, "", color=colour, ha="right", **words))
            self.ways += right.plot([], [], color="#9A9A9A", linewidth=1.2, animated=True, zorder=2)
            self.marks.append(
                [
                    right.plot([], [], mark, color=colour, mfc=face, mew=2, markersize=size, animated=True,
                               zorder=5 + place, clip_on=False)[0]
                    for place, (mark, face, size) in enumerate((("o", "white", 8), ("o", colour, 8)))
                ]
            )  # fmt: skip
            self.sticks.append(right.hlines([], [], [], color=colour, **stick))
        (self.limits,) = right.plot(
            [], [], "D", color=COLOURS["proven"], markersize=8, animated=True, zorder=3, clip_on=False
        )
        self.lines = right.vlines(
            [], [], [], color=COLOURS["floor"], linewidth=1.8, linestyle=(0, (2, 1)), animated=True
        )
        self.line_names = [
            right.text(0, 0, name, color=COLOURS["floor"], fontsize=SMALL, va="center", ha=side, animated=True)
            for name, side in (("always “no”  ", "right"), ("coin  ", "right"))
        ]
        self.note = figure.text(0.012, 0.035, "", fontsize=TEXT, fontweight="bold", va="center", animated=True,
                                parse_math=False)  # fmt: skip
        self.moving: list[Artist] = [
            *self.bars, self.spread, *self.counts, *self.names, *self.values, *self.ways,
            *(mark for pair in self.marks for mark in pair), *self.sticks, self.limits, self.lines, *self.line_names,
            self.note,
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        stages = result.flow.stages
        names = ("asked", "said yes", "still agree", "alike enough")
        spread = []
        for row, (stage, value, name) in enumerate(zip(stages, result.kept, names, strict=True)):
            share = 100 * stage.kept / stages[0].kept
            self.bars[row].set_width(share)
            self.counts[row].set_text(f"{name}  {stage.kept:,}")
            if value.high > value.low:
                spread.append([(100 * value.low, row + BELOW), (100 * value.high, row + BELOW)])
        self.spread.set_segments(spread)
        self._measures(result)
        total, blocks = len(result.checks), result.blocks
        if blocks:
            self.note.set_text(f"✗ policy stops it: {', '.join(blocks)}")
        else:
            self.note.set_text(
                f"✓ policy lets it pass: all {total} rules" if result.audits else "… policy: waiting for the audit"
            )
        return False

    def _measures(self, result: Result) -> None:
        measures, limits, lines = result.measures, [], []
        for text in self.line_names:
            text.set_visible(False)
        for row in range(len(ROWS)):
            shown = row < len(measures)
            for artist in (self.names[row], self.values[row], self.ways[row], self.sticks[row], *self.marks[row]):
                artist.set_visible(shown)
            if not shown:
                continue
            one, y = measures[row], row + BELOW
            self.names[row].set_text(one.name)
            self.values[row].set_text(f"{_number(one.raw.mean)} → {_number(one.now.mean)}")
            self.ways[row].set_data([100 * one.raw.mean, 100 * one.now.mean], [y, y])
            for mark, value in zip(self.marks[row], (one.raw, one.now), strict=True):
                mark.set_data([100 * value.mean], [y])
            ends = [[(100 * value.low, y), (100 * value.high, y)] for value in (one.raw, one.now)]
            self.sticks[row].set_segments(ends)
            if not math.isnan(one.limit):
                limits.append((100 * one.limit, y))
            if not math.isnan(one.line):
                lines.append([(100 * one.line, y - 0.2), (100 * one.line, y + 0.2)])
                text = self.line_names[len(lines) - 1]
                text.set(x=100 * one.line, y=y, visible=True)
        self.limits.set_data(*(zip(*limits, strict=True) if limits else ([], [])))
        self.lines.set_segments(lines)


def _bare(figure: Figure, box: tuple[float, float, float, float], rows: int) -> Axes:
    ax = axes(figure, box)
    ax.set_xlim(0, 100)
    ax.set_ylim(rows - 0.5, -0.5)
    ax.set_yticks([])
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
    ax.spines["left"].set_visible(False)
    return ax


def _number(share: float) -> str:
    times = 100 * share
    return f"{times:.1f}" if times < 9.95 else f"{times:.0f}"
