"""How far is a private statistic from the truth?"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from privlab import datasets
from privlab.experiments import _choices
from privlab.experiments import _statistics_data as data
from privlab.experiments import _statistics_release as release
from privlab.experiments._statistics_picture import Picture
from privlab.experiments._statistics_result import BINS, Curve, Result
from privlab.experiments._waiting import a_breath
from privlab.settings import Controls, choice, control

__all__ = ["FRESH", "Picture", "Result", "Settings", "run"]

FRESH = ("released",)
FIRST, FIRST_QUANTILES, BATCH = 200, 40, 200
CANDIDATES = 101
WORDS = {
    "mean": "mean",
    "sum": "sum",
    "count": "count of rows up to the bound",
    "quantile": "quantile, such as the median",
    "histogram": "histogram",
}


def _columns() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for dataset in datasets.names() for name in data.columns(dataset)))


class Settings(Controls):
    """What to release, within which bounds, and how privately."""

    epsilon: float = _choices.epsilon(
        "How much one person may change a release. Smaller is more private.", default=0.1, low=0.001, slider=(0.01, 10)
    )
    upper: float = control(
        default=100.0, label="upper bound (% of the public range)", low=0.1, high=100, slider=(1, 100), scale="log",
        ends=("cuts more", "more noise"),
        hint="Larger values are cut to this bound before they count. The noise grows with it.",
    )  # fmt: skip
    lower: float = control(
        default=0.0, label="lower bound (% of the public range)", low=0, high=90, slider=(0, 90), places=91,
        hint="Smaller values are raised to this bound. Never above the upper bound.",
    )  # fmt: skip
    statistic: str = choice(
        default="mean", label="statistic", among=lambda: tuple(WORDS), words=lambda name: WORDS[name],
        hint="What is released.",
    )  # fmt: skip
    dataset: str = _choices.data("german")
    column: str = choice(
        default="credit_amount", label="column", among=_columns, words=_choices.called,
        offered=lambda settings, name: name in data.columns(settings.dataset),
        hint="Its public range is on the data set's card.",
    )  # fmt: skip
    view: str = choice(
        default="releases", label="show", among=lambda: ("releases", "errors"),
        words=lambda name: {"releases": "the releases", "errors": "where the error comes from"}[name],
        offered=lambda settings, name: name == "releases" or settings.statistic in ("mean", "sum"),
        hint="Releases beside the truth, or their error split into its parts.",
    )  # fmt: skip
    mechanism: str = choice(
        default="laplace", label="noise", among=lambda: ("laplace", "gaussian"),
        words=lambda name: {"laplace": "discrete Laplace", "gaussian": "discrete Gaussian (with δ)"}[name],
        offered=lambda settings, name: name == "laplace" or settings.statistic != "quantile",
        hint="Values are counted in whole public steps, so the noise is whole numbers too, and exact.",
    )  # fmt: skip
    contributions: int = control(
        default=5, label="rows kept of each person", low=1, high=100, slider=(1, 10), places=10, advanced=True,
        offered=lambda settings, value: datasets.card(settings.dataset).max_rows_per_person > 1,
        hint="Further rows of a person are left out. The noise grows with the rows kept.",
    )  # fmt: skip
    quantile: float = control(
        default=0.5, label="which quantile", low=0.01, high=0.99, slider=(0.01, 0.99), places=99, advanced=True,
        offered=lambda settings, value: settings.statistic == "quantile",
        hint="0.5 is the median: half of the rows lie below.",
    )  # fmt: skip
    delta: float = control(
        default=1e-5, label="δ", low=1e-12, high=0.1, slider=(1e-9, 1e-3), scale="log", places=19, advanced=True,
        offered=lambda settings, value: settings.mechanism == "gaussian",
        hint="Gaussian noise only: the chance left outside the promise; below 1 in the number of people.",
    )  # fmt: skip
    releases: int = control(
        default=400, label="releases", low=40, high=10000, slider=(40, 2000), scale="log", places=20, advanced=True,
        hint="Each is a fresh one, with noise of its own.",
    )  # fmt: skip

    @property
    def kept(self) -> int:
        """Rows kept of each person: no more than the card says there can be."""
        return min(self.contributions, datasets.card(self.dataset).max_rows_per_person)

    def check(self) -> None:
        """Refuse a column that the data have not, and a δ too large for the people."""
        known = data.columns(self.dataset)
        if self.column not in known:
            raise ValueError(f"'column' must be among {', '.join(known)} for '{self.dataset}'. Got {self.column!r}.")
        n = datasets.card(self.dataset).n
        if self.mechanism == "gaussian" and self.delta >= 1 / n:
            raise ValueError(
                f"'delta' must be in (0, 1/n) = (0, {1 / n:.3g}) for {n:,} in '{self.dataset}'. Got {self.delta:g}."
            )
        if self.view == "errors" and self.statistic not in ("mean", "sum"):
            raise ValueError("'view' must be 'releases' unless the statistic is a mean or a sum. Got 'errors'.")
        if self.mechanism == "gaussian" and self.statistic == "quantile":
            raise ValueError("'mechanism' must be 'laplace' for a quantile, whose noise is its own. Got 'gaussian'.")

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Read a data set given as an object; leave column, view and noise to what fits where they are not given."""
        values = dict(values)
        before = base or cls()
        name = values.get("dataset")
        if isinstance(name, str) and name in datasets.names() and "column" not in values:
            known = data.columns(name)
            if before.column not in known and known:
                values["column"] = known[0]
        statistic = values.get("statistic", before.statistic)
        if statistic not in ("mean", "sum"):
            values.setdefault("view", "releases")
        if statistic == "quantile":
            values.setdefault("mechanism", "laplace")
        return values


def run(settings: Settings) -> Iterator[Result | None]:
    """Release the statistic again and again: a first Result after 200 releases (40 of a quantile), then more."""
    make = {"quantile": _quantile, "histogram": _histogram}.get(settings.statistic, _number)
    painted = -math.inf
    for number, result in enumerate(make(settings)):
        yield from a_breath(painted)
        yield result
        if number == 0:
            painted = time.perf_counter()


def _batches(settings: Settings, first: int, batch: int) -> Iterator[int]:
    left = settings.releases
    size = first
    while left > 0:
        yield min(size, left)
        left -= size
        size = batch


def _number(settings: Settings) -> Iterator[Result | None]:
    """A sum, a mean or a count."""
    s, kept = settings, settings.kept
    rows = data.rows(s.dataset, s.column, kept)
    curve = Curve.make(s, rows)
    at = curve.held
    upper, lower = rows.bound(s.upper), min(rows.bound(s.lower), rows.bound(s.upper))
    if s.statistic != "count":
        share = 2 if s.statistic == "mean" else 1
        release.check_sum(
            s.mechanism, s.epsilon / share, s.delta / share, lower, upper, kept, float(curve.noise_sum[at])
        )
    if s.statistic != "sum":  # a count is a sum of ones
        share = 2 if s.statistic == "mean" else 1
        release.check_sum(s.mechanism, s.epsilon / share, s.delta / share, 0, 1, kept, curve.noise_count)
    got: list[Any] = []
    for size in _batches(s, FIRST, BATCH):
        if s.statistic == "count":
            new = release.repeated(rows.counted(upper), size, s.mechanism, curve.noise_count).astype(float)
        else:
            sums = release.repeated(rows.clamped_sum(lower, upper), size, s.mechanism, float(curve.noise_sum[at]))
            new = sums * rows.step
            if s.statistic == "mean":
                counts = release.repeated(len(rows.values), size, s.mechanism, curve.noise_count)
                new = new / np.maximum(counts, 1)
        got.append(new)
        released = np.concatenate(got)
        yield Result(s, released, curve.truth, curve, len(released) / s.releases)


def _quantile(settings: Settings) -> Iterator[Result | None]:
    s, kept = settings, settings.kept
    rows = data.rows(s.dataset, s.column, kept)
    upper, lower = rows.bound(s.upper), min(rows.bound(s.lower), rows.bound(s.upper))
    places = tuple(np.unique(np.round(np.linspace(lower, upper, CANDIDATES)).astype(int)).tolist())
    values = np.array(places) * rows.step
    truth = np.array(np.quantile(rows.all_values, s.quantile, method="inverted_cdf"))
    got: list[Any] = []
    for size in _batches(s, FIRST_QUANTILES, FIRST_QUANTILES):
        picked = (
            release.quantiles(s.dataset, s.column, kept, places, s.quantile, s.epsilon, size)
            if len(places) > 1
            else np.zeros(size, int)
        )
        got.append(values[picked])
        released = np.concatenate(got)
        yield Result(s, released, truth, None, len(released) / s.releases)


def _histogram(settings: Settings) -> Iterator[Result | None]:
    s, kept = settings, settings.kept
    rows = data.rows(s.dataset, s.column, kept)
    upper, lower = rows.bound(s.upper), min(rows.bound(s.lower), rows.bound(s.upper))
    edges = np.linspace(lower, upper, BINS + 1)[1:-1]
    exact = np.bincount(np.searchsorted(edges, rows.values, "right"), minlength=BINS)
    truth = np.bincount(np.searchsorted(edges * rows.step, rows.all_values, "right"), minlength=BINS)
    noise = release.scale(s.mechanism, s.epsilon, s.delta, kept)  # all of a person's rows may fall into one bin
    release.check_sum(s.mechanism, s.epsilon, s.delta, 0, 1, kept, noise)  # in L1 and in L2 no further than in one bin
    got: list[Any] = []
    for size in _batches(s, 20, 20):
        got.append(release.repeated(exact, size, s.mechanism, noise).astype(float))
        released = np.concatenate(got)
        yield Result(s, released, truth.astype(float), None, len(released) / s.releases)
