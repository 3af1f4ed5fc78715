"""Questions of notebook 13: who is in the data."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privlab.questions import Question, near

if TYPE_CHECKING:
    from privlab.experiments.consent import Result


@cache
def _found(**values: Any) -> Result:
    from privlab import experiments

    result: Result = experiments.run("consent", **values)
    return result


def _lost() -> float:
    """Points of accuracy lost among high earners, at the defaults."""
    return -100 * float(_found().cost("accuracy").mean[-1])


def _used() -> float:
    return float(_found(repair="all", seeds=2).flow.kept)


QUESTIONS = {
    "register": Question(
        near(3, 0.001),
        "The last word until that day counts, and a yes to care is no yes to research.",
        "Take the people one by one and look for their last record about research up to that day. No record is a no.",
    ),
    "lost": Question(
        lambda given: abs(given - _lost()) <= 4,
        "The people whom the model is there to find are those who said no. It still looks good on average.",
        "Compare the two circles in the row of those who earn more than 50K: how many points are between them?",
    ),
    "harmless": Question(
        lambda word: word == "rule",
        "The few who agree show the same rule as the many who don't. What they cannot show is a rule of their own.",
        "Look at the right side: the model of those who agree does as well for those who are nearly all missing. What "
        "did the others teach it?",
        among={
            "noise": "the noise hides who is missing",
            "rule": "what tells high from low earners is nearly the same in every group",
            "many": "enough people of every group have agreed",
        },
    ),
    "repair": Question(
        lambda word: word == "all",
        "Weights can only set right what they know of. The reason for a no is often the very thing nobody counts.",
        "Try both ways of weighing and look at the row of those who earn more than 50K.",
        among={
            "margins": "to the known margins: age, sex, race, schooling",
            "all": "to the margins and the answer's share",
        },
    ),
    "price": Question(
        lambda given: abs(given - _used()) <= 0.1 * _used(),
        "To give the rare ones their weight, most of the others are left out; and with fewer people, the same ε takes "
        "more noise.",
        "Read the last number in the line below the picture while the weighing is on.",
    ),
    "late": Question(
        lambda word: word == "retrain",
        "The old model was learned from that person too. Only a training without them makes one that was not.",
        "Deleting the row leaves the weights as they were. Where else is something of that person?",
        among={
            "delete": "delete the row, and keep the model",
            "retrain": "delete the row, and train the model anew from the others",
            "nothing": "nothing: ε protects everybody in the model",
        },
    ),
}
