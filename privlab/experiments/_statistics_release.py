"""Noise for a statistic: how much upholds ε, by OpenDP's own account, and repeated fresh releases of it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from privlab.experiments._statistics_data import Floats, Ints, rows
from privlab.mechanisms import noisy

SAFE = 1 + 1e-12  # a hair more noise, so that rounding cannot carry OpenDP's account past ε


@lru_cache(maxsize=1024)
def scale(mechanism: str, epsilon: float, delta: float, sensitivity: int) -> float:
    """The noise's scale that upholds ε (with δ, for Gaussian noise) for a whole number, as OpenDP reckons it.

    Parameters
    ----------
    mechanism : {"laplace", "gaussian"}
    epsilon, delta : float
        δ is used by Gaussian noise only.
    sensitivity : int
        How far one person can move the number.

    Returns
    -------
    float
        Laplace: the scale b, standard deviation √2·b. Gaussian: the standard deviation.
    """
    if mechanism == "laplace":
        return sensitivity / epsilon * SAFE
    return sensitivity * _gaussian(epsilon, delta)


def deviation(mechanism: str, scale: float) -> float:
    """The standard deviation of noise of that scale."""
    return scale * (math.sqrt(2) if mechanism == "laplace" else 1.0)


@lru_cache(maxsize=1024)
def _gaussian(epsilon: float, delta: float) -> float:
    """Noise multiplier at (ε, δ) by OpenDP's zCDP account: a few secant steps, then rounded up."""
    log = math.log(1 / delta)
    high = 1 / (math.sqrt(2) * (math.sqrt(epsilon + log) - math.sqrt(log)))  # enough: the simple conversion from zCDP
    x, y = [math.log(high)], [math.log(spent_gaussian(high, 1, delta) / epsilon)]
    x.append(x[0] + y[0])
    for _ in range(4):
        y.append(math.log(spent_gaussian(math.exp(x[-1]), 1, delta) / epsilon))
        if abs(y[-1]) < 1e-5:
            break
        x.append(x[-1] - y[-1] * (x[-1] - x[-2]) / (y[-1] - y[-2]))
    return math.exp(x[-1]) * (1 + 1e-4)


def spent_gaussian(sigma: float, sensitivity: int, delta: float) -> float:
    """OpenDP's ε at δ of one number with discrete Gaussian noise."""
    from opendp.combinators import make_fix_delta, make_zCDP_to_approxDP
    from opendp.domains import atom_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import absolute_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    made = make_gaussian(atom_domain(T="i64"), absolute_distance(T="i64"), scale=sigma)
    return float(make_fix_delta(make_zCDP_to_approxDP(made), delta).map(sensitivity)[0])


@lru_cache(maxsize=256)
def check_sum(mechanism: str, epsilon: float, delta: float, lower: int, upper: int, kept: int, noise: float) -> None:
    """Hold OpenDP's own chain, clamp, sum, noise, against ε for a person of `kept` rows.

    Raises
    ------
    ValueError
        If the chain spends more.
    """
    from opendp.combinators import make_fix_delta, make_zCDP_to_approxDP
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import then_gaussian, then_laplace
    from opendp.metrics import symmetric_distance
    from opendp.mod import enable_features
    from opendp.transformations import then_clamp, then_sum

    enable_features("contrib")
    table = vector_domain(atom_domain(T="i64")), symmetric_distance()
    chain = table >> then_clamp((lower, upper)) >> then_sum()
    if mechanism == "laplace":
        spent = (chain >> then_laplace(noise)).map(kept)
    else:
        spent = make_fix_delta(make_zCDP_to_approxDP(chain >> then_gaussian(noise)), delta).map(kept)[0]
    if not spent <= epsilon:
        raise ValueError(f"'epsilon' must cover the release. OpenDP reckons {spent:.6g}. Got {epsilon:g}.")


def repeated(value: npt.ArrayLike, times: int, mechanism: str, noise: float) -> Ints:
    """Fresh OpenDP releases of whole numbers: int64 (times, …)."""
    exact = np.asarray(value, np.int64)
    return noisy(
        np.broadcast_to(exact, (times, *exact.shape)), "laplace" if mechanism == "laplace" else "gaussian", noise
    )


@lru_cache(maxsize=64)
def _scores(
    dataset: str, column: str, kept: int, candidates: tuple[int, ...], alpha: float
) -> tuple[Any, tuple[int, ...]]:
    from opendp.domains import atom_domain, vector_domain
    from opendp.metrics import symmetric_distance
    from opendp.mod import enable_features
    from opendp.transformations import make_quantile_score_candidates

    enable_features("contrib")
    table = vector_domain(atom_domain(T="i64")), symmetric_distance()
    score = make_quantile_score_candidates(*table, list(candidates), alpha)
    return score, tuple(score(rows(dataset, column, kept).values))


def quantiles(
    dataset: str, column: str, kept: int, candidates: tuple[int, ...], alpha: float, epsilon: float, times: int
) -> Floats:
    """Fresh private quantiles, as positions among the candidates: int64 (times,).

    OpenDP's `make_private_quantile` in its two parts: candidates are scored on the data once, then each release picks
    one by its noisy score (permute-and-flip, McKenna & Sheldon 2020), with all of ε for a person of `kept` rows.
    """
    from opendp.measurements import make_noisy_max
    from opendp.measures import max_divergence

    score, found = _scores(dataset, column, kept, candidates, alpha)
    moved = score.map(kept)
    pick = make_noisy_max(
        score.output_domain, score.output_metric, max_divergence(), scale=2 * moved / epsilon * SAFE, negate=True
    )
    if not pick.map(moved) <= epsilon:
        raise ValueError(f"'epsilon' must cover the release. OpenDP reckons {pick.map(moved):.6g}. Got {epsilon:g}.")
    scores = list(found)
    return np.array([pick(scores) for _ in range(times)])
