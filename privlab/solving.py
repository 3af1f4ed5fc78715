"""The question turned round: not what an ε costs, but which ε is just enough."""

from __future__ import annotations

from typing import Any

from privlab.experiments import run


def solve(
    experiment: str = "tradeoff",
    *,
    min_score: float | None = None,
    max_attacker_gain: float | None = None,
    confidence: float = 0.95,
    **values: Any,
) -> Any:
    """The smallest ε found to be enough, or a clear "not reachable" and what would make it so.

    Parameters
    ----------
    experiment : str
        What is asked; "tradeoff" so far.
    min_score : float, optional
        One fresh release reaches it with probability `confidence`: accuracy, or R² for a regression. None asks for
        nothing: then the answer is the greatest ε that `max_attacker_gain` allows.
    max_attacker_gain : float, optional
        How much more often than a coin, as a share of all times, somebody may guess right whether one person is in
        the data: (e^ε + δ)/(1 + e^ε) − ½. None sets no limit.
    confidence : float
    **values
        Settings of the experiment `solve`.

    Returns
    -------
    Result
        With `.reachable`, `.epsilon` (None if not reachable), `.sentence`, `.help`, `.frame()`.

    Raises
    ------
    ValueError, TypeError
        For an experiment that it is not made for, no need at all, or a value out of its range; before any work.
    """
    if experiment != "tradeoff":
        raise ValueError(f"'experiment' must be 'tradeoff'. Got {experiment!r}.")
    if min_score is None and max_attacker_gain is None:
        raise ValueError("'min_score' or 'max_attacker_gain' must be given. Got neither.")
    gain = 0.5 if max_attacker_gain is None else max_attacker_gain
    need = {"goal": "gain"} if min_score is None else {"min_score": min_score}
    return run("solve", **need, max_attacker_gain=gain, confidence=confidence, **values)
