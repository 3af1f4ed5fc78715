"""Which ε is just enough for what you need?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from privlab import accounting, datasets, dpsgd, explain, models
from privlab.dpsgd import Array
from privlab.experiments import _choices, tradeoff
from privlab.experiments._solve_picture import Picture
from privlab.experiments._solve_result import HIGHEST, LOWEST, Help, Result, reached_by, sure_of
from privlab.settings import Controls, choice, control

__all__ = ["Picture", "Result", "Settings", "run"]

GRID = np.union1d(np.geomspace(LOWEST, 0.05, 6)[:-1], accounting.EPSILON_GRID)
FIRST = 8  # trainings at each ε before the first picture
REPAINT = 0.06  # seconds between two pictures
NOTCHES = 12  # ε looked at between the last that is too small and the first that is enough
PROOFS = 1000  # trainings that the answer has to stand, none of them used to find it
CROWDS = 2.0 ** np.arange(1, 11)  # times as many people
GOALS = {"score": "the smallest ε for the score", "gain": "the greatest ε for the attacker"}
LOOKS, NOTCH, PROOF, MORE, CLIPS = range(5)  # streams of one seed


class Settings(Controls):
    """What is needed, and of which training."""

    min_score: float = control(
        default=0.82, label="score that you need", low=-1, high=1, slider=(0.5, 0.95), places=181,
        ends=("modest", "demanding"), hint="The share of unseen people it must be right about; R² for a regression.",
    )  # fmt: skip
    max_attacker_gain: float = control(
        default=0.1, label="what an attacker may gain", low=0.0001, high=0.5, slider=(0.005, 0.5), scale="log",
        ends=("nearly nothing", "no limit"),
        hint="Whoever guesses whether you are in the data is right half of the time without the model, and by at most "
        "this share of all times more often with it. 0.5 sets no limit.",
    )  # fmt: skip
    goal: str = choice(
        default="score", label="find", among=lambda: tuple(GOALS), words=lambda goal: GOALS[goal],
        hint="Whether as little is to be spent as the score needs, or as much as the attacker's limit allows.",
    )  # fmt: skip
    dataset: str = _choices.data("adult")
    model: str = choice(
        default="dp-sgd-logistic", label="model",
        among=lambda: tuple(name for name, model in models.CATALOGUE.items() if model.fit is None),
        words=lambda name: models.CATALOGUE[name].label, hint="What is trained, with DP-SGD.",
        offered=lambda settings, name: not models.CATALOGUE[name].unfit_for(
            datasets.card(settings.dataset), settings.unit
        ),
    )  # fmt: skip
    confidence: float = control(
        default=0.95, label="how sure", low=0.5, high=0.99, slider=(0.5, 0.99), places=50, advanced=True,
        hint="The chance that one fresh release is as good as you need.",
    )  # fmt: skip
    clip_norm: float = tradeoff.same("clip_norm", advanced=True)
    sampling_rate: float = tradeoff.same("sampling_rate")
    steps: int = tradeoff.same("steps")
    delta: float = tradeoff.same("delta")
    seeds: int = control(
        default=64, label="trainings", low=2, high=1000, slider=(8, 500), scale="log", places=40, advanced=True,
        hint="Independent trainings at every ε that is looked at.",
    )  # fmt: skip
    seed: int = tradeoff.same("seed")
    unit: str = tradeoff.same("unit")

    @property
    def training(self) -> tradeoff.Settings:
        """The same training as the trade-off knows it."""
        return tradeoff.training(self, models=(self.model,))

    @property
    def limit(self) -> float:
        """The ε up to which the attacker's gain stays within what is allowed."""
        return explain.largest_epsilon(self.max_attacker_gain, self.delta)

    def check(self) -> None:
        """Refuse what `tradeoff` refuses."""
        _ = self.training

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """As `tradeoff` does; a model that the data rule out becomes the first that fits."""
        before = base or cls()
        values = tradeoff.resolve_shared(cls, values, before.training)
        name, unit = values.get("dataset", before.dataset), values.get("unit", before.unit)
        if "model" not in values and name in datasets.names() and unit in ("person", "row"):
            fitting = [m for m in models.fitting(datasets.card(name), unit) if models.CATALOGUE[m].fit is None]
            values["model"] = before.model if before.model in fitting else fitting[0]
        return values


class _Trainings:
    """Trains at chosen noise and clipping, and keeps the scores."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.data = settings, datasets.load(settings.dataset)
        self.prepared = dpsgd.prepare(self.data, settings.unit)

    def sigma(self, epsilon: float) -> float:
        return accounting.noise_multiplier(epsilon=epsilon, **self.settings.training.mechanism)

    def scores(self, sigma: Array, clips: Array, stream: int, seeds: range) -> Iterator[Array | None]:
        """Scores (K,) seed by seed, and None while they take time."""
        s, X = self.settings, self.data.evaluation[0]
        plan = models.CATALOGUE[s.model].plan(self.prepared, sigma, clips, s.sampling_rate, s.steps)
        streams = [(s.seed, stream, seed) for seed in seeds]
        found = dpsgd.sweep(
            self.prepared, plan, streams,
            lambda w: models.score(self.data, models.batched_losses(self.data, w.decision(X))),
        )  # fmt: skip
        yield from (None if item is None else item[1] for item in found)

    def at(self, epsilons: Array, stream: int, seeds: range) -> Iterator[Array | None]:
        """The same at each ε."""
        sigma = np.array([self.sigma(float(epsilon)) for epsilon in epsilons])
        yield from self.scores(sigma, np.full(len(sigma), self.settings.clip_norm), stream, seeds)


def run(settings: Settings) -> Iterator[Result | None]:
    """Look at a grid of ε, narrow it down where it becomes enough, and put the answer to the proof."""
    s = settings
    top = min(HIGHEST, s.limit)
    epsilons = np.union1d(GRID, top) if top >= LOWEST else GRID
    yield from tradeoff.calibrate(s.training, epsilons.tolist())
    trainings = _Trainings(s)
    scores: list[Array] = []
    painted = -math.inf

    def result(done: float, **more: Any) -> Result:
        return Result(s, epsilons, np.stack(scores), models.floor(trainings.data), done, **more)

    for one in trainings.at(epsilons, LOOKS, range(s.seeds)):
        if one is not None:
            scores.append(one)
        if one is not None and len(scores) >= min(FIRST, s.seeds) and time.perf_counter() - painted > REPAINT:
            yield result(0.5 * len(scores) / s.seeds)
            painted = time.perf_counter()
        else:
            yield None
    yield result(0.5)
    seen = result(0.5)
    good = np.flatnonzero((seen.reached >= s.min_score) & (epsilons <= top))
    if top < LOWEST:
        yield result(1.0)
        return
    if s.goal == "gain":
        yield result(1.0, found=top)
        return
    if not len(good):
        yield from _refused(trainings, top, result)
        return
    k = int(good[0])
    candidates = epsilons[k : int(np.flatnonzero(epsilons <= top)[-1]) + 1]
    if k:
        between = np.geomspace(epsilons[k - 1], epsilons[k], NOTCHES + 1)[1:-1]
        yield from tradeoff.calibrate(s.training, between.tolist())
        finer: list[Array] = []
        for one in trainings.at(between, NOTCH, range(s.seeds)):
            if one is not None:
                finer.append(one)
            yield None
        enough = np.flatnonzero(reached_by(np.stack(finer), s.confidence) >= s.min_score)
        candidates = np.concatenate([between[enough[0] :] if len(enough) else [], candidates])
    for number, epsilon in enumerate(candidates):
        hits = done = 0
        for one in trainings.at(np.array([epsilon]), PROOF + 10 * number, range(PROOFS)):
            if one is not None:
                hits, done = hits + int(one[0] >= s.min_score), done + 1
            yield None
            if sure_of(hits + PROOFS - done, PROOFS, number) < s.confidence:
                break  # it can't be reached any more
        if sure_of(hits, PROOFS, number) >= s.confidence:
            yield result(1.0, found=float(epsilon), hits=hits, trials=PROOFS)
            return
        yield result(0.8)
    yield from _refused(trainings, top, partial(result, hits=hits, trials=done))


def _refused(trainings: _Trainings, epsilon: float, result: Callable[..., Result]) -> Iterator[Result | None]:
    """Look for what would bring the score at the greatest ε allowed: more people, another clipping norm."""
    s, seeds = trainings.settings, range(max(FIRST, min(32, trainings.settings.seeds)))
    sigma = trainings.sigma(epsilon)
    crowds: list[Array] = []
    for one in trainings.scores(np.append(sigma / CROWDS, 0), np.full(len(CROWDS) + 1, s.clip_norm), MORE, seeds):
        if one is not None:
            crowds.append(one)
        yield None
    clips: list[Array] = []
    for one in trainings.scores(np.full(len(tradeoff.CLIP_GRID), sigma), tradeoff.CLIP_GRID, CLIPS, seeds):
        if one is not None:
            clips.append(one)
        yield None
    by_crowd = reached_by(np.stack(crowds), s.confidence)
    by_clip = reached_by(np.stack(clips), s.confidence)
    enough = np.flatnonzero(by_crowd[:-1] >= s.min_score)
    best = int(by_clip.argmax())
    found = Help(
        people=float(CROWDS[enough[0]]) * trainings.prepared.units if len(enough) else math.inf,
        without_noise=float(by_crowd[-1]),
        clip_norm=float(tradeoff.CLIP_GRID[best]),
        by_clip_norm=float(by_clip[best]),
    )
    yield result(1.0, help=found)
