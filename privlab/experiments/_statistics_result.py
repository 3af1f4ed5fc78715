"""What repeated releases of a statistic found: how far from the truth, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.experiments import _statistics_data as data
from privlab.experiments import _statistics_release as release
from privlab.experiments._statistics_data import Floats, Rows
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.experiments.statistics import Settings

BINS = 10
PERCENTS = np.geomspace(1, 100, 121)


@dataclass(frozen=True)
class Curve:
    """What to expect of a sum, a mean or a count for every upper bound, by formula.

    Attributes
    ----------
    percent : float (K,)
        Upper bounds in percent of the public range, rising; `percent[held]` is the one of the settings.
    upper, expected, deviation, noise_sum : float (K,)
        The bound and the average release in units of the column; the standard deviation of a release (of a mean to
        first order in the noise of the count); the scale of the sum's noise in steps.
    noise_count : float
        Scale of the count's noise.
    half : float (K,)
        95 in 100 releases are this close to the average release.
    truth : float, or float (K,) for a count
        Of all rows, in their full range.
    sampling : float
        Standard error of the truth itself, if these people stand for many more.
    """

    percent: Floats
    held: int
    upper: Floats
    expected: Floats
    deviation: Floats
    noise_sum: Floats
    noise_count: float
    half: Floats
    truths: Floats
    sampling: float

    @classmethod
    def make(cls, s: Settings, rows: Rows) -> Curve:
        """Work the formulas out for the settings."""
        percent = np.append(PERCENTS[~np.isclose(PERCENTS, s.upper, rtol=1e-3)], s.upper)
        order = np.argsort(percent, kind="stable")
        percent, held = percent[order], int(np.flatnonzero(order == len(order) - 1)[0])
        upper = np.array([rows.bound(one) for one in percent], np.int64)
        lower = np.minimum(rows.bound(s.lower), upper)
        n = len(rows.values)
        share = 2 if s.statistic == "mean" else 1  # a mean spends half on its sum and half on its count
        epsilon, delta, kept = s.epsilon / share, s.delta / share, s.kept
        noise_count = release.scale(s.mechanism, epsilon, delta, kept)
        reach = np.maximum(1, np.maximum(np.abs(lower), np.abs(upper)))
        noise_sum = np.asarray(release.scale(s.mechanism, epsilon, delta, 1) * kept * reach, np.float64)
        if s.statistic == "count":
            expected = rows.counted(upper).astype(float)
            truths = np.searchsorted(rows.all_values, (upper + 0.5) * rows.step, "right").astype(float)
            a, b, sampling = np.full(len(upper), noise_count), np.zeros(len(upper)), 0.0
        else:
            at = rows.bound(s.lower)
            sums = np.where(upper >= at, rows.clamped_sum(at, np.maximum(upper, at)), upper * n) * rows.step
            total = float(rows.all_values.sum())
            if s.statistic == "sum":
                expected, truths = sums, np.full(len(upper), total)
                a, b, sampling = noise_sum * rows.step, np.zeros(len(upper)), rows.sampling[1]
            else:
                expected, truths = np.asarray(sums / n, np.float64), np.full(len(upper), total / len(rows.all_values))
                a, b = noise_sum * rows.step / n, np.abs(expected) * noise_count / n
                sampling = rows.sampling[0]
        of = release.deviation(s.mechanism, 1.0)
        deviation = np.asarray(of * np.hypot(a, b), np.float64)
        half = _half_laplace(a, b) if s.mechanism == "laplace" else 1.959964 * deviation
        return cls(
            percent,
            held,
            np.asarray(upper * rows.step, np.float64),
            expected,
            deviation,
            noise_sum,
            noise_count,
            half,
            truths,
            sampling,
        )

    @property
    def truth(self) -> Floats:
        """The true value at the bound that is held."""
        return np.array(self.truths[self.held])

    @property
    def bias(self) -> Floats:
        """The average release less the truth."""
        return np.asarray(self.expected - self.truths)

    @property
    def error(self) -> Floats:
        """Root mean squared error of a release: bias and noise together."""
        return np.hypot(self.bias, self.deviation)

    @property
    def best(self) -> int:
        """Where the error is least. It depends on every row: knowing it is a leak."""
        return int(np.argmin(self.error))


def _half_laplace(a: Floats, b: Floats) -> Floats:
    """The t with P(|X + Y| > t) = 0.05 for Laplace noise of scales a and b."""
    b = np.where(np.isclose(a, b, rtol=1e-6), b * (1 - 1e-5), b)
    low, high = np.zeros_like(a), 20 * (a + b) + 1e-300
    for _ in range(40):
        t = (low + high) / 2
        beside = b**2 * np.exp(-t / np.where(b > 0, b, 1)) * (b > 0)
        tail = (a**2 * np.exp(-t / a) - beside) / (a**2 - b**2)
        low, high = np.where(tail > 0.05, t, low), np.where(tail > 0.05, high, t)
    return np.asarray(high)


@dataclass(frozen=True)
class Result:
    """Fresh releases beside the truth.

    Attributes
    ----------
    settings : Settings
    released : float (R,), or (R, bins) of a histogram
        Each made by OpenDP with the system's entropy.
    truths : float, or float (bins,)
        The true value: shown for teaching, no part of any release.
    curve : Curve, or None
        What to expect for every bound; for a sum, a mean or a count.
    progress : float in [0, 1]
    """

    settings: Settings
    released: Floats
    truths: Floats
    curve: Curve | None
    progress: float

    @property
    def count(self) -> int:
        """Releases."""
        return len(self.released)

    @property
    def rows(self) -> Rows:
        """The rows behind the releases."""
        return data.rows(self.settings.dataset, self.settings.column, self.settings.kept)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound in units of the column."""
        rows, s = self.rows, self.settings
        upper = rows.bound(s.upper)
        return min(rows.bound(s.lower), upper) * rows.step, upper * rows.step

    @property
    def edges(self) -> Floats:
        """Of a histogram's bins: float (bins + 1,); the first and the last bin take in what lies beyond."""
        return np.linspace(*self.bounds, BINS + 1)

    @property
    def parts(self) -> tuple[float, float]:
        """(bias, standard deviation): by formula where there is one, otherwise as the releases show it."""
        if self.curve is not None:
            return float(self.curve.bias[self.curve.held]), float(self.curve.deviation[self.curve.held])
        return float((self.released - self.truths).mean()), float(np.sqrt(self.released.var(axis=0).mean()))

    @property
    def within(self) -> float:
        """95 in 100 releases, or bars, are this close to the truth, as they show it."""
        return float(np.quantile(np.abs(self.released - self.truths), 0.95))

    def frame(self) -> pd.DataFrame:
        """One row a release (of a histogram: a release and bin), beside the truth and the settings."""
        s, (lower, upper) = self.settings, self.bounds
        each = self.released.size // self.count
        table: dict[str, Any] = {"release": np.repeat(np.arange(self.count), each), "statistic": s.statistic}
        table |= {"column": s.column, "epsilon": s.epsilon, "lower": lower, "upper": upper}
        if s.statistic == "histogram":
            table |= {"from": np.tile(self.edges[:-1], self.count), "to": np.tile(self.edges[1:], self.count)}
        table |= {"truth": np.tile(self.truths.ravel(), self.count), "released": self.released.ravel()}
        return pd.DataFrame(table)

    def summary(self) -> pd.DataFrame:
        """The parts of the error, in units of the statistic."""
        bias, noise = self.parts
        measured = math.sqrt(float(((self.released - self.truths) ** 2).mean()))
        lines = [
            ("bias: what bounds and dropped rows change", bias),
            ("noise: standard deviation", noise),
            ("expected error: root of bias² + noise²", math.hypot(bias, noise)),
            (f"measured error of {self.count:,} releases", measured),
        ]
        if self.curve is not None:
            c = self.curve
            lines += [("95 in 100 releases are this close to the average release", float(c.half[c.held]))]
            if self.settings.statistic != "count":
                lines += [
                    ("sampling: if these people stand for many more", c.sampling),
                    ("expected error at the best bound (found by peeking)", float(c.error[c.best])),
                    ("the best bound (found by peeking)", float(c.upper[c.best])),
                ]
        return pd.DataFrame(lines, columns=["", "value"])

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε on screen rests on, and what it leaves out."""
        s, step, (lower, upper) = self.settings, self.rows.step, self.bounds
        unit = datasets.card(s.dataset).unit
        words = [
            f"Protected is one {unit}, with at most {s.kept} row{'s' * (s.kept > 1)} kept (the first ones): two data "
            f"sets are neighbours if one has one {unit} more (symmetric distance {s.kept}). ε is for one release.",
            f"Values are counted in whole steps of {step:g}, which is public, so the noise is whole numbers too and "
            "exact: OpenDP's discrete noise, with the system's entropy. OpenDP's own account is held against ε.",
        ]
        if s.statistic == "mean":
            words.append(
                "The mean is a noisy sum over a noisy count, each with half of ε: the number of rows is private."
            )
        if s.statistic == "quantile":
            words.append(f"OpenDP's private quantile picks among {data_words(lower)} to {data_words(upper)}, "
                         "101 values declared beforehand; δ = 0.")  # fmt: skip
        if s.statistic == "histogram":
            words.append("The bins are declared beforehand. One person's rows may all fall into one bin.")
        words += [
            f"δ = {s.delta:g}." if s.mechanism == "gaussian" else "δ = 0: the promise has no exceptions.",
            "The truth, the error, the average release and the best bound are shown for teaching: each reads the "
            "private rows, and none of that is paid for. Whoever publishes them breaks the promise.",
            "Every further release costs its ε again: the cloud on the picture is a look behind the scenes.",
        ]
        return tuple(words)

    @property
    def sentence(self) -> str:
        """How far a release is from the truth, and why."""
        s, (lower, upper) = self.settings, self.bounds
        card = datasets.card(s.dataset)
        title, column = card.short, card.call(s.column)
        put = (
            f"With ε = {s.epsilon:.3g}, upper bound = {s.upper:.3g} % of the public range ({data_words(upper)}) and "
            f"lower bound = {s.lower:.3g} % ({data_words(lower)})"
        )
        if s.statistic == "histogram":
            return (
                f"{put}, 95 in 100 bars of a private histogram of {column} ({title}) are within "
                f"±{data_words(self.within)} rows of the truth. Small bars drown first: the noise is as large for them "
                "as for tall ones."
            )
        truth = float(self.truths)
        what = {
            "quantile": "median" if s.quantile == 0.5 else f"{s.quantile:.3g} quantile",
            "count": "count of rows up to the bound",
        }
        name = what.get(s.statistic, s.statistic)
        relative = f" ({100 * self.within / abs(truth):.2g} % of it)" if truth else ""
        words = [
            f"{put}, 95 in 100 private releases of the {name} of {column} ({title}) are within "
            f"±{data_words(self.within)} of the truth, {data_words(truth)}{relative}."
        ]
        bias, noise = self.parts
        if s.statistic == "count":
            words.append("All of that is noise: a bound cuts nothing off a count.")
        elif abs(bias) > 2 * noise:
            words.append(f"Nearly all of that is bias ({data_words(bias)}): the bounds change too many values.")
        elif abs(bias) > noise / 2:
            words.append(f"Bias ({data_words(bias)}) and noise (±{data_words(noise)}) both matter.")
        else:
            words.append(f"Nearly all of that is noise (standard deviation {data_words(noise)}), not bias.")
        if self.curve is not None and s.statistic != "count":
            c = self.curve
            more = c.error[c.held] / c.error[c.best] - 1
            words.append(
                f"The best upper bound, {data_words(float(c.upper[c.best]))}, would have an error "
                + (f"{data_words(float(1 + more))} times smaller" if more > 0.05 else "no more than 5 % smaller")
                + "; finding it peeks at the private rows."
            )
            if c.sampling > 0:
                words.append(f"Other people like these would move the truth itself by about {data_words(c.sampling)}.")
        return " ".join(words)


def data_words(value: float) -> str:
    """A number as people read it: 12,300 or 0.0123."""
    if value == 0:
        return "0"
    if abs(value) < 1000:
        return f"{value:.3g}"
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if abs(value) < 1e9 else f"{value:.3g}"
