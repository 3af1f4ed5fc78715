"""Who says yes, and what is learned from them alone: people asked by a stated model, weighed, and trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, anonymity, consent, dpsgd, minimise, models
from privlab.flow import Flow

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

STEPS, DELTA, BATCH = 60, 1e-5, 500
CAP = 10.0  # the largest weight, of mean 1
RATES = tuple(rate for rate, steps, delta in accounting.TABLE_SETTINGS if (steps, delta) == (STEPS, DELTA))
# By what people differ in how readily they say yes: each set's column.
ROLES: dict[str, dict[str, str]] = {
    "adult": {"age": "age", "sex": "sex", "race": "race", "education": "education-num"},
    "credit": {"age": "AGE", "sex": "SEX", "education": "EDUCATION"},
    "german": {"age": "age", "sex": "status_sex"},
}
PURPOSES = {"service": 2.0, "research": 1.0, "advertising": 0.5}  # how many times the odds of a yes to research
ASKED, WITHDRAWN, TRAINED = (np.datetime64(day) for day in ("2026-01-01", "2026-02-01", "2026-03-01"))


@dataclass(frozen=True, eq=False)
class Groups:
    """People by one of the roles: names of the groups, and each person's code in training and in test."""

    names: tuple[str, ...]
    train: Array
    test: Array

    @property
    def shares(self) -> Array:
        """Of the reference population: all training people (G,)."""
        return np.bincount(self.train, minlength=len(self.names)) / len(self.train)


@lru_cache(maxsize=24)
def groups(data: Dataset, role: str) -> Groups:
    """The groups of a role; of "answer" those of the target."""
    if role == "answer":
        names = tuple(map(str, data.classes))
        return Groups(names, data.y_train.astype(np.int64), data.evaluation[1].astype(np.int64))
    name = ROLES[data.name][role]
    column = next(one for one in data.schema.columns if one.name == name)
    one = anonymity.coarse(data.name, column, 3 if column.kind == "number" else 2)
    train, test = (one.codes(minimise.encoded(data, X)[name]) for X in (data.X_train, data.evaluation[0]))
    if column.kind == "category":
        told = one.told
        assert told is not None
        words = [str(category).partition(" : ")[0] for category in told.categories]
    else:
        assert column.low is not None and column.high is not None  # noqa: PT018
        ends = [column.low, *anonymity.edges(column, 3).tolist(), column.high + 1]
        words = [f"{name} {ends[i]:.0f}–{ends[i + 1] - 1:.0f}" for i in range(len(ends) - 1)]
    return Groups(tuple(words), train, test)


@dataclass(frozen=True)
class Asking:
    """What people are asked and how they are taken to answer.

    Attributes
    ----------
    share, odds : float
        As in `consent.respond`, for research.
    by, purpose, repair : str
        The role that drives the yes; the purpose; and the margins that are set right.
    withdrawn : float
        The share of the yes that is withdrawn before the training.
    """

    share: float
    odds: float
    by: str
    purpose: str
    repair: str
    withdrawn: float


@dataclass(frozen=True, eq=False)
class Asked:
    """One time that everybody was asked.

    Attributes
    ----------
    agreed : bool (training people,)
        Who agrees when the model is trained.
    used : bool (training people,)
        Who is trained on: those who agree, thinned by their weights.
    flow : Flow
    """

    agreed: Array
    used: Array
    flow: Flow


def ask(data: Dataset, asking: Asking, rng: np.random.Generator) -> Asked:
    """Ask everybody in the training split, keep a register, and weigh those who agree."""
    driver, n = groups(data, asking.by), len(data.X_train)
    odds = PURPOSES[asking.purpose] * asking.share / (1 - asking.share) if asking.share < 1 else np.inf
    share = 1.0 if asking.share == 1 else odds / (1 + odds)
    yes, _ = consent.respond(driver.train, driver.shares, share, asking.odds, rng)
    said = np.flatnonzero(yes)
    back = said[rng.random(len(said)) < asking.withdrawn]
    register = consent.Register.empty(*PURPOSES).give(said, asking.purpose, ASKED)
    register = register.withdraw(back, asking.purpose, WITHDRAWN)
    agreed = register.allows(np.arange(n), asking.purpose, TRAINED)
    used = agreed.copy()
    if asking.repair != "none":
        roles = [*ROLES[data.name], *(["answer"] if asking.repair == "all" else [])]
        known = [groups(data, role) for role in roles]
        here = [one.train[agreed] for one in known]
        there = [np.where(np.bincount(code, minlength=len(one.names)) > 0, one.shares, 0) for one, code in
                 zip(known, here, strict=True)]  # fmt: skip
        weights = consent.rake(here, [margin / margin.sum() for margin in there], cap=CAP)
        used[agreed] = consent.thin(weights, rng)
    flow = Flow.start("training people", n).then("said yes", len(said), said_no=n - len(said))
    flow = flow.then("agree", int(agreed.sum()), withdrew=len(said) - int(agreed.sum()))
    if asking.repair != "none":
        flow = flow.then("after weighing", int(used.sum()), thinned_out=int(agreed.sum() - used.sum()))
    return Asked(agreed, used, flow)


def rate(people: int) -> float:
    """The least shipped sampling rate whose batches have 500 people; everybody, where there are fewer."""
    return next((one for one in RATES if one * people >= BATCH), 1.0)


@lru_cache(maxsize=24)
def remembered(
    data: Dataset, asking: Asking | None, epsilon: float, seed: int
) -> dict[int, tuple[Asked | None, Array]]:
    """What each repeat came to, filled as they come: the groups and the view change nothing in it."""
    return {}


def learn(
    data: Dataset, asking: Asking | None, epsilon: float, seed: int, number: int
) -> Iterator[tuple[Asked | None, Array] | None]:
    """One repeat: who agreed, and the chances (2, test rows) that the model gives, with noise and without.

    None for `asking`: everybody takes part. Yields None while it takes time.
    """
    known = remembered(data, asking, epsilon, seed)
    if number not in known:
        asked, used = None, np.ones(len(data.X_train), bool)
        if asking is not None:
            asked = ask(data, asking, np.random.default_rng([seed, number]))
            used = asked.used
        yield None
        rows = dpsgd.TrainingData.make(data.X_train[used], data.y_train[used], "logistic", units=max(1, used.sum()))
        chance = rate(rows.units)
        sigma = accounting.noise_multiplier(epsilon=epsilon, sampling_rate=chance, steps=STEPS, delta=DELTA)
        plan = models.CATALOGUE["dp-sgd-logistic"].plan(rows, np.array([sigma, 0.0]), np.ones(2), chance, STEPS)
        for item in dpsgd.sweep(rows, plan, [(seed, number)], partial(_chances, data.evaluation[0])):
            if item is None:
                yield None
            else:
                known[number] = asked, item[1]
    yield known[number]


def _chances(X: Array, weights: dpsgd.Weights) -> Array:
    """Predicted chances of class 1 (K, rows)."""
    chances: Array = 1 / (1 + np.exp(-weights.decision(X)[:, 0]))
    return chances
