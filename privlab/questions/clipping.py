"""Questions of notebook 03: whose pull is cut, and who pays."""

from __future__ import annotations

from functools import cache

from privlab.questions import Question


@cache
def _cut_by_outcome() -> tuple[float, float]:
    """Shares cut at ε = 1 and C = 1, halfway through a training on Adult: of low and of high earners."""
    from privlab import experiments

    cut = experiments.run("gradient_clipping", seeds=1).cut
    low, high = cut.table["share"][:2]  # by outcome first
    return float(low), float(high)


@cache
def _quietest_cut() -> float:
    """The least C at which cutting hardly turns the mean pull: less than 10°, at ε = 1 and halfway through."""
    from privlab import experiments

    trade = experiments.run("gradient_clipping", view="direction").trade
    turned = trade.degrees.mean(axis=0)
    return float(trade.clip_norm[turned < 10].min())


QUESTIONS = {
    "times": Question(
        lambda given: abs(given - _cut_by_outcome()[1] / _cut_by_outcome()[0]) <= 0.4,
        "The rarer outcome surprises the model more often, and who surprises it pulls hard.",
        "Read both shares by outcome in the sentence, at ε = 1, C = 1 and half of the training done, and divide.",
    ),
    "turn": Question(
        lambda given: 0.8 * _quietest_cut() <= given <= 1.6 * _quietest_cut(),
        "There almost nobody is cut any more, and the mean points where it should; but the noise has grown with C.",
        "Move C to the right, at ε = 1, until the upper curve is below 10 degrees, and no further than you must.",
    ),
    "pays": Question(
        lambda word: word == "untold",
        "With 159 people in the test, chance alone moves their accuracy by several points. That does not prove that "
        "they do not pay, nor that they do.",
        "Look at the number of people in the test, and at the interval behind ±.",
        among={"yes": "they pay more", "no": "they pay less", "untold": "it cannot be told from these people"},
    ),
}
