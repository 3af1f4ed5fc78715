"""Questions of notebook 16: a table of one's own."""

from __future__ import annotations

from privlab import accounting, datasets
from privlab.experiments import run
from privlab.experiments._own_data_result import ALL, DECLARED
from privlab.experiments._tradeoff_private import SCORE_SHARE
from privlab.questions import Question, near

COLUMNS = {
    "place": "Place: population (1000s)",
    "own": "Own place (1 left to 7 right)",
    "dole": "Dole's place (1-7)",
    "age": "Age",
}


def _matters() -> str:
    """The column that costs most when its bounds are too wide."""
    lost = run("own_data", seeds=8).lost
    return min(COLUMNS, key=lambda word: lost[COLUMNS[word]].mean)


def _near_enough(wider: float) -> bool:
    """Bounds at least twice too wide that cost at most 5 points."""
    found = run("own_data", wider=wider, seeds=8) if 2 <= wider <= 1e6 else None
    return found is not None and bool(found.estimates[ALL].mean[0] >= found.estimates[DECLARED].mean[0] - 0.05)


def _blur(given: float) -> bool:
    """Half of the 95 % interval of the noise on a score at ε = 1, in points, with ten times the people in the test."""
    noise = accounting.gaussian_noise_multiplier(epsilon=SCORE_SHARE, delta=1e-5)
    return near(100 * 1.96 * noise / (10 * len(datasets.load("votes").y_test)), 0.1)(given)


QUESTIONS = {
    "matters": Question(
        lambda word: word == _matters(),
        "Everybody knows roughly how many thousand people a city has, and it tells nothing of a vote. Care is best "
        "spent where the model looks.",
        "Look for the row whose dot has moved furthest from 'as declared'.",
        among=COLUMNS,
    ),
    "wide": Question(
        _near_enough,
        "A bound need not be exact, it need only be of the right size: twice too wide costs nothing, ten times costs "
        "everything.",
        "Move w to where the row 'all bounds' stands within 5 points of 'as declared', but no lower than 2.",
    ),
    "models": Question(
        lambda given: given == 1,
        "One model, one noised score, and that was all that was paid for. The mean, the band and the green dot of the "
        "first picture came of hundreds of free looks.",
        "Count the dots in the private picture, and read its sentence.",
    ),
    "people": Question(
        _blur,
        "The noise is on the number of right answers, and it stays the same however many there are.",
        "The noise is added to how many test people it is right about. Divide it by ten times as many people.",
    ),
    "fewest": Question(
        lambda given: given == 2,
        "Two columns tell the model all it can use, and an outsider next to nothing of who is who.",
        "Look for the fewest columns where the curve has not yet fallen by a point; the sentence says it, too.",
    ),
}
