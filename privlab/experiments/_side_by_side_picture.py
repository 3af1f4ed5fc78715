"""The picture of five ways to learn: accuracy, who could still see what, and cost, a row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privlab.experiments._side_by_side_ways import WAYS
from privlab.style import COLOURS, SMALL, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.side_by_side import Result

BOX = (0.215, 0.125, 0.18, 0.655)
LOW, HIGH = 70, 88
PLACES = {"server": 0.42, "model": 0.64, "cost": 0.862}
HEADS = {"server": "whoever runs\nit sees", "model": "the model\ntells", "cost": "a training\ncosts"}


class _Row:
    """The moving artists of one way: its accuracy and its cost."""

    def __init__(self, figure: Figure, ax: Any, y: int, height: float, private: bool) -> None:
        colour, marker = COLOURS["private" if private else "non-private"], "o" if private else "s"
        self.y = y
        (self.line,) = ax.plot([], [], color=colour, linewidth=15, alpha=0.35, solid_capstyle="butt", animated=True)
        (self.dot,) = ax.plot([], [], marker, color=colour, markersize=5, animated=True, zorder=4)
        self.value = ax.annotate(
            "", (LOW, y), xytext=(0, 9), textcoords="offset points", fontsize=SMALL, ha="center", va="bottom",
            color=colour, fontweight="bold", animated=True, annotation_clip=False, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
        self.cost = figure.text(PLACES["cost"], height, "", fontsize=SMALL, va="center", linespacing=1.1, animated=True)
        self.artists: list[Artist] = [self.line, self.dot, self.value, self.cost]

    def show(self, mean: float, low: float, high: float, cost: tuple[str, str]) -> None:
        """Set accuracy (%) and its interval, and the cost in words."""
        at = max(mean, LOW)
        self.line.set_data([max(low, LOW), max(high, LOW)], [self.y, self.y])
        self.dot.set_data([at], [self.y])
        self.value.set_text(f"{mean:.1f}" if mean >= LOW else f"◂ {mean:.1f}")
        self.value.xy = (min(max(at, LOW + (2.5 if mean >= LOW else 3.6)), HIGH - 2), self.y)
        self.cost.set_text("\n".join(cost))


class Picture(Drawing):
    """Draws a `side_by_side.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.grid(visible=False, axis="y")
        self.ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
        self.ax.set_xlim(LOW, HIGH)
        self.ax.set_ylim(len(WAYS) - 0.5, -0.5)
        self.ax.set_yticks([])
        self.ax.set_xticks((70, 76, 82, 88), ("70", "76", "82", "88"))
        self.title.set_text("Five ways to learn: who could still see what?")
        self.key.set_text("● everything  ◐ much  ◔ little: ε bounds it  ○ nothing  ·  bar: 95 % interval")
        left, bottom, _, height = BOX
        shared: dict[str, Any] = {"fontsize": SMALL, "va": "bottom", "linespacing": 1.05, "color": "#444444"}
        top = bottom + height + 0.012
        figure.text(left, top, "right on unseen\npeople (%)", **shared)
        figure.text(left, 0.012, "dashed: always the same answer", fontsize=SMALL, color=COLOURS["floor"])
        for place, x in PLACES.items():
            figure.text(x, top, HEADS[place], **shared)
        self.rows = {}
        for y, (name, way) in enumerate(WAYS.items()):
            middle = bottom + height * (1 - (y + 0.5) / len(WAYS))
            words: dict[str, Any] = {"va": "center", "linespacing": 1.1}
            figure.text(0.012, middle, way.label, fontsize=SMALL, fontweight="bold", **words)
            figure.text(PLACES["server"], middle, way.server, fontsize=SMALL, **words)
            figure.text(PLACES["model"], middle, way.model, fontsize=SMALL, **words)
            self.rows[name] = _Row(figure, self.ax, y, middle, way.private)
        self.floor = self.ax.axvline(0, color=COLOURS["floor"], linewidth=1.5, linestyle=(0, (6, 3)), animated=True)
        self.moving: list[Artist] = [self.floor]
        for row in self.rows.values():
            self.moving += row.artists

    def update(self, result: Result) -> bool:
        """Move the artists to a result; the background never changes."""
        self.floor.set_xdata([100 * result.floor] * 2)
        for name, row in self.rows.items():
            here = name in result.scores
            for artist in row.artists:
                artist.set_visible(here)
            if here:
                mean, low, high = (100 * one for one in result.interval(name))
                row.show(mean, low, high, result.cost(name))
        return False
