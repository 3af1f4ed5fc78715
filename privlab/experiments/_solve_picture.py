"""The picture of a search for ε: what releases reach over ε, what is needed, and what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.solve import Result

BOX = (0.125, 0.145, 0.69, 0.69)
LEFT, RIGHT = 0.008, 12.5
TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10)
GAP = 0.15  # heights of the axes that two names at the right keep between them


class Picture(Drawing):
    """Draws a `solve.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = ax = axes(figure, BOX)
        ax.set_xscale("log")
        ax.set_xlim(LEFT, RIGHT)
        ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        ax.minorticks_off()
        ax.set_xlabel("privacy budget ε   (more private  ←   →  more accurate)", fontsize=TEXT)
        self.key.set_text("line: what so many of 100 fresh releases reach · dots: single trainings")
        self.still = ""
        blue, held, attacker = COLOURS["private"], COLOURS["held"], COLOURS["attacker"]
        above: dict[str, Any] = {"animated": True, "zorder": 4}
        self.refused = ax.axvspan(1, 2, color=attacker, alpha=0.13, linewidth=0, animated=True)
        self.edge = ax.axvline(1, color=attacker, linewidth=1.8, linestyle="--", animated=True)
        self.edge_name = ax.text(
            1, 0.02, "too much for\nan attacker", color=attacker, fontsize=SMALL, fontweight="bold", va="bottom",
            linespacing=0.95, transform=ax.get_xaxis_transform(), **above,
        )  # fmt: skip
        (self.dots,) = ax.plot([], [], "o", color=blue, markersize=3.5, alpha=0.15, animated=True)
        (self.line,) = ax.plot([], [], color=blue, linewidth=2.6, **above)
        self.line_name, self.need_name = (
            ax.annotate(
                "", (1, 0), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", color=colour,
                fontsize=TEXT, fontweight="bold", va="center", linespacing=0.95, annotation_clip=False, animated=True,
            )
            for colour in (blue, held)
        )  # fmt: skip
        self.need = ax.axhline(0, color=held, linewidth=1.5, animated=True)
        (self.point,) = ax.plot([], [], "o", color=held, markersize=11, animated=True, zorder=6)
        self.point_name = ax.annotate(
            "", (1, 0), xytext=(0, 14), textcoords="offset points", color=held, fontsize=TEXT, fontweight="bold",
            ha="center", va="bottom", annotation_clip=False, animated=True, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )  # fmt: skip
        self.moving: list[Artist] = [
            self.refused, self.edge, self.edge_name, self.dots, self.line, self.line_name, self.need, self.need_name,
            self.point, self.point_name,
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s, percent = result.settings, result.dataset.task != "regression"
        factor = 100 if percent else 1
        changed = self.still != s.dataset
        if changed:
            self._background(result, factor)
        low, high = self.ax.get_ylim()
        reached = factor * result.reached
        self.line.set_data(result.epsilons, reached)
        self.dots.set_data(np.tile(result.epsilons, len(result.scores)), factor * result.scores.ravel())
        need = factor * s.min_score
        self.need.set_ydata([need, need])
        beyond = "\n(off the scale)" if not low <= need <= high else ""
        self.need_name.set_text(f"you need\n{need:.3g}{' %' if percent else ''}{beyond}")
        self.line_name.set_text(f"{100 * s.confidence:.3g} in 100\nreach")
        self._names((reached[-1] - low) / (high - low), (need - low) / (high - low))
        self._limit(result)
        self._answer(result, need if low <= need <= high else low + 0.05 * (high - low))
        return changed

    def _names(self, line: float, need: float) -> None:
        """Put the two lines' names where they end (in heights of the axes), apart from each other."""
        line, need = (float(np.clip(at, 0.05, 0.95)) for at in (line, need))
        middle, up = (line + need) / 2, 1 if need >= line else -1
        if abs(need - line) < GAP:
            middle = float(np.clip(middle, 0.05 + GAP / 2, 0.95 - GAP / 2))
            line, need = middle - up * GAP / 2, middle + up * GAP / 2
        self.line_name.xy, self.need_name.xy = (1, line), (1, need)

    def _limit(self, result: Result) -> None:
        limit = result.settings.limit
        shown = limit < RIGHT
        for artist in (self.refused, self.edge, self.edge_name):
            artist.set_visible(shown)
        if shown:
            left = max(LEFT, limit)
            self.refused.set_bounds(left, 0, RIGHT - left, 1)
            self.edge.set_xdata([left, left])
            roomy = left < 2
            self.edge_name.set_x(left * (1.06 if roomy else 0.94))
            self.edge_name.set_horizontalalignment("left" if roomy else "right")

    def _answer(self, result: Result, height: float) -> None:
        found = result.found
        self.point.set_visible(found is not None)
        refused = found is None and result.progress == 1
        self.point_name.set_visible(found is not None or refused)
        if found is not None:
            self.point.set_data([found], [height])
            self.point_name.xy = (found, height)
            self.point_name.set_text(f"✓ ε = {found:.3g}")
        elif refused:
            low, high = self.ax.get_ylim()
            self.point_name.xy = (0.35, low + 0.45 * (high - low))
            self.point_name.set_text("✗ not reachable")

    def _background(self, result: Result, factor: int) -> None:
        data, ax = result.dataset, self.ax
        self.still = data.name
        low, high = (factor * v for v in data.score_range)
        ax.set_ylim(low, high)
        ax.set_ylabel("R² on unseen people" if factor == 1 else "right on unseen people (%)", fontsize=TEXT)
        self.title.set_text(f"Which ε is just enough, on {data.card.short}?")
