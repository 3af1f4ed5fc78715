"""The picture of collecting less: above what it costs, below what an attacker finds."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from privlab import datasets
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._minimise_work import Band
    from privlab.experiments.minimise import Result

ABOVE, BELOW = (0.115, 0.535, 0.6, 0.315), (0.115, 0.2, 0.6, 0.275)
ROOM = 15  # pixels at 100 dpi that a line of a name needs
# Every line: colour, dash, name where it ends.
STYLES: dict[str, tuple[str, Any, str]] = {
    "private": (COLOURS["private"], "-", "private model"),
    "without noise": (COLOURS["non-private"], (0, (6, 3)), "without noise"),
    "left out": (COLOURS["held"], "-", "left out"),
    "record found": (COLOURS["attacker"], "-", "record found"),
    "secret guessed": (COLOURS["attacker"], (0, (6, 3)), "secret guessed"),
    "secret of a stranger": (COLOURS["floor"], (0, (1, 1.5)), "a stranger's"),
    "told for sure": (COLOURS["attacker"], "-", "told for sure"),
    "one ruled out": (COLOURS["attacker"], "-.", "one ruled out"),
    "guessed": (COLOURS["attacker"], (0, (6, 3)), "guessed right"),
    "people in store": (COLOURS["held"], "-", "people in store"),
    "rows in store": (COLOURS["floor"], (0, (6, 3)), "rows in store"),
}
TITLES = {
    "columns": "How much can be left out, on {}?",
    "groups": "What do groups of k people still tell, on {}?",
    "age": "How long to keep a row, on {}?",
}
KEYS = {
    "columns": "above: the model · below: what an outsider finds · bands: 95 %",
    "groups": "above: who is left out · below: whose secret is told anyway · bands: 95 %",
    "age": "above: the model, bands 95 % · below: what is still in store, exactly",
}
LABELS = {"columns": "columns kept", "groups": "smallest group k", "age": "years a row is kept"}


class _Line:
    """The artists of one line."""

    def __init__(self, ax: Any, style: tuple[str, Any, str]) -> None:
        colour, dash, name = style
        self.band = ax.fill_between([1], [0], [0], color=colour, alpha=0.25, linewidth=0, animated=True)
        (self.line,) = ax.plot([], [], color=colour, linestyle=dash, linewidth=2.4, animated=True, zorder=4)
        (self.dot,) = ax.plot([], [], "o", color=colour, markersize=7, animated=True, zorder=5, clip_on=False)
        self.name = ax.annotate(
            name, (1, 0), xycoords="axes fraction", xytext=(7, 0), textcoords="offset points", color=colour,
            fontsize=TEXT, fontweight="bold", va="center", animated=True, annotation_clip=False,
        )  # fmt: skip
        self.artists: list[Artist] = [self.band, self.line, self.dot, self.name]

    def show(self, x: Any, band: Band, held: int) -> float:
        """Set the data; where the line ends, in percent."""
        there = np.isfinite(band.mean)
        self.line.set_data(x[there], 100 * band.mean[there])
        self.band.set_data(x[there], 100 * band.low[there], 100 * band.high[there])
        self.dot.set_data(x[held : held + 1], 100 * band.mean[held : held + 1])
        return float(100 * band.mean[there][-1]) if there.any() else 0.0


class Picture(Drawing):
    """Draws a `minimise.Result` on a figure."""

    size = (6.8, 4.9)

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.above, self.below = axes(figure, ABOVE), axes(figure, BELOW)
        self.lines = [{name: _Line(ax, style) for name, style in STYLES.items()} for ax in (self.above, self.below)]
        held: dict[str, Any] = {"color": COLOURS["held"], "linewidth": 1, "linestyle": ":", "animated": True}
        self.hairs = [ax.axvline(1, **held) for ax in (self.above, self.below)]
        floor: dict[str, Any] = {
            "color": COLOURS["floor"],
            "linewidth": 1.5,
            "linestyle": (0, (6, 3)),
            "animated": True,
        }
        self.floors = [ax.axhline(0, **floor) for ax in (self.above, self.below)]
        self.limit = self.above.axhline(0, color=COLOURS["pinned"], linewidth=1.8, linestyle="-.", animated=True)
        halo = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.9}
        name: dict[str, Any] = {"fontsize": SMALL, "va": "top", "animated": True, "bbox": halo}
        self.floor_names = [
            ax.text(0.985, 0, words, color=COLOURS["floor"], transform=ax.get_yaxis_transform(), ha="right", **name)
            for ax, words in ((self.above, "always the same answer"), (self.below, "the commonest secret"))
        ]
        self.limit_name = self.above.text(
            0.03, 0, "your budget", color=COLOURS["pinned"], transform=self.above.get_yaxis_transform(), **name,
        )  # fmt: skip
        self.note = figure.text(
            0.012, 0.04, "", fontsize=SMALL, color="#444444", va="center", animated=True, parse_math=False
        )
        self.still: tuple[Any, ...] | None = None
        self.moving: list[Artist] = [
            *self.hairs, *self.floors, *self.floor_names, self.limit, self.limit_name, self.note,
            *(artist for lines in self.lines for line in lines.values() for artist in line.artists),
        ]  # fmt: skip

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s, x = result.settings, result.x
        still = (s.view, s.dataset)
        changed = self.still != still
        if changed:
            self.still = still
            self._background(result)
        for ax, lines, bands in zip((self.above, self.below), self.lines, (result.above, result.below), strict=True):
            ends = {}
            for name, line in lines.items():
                for artist in line.artists:
                    artist.set_visible(name in bands)
                if name in bands:
                    ends[name] = line.show(x, bands[name], result.held)
            self._spread(ax, lines, ends)
        at = float(x[result.held])
        for hair in self.hairs:
            hair.set_xdata([at, at])
        model, groups = s.view != "groups", s.view == "groups"
        for place, shown, level in ((0, model, result.floor), (1, groups, result.left.common)):
            for artist in (self.floors[place], self.floor_names[place]):
                artist.set_visible(shown)
            self.floors[place].set_ydata([100 * level] * 2)
            self.floor_names[place].set(y=100 * level, va="top" if level > 0.4 else "bottom")
        for artist in (self.limit, self.limit_name):
            artist.set_visible(s.view == "columns")
        if s.view == "columns":
            level = 100 * float(result.above["private"].mean[-1]) - s.budget
            self.limit.set_ydata([level, level])
            self.limit_name.set_y(level)
        self.note.set_text(_note(result))
        return changed

    def _spread(self, ax: Any, lines: dict[str, _Line], ends: dict[str, float]) -> None:
        """Put names where their lines end, none over another."""
        low, high = ax.get_ylim()
        gap = ROOM / (100 * self.size[1] * ax.get_position().height)
        order = sorted(ends, key=lambda name: ends[name])
        at = {name: min(max((ends[name] - low) / (high - low), 0.0), 1.0) for name in order}
        for before, name in pairwise(order):
            at[name] = max(at[name], at[before] + gap)
        top = 1.0 + gap
        for name in reversed(order):
            at[name] = top = min(at[name], top - gap)
            lines[name].name.xy = (1, at[name])

    def _background(self, result: Result) -> None:
        s, card = result.settings, datasets.card(result.settings.dataset)
        self.title.set_text(TITLES[s.view].format(card.short))
        self.key.set_text(KEYS[s.view])
        for ax in (self.above, self.below):
            ax.set_xscale("log" if s.view == "groups" else "linear")
            if s.view == "groups":
                ax.set_xlim(0.93, 107)
                ax.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
                ax.minorticks_off()
            else:
                most = len(result.x)
                ax.set_xlim(1 - 0.03 * (most - 1), most + 0.03 * (most - 1))
                ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=min(most, 12)))
        self.above.tick_params(labelbottom=False)
        self.below.set_xlabel(LABELS[s.view], fontsize=TEXT, labelpad=2)
        low, high = (0, 100) if s.view == "groups" else (100 * end for end in card.score_range)
        if s.view != "groups":
            low = min(low, 100 * result.floor - 4)
        self.above.set_ylim(low, high)
        self.below.set_ylim(0, 102)
        self.below.set_yticks([0, 25, 50, 75, 100])
        self.above.yaxis.set_major_locator(MaxNLocator(nbins=5))
        self.above.set_ylabel("left out (%)" if s.view == "groups" else "right (%)", fontsize=TEXT)
        self.below.set_ylabel("in store (%)" if s.view == "age" else "of people (%)", fontsize=TEXT)


def _note(result: Result) -> str:
    """What is held, in a line below the picture."""
    if result.settings.view == "groups":
        group = result.left.groups[result.held]
        if not group.rows:
            return f"at k = {result.settings.k}: nobody remains"
        return (
            f"{result.left.secret} at k = {result.settings.k}: smallest group {group.k} · l = {group.distinct} "
            f"(by entropy {group.entropy:.2f}) · t = {group.t:.2f}"
        )
    words, names = "", [datasets.card(result.settings.dataset).call(name) for name in result.kept]
    while names and len(words) + len(names[0]) < 58:
        words += ("" if not words else ", ") + names.pop(0)
    return f"kept: {words}" + (f" and {len(names)} more" if names else "")
