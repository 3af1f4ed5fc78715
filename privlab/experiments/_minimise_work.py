"""What collecting less does: models trained on fewer columns or younger rows, and what an attacker finds there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, anonymity, dpsgd, minimise, models, uncertainty
from privlab.anonymity import Grouped

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

STEPS, DELTA = 60, 1e-5
TOGETHER = 2  # trainings between two results
KS = (1, 2, 3, 5, 10, 20, 50, 100)
# A second secret of each set, beside what its model predicts, and whether its values have an order.
OTHER = {
    "adult": ("occupation", False),
    "credit": ("EDUCATION", False),
    "german": ("savings", False),
    "rand": ("health", True),
}
Task = tuple[tuple[str, ...], int, int]  # columns, level, and years that a row may be old (0: any age)


@dataclass(frozen=True, eq=False)
class Band:
    """A line and its 95 % interval: shares (K,); NaN where there is nobody to tell of."""

    mean: Array
    low: Array
    high: Array

    @classmethod
    def around(cls, mean: Array, half: Array | float) -> Band:
        """An interval within [0, 1]."""
        return cls(np.asarray(mean), np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1))


def tested(data: Dataset) -> int:
    """People that the test split tells of: what its sampling error is reckoned from."""
    return min(len(data.evaluation[1]), data.n - data.n_train)


def accuracy(data: Dataset, scores: Array) -> Band:
    """Accuracies (trainings, K): what other trainings and other test people would show, in one interval."""
    found = uncertainty.estimate(scores)
    people = 1.96 * np.sqrt(found.mean * (1 - found.mean) / tested(data))
    return Band.around(found.mean, np.sqrt(found.band**2 + people**2))


@lru_cache(maxsize=60)
def layout(data: Dataset, task: Task) -> tuple[dpsgd.TrainingData, Array]:
    """Rows to train on, and features to test on."""
    columns, level, years = task
    stay = minimise.young(data, data.X_train, years) if years else np.ones(len(data.X_train), bool)
    people = None if data.people_train is None else data.people_train[stay]
    units = len(np.unique(people)) if years and people is not None else data.n_train
    X = minimise.features(data, data.X_train[stay], columns, level)
    train = dpsgd.TrainingData.make(X, data.y_train[stay], "logistic", people=people, units=units)
    return train, minimise.features(data, data.evaluation[0], columns, level)


@lru_cache(maxsize=24)
def remembered(data: Dataset, tasks: tuple[Task, ...], epsilon: float, seed: int) -> dict[int, Array]:
    """Scores (2, tasks) by training number, filled as they come: other sliders than these need no new training."""
    return {}


def train(data: Dataset, tasks: tuple[Task, ...], epsilon: float, seed: int, count: int) -> Iterator[Array | None]:
    """Accuracies (trainings, 2, tasks), with noise and without, more each time; None while it takes time."""
    known = remembered(data, tasks, epsilon, seed)
    rate = dpsgd.usual_rate(data.n_train)
    sigma = accounting.noise_multiplier(epsilon=epsilon, sampling_rate=rate, steps=STEPS, delta=DELTA)
    while True:
        there = min(len(known), count)  # another panel may have filled some in meanwhile
        if there:
            yield np.stack([known[number] for number in range(there)])
        if there == count:
            return
        numbers = range(there, min(there + TOGETHER, count))
        found = np.empty((len(numbers), 2, len(tasks)))
        sweeps = []
        for task in tasks:  # a training runs on its thread while the next one's rows are laid out
            rows, X = layout(data, task)
            plan = models.CATALOGUE["dp-sgd-logistic"].plan(rows, np.array([sigma, 0.0]), np.ones(2), rate, STEPS)
            sweep = dpsgd.sweep(rows, plan, [(seed, number) for number in numbers], partial(_score, data, X))
            sweeps.append(chain([next(sweep)], sweep))
            yield None
        for place, begun in enumerate(sweeps):
            for item in begun:
                if item is None:
                    yield None
                else:
                    found[item[0][1] - numbers.start, :, place] = item[1]
        known.update(zip(numbers, found, strict=True))


def _score(data: Dataset, X: Array, weights: dpsgd.Weights) -> Array:
    return models.score(data, models.batched_losses(data, weights.decision(X)))


@lru_cache(maxsize=4)
def _people(data: Dataset) -> tuple[dict[str, Array], Array, int]:
    """One row of each person in the table and then the test rows: columns, targets, and how many are in the table."""
    rows = minimise.one_row_each(data.people_train, len(data.X_train))
    X = np.concatenate([data.X_train[rows], data.evaluation[0]])
    y = np.concatenate([data.y_train[rows], data.evaluation[1]]).astype(np.int64)
    return minimise.encoded(data, X), y, len(rows)


def _codes(data: Dataset, column: str, level: int) -> Array:
    one = next(one for one in data.schema.columns if one.name == column)
    return anonymity.coarse(data.name, one, level).codes(_people(data)[0][column])


@dataclass(frozen=True, eq=False)
class Linked:
    """What somebody finds who knows some columns of a person: bands over the number of columns kept.

    Attributes
    ----------
    found : Band
        The chance to pick the right person's record.
    unique : Band
        The share of people whom nobody else looks like.
    own, others : Band
        The share whose secret is guessed right: of people in the table, and of people who are not in it.
    small : (K,)
        The share in groups of fewer than k.
    """

    found: Band
    unique: Band
    own: Band
    others: Band
    sizes: tuple[Array, ...]

    def small(self, k: int) -> Array:
        """The share of people in groups of fewer than k (K,)."""
        return np.array([sizes[sizes < k].sum() / sizes.sum() for sizes in self.sizes])


@lru_cache(maxsize=16)
def linked(data: Dataset, order: tuple[str, ...], level: int) -> Linked:
    """Link people to the records that look like them, with ever more of the columns kept."""
    _, y, inside = _people(data)
    classes, key = len(data.classes), np.zeros(len(y), np.int64)
    common = int(np.bincount(y[:inside]).argmax())
    shares: list[list[tuple[float, float, float]]] = []
    sizes = []
    for column in order:
        if column in anonymity.known(data):
            key = anonymity.alike([key, _codes(data, column, level)], len(y))
        grouped = Grouped.make([key[:inside]], y[:inside], classes)
        counts = np.bincount(key[:inside] * classes + y[:inside], minlength=(key.max() + 1) * classes)
        table = counts.reshape(-1, classes)
        guess = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), common)
        right = float((guess[key[inside:]] == y[inside:]).mean())
        half = 1.96 * (right * (1 - right) / tested(data)) ** 0.5
        values = grouped.found, grouped.sizes == 1, grouped.guessed
        shares.append([*(grouped.share(one) for one in values), (right, right - half, min(right + half, 1))])
        sizes.append(grouped.sizes)
    bands = [Band(*part) for part in np.array(shares).transpose(1, 2, 0)]
    return Linked(bands[0], bands[1], bands[2], bands[3], tuple(sizes))


@dataclass(frozen=True, eq=False)
class Left:
    """What a table that is k-anonymous by suppression still tells, for each k of `KS` and the one held.

    Attributes
    ----------
    ks : int (K,)
    gone : Band
        The share of people left out.
    certain, nearly, guessed : Band
        Of those left, the share whose secret is told for sure; told to whoever can rule out one value; guessed right.
    common : float
        The share with the commonest secret.
    groups : tuple of Grouped
        The table that is left, for each k.
    secret : str
        The column.
    """

    ks: Array
    gone: Band
    certain: Band
    nearly: Band
    guessed: Band
    common: float
    groups: tuple[Grouped, ...]
    secret: str


@lru_cache(maxsize=32)
def _other(data: Dataset) -> tuple[str, bool]:
    """The other secret, and whether its values are ordered; of a table of one's own the last column declared."""
    last = data.schema.columns[-1]
    return OTHER.get(data.name) or (last.name, last.kind == "number")


def left(data: Dataset, columns: tuple[str, ...], level: int, k: int, secret: str) -> Left:
    """Group people by the columns that a stranger may know, and leave out the groups smaller than k."""
    parts, y, inside = _people(data)
    name, ordered = (data.schema.target.name, False) if secret == "answer" else _other(data)
    known = [column for column in columns if column in anonymity.known(data) and column != name]
    told = (y if secret == "answer" else parts[name].astype(np.int64))[:inside]
    values = next(len(one.categories) for one in (*data.schema.columns, data.schema.target) if one.name == name)
    whole = Grouped.make([_codes(data, column, level)[:inside] for column in known], told, values, ordered=ordered)
    ks = np.unique([*KS, k])
    groups, lines = [], []
    for one in ks:
        group, _ = whole.at_least(int(one))
        told_of = group.certain(), group.certain(1), group.guessed
        lines.append([whole.share(whole.sizes < one), *(group.share(value) for value in told_of)])
        groups.append(group)
    bands = [Band(*part) for part in np.array(lines).transpose(1, 2, 0)]
    common = float(np.bincount(told).max() / inside)
    gone, certain, nearly, guessed = bands
    return Left(ks, gone, certain, nearly, guessed, common, tuple(groups), name)
