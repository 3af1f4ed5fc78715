"""Questions of notebook 15: privacy by design."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privlab.questions import Question, near

if TYPE_CHECKING:
    from privlab.experiments.lifecycle import Result


@cache
def _found(**values: Any) -> Result:
    from privlab import experiments

    result: Result = experiments.run("lifecycle", **values)
    return result


def _now(name: str, **values: Any) -> float:
    """A measure at some settings, of 100."""
    (one,) = (one for one in _found(**values).measures if one.name == name)
    return 100 * one.now.mean


QUESTIONS = {
    "dearest": Question(
        lambda word: word == "ask",
        "Fewer columns, larger groups and noise together cost about half a point. Hearing from the wrong people costs "
        "more than four.",
        "Undo one step at a time, put it back, and watch the blue dot. After which does it come back?",
        among={
            "ask": "asking for consent",
            "columns": "keeping 6 of 11 columns",
            "groups": "leaving out small groups",
            "noise": "training with noise for ε = 1",
        },
    ),
    "women": Question(
        lambda given: abs(given - _now("women among them", share=1, columns=11)) <= 2,
        "Whoever is unlike the others is left out, and among those are many women. The accuracy says nothing of it.",
        "Everybody says yes, all 11 columns are kept. Read the number on the right in the row on women.",
    ),
    "hash": Question(
        near(30.5, 0.05),
        "Everybody who is in the table. Numbers can be listed, so their hashes can: a plain hash is the number itself.",
        "At the settings the panel opened with, let the number become a plain hash, and read the row 'record found'.",
    ),
    "noticed": Question(
        lambda word: word == "epsilon",
        "All the other steps look after the table. Only the noise looks after what the model itself gives away.",
        "Move each of the four to its end and back, and watch the last row.",
        among={
            "columns": "fewer columns",
            "k": "larger groups",
            "identifier": "another pseudonym",
            "epsilon": "the privacy budget",
        },
    ),
    "repair": Question(
        lambda word: word == "odds",
        "Ask so that all kinds of people say yes as readily. Nothing done to the data afterwards makes up for it.",
        "Reset. Three of them hardly move the blue dot to the right, or a rule stops the model. One brings it back.",
        among={
            "epsilon": "a larger ε",
            "columns": "more columns",
            "k": "smaller groups",
            "odds": "a yes that comes as readily from all (More settings: how unevenly)",
        },
    ),
    "seal": Question(
        lambda word: word == "again",
        "It shows that these settings bring these results. Whether they are right, wise or lawful, people must judge.",
        "What did the cell above do to get the second hash? What did it not look at?",
        among={
            "lawful": "the model complies with the law",
            "again": "the same settings give the same results again",
            "private": "nobody in the data can be harmed",
        },
    ),
}
