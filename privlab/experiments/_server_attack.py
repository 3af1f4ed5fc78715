"""What a server can read from a gradient that a client sends, and what is left of it under masks and noise.

For a linear model a person's gradient is residual · [record, 1], so the record is the gradient divided by its last
entry, exactly. Of several people's gradients only the sum arrives. The server here knows what people are like in
general (each column's values, from other people) and takes for each column what is likeliest given what arrived, with
everybody else in the sum, and the noise, as Gaussian: it reads one person whole, and never does much worse than
guessing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab.secure_aggregation import Coding, aggregate

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

CODING = Coding(bits=32, fraction=16)
GRID = np.linspace(-1, 1, 201)  # values of a scaled number that are told apart
RARE = 1e-6  # prior of a value that nobody known has
EXACT = 1e-5  # what rounding leaves of a number, at least


@dataclass(frozen=True, eq=False)
class Table:
    """People, and what anybody knows of people in general.

    Attributes
    ----------
    names : tuple of str
        The columns, the one to predict last.
    X, y, codes
        The people to attack: encoded records, labels, and records as the place of each column's value.
    priors : tuple of float (values,)
        How common each value of a column is among other people.
    values : tuple of float (values, features)
        How a column's values are encoded.
    blocks : tuple of slice
        Where its features stand in a record.
    share : float
        Of label 1 among other people.
    mean, variance : float (d + 1,)
        Of other people's gradients.
    gradients : float (people, d + 1)
        Other people's gradients themselves.
    """

    names: tuple[str, ...]
    X: Array
    y: Array
    codes: Array
    priors: tuple[Array, ...]
    values: tuple[Array, ...]
    blocks: tuple[slice, ...]
    share: float
    mean: Array
    variance: Array
    gradients: Array

    def read(self, guess: tuple[Array, Array], people: Array) -> Array:
        """Which columns of the people (n,) a guess has right: bool (n, columns)."""
        codes, labels = guess
        return np.column_stack([codes == self.codes[people], labels == self.y[people]])


@cache
def table(dataset: Dataset) -> Table:
    """The people of a data set: the training rows are attacked, the others are what the server knows."""
    names, blocks, priors, values, codes, start = [], [], [], [], [], 0
    for column in dataset.schema.columns:
        block = slice(start, start + len(column.features))
        start = block.stop
        encoded = np.eye(len(column.features)) if column.categories else GRID[:, None]
        known, own = (_places(X[:, block], column.categories) for X in (dataset.evaluation[0], dataset.X_train))
        counts = np.bincount(known, minlength=len(encoded)) + RARE
        names.append(column.name)
        blocks.append(block)
        values.append(encoded)
        priors.append(counts / counts.sum())
        codes.append(own)
    X, y = dataset.evaluation
    each = gradients(X[:, None], y[:, None])
    return Table(
        (*names, dataset.schema.target.name), dataset.X_train, dataset.y_train, np.column_stack(codes), tuple(priors),
        tuple(values), tuple(blocks), float(y.mean()), each.mean(axis=0), each.var(axis=0), each,
    )  # fmt: skip


def _places(features: Array, categories: tuple[Any, ...]) -> Array:
    if categories:
        return np.asarray(features.argmax(axis=1))
    return np.rint((features[:, 0] + 1) / 2 * (len(GRID) - 1)).astype(int)


def gradients(X: Array, y: Array) -> Array:
    """Mean logistic gradients (…, d + 1) at the zero model of each client's people X (…, people, d), y (…, people)."""
    residual = (0.5 - y) / y.shape[-1]
    return np.concatenate([np.einsum("...p,...pd->...d", residual, X), residual.sum(axis=-1)[..., None]], axis=-1)


def guess(table: Table, vectors: Array, *, people: int, others: int, scale: float, noise: float) -> tuple[Array, Array]:
    """The likeliest value of each column (n, columns − 1), and label (n,), of one person in each vector (n, d + 1).

    Parameters
    ----------
    vectors : float (n, d + 1)
        Sums of mean gradients of clients, as they arrive.
    people : int
        How many people a client's mean is of.
    others : int
        How many people are in a sum besides that one.
    scale : float
        How much clipping shortens a client's gradient, about.
    noise : float
        Standard deviation of the noise on each number.
    """
    weight = scale / people
    left = vectors - others * weight * table.mean
    variance = others * weight**2 * table.variance + noise**2 + EXACT**2
    chances, found = [], []
    for label, prior in ((0, 1 - table.share), (1, table.share)):
        residual = weight * (0.5 - label)
        chance = math.log(prior) - (left[:, -1] - residual) ** 2 / (2 * variance[-1])
        places = []
        for block, values, common in zip(table.blocks, table.values, table.priors, strict=True):
            apart = left[:, None, block] - residual * values
            scores = np.log(common) - (apart**2 / (2 * variance[block])).sum(axis=-1)
            places.append(scores.argmax(axis=1))
            top = scores.max(axis=1)
            chance = chance + top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
        chances.append(chance)
        found.append(np.column_stack(places))
    labels = np.argmax(chances, axis=0)
    return np.where(labels[:, None] == 1, found[1], found[0]), labels


def shorten(vectors: Array, clip_norm: float) -> Array:
    """Vectors (…, d + 1) no longer than C."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    short: Array = vectors * np.minimum(1, clip_norm / np.maximum(norm, 1e-30))
    return short


def shortened(table: Table, people: int, clip_norm: float) -> float:
    """How much clipping to C shortens the gradient of a client of other people, on average."""
    number = max(1, min(200, len(table.gradients) // people))
    means = table.gradients[: number * people].reshape(number, people, -1).mean(axis=1)
    return float(np.minimum(1, clip_norm / np.maximum(np.linalg.norm(means, axis=1), 1e-30)).mean())


def masked(vectors: Array, seed: tuple[int, ...]) -> Array:
    """What arrives in one round of secure aggregation of vectors (N, d + 1): uint64 codes (N, d + 1).

    The keys come from the seed, so that a picture can be drawn again; a real round takes the system's entropy.
    """
    number = len(vectors)
    codes = [CODING.encode(one, number) for one in vectors]
    bytes_from = np.random.default_rng(seed).bytes
    done = aggregate(codes, threshold=threshold(number), coding=CODING, entropy=bytes_from)
    if not (done.total == CODING.wrap(np.asarray(np.sum(codes, axis=0, dtype=np.uint64)))).all():
        raise RuntimeError("The unmasked sum must equal the plain one. Got another.")
    return np.stack([done.masked[n] for n in range(number)])


def threshold(clients: int) -> int:
    """How many of the clients must be left to unmask a sum: two thirds, more than half."""
    return max(clients // 2 + 1, -(-2 * clients // 3))
