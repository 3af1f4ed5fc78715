"""How well can many learn together without anybody gathering their data?"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, clients, cores, datasets, models
from privlab import federated as core
from privlab.experiments import _choices
from privlab.experiments._federated_picture import Picture
from privlab.experiments._federated_result import DELTA, PROTECT, References, Result
from privlab.experiments._waiting import elsewhere, for_the_accountant
from privlab.settings import Controls, choice, control

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["Picture", "Result", "Settings", "run"]

PARTS = 4  # steps of an epoch
ALONE = 50  # epochs of a client on its own
POOLED, POOLED_PARTS = 20, 20  # epochs, and steps of each, on all the data in one place
TOGETHER = 4  # seeds trained in step, after the first; fewer where a round takes long
FIRST, REPAINT = 0.004, 0.025  # seconds until the first result, and between two


def _datasets() -> tuple[str, ...]:
    return tuple(
        name
        for name in datasets.names()
        if datasets.card(name).schema.task == "binary" and datasets.card(name).max_rows_per_person == 1
    )


class Settings(Controls):
    """Who takes part, how different they are, and what protects them."""

    epsilon: float = _choices.epsilon(
        "For everything a client holds, over all rounds together.",
        label="privacy budget ε, for a whole client",
        low=0.05,
        offered=lambda settings, value: settings.protect != "none",
    )
    clients: int = control(
        default=200, label="clients N", low=2, high=5000, slider=(5, 1000), scale="log", ends=("few", "many"),
        hint="The same people, dealt to so many hospitals, banks or phones.",
    )  # fmt: skip
    skew: float = control(
        default=0.8, label="skew", low=0, high=1, slider=(0, 1), ends=("all alike", "each its own kind"), places=41,
        hint="How much more a client holds of its own kind of people than others do.",
    )  # fmt: skip
    protect: str = choice(
        default="central", label="protection", among=lambda: tuple(PROTECT), words=lambda one: PROTECT[one],
        hint="Nobody adds noise; or the server adds it to the sum; or each client to what it sends.",
    )  # fmt: skip
    split: str = choice(
        default="employer", label="who holds whom", among=lambda: tuple(clients.SPLITS),
        words=lambda one: clients.SPLITS[one],
        offered=lambda settings, one: one in clients.splits(datasets.load(settings.dataset)),
        hint="By which column of the data the people are dealt to the clients.",
    )  # fmt: skip
    view: str = choice(
        default="rounds", label="show", among=lambda: ("rounds", "clients"),
        words=lambda view: {"rounds": "accuracy over rounds", "clients": "what each kind of client gets"}[view],
    )  # fmt: skip
    dataset: str = _choices.data("adult", _datasets)
    clip_norm: float = control(
        default=0.3, label="clipping norm C", low=0.01, high=10, slider=(0.03, 3), scale="log", places=61,
        offered=lambda settings, value: settings.protect != "none",
        hint="The longest update that counts in full.", advanced=True,
    )  # fmt: skip
    participation: float = control(
        default=0.37, label="participation q", low=0.01, high=1, slider=(0.01, 1), scale="log", places=41,
        hint="Each client's chance to join a round.", advanced=True,
    )  # fmt: skip
    rounds: int = control(
        default=60, label="rounds", low=1, high=500, slider=(5, 200), scale="log", places=41, advanced=True,
        hint="All rounds together spend ε: the more, the noisier each.",
    )  # fmt: skip
    local_epochs: int = control(
        default=1, label="local epochs", low=1, high=20, slider=(1, 10), places=10, advanced=True,
        offered=lambda settings, value: settings.algorithm != "fedsgd",
        hint="Passes over its own rows that a client makes in a round (FedAvg).",
    )  # fmt: skip
    dropout: float = control(
        default=0.0, label="dropouts", low=0, high=0.95, slider=(0, 0.9), places=19, advanced=True,
        hint="The chance that a client that joined does not answer.",
    )  # fmt: skip
    algorithm: str = choice(
        default="fedavg", label="clients send", among=lambda: ("fedavg", "fedsgd"), advanced=True,
        words=lambda one: {"fedavg": "a trained model (FedAvg)", "fedsgd": "one gradient (FedSGD)"}[one],
    )  # fmt: skip
    cohort: str = choice(
        default="poisson", label="who joins", among=lambda: ("poisson", "fixed"), advanced=True,
        words=lambda one: {"poisson": "each by its own coin", "fixed": "a fixed number, at random"}[one],
        hint="A fixed number has its own, dearer books.",
    )  # fmt: skip
    weights: str = choice(
        default="uniform", label="weights", among=lambda: ("uniform", "capped"), advanced=True,
        words=lambda one: {"uniform": "all alike", "capped": "by rows, up to a public cap"}[one],
        hint="The cap is twice the public mean number of rows of a client.",
    )  # fmt: skip
    seeds: int = control(
        default=9, label="repeats", low=1, high=100, slider=(1, 40), scale="log", places=20, advanced=True,
        hint="How often everything is done anew: more repeats narrow the dark band.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse what the data set does not have."""
        most = datasets.card(self.dataset).n_train
        if self.clients > most:
            raise ValueError(
                f"'clients' must be at most {most:,}, the people to learn from in '{self.dataset}'. "
                f"Got {self.clients:,}."
            )
        allowed = clients.splits(datasets.load(self.dataset))
        if self.split not in allowed:
            raise ValueError(f"'split' must be among {', '.join(allowed)} on '{self.dataset}'. Got '{self.split}'.")

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Take a split and a number of clients that a newly chosen data set allows."""
        values, before = dict(values), base or cls()
        name = values.get("dataset")
        if isinstance(name, str) and name in _datasets():
            allowed = clients.splits(datasets.load(name))
            if "split" not in values:
                values["split"] = before.split if before.split in allowed else "labels"
            if "clients" not in values:
                values["clients"] = min(before.clients, datasets.card(name).n_train)
        return values

    def plan(self) -> core.Plan:
        """What is done in each round, without the noise yet."""
        cap = -(-2 * datasets.card(self.dataset).n_train // self.clients) if self.weights == "capped" else 0
        return core.Plan(
            rounds=self.rounds, participation=self.participation, local_epochs=self.local_epochs,
            algorithm=self.algorithm, protect=self.protect, clip_norm=self.clip_norm, dropout=self.dropout,
            cohort=self.cohort, cap=cap,
        )  # fmt: skip


def run(settings: Settings) -> Iterator[Result | None]:
    """Train one seed round by round, then the references, then the other seeds, several in step."""
    data = datasets.load(settings.dataset)
    plan = yield from _calibrated(settings)
    holdings, rows = yield from _held(settings)
    plan = plan.paced(settings.clients, rows.width)
    judge = _judge(data, holdings)
    pooled = _pooled(data, settings.seed)
    key = (data, settings.split, settings.clients, settings.skew, settings.seed)
    none = np.zeros(0)
    known = _alone_kept.get(key)
    references = References(pooled, judge.floor, *(known or (none, none)))
    people = np.bincount(holdings.kind_train, minlength=len(holdings.kinds))
    done: list[tuple[Array, Array, Array, Array]] = []

    def result(extra: tuple[Array, Array, Array, Array] | None = None) -> Result:
        parts = [*done, extra] if extra else done
        scores, right, drift, sent = (np.concatenate(part) for part in zip(*parts, strict=True))
        progress = len(scores) * scores.shape[1] / (settings.seeds * settings.rounds)
        complete = 1.0 if len(references.alone) else 0.99
        return Result(
            settings, plan, scores, holdings.kinds, holdings.mix, people, right, drift, sent, references,
            min(complete, progress),
        )  # fmt: skip

    def train(seeds: range, show: bool) -> Iterator[Result | None]:
        history, scores = None, np.zeros((len(seeds), 0))
        painted = time.perf_counter() + (FIRST - REPAINT if show else 0)
        for history in core.train(rows, plan, [(settings.seed, seed) for seed in seeds]):
            if time.perf_counter() - painted > REPAINT and len(history.reports) < plan.rounds:
                scores = judge.append(scores, history)
                yield result(judge.finish(scores, history)) if show else None
                painted = time.perf_counter()
        assert history is not None
        done.append(judge.finish(judge.append(scores, history), history))
        yield result()

    with cores.shared().held():  # many small products: threads of the matrix library would only wait for each other
        yield from train(range(1), True)
        if known is None:
            _alone_kept[key] = yield from _alone(rows, judge)
            while len(_alone_kept) > 32:
                del _alone_kept[next(iter(_alone_kept))]
            references = References(pooled, references.floor, *_alone_kept[key])
            yield result()
        together = max(1, TOGETHER // settings.local_epochs)
        for start in range(1, settings.seeds, together):
            yield from train(range(start, min(settings.seeds, start + together)), False)
    yield result()


_alone_kept: dict[tuple[Any, ...], tuple[Array, Array]] = {}


def _calibrated(settings: Settings) -> Generator[None, None, core.Plan]:
    plan = settings.plan()
    if plan.protect == "none":
        return plan
    if not _shipped(settings):
        yield from for_the_accountant()
    if settings.cohort == "fixed":
        return (yield from elsewhere(lambda: plan.calibrated(settings.epsilon, DELTA, settings.clients)))
    return plan.calibrated(settings.epsilon, DELTA, settings.clients)


def _shipped(settings: Settings) -> bool:
    """Whether the noise for every position of the ε slider is at hand without dp-accounting."""
    return (
        settings.protect == "central"
        and settings.cohort == "poisson"
        and accounting.is_shipped(sampling_rate=settings.participation, steps=settings.rounds, delta=DELTA)
        and settings.epsilon in accounting.EPSILON_POSITIONS
    )


def prepare(settings: Settings) -> Iterator[None]:
    """In idle moments, find the noise of the other positions of the ε slider."""
    if settings.protect != "central" or settings.cohort == "fixed" or _shipped(settings):
        return
    yield from for_the_accountant()
    positions = np.array(accounting.EPSILON_POSITIONS)
    for epsilon in positions[np.argsort(np.abs(np.log(positions / settings.epsilon)))].tolist():
        settings.plan().calibrated(epsilon, DELTA, settings.clients)
        yield


def _held(settings: Settings) -> Generator[None, None, tuple[clients.Holdings, clients.Rows]]:
    args = (datasets.load(settings.dataset), settings.split, settings.clients, settings.skew, settings.seed)
    if settings.split == "region":  # a column that is not among the features: the table must be read
        return (yield from elsewhere(lambda: _rows(*args)))
    return _rows(*args)


@lru_cache(maxsize=6)
def _rows(
    data: datasets.Dataset, split: str, number: int, skew: float, seed: int
) -> tuple[clients.Holdings, clients.Rows]:
    holdings = clients.deal(data, split, number, skew, seed)
    return holdings, clients.Rows.of(data, holdings, PARTS)


@lru_cache(maxsize=16)
def _pooled(data: datasets.Dataset, seed: int) -> float:
    """Accuracy of the same training on all the data in one place."""
    holdings = clients.deal(data, "alike", 1, 0.0, seed)
    rows = clients.Rows.of(data, holdings, POOLED_PARTS)
    *_, model = core.alone(rows, POOLED)
    X, y = data.evaluation
    return float(((X @ model[0, :-1] + model[0, -1] > 0) == y).mean())


class _Judge:
    """Scores models on unseen people, all of them and by kind."""

    def __init__(self, data: datasets.Dataset, holdings: clients.Holdings) -> None:
        self.X, self.y, self.floor = _unseen(data)
        self.groups = holdings.mix.argmax(axis=1)
        self.kinds = len(holdings.kinds)
        self.member = (holdings.kind_test[:, None] == np.arange(self.kinds)).astype(np.float32)
        self.people = np.maximum(self.member.sum(axis=0, dtype=np.float64), 1)

    def right(self, weights: Array) -> Array:
        """Whether models (M, d + 1) are right about each person (M, people)."""
        decided = weights[:, :-1] @ self.X > -weights[:, -1:]
        right: Array = decided == self.y
        return right

    def by_kind(self, right: Array) -> Array:
        """The share of each kind of people that models are right about (M, kinds)."""
        shares: Array = (right.astype(np.float32) @ self.member) / self.people
        return shares

    def append(self, scores: Array, history: core.History) -> Array:
        """Scores (S, t) with those of the rounds since."""
        new = history.models[scores.shape[1] :].transpose(2, 0, 1)
        right = self.right(np.ascontiguousarray(new).reshape(-1, new.shape[2]))
        found = np.count_nonzero(right, axis=1).reshape(len(new), -1) / len(self.y)
        return np.concatenate([scores, found], axis=1)

    def finish(self, scores: Array, history: core.History) -> tuple[Array, Array, Array, Array]:
        """Scores, accuracy by kind, drift by kind and bytes sent, by seed."""
        right = self.by_kind(self.right(np.ascontiguousarray(history.models[-1].T)))
        drift = np.full((self.kinds, scores.shape[0]), np.nan)
        found = history.drift(self.groups)
        drift[: len(found)] = found
        return scores, right, np.nan_to_num(drift).T, history.bytes()[-1]


@lru_cache(maxsize=2)
def _unseen(data: datasets.Dataset) -> tuple[Array, Array, float]:
    """Unseen people as columns, so that a model's answers lie together; the truth; and the score of knowing nothing."""
    X, y = data.evaluation
    return np.ascontiguousarray(X.T), y.astype(bool), models.floor(data)


@lru_cache(maxsize=6)
def _judge(data: datasets.Dataset, holdings: clients.Holdings) -> _Judge:
    return _Judge(data, holdings)


def _alone(rows: clients.Rows, judge: _Judge) -> Generator[None, None, tuple[Array, Array]]:
    """Accuracy of each client's own model, on everybody (N,) and by kind (N, K)."""
    trained = core.alone(rows, ALONE)
    for _ in range(ALONE - 1):
        next(trained)
        yield
    model = next(trained)
    everybody, kinds = [], []
    for start in range(0, rows.clients, 100):
        right = judge.right(model[start : start + 100])
        everybody.append(right.mean(axis=1))
        kinds.append(judge.by_kind(right))
        yield
    return np.concatenate(everybody), np.concatenate(kinds)
