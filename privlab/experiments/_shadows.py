"""Shadow models: a pool of people, and many models that each learned from a random half of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, datasets, dpsgd, models
from privlab.experiments._waiting import for_the_accountant

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array, Seed, TrainingData, Weights

DELTA = 1e-5
KNOWN_STEPS = 60  # for which the shipped table answers where everybody is in each step
KINDS = {"plain": "without privacy", "private": "with privacy"}


@dataclass(frozen=True, eq=False)
class Pool:
    """People of whom each model learns from about half.

    Attributes
    ----------
    rows : int (people,)
        Their places in `X_train`.
    X : float32 (people, d)
    y : (people,)
        What models learn of them: of `flipped` people the contrary of the truth.
    flipped : bool (people,)
    training : TrainingData
    """

    rows: Array
    X: Array
    y: Array
    flipped: Array
    training: TrainingData

    @classmethod
    def draw(cls, data: Dataset, size: int, label_noise: float, seed: int) -> Pool:
        """Twice `size` people drawn from the training split; `label_noise` of 100 have a wrong label."""
        rng = np.random.default_rng([seed, 0])
        rows = rng.choice(len(data.X_train), 2 * size, replace=False)
        flipped = rng.permutation(2 * size) < round(2 * size * label_noise / 100)
        y = np.where(flipped, 1 - data.y_train[rows], data.y_train[rows])
        X = data.X_train[rows]
        return cls(rows, X, y, flipped, dpsgd.TrainingData.make(X, y, "logistic", units=size))

    def members(self, count: int, seed: int) -> Array:
        """Who is in which of `count` models: everybody by a coin of their own, bool (models, people)."""
        return np.random.default_rng([seed, 1]).random((count, len(self.rows))) < 0.5

    def signed(self, decision: Array) -> Array:
        """Raw predictions (models, people) turned so that being right is positive: the log-odds of what is true."""
        turned: Array = (2 * self.y - 1).astype(np.float32) * decision
        return turned


def check_size(size: int, dataset: str) -> None:
    """Refuse pools larger than the training split."""
    most = datasets.card(dataset).n_train // 2
    if size > most:
        raise ValueError(f"'size' must be at most {most:,}, half of the people in '{dataset}'. Got {size:,}.")


def noise(epsilon: float, steps: int) -> float:
    """σ that upholds (ε, `DELTA`) over steps that all take everybody.

    Such Gaussian steps compose to one, so σ goes as √steps and one row of the shipped table answers for all.
    """
    known = accounting.noise_multiplier(epsilon=epsilon, sampling_rate=1.0, steps=KNOWN_STEPS, delta=DELTA)
    return known * math.sqrt(steps / KNOWN_STEPS)


def ready(epsilon: float) -> Iterator[None]:
    """Wait for the accountant where the shipped table does not know ε."""
    if epsilon not in accounting.EPSILON_POSITIONS:
        yield from for_the_accountant()


def train(
    pool: Pool,
    name: str,
    members: Array,
    budget: tuple[float, float] | None,
    steps: int,
    seed: Seed,
    score: Callable[[Weights], Array],
    penalty: float = 0.0,
) -> Iterator[Array | None]:
    """Train a model for each row of `members`; yields None while it takes time, then the scores of all.

    `budget` is (ε, C); None trains without clipping and noise. `penalty` is `dpsgd.Plan`'s.
    """
    sigma, clip = (0.0, math.inf) if budget is None else (noise(budget[0], steps), budget[1])
    width = len(members)
    plan = models.CATALOGUE[name].plan(pool.training, np.full(width, sigma), np.full(width, clip), 1.0, steps)
    for item in dpsgd.sweep(pool.training, replace(plan, members=members, penalty=penalty), [seed], score):
        yield None if item is None else item[1]
