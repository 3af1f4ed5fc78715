"""Questions of the notebook on noise and bounds; all on a mean of German credit's amounts at ε = 0.1."""

from __future__ import annotations

from typing import Any

from privlab.experiments import run
from privlab.questions import Question, near


def _result(**values: Any) -> Any:
    usual: dict[str, Any] = {"dataset": "german", "column": "credit_amount", "releases": 200}
    return run("statistics", **(usual | values))


def _near_best(percent: float) -> bool:
    if not 0.1 <= percent <= 100:
        return False
    curve = _result(upper=percent).curve
    return bool(curve.error[curve.held] <= 1.05 * curve.error[curve.best])


def _louder(given: float) -> bool:
    one, five = (_result(dataset="rand", column="income", statistic="sum", contributions=k).parts[1] for k in (1, 5))
    return near(five / one)(given)


def _tenth(given: float) -> bool:
    strict, loose = (_result(epsilon=epsilon).parts[1] for epsilon in (0.1, 1.0))
    return near(strict / loose)(given)


def _larger_part(word: str) -> bool:
    bias, noise = _result(upper=10).parts
    return word == ("bias" if abs(bias) > noise else "noise")


def _nearer(word: str) -> bool:
    off = {name: _result(statistic=name) for name in ("mean", "quantile")}
    share = {name: one.within / float(one.truths) for name, one in off.items()}
    return word == ("median" if share["quantile"] < share["mean"] else "mean")


QUESTIONS = {
    "tenth": Question(
        _tenth,
        why="The noise grows as 1/ε: ten times the privacy, ten times the noise.",
        hint="Open Table below the picture, and compare the noise at ε = 1 and at ε = 0.1, with the bound at 100 %.",
    ),
    "part": Question(
        _larger_part,
        why="Most amounts are cut there, so each release is far too low, however little noise it has.",
        hint="Put the upper bound at 10 % and ε back to 0.1. Is the cloud wide, or is it in the wrong place?",
        among={"bias": "the cloud stands in the wrong place", "noise": "the cloud is wide"},
    ),
    "best": Question(
        _near_best,
        why="Its typical error is no more than 5 % above the least one. It took a look at everybody's rows to know.",
        hint="ε stays at 0.1. Where are the two parts of the error, bias and noise, small together?",
    ),
    "rows": Question(
        _louder,
        why="Noise must hide a whole person, and five rows can move the sum five times as far as one.",
        hint="Compare the noise in the table with 1 and with 5 rows kept of each person, at the same ε and bound.",
    ),
    "nearer": Question(
        _nearer,
        why="Nobody's amount, however large, moves the median by more than a place in the queue.",
        hint="Compare the percentages in the two sentences below the picture, both with the bound at 100 %.",
        among={"mean": "the mean", "median": "the median"},
    ),
}
