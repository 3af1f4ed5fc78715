"""The pictures of clipping: a scene for each view, on one figure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import uncertainty
from privlab.experiments._gradient_clipping_groups import OUTCOME
from privlab.experiments._gradient_clipping_result import points
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from privlab.experiments._gradient_clipping_result import Result

EDGES = np.geomspace(0.001, 25, 37)  # of the lengths; shorter pulls stand in the first bar, longer ones in the last
HEIGHTS = (15, 30, 60, 100)  # % of people that the histogram's axis ends at
CLIP_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
LONGEST = 18  # letters of a group's name
HALO = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}
LEFT: dict[str, Any] = {"ha": "left", "va": "center", "parse_math": False}


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _log_ticks(ax: Axes, ticks: tuple[float, ...]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


class _Scene(ABC):
    """Axes and artists of one view."""

    def __init__(self) -> None:
        self.axes: list[Axes] = []
        self.moving: list[Artist] = []
        self.still: Any = None

    def show(self, shown: bool) -> None:
        for ax in self.axes:
            ax.set_visible(shown)

    @abstractmethod
    def title(self, result: Result) -> tuple[str, str]:
        """The question, and how to read the picture."""

    @abstractmethod
    def changed(self, result: Result) -> bool:
        """Bring the background up to date; whether it had to be."""

    @abstractmethod
    def move(self, result: Result) -> None:
        """Move what moves to a result."""


class _Norms(_Scene):
    """A histogram of the pulls' lengths; beside it the share cut by group, and the accuracy."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.hist = axes(figure, (0.1, 0.145, 0.41, 0.66))
        self.bars = axes(figure, (0.785, 0.40, 0.185, 0.405))
        self.gauge = axes(figure, (0.60, 0.145, 0.37, 0.075))
        self.axes = [self.hist, self.bars, self.gauge]
        _log_ticks(self.hist, (0.001, 0.01, 0.1, 1, 10))
        self.hist.set_xlim(EDGES[0], EDGES[-1])
        none = np.zeros(len(EDGES) - 1)
        blue: dict[str, Any] = {"color": COLOURS["private"], "animated": True}
        self.kept = self.hist.stairs(none, EDGES, fill=True, **blue)
        self.cut = self.hist.stairs(none, EDGES, baseline=none, facecolor="white", edgecolor=COLOURS["private"],
                                    hatch="////", fill=True, animated=True)  # fmt: skip
        self.line = self.hist.axvline(1, color=COLOURS["held"], linewidth=2, animated=True)
        across = self.hist.get_xaxis_transform()
        style: dict[str, Any] = {"fontsize": TEXT, "animated": True, "transform": across, "va": "top", "bbox": HALO}
        self.words = [self.hist.text(1, 0.985, "", ha=side, **style) for side in ("right", "left")]
        self.bars.grid(axis="x", color="#E6E6E6", linewidth=0.8)
        self.bars.grid(axis="y", visible=False)
        self.bars.set_xlim(0, 100)
        self.bars.set_xticks([0, 50, 100], ["0", "50", "100"])
        self.bars.tick_params(axis="y", length=0)
        self.gauge.set_ylim(-1, 1)
        self.gauge.set_yticks([])
        self.gauge.spines["left"].set_visible(False)
        (self.split,) = self.gauge.plot([], [], color=COLOURS["held"], linewidth=1.5, animated=True)
        (self.band,) = self.gauge.plot(
            [], [], color=COLOURS["private"], linewidth=9, alpha=0.45, solid_capstyle="butt", animated=True
        )
        (self.point,) = self.gauge.plot([], [], "o", color=COLOURS["held"], markersize=8, animated=True)
        self.score = self.gauge.text(
            1, 1.6, "", transform=self.gauge.transAxes, fontsize=SMALL, ha="right", va="center", animated=True
        )
        self.blocks: list[Any] = []
        (self.spans,) = self.bars.plot([], [], color=COLOURS["held"], linewidth=1.5, animated=True)
        self.fixed = [self.kept, self.cut, self.line, *self.words, self.split, self.band, self.point, self.score]

    def title(self, result: Result) -> tuple[str, str]:
        name = result.dataset.card.short
        return f"Whose pull is cut, on {name}?", "a look at the raw pulls, for teaching: not covered by ε"

    def changed(self, result: Result) -> bool:
        assert result.cut is not None
        peak = 100 * max(np.histogram(self._inside(result), EDGES)[0]) / len(result.cut.norms)
        height = next(h for h in HEIGHTS if peak * 1.2 <= h or h == HEIGHTS[-1])
        of = result.settings.dataset, result.settings.group, result.who
        if self.still and self.still[:-1] == of and height <= self.still[-1] <= 6 * peak:
            height = self.still[-1]  # the axis keeps still under a moving slider while the bars can be read on it
        still = (*of, height)
        if still == self.still:
            return False
        self.still = still
        self.hist.set_ylim(0, height)
        self.hist.set_xlabel("length of the pull (line: C)", fontsize=TEXT)
        self.hist.set_ylabel(f"% of {result.who}", fontsize=TEXT)
        for block in self.blocks:
            block.remove()
        table = result.cut.table
        places = np.arange(len(table)) + 0.6 * (table["column"] != OUTCOME).to_numpy()
        self.places = places
        self.blocks = list(self.bars.barh(places, 0.0 * places, height=0.55, color=COLOURS["private"], animated=True))
        self.bars.set_ylim(places[-1] + 0.6, -0.6)
        self.bars.set_yticks(places, [_short(name) for name in table["group"]], parse_math=False)
        target, group = map(result.dataset.card.call, (result.dataset.schema.target.name, result.settings.group))
        by = target if group == OUTCOME else f"{target} and {group}"
        self.bars.set_title(f"% cut, by {by}", fontsize=SMALL, loc="right", parse_math=False)
        low, high = result.dataset.score_range
        self.gauge.set_xlim(100 * low, 100 * high)
        self.gauge.set_xlabel(f"% of unseen {result.who}", fontsize=TEXT)
        self.moving = [*self.fixed, *self.blocks, self.spans]
        return True

    @staticmethod
    def _inside(result: Result) -> Any:
        assert result.cut is not None
        return np.clip(result.cut.norms, EDGES[0], EDGES[-1])

    def move(self, result: Result) -> None:
        cut = result.cut
        assert cut is not None
        lengths, over = self._inside(result), cut.norms > cut.clip_norm
        kept = 100 * np.histogram(lengths[~over], EDGES)[0] / len(lengths)
        whole = 100 * np.histogram(lengths, EDGES)[0] / len(lengths)
        self.kept.set_data(kept, EDGES, 0)
        self.cut.set_data(whole, EDGES, kept)  # type: ignore[arg-type]
        at = cut.clip_norm
        self.line.set_xdata([at, at])
        share = round(100 * cut.share)
        for text, words, shift in zip(
            self.words, (f"{100 - share} %\nwhole", f"{share} %\ncut"), (0.92, 1.09), strict=True
        ):
            text.set_x(min(max(at * shift, EDGES[0] * 2.2), EDGES[-1] / 2.2))
            text.set_text(words)
        table = cut.table
        low, high = (100 * table[end].to_numpy() for end in ("low", "high"))
        for block, value in zip(self.blocks, table["share"], strict=True):
            block.set_width(100 * value)
        gap = np.full(len(table), np.nan)
        self.spans.set_data(np.column_stack([low, high, gap]).ravel(), np.repeat(self.places, 3))
        mean, band, split = (100 * value for value in result.accuracy)
        self.point.set_data([mean], [0])
        self.split.set_data([mean - split, mean + split], [0, 0])
        self.band.set_data([mean - band, mean + band], [0, 0])
        unsure = "(one training)" if math.isnan(band) else f"± {band:.2f}"
        self.score.set_text(f"finished model: right {mean:.1f} {unsure}")


class _Direction(_Scene):
    """Over C: the angle that clipping turns the mean pull by, and the noise beside the signal."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.turn = axes(figure, (0.135, 0.54, 0.70, 0.28))
        self.loud = axes(figure, (0.135, 0.145, 0.70, 0.28))
        self.axes = [self.turn, self.loud]
        for ax in self.axes:
            _log_ticks(ax, CLIP_TICKS)
            ax.set_xlim(0.09, 11)
        self.turn.tick_params(labelbottom=False)
        self.turn.set_title("how far cutting turns the mean pull", fontsize=TEXT, loc="left")
        self.turn.set_ylabel("degrees", fontsize=TEXT)
        self.loud.set_title("on a typical weight, in one step", fontsize=TEXT, loc="left")
        self.loud.set_yscale("log")
        self.loud.set_xlabel("←  clips more      clipping norm C      clips less, more noise  →", fontsize=TEXT)
        held = COLOURS["held"]
        shade: dict[str, Any] = {"color": COLOURS["private"], "animated": True}
        for ax in self.axes:
            single = ax.fill_between([1], [1], [1], alpha=0.16, linewidth=0, **shade)
            band = ax.fill_between([1], [1], [1], alpha=0.45, linewidth=0, **shade)
            (line,) = ax.plot([], [], linewidth=2.6, **shade)
            (dot,) = ax.plot([], [], "o", color=held, markersize=9, animated=True, zorder=6)
            hair = ax.axvline(1, color=held, linewidth=1, linestyle=":", animated=True)
            self.moving += [single, band, line, dot, hair]
        self.parts: list[list[Any]] = [self.moving[:5], self.moving[5:]]
        (self.noise,) = self.loud.plot([], [], color=COLOURS["floor"], linestyle="--", linewidth=2.6, animated=True)
        beside: dict[str, Any] = {
            "textcoords": "offset points", "xytext": (6, 0), "fontsize": TEXT, "fontweight": "bold", "va": "center",
            "annotation_clip": False, "animated": True,
        }  # fmt: skip
        self.names = [
            self.turn.annotate("turn", (10, 0), color=COLOURS["private"], **beside),
            self.loud.annotate("signal", (10, 1), color=COLOURS["private"], **beside),
            self.loud.annotate("noise", (10, 1), color=COLOURS["floor"], **beside),
        ]
        self.value = self.turn.annotate(
            "", (1, 1), xytext=(0, 12), textcoords="offset points", fontsize=TEXT, fontweight="bold", ha="center",
            va="bottom", animated=True, annotation_clip=False, bbox=HALO, zorder=7,
        )  # fmt: skip
        self.moving += [self.noise, *self.names, self.value]
        self.limits = [0.0, math.inf, 0.0]

    def title(self, result: Result) -> tuple[str, str]:
        name = result.dataset.card.short
        return (
            f"What does C trade, on {name}?",
            "dark: mean of trainings · light: single ones · raw pulls: ε does not cover this",
        )

    def changed(self, result: Result) -> bool:
        t, s = result.trade, result.settings
        assert t is not None
        of = (s.dataset, s.model, s.unit)
        if self.still != of:
            self.limits = [90.0, math.inf, 0.0]
        before = (self.still, *self.limits)
        both = np.concatenate([t.signal.mean(axis=0), t.noise])
        top, low, high = self.limits  # axes only ever grow, so that they keep still under a moving slider
        top = 180.0 if t.degrees.mean(axis=0).max() > 85 else top
        low = min(low, 10.0 ** math.floor(math.log10(max(float(both.min()), 1e-12))))
        high = max(high, 10.0 ** math.ceil(math.log10(max(float(both.max()), 1e-12))))
        self.still, self.limits = of, [top, low, high]
        if before == (of, *self.limits):
            return False
        self.turn.set_ylim(0, top)
        self.turn.set_yticks(np.linspace(0, top, 4))
        self.loud.set_ylim(low, high)
        ticks = 10.0 ** np.arange(round(math.log10(low)), round(math.log10(high)) + 1)
        self.loud.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        self.loud.minorticks_off()
        return True

    def move(self, result: Result) -> None:
        t = result.trade
        assert t is not None
        k, x = t.held, t.clip_norm
        for (single, band, line, dot, hair), rows in zip(self.parts, (t.degrees, t.signal), strict=True):
            mean = rows.mean(axis=0)
            half = np.nan_to_num(uncertainty.estimate(rows).band)
            band.set_data(x, np.maximum(mean - half, 1e-12), mean + half)
            single.set_data(x, *np.quantile(rows, (0.025, 0.975), axis=0))
            line.set_data(x, mean)
            dot.set_data([x[k]], [mean[k]])
            hair.set_xdata([x[k], x[k]])
        self.noise.set_data(x, t.noise)
        degrees, signal = t.degrees.mean(axis=0), t.signal.mean(axis=0)
        self.names[0].xy = (x[-1], degrees[-1])
        for name, y in zip(self.names[1:], self._apart(signal[-1], t.noise[-1]), strict=True):
            name.xy = (x[-1], y)
        self.value.xy = (x[k], degrees[k])
        self.value.set_text(f"{degrees[k]:.0f}°" if degrees[k] >= 10 else f"{degrees[k]:.1f}°")

    def _apart(self, signal: float, noise: float) -> tuple[float, float]:
        """Heights of the two names, not on top of each other."""
        _, low, high = self.limits
        least = (high / low) ** 0.16
        if max(signal, noise) / min(signal, noise) >= least:
            return signal, noise
        middle, half = math.sqrt(signal * noise), math.sqrt(least)
        return (middle * half, middle / half) if signal > noise else (middle / half, middle * half)


class _Groups(_Scene):
    """A small curve for each group: accuracy over ε, and without privacy."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.figure = figure
        self.parts: list[tuple[Any, ...]] = []
        self.limits = (100.0, 0.0)

    def title(self, result: Result) -> tuple[str, str]:
        name = result.dataset.card.short
        return (
            f"Who pays as ε falls, on {name}?",
            f"% right, of unseen {result.who} · band: 95 % interval · dashes: without privacy",
        )

    def changed(self, result: Result) -> bool:
        p, s = result.payers, result.settings
        assert p is not None
        means = 100 * p.mean[:, p.present]
        of = (s.dataset, s.group, result.who, s.model)
        low, high = self.limits if self.still and self.still[0] == of else (100.0, 0.0)
        low = min(low, max(0.0, 5 * math.floor((means.min() - 3) / 5)))
        high = max(high, min(100.0, 5 * math.ceil((means.max() + 2) / 5)))
        still = (of, low, high)
        if still == self.still:
            return False
        self.still, self.limits = still, (low, high)
        for ax in self.axes:
            ax.remove()
        self.axes, self.moving, self.parts = [], [], []
        count = len(p.present)
        columns = count if count <= 3 else math.ceil(count / 2)
        rows = math.ceil(count / columns)
        width, height = 0.885 / columns, 0.73 / rows
        for i, g in enumerate(p.present):
            row, column = divmod(i, columns)
            box = (0.09 + column * width, 0.145 + (rows - 1 - row) * height, width - 0.025, height - 0.135)
            self._small(box, p, g, row == rows - 1 or i + columns >= count, column == 0)
        return True

    def _small(self, box: tuple[float, float, float, float], p: Any, g: int, bottom: bool, left: bool) -> None:
        ax = axes(self.figure, box)
        _log_ticks(ax, (0.1, 1, 10))
        ax.set_xlim(0.045, 11)
        ax.set_ylim(*self.limits)
        ax.tick_params(labelbottom=bottom, labelleft=left)
        size = int(p.groups.sizes[g])
        ax.set_title(f"{_short(p.groups.names[g])}\n{size:,} in test", fontsize=SMALL, loc="left", parse_math=False)
        if bottom:
            ax.set_xlabel("ε", fontsize=TEXT, labelpad=0)
        blue: dict[str, Any] = {"color": COLOURS["private"], "animated": True}
        free = ax.axhline(0, color=COLOURS["non-private"], linewidth=1.8, linestyle=(0, (6, 3)), animated=True)
        band = ax.fill_between([1], [0], [0], alpha=0.3, linewidth=0, **blue)
        (line,) = ax.plot([], [], linewidth=2.6, **blue)
        hair = ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        (dot,) = ax.plot([], [], "o", color=COLOURS["held"], markersize=8, animated=True, zorder=6)
        self.axes.append(ax)
        change = ax.text(
            0.98, 0.04, "", transform=ax.transAxes, fontsize=SMALL, fontweight="bold", ha="right", va="bottom",
            bbox=HALO, animated=True, zorder=7,
        )  # fmt: skip
        self.parts.append((free, band, line, hair, dot, change))
        self.moving += [free, band, line, hair, dot, change]

    def move(self, result: Result) -> None:
        p = result.payers
        assert p is not None
        mean, half, at = 100 * p.mean, 100 * p.half, p.epsilon[p.held]
        for g, (free, band, line, hair, dot, change) in zip(p.present, self.parts, strict=True):
            free.set_ydata([mean[-1, g]] * 2)
            band.set_data(p.epsilon, mean[:-1, g] - half[:-1, g], mean[:-1, g] + half[:-1, g])
            line.set_data(p.epsilon, mean[:-1, g])
            hair.set_xdata([at, at])
            dot.set_data([at], [mean[p.held, g]])
            change.set_text(points(p.changes[g]))


class Picture(Drawing):
    """Draws a `gradient_clipping.Result` on a figure; a view's artists are made when it is first shown."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.figure = figure
        self.scenes: dict[str, _Scene] = {}
        self.view = ""

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        view = result.settings.view
        kinds: dict[str, Any] = {"norms": _Norms, "direction": _Direction, "groups": _Groups}
        if view not in self.scenes:
            self.scenes[view] = kinds[view](self.figure)
        other, self.view = view != self.view, view
        scene = self.scenes[view]
        changed = scene.changed(result)
        for one in self.scenes.values():
            one.show(one is scene)
        words = scene.title(result)
        other |= words != (self.title.get_text(), self.key.get_text())
        self.title.set_text(words[0])
        self.key.set_text(words[1])
        scene.move(result)
        self.moving = scene.moving
        return changed or other
