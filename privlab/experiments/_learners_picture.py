"""The pictures of the other private learners: each draws what it learned, and a strip tells how well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from privlab import datasets
from privlab.columns import Column
from privlab.experiments import _learners_fits as fits
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.cards import Card
    from privlab.experiments.private_learners import Result

BOX, STRIP = (0.115, 0.145, 0.515, 0.665), (0.752, 0.145, 0.115, 0.665)
NAMED = (0.3, 0.145, 0.33, 0.665)  # axes whose rows have names
DOTS = 300  # people drawn
BLUE, GREEN, LEVELS = COLOURS["private"], COLOURS["non-private"], 3
CLASSES = ("#7A8794", "#6A3D9A")  # of people, and of leaves
TITLES = {
    "clusters": "Which groups does private k-means find?",
    "components": "Which direction does private PCA find?",
    "tree": "What does a private tree decide?",
    "forest": "What does a private forest decide?",
    "bayes": "Which bell curves does private Bayes find?",
    "line": "Which line does a private fit find?",
}
KEYS = {
    "clusters": "blue: centres, a dot a group and repeat · green: no privacy · grey: people",
    "components": "weight of each column · blue: repeats · green: no privacy",
    "tree": "one release · square: what a leaf says · ×: turned by the noise",
    "forest": "one release · shade: share of the trees · dots: people",
    "bayes": "ellipse: where a kind's people are, one a repeat · green: no privacy",
    "line": "blue: a line a repeat · green: no privacy (least squares) · grey: people",
}
CIRCLE = np.column_stack([f(np.linspace(0, 2 * np.pi, 41)) for f in (np.cos, np.sin)])
JITTER = np.modf(np.arange(1000) * 0.618034)[0] - 0.5


class Picture(Drawing):
    """Draws a `private_learners.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax, self.strip = axes(figure, BOX), axes(figure, STRIP)
        self.kinds = [
            figure.text(x, 0.85, "", fontsize=SMALL, color=colour, fontweight="bold", va="center", parse_math=False)
            for x, colour in zip((0.115, 0.4), CLASSES, strict=True)
        ]
        self.still: tuple[Any, ...] | None = None
        self.marks: list[Artist] = []
        self.map = self.ax.imshow(
            np.zeros((2, 2)), cmap="Purples", vmin=-0.1, vmax=1.3, origin="lower", extent=(-1, 1, -1, 1),
            aspect="auto", interpolation="nearest", animated=True, zorder=0,
        )  # fmt: skip
        self.people = [
            self.ax.plot([], [], "o", color=colour, markersize=3.5, zorder=2, alpha=0.8, animated=True)[0]
            for colour in CLASSES
        ]
        (self.dots,) = self.ax.plot([], [], "o", color=BLUE, markersize=6, alpha=0.55, animated=True, zorder=4)
        (self.true,) = self.ax.plot([], [], "D", color=GREEN, markersize=11, mec="white", animated=True, zorder=5)
        self.lines = LineCollection([], colors=BLUE, linewidths=1.6, alpha=0.55, animated=True, zorder=4)
        self.plain = LineCollection([], colors=GREEN, linewidths=3, animated=True, zorder=5)
        for collection in (self.lines, self.plain):
            self.ax.add_collection(collection, autolim=False)
        self.nodes = [
            self.ax.text(0, 0, "", fontsize=SMALL, ha="center", va="center", animated=True, zorder=6,
                         parse_math=False, bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "#888888"})
            for _ in range(2**LEVELS - 1)
        ]  # fmt: skip
        self.leaves = self.ax.scatter([], [], marker="s", s=260, animated=True, zorder=5)
        (self.crosses,) = self.ax.plot([], [], "x", color=COLOURS["attacker"], markersize=13, mew=3, animated=True,
                                       zorder=7)  # fmt: skip
        (self.scores,) = self.strip.plot([], [], "o", color=BLUE, markersize=5, alpha=0.5, animated=True)
        (self.mean,) = self.strip.plot([], [], color=BLUE, linewidth=3, animated=True, zorder=4)
        self.moving: list[Artist] = [
            self.map, *self.people, self.dots, self.true, self.lines, self.plain, self.leaves, self.crosses,
            *self.nodes, self.scores, self.mean,
        ]  # fmt: skip
        self.own: dict[str, list[Artist]] = {
            "clusters": [*self.people, self.dots, self.true],
            "components": [self.dots, self.true],
            "tree": [self.lines, self.leaves, self.crosses, *self.nodes],
            "forest": [self.map, *self.people],
            "bayes": [*self.people, self.lines, self.plain],
            "line": [*self.people, self.lines, self.plain],
        }

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        still = (s.learner, s.dataset, s.size, result.plain["score"])
        changed = still != self.still
        if changed:
            self.still = still
            self._background(result)
        low, high = self.strip.get_ylim()
        scores = 100 * result.scores
        self.scores.set_data(0.7 * JITTER[: len(scores)], np.clip(scores, low, high))
        self.mean.set_data([-0.45, 0.45], np.clip([scores.mean()] * 2, low, high))
        getattr(self, f"_{s.learner}")(result)
        return changed

    def _clusters(self, result: Result) -> None:
        self.dots.set_data(*np.concatenate([one["centres"] for one in result.fitted]).T)
        self.true.set_data(*result.plain["centres"].T)

    def _components(self, result: Result) -> None:
        plain = result.plain["direction"]
        found = np.array([one["direction"] for one in result.fitted])
        found *= np.where(found @ plain < 0, -1, 1)[:, None]  # a direction has no front: turned like the true one
        rows = np.arange(len(plain))[::-1]
        self.dots.set_data(found.ravel(), np.add.outer(0.45 * JITTER[: len(found)], rows).ravel())
        self.true.set_data(plain, rows)

    def _tree(self, result: Result) -> None:
        one, depth = result.fitted[0], result.settings.depth
        card = datasets.card(result.settings.dataset)
        columns = fits.numbers(card.schema.columns)
        places, segments = [], []
        for level in range(depth + 1):
            across = (np.arange(2**level) + 0.5) / 2**level
            lift = 0.16 * np.where(np.arange(2**level) % 2, -1, 1) if 2 <= level < depth else 0
            places += list(np.column_stack([2 * across - 1, np.full(2**level, 0.85 - 1.7 * level / depth) + lift]))
        for child in range(1, len(places)):
            segments.append([places[(child - 1) // 2], places[child]])
        self.lines.set_segments(segments)
        for k, node in enumerate(self.nodes):
            node.set_visible(k < len(one["feature"]))
            if k < len(one["feature"]):
                column = columns[one["feature"][k]]
                words = f"{_short(card.call(column.name))}\n≤ {_number(float(_declared(column, one['threshold'][k])))}"
                node.set(x=places[k][0], y=places[k][1], text=words)
        spots = np.array(places[2**depth - 1 :])
        label, votes = one["label"], one["votes"]
        self.leaves.set_offsets(spots)
        self.leaves.set_facecolor([CLASSES[code] for code in label])
        self.crosses.set_data(*spots[votes[np.arange(len(label)), label] < votes.max(axis=1)].T)

    def _forest(self, result: Result) -> None:
        self.map.set_data(result.fitted[0]["map"])

    def _bayes(self, result: Result) -> None:
        def ellipses(one: dict[str, Any]) -> list[Any]:
            return [mean + spread * CIRCLE for mean, spread in zip(one["means"], one["spreads"], strict=True)]

        self.lines.set_segments([curve for one in result.fitted for curve in ellipses(one)])
        self.plain.set_segments(ellipses(result.plain))

    def _line(self, result: Result) -> None:
        def ends(one: dict[str, Any]) -> list[tuple[float, float]]:
            slope, start = one["line"]
            return [(-1, start - slope), (1, start + slope)]

        self.lines.set_segments([ends(one) for one in result.fitted])
        self.plain.set_segments([ends(result.plain)])

    def _background(self, result: Result) -> None:
        s, ax = result.settings, self.ax
        for mark in self.marks:
            mark.remove()
        self.marks = []
        for artist in self.moving:
            artist.set_visible(artist in (*self.own[s.learner], self.scores, self.mean))
        colours = {"tree": "#888888", "bayes": list(CLASSES)}
        self.lines.set(colors=colours.get(s.learner, BLUE))
        dataset = datasets.load(s.dataset)
        self.title.set_text(TITLES[s.learner])
        self.key.set_text(KEYS[s.learner])
        coloured = s.learner in ("tree", "forest", "bayes")
        for kind, name in zip(self.kinds, dataset.classes, strict=True):
            kind.set_text(f"■ {name}" if coloured else "")
        sample = fits.Sample(dataset, fits.width(s.learner))
        ax.set_axis_on()
        ax.set_position(NAMED if s.learner == "components" else BOX)
        ax.grid(visible=False)
        ax.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), xlabel="", ylabel="")
        if s.learner == "components":
            self._bars(dataset.card, sample.columns)
        elif s.learner == "tree":
            ax.set_axis_off()
        else:
            self._people(dataset.card, sample, coloured=coloured)
        self._scale(result)

    def _people(self, card: Card, sample: fits.Sample, *, coloured: bool) -> None:
        """The people as dots, and the axes in their own units."""
        some = slice(0, DOTS)
        for code, dots in enumerate(self.people):
            dots.set_color(CLASSES[code] if coloured else "#C4CAD0")
            dots.set_data(*sample.X[some][sample.y[some] == code].T)
        for axis, column in ((self.ax.xaxis, sample.columns[0]), (self.ax.yaxis, sample.columns[1])):
            values = _ticks(column)
            axis.set_ticks([_scaled(column, value) for value in values], [_number(value) for value in values])
        self.ax.set_xlabel(_short(card.call(sample.columns[0].name)), fontsize=TEXT, parse_math=False)
        self.ax.set_ylabel(_short(card.call(sample.columns[1].name)), fontsize=TEXT, parse_math=False)

    def _bars(self, card: Card, columns: tuple[Column, ...]) -> None:
        rows = np.arange(len(columns))[::-1]
        self.ax.set_ylim(-0.6, len(columns) - 0.4)
        self.ax.set_yticks(rows, [_short(card.call(column.name)) for column in columns], parse_math=False)
        self.ax.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−½", "0", "½", "1"])
        self.ax.set_xlabel("weight", fontsize=TEXT)
        self.marks.append(self.ax.axvline(0, color="#888888", linewidth=1, zorder=1))

    def _scale(self, result: Result) -> None:
        """The strip: from worse than nothing to a little above what is possible without privacy."""
        floor, best = 100 * result.floor, 100 * result.plain["score"]
        room = max(abs(best - floor), 4)
        low, high = max(floor - 0.6 * room, -100), min(max(best, floor) + 0.25 * room, 101)
        self.strip.set(xlim=(-0.6, 0.6), ylim=(low, high))
        self.strip.set_xticks([])
        self.strip.yaxis.set_major_locator(MaxNLocator(5))
        self.strip.tick_params(labelsize=SMALL)
        unit = {"components": "spread kept", "clusters": "spread explained", "line": "spread explained"}
        name = unit.get(result.settings.learner, "right on unseen people")
        self.strip.set_ylabel(f"{name} (%)", fontsize=SMALL, labelpad=2)
        apart = 0.13 * (high - low)  # of the names' middles, where the lines are nearer
        lift = max(0, (apart - abs(best - floor)) / 2) * (1 if best >= floor else -1)
        for y, up, colour, words in (
            (best, lift, GREEN, "no\nprivacy"), (floor, -lift, COLOURS["floor"], "knowing\nnothing"),
        ):  # fmt: skip
            self.marks.append(self.strip.axhline(y, color=colour, linewidth=1.8, linestyle=(0, (6, 3)), zorder=1))
            self.marks.append(
                self.strip.text(1.04, y + up, words, color=colour, fontsize=SMALL, va="center", fontweight="bold",
                                transform=self.strip.get_yaxis_transform(), linespacing=0.95)
            )  # fmt: skip


def _declared(column: Column, scaled: float) -> float:
    """The number that [-1, 1] stands for."""
    assert column.low is not None
    assert column.high is not None
    if column.transform == "log1p":
        return column.low + float(np.expm1((scaled + 1) / 2 * np.log1p(column.high - column.low)))
    return column.low + (scaled + 1) / 2 * (column.high - column.low)


def _scaled(column: Column, value: float) -> float:
    """A number as it is learned from, in [-1, 1]."""
    assert column.low is not None
    assert column.high is not None
    if column.transform == "log1p":
        return float(2 * np.log1p(value - column.low) / np.log1p(column.high - column.low) - 1)
    return 2 * (value - column.low) / (column.high - column.low) - 1


def _ticks(column: Column) -> list[float]:
    assert column.low is not None
    assert column.high is not None
    if column.transform == "log1p":
        steps = [0.0, *(10.0**k for k in range(1, 9))]
        return [column.low + step for step in steps if column.low + step <= column.high]
    values = MaxNLocator(5).tick_values(column.low, column.high)
    return [float(value) for value in values if column.low <= value <= column.high]


def _number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _short(name: str) -> str:
    return name.replace("_", " ").replace("number of ", "").replace("existing ", "").lower()
