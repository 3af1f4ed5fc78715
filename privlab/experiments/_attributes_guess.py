"""Guessing a hidden column: from other people's data, and with a model beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array, Weights
    from privlab.experiments._shadows import Pool

RIDGE = 0.01


@dataclass(frozen=True)
class Difference:
    """A mean and half of its 95 % interval."""

    mean: float
    half: float


def gain(right: Array, alone: Array, counted: Array) -> Difference:
    """What is guessed right (models, people) beyond what is right alone (people,), over the pairs that are counted.

    People and models are crossed: the variances of the two means add up.
    """
    more = right.astype(float) - alone
    squares = 0.0
    for axis in (0, 1):
        means = np.mean(more, axis=axis, where=counted)
        squares += means.var(ddof=1) / len(means)
    return Difference(float(np.mean(more, where=counted)), 1.96 * sqrt(squares))


def discriminant(X: Array, codes: Array, values: int, asked: Array) -> Array:
    """Log-chances (asked, values) by linear discriminant analysis, learned from X (rows, d) and codes (rows,)."""
    X = X.astype(float)
    count = np.bincount(codes, minlength=values)
    middle = (np.eye(values)[codes].T @ X + X.mean(axis=0)) / (count[:, None] + 1)
    away = X - middle[codes]
    slopes = np.linalg.solve(away.T @ away / len(X) + RIDGE * np.eye(X.shape[1]), middle.T)
    scores = asked @ slopes - np.einsum("vd,dv->v", middle, slopes) / 2 + np.log((count + 1) / (len(X) + values))
    scores -= scores.max(axis=1, keepdims=True)
    chances: Array = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return chances


@dataclass(frozen=True, eq=False)
class Guesser:
    """An attacker who knows all of a pool's people but one column.

    Attributes
    ----------
    candidates : float32 (values, people, d)
        Each person's features with each possible value.
    signs : float (people,)
        1 or -1: the known outcome.
    truth : int (people,)
    chances : float (people, values)
        The logarithms of what other people's data say.
    common : float
        How often the most common value is right.
    """

    candidates: Array
    signs: Array
    truth: Array
    chances: Array
    common: float

    @classmethod
    def make(cls, data: Dataset, pool: Pool, hidden: str) -> Guesser:
        """Learn from everybody outside the pool."""
        start = 0
        for column in data.schema.columns:
            if column.name == hidden:
                break
            start += len(column.features)
        values = len(column.features)
        place = np.arange(start, start + values)
        codes = data.X_train[:, place].argmax(axis=1)
        others = np.setdiff1d(np.arange(len(codes)), pool.rows)

        def known(rows: Array) -> Array:
            return np.column_stack([np.delete(data.X_train[rows], place, axis=1), 2 * data.y_train[rows] - 1])

        candidates = np.repeat(pool.X[None], values, axis=0)
        low, high = data.X_train[:, place].min(), data.X_train[:, place].max()
        candidates[:, :, place] = np.where(np.eye(values, dtype=bool), high, low)[:, None, :]
        chances = discriminant(known(others), codes[others], values, known(pool.rows))
        truth = codes[pool.rows]
        common = float(np.mean(truth == np.bincount(codes[others]).argmax()))
        return cls(candidates, 2.0 * pool.y - 1, truth, chances, common)

    @property
    def alone(self) -> Array:
        """Who is guessed right without any model, bool (people,)."""
        found: Array = self.chances.argmax(axis=1) == self.truth
        return found

    def fit(self, weights: Weights) -> Array:
        """The log-odds of each person's outcome with each value (models, values, people)."""
        values, people, d = self.candidates.shape
        decision = weights.decision(self.candidates.reshape(-1, d))[:, 0]
        return decision.reshape(-1, values, people) * self.signs.astype(np.float32)

    def right(self, fits: Array, joined: Array) -> Array:
        """Who is guessed right with each model, bool (models, people).

        How far a value fits better than it does in models without the person, in their standard deviations, counts as
        much as it does on average for those who are in.
        """
        out = ~joined[:, None, :]
        own = out * fits
        number = out.sum(axis=0) - out
        mean = (own.sum(axis=0) - own) / number
        spread = ((own * fits).sum(axis=0) - own * fits) / number - mean**2
        better = (fits - mean) / np.sqrt(np.maximum(spread, 1e-9))
        true = np.take_along_axis(better, self.truth[None, None, :], axis=1)[:, 0]
        weight = true[joined].mean() - true[~joined].mean()
        guess = (self.chances.T + weight * better).argmax(axis=1)
        found: Array = guess == self.truth
        return found
