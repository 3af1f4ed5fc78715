"""The picture of an audit: what is proven from below, what is promised from above, and the scores it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privlab.experiments._audit_result import FAMILIES
from privlab.sandwich import ATTACKER, Evidence, Sandwich, Scores
from privlab.style import Drawing, axes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.experiments.audit import Result

ROWS = ["whatever\nthe noise", "if it is\nGaussian", "if sampled\nGaussian"]  # in the order of FAMILIES
TOP, LOW = (0.185, 0.44, 0.785, 0.425), (0.185, 0.075, 0.785, 0.21)


class Picture(Drawing):
    """Draws an `audit.Result` on a figure."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.many = Sandwich(axes(figure, TOP), ROWS)
        self.unsampled = Sandwich(axes(figure, TOP), ROWS[:2])  # where sampling gives no third shape
        self.one = Sandwich(axes(figure, TOP), ["guesses in\none run"])
        (self.others,) = self.one.ax.plot([], [], "x", color=ATTACKER, alpha=0.6, markersize=7, animated=True, zorder=4)
        self.scores = Scores(axes(figure, LOW))
        self.still: Sandwich | None = None
        self.moving: list[Artist] = []

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        found = {name: Evidence(*one) for name, one in result.evidence().items()}
        if result.runs:
            self.one.update(result.settings.epsilon, [found["run"]])
            others = [max(run.bound, 0.053) for run in result.runs[1:]]
            self.others.set_data(others, [0.5] * len(others))
            run = result.runs[0]
            cuts, above = [run.low, run.high], True
        else:
            rows = [found.get(name) for name in FAMILIES]
            if result.settings.sampling_rate == 1:
                self.unsampled.update(result.settings.epsilon, rows[:2], result.covered)
            else:
                self.many.update(result.settings.epsilon, rows, result.covered)
            best = result.bounds["gaussian"]
            cuts, above = [best.threshold], best.above
        self.scores.update(result.without, result.with_, cuts, above)
        single = result.settings.view == "one_run"
        top = self.one if single else self.unsampled if result.settings.sampling_rate == 1 else self.many
        if top is self.still:
            return False
        self.still = top
        for one in (self.one, self.unsampled, self.many):
            one.ax.set_visible(one is top)
        names = ("people left out", "people put in") if single else ("without the person", "with")
        for text, name in zip(self.scores.names, names, strict=True):
            text.set_text(name)
        self.title.set_text("How much of the promised ε can an attack find?")
        self.key.set_text(
            "bar: proven · ring: suggested · ceiling: provable at most · ×: other runs"
            if single
            else "bar: proven · ring: suggested · ceiling: provable at most"
        )
        self.moving = [*top.moving, *([self.others] if single else []), *self.scores.moving]
        return True
