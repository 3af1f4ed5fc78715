"""The picture of evidence: what an attack suggests and proves, what it could have proven, and what is claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from privlab.style import COLOURS, SMALL, TEXT, axes, heading

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from privlab.dpsgd import Array
    from privlab.verification import Report

LEAST, MOST = 0.05, 100.0
TICKS = (0.1, 0.3, 1, 3, 10, 30)
ATTACKER, CLAIM, WITHOUT, WITH = (COLOURS[name] for name in ("attacker", "proven", "floor", "private"))
HALO = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.85}
WIDEST, BINS = 3.4, 48  # of the scores' axis, in standard deviations


class Evidence(NamedTuple):
    """One lower bound: with what it could have been at most, and what the error rates alone suggest."""

    lower: float
    ceiling: float
    estimate: float


class Sandwich:
    """Bounds from below, one row each, against a claim from above, over ε in factors.

    Attributes
    ----------
    moving : list of Artist
        What `update` moves; the axes keep still.
    """

    def __init__(self, ax: Axes, rows: Sequence[str]) -> None:
        self.ax, self.moving = ax, []
        ax.set_xscale("log")
        ax.set_xlim(LEAST, MOST)
        ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        ax.minorticks_off()
        ax.set_ylim(-0.6, len(rows))
        ax.set_yticks(range(len(rows)), list(reversed(rows)), fontsize=TEXT)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False)
        ax.set_xlabel("privacy loss ε", fontsize=TEXT)
        look: dict[str, Any] = {"animated": True}
        self.between = ax.axvspan(LEAST, MOST, color=CLAIM, alpha=0.12, linewidth=0, **look)
        self.claim = ax.axvline(1, color=CLAIM, linewidth=3, linestyle=(0, (6, 2)), zorder=3, **look)
        text: dict[str, Any] = {"fontsize": SMALL, "va": "center", "ha": "center", "zorder": 6, "bbox": HALO, **look}
        self.promise = ax.text(1, len(rows) - 0.3, "", color="#8F3F6D", fontweight="bold", **text)
        self.rows = []
        for place in reversed(range(len(rows))):
            (bar,) = ax.plot([], [], color=ATTACKER, linewidth=9, solid_capstyle="butt", zorder=4, **look)
            (dot,) = ax.plot([], [], "o", color=ATTACKER, mfc="white", mew=2, markersize=8, zorder=5, **look)
            (end,) = ax.plot([], [], "|", color="#444444", mew=2.5, markersize=16, zorder=5, **look)
            proven = ax.text(1, place - 0.31, "", color="#A03000", fontweight="bold", **text)
            most = ax.text(1, place + 0.3, "", color="#444444", **text)
            self.rows.append((place, bar, dot, end, proven, most))
            self.moving += [bar, dot, end, most, proven]
        self.moving = [self.between, self.claim, *self.moving, self.promise]

    def update(self, claim: float, evidence: Sequence[Evidence | None], covered: bool = True) -> None:
        """Show a claim, whether it covers what is attacked, and the rows' evidence; None leaves a row empty."""
        known = [one.lower for one in evidence if one is not None]
        proven_most = max(known, default=0.0)
        low, high, broken = _at(proven_most), _at(claim), proven_most > claim
        self.between.set_x(low)
        self.between.set_width(max(0.0, high - low))
        self.claim.set_xdata([high, high])
        scope, verdict = "" if covered else " for one row", ", and broken" if broken and covered else ""
        self.promise.set_text(f"promised{scope}: {claim:.3g}{verdict}")
        self.promise.set_x(_inside(high))
        for (place, bar, dot, end, proven, most), one in zip(self.rows, evidence, strict=True):
            for artist in (bar, dot, end, proven, most):
                artist.set_visible(one is not None)
            if one is None:
                continue
            bar.set_data([LEAST, max(_at(one.lower), LEAST * 1.04)], [place, place])
            dot.set_data([_at(one.estimate)], [place])
            end.set_data([_at(one.ceiling)], [place])
            proven.set_text(f"≥ {rounded_down(one.lower)}")
            proven.set_x(_inside(_at(one.lower)))
            most.set_text(f"ceiling {one.ceiling:.3g}")
            most.set_x(_inside(_at(one.ceiling)))


class Scores:
    """Two worlds' scores as outlines on one axis, with the thresholds of the guesses.

    Attributes
    ----------
    moving : list of Artist
        What `update` moves; the axes keep still.
    """

    def __init__(self, ax: Axes) -> None:
        ax.set_xlim(-WIDEST, WIDEST)
        ax.set_ylim(0, 1.32)
        ax.set_yticks([])
        ax.set_xticks([-2.4, 2.4], ["looks like without", "looks like with"], fontsize=SMALL)
        ax.tick_params(axis="x", length=0)
        ax.grid(visible=False)
        look: dict[str, Any] = {"animated": True, "linewidth": 2.2}
        (self.without,) = ax.plot([], [], color=WITHOUT, linestyle="--", **look)
        (self.with_,) = ax.plot([], [], color=WITH, **look)
        self.cuts = ax.vlines([], 0, 1.08, color=ATTACKER, linestyle=":", **look)
        words: dict[str, Any] = {"fontsize": SMALL, "va": "center", "y": 1.2, "fontweight": "bold"}
        left = ax.text(-WIDEST + 0.1, s="without the person", color=WITHOUT, **words)
        right = ax.text(WIDEST - 0.1, s="with", color=WITH, ha="right", **words)
        self.names = left, right
        self.moving: list[Artist] = [self.without, self.with_, self.cuts]

    def update(self, without: Array, with_: Array, cuts: Sequence[float], above: bool) -> None:
        """Show scores (N,) and (M,); to the right is what speaks for "with"."""
        everything = np.concatenate([without, with_])
        finite = everything[np.isfinite(everything)]
        middle, spread = (float(np.median(finite)), float(np.std(finite))) if len(finite) else (0.0, 0.0)
        scale, edges = (1 if above else -1) / (spread or 1.0), np.linspace(-WIDEST, WIDEST, BINS)

        def place(scores: Array) -> Array:
            return np.clip((scores - middle) * scale, -WIDEST + 1e-6, WIDEST - 1e-6)

        heights = [np.histogram(place(each), edges)[0] / len(each) for each in (without, with_)]
        top = max(float(each.max()) for each in heights)
        for line, each in zip((self.without, self.with_), heights, strict=True):
            line.set_data(np.repeat(edges, 2), np.concatenate([[0], np.repeat(each / top, 2), [0]]))
        self.cuts.set_segments([[(cut, 0), (cut, 1.08)] for cut in place(np.asarray(cuts))])


def rounded_down(epsilon: float) -> str:
    """A lower bound in three digits, none of them too high."""
    if epsilon <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(epsilon)) - 2)
    return f"{math.floor(epsilon / unit * (1 + 1e-12)) * unit:.3g}"


def draw_report(figure: Figure, report: Report) -> None:
    """The picture of a test of a promise."""
    b = report.bound
    title, key = heading(figure)
    title.set_text("Nothing found against the promise" if report.ok else "The promise is broken")
    key.set_text("bar: proven · ring: what the error rates suggest · ceiling: what so many runs could prove at most")
    rows = Sandwich(axes(figure, (0.03, 0.165, 0.5, 0.66)), [""])
    rows.update(report.claimed, [Evidence(b.lower_bound, b.ceiling, b.estimate)])
    scores = Scores(axes(figure, (0.57, 0.165, 0.41, 0.66)))
    scores.update(*report.scores, [b.threshold], b.above)


def _at(epsilon: float) -> float:
    return min(max(epsilon, LEAST), MOST)


def _inside(place: float) -> float:
    """Where the middle of a label must be to stay on the axes."""
    return min(max(place, LEAST * 1.9), MOST / 2.2)
