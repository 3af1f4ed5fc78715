"""What is computed on ciphertexts, on Adult's people, and beside it the same in the clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import clients, datasets, dpsgd, encrypted, models
from privlab.ckks import Parameters
from privlab.encrypted import Outcome, Outcomes

if TYPE_CHECKING:
    from privlab.dpsgd import Array

TASKS = {"inference": "predictions", "sum": "a sum of updates", "training": "training steps"}
WHO = {"inference": "people", "sum": "clients", "training": "people"}
USUAL = {"inference": 100, "sum": 20, "training": 500}
STEPS, RATE = 3, 1.5
FULL = 150  # steps of a training in the clear, elsewhere in the lab
NUMBERS = ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")


@dataclass(frozen=True, eq=False)
class Task:
    """One task on real people.

    Attributes
    ----------
    plain : callable
        Computes it in the clear: the values that others are compared with.
    size : int
        Bytes that go to the server and back in the clear.
    seal : callable
        Parameters -> the computation on ciphertexts.
    updates : float (clients, d), optional
        Of the sum: what is added up.
    """

    plain: Callable[[], Array]
    size: int
    seal: Callable[[Parameters], Outcomes]
    updates: Array | None = None

    def in_the_clear(self) -> Outcome:
        """The task without encryption, timed."""
        start = time.perf_counter()
        values = self.plain()
        return Outcome(values, 0.0, time.perf_counter() - start, self.size, 0.0)


def prepare(name: str, count: int) -> Generator[None, None, Task]:
    """Lay out a task for so many people or clients; yields None while a model is trained for it."""
    if name == "sum":
        updates = client_updates(count)
        return Task(
            lambda: updates.sum(axis=0),
            updates.nbytes + updates[0].nbytes,
            lambda parameters: encrypted.encrypted_sum(parameters, updates),
            updates,
        )
    if name == "training":
        X, y = numbers(count)
        return Task(
            lambda: encrypted.polynomial_training(X, y, STEPS, RATE, X.shape[1]),
            X.nbytes + y.nbytes + X[0].nbytes,
            lambda parameters: encrypted.training(parameters, X, y, STEPS, RATE, X.shape[1]),
        )
    weights = yield from trained()
    rows = with_constant(datasets.load("adult").evaluation[0][:count])
    return Task(
        lambda: rows @ weights,
        rows.nbytes + 8 * count,
        lambda parameters: encrypted.inference(parameters, rows, weights),
    )


def with_constant(X: Array) -> Array:
    """Features with a last column of ones, in double precision."""
    return np.column_stack([X, np.ones(len(X))]).astype(float)


_model: list[Array] = []


def trained() -> Generator[None, None, Array]:
    """Weights (d + 1,) of a logistic regression on all of Adult, without noise; trained once."""
    if not _model:
        data = datasets.load("adult")
        train = dpsgd.prepare(data)
        plan = models.CATALOGUE["dp-sgd-logistic"].plan(train, np.zeros(1), np.full(1, np.inf), dpsgd.USUAL_RATE, FULL)
        for found in dpsgd.sweep(train, plan, [(0,)], lambda w: w.first.T):
            if found is None:
                yield
            else:
                _model.append(found[1][0].astype(float))
    return _model[0]


@cache
def client_updates(count: int) -> Array:
    """First updates (clients, 100) of a model with two outputs: 50 weights each, for Adult dealt at random."""
    data = datasets.load("adult")
    owner = clients.deal(data, "alike", count, 0.0, 0).owner
    X, wrong = with_constant(data.X_train), 0.5 - np.eye(2)[data.y_train.astype(int)]
    sums: Array = np.stack([X[owner == one].T @ wrong[owner == one] for one in range(count)])
    return sums.reshape(count, -1) / np.maximum(np.bincount(owner, minlength=count), 1)[:, None]


@cache
def numbers(count: int) -> tuple[Array, Array]:
    """Adult's five numbers with a constant (people, 6), and who earns more (people,)."""
    data = datasets.load("adult")
    columns = [data.feature_names.index(name) for name in NUMBERS]
    return with_constant(data.X_train[:count, columns]), data.y_train[:count].astype(float)


def worst(values: Any, truth: Array) -> float:
    """The greatest distance of a value from what it should be."""
    return float(np.abs(values - truth).max())
