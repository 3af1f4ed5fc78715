"""Questions of notebook 11: collect less."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privlab.questions import Question

if TYPE_CHECKING:
    from privlab.experiments.minimise import Result


@cache
def _found(**values: Any) -> Result:
    from privlab import experiments

    result: Result = experiments.run("minimise", **values)
    return result


@cache
def _coarse_enough() -> int:
    """The first coarseness at which all columns of Adult let a stranger pick fewer than 5 in 100 rightly."""
    return next(
        level for level in range(5) if _found(columns=11, coarseness=level, seeds=2).linked.found.mean[-1] < 0.05
    )


def _certain() -> float:
    left = _found(view="groups", columns=11, coarseness=2).left
    return 100 * float(left.certain.mean[left.ks == 5][0])


QUESTIONS = {
    "fewest": Question(
        lambda given: given == _found().fewest,
        "Most columns were collected for a gain that is smaller than what you said you could lose.",
        "Leave coarseness at 0 and ε at 1, set the budget to 1 point, and follow the upper curve leftward: where does "
        "it meet your line? The sentence counts for you.",
    ),
    "jump": Question(
        lambda word: word == "age",
        "One number with seventy values splits every group by up to seventy, and the model hardly misses it.",
        "Move 'columns kept' one step at a time and watch 'record found'. At which step does it leap, and which column "
        "came in there?",
        among={
            "relationship": "the first column",
            "education-num": "the years of schooling",
            "occupation": "the kind of work",
            "age": "the age in years",
            "race": "the last column",
        },
    ),
    "coarse": Question(
        lambda given: given == _coarse_enough(),
        "Told in such steps, nearly everybody has company; and the model pays a point or two for it.",
        "Keep all 11 columns and move coarseness to the right until 'record found' ends below 5 %, and no further.",
    ),
    "sure": Question(
        lambda given: abs(given - _certain()) <= 2,
        "Their group is large enough, but everybody in it has the same income, so nobody needs to find the right row.",
        "Choose 'groups of k', all 11 columns, coarseness 2 and k = 5, and read in the sentence how many of those who "
        "are left have their income told for sure.",
    ),
    "promise": Question(
        lambda word: word == "same",
        "That is the homogeneity attack. Asking for several secrets in each group (l-diversity), in the usual shares "
        "(t-closeness), answers it; and then somebody knows one thing more, and it begins again.",
        "The attacker in the last panel never found anybody's row. What did the people in a group share?",
        among={
            "found": "the attacker finds the person's row after all",
            "same": "all who look alike may have the same secret",
            "noise": "the noise in the table is too small",
        },
    ),
    "store": Question(
        lambda given: abs(given - 29) <= 2,
        "Who took part for three years is gone altogether. What is not in store cannot be stolen, asked for or lost.",
        "Choose two years, which is under 'More settings', and read the black line below, or the sentence.",
    ),
}
