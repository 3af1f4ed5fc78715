"""The picture of declarations: one row each, with what a model is worth when that declaration is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.experiments._own_data_result import ALL, DECLARED, PEOPLE, PLAIN, plain
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._own_data_result import Result

ROWS = 10
LONGEST = 26  # letters of a column's name that fit beside the axes


class Picture(Drawing):
    """Draws an `own_data.Result`."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, (0.355, 0.135, 0.525, 0.66))
        self.ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
        self.ax.grid(axis="y", visible=False)
        self.marks: list[Artist] = []
        self.still: tuple[str, ...] | None = None
        shared: dict[str, Any] = {"animated": True, "capstyle": "butt"}
        self.release = self.ax.hlines([0], [0], [0], linewidth=13, alpha=0.18, **shared)
        self.band = self.ax.hlines([0], [0], [0], linewidth=13, alpha=0.5, **shared)
        self.dots = self.ax.scatter([0], [0], s=48, animated=True, zorder=5)
        self.values = [
            self.ax.text(1.02, 0, "", transform=self.ax.get_yaxis_transform(), fontsize=SMALL, va="center",
                         animated=True)
            for _ in range(ROWS)
        ]  # fmt: skip
        self.moving: list[Artist] = [self.release, self.band, self.dots, *self.values]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        names = tuple(result.losses)
        still = (result.settings.dataset, f"{result.settings.wider:.3g}", *names)
        changed = still != self.still
        if changed:
            self.still = still
            self._background(result, names)
        y = np.arange(len(names))[::-1]
        mean, band, release = (
            100 * np.array([getattr(result.estimates[name], part)[0] for name in names])
            for part in ("mean", "band", "release")
        )
        colours = [_colour(name) for name in names]
        for bars, half in ((self.release, release), (self.band, band)):
            half = np.nan_to_num(half)
            bars.set_segments([[(a - h, b), (min(a + h, 100.0), b)] for a, b, h in zip(mean, y, half, strict=True)])
            bars.set_color(colours)
        low, high = self.ax.get_xlim()
        self.dots.set_offsets(np.column_stack([np.clip(mean, low, high), y]))
        self.dots.set_color(colours)
        for i, text in enumerate(self.values):
            text.set_visible(i < len(names))
            if i < len(names):
                text.set_y(y[i])
                text.set_text(f"{mean[i]:.1f} %")
                text.set_color(colours[i])
                text.set_fontweight("bold" if names[i] == DECLARED else "normal")
        return changed

    def _background(self, result: Result, names: tuple[str, ...]) -> None:
        card, w = result.dataset.card, result.settings.wider
        for mark in self.marks:
            mark.remove()
        self.title.set_text(f"Which declarations matter, on {card.short}?")
        self.key.set_text(f"blue: one thing off (bounds: w = {w:.3g} × too wide) · dark: mean · light: one release")
        low, high = (100 * v for v in card.score_range)
        self.ax.set_xlim(low, high)
        self.ax.set_ylim(-0.6, len(names) - 0.4)
        self.ax.set_yticks(range(len(names))[::-1], [_label(name) for name in names], fontsize=SMALL, parse_math=False)
        self.ax.tick_params(axis="y", length=0)
        who = "people" if card.unit == "person" else "rows"
        self.ax.set_xlabel(f"right on unseen {who} (%)", fontsize=TEXT)
        floor = 100 * result.floor
        self.marks = [
            self.ax.axvline(floor, color=COLOURS["floor"], linewidth=1.5, linestyle=(0, (6, 3)), zorder=1),
            self.ax.text(
                max(low, floor), 1.01, "always the same answer", color=COLOURS["floor"], fontsize=SMALL,
                transform=self.ax.get_xaxis_transform(), va="bottom", ha="left",
            ),
        ]  # fmt: skip


def _colour(name: str) -> str:
    return COLOURS[{PLAIN: "non-private", DECLARED: "held"}.get(name, "private")]


def _label(name: str) -> str:
    """What stands beside a row."""
    if name in (PLAIN, DECLARED, ALL, PEOPLE):
        return plain(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
