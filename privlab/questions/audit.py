"""Questions of notebook 08, first half: what runs alone prove about a promise."""

from __future__ import annotations

import numpy as np

from privlab import audit
from privlab.experiments._audit_result import DELTA
from privlab.explain import guess_limit
from privlab.questions import Question, near


def _could_refute(trials: float, epsilon: float = 4.0) -> bool:
    """Whether so many runs in each world, told apart without a mistake, prove more than ε."""
    runs = int(trials)
    return audit.lower_bound(np.zeros(runs), np.ones(runs), delta=DELTA).lower_bound > epsilon


def _just_enough(given: float) -> bool:
    return 40 <= given <= 50_000 and _could_refute(given) and not _could_refute(given / 1.35)


QUESTIONS = {
    "hand": Question(
        near(2.0, 0.03),
        "With half of the noise the two shares are e² apart: twice the ε.",
        "Run the cell once more with scale=0.5 in the call of count, and read the last number.",
    ),
    "digits": Question(
        lambda word: word == "digits",
        "The noise is loud enough. But sums of floating-point numbers keep traces of their parts, and rounding, or "
        "noise that is made exactly, takes these away.",
        "Read what the last report looked at, and compare it with the first report's.",
        among={
            "scale": "its noise was too quiet",
            "luck": "one sound release in twenty is flagged",
            "digits": "the last digits of its noise told which world it was",
        },
    ),
    "fewest": Question(
        _just_enough,
        "A few hundred runs. With fewer, even a release with no noise at all could not be convicted.",
        "Leave ε at 4 and bring N down. Watch the ceiling of the first row: it must just stay above what is promised.",
    ),
    "ordinary": Question(
        lambda word: word == "attack",
        "A lower bound speaks of one attack on one person. That it is small says nothing about the next attack.",
        "Nothing about the noise has changed between the two people. What has?",
        among={
            "noise": "ordinary people need less noise",
            "attack": "this attack does not see this person",
            "proof": "the promise has been proven",
        },
    ),
    "one": Question(
        near(100 * guess_limit(4.0), 0.006),
        "98 in 100: e⁴ / (1 + e⁴). This attack gets nowhere near, so its bound is far below what is promised.",
        "An attacker who starts from even odds is right at most e^ε / (1 + e^ε) of the time.",
    ),
}
