"""The picture of asking first: who is missing on the left, how the model does on the right, a row for each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.experiments._consent_result import PLAIN, PRIVATE
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from privlab.experiments._consent_result import Interval
    from privlab.experiments.consent import Result

LEFT, RIGHT = (0.225, 0.2, 0.32, 0.59), (0.61, 0.2, 0.36, 0.59)
BLUE, GREEN, BLACK = COLOURS["private"], COLOURS["non-private"], COLOURS["held"]
ASIDE = 0.2  # how far apart the marks of one row are
WIDE = 16  # letters in a line of a group's name


class _Marks:
    """A mark a row, each with its interval."""

    def __init__(self, ax: Axes, colour: str, mark: str, aside: float, *, hollow: bool = False) -> None:
        self.aside = aside
        self.sticks = ax.hlines([], [], [], color=colour, linewidth=2.4, animated=True, zorder=4)
        (self.marks,) = ax.plot(
            [], [], mark, color=colour, markersize=7.5, mfc="white" if hollow else colour, mew=2, animated=True,
            zorder=5, clip_on=False,
        )  # fmt: skip
        self.artists: list[Artist] = [self.sticks, self.marks]

    def show(self, one: Interval | None, shown: Any = slice(None)) -> None:
        """Draw means and intervals, of some rows; None hides them."""
        for artist in self.artists:
            artist.set_visible(one is not None)
        if one is not None:
            y = (np.arange(len(one.mean)) + self.aside)[shown]
            mean, half = 100 * one.mean[shown], 100 * one.half[shown]
            self.marks.set_data(mean, y)
            self.sticks.set_segments([[(m - h, at), (m + h, at)] for m, h, at in zip(mean, half, y, strict=True)])


class Picture(Drawing):
    """Draws a `consent.Result` on a figure."""

    size = (6.8, 4.9)

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.left, self.right = axes(figure, LEFT), axes(figure, RIGHT)
        for ax in (self.left, self.right):
            ax.grid(visible=False, axis="y")
            ax.grid(axis="x", color="#E6E6E6", linewidth=0.8)
            ax.spines["left"].set_visible(False)
            ax.tick_params(axis="y", length=0)
        self.reference = _Marks(self.left, BLACK, "o", -ASIDE, hollow=True)
        self.agreed = _Marks(self.left, BLUE, "o", 0)
        self.used = _Marks(self.left, COLOURS["pinned"], "D", ASIDE)
        self.whole = _Marks(self.right, BLACK, "o", -ASIDE, hollow=True)
        self.some = _Marks(self.right, BLUE, "o", 0)
        self.plain = _Marks(self.right, GREEN, "s", ASIDE)
        self.words = [
            figure.text(x, 0.84, "", color=colour, fontsize=SMALL, fontweight="bold", va="center", parse_math=False)
            for x, colour in ((0.012, BLACK), (0.212, BLUE), (0.505, COLOURS["pinned"]), (0.76, GREEN))
        ]
        self.note = figure.text(0.012, 0.035, "", fontsize=SMALL, color="#444444", va="center", animated=True,
                                parse_math=False)  # fmt: skip
        self.zero = self.right.axvline(0, color=COLOURS["floor"], linewidth=1.5)
        self.still: tuple[Any, ...] | None = None
        self.moving: list[Artist] = [
            self.note,
            *(
                artist
                for marks in (self.reference, self.agreed, self.used, self.whole, self.some, self.plain)
                for artist in marks.artists
            ),
        ]

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        still = (s.view, s.dataset, s.groups, s.repair != "none", _tells_answer(result))
        changed = self.still != still
        if changed:
            self.still = still
            self._background(result)
        shares = result.shares
        groups = slice(1, None)  # everybody's share of everybody says nothing
        self.reference.show(shares["everybody"], groups)
        self.agreed.show(shares["agreed"], groups)
        self.used.show(shares["used"] if s.repair != "none" else None, groups)
        scored = slice(0, None if _tells_answer(result) else -1)
        self.whole.show(result.score(result.whole[:, PRIVATE], s.view), scored)
        self.some.show(result.score(result.some[:, PRIVATE], s.view), scored)
        self.plain.show(result.score(result.some[:, PLAIN], s.view), scored)
        self.note.set_text(_note(result))
        return changed

    def _background(self, result: Result) -> None:
        s, count = result.settings, len(result.rows)
        self.title.set_text(f"Who is missing, and what does it do, on {datasets.card(s.dataset).short}?")
        self.key.set_text("left: share of all, and of those who agree · right: models · bars: 95 %")
        for text, words in zip(
            self.words,
            ("○ everybody", "● those who agree", "◆ weighed" if s.repair != "none" else "", "■ without noise"),
            strict=True,
        ):
            text.set_text(words)
        for ax in (self.left, self.right):
            ax.set_ylim(count - 0.5, -0.6)
            ax.set_yticks(range(count), [""] * count)
        self.left.set_yticks(range(count), [_wrapped(name) for name in result.rows], parse_math=False, linespacing=0.9)
        self.left.set_xlim(0, 100)
        self.left.set_xticks([0, 25, 50, 75, 100])
        self.left.set_xlabel("share (%)", fontsize=TEXT)
        if s.view == "calibration":
            self.right.set_xlim(-32, 32)
            self.right.set_xticks([-30, -15, 0, 15, 30])
        else:
            self.right.set_xlim(0 if _tells_answer(result) else 50, 100)
            self.right.set_xticks([0, 25, 50, 75, 100] if _tells_answer(result) else [50, 60, 70, 80, 90, 100])
        answer = result.rows[-1].split(": ")[-1]
        often = f"says “{answer}” too often (points)"
        self.right.set_xlabel("right (%)" if s.view == "accuracy" else often, fontsize=TEXT, parse_math=False)
        self.zero.set_visible(s.view == "calibration")


def _tells_answer(result: Result) -> bool:
    """Whether the models' side has a row for those of class 1: only accuracy does, and where the answer drives it."""
    return result.settings.view == "accuracy" and result.settings.by == "answer"


def _wrapped(name: str) -> str:
    """A long name in two lines."""
    cut = max(name.rfind(mark, 0, WIDE) for mark in "- ") + 1
    return f"{name[:cut].rstrip()}\n{name[cut:]}" if len(name) > WIDE and cut else name


def _note(result: Result) -> str:
    """Where the people went, without stages that changed nothing."""
    stages = result.flow.stages
    told = [one for place, one in enumerate(stages) if place == 0 or one.kept < stages[place - 1].kept]
    return " → ".join(f"{one.name} {one.kept:,}" for one in told)
