"""Five ways to learn one model from people who would rather not be seen: how each is trained, and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, ckks, clients, datasets, encrypted, federated
from privlab.experiments import where_noise_goes
from privlab.experiments._encrypted_tasks import numbers, with_constant

if TYPE_CHECKING:
    from privlab.dpsgd import Array

DELTA = where_noise_goes.DELTA
ROUNDS, CLIP = 30, 1.0  # of the federated trainings
RATE = 2.0  # of a client's steps
SERVERS = 3  # that the masked updates are shared out to
STEPS = 100  # of the encrypted training
SEALED = (8192, 28)  # N and bits kept there
NUMBER = 4  # bytes
COUNTED = 200  # clients on whom the sharing is timed


@dataclass(frozen=True)
class Way:
    """One way to learn, in words.

    Attributes
    ----------
    label : str
        On the picture, in two lines.
    name : str
        In sentences.
    server, model : str
        What whoever runs it still sees, and what the model tells whoever gets it; each with its sign.
    unit, trust : str
        What ε protects, and who must be trusted.
    private : bool
        Whether ε bounds what the model tells.
    """

    label: str
    name: str
    server: str
    model: str
    unit: str
    trust: str
    private: bool


EVERYTHING, MUCH, LITTLE, NOTHING = "●◐◔○"
WAYS = {
    "central": Way(
        "trusted office\nwith noise", "from a trusted office that adds noise",
        f"{EVERYTHING} every record", f"{LITTLE} little about\nany person",
        "one person", "the office, and everybody who might break in there", True,
    ),
    "local": Way(
        "noise\nat home", "with noise at home",
        f"{LITTLE} one blurred\nanswer of each", f"{LITTLE} little about\nany person",
        "one person's whole record", "nobody", True,
    ),
    "federated": Way(
        "federated", "federated", f"{MUCH} each client's\nupdates", f"{MUCH} perhaps who\nwas in it",
        "nothing is bounded", "the server, to look at no update", False,
    ),
    "secure": Way(
        "federated,\nmasks, noise", "federated with masks and noise",
        f"{LITTLE} noisy sums", f"{LITTLE} little about\nany client",
        "one whole client", f"one of {SERVERS} servers, and the clients, to add their noise", True,
    ),
    "encrypted": Way(
        "encrypted", "encrypted", f"{NOTHING} nothing", f"{MUCH} perhaps who\nwas in it",
        "nothing is bounded", "whoever holds the key", False,
    ),
}  # fmt: skip

Trained = tuple["Array", float, float]  # accuracies (repeats,), seconds and bytes of one training; NaN: not measured
Steps = Generator[None, None, Trained]


def central(settings: Any, repeats: range) -> Steps:
    """Noise in the model, by an office that has all records."""
    scores, spent = yield from _in_one_place("central", settings, repeats)
    data = datasets.load("adult")
    return scores, spent, float(data.n_train * (len(data.feature_names) + 1) * NUMBER)


def local(settings: Any, repeats: range) -> Steps:
    """Noise in each person's one answer."""
    scores, spent = yield from _in_one_place("local", settings, repeats)
    return scores, spent, float(datasets.load("adult").n_train * NUMBER)


def _in_one_place(place: str, settings: Any, repeats: range) -> Generator[None, None, tuple[Array, float]]:
    data = datasets.load("adult")
    known = where_noise_goes.Settings.make(epsilon=settings.epsilon, people=data.n_train, seed=settings.seed)
    scores, spent = yield from _last(where_noise_goes.learn(data, place, data.n_train, known, repeats))
    return scores, spent / len(repeats)


def _last(found: Iterator[Any]) -> Generator[None, None, tuple[Any, float]]:
    """The last of what is found, and the seconds that finding took; yields None in between."""
    last, spent = None, 0.0
    while True:
        start = time.perf_counter()
        given = next(found, found)
        spent += time.perf_counter() - start
        if given is found:
            return last, spent
        last = last if given is None else given
        yield


def plain_rounds(settings: Any, repeats: range) -> Steps:
    """Clients train on what they hold; the server sees every update."""
    return (yield from _rounds(federated.Plan(rounds=ROUNDS, learning_rate=RATE), settings, repeats))


def masked_rounds(settings: Any, repeats: range) -> Steps:
    """The same with updates clipped, noise from every client, and nothing but their sum to be seen."""
    width = len(datasets.load("adult").feature_names) + 1
    scores, spent, _ = yield from _rounds(noisy(settings.epsilon, settings.clients, width), settings, repeats)
    some = min(COUNTED, settings.clients)
    share = encrypted.shared_sum(np.random.default_rng(0).uniform(-1, 1, (some, width)), SERVERS)
    each = settings.clients / some
    return scores, spent + ROUNDS * each * (share.client + share.server), ROUNDS * each * share.sent


def noisy(epsilon: float, count: int, width: int) -> federated.Plan:
    """Every client in every round, and noise so that all rounds together spend ε on a whole client."""
    noise = math.sqrt(ROUNDS) * accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=DELTA)
    plan = federated.Plan(rounds=ROUNDS, learning_rate=RATE, protect="central", clip_norm=CLIP)
    return replace(plan, noise_multiplier=noise).paced(count, width)


def _rounds(plan: federated.Plan, settings: Any, repeats: range) -> Steps:
    rows = _dealt(settings.clients)
    yield
    history, spent = yield from _last(federated.train(rows, plan, [(settings.seed, one) for one in repeats]))
    sent = float(history.bytes()[-1].mean())
    return _right(history.models[-1]), spent / len(repeats), sent


@lru_cache(maxsize=4)
def _dealt(count: int) -> clients.Rows:
    """Everybody of Adult, dealt to clients at random."""
    data = datasets.load("adult")
    holdings = clients.deal(data, "alike", count, 0.0, 0)
    return clients.Rows.make(data.X_train, data.y_train, holdings, parts=4 if count < 1000 else 2)


def _right(weights: Array) -> Array:
    """Share of unseen people that models (d + 1, S) are right about (S,)."""
    X, y = datasets.load("adult").evaluation
    right: Array = ((X @ weights[:-1] + weights[-1] > 0) == y[:, None].astype(bool)).mean(axis=0)
    return right


def sealed(settings: Any, repeats: range) -> Steps:
    """Training on ciphertexts: the same steps in the clear say how good, one step on ciphertexts says how dear."""
    weights = np.zeros(len(datasets.load("adult").feature_names) + 1, np.float32)
    for step in range(STEPS):
        weights = _polynomial_step(step)
        yield
    scores = np.repeat(_right(weights[:, None]), len(repeats))
    if not ckks.available():
        return scores, math.nan, math.nan
    parameters = ckks.Parameters(*SEALED, encrypted.LEVELS["training"])
    X, y = numbers(parameters.slots)
    one = yield from encrypted.training(parameters, X, y, 1, 1.0, X.shape[1])
    # A step takes every column of every block of people that fills a ciphertext.
    times = STEPS * len(weights) / X.shape[1] * math.ceil(datasets.load("adult").n_train / parameters.slots)
    return scores, times * (one.client + one.server), times * one.sent


@cache
def _polynomial_step(step: int) -> Array:
    """Weights after that step of the encrypted training on everybody, computed in the clear."""
    X, y, length = _everybody()
    start = _polynomial_step(step - 1) if step else 0.0
    return encrypted.polynomial_training(X, y, 1, encrypted.fastest(length), length, start)


@cache
def _everybody() -> tuple[Array, Array, float]:
    """All rows with a constant, labels, and the greatest sum of sizes of a row: one for each column of the table."""
    data = datasets.load("adult")
    X = with_constant(data.X_train).astype(np.float32)
    return X, data.y_train.astype(np.float32), len(data.schema.columns) + 1.0


TRAIN: Mapping[str, Callable[[Any, range], Steps]] = {
    "central": central,
    "local": local,
    "federated": plain_rounds,
    "secure": masked_rounds,
    "encrypted": sealed,
}
