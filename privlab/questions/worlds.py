"""Questions of notebook 02, second half: what one answer gives away."""

from __future__ import annotations

import math

from privlab.explain import guess_limit
from privlab.questions import Question, near

QUESTIONS = {
    "limit": Question(
        near(100 * guess_limit(2.0), 0.01),
        "e² / (1 + e²) is 88 in 100. No cleverness, computing power or knowledge of others gets past that.",
        "Set ε to 2; the last number in the sentence is rounded up from what is asked for.",
    ),
    "epsilon": Question(
        lambda given: 0.5 <= given <= math.log(3) / 2 + 1e-9,
        "An ε of about a half: three right guesses for two wrong ones and a little more.",
        "Look for the largest ε at which the sentence allows nobody more than 63 in 100.",
    ),
    "digits": Question(
        lambda word: word == "numpy",
        "The last digits of a sum of floating-point numbers tell how large its parts were. That takes noise made with "
        "care, not more noise.",
        "Look at the two rows about last digits: which of them is beyond what ε allows?",
        among={"numpy": "NumPy's noise", "opendp": "OpenDP's noise", "both": "both", "neither": "neither"},
    ),
}
