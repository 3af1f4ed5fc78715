"""ε in human terms."""

from __future__ import annotations

import math


def guess_limit(epsilon: float, delta: float = 0.0) -> float:
    """How often an attacker who starts from even odds can be right at most about one person's presence.

    (e^ε + δ)/(1 + e^ε) for an (ε, δ) output: 0.5 is a coin, 1 is certainty (Kairouz et al. 2015).
    """
    if epsilon > 700:
        return 1.0
    return min(1.0, (math.exp(epsilon) + delta) / (1 + math.exp(epsilon)))


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
