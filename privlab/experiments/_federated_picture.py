"""The pictures of a federated training: accuracy over rounds, and what each kind of client gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets, uncertainty
from privlab.experiments._federated_result import FEW
from privlab.style import COLOURS, MODEL_STYLES, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.federated import Result

BOX = (0.105, 0.145, 0.66, 0.69)
LEFT, RIGHT = (0.235, 0.145, 0.46, 0.69), (0.755, 0.145, 0.205, 0.69)
GAP = 0.062  # height of a line of a name, in heights of the axes
ALONE = MODEL_STYLES[2][0]
BELOW = 16  # points of accuracy below the floor that are shown
MOST = 8  # kinds of clients
RANGES = {"labels": (0, 100), "": (60, 100)}  # of accuracy by kind, by split
DRIFTS = {"labels": 1.5, "": 0.45}  # the longest drift that is shown, by split


class Picture(Drawing):
    """Draws a `federated.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.rounds = _Rounds(figure)
        self.kinds = _Kinds(figure)
        self.still: tuple[Any, ...] | None = None
        self.moving: list[Artist] = [*self.rounds.moving, *self.kinds.moving]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        still = (s.view, s.dataset, s.rounds if s.view == "rounds" else s.split)
        changed, self.still = self.still != still, still
        shown, hidden = (self.rounds, self.kinds) if s.view == "rounds" else (self.kinds, self.rounds)
        if changed:
            for artist in hidden.moving:
                artist.set_visible(False)
            for ax in hidden.axes:
                ax.set_visible(False)
            for ax in shown.axes:
                ax.set_visible(True)
            name = datasets.card(s.dataset).short
            self.title.set_text(
                f"How well do they learn together, on {name}?" if s.view == "rounds" else "What does each kind get?"
            )
            self.key.set_text(
                "line, bands: the repeats · bars: 8 in 10 clients, on people like theirs"
                if s.view == "rounds"
                else "on people like theirs · lines: 95 % of the repeats, 8 in 10 clients"
            )
            shown.background(result)
        shown.update(result)
        return changed


class _Rounds:
    """Accuracy over rounds, beside what the data would give in one place and what each client has alone."""

    def __init__(self, figure: Figure) -> None:
        self.ax = axes(figure, BOX)
        self.axes = [self.ax]
        self.ax.set_ylabel("right on unseen people (%)", fontsize=TEXT)
        self.ax.set_xlabel("rounds", fontsize=TEXT)
        colour = COLOURS["private"]
        moving: dict[str, Any] = {"animated": True}
        self.wide = self.ax.fill_between([0], [0], [0], color=colour, alpha=0.12, linewidth=0, **moving)
        self.band = self.ax.fill_between([0], [0], [0], color=colour, alpha=0.3, linewidth=0, **moving)
        (self.line,) = self.ax.plot([], [], color=colour, linewidth=2.6, zorder=4, **moving)
        self.few = [self.ax.plot([], [], color=colour, linewidth=1, alpha=0.5, **moving)[0] for _ in range(FEW)]
        looks = {
            "pooled": (COLOURS["non-private"], (0, (6, 3)), "all data in\none place"),
            "alone": (ALONE, "-.", "each\nalone"),
            "floor": (COLOURS["floor"], ":", "always the\nsame answer"),
        }
        self.levels = {
            name: self.ax.axhline(0, color=colour, linestyle=dash, linewidth=1.8, **moving)
            for name, (colour, dash, _) in looks.items()
        }
        self.names = {
            name: self.ax.annotate(
                words, (1, 0), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", color=colour,
                fontsize=TEXT if name == "together" else SMALL, fontweight="bold", va="center", linespacing=0.95,
                animated=True, annotation_clip=False,
            )
            for name, (colour, words) in {
                "together": (COLOURS["private"], "together"), **{n: (c, w) for n, (c, _, w) in looks.items()}
            }.items()
        }  # fmt: skip
        bar: dict[str, Any] = {"linewidth": 5, "solid_capstyle": "butt", "animated": True, "zorder": 5}
        (self.bar,) = self.ax.plot([], [], color=COLOURS["private"], **bar)
        (self.bar_alone,) = self.ax.plot([], [], color=ALONE, **bar)
        self.moving: list[Artist] = [
            self.wide, self.band, *self.levels.values(), *self.few, self.line, self.bar, self.bar_alone,
            *self.names.values(),
        ]  # fmt: skip

    def background(self, result: Result) -> None:
        rounds, floor = result.settings.rounds, 100 * result.references.floor
        self.ax.set_xlim(0, 1.1 * rounds)
        self.ax.set_ylim(floor - BELOW, 100 * result.references.pooled + 2.5)
        ticks = next(t for t in (1, 2, 5, 10, 20, 50, 100) if rounds / 6 <= t)
        self.ax.set_xticks(np.arange(0, rounds + 1, ticks))

    def update(self, result: Result) -> None:
        scores, curve, refs = result.scores, result.curve, result.references
        x = np.arange(1, scores.shape[1] + 1)
        mean = 100 * curve.mean
        self.line.set_data(x, mean)
        self.line.set_visible(True)
        enough = len(scores) >= FEW
        for artist, half in ((self.wide, curve.release), (self.band, curve.band)):
            artist.set_visible(enough)
            if enough:
                artist.set_data(x, np.maximum(0, mean - 100 * half), np.minimum(100, mean + 100 * half))
        for k, line in enumerate(self.few):
            line.set_visible(not enough and 1 < len(scores) > k)
            if line.get_visible():
                line.set_data(x, 100 * scores[k])
        low, high = self.ax.get_ylim()
        heights = {"together": mean[-1], "pooled": 100 * refs.pooled, "floor": 100 * refs.floor}
        if len(refs.alone):
            heights["alone"] = 100 * refs.alone.mean()
        for name, line in self.levels.items():
            line.set_visible(name in heights)
            line.set_ydata([heights.get(name, 0)] * 2)
        self.names["together"].set_text("together" if heights["together"] >= low else "together ↓")
        self._label({name: float(np.clip((y - low) / (high - low), 0.02, 0.98)) for name, y in heights.items()})
        rounds = result.settings.rounds
        for bar, at, found in ((self.bar, 1.03, result.clients_right), (self.bar_alone, 1.07, result.clients_alone)):
            bar.set_visible(len(found) > 0)
            if len(found):
                bar.set_data([at * rounds] * 2, 100 * np.array(result.spread(found)) + np.array([-0.15, 0.15]))

    def _label(self, ends: dict[str, float]) -> None:
        """Names at the lines' ends, moved apart where they would touch."""
        half = {name: GAP * (1 + 0.9 * self.names[name].get_text().count("\n")) / 2 for name in ends}
        order, below, above = sorted(ends, key=lambda one: ends[one]), 0.0, 1.04
        for name in order:
            ends[name] = max(ends[name], below + half[name])
            below = ends[name] + half[name]
        for name in reversed(order):
            ends[name] = min(ends[name], above - half[name])
            above = ends[name] - half[name]
        for name, text in self.names.items():
            text.set_visible(name in ends)
            text.xy = (1, ends.get(name, 0))


class _Kinds:
    """Accuracy together and alone, and the pull on the model, for each kind of client."""

    def __init__(self, figure: Figure) -> None:
        self.left, self.right = axes(figure, LEFT), axes(figure, RIGHT)
        self.axes = [self.left, self.right]
        for ax in self.axes:
            ax.grid(visible=False, axis="y")
            ax.grid(visible=True, axis="x", color="#E6E6E6", linewidth=0.8)
        self.left.set_xlabel("right on unseen people (%)", fontsize=TEXT)
        self.right.set_xlabel("pull on the model", fontsize=TEXT)
        blue = COLOURS["private"]
        moving: dict[str, Any] = {"animated": True}
        (self.dots,) = self.left.plot([], [], "o", color=blue, markersize=9, zorder=4, clip_on=False, **moving)
        (self.diamonds,) = self.left.plot([], [], "D", color=ALONE, markersize=7, zorder=4, clip_on=False, **moving)
        self.lines = [self.left.plot([], [], color=blue, linewidth=2.5, **moving)[0] for _ in range(MOST)]
        self.spans = [self.left.plot([], [], color=ALONE, linewidth=2.5, **moving)[0] for _ in range(MOST)]
        self.pulls = [
            self.right.plot([], [], color=COLOURS["attacker"], linewidth=11, solid_capstyle="butt", **moving)[0]
            for _ in range(MOST)
        ]
        self.doubts = [self.right.plot([], [], color="#222222", linewidth=1.5, **moving)[0] for _ in range(MOST)]
        words: dict[str, Any] = {
            "color": blue,
            "fontsize": SMALL,
            "fontweight": "bold",
            "ha": "center",
            "va": "bottom",
            **moving,
        }
        self.name = self.left.text(0, 0, "together", **words)
        self.name_alone = self.left.text(0, 0, "alone", **{**words, "color": ALONE, "va": "top"})
        self.moving: list[Artist] = [
            *self.lines, *self.spans, *self.pulls, *self.doubts, self.dots, self.diamonds, self.name, self.name_alone
        ]  # fmt: skip

    def background(self, result: Result) -> None:
        number, split = len(result.kinds), result.settings.split
        self.left.set_xlim(*RANGES.get(split, RANGES[""]))
        for ax in self.axes:
            ax.set_ylim(number - 0.4, -0.6)
        self.left.set_yticks(range(number), [kind.replace(" or ", "\nor ") for kind in result.kinds])
        self.right.set_yticks([])
        self.longest = DRIFTS.get(split, DRIFTS[""])
        self.right.set_xlim(0, self.longest)
        ticks = [0, self.longest / 3, 2 * self.longest / 3]
        self.right.set_xticks(ticks, [f"{tick:g}" for tick in ticks])

    def update(self, result: Result) -> None:
        number = len(result.kinds)
        rows = np.arange(number, dtype=float)
        found = uncertainty.estimate(result.right)
        mean, half = 100 * found.mean, 100 * np.nan_to_num(found.release)
        self.dots.set_data(mean, rows - 0.14)
        alone, groups, pull = result.clients_alone, result.groups, uncertainty.estimate(result.drift)
        doubt = np.nan_to_num(pull.band)
        middles = np.full(number, np.nan)
        for k in range(MOST):
            there = k < number
            those = 100 * alone[groups == k] if there and len(alone) else np.zeros(0)
            self.lines[k].set_visible(there)
            self.pulls[k].set_visible(there)
            self.doubts[k].set_visible(there)
            self.spans[k].set_visible(len(those) > 0)
            if there:
                self.lines[k].set_data([mean[k] - half[k], mean[k] + half[k]], [rows[k] - 0.14] * 2)
                self.pulls[k].set_data([0, min(pull.mean[k], self.longest)], [k, k])
                self.doubts[k].set_data([max(0, pull.mean[k] - doubt[k]), pull.mean[k] + doubt[k]], [k, k])
            if len(those):
                middles[k] = those.mean()
                self.spans[k].set_data(np.percentile(those, (10, 90)), [rows[k] + 0.14] * 2)
        self.diamonds.set_data(middles, rows + 0.14)
        for artist in (self.dots, self.diamonds, self.name):
            artist.set_visible(True)
        self.name.set_position((mean[0], -0.24))
        self.name_alone.set_visible(bool(np.isfinite(middles[0])))
        self.name_alone.set_position((middles[0] if np.isfinite(middles[0]) else 0, 0.24))
