"""The picture of computing on ciphertexts: a row for each way, and its seconds, bytes and error side by side."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from privlab import ckks
from privlab.experiments import _encrypted_words as words
from privlab.style import COLOURS, MODEL_STYLES, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.encrypted import Cost, Result

BOTTOM, TOP = 0.09, 0.8
BOXES = ((0.235, 0.225), (0.495, 0.225), (0.755, 0.225))  # left and width
RANGES = ((3e-8, 300.0), (100.0, 1e10), (1e-14, 10.0))
TICKS = (
    ((1e-6, "1 µs"), (1e-3, "1 ms"), (1, "1 s")),
    ((1e3, "1 kB"), (1e6, "1 MB"), (1e9, "1 GB")),
    ((1e-12, "10⁻¹²"), (1e-6, "10⁻⁶"), (1, "1")),
)
TITLES = ("computing", "sent", "greatest error")
WAYS = {
    "sum": [("plain", 0), ("shares", 0), ("paillier", 0)],
    "inference": [("plain", 0)],
    "training": [("plain", 0)],
}
LOOKS = {
    "plain": (COLOURS["non-private"], "s"),
    "shares": (MODEL_STYLES[2][0], "D"),
    "paillier": (MODEL_STYLES[3][0], "^"),
    "ckks": (COLOURS["private"], "o"),
}
WORDS = (words.seconds, words.size, words.tiny)
QUESTIONS = {
    "inference": "What does it cost to predict without seeing?",
    "sum": "What does it cost to add up without seeing?",
    "training": "What does it cost to learn without seeing?",
}
ROWS = 6  # at most


class _Row:
    """The artists of one way: a name, and for each column the repeats, their median, a bound and a value in words."""

    def __init__(self, figure: Figure, columns: list[Any], y: int) -> None:
        self.y = y
        self.name = columns[0].text(
            -0.05, y, "", fontsize=TEXT, ha="right", va="center", animated=True,
            transform=columns[0].get_yaxis_transform(),
        )  # fmt: skip
        self.note = columns[0].text(
            0.03, y, "", fontsize=SMALL, style="italic", color="#444444", va="center", animated=True, clip_on=False,
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, transform=columns[0].get_yaxis_transform(),
        )  # fmt: skip
        self.dots, self.middles, self.words = [], [], []
        for ax in columns:
            (dots,) = ax.plot([], [], "o", markersize=4.5, alpha=0.4, linestyle="", animated=True)
            (middle,) = ax.plot([], [], "o", markersize=9, linestyle="", animated=True, zorder=4)
            self.words.append(
                ax.annotate(
                    "", (1, y), xytext=(0, 8), textcoords="offset points", fontsize=SMALL, ha="center", va="bottom",
                    animated=True, annotation_clip=False,
                )
            )  # fmt: skip
            self.dots.append(dots)
            self.middles.append(middle)
        (self.bound,) = columns[2].plot(
            [], [], "|", color=COLOURS["proven"], markersize=20, markeredgewidth=3, animated=True
        )
        self.artists: list[Artist] = [self.name, self.note, self.bound, *self.dots, *self.middles, *self.words]

    def show(self, name: str, held: bool, look: tuple[str, str], costs: tuple[Cost, ...], note: str) -> None:
        """Set what is seen of a way."""
        colour, marker = look
        self.name.set_text(("▸ " if held else "") + name)
        self.name.set_fontweight("bold" if held else "normal")
        self.note.set_text("" if costs else note)
        errors = [c.error for c in costs if c.error > 0]
        values: tuple[list[float], ...] = ([c.seconds for c in costs], [float(c.sent) for c in costs], errors)
        for k, found in enumerate(values):
            low, high = RANGES[k]
            kept = [min(max(one, low), high) for one in found]
            self.dots[k].set_data(kept, [self.y] * len(kept))
            self.dots[k].set_color(colour)
            middle = [max(kept) if k == 2 else median(kept)] if kept else []
            self.middles[k].set_data(middle, [self.y] * len(middle))
            self.middles[k].set_color(colour)
            self.middles[k].set_marker(marker)
            self.words[k].set_text(WORDS[k](max(found) if k == 2 else median(found)) if found else "")
            if middle:
                self.words[k].xy = (middle[0], self.y)
        bounds = [costs[0].bound] if costs and costs[0].bound else []
        self.bound.set_data(bounds, [self.y] * len(bounds))


class Picture(Drawing):
    """Draws an `encrypted.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.columns = []
        for k, (left, width) in enumerate(BOXES):
            ax = axes(figure, (left, BOTTOM, width, TOP - BOTTOM))
            ax.set_xscale("log")
            ax.set_xlim(*RANGES[k])
            ax.set_xticks([at for at, _ in TICKS[k]], [word for _, word in TICKS[k]])
            ax.minorticks_off()
            ax.set_yticks([])
            ax.set_ylim(ROWS - 0.4, -0.75)
            ax.grid(visible=False, axis="y")
            ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
            ax.set_title(TITLES[k], fontsize=TEXT, loc="left", pad=5)
            self.columns.append(ax)
        self.rows = [_Row(figure, self.columns, y) for y in range(ROWS)]
        self.task = ""
        self.moving: list[Artist] = [artist for row in self.rows for artist in row.artists]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        from privlab.experiments.encrypted import named

        s = result.settings
        changed = self.task != s.task
        keys = [*WAYS[s.task], *(("ckks", degree) for degree in ckks.MOST_BITS)]
        if changed:
            self.task = s.task
            self.title.set_text(QUESTIONS[s.task])
            self.key.set_text("small dots: repeats · upright bar: the error stated beforehand · ▸ your choice")
            for ax in self.columns:
                ax.set_ylim(len(keys) - 0.4, -0.75)
        for row in self.rows[len(keys) :]:
            row.show("", False, LOOKS["plain"], (), "")
        for row, key in zip(self.rows, keys, strict=False):
            held = key == ("ckks", int(s.degree))
            note = result.why_not(*key) or ("" if result.progress == 1 else "…")
            row.show(named(*key), held, LOOKS[key[0]], result.rows.get(key, ()), note)
        return changed
