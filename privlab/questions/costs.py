"""Questions of notebook 01: what privacy costs where there are few people, and which settings carry over."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from privlab.questions import Question, nearest

if TYPE_CHECKING:
    from privlab.dpsgd import Array

LOSSES = {"about 1": 1.0, "about 6": 6.0, "about 20": 20.0}


@cache
def _lost() -> float:
    """Points that ε = 1 costs on German credit, against the linear model without privacy."""
    from privlab import experiments

    found = experiments.run("tradeoff", dataset="german", epsilon=1.0)
    return 100 * (found.ceilings["linear, no privacy"] - float(found.curves[0].estimate.mean[found.held]))


@cache
def _over_clip_norm(epsilon: float) -> Array:
    from privlab import experiments

    found = experiments.run("tradeoff", epsilon=epsilon, dataset="german", view="clip_norm", seeds=16)
    scores: Array = found.curves[0].estimate.mean
    return scores


def _carried_over() -> float:
    """Points lost at ε = 0.1 with the clipping norm that is best at ε = 10."""
    strict, loose = _over_clip_norm(0.1), _over_clip_norm(10)
    return 100 * float(strict.max() - strict[loose.argmax()])


QUESTIONS = {
    "few": Question(
        lambda given: given == nearest(_lost(), LOSSES),
        "One person is as large as before, and the noise that hides them is divided among 750 people, not 32,561.",
        "Press Reset and compare the dot at ε = 1 with the dashed line “linear, no privacy”.",
        among=dict.fromkeys(LOSSES, "points that ε = 1 costs on German credit"),
    ),
    "carried_over": Question(
        lambda given: abs(given - _carried_over()) <= 0.25,
        "What was best with little noise lets people pull far, and at a strict ε the noise that hides such pulls is "
        "too loud. Choose the clipping norm for the ε that you mean to keep.",
        "Find the largest number in the last column and go along its row to the first column. How far is that from the "
        "largest number of the first column?",
    ),
}
