"""How much of the promised ε can an attack really find in trained models?"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import wait
from functools import lru_cache, partial
from typing import Any

import numpy as np

from privlab import accounting, audit, cards, cores, datasets, dpsgd, models
from privlab.dpsgd import Array, TrainingData
from privlab.error_rates import FAMILIES
from privlab.experiments import _choices
from privlab.experiments._audit_picture import Picture
from privlab.experiments._audit_result import CANARIES, DELTA, Guesses, Result
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

PEOPLE = 300  # that the models learn from, besides the canary
LOUD = 8  # norm of an odd row, in clipping norms
SEVERAL = 4  # rows of the person who has several
WIDTH, CHUNK = 64, 128  # models in one go, and in each world between two results
GUESSED = 10  # one canary of so many is guessed about, in a single run
AGAIN = 12  # single runs, of which the first is the audit and the others show its luck
MODEL = models.CATALOGUE["dp-sgd-logistic"]


def _usable() -> tuple[str, ...]:
    """Data sets with two classes and enough people."""
    return tuple(
        name for name in _choices.two_classes() if name in cards.SHIPPED or len(datasets.load(name).X_train) > PEOPLE
    )


class Settings(Controls):
    """What is promised, and how hard the attack tries to refute it."""

    epsilon: float = _choices.epsilon(
        "The noise of every training is made for it. Smaller is more private.",
        default=4.0,
        label="promised ε",
        low=0.05,
        high=50,
        slider=(0.25, 16),
    )
    trials: int = control(
        default=1000, label="runs, or made-up people N", low=40, high=50_000, slider=(100, 10_000), scale="log",
        places=41, ends=("sees little", "takes longer"),
        hint="Models trained without the person, and as many with them; in a single run, the people planted.",
    )  # fmt: skip
    canary: str = choice(
        default="odd", label="the person", among=lambda: tuple(CANARIES), words=lambda name: CANARIES[name],
        hint="Whose presence the attacker tries to see.",
    )  # fmt: skip
    view: str = choice(
        default="worlds", label="audit", among=lambda: ("worlds", "one_run"),
        words=lambda view: {"worlds": "many runs, one person", "one_run": "one run, N made-up people"}[view],
        offered=lambda settings, view: view == "worlds" or settings.canary == "odd",
        hint="Two ways to gather evidence.",
    )  # fmt: skip
    dataset: str = _choices.data("german", _usable)
    clip_norm: float = control(
        default=1.0, label="clipping norm C", low=0.1, high=10, scale="log", places=41, advanced=True,
        hint="The longest pull of one person on a step.",
    )  # fmt: skip
    sampling_rate: float = control(
        default=1.0, label="sampling rate q", low=0.05, high=1, places=20, advanced=True,
        hint="The chance that a person joins a step.",
    )  # fmt: skip
    steps: int = control(default=30, label="steps", low=2, high=500, slider=(5, 100), places=20, advanced=True)
    confidence: float = control(
        default=0.95, label="confidence", low=0.5, high=0.9999, slider=(0.8, 0.99), places=20, advanced=True,
        hint="How often a lower bound must be right.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse to plant many people of a kind that comes once."""
        if self.view == "one_run" and self.canary != "odd":
            raise ValueError(f"'canary' must be 'odd' for the view 'one_run'. Got {self.canary!r}.")


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import the accountant."""
    yield from for_the_accountant()


def run(settings: Settings) -> Iterator[Result | None]:
    """Train models in both worlds, some of each at a time, and reckon what they prove so far."""
    yield from for_the_accountant()
    mechanism: dict[str, Any] = {"sampling_rate": settings.sampling_rate, "steps": settings.steps, "delta": DELTA}
    sigma = yield from _beside(lambda: accounting.noise_multiplier(epsilon=settings.epsilon, **mechanism))
    yield from (_one_run if settings.view == "one_run" else _two_worlds)(settings, sigma)


def _beside(work: Callable[[], Any]) -> Generator[None, None, Any]:
    """Do what may take a while in a thread; yields None until it is done, then returns what came out."""
    job = cores.shared().threads.submit(work)
    while wait([job], timeout=dpsgd.PATIENCE).not_done:
        yield None
    return job.result()


def _two_worlds(settings: Settings, sigma: float) -> Iterator[Result | None]:
    """Train in both worlds by turns; each run's score says how much its weights speak for the person."""
    s, worlds = settings, _worlds(settings.dataset, settings.canary, settings.clip_norm)
    alone = s.sampling_rate < 1  # then each model must draw its own batches, hence be a seed of its own
    width = 1 if alone else WIDTH
    scores: tuple[list[Array], list[Array]] = ([], [])
    for first in range(0, s.trials, CHUNK):
        for world, data in enumerate(worlds):
            seeds = [(s.seed, world, place) for place in range(first, min(first + CHUNK, s.trials), width)]
            plan = MODEL.plan(data, np.full(width, sigma), np.full(width, s.clip_norm), s.sampling_rate, s.steps)
            for item in dpsgd.sweep(data, plan, seeds, _evidence(s.dataset, s.canary)):
                if item is None:
                    yield None
                else:
                    scores[world].append(item[1])
        found = [np.concatenate(each)[: s.trials].astype(float) for each in scores]
        done = len(found[0]) / s.trials
        bounds = yield from _beside(partial(_bounds, s, found[0], found[1], done == 1))
        yield Result(s, sigma, found[0], found[1], bounds, (), done)


def _bounds(settings: Settings, without: Array, with_: Array, whole: bool) -> dict[str, audit.Bound]:
    """The bounds by family; that for sampled noise, where there is any, takes its time and comes with the last run."""
    s = settings
    families = [name for name in FAMILIES if name != "pld" or (whole and s.sampling_rate < 1)]
    given: dict[str, Any] = {"sampling_rate": s.sampling_rate, "steps": s.steps, "confidence": s.confidence}
    return {name: audit.lower_bound(without, with_, delta=DELTA, family=name, **given) for name in families}


def _one_run(settings: Settings, sigma: float) -> Iterator[Result | None]:
    """Train once with many canaries, each of which joined by a coin; then again, to show how luck plays in."""
    s, runs = settings, []
    guesses = max(2, s.trials // GUESSED // 2 * 2)
    for again in range(AGAIN):
        joined = np.random.default_rng([s.seed, again, 1]).random(s.trials) < 0.5
        data = _crowd(s.dataset, s.trials, joined, s.clip_norm)
        plan = MODEL.plan(data, np.array([sigma]), np.array([s.clip_norm]), s.sampling_rate, s.steps)
        score = np.empty(0)
        for item in dpsgd.sweep(data, plan, [(s.seed, 2, again)], lambda weights: weights.first[-1 - s.trials : -1].T):
            if item is None:
                yield None
            else:
                score = item[1][0].astype(float)
        runs.append(Guesses.make(score, joined, guesses, s.confidence))
        if again == 0:
            first = score[~joined], score[joined]
        yield Result(s, sigma, *first, {}, tuple(runs), len(runs) / AGAIN)


@lru_cache(maxsize=8)
def _people(dataset: str) -> tuple[Array, Array]:
    data = datasets.load(dataset)
    return data.X_train[: PEOPLE + 1], data.y_train[: PEOPLE + 1].astype(float)


@lru_cache(maxsize=8)
def _worlds(dataset: str, canary: str, clip_norm: float) -> tuple[TrainingData, TrainingData]:
    """The training data without and with the person. Odd rows have a feature of their own, and class 1."""
    X, y = _people(dataset)
    n, rows = PEOPLE, {"odd": 1, "typical": 1, "rows": SEVERAL}[canary]
    wide = np.zeros((n + rows, X.shape[1] + 1), np.float32)
    wide[:n, :-1] = X[:n]
    target = np.concatenate([y[:n], np.ones(rows)])
    if canary == "typical":
        wide[n, :-1], target[n] = X[n], y[n]
    else:
        wide[n:, -1] = LOUD * clip_norm
    without, with_ = (
        TrainingData.make(wide[: n + more], target[: n + more], "logistic", units=n) for more in (0, rows)
    )
    return without, with_


def _evidence(dataset: str, canary: str) -> Callable[[dpsgd.Weights], Array]:
    """What a model's weights say for the person: the weight of their own feature, or how it judges them."""
    if canary != "typical":
        return lambda weights: weights.first[-2]
    X, y = _people(dataset)
    row = np.append(X[PEOPLE], 0)[None]
    return lambda weights: weights.decision(row)[:, 0, 0] * (2 * y[PEOPLE] - 1)


def _crowd(dataset: str, canaries: int, joined: Array, clip_norm: float) -> TrainingData:
    """The people and those canaries that joined; every canary has a feature of its own, joined or not."""
    X, y = _people(dataset)
    wide = np.zeros((PEOPLE + int(joined.sum()), X.shape[1] + canaries), np.float32)
    wide[:PEOPLE, : X.shape[1]] = X[:PEOPLE]
    wide[np.arange(PEOPLE, len(wide)), X.shape[1] + np.flatnonzero(joined)] = LOUD * clip_norm
    target = np.concatenate([y[:PEOPLE], np.ones(len(wide) - PEOPLE)])
    return TrainingData.make(wide, target, "logistic", units=PEOPLE + canaries // 2)
