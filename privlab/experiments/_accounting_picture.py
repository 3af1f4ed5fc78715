"""The picture of composition: a line for each way of keeping the books, named where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.accounting import Result

BOX = (0.145, 0.145, 0.575, 0.69)
GAP = 0.062  # least distance of two names, in heights of the axes
LINES: dict[str, tuple[str, Any, float]] = {  # colour, dash (dotted: not proven), width
    "naive": ("floor", (0, (7, 3)), 2.0),
    "advanced": ("floor", "-.", 2.0),
    "rdp": ("private", "--", 2.4),
    "pld": ("proven", "-", 3.0),
    "limit": ("floor", (0, (1, 2)), 2.0),
    "claim": ("floor", (0, (1, 2)), 2.4),
    "shuffled at least": ("attacker", "-", 3.0),
    "shuffled at most": ("proven", "-", 2.4),
    "fixed size at most": ("private", "", 0.0),
    "add or remove one": ("proven", "-", 3.0),
    "replace one": ("private", "--", 2.6),
    "zCDP": ("private", "--", 2.4),
    "exact": ("proven", "-", 3.0),
}
NAMES = {
    "naive": "added up",
    "advanced": "advanced",
    "rdp": "Rényi (RDP)",
    "pld": "tight (PLD)",
    "limit": "Gaussian limit\n(no bound)",
    "claim": "claimed, as if\nby coin",
    "shuffled at least": "shuffled:\nat least this",
    "shuffled at most": "shuffled:\nat most this",
    "fixed size at most": "fixed size:\nat most this",
    "add or remove one": "add or\nremove one",
    "replace one": "replace one",
    "zCDP": "zCDP",
    "exact": "exact",
}
EPSILON = "privacy spent ε"
# title, horizontal axis, vertical axis, limits of both, ticks below
VIEWS: dict[str, tuple[str, str, str, tuple[float, float], tuple[float, float]]] = {
    "steps": ("What do many small steps cost together?", "steps T", EPSILON, (1, 20_000), (0.02, 2000)),
    "delta": ("How much ε goes with which δ?", "δ", EPSILON, (1e-10, 1e-2), (0.02, 2000)),
    "sampling": (
        "Is a shuffled epoch as private as is claimed?", "noise multiplier σ", EPSILON, (0.3, 20), (0.02, 200),
    ),
    "neighbours": ("Gone, or somebody else: what does each cost?", "steps T", EPSILON, (1, 20_000), (0.02, 2000)),
    "plan": (
        "How much noise does each of many queries need?", "queries that share the budget",
        "noise of each query", (1, 20_000), (0.3, 3e4),
    ),
}  # fmt: skip


def number(value: float) -> str:
    """Three significant digits, with commas from a thousand on."""
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= value < 1e12 else f"{value:.3g}"


class Picture(Drawing):
    """Draws an `accounting.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.set_xscale("log")
        self.ax.set_yscale("log")
        self.view = ""
        self.lines: dict[str, Any] = {}
        self.names: dict[str, Any] = {}
        for name, (colour, dash, width) in LINES.items():
            marker = "" if dash else "v"
            (line,) = self.ax.plot(
                [], [], color=COLOURS[colour], linestyle=dash or "none", linewidth=width, marker=marker, markersize=9,
                animated=True, zorder=4 if name in ("pld", "exact") else 3,
            )  # fmt: skip
            self.lines[name] = line
            self.names[name] = self.ax.annotate(
                NAMES[name], (1, 0), xycoords=("axes fraction", "axes fraction"), xytext=(6, 0),
                textcoords="offset points", color=COLOURS[colour], fontsize=SMALL, fontweight="bold", va="center",
                linespacing=0.95, animated=True, annotation_clip=False,
            )  # fmt: skip
        self.hair = self.ax.axvline(1, color=COLOURS["held"], linewidth=0.8, alpha=0.5, animated=True)
        (self.point,) = self.ax.plot(
            [], [], "o", color=COLOURS["held"], markersize=9, animated=True, zorder=6, clip_on=False
        )
        self.value = self.ax.annotate(
            "", (1, 1), xytext=(9, -9), textcoords="offset points", fontsize=TEXT, fontweight="bold", va="top",
            animated=True, annotation_clip=False, zorder=7,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
        )  # fmt: skip
        self.moving: list[Artist] = [
            self.hair, *self.lines.values(), *self.names.values(), self.point, self.value
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        view = result.settings.view
        changed = view != self.view
        if changed:
            self._background(view)
        low, high = self.ax.get_ylim()
        ends: dict[str, float] = {}
        for name, line in self.lines.items():
            shown = name in result.curves
            line.set_visible(shown)
            self.names[name].set_visible(shown)
            if not shown:
                continue
            curve = result.curves[name]
            known = np.isfinite(curve) & (curve > 0)
            line.set_data(result.x[known], curve[known])
            last = curve[known][-1] if known.any() else low
            ends[name] = float(np.log(max(last, low * 1e-3) / low) / np.log(high / low))
            if not LINES[name][1] and not low <= last <= high:  # a lone mark outside the picture
                self.names[name].set_visible(False)
                del ends[name]
        self._place_names(ends)
        best = {"plan": "exact", "sampling": "shuffled at least", "neighbours": "add or remove one"}.get(view, "pld")
        x, y = float(result.x[result.held]), result.at(best)
        self.hair.set_xdata([x, x])
        self.point.set_data([x], [min(max(y, low), high)])
        first, last = np.log(self.ax.get_xlim())
        right, falling = np.log(x) - first > 0.75 * (last - first), view in ("delta", "sampling")
        above = y < low or (y <= high and right != falling)  # the side on which there is room
        self.value.xy = (x, min(max(y, low), high))
        self.value.set_position((-9 if right else 9, 12 if above else -9))
        self.value.set_horizontalalignment("right" if right else "left")
        self.value.set_verticalalignment("bottom" if above else "top")
        outside = "↑ " if y > high else "↓ " if y < low else ""
        self.value.set_text(f"{outside}{'σ' if view == 'plan' else 'ε'} = {number(y)}")
        return changed

    def _place_names(self, ends: dict[str, float]) -> None:
        """Names beside the ends of their lines, in the lines' order, pushed apart where they would overlap."""
        order = sorted(ends, key=lambda name: ends[name])
        half = {name: GAP * (1 + 0.85 * NAMES[name].count("\n")) / 2 for name in order}
        heights, below, above = {}, 0.0, 1.02
        for name in order:
            heights[name] = max(min(ends[name], 1.0), below + half[name])
            below = heights[name] + half[name]
        for name in reversed(order):
            heights[name] = min(heights[name], above - half[name])
            above = heights[name] - half[name]
            self.names[name].xy = (1, heights[name])

    def _background(self, view: str) -> None:
        self.view = view
        title, across, up, xlim, ylim = VIEWS[view]
        self.title.set_text(title)
        keys = {"plan": "lower is less noise for the same promise", "neighbours": "lower is more private"}
        self.key.set_text(f"the dot: your settings · {keys.get(view, 'dotted: not proven · lower is more private')}")
        self.ax.set_xlim(*xlim)
        self.ax.set_ylim(*ylim)
        self.ax.set_xlabel(across, fontsize=TEXT)
        self.ax.set_ylabel(up, fontsize=TEXT)
        if view == "sampling":
            ticks = {tick: f"{tick:g}" for tick in (0.5, 1, 2, 5, 10, 20)}
        elif view == "delta":
            ticks = {10.0**-k: f"1e-{k}" for k in (10, 8, 6, 4, 2)}
        else:
            ticks = {tick: f"{tick:,}" for tick in (1, 10, 100, 1000, 10_000)}
        self.ax.set_xticks(list(ticks), list(ticks.values()))
        levels = [10.0**k for k in range(-2, 6) if ylim[0] <= 10.0**k <= ylim[1]]
        self.ax.set_yticks(levels, [f"{level:,g}" for level in levels])
        self.ax.minorticks_off()
