"""Questions of notebook 08 on the gallery of broken promises."""

from __future__ import annotations

from privlab.questions import Question, near

QUESTIONS = {
    "microbatches": Question(
        near(0.5, 0.02),
        "One person turns an average around and moves the sum by 2C, so noise of σ·C is only half as loud as it looks.",
        "Choose “microbatches clipped”. By how many times C can one person move the sum? Divide σ by that.",
    ),
    "hides": Question(
        lambda given: 0 < given <= 1,
        "With C at 1 or less, σ is no less than σ·C. Whoever tests only with C = 1 never sees this bug.",
        "Choose “noise not scaled by C” and move C until the verdict on the left changes.",
    ),
    "finds": Question(
        lambda word: word == "noise",
        "Each draw by itself is faultless; only that they come twice gives them away, and the noise check sees that.",
        "Find the row “one key, two layers”: in which column is the cross?",
        among={
            "sensitivity": "how far one person moves the sum",
            "noise": "the noise itself",
            "sampling": "who joins the batches",
            "replay": "what is treated as public",
        },
    ),
    "passed": Question(
        lambda word: word == "nothing",
        "An attack that fails shows that this one fails. Only a proof covers all attacks; a check can only refute.",
        "Could a better attacker, or more trials, still find something?",
        among={
            "true": "the claim is proven",
            "nothing": "neither proven nor refuted",
            "false": "the claim is refuted",
        },
    ),
}
