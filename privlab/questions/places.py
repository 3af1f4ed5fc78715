"""Questions of notebook 05: where the noise is added."""

from __future__ import annotations

import math

from privlab.questions import Question, near

QUESTIONS = {
    "coin": Question(
        near(math.log(3), 0.02),
        "ln 3: whoever says the truth 3 times in 4 says it three times as often as the contrary.",
        "Divide the chance of a yes from somebody whose truth is yes by that from somebody whose truth is no; ε is the "
        "natural logarithm of that.",
    ),
    "growth": Question(
        near(10, 0.05),
        "√100: each answer has its own noise, and noises of many people cancel only as fast as a square root grows.",
        "Bring n from 300 to 30,000 and compare the errors of answers by coin in the sentence.",
    ),
    "trust": Question(
        lambda word: word == "local",
        "Nothing true ever leaves a person's hands, so there is nothing to steal and nobody to trust.",
        "Who holds the true records? Only where nobody does, the theft takes nothing true along.",
        among={"central": "noise in the model", "local": "noise in each answer"},
    ),
    "needed": Question(
        lambda given: 0 < given <= 2 * 300,
        "A few hundred people and a trusted office do as well as tens of thousands who trust nobody.",
        "Leave ε at 2 and move n to the left until noise in the model does only as well as noise in each answer "
        "does for 30,000 people.",
    ),
}
