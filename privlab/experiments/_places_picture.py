"""The picture of the places for the noise: a line for each, over the number of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.where_noise_goes import Result

BOX = (0.125, 0.145, 0.655, 0.69)
GAP = 0.062  # height of a line of a name, in heights of the axes
ENOUGH = 4  # repeats for a band
STYLES: dict[str, tuple[str, Any, str]] = {
    "central": ("#0072B2", "-", "in the model"),
    "local": ("#6A3D9A", "-.", "in each\nanswer"),
    "input": ("#5B6B7B", ":", "in each\nrecord"),
    "none": (COLOURS["non-private"], (0, (6, 3)), "nowhere"),
}
TICKS = (100, 300, 1000, 3000, 10_000, 30_000)
LEVELS = (0.001, 0.01, 0.1, 1, 10, 100)


class _Line:
    """The artists of one place's line."""

    def __init__(self, ax: Any, place: str) -> None:
        colour, dash, name = STYLES[place]
        shade = {"color": colour, "linewidth": 0, "animated": True}
        self.band = ax.fill_between([1], [0], [0], alpha=0.3, **shade)
        (self.dots,) = ax.plot([], [], "o", color=colour, markersize=4.5, alpha=0.4, animated=True)
        (self.line,) = ax.plot([], [], color=colour, linestyle=dash, linewidth=2.6, animated=True, zorder=4)
        self.name = ax.annotate(
            name, (1, 0), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", color=colour,
            fontsize=TEXT, fontweight="bold", va="center", linespacing=0.95, animated=True, annotation_clip=False,
        )  # fmt: skip
        self.artists: list[Artist] = [self.band, self.dots, self.line, self.name]


class Picture(Drawing):
    """Draws a `where_noise_goes.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.set_xscale("log")
        self.lines = {place: _Line(self.ax, place) for place in STYLES}
        self.hair = self.ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        self.floor = self.ax.axhline(0, color=COLOURS["floor"], linewidth=1.5, linestyle=(0, (6, 3)), animated=True)
        self.floor_name = self.ax.text(
            0.01, 0, "always the same answer", color=COLOURS["floor"], fontsize=SMALL, va="bottom", animated=True,
            transform=self.ax.get_yaxis_transform(),
        )  # fmt: skip
        self.still: tuple[str, str] | None = None
        self.moving: list[Artist] = [self.hair, self.floor, self.floor_name]
        for line in self.lines.values():
            self.moving += line.artists

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        changed = self.still != (result.settings.view, result.settings.dataset)
        if changed:
            self._background(result)
        share = result.settings.view == "share"
        low, high = self.ax.get_ylim()
        ends = {}
        for place, line in self.lines.items():
            shown = place in result.scores
            for artist in line.artists:
                artist.set_visible(shown)
            if shown:
                y = self._show(line, place, result)
                at = np.log(y / low) / np.log(high / low) if share else (y - low) / (high - low)
                ends[place] = float(np.clip(at, 0.02, 0.98))
        order, below, above = sorted(ends, key=lambda one: ends[one]), 0.0, 1.02
        half = {place: GAP * (1 + 0.9 * STYLES[place][2].count("\n")) / 2 for place in order}
        for place in order:
            ends[place] = max(ends[place], below + half[place])
            below = ends[place] + half[place]
        for place in reversed(order):
            ends[place] = min(ends[place], above - half[place])
            above = ends[place] - half[place]
            self.lines[place].name.xy = (1, ends[place])
        n = float(result.people[result.held])
        self.hair.set_xdata([n, n])
        for artist in (self.floor, self.floor_name):
            artist.set_visible(not share)
        self.floor.set_ydata([100 * result.floor] * 2)
        self.floor_name.set_y(100 * result.floor)
        return changed

    def _show(self, line: _Line, place: str, result: Result) -> float:
        """Set a line's data; where it ends."""
        x = result.people
        if result.settings.view == "share":
            errors = result.scores[place]
            line.line.set_data(x, result.expected[place])
            line.dots.set_data(np.tile(x, len(errors)), np.abs(errors).ravel())
            line.band.set_visible(False)
            return float(result.expected[place][-1])
        e, scores = result.estimate(place), result.scores[place]
        line.line.set_data(x, 100 * e.mean)
        line.dots.set_data(np.tile(x, len(scores)), 100 * scores.ravel())
        line.band.set_visible(len(scores) >= ENOUGH)
        if len(scores) >= ENOUGH:
            line.band.set_data(x, 100 * (e.mean - e.band), 100 * np.minimum(1, e.mean + e.band))
        return 100 * float(e.mean[-1])

    def _background(self, result: Result) -> None:
        s, data = result.settings, datasets.load(result.settings.dataset)
        self.still = (s.view, s.dataset)
        name = data.card.short
        most = data.n_train
        ticks = [tick for tick in TICKS if tick <= max(most, 300)]
        self.ax.set_xlim(95, max(1.05 * min(most, 30_000), 320))
        self.ax.set_xlabel("people who take part", fontsize=TEXT)
        if s.view == "share":
            self.title.set_text("How far off is one share?")
            self.key.set_text("lines: expected error · dots: single releases · lower is better")
            self.ax.set_yscale("log")
            self.ax.set_ylim(0.0005, 200)
            self.ax.set_yticks(LEVELS, [f"{level:g}" for level in LEVELS])
            self.ax.set_ylabel("error (points of 100)", fontsize=TEXT)
        else:
            self.title.set_text(f"Where should the noise go, on {name}?")
            self.key.set_text("line and band: mean of the repeats · dots: single releases")
            self.ax.set_yscale("linear")
            self.ax.set_ylim(35, 92)
            self.ax.set_yticks((40, 50, 60, 70, 80, 90), ("40", "50", "60", "70", "80", "90"))
            self.ax.set_ylabel("right on unseen people (%)", fontsize=TEXT)
        self.ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        self.ax.minorticks_off()
