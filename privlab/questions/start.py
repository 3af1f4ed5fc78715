"""The question of notebook 00: what a strict promise costs."""

from __future__ import annotations

from functools import cache

from privlab.questions import Question, nearest

LOSSES = {"less than 1": 0.5, "about 10": 10.0, "about 30": 30.0}


@cache
def _lost() -> float:
    """Right answers in 100 that are lost on Adult from ε = 1 to ε = 0.1."""
    from privlab import experiments

    found = [experiments.run("tradeoff", epsilon=epsilon, seeds=8) for epsilon in (1.0, 0.1)]
    loose, strict = (100 * float(one.curves[0].estimate.mean[one.held]) for one in found)
    return loose - strict


QUESTIONS = {
    "lost": Question(
        lambda given: given == nearest(_lost(), LOSSES),
        "With so many people, noise that hides any one of them hardly blurs the crowd.",
        "Drag the ε slider to 0.1 and compare what the sentence says with 85 in 100.",
        among=dict.fromkeys(LOSSES, "right answers in 100 that are lost"),
    ),
}
