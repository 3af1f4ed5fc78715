"""One population's way from collection to release, done for real, and what attackers get on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, anonymity, audit, dpsgd, minimise, models, pseudonyms
from privlab.anonymity import Grouped
from privlab.experiments import _consent_work as asking
from privlab.experiments import _shadows
from privlab.experiments._consent_work import DELTA, STEPS
from privlab.experiments._waiting import elsewhere
from privlab.flow import Flow

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

DATASET = "adult"
PURPOSE = "research"
MODEL = models.CATALOGUE["dp-sgd-logistic"]
PROBED = 2000  # people whose token somebody tries to read backwards
WORLDS, WIDTH = 1024, 64  # models with the planted person, and as many without; so many in one go
AROUND, LOUD = 200, 8  # people beside the planted one, and the norm of that one's row


@dataclass(frozen=True)
class Way:
    """What is done to the people's data before anything is learned.

    Attributes
    ----------
    share, odds, withdrawn : float
        As in the experiment "consent".
    by : str
        What the yes depends on.
    columns : tuple of str
    level, k : int
        Coarseness, and the fewest people who must look alike.
    """

    share: float
    odds: float
    withdrawn: float
    by: str
    columns: tuple[str, ...]
    level: int
    k: int


@dataclass(frozen=True, eq=False)
class Repeat:
    """One time that everybody was asked and a model trained.

    Attributes
    ----------
    flow : Flow
    agreed, used : bool (training people,)
    table : Grouped
        The people of the table that is kept, in groups that look alike, with their answer.
    right : bool (test people,)
        Whether the private model is right about each.
    """

    flow: Flow
    agreed: Array
    used: Array
    table: Grouped
    right: Array


@lru_cache(maxsize=2)
def _encoded(data: Dataset) -> dict[str, Array]:
    return minimise.encoded(data, data.X_train)


def known(data: Dataset, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the columns that a stranger may know of a person."""
    return tuple(name for name in columns if name in anonymity.KNOWN[data.name])


@lru_cache(maxsize=12)
def _alike(data: Dataset, columns: tuple[str, ...], level: int) -> Array:
    """Each training person's group of those who look like them."""
    told = minimise.coarse(data, columns, level) if columns else []
    return anonymity.alike([one.codes(_encoded(data)[one.column.name]) for one in told], len(data.X_train))


@lru_cache(maxsize=12)
def _features(data: Dataset, columns: tuple[str, ...], level: int) -> tuple[Array, Array]:
    return tuple(minimise.features(data, X, columns, level) for X in (data.X_train, data.evaluation[0]))  # type: ignore[return-value]


def prepare(data: Dataset, way: Way, number: int, seed: int) -> tuple[Flow, Array, Array, Grouped]:
    """Ask everybody, keep those who agree, and leave out whoever too few look like."""
    rng = np.random.default_rng([seed, number])
    asked = asking.ask(data, asking.Asking(way.share, way.odds, way.by, PURPOSE, "none", way.withdrawn), rng)
    rows = np.flatnonzero(asked.agreed)
    whole = Grouped.make(
        [_alike(data, known(data, way.columns), way.level)[rows]], data.y_train[rows].astype(np.int64), 2
    )
    table, gone = whole.at_least(way.k)
    used = np.zeros(len(data.X_train), bool)
    used[rows[whole.sizes[whole.of] >= way.k]] = True
    return asked.flow.then("used", table.rows, too_few_alike=gone), asked.agreed, used, table


@lru_cache(maxsize=24)
def _remembered(data: Dataset, way: Way | None, epsilon: float, seed: int) -> dict[int, Repeat | Array]:
    return {}


def learn(data: Dataset, way: Way, epsilon: float, seed: int, number: int) -> Iterator[Repeat | None]:
    """Go the whole way once and train a private model at its end; None while it takes time."""
    kept = _remembered(data, way, epsilon, seed)
    if number not in kept:
        flow, agreed, used, table = prepare(data, way, number, seed)
        yield None
        right = np.zeros(0)
        X, test = _features(data, way.columns, way.level)
        for item in _train(data, X[used], data.y_train[used], test, epsilon, (seed, number)):
            yield None
            right = right if item is None else item
        kept[number] = Repeat(flow, agreed, used, table, right)
    yield kept[number]  # type: ignore[misc]


def learn_raw(data: Dataset, seed: int, number: int) -> Iterator[Array | None]:
    """Whom a model is right about that learned from everybody and everything, without noise."""
    kept = _remembered(data, None, 0.0, seed)
    if number not in kept:
        right = np.zeros(0)
        for item in _train(data, data.X_train, data.y_train, data.evaluation[0], None, (seed, number)):
            yield None
            right = right if item is None else item
        kept[number] = right
    yield kept[number]  # type: ignore[misc]


def _train(
    data: Dataset, X: Array, y: Array, test: Array, epsilon: float | None, seed: tuple[int, int]
) -> Iterator[Array | None]:
    """Whether a model of these people is right about each test person; one of nobody always says the first class."""
    truth = data.evaluation[1] == 1
    if not len(X):
        yield ~truth
        return
    rows, rate = dpsgd.TrainingData.make(X, y, "logistic", units=len(X)), asking.rate(len(X))
    sigma = 0.0
    if epsilon is not None:
        sigma = accounting.noise_multiplier(epsilon=epsilon, sampling_rate=rate, steps=STEPS, delta=DELTA)
    plan = MODEL.plan(rows, np.array([sigma]), np.ones(1), rate, STEPS)
    for item in dpsgd.sweep(rows, plan, [seed], partial(_right, test, truth)):
        yield None if item is None else item[1][0]


def _right(X: Array, truth: Array, weights: dpsgd.Weights) -> Array:
    right: Array = (weights.decision(X)[:, 0] > 0) == truth
    return right


@lru_cache(maxsize=4)
def reversed_share(way: str) -> float:
    """Of `PROBED` made-up customer numbers, the share that a dictionary of all numbers reads back.

    The attacker knows the format and that numbers are hashed by SHA-256, and has no key.
    """
    numbers = [f"{number:06d}" for number in range(PROBED)]
    if way == "kept":
        return 1.0
    if way == "hash":
        made = [pseudonyms.plain_hash(number) for number in numbers]
    else:
        key = pseudonyms.Key.fresh()
        made = [key.token("customer", number) for number in numbers]
    back = {pseudonyms.plain_hash(number): number for number in numbers}
    return float(np.mean([back.get(token) == number for token, number in zip(made, numbers, strict=True)]))


@dataclass(frozen=True)
class Audit:
    """What models tell of a planted person.

    Attributes
    ----------
    bound : Bound
        How large ε must at least be.
    right, trials : int
        Models judged, and of how many an attacker says rightly whether the person was in: with a threshold halfway
        between the two worlds' means, taken from the other models.
    """

    bound: audit.Bound
    right: int
    trials: int


@lru_cache(maxsize=32)
def _audits(data: Dataset, epsilon: float, seed: int) -> list[Audit]:
    return []


def audited(data: Dataset, epsilon: float, seed: int) -> Iterator[Audit | None]:
    """Plant a person in the private trainer's data, or not, many times, and see how well models tell; None meanwhile.

    The trainer takes everybody in each of its steps here, which its attacker sees best; at an ε of infinity it adds no
    noise.
    """
    done = _audits(data, epsilon, seed)
    if not done:
        sigma = 0.0 if np.isinf(epsilon) else _shadows.noise(epsilon, STEPS)
        wide = np.zeros((AROUND + 1, data.X_train.shape[1] + 1), np.float32)
        wide[:AROUND, :-1], wide[AROUND, -1] = data.X_train[:AROUND], LOUD
        y = np.append(data.y_train[:AROUND], 1)
        count = 64 if sigma == 0 else WORLDS
        scores: tuple[list[Array], list[Array]] = ([], [])
        for world, found in enumerate(scores):
            rows = dpsgd.TrainingData.make(wide[: AROUND + world], y[: AROUND + world], "logistic", units=AROUND)
            plan = MODEL.plan(rows, np.full(WIDTH, sigma), np.ones(WIDTH), 1.0, STEPS)
            seeds = [(seed, world, place) for place in range(0, count, WIDTH)]
            for item in dpsgd.sweep(rows, plan, seeds, lambda weights: weights.first[-2]):
                yield None
                if item is not None:
                    found.append(item[1])
        without, with_ = (np.concatenate(found).astype(float) for found in scores)
        middle = (without[::2].mean() + with_[::2].mean()) / 2
        right = int(np.sum(without[1::2] < middle) + np.sum(with_[1::2] >= middle))
        bound = yield from elsewhere(lambda: audit.lower_bound(without, with_, delta=DELTA))
        done.append(Audit(bound, right, count))
    yield done[0]
