"""Questions of notebook 04: budgets and how they add up."""

from __future__ import annotations

import math

from privlab import composition
from privlab.questions import Question, near


def _growth(given: float) -> bool:
    """Tight ε of 4 times as many unsampled steps, against once as many: little noise apart, about double."""
    ratio = composition.pld(20, 1.0, 400, 1e-5) / composition.pld(20, 1.0, 100, 1e-5)
    return abs(given - ratio) <= 0.15 * ratio


def _halves(given: float) -> bool:
    """The sampling rate at which the training of the panel's defaults costs half as much, or a little less."""
    if not 0 < given <= 1:
        return False
    half = composition.pld(1.0, 0.01, 1000, 1e-5) / 2
    return 0.9 * half <= composition.pld(1.0, given, 1000, 1e-5) <= half


def _caught(given: float) -> bool:
    """A noise multiplier at which 100 shuffled batches, claimed at ε ≤ 1, really cost more than 3."""
    if not 0.05 < given <= 100:
        return False
    claim = composition.pld(given, 0.01, 100, 1e-5)
    return claim <= 1 and composition.shuffled_at_least(given, 100, 1e-5) > 3


QUESTIONS = {
    "growth": Question(
        _growth,
        "Four times the steps, about twice the ε: what noise hides grows like a square root. Adding up would say four.",
        "Set q to 1, σ to 20 and read the tight ε at T = 100 and at T = 400. Divide.",
    ),
    "sampling": Question(
        _halves,
        "Fewer people in each step, less of everyone in the result: rarely being there is a protection of its own.",
        "With σ = 1 and T = 1,000, move q down until the tight ε is half of what it is at q = 0.01, and not much less.",
    ),
    "claim": Question(
        _caught,
        "The claim sounds strict, and it is false: the proven lower bound is several times as high.",
        "Over 'how batches are drawn', with q = 0.01: find a σ with a claim of 1 or less and a lower bound above 3.",
    ),
    "plan": Question(
        near(math.sqrt(50)),
        "√50: Gaussian noises add up like the sides of a right angle. Adding up asks for more than 50 times as much.",
        "In the plan, compare the exact noise at T = 50 queries with that of a single one.",
    ),
    "estimate": Question(
        lambda word: word == "below",
        "It leaves out what a rare but telling step can give away. An estimate is not a promise.",
        "Set σ to 0.6, q to 0.001 and T to 5,000 and look where its line ends.",
        among={"above": "above the tight bound", "below": "below the tight bound"},
    ),
}
