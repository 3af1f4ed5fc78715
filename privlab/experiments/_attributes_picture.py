"""The picture of hidden columns: what a model adds to what could be guessed anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.attributes import Result

ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("plain", "members", COLOURS["non-private"], "o"),
    ("plain", "outsiders", COLOURS["non-private"], "s"),
    ("private", "members", COLOURS["private"], "o"),
    ("private", "outsiders", COLOURS["private"], "s"),
)
LIMITS = (-6.0, 16.0)
HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}


class Picture(Drawing):
    """Draws an `attributes.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        ax = axes(figure, (0.3, 0.155, 0.67, 0.64))
        self.key.set_text("dots: what seeing a model adds · lines: 95 % intervals")
        ax.set_xlim(*LIMITS)
        ax.set_ylim(len(ROWS) - 0.5, -0.75)
        ax.set_yticks([])
        ax.set_xticks([-5, 0, 5, 10, 15], ["−5", "0", "+5", "+10", "+15"])
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
        ax.set_xlabel("guessed right, points more than without the model", fontsize=TEXT)
        ax.axvline(0, color=COLOURS["floor"], linewidth=2, linestyle=(0, (2, 2)))
        words: dict[str, Any] = {"fontsize": TEXT, "va": "center", "animated": True, "fontweight": "bold"}
        self.names, self.dots, self.spreads, self.values = [], [], [], []
        for row, (kind, _, colour, marker) in enumerate(ROWS):
            ink = "#006E50" if kind == "plain" else colour
            style: dict[str, Any] = {"color": colour, "animated": True}
            self.names.append(ax.text(LIMITS[0] - 0.4, row, "", color=ink, ha="right", linespacing=1.05, **words))
            (dot,) = ax.plot([], [], marker, markersize=10, zorder=5, **style)
            self.dots.append(dot)
            (spread,) = ax.plot([], [], linewidth=3, solid_capstyle="butt", **style)
            self.spreads.append(spread)
            self.values.append(ax.text(0, row - 0.26, "", color=ink, ha="center", bbox=HALO, **words))
        self.alone = ax.text(
            0.15, -0.6, "", color=COLOURS["floor"], fontsize=SMALL, fontweight="bold", va="center", animated=True
        )
        self.moving: list[Artist] = [*self.names, *self.spreads, *self.dots, *self.values, self.alone]
        self.still = ""

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        from privlab.experiments.attributes import HIDDEN

        s = result.settings
        kinds = {"plain": "without privacy", "private": f"with ε = {s.epsilon:.3g}"}
        for row, (kind, side, _, _) in enumerate(ROWS):
            found = result.gains[kind, side]
            x, half = 100 * found.mean, 100 * found.half
            at = float(np.clip(x, *LIMITS))
            self.names[row].set_text(f"{side},\n{kinds[kind]}")
            self.dots[row].set_data([at], [row])
            self.spreads[row].set_data(np.clip([x - half, x + half], *LIMITS), [row, row])
            self.values[row].set(x=at, text=f"{x:+.1f}".replace("-", "−"))
        self.alone.set_text(f"without the model: {100 * result.alone:.0f} of 100 right")
        changed = self.still != s.hidden
        self.still = s.hidden
        self.title.set_text(f"Does a model betray somebody’s {HIDDEN[s.hidden]}?")
        return changed
