"""Questions of notebook 01: what privacy costs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from privlab.questions import Question

if TYPE_CHECKING:
    from privlab.dpsgd import Array


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
    "carried_over": Question(
        lambda given: abs(given - _carried_over()) <= 0.25,
        "What was best with little noise lets people pull far, and at a strict ε the noise that hides such pulls is "
        "too loud. Choose the clipping norm for the ε that you mean to keep.",
        "Find the largest number in the last column and go along its row to the first column. How far is that from the "
        "largest number of the first column?",
    ),
}
