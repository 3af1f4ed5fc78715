"""The picture of the trade-off: one curve for each model, with its bands, against its ceiling and its floor."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import cards, models, uncertainty
from privlab.style import COLOURS, MODEL_STYLES, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._tradeoff_result import Curve, Result

EPSILON_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
CLIP_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
EPSILON_LABEL = "←  more private       privacy budget ε       more accurate  →"
CLIP_LABEL = "←  clips more      clipping norm C      clips less, more noise  →"
PINNED = "pinned"
BOX = (0.12, 0.145, 0.85, 0.62)
STRIP = (0.045, 0.105)  # heights above the axes where the names of deployments stand, in two rows


HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75}
NAME_GAP = 0.062  # least distance of two names, in heights of the axes


class _Line:
    """The artists of one model's curve."""

    def __init__(self, ax: Any, colour: str, dash: Any, zorder: float) -> None:
        shade = {"color": colour, "linewidth": 0, "animated": True, "zorder": zorder}
        self.release = ax.fill_between([1], [0], [0], alpha=0.16, **shade)
        self.band = ax.fill_between([1], [0], [0], alpha=0.45, **shade)
        (self.dots,) = ax.plot([], [], "o", color=colour, markersize=4, alpha=0.55, animated=True, zorder=zorder)
        (self.line,) = ax.plot([], [], color=colour, linestyle=dash, linewidth=2.6, animated=True, zorder=zorder + 0.5)
        self.name = ax.annotate(
            "", (1, 0), xytext=(0, 0), textcoords="offset points", color=colour, fontsize=TEXT, fontweight="bold",
            ha="right", va="bottom", animated=True, annotation_clip=False, bbox=HALO, parse_math=False,
        )  # fmt: skip
        self.artists: list[Artist] = [self.release, self.band, self.dots, self.line, self.name]

    def show(self, x: Any, curve: Curve, label: str, factor: float) -> None:
        e, few = curve.estimate, len(curve.scores) < uncertainty.ENOUGH  # the trainings themselves stand for a band
        mean = factor * e.mean
        self.line.set_data(x, mean)
        self.dots.set_data(np.tile(x, len(curve.scores)), factor * curve.scores.ravel())
        for artist, half in ((self.release, e.release), (self.band, e.band)):
            artist.set_visible(not few)
            if not few:
                artist.set_data(x, mean - factor * half, mean + factor * half)
        self.dots.set_visible(few)
        self.name.set_text(label)
        self.end = (float(x[-1]), float(mean[-1]))

    @property
    def shown(self) -> bool:
        return bool(self.name.get_visible())

    def reveal(self, shown: bool) -> None:
        for artist in self.artists:
            artist.set_visible(shown)


class Picture(Drawing):
    """Draws a `tradeoff.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.set_xscale("log")
        self.still: tuple[Any, ...] | None = None
        self.marks: list[Artist] = []
        self.lines: dict[str, _Line] = {}  # by model, made when it is first shown
        self.hair = self.ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        self.test = self.ax.errorbar([1], [0], yerr=[1], fmt="none", ecolor=COLOURS["held"], elinewidth=1.5, capsize=5)
        (self.pin,) = self.ax.plot([], [], "D", color=COLOURS["pinned"], markersize=9, animated=True, zorder=5.5)
        (self.point,) = self.ax.plot([1], [0], "o", color=COLOURS["held"], markersize=9, animated=True, zorder=6)
        self.value = self.ax.annotate(
            "", (1, 0), xytext=(0, -26), textcoords="offset points", fontsize=TEXT, fontweight="bold",
            ha="center", va="top", animated=True, annotation_clip=False, zorder=7, bbox=HALO,
        )  # fmt: skip
        test = [artist for group in self.test.lines[1:] for artist in group]
        for artist in test:
            artist.set_animated(True)
            artist.set_zorder(5)
        self.moving: list[Artist] = [self.hair, *test, self.pin, self.point, self.value]

    def update(self, result: Result, pinned: Result | None = None) -> bool:
        """Move the artists to a result; whether the background changed too."""
        factor = 100.0 if result.percent else 1.0
        for line in self.lines.values():
            line.reveal(False)
        for curve in result.curves:
            self._line(curve.model).show(result.x, curve, models.CATALOGUE[curve.model].label, factor)
        self.pin.set_visible(False)
        if pinned is not None and pinned.settings.view == result.settings.view and pinned.dataset is result.dataset:
            self.pin.set_visible(True)
            self.pin.set_data([pinned.x[pinned.held]], [factor * pinned.curves[0].estimate.mean[pinned.held]])
            self._line(PINNED).show(pinned.x, pinned.curves[0], PINNED, factor)
        changed = self._background(result, factor)
        self._hold(result, factor)
        self._place_names()
        return changed

    def _line(self, name: str) -> _Line:
        """The artists of a model's curve, in the model's own colour, or of the pinned one."""
        if name not in self.lines:
            place = len(models.CATALOGUE) if name == PINNED else models.names().index(name)
            pinned = (COLOURS["pinned"], (0, (4, 2)))
            colour, dash = pinned if name == PINNED else MODEL_STYLES[place % len(MODEL_STYLES)]
            self.lines[name] = _Line(self.ax, colour, dash, zorder=3 - 0.1 * place)
            self.moving += self.lines[name].artists
        self.lines[name].reveal(True)
        return self.lines[name]

    def _place_names(self) -> None:
        """Names just above the ends of their lines, pushed apart where they would overlap."""
        low, high = self.ax.get_ylim()
        gap, last = NAME_GAP * (high - low), -np.inf
        for line in sorted((one for one in self.lines.values() if one.shown), key=lambda one: one.end[1]):
            x, y = line.end
            last = max(y + gap / 4, last + gap)
            line.name.xy = (x, last)

    def _hold(self, result: Result, factor: float) -> None:
        curve, x = result.curves[0], float(result.x[result.held])
        y = factor * float(curve.estimate.mean[result.held])
        off = factor * uncertainty.split_error(curve.held, result.loss_scale)
        self.hair.set_xdata([x, x])
        low_end, high_end = self.ax.get_ylim()
        inside = min(max(y, low_end), high_end)
        self.point.set_data([x], [inside])
        _, (low, high), (bar,) = self.test.lines
        low.set_data([x], [y - off])
        high.set_data([x], [y + off])
        bar.set_segments([[(x, y - off), (x, y + off)]])
        below = inside > y  # off the picture: the number stays, at its lower edge, with an arrow
        self.value.xy = (x, inside)
        self.value.set_position((0, 12) if below else (0, -26))
        self.value.set_horizontalalignment("right" if result.held == len(result.x) - 1 else "center")
        self.value.set_verticalalignment("bottom" if below else "top")
        self.value.set_text(("↓ " if below else "") + result.show(y / factor))

    def _background(self, result: Result, factor: float) -> bool:
        s = result.settings
        still = (s.view, s.dataset, tuple(result.ceilings.items()))
        if still == self.still:
            return False
        self.still = still
        for mark in self.marks:
            mark.remove()
        self.marks = []
        data, ax = result.dataset, self.ax
        name = data.card.short
        low, high = (factor * v for v in data.score_range)
        ax.set_ylim(low, high)
        lines = [(factor * result.floor, "always the same answer", COLOURS["floor"])]
        lines += [(factor * score, label, COLOURS["non-private"]) for label, score in result.ceilings.items()]
        above = math.inf
        for y, label, colour in sorted(lines, reverse=True):
            crowded = above - y < NAME_GAP * (high - low)  # then its name goes below the line
            self.marks.append(ax.axhline(y, color=colour, linewidth=1.5, linestyle=(0, (6, 3)), zorder=1))
            style: dict[str, Any] = {"color": colour, "fontsize": SMALL, "transform": ax.get_yaxis_transform()}
            self.marks.append(ax.text(0.006, y, label, va="top" if crowded else "bottom", ha="left", **style))
            above = y
        who = "people" if data.unit == "person" else "rows"
        self.key.set_text(f"dots: trainings · dark: their mean · light: one release · bar: other test {who}")
        ax.set_ylabel(f"right on unseen {who} (%)" if result.percent else "variation explained (R²)", fontsize=TEXT)
        if s.view == "epsilon":
            self.title.set_text(f"What does privacy cost on {name}?")
            self._scale((0.045, 42), EPSILON_TICKS, EPSILON_LABEL)
            self._deployments()
        else:
            self.title.set_text(f"How far may a {data.unit} pull, on {name}?")
            self._scale((0.09, 11), CLIP_TICKS, CLIP_LABEL)
        return True

    def _scale(self, limits: tuple[float, float], ticks: tuple[float, ...], label: str) -> None:
        self.ax.set_xlim(*limits)
        self.ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self.ax.minorticks_off()
        self.ax.set_xlabel(label, fontsize=TEXT)

    def _deployments(self) -> None:
        """Where well-known uses stand on the axis; what they protect differs, so their place is all that is said."""
        with (cards.folder() / "deployments.csv").open(encoding="utf-8", newline="") as file:
            known = [(float(row["epsilon"]), row["label"]) for row in csv.DictReader(file) if row["label"]]
        across = self.ax.get_xaxis_transform()
        style: dict[str, Any] = {"color": COLOURS["deployed"], "transform": across}
        for i, (epsilon, label) in enumerate(known):
            height = 1 + STRIP[i % 2]
            self.marks += self.ax.plot([epsilon, epsilon], [1, height - 0.01], linewidth=1.2, clip_on=False, **style)
            self.marks.append(self.ax.text(epsilon, height, label, fontsize=SMALL, ha="center", va="bottom", **style))
        self.marks.append(
            self.ax.text(0, 1 + STRIP[0], "in use:", fontsize=SMALL, color=COLOURS["deployed"], va="bottom",
                         transform=self.ax.transAxes)
        )  # fmt: skip
