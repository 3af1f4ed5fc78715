"""Questions of notebook 07: what a language model remembers."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from privlab.experiments import memorisation
from privlab.questions import Question, near


@cache
def _named_at_once(copies: int) -> float:
    """How often the attacker names a card number at once, at ε = 1."""
    results = memorisation.run(memorisation.Settings(epsilon=1, copies=copies, seeds=40))
    ranked = next(one for one in results if one is not None and len(one.ranks["private"]) == one.settings.seeds)
    return float(np.mean(ranked.ranks["private"][:, ranked.held] == 1))


def _turns_over(copies: float) -> bool:
    """Whether so many copies, and not half as many, give the secret away more often than not."""
    if not 2 <= copies <= 10_000 or copies != int(copies):
        return False
    return _named_at_once(int(copies)) > 0.5 >= _named_at_once(int(copies) // 2)


QUESTIONS = {
    "bits": Question(
        near(math.log2(10**6), 0.01),
        "log₂ of a million: about 20 yes-or-no questions single out one of a million numbers.",
        "Four digits are 10,000 possibilities and 13.3 bits. Count the possibilities of six digits and take the "
        "logarithm to base 2.",
    ),
    "silent": Question(
        lambda word: word == "remembered",
        "The counts hold it as clearly as ever; the greedy reader of the model's favourite letters just never gets "
        "there. Not seeing a secret in what a model says proves nothing.",
        "Compare the dashed green line with what is typed below it. Which of the two does the attacker look at?",
        among={"forgotten": "the model has forgotten it", "remembered": "the model remembers and does not say"},
    ),
    "copies": Question(
        _turns_over,
        "Some dozens of lines. What a crowd says is what the model is meant to learn, and noise for one line lets it.",
        "Leave ε at 1 and look at “names it at once” in the sentence: below half at half your copies, above half at "
        "all of them.",
    ),
    "pin": Question(
        lambda word: word == "noise",
        "Four digits look like a year, a price, a house number. Noise does not need to know where the secret is.",
        "Choose the PIN in the panel. Which of the two lines came down?",
        among={"tokens": "tokens", "noise": "noise", "both": "both", "neither": "neither"},
    ),
    "group": Question(
        near(10.0, 0.01),
        "Ten lines are ten times the distance. A promise about lines is a weaker promise about people.",
        "How far apart are the two texts, with and without this person, counted in lines?",
    ),
}
