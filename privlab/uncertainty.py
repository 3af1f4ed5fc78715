"""How sure we are: three sources of variation, kept apart.

Training draws its batches and noise anew each time (seeds); a person gets one release, not the mean of many; and the
test split is itself a sample of people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

LEVEL = 0.95
ENOUGH = 4  # seeds; an interval from fewer says more of Student's t than of what was seen
_EXACT = {1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645}  # Student's t at 97.5 %


@cache
def t_quantile(degrees: int) -> float:
    """Student's t at 97.5 %, to four digits: Fisher's expansion, without scipy's 0.2 s of import."""
    if degrees in _EXACT:
        return _EXACT[degrees]
    z, n = NormalDist().inv_cdf(0.5 + LEVEL / 2), degrees
    terms = (
        z,
        (z**3 + z) / 4 / n,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96 / n**2,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / n**3,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / n**4,
    )
    return sum(terms)


@dataclass(frozen=True)
class Estimate:
    """Scores of several seeds, summed up along the last axis but one.

    Attributes
    ----------
    mean : (K,)
    band : (K,)
        Half the width of the 95 % interval for the mean over seeds. NaN for one seed.
    release : (K,)
        Half the width of the 95 % interval for the score of one fresh release. NaN for one seed.
    """

    mean: Array
    band: Array
    release: Array


def estimate(scores: Array) -> Estimate:
    """Sum up scores (seeds, K)."""
    count = len(scores)
    mean = scores.mean(axis=0)
    if count < 2:
        nothing = np.full(mean.shape, np.nan)
        return Estimate(mean, nothing, nothing)
    spread = t_quantile(count - 1) * scores.std(axis=0, ddof=1)
    return Estimate(mean, spread / sqrt(count), spread * sqrt(1 + 1 / count))


def split_error(loss: Array, scale: float = 1.0) -> float:
    """Half the width of the 95 % interval that the test split's size alone leaves: loss (seeds, rows)."""
    rows = loss.mean(axis=0)
    return float(1.96 * rows.std() / sqrt(len(rows)) / scale)


@dataclass(frozen=True)
class Difference:
    """A paired comparison of two settings: score of b minus score of a.

    Attributes
    ----------
    mean, half : float
        The difference, and half of its 95 % interval.
    seeds, people : float
        The two parts of its standard error: other trainings, other test rows.
    """

    mean: float
    half: float
    seeds: float
    people: float

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return abs(self.mean) > self.half


def difference(a: Array, b: Array, scale: float = 1.0) -> Difference:
    """Compare losses a, b (seeds, rows) on the same rows and, as far as both go, the same seeds.

    Seeds and rows are crossed, so the variance of the mean is the sum of the two parts. Seeds are paired: trainings
    from one seed share their batches.
    """
    count = min(len(a), len(b))
    paired = (a[:count].astype(np.float32) - b[:count].astype(np.float32)) / scale
    per_seed, per_row = paired.mean(axis=1), paired.mean(axis=0)
    people = float(per_row.std(ddof=1) / sqrt(len(per_row)))
    if count < 2:
        return Difference(float(per_seed.mean()), float("inf"), float("inf"), people)
    seeds = float(per_seed.std(ddof=1) / sqrt(count))
    half = sqrt((t_quantile(count - 1) * seeds) ** 2 + (1.96 * people) ** 2)
    return Difference(float(per_seed.mean()), half, seeds, people)
