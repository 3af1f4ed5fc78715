"""ε in human terms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

TEACHING = (
    "Teaching mode: the truth is shown, and nothing is charged. That is for public data: every look at private data "
    "would cost privacy."
)


def guess_limit(epsilon: float, delta: float = 0.0) -> float:
    """How often an attacker who starts from even odds can be right at most about one person's presence.

    (e^ε + δ)/(1 + e^ε) for an (ε, δ) output: 0.5 is a coin, 1 is certainty (Kairouz et al. 2015).
    """
    if epsilon > 700:
        return 1.0
    return min(1.0, (math.exp(epsilon) + delta) / (1 + math.exp(epsilon)))


def hit_limit(false_alarms: Array | float, epsilon: float, delta: float = 0.0) -> Array:
    """The largest share of members that any attacker can find at a share of false alarms (Kairouz et al. 2015).

    min(1, e^ε·α + δ, 1 − e^−ε·(1 − δ − α)), for worlds with and without one person. It holds for the means over many
    people, too, where each one's presence was drawn apart from the others'.
    """
    alarms, factor = np.asarray(false_alarms, float), math.exp(min(epsilon, 700))
    return np.minimum(1.0, np.minimum(factor * alarms + delta, 1 - (1 - delta - alarms) / factor))


def largest_epsilon(gain: float, delta: float = 0.0) -> float:
    """The ε up to which that attacker is right at most 0.5 + `gain` of all times: `guess_limit` turned round.

    Negative where even ε = 0 is too much, which only δ can bring about; infinity for a gain of 0.5.
    """
    if gain >= 0.5:
        return math.inf
    odds = (0.5 + gain - delta) / (0.5 - gain)
    return math.log(odds) * (1 - 1e-12) if odds > 0 else -math.inf


def odds(epsilon: float, delta: float = 0.0) -> str:
    """The guarantee as a bet: what someone who sees the result can learn about whether you are in the data."""
    return (
        f"Someone who sees the model and guesses whether you are in the data is right at most "
        f"{_in_100(guess_limit(epsilon, delta))} times in 100; a coin, 50."
    )


def _in_100(chance: float) -> str:
    """A limit in hundredths, rounded up; the closer to certainty, the finer."""
    times = 100 * chance
    finer = 1 if times <= 95 else 10 if times <= 99 else 100
    return f"{math.ceil(times * finer - 1e-9) / finer:g}"
