"""The pictures of the gallery: the evidence on a bug beside its sound twin, and which check catches which bug."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.checks import CHECKS
from privlab.experiments._gallery_bugs import CATALOGUE, RATE, STEPS
from privlab.experiments._gallery_exhibits import CURVE, ROUNDS
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments._gallery_exhibits import Exhibit
    from privlab.experiments.gallery import Result

BOXES = {True: (0.13, 0.355, 0.35, 0.34), False: (0.625, 0.355, 0.35, 0.34)}
COLOUR = {True: COLOURS["attacker"], False: COLOURS["private"]}
LIMIT = COLOURS["proven"]
WIDE = 36  # letters on half a line
TELLS = {"pull": "sensitivity", "noise": "noise", "pairs": "noise", "joins": "sampling"}  # the check of a picture
Z = np.linspace(-4, 4, 161)
EDGES = np.linspace(-4.125, 4.125, 34)
JOINS = np.arange(-0.5, 9)
RATIOS = np.linspace(-1.6, 3.4, 51)
# Of each kind of evidence: how to read it, the names of the axes, and how far these go.
VIEWS: dict[str, tuple[str, str, str, tuple[float, float], tuple[float, float]]] = {
    "pull": ("line: how far one added person moves the sum · dashed: promised", "length of their gradient (in C)",
             "moves the sum (in C)", (0.1, 1000), (0.05, 2000)),
    "noise": ("bars: noise drawn · dashed: promised", "noise (promised size = 1)", "how often", (-4, 4), (0, 0.75)),
    "pairs": ("dots: noise on the same place of two layers", "noise on layer 1", "noise on layer 2", (-4, 4), (-4, 4)),
    "joins": ("bars: people, by how often they joined · dots: by coins", "times a person joined", "people (%)",
              (-0.6, 6.6), (0, 105)),
    "bounds": ("line: the bounds of one column, as the library has them", "value (in C)", "", (-1.3, 4.4), (-0.6, 1.7)),
    "ledger": ("line: ε really spent · dashed: ε claimed for all", "rounds of training", "ε (claimed = 1)",
               (0.5, ROUNDS + 0.5), (0, 5.5)),
    "digits": ("bars: last digits that only noise around 0 can have · whiskers: 95 %", "", "answers (%)",
               (-0.6, 1.6), (0, 80)),
    "starts": ("bars: right-hand centres where none can start · whiskers: 95 %", "", "runs (%)", (-0.6, 1.6), (0, 80)),
    "worlds": ("bars: runs with the person · outline: without · dashed: most that ε allows",
               "evidence for the person (in ε)", "runs (%)", (-1.6, 3.4), (0.02, 150)),
}  # fmt: skip

TICKS: dict[str, tuple[list[float], list[float]]] = {
    "noise": ([-4, -2, 0, 2, 4], [0, 0.25, 0.5, 0.75]),
    "pairs": ([-4, -2, 0, 2, 4], [-4, -2, 0, 2, 4]),
    "joins": ([0, 1, 2, 3, 4, 5, 6], [0, 25, 50, 75, 100]),
    "ledger": ([1, 4, 7, 10], [0, 1, 2, 3, 4, 5]),
}

WORLDS = {"digits": ("count 0", "count C"), "starts": ("nobody at C", "one person")}  # under their bars


class Picture(Drawing):
    """Draws a `gallery.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.sides = {broken: _Side(figure, broken) for broken in (True, False)}
        self.grid = _Grid(figure)
        self.still: tuple[str, str] | None = None
        self.moving: list[Artist] = []

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        changed = self.still != (s.view, s.bug)
        if changed:
            self.still = s.view, s.bug
            self._background(s.view, s.bug)
        if s.view == "all":
            self.grid.update(result)
        else:
            for broken, side in self.sides.items():
                side.update(CATALOGUE[s.bug].shows, result.of(s.bug, broken), CATALOGUE[s.bug].hides)
        return changed

    def _background(self, view: str, bug: str) -> None:
        every = view == "all"
        self.grid.ax.set_visible(every)
        for side in self.sides.values():
            side.ax.set_visible(not every)
            for words in side.words:
                words.set_visible(not every)
        if every:
            self.title.set_text("Which check catches which bug?")
            self.key.set_text("✖ caught · ○ blind to it · ● the sound twin passes · blank: not asked")
            self.moving = self.grid.moving
            return
        self.title.set_text(f"Is it noticed: {CATALOGUE[bug].label}?")
        self.key.set_text(VIEWS[CATALOGUE[bug].shows][0])
        self.moving = []
        for side in self.sides.values():
            side.background(bug)
            self.moving += side.moving


class _Side:
    """Half of the picture: the broken variant, or its sound twin, with the verdict above and the findings below."""

    def __init__(self, figure: Figure, broken: bool) -> None:
        self.broken = broken
        self.ax = axes(figure, BOXES[broken])
        left, colour = 0.012 if broken else 0.52, COLOUR[broken]
        shared: dict[str, Any] = {"va": "top", "parse_math": False, "animated": True}
        dark: dict[str, Any] = {"fontsize": SMALL, "color": "#222222", "linespacing": 1.05, **shared}
        self.verdict = figure.text(left, 0.865, "", fontsize=TEXT, fontweight="bold", color=colour, **shared)
        self.does = figure.text(left, 0.808, "", **dark)
        self.marks, self.says = figure.text(left, 0.195, "", **dark), figure.text(left, 0.135, "", **dark)
        self.words = self.verdict, self.does, self.marks, self.says
        style: dict[str, Any] = {"color": colour, "animated": True}
        (self.line,) = self.ax.plot([], [], linewidth=2.8, zorder=4, **style)
        (self.dots,) = self.ax.plot([], [], "o", markersize=3, alpha=0.5, zorder=3, **style)
        self.bars = self.ax.stairs([1.0], [1, 2], fill=True, alpha=0.55, **style)
        self.other = self.ax.stairs([1.0], [1, 2], color=COLOURS["floor"], linewidth=1.8, animated=True, zorder=5)
        self.whiskers = self.ax.vlines([], [], [], color="#222222", linewidth=2, animated=True, zorder=6)
        dash: dict[str, Any] = {"color": LIMIT, "linewidth": 2.2, "linestyle": (0, (5, 3)), "zorder": 5}
        (self.promised,) = self.ax.plot([], [], **dash)
        (self.expected,) = self.ax.plot([], [], "o", color=LIMIT, markersize=7, zorder=6)
        self.names = [
            self.ax.text(0, 0, "", fontsize=SMALL, color=shade, va="bottom", zorder=7, animated=True)
            for shade in (COLOURS["floor"], colour)
        ]
        self.drawn: list[Any] = [self.line, self.dots, self.bars, self.other, self.whiskers, *self.names]
        self.moving: list[Artist] = [*self.drawn, *self.words]

    def background(self, bug: str) -> None:
        """Fit the axes to a kind of evidence."""
        shows = CATALOGUE[bug].shows
        _, across, up, x, y = VIEWS[shows]
        ax = self.ax
        self.does.set_text(
            _lines(
                CATALOGUE[bug].slip.split(". ")[0].removesuffix(".") + "." if self.broken else CATALOGUE[bug].promise
            )
        )
        for axis, scaled in (("x", shows == "pull"), ("y", shows in ("pull", "worlds"))):
            getattr(ax, f"set_{axis}scale")("log" if scaled else "linear")
        ax.set_xlim(*x)
        ax.set_ylim(*y)
        ax.minorticks_off()
        ax.set_xlabel(across, fontsize=SMALL)
        ax.set_ylabel(up if self.broken else "", fontsize=SMALL)
        if shows == "pull":
            ax.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
            ax.set_yticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"])
        elif shows == "bounds":
            ax.set_xticks([-1, 0, 1, 2, 3, 4])
            ax.set_yticks([0, 1], ["with", "without"] if self.broken else ["", ""])
        elif shows in WORLDS:
            ax.set_xticks([0, 1], WORLDS[shows])
            ax.set_yticks([0, 20, 40, 60, 80])
        elif shows == "worlds":
            ax.set_xticks([-1, 0, 1, 2, 3])
            ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        else:
            for set_ticks, ticks in zip((ax.set_xticks, ax.set_yticks), TICKS[shows], strict=True):
                set_ticks(ticks)
        self.promised.set_data(*_promise(shows, bug))
        times = np.arange(7 if shows == "joins" else 0)
        self.expected.set_data(times, 100 * _coins(times))

    def update(self, shows: str, exhibit: Exhibit | None, hides: str) -> None:
        """Show what was found so far."""
        for artist in self.drawn:
            artist.set_visible(False)
        start = "Broken" if self.broken else "Sound twin"
        if exhibit is None:
            self.verdict.set_text(f"{start} …")
            for words in (self.marks, self.says):
                words.set_text("")
            return
        if self.broken:
            self.verdict.set_text(f"✖ {start}: caught" if exhibit.caught else f"? {start}: not caught here")
        else:
            self.verdict.set_text(f"✖ {start}: blamed" if exhibit.caught else f"✔ {start}: passes")
        self.marks.set_text("   ".join(f"{'✔' if f.passed else '✖'} {f.check}" for f in exhibit.findings))
        failed = [f for f in exhibit.findings if not f.passed]
        own = [f for f in exhibit.findings if f.check == TELLS.get(shows)]
        told = hides if self.broken and hides and not failed else (failed or own or exhibit.findings)[0].words
        self.says.set_text(_lines(told))
        getattr(self, f"_{shows}")(exhibit.drawn[shows])

    def _show(self, *artists: Any) -> None:
        for artist in artists:
            artist.set_visible(True)

    def _pull(self, far: Any) -> None:
        self.line.set_data(CURVE, np.maximum(far, 1e-3))
        self._show(self.line)

    def _noise(self, draws: Any) -> None:
        counts, _ = np.histogram(draws, EDGES)
        self.bars.set_data(counts / len(draws) / np.diff(EDGES), EDGES)
        self._show(self.bars)

    def _pairs(self, layers: Any) -> None:
        self.dots.set_data(layers[0][:400], layers[1][:400])
        self._show(self.dots)

    def _joins(self, joins: Any) -> None:
        counts, _ = np.histogram(joins, JOINS)
        self.bars.set_data(100 * counts / len(joins), JOINS)
        self._show(self.bars)

    def _bounds(self, bounds: Any) -> None:
        """Rows: without and with the person; lowest, highest, number of classes."""
        x = [*bounds[0, :2], np.nan, *bounds[1, :2]]
        self.line.set_data(x, [1, 1, np.nan, 0, 0])
        self._show(self.line)
        for name, (_, _, classes), y in zip(self.names, bounds, (1, 0), strict=True):
            name.set(text=f"{classes:.0f} kinds", x=-1.2, y=y + 0.1)
        self._show(*self.names)

    def _ledger(self, spent: Any) -> None:
        self.line.set_data(np.arange(1, ROUNDS + 1), spent)
        self._show(self.line)

    def _digits(self, shares: Any) -> None:
        """Rows: shares of runs in both worlds, and the ends of their intervals."""
        found, low, high = 100 * shares
        self.bars.set_data(np.array([found[0], 0, found[1]]), [-0.3, 0.3, 0.7, 1.3])
        self.whiskers.set_segments([[(x, low[x]), (x, high[x])] for x in (0, 1)])
        self._show(self.bars, self.whiskers, *self.names)
        for x, name in enumerate(self.names):
            name.set(text=f"{found[x]:.1f}", x=x - 0.2, y=high[x] + 1)

    _starts = _digits

    def _worlds(self, evidence: Any) -> None:
        for artist, told in zip((self.other, self.bars), evidence, strict=True):
            counts, _ = np.histogram(np.clip(told, RATIOS[0], RATIOS[-1]), RATIOS)
            artist.set_data(np.maximum(100 * counts / len(told), 1e-3), RATIOS)
        self._show(self.bars, self.other)


def _lines(words: str) -> str:
    """Two lines at most, of half the picture's width."""
    return textwrap.fill(words, WIDE, max_lines=2, placeholder=" …")


def _promise(shows: str, bug: str) -> tuple[Any, Any]:
    """The dashed line: what was promised."""
    if shows == "pull":
        return CURVE, np.minimum(1, np.maximum(CURVE, 1))
    if shows == "noise":
        laplace = bug == "linear_regression"
        return Z, 0.5 * np.exp(-np.abs(Z)) if laplace else np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi)
    if shows == "ledger":
        return [0, ROUNDS + 1], [1, 1]
    if shows == "worlds":
        return [-1, -1, np.nan, 1, 1], [1e-3, 1e3, np.nan, 1e-3, 1e3]
    return [], []


def _coins(times: Any) -> Any:
    """How likely a person joins so many of the steps."""
    from scipy.special import comb

    return comb(STEPS, times) * RATE**times * (1 - RATE) ** (STEPS - times)


class _Grid:
    """All bugs by all checks."""

    def __init__(self, figure: Figure) -> None:
        ax = self.ax = axes(figure, (0.33, 0.02, 0.58, 0.72))
        columns = [*CHECKS, "sound twin"]
        ax.set_xlim(-0.5, len(columns) - 0.3)
        ax.set_ylim(len(CATALOGUE) - 0.5, -0.6)
        ax.xaxis.tick_top()
        ax.set_xticks(range(len(columns)), columns, fontsize=SMALL, rotation=24, ha="left", rotation_mode="anchor")
        ax.set_yticks(range(len(CATALOGUE)), [bug.label for bug in CATALOGUE.values()], fontsize=SMALL)
        ax.tick_params(length=0)
        ax.spines[["left", "bottom"]].set_visible(False)
        marks: dict[str, Any] = {"linestyle": "", "animated": True, "clip_on": False}
        grey = COLOURS["floor"]
        (self.caught,) = ax.plot([], [], "X", color=COLOUR[True], markersize=11, **marks)
        (self.blind,) = ax.plot([], [], "o", color=grey, markersize=7, fillstyle="none", **marks)
        (self.sound,) = ax.plot([], [], "o", color=COLOUR[False], markersize=9, **marks)
        self.moving: list[Artist] = [self.caught, self.blind, self.sound]

    def update(self, result: Result) -> None:
        """Mark what was found so far."""
        row = {name: k for k, name in enumerate(CATALOGUE)}
        places: dict[str, list[tuple[int, int]]] = {"caught": [], "blind": [], "sound": []}
        for one in result.exhibits:
            y = row[one.bug]
            if one.broken:
                for finding in one.findings:
                    places["blind" if finding.passed else "caught"].append((CHECKS.index(finding.check), y))
            else:
                places["caught" if one.caught else "sound"].append((len(CHECKS), y))
        for name, found in places.items():
            getattr(self, name).set_data(*(np.array(found, float).reshape(-1, 2).T))
