"""The question of notebook 01: what privacy costs where there are few people."""

from __future__ import annotations

from functools import cache

from privlab.questions import Question, nearest

LOSSES = {"about 1": 1.0, "about 6": 6.0, "about 20": 20.0}


@cache
def _lost() -> float:
    """Points that ε = 1 costs on German credit, against the linear model without privacy."""
    from privlab import experiments

    found = experiments.run("tradeoff", dataset="german", epsilon=1.0)
    return 100 * (found.ceilings["linear, no privacy"] - float(found.curves[0].estimate.mean[found.held]))


QUESTIONS = {
    "few": Question(
        lambda given: given == nearest(_lost(), LOSSES),
        "One person is as large as before, and the noise that hides them is divided among 750 people, not 32,561.",
        "Press Reset and compare the dot at ε = 1 with the dashed line “linear, no privacy”.",
        among=dict.fromkeys(LOSSES, "points that ε = 1 costs on German credit"),
    ),
}
