"""The pictures of pseudonyms under attack: what comes back over time, over people, over columns, and out of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.experiments import _ends
from privlab.experiments import _tokens_attacks as attacks
from privlab.experiments._tokens_result import FOUND
from privlab.experiments._two_worlds_result import interval
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.tokens import Result

BOX, BARS = (0.115, 0.15, 0.66, 0.68), (0.265, 0.15, 0.52, 0.68)
ENOUGH = 3  # repeats for a band
GAP = 0.065  # height of a line of a name, in heights of the axes
LAST = 3e10  # seconds: about a thousand years
TIMES = {
    1e-3: "1 ms", 1: "1 s", 60: "1 min", 3600: "1 h", 86_400: "1 day", 31_557_600: "1 year", LAST: "1000 y",
}  # fmt: skip
BLUE, VIOLET = COLOURS["private"], "#6A3D9A"
STYLES: dict[str, tuple[str, Any, str]] = {
    "hash": (COLOURS["non-private"], (0, (6, 3)), "plain\nhash"),
    "salted": (VIOLET, "-.", "hash\nwith salt"),
    "token": (BLUE, "-", "keyed\ntoken"),
    "fresh": (VIOLET, "-.", "new token\neach row"),
    "same": (BLUE, "-", "same key"),
    "other": (VIOLET, "-.", "two keys"),
    "wrong": (COLOURS["floor"], (0, (2, 2)), "wrong\nlinks"),
}
TITLES = {
    "reverse": "How long does a pseudonym last?",
    "frequency": "What does counting tell about tokens?",
    "link": "Do two tables still fit together?",
    "text": "What does a finder of personal data find?",
}
KEYS = {
    "reverse": "lines: hashes made here and now · dotted: reckoned from their speed",
    "frequency": "mean of the repeats and its 95 % band · real people of Adult",
    "link": "mean of the repeats and its 95 % band · real people of Adult",
    "text": "bars: share found, with exact 95 % intervals · made-up messages",
}
KINDS = {
    "card": "card number", "iban": "IBAN", "email": "e-mail", "phone": "telephone", "pin": "PIN", "street": "street",
    "name": "name",
}  # fmt: skip


class _Way:
    """The artists of one line."""

    def __init__(self, ax: Any, way: str) -> None:
        colour, dash, name = STYLES[way]
        moved: dict[str, Any] = {"color": colour, "animated": True}
        self.band = ax.fill_between([1], [0], [0], alpha=0.3, linewidth=0, **moved)
        (self.line,) = ax.plot([], [], linestyle=dash, linewidth=2.6, zorder=4, **moved)
        (self.dotted,) = ax.plot([], [], linestyle=(0, (1, 1.2)), linewidth=2, zorder=3, **moved)
        self.name = _ends.name(ax, colour, name)
        self.artists: list[Artist] = [self.band, self.line, self.dotted, self.name]


class Picture(Drawing):
    """Draws a `tokens.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax, self.bars = axes(figure, BOX), axes(figure, BARS)
        self.ways = {way: _Way(self.ax, way) for way in STYLES}
        self.hair = self.ax.axvline(1, color=COLOURS["held"], linewidth=1, linestyle=":", animated=True)
        self.ax.set_ylim(-2, 104)
        self.ax.set_yticks(range(0, 101, 20))
        rows = np.arange(len(KINDS) + 1)[::-1] + np.array([*[0.35] * 4, *[0.0] * 3, -0.35])
        self.rows = dict(zip((*KINDS, "precision"), rows.tolist(), strict=True))
        self.bars.set(xlim=(0, 102), ylim=(-0.9, 7.9))
        self.bars.set_yticks(rows, [*KINDS.values(), "true finds"])
        self.bars.grid(visible=False)
        self.bars.set_xlabel("found (%)", fontsize=TEXT)
        colours = [BLUE if kind in FOUND else COLOURS["attacker"] for kind in KINDS] + [VIOLET]
        self.filled = self.bars.barh(rows, np.zeros(len(rows)), height=0.62, color=colours, alpha=0.85, animated=True)
        self.spans = self.bars.hlines(rows, 0, 0, color="black", linewidth=1.8, animated=True, zorder=5)
        self.told = [
            self.bars.text(1.015, y, "", fontsize=SMALL, va="center", transform=self.bars.get_yaxis_transform(),
                           animated=True) for y in rows
        ]  # fmt: skip
        self.still: tuple[str, str] | None = None
        self.lines: list[Artist] = [self.hair, *(artist for way in self.ways.values() for artist in way.artists)]
        self.moving: list[Artist] = []

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        changed = self.still != (s.view, s.column)
        if changed:
            self.still = (s.view, s.column)
            self._background(result)
        if s.view == "text":
            self._text(result)
            return changed
        ends: list[tuple[float, Any]] = []
        for way, artists in self.ways.items():
            shown = way in (result.tried or result.shares)
            for artist in artists.artists:
                artist.set_visible(shown)
            if shown:
                end = self._timed(artists, way, result) if s.view == "reverse" else self._mean(artists, way, result)
                ends.append((end, artists.name))
        _ends.spread([((y + 2) / 106, name) for y, name in ends], GAP)
        self.hair.set_visible(s.view == "frequency")
        if s.view == "frequency":
            self.hair.set_xdata([float(s.people)] * 2)
        return changed

    def _timed(self, artists: _Way, way: str, result: Result) -> float:
        """A share over the time it took, and on from there as reckoned; where it ends."""
        _, found, seconds = result.tried[way]
        share = 100 * found / result.settings.people
        artists.band.set_visible(False)
        artists.line.set_data(seconds, share)
        later = np.geomspace(seconds[-1], LAST, 60)
        reckoned = np.full(60, share[-1])
        if way == "salted":
            reckoned = np.minimum(100, 100 * later / result.needed(way))
        elif way == "hash":
            reckoned = np.minimum(100, 100 * later / result.needed(way)) if share[-1] < 100 else reckoned
        artists.dotted.set_data(later, np.maximum(reckoned, share[-1]))
        return float(artists.dotted.get_ydata()[-1])

    def _mean(self, artists: _Way, way: str, result: Result) -> float:
        e = result.estimate(way)
        artists.line.set_data(result.x, 100 * e.mean)
        artists.dotted.set_visible(False)
        enough = len(result.shares[way]) >= ENOUGH
        artists.band.set_visible(enough)
        if enough:
            low, high = np.maximum(0, e.mean - e.band), np.minimum(1, e.mean + e.band)
            artists.band.set_data(result.x, 100 * low, 100 * high)
        return 100 * float(e.mean[-1])

    def _text(self, result: Result) -> None:
        segments = []
        for (kind, y), bar, told in zip(self.rows.items(), self.filled, self.told, strict=True):
            right, of = result.searched[kind]
            low, high = (100 * float(end) for end in interval(np.array(right), of))
            bar.set_width(100 * right / of)
            told.set_text(f"{right} of {of}")
            segments.append([(low, y), (high, y)])
        self.spans.set_segments(segments)

    def _background(self, result: Result) -> None:
        s, ax = result.settings, self.ax
        text = s.view == "text"
        self.bars.set_visible(text)
        ax.set_visible(not text)
        self.moving = [*self.filled, self.spans, *self.told] if text else self.lines
        self.title.set_text(TITLES[s.view])
        self.key.set_text(KEYS[s.view])
        if s.view == "reverse":
            ax.set(xscale="log", xlim=(1e-3, LAST))
            ax.set_xticks(list(TIMES), list(TIMES.values()))
            ax.set_xlabel("time it takes", fontsize=TEXT)
            ax.set_ylabel("people found (%)", fontsize=TEXT)
        elif s.view == "frequency":
            ax.set(xscale="log", xlim=(28, 21_500))
            ticks = (30, 100, 300, 1000, 3000, 10_000)
            ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            ax.set_xlabel("people in the table", fontsize=TEXT)
            ax.set_ylabel(f"{attacks.COLUMNS[s.column]} guessed (%)", fontsize=TEXT)
        elif s.view == "link":
            most = len(attacks.KEPT)
            ax.set(xscale="linear", xlim=(-0.15, most + 0.15))
            ax.set_xticks(range(most + 1), [str(k) for k in range(most + 1)])
            ax.set_xlabel("columns that both tables keep beside the token", fontsize=TEXT)
            ax.set_ylabel("people linked (%)", fontsize=TEXT)
        ax.minorticks_off()
