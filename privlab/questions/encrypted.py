"""Questions of notebook 10: computing on what nobody can read, and what that leaves open."""

from __future__ import annotations

from functools import cache

from privlab.questions import Question, near


@cache
def _fewest_bits() -> int:
    """The fewest bits kept at N = 4,096 for which predictions on Adult are stated to be off by less than 1/10,000."""
    from privlab import ckks, encrypted
    from privlab.experiments import _encrypted_tasks as tasks

    weights = encrypted.finish(tasks.trained())
    bits = range(ckks.LEAST_SCALE, ckks.MOST_SCALE)
    return next(b for b in bits if encrypted.inference_bound(ckks.Parameters(4096, b, 1), weights) < 1e-4)


def _bounded(given: float) -> bool:
    from privlab.experiments.side_by_side import WAYS

    return given == sum(way.private and not way.server.startswith("●") for way in WAYS.values())


QUESTIONS = {
    "shares": Question(
        lambda word: word == "nothing",
        "For every number there is a third share that makes it, and each is as likely as any other. No computer of the "
        "future changes that.",
        "Which numbers could the whole still be, if the third share may be anything?",
        among={"nothing": "nothing", "roughly": "about how large it is", "half": "half of its digits"},
    ),
    "packed": Question(
        near(2048, 0.001),
        "N/2 numbers fit into a ciphertext, and a column of 2,048 people costs what a column of one costs. One person "
        "more, and everything is needed twice.",
        "Below 'ring size N' the panel says how many numbers a ciphertext holds (hold the mouse over it).",
    ),
    "bits": Question(
        lambda given: given == _fewest_bits(),
        "One bit fewer, and twice the error is to be allowed for. The statement holds before anything is computed.",
        "At N = 4,096: move 'bits kept' until the error that is *stated* is below 0.0001, and no further.",
    ),
    "room": Question(
        lambda word: word == "products",
        "Every product in a row needs a prime of its own, and a small ring with many primes is easily broken.",
        "Predictions have room there, for as many people. What does a step of training do that a prediction does not?",
        among={
            "people": "there are too many people",
            "products": "it multiplies too often in a row",
            "memory": "the computer has too little memory",
        },
    ),
    "helps": Question(
        lambda word: word == "noise",
        "Only noise in what comes out can hide who went in. Encryption protects the way to it.",
        "Which of the three changes what the attacker gets to see?",
        among={"ring": "a larger ring", "bits": "more bits kept", "noise": "noise in the model"},
    ),
    "bounded": Question(
        _bounded,
        "Noise at home, and updates that are masked and noisy: ε bounds what anybody sees there. All others trust "
        "somebody, or let the model tell.",
        "Look for the rows without a full and without a half-filled circle.",
    ),
}
