"""One column as whole numbers of a public step: sorted once, so that any clamped sum is a few look-ups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from privlab import datasets
from privlab.columns import Column

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def column(dataset: str, name: str) -> Column:
    """The public card of a column."""
    return next(one for one in datasets.card(dataset).schema.columns if one.name == name)


def columns(dataset: str) -> tuple[str, ...]:
    """The columns of a data set that hold numbers."""
    return tuple(one.name for one in datasets.card(dataset).schema.columns if one.kind == "number")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one column that are kept: at most so many of each person's, the first ones.

    Attributes
    ----------
    step : float
        The public step that values are counted in: at most 1, and at most a thousandth of the declared range.
    low, high : int
        The declared range in steps.
    values : int64 (n,)
        In steps, sorted.
    totals : int64 (n + 1,)
        Running sums of `values`, from 0.
    all_values : float64 (m,)
        In the column's units, sorted; of all rows, also those that are not kept.
    sampling : float, float
        Standard errors of the mean, and of the sum as a share of it, if the people were drawn from many more.
    """

    step: float
    low: int
    high: int
    values: Ints
    totals: Ints
    all_values: Floats
    sampling: tuple[float, float]

    def bound(self, percent: float) -> int:
        """The place so many percent into the declared range, in steps."""
        return self.low + round((self.high - self.low) * percent / 100)

    def clamped_sum(self, lower: int, upper: npt.ArrayLike) -> Ints:
        """The sum of the kept values, each clamped to [lower, upper], for every `upper` at or above `lower`."""
        tops = np.asarray(upper, np.int64)
        below = int(np.searchsorted(self.values, lower, "left"))
        above = np.searchsorted(self.values, tops, "right")
        inside = self.totals[above] - self.totals[below]
        return np.asarray(lower * below + inside + tops * (len(self.values) - above), np.int64)

    def counted(self, upper: npt.ArrayLike) -> Ints:
        """How many kept values are at most `upper`."""
        return np.asarray(np.searchsorted(self.values, np.asarray(upper, np.int64), "right"), np.int64)


@lru_cache(maxsize=32)
def rows(dataset: str, name: str, kept: int) -> Rows:
    """Read a column, with at most `kept` rows of each person."""
    data, one = datasets.load(dataset), column(dataset, name)
    assert one.low is not None and one.high is not None  # noqa: PT018
    raw = data.raw[name].to_numpy(np.float64)
    raw = np.clip(np.where(np.isnan(raw), one.fill if one.fill is not None else one.low, raw), one.low, one.high)
    step = min(1.0, 10.0 ** (math.floor(math.log10(one.high - one.low)) - 3))
    person = data.card.person
    who = np.arange(len(raw)) if person is None else data.raw[person].factorize()[0]
    order = np.argsort(who, kind="stable")
    first = np.searchsorted(who[order], who[order], "left")
    keep = order[np.arange(len(raw)) - first < kept]
    values = np.sort(np.round(raw[keep] / step).astype(np.int64))
    totals = np.concatenate([[0], np.cumsum(values)])
    sums, counts = np.bincount(who, raw), np.bincount(who)
    mean = raw.mean()
    of_mean = math.sqrt(float(((sums - mean * counts) ** 2).sum())) / len(raw)
    of_sum = math.sqrt(float(((sums - sums.mean()) ** 2).sum()))
    low, high = round(one.low / step), round(one.high / step)
    return Rows(step, low, high, values, totals, np.sort(raw), (of_mean, of_sum))
