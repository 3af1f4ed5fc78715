"""The picture of what a language model remembers: exposure above, the models' own words below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.experiments import _ends
from privlab.experiments import _memorisation_secrets as secrets
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.memorisation import Result

BOX = (0.118, 0.4, 0.662, 0.435)
TOP = 14.2
ENOUGH = 4  # repeats for a band
GAP = 0.105  # height of a line of a name, in heights of the axes
STYLES: dict[str, tuple[str, Any, str]] = {
    "plain": (COLOURS["non-private"], "-", "no protection"),
    "tokens": ("#6A3D9A", "-.", "tokens"),
    "private": (COLOURS["private"], "-", "noise"),
}
LIMIT = ("#B0558A", "most that\nnoise allows")
ROWS = (0.185, 0.115, 0.045)
TICKS = {"copies": (1, 3, 10, 30, 100, 300, 1000), "epsilon": (0.1, 0.3, 1, 3, 10, 30)}


class _Way:
    """The artists of one way of protection: its line, and the words of its model."""

    def __init__(self, figure: Figure, ax: Any, way: str, y: float) -> None:
        colour, dash, name = STYLES[way]
        self.band = ax.fill_between([1], [0], [0], alpha=0.3, color=colour, linewidth=0, animated=True)
        beneath = {"linewidth": 7.5, "alpha": 0.55, "zorder": 3}  # for other lines may come to lie on it
        look: dict[str, Any] = beneath if way == "plain" else {"linewidth": 2.6, "zorder": 4}
        (self.line,) = ax.plot([], [], color=colour, linestyle=dash, animated=True, **look)
        self.name = _ends.name(ax, colour, name)
        figure.text(0.012, y, name, color=colour, fontsize=SMALL, fontweight="bold", va="center")
        words: dict[str, Any] = {
            "fontsize": SMALL, "family": "monospace", "va": "center", "animated": True, "parse_math": False,
        }  # fmt: skip
        self.prompt = figure.text(0.215, y, "", color="#707070", **words)
        self.said = figure.text(0.215, y, "", color="#000000", fontweight="bold", **words)
        self.artists: list[Artist] = [self.band, self.line, self.name, self.prompt, self.said]


class Picture(Drawing):
    """Draws a `memorisation.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.set_xscale("log")
        self.ax.set_ylim(0, TOP)
        self.ax.set_yticks([0, 2, 4, 6, 8, 10, np.log2(secrets.POSSIBLE)], [*"02468", "10", "13.3"])
        self.ax.set_ylabel("bits given away", fontsize=TEXT)
        self.title.set_text("What does a language model remember of a secret?")
        self.key.set_text("mean and 95 % band · dots: single secrets under noise · 13.3 bits are all of it")
        self.ax.axhline(secrets.guessing(), color=COLOURS["floor"], linewidth=1.5, linestyle=(0, (2, 2)), zorder=2)
        self.ways = {way: _Way(figure, self.ax, way, y) for way, y in zip(STYLES, ROWS, strict=True)}
        (self.limit,) = self.ax.plot(
            [], [], color=LIMIT[0], linewidth=2, linestyle=(0, (1, 1)), animated=True, zorder=5
        )
        (self.dots,) = self.ax.plot([], [], "o", color=COLOURS["private"], markersize=4, alpha=0.35, animated=True)
        self.limit_name = _ends.name(self.ax, *LIMIT)
        self.guess_name = _ends.name(self.ax, COLOURS["floor"], "guessing")
        self.hair = self.ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        figure.text(0.012, 0.245, "typed, and what the model goes on with:", fontsize=SMALL, color="#444444")
        self.still = ""
        self.moving: list[Artist] = [self.hair, self.dots, self.limit, self.limit_name, self.guess_name]
        for way in self.ways.values():
            self.moving += way.artists

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        view = result.settings.view
        changed = view != self.still
        if changed:
            self.still = view
            self.ax.set_xlim({"copies": (0.93, 1080), "epsilon": (0.094, 53)}[view])
            self.ax.set_xlabel(
                {"copies": "lines that tell the same secret", "epsilon": "privacy budget ε of one line"}[view],
                fontsize=TEXT,
            )
            self.ax.set_xticks(TICKS[view], [f"{tick:g}" for tick in TICKS[view]])
            self.ax.minorticks_off()
        right = self.ax.get_xlim()[1]
        inside = result.x <= right
        ends: list[tuple[float, Any]] = [(secrets.guessing(), self.guess_name)]
        for name, way in self.ways.items():
            ends.append((self._show(way, name, result, inside), way.name))
        self.limit.set_data(result.x, result.limit)
        ends.append((float(result.limit[inside][-1]) + 1e-6, self.limit_name))
        _ends.spread([(y / TOP, name) for y, name in ends], GAP)
        at = float(result.x[result.held])
        self.hair.set_xdata([at, at])
        return changed

    def _show(self, way: _Way, name: str, result: Result, inside: Any) -> float:
        """Set what belongs to one way; where its line ends."""
        e, k = result.estimate(name), result.held
        bits = secrets.exposure(result.ranks[name][:, k])
        way.line.set_data(result.x, e.mean)
        if name == "private":
            self.dots.set_data(np.full(len(bits), result.x[k]), bits)
        enough = len(bits) >= ENOUGH
        way.band.set_visible(enough)
        if enough:
            top = np.log2(secrets.POSSIBLE)
            way.band.set_data(result.x, np.maximum(0, e.mean - e.band), np.minimum(top, e.mean + e.band))
        said = result.completions[name]
        leaked = said == result.missing
        way.prompt.set_text(f"{result.prompt}│")
        way.said.set_text(
            f"{' ' * (len(result.prompt) + 1)}{said.rstrip() or '(nothing)'}{' ◀ secret' if leaked else ''}"
        )
        way.said.set_color(COLOURS["attacker"] if leaked else COLOURS["held"])
        return float(e.mean[inside][-1])
