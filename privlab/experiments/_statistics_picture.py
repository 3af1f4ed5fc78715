"""The picture of a statistic: releases beside the truth, for every upper bound."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.experiments import _statistics_data as data
from privlab.experiments._statistics_result import data_words
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._statistics_result import Curve, Result

BOX = (0.15, 0.15, 0.79, 0.68)
TICKS = (1, 2, 5, 10, 20, 50, 100)
HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
PEEK = "best bound (peeks at the data)"
DOTS = 400
SPREAD = np.modf(np.arange(DOTS) * 0.618034)[0] - 0.5  # dots side by side, the same way every time
NEAR, FAR = 1e-4, 3.0  # error axis, as shares of the truth


class Picture(Drawing):
    """Draws a `statistics.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        blue, held = COLOURS["private"], COLOURS["held"]
        self.ax = axes(figure, BOX)
        self.still: tuple[Any, ...] | None = None
        self.marks: list[Artist] = []
        self.band = self.ax.fill_between([1], [0], [0], color=blue, alpha=0.2, linewidth=0, animated=True)
        (self.line,) = self.ax.plot([], [], color=blue, linewidth=2.6, animated=True)
        (self.total,) = self.ax.plot([], [], color=held, linewidth=2.6, animated=True)
        (self.bias,) = self.ax.plot([], [], color=COLOURS["attacker"], linewidth=2, linestyle="--", animated=True)
        self.people = self.ax.axhline(1, color=COLOURS["non-private"], linewidth=2, linestyle="-.", animated=True)
        (self.dots,) = self.ax.plot([], [], "o", color=blue, markersize=4, alpha=0.5, animated=True, zorder=4)
        (self.point,) = self.ax.plot([], [], "o", color=held, markersize=9, animated=True, zorder=6)
        (self.peek,) = self.ax.plot([], [], "^", color=COLOURS["floor"], markersize=11, animated=True, zorder=5,
                                    clip_on=False)  # fmt: skip
        self.hair = self.ax.axvline(1, color=held, linewidth=1, linestyle=":", animated=True)
        self.names = [
            self.ax.text(0, 0, "", fontsize=SMALL, fontweight="bold", animated=True, bbox=HALO, zorder=7,
                         parse_math=False, clip_on=False)
            for _ in range(5)
        ]  # fmt: skip
        self.sticks = self.ax.vlines([], [], [], color=blue, linewidth=3, animated=True, zorder=4)
        self.moving: list[Artist] = [
            self.band, self.line, self.total, self.bias, self.dots, self.point, self.peek, self.hair, self.people,
            self.sticks, *self.names,
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        changed = self._background(result)
        for artist in self.moving:
            artist.set_visible(False)
        if result.settings.statistic == "histogram":
            self._bars(result)
            return changed
        self._show(self.hair)
        self.hair.set_xdata([result.settings.upper] * 2)
        if result.settings.view == "errors" and result.curve is not None:
            self._errors(result, result.curve)
        else:
            self._releases(result)
        return changed

    def _show(self, *artists: Artist) -> None:
        for artist in artists:
            artist.set_visible(True)

    def _name(self, number: int, x: float, y: float, words: str, colour: str, ha: str, va: str = "center") -> None:
        low, high = self.ax.get_ylim()
        name = self.names[number]
        name.set(x=x, y=min(max(y, low), high), text=words, color=colour, ha=ha, va=va)
        self._show(name)

    def _releases(self, result: Result) -> None:
        s, c = result.settings, result.curve
        low, high = self.ax.get_ylim()
        if c is not None:
            self.line.set_data(c.percent, c.expected)
            self.band.set_data(c.percent, c.expected - c.half, c.expected + c.half)
            self._show(self.line, self.band)
            room = 0.06 * (high - low)
            if s.statistic == "count":
                self._name(0, 1.1, float(c.truths[0]) + room, "average and truth", COLOURS["private"], "left", "bottom")
            else:
                start = float(c.expected[0])
                self._name(0, 1.1, min(start + room, high - 3.3 * room), "average release", COLOURS["private"], "left",
                           "bottom")  # fmt: skip
                self._best(c, low)
            top = min(float(c.expected[-1] + c.half[-1]) + 0.3 * room, high - room)
            self._name(1, 100, top, "95 in 100 releases", COLOURS["private"], "right", "bottom")
        some = result.released[:DOTS]
        x = s.upper * np.exp(0.05 * SPREAD[: len(some)])
        self.dots.set_data(x, np.clip(some, low, high))
        self._show(self.dots)

    def _best(self, c: Curve, low: float) -> None:
        x = float(c.percent[c.best])
        self.peek.set_data([x], [low])
        self._show(self.peek)
        left = x > 10
        y0, y1 = self.ax.transAxes.transform([(0, 0.0), (0, 0.045)])[:, 1]
        at = self.ax.transData.inverted().transform([(0, y1)])[0, 1] if y1 > y0 else low
        self._name(2, x, at, PEEK, COLOURS["floor"], "right" if left else "left", "bottom")

    def _errors(self, result: Result, c: Curve) -> None:
        low, high = self.ax.get_ylim()
        truth = 100 / abs(float(result.truths))
        for line, y in ((self.total, c.error), (self.bias, np.abs(c.bias)), (self.line, c.deviation)):
            line.set_data(c.percent, np.maximum(truth * y, low / 10))
            self._show(line)
        measured = math.sqrt(float(((result.released - result.truths) ** 2).mean()))
        self.point.set_data([result.settings.upper], [np.clip(truth * measured, low, high)])
        self._show(self.point)
        self._best(c, low)
        self._name(0, 1.1, truth * abs(float(c.bias[0])) * 1.25, "bias: what the bound cuts off",
                   COLOURS["attacker"], "left", "bottom")  # fmt: skip
        seen = int(np.argmax(truth * c.deviation >= 1.5 * low))  # where its line comes up, if it begins below
        begin, height = float(c.percent[seen]), truth * float(c.deviation[seen])
        if seen:
            self._name(1, begin, 1.2 * height, "noise", COLOURS["private"], "right", "bottom")
        else:
            self._name(1, 1.1, height / 1.3, "noise", COLOURS["private"], "left", "top")
        if c.sampling > 0:
            level = float(np.clip(truth * c.sampling, low, high))
            self.people.set_ydata([level, level])
            self._show(self.people)
            self._name(4, 1.1, level * 1.06, "other people (sampling)", COLOURS["non-private"], "left", "bottom")
        self._name(3, 100, truth * float(c.error[-1]) * 1.3, "both together", COLOURS["held"], "right", "bottom")

    def _bars(self, result: Result) -> None:
        low, high = np.quantile(result.released, [0.025, 0.975], axis=0)
        x = np.arange(len(low))
        self.sticks.set_segments([[(i, a), (i, b)] for i, a, b in zip(x, low, high, strict=True)])
        self.dots.set_data(x, result.released[0])
        self._show(self.sticks, self.dots)

    def _background(self, result: Result) -> bool:
        s = result.settings
        bars = s.statistic == "histogram"
        still: tuple[Any, ...] = (s.dataset, s.column, s.statistic, s.view, s.quantile)
        if bars:
            still += (result.bounds, s.kept)
        if still == self.still:
            return False
        self.still = still
        for mark in self.marks:
            mark.remove()
        self.marks = []
        ax = self.ax
        ax.set_ylim(1, 2)  # a log axis refuses what it is given from before
        ax.set_yscale("log" if s.view == "errors" else "linear")
        name = {"quantile": "median" if s.quantile == 0.5 else "quantile"}.get(s.statistic, s.statistic)
        title = datasets.card(s.dataset).short
        self.title.set_text(
            f"Where does the error of a private {name} come from?"
            if s.view == "errors"
            else f"How far is a private {name} from the truth?"
        )
        column = datasets.card(s.dataset).call(s.column)
        if bars:
            self._still_bars(result)
            self.key.set_text(f"{column} · bars: the truth · dots: one release · sticks: 95 in 100")
            return True
        self.key.set_text(
            f"{column}, {title} · black dot: measured on the releases"
            if s.view == "errors"
            else f"{column}, {title} · dots: single releases, fresh noise in each"
        )
        one = data.column(s.dataset, s.column)
        low, high = float(one.low or 0), float(one.high or 0)
        ax.set_xscale("log")
        ax.set_xlim(0.95, 106)
        ax.set_xticks(TICKS, [data_words(low + (high - low) * tick / 100) for tick in TICKS])
        ax.minorticks_off()
        ax.set_xlabel("←  cuts more     upper bound     cuts less, more noise  →", fontsize=TEXT)
        truth = float(result.truths)
        green = COLOURS["non-private"]
        if s.view == "errors":
            ax.set_ylim(100 * NEAR, 100 * FAR)
            ax.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
            ax.minorticks_off()
            ax.set_ylabel("typical error (% of the truth)", fontsize=TEXT)
            return True
        if s.statistic == "count":
            n = datasets.card(s.dataset).rows
            limits = -0.1 * n, 1.25 * n
        else:
            reach = 1.15 * abs(truth) or 0.1 * (high - low)
            limits = truth - reach, truth + reach
        ax.set_ylim(*limits)
        ax.set_ylabel(f"released {name}", fontsize=TEXT)
        values = ax.get_yticks()
        ax.set_yticks(values, [_short(round(float(v), 10)) for v in values])
        ax.set_ylim(*limits)
        if s.statistic != "count":
            self.marks.append(ax.axhline(truth, color=green, linewidth=2, linestyle=(0, (6, 3)), zorder=3))
            self.marks.append(
                ax.text(1.1, truth, f"the truth: {data_words(truth)}", color=green, fontsize=SMALL, va="bottom",
                        fontweight="bold")
            )  # fmt: skip
        return True

    def _still_bars(self, result: Result) -> None:
        ax, edges, n = self.ax, result.edges, float(result.truths.sum())
        ax.set_xscale("linear")
        ax.set_xlim(-0.6, len(edges) - 1.4)
        ax.set_xticks(np.arange(0, len(edges), 2) - 0.5, [data_words(float(edge)) for edge in edges[::2]])
        card = datasets.card(result.settings.dataset)
        ax.set_xlabel(card.call(result.settings.column), fontsize=TEXT, parse_math=False)
        ax.set_ylabel("rows", fontsize=TEXT)
        ticks = np.linspace(0, n, 6)
        ax.set_yticks(ticks, [data_words(float(tick)) for tick in ticks])
        ax.set_ylim(-0.1 * n, 1.1 * n)
        green = COLOURS["non-private"]
        self.marks += ax.bar(np.arange(len(edges) - 1), result.truths, color="#B5DDCF", edgecolor=green, width=0.86)


def _short(value: float) -> str:
    """A tick's number, in millions where it is long."""
    return f"{value / 1e6:g} M" if abs(value) >= 1e6 else data_words(value)
