"""The picture of secrets put together from counts: how many come out, over the number of questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.reconstruction import Result

STYLES: dict[str, tuple[str, Any, str]] = {
    "exact": (COLOURS["attacker"], (0, (6, 3)), "exact answers"),
    "each": ("#6A3D9A", "-.", "ε = {:.3g} for\neach answer"),
    "together": (COLOURS["private"], "-", "ε = {:.3g} for\nall answers"),
}
TICKS = (10, 30, 100, 300, 1000, 3000)


class Picture(Drawing):
    """Draws a `reconstruction.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        ax = self.ax = axes(figure, (0.115, 0.145, 0.64, 0.69))
        self.title.set_text("Who earns more? Asked in many harmless counts")
        self.key.set_text("lines and bands: mean of the repeats, 95 % interval · dots: single attempts")
        ax.set_xscale("log")
        ax.set_xlim(9.5, 3200)
        ax.set_xticks(TICKS, [f"{tick:,}" for tick in TICKS])
        ax.minorticks_off()
        ax.set_ylim(44, 102)
        ax.set_xlabel("questions asked", fontsize=TEXT)
        ax.set_ylabel("secrets found out (of 100)", fontsize=TEXT)
        self.lines, self.bands, self.dots, self.names = {}, {}, {}, {}
        for kind, (colour, dash, _) in STYLES.items():
            shade: dict[str, Any] = {"color": colour, "linewidth": 0, "animated": True}
            self.bands[kind] = ax.fill_between([10], [0], [0], alpha=0.3, **shade)
            (self.dots[kind],) = ax.plot([], [], "o", color=colour, markersize=4, alpha=0.35, animated=True)
            (self.lines[kind],) = ax.plot([], [], color=colour, linestyle=dash, linewidth=2.6, animated=True, zorder=4)
            self.names[kind] = self._name(colour)
        self.hair = ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        self.floor = ax.axhline(0, color=COLOURS["floor"], linewidth=1.6, linestyle=(0, (2, 2)), animated=True)
        self.limit = ax.axhline(0, color=COLOURS["proven"], linewidth=2.2, linestyle=(0, (6, 3)), animated=True)
        self.floor_name = self._name(COLOURS["floor"])
        self.limit_name = self._name("#8A3D6B")
        self.moving: list[Artist] = [
            self.floor, self.limit, self.hair, *self.bands.values(), *self.dots.values(), *self.lines.values(),
            *self.names.values(), self.floor_name, self.limit_name,
        ]  # fmt: skip

    def _name(self, colour: str) -> Any:
        return self.ax.text(
            1.02, 0, "", color=colour, fontsize=SMALL, fontweight="bold", va="center", animated=True, linespacing=0.95,
            transform=self.ax.get_yaxis_transform(),
        )  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s, places = result.settings, {}
        for kind, (_, _, name) in STYLES.items():
            e, found = result.estimate(kind), result.right[kind]
            self.lines[kind].set_data(result.questions, 100 * e.mean)
            low, high = (100 * np.clip(e.mean + side * e.band, 0, 1) for side in (-1, 1))
            self.bands[kind].set_data(result.questions, low, high)
            self.dots[kind].set_data(np.tile(result.questions, len(found)), 100 * found.ravel())
            self.names[kind].set_text(name.format(s.epsilon))
            places[self.names[kind]] = 100 * float(e.mean[-1])
        self.hair.set_xdata([s.questions] * 2)
        self.floor.set_ydata([50, 50])
        self.limit.set_ydata([100 * result.limit] * 2)
        self.floor_name.set_text("a coin")
        self.limit_name.set_text("limit of ε for\nall answers")
        places[self.floor_name], places[self.limit_name] = 50.0, 100 * result.limit
        _spread(places)
        return False


def _spread(places: dict[Any, float], low: float = 45, high: float = 101, line: float = 4.3) -> None:
    """Put names at their places, moved apart where they would overlap."""
    order = sorted(places, key=lambda name: places[name])
    half = {name: line * (1 + name.get_text().count("\n")) / 2 for name in order}
    below, above = low, high
    for name in order:
        places[name] = max(places[name], below + half[name])
        below = places[name] + half[name]
    for name in reversed(order):
        places[name] = min(places[name], above - half[name])
        above = places[name] - half[name]
        name.set_y(places[name])
