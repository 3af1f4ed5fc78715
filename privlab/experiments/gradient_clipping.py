"""Whose pull is cut, and who pays?"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from privlab import accounting, datasets, dpsgd, models
from privlab.dpsgd import Array, Weights
from privlab.experiments import _choices, tradeoff
from privlab.experiments import _gradient_clipping_pulls as pulls
from privlab.experiments._gradient_clipping_groups import OUTCOME, by_column, columns
from privlab.experiments._gradient_clipping_picture import Picture
from privlab.experiments._gradient_clipping_result import VIEWS, Cut, Payers, Result, Trade
from privlab.experiments._waiting import a_breath
from privlab.settings import Controls, choice, control

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

REPAINT = 0.06  # seconds between two pictures
MODELS = {"dp-sgd-logistic": "logistic regression", "dp-sgd-mlp": "network"}


def _fitting() -> tuple[str, ...]:
    """Data sets with classes, own ones too."""
    return tuple(name for name in datasets.names() if datasets.card(name).schema.task != "regression")


def _columns() -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for name in _fitting() for column in columns(datasets.card(name))))


class Settings(Controls):
    """Which training to look at, when, and by which groups."""

    epsilon: float = tradeoff.same("epsilon")
    clip_norm: float = tradeoff.same("clip_norm")
    done: float = control(
        default=50.0, label="training done (%)", low=0, high=100, places=101, ends=("first step", "last step"),
        hint="When the pulls are looked at: at the weights that this step starts from.",
    )  # fmt: skip
    view: str = choice(
        default="norms", label="show", among=lambda: tuple(VIEWS), words=lambda name: VIEWS[name],
        hint="How long the pulls are, what cutting and noise do to their mean, or what each group loses.",
    )  # fmt: skip
    dataset: str = _choices.data("adult", _fitting)
    group: str = choice(
        default="sex", label="groups", among=_columns, words=_choices.called,
        offered=lambda settings, name: name in columns(datasets.card(settings.dataset)),
        hint="Groups to compare: by what is predicted, or by what people may wish to hide.",
    )  # fmt: skip
    model: str = choice(
        default="dp-sgd-logistic", label="model", among=lambda: tuple(MODELS), words=lambda name: MODELS[name],
        hint="What is trained, with DP-SGD.",
    )  # fmt: skip
    sampling_rate: float = tradeoff.same("sampling_rate")
    steps: int = tradeoff.same("steps")
    delta: float = tradeoff.same("delta")
    seeds: int = tradeoff.same("seeds")
    seed: int = tradeoff.same("seed")
    unit: str = tradeoff.same("unit")

    handles = tradeoff.Settings.handles

    @property
    def training(self) -> tradeoff.Settings:
        """The same training as the trade-off knows it."""
        return tradeoff.training(self, models=(self.model,))

    @property
    def mechanism(self) -> dict[str, Any]:
        """What the accountant needs besides ε or σ."""
        return self.training.mechanism

    @property
    def step(self) -> int:
        """The step that is looked at, from 1 to `steps`."""
        return 1 + round(self.done / 100 * (self.steps - 1))

    def check(self) -> None:
        """Refuse what `tradeoff` refuses, and groups that the data have not."""
        card = datasets.card(self.dataset)
        if self.group not in columns(card):
            words = ", ".join(columns(card))
            raise ValueError(f"'group' must be among {words} for '{self.dataset}'. Got {self.group!r}.")
        _ = self.training

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """As `tradeoff` does; groups that the data have not become those by outcome."""
        before = base or cls()
        values = tradeoff.resolve_shared(cls, values, before.training)
        name = values.get("dataset", before.dataset)
        if "group" not in values and name in _fitting() and before.group not in columns(datasets.card(name)):
            values["group"] = OUTCOME
        return values


class _Held:
    """Trainings at the held ε and C, and everybody's pull at the chosen step."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.data = settings, datasets.load(settings.dataset)
        self.prepared = dpsgd.prepare(self.data, settings.unit)
        self.sigma = settings.training.noise_multiplier
        self.clips = np.unique(np.append(tradeoff.CLIP_GRID, settings.clip_norm))
        self.losses: list[Array] = []
        self.cut: Cut | None = None
        self.trades: list[tuple[Array, Array]] = []

    def sweep(self, seeds: range) -> Iterator[tuple[dpsgd.Seed, Array] | None]:
        s = self.settings
        plan = models.CATALOGUE[s.model].plan(
            self.prepared, np.array([self.sigma]), np.array([s.clip_norm]), s.sampling_rate, s.steps
        )
        return dpsgd.sweep(self.prepared, replace(plan, watched=s.step - 1), _streams(s, seeds), self._score)

    def _score(self, weights: Weights) -> Array:
        losses = models.batched_losses(self.data, weights.decision(self.data.evaluation[0]))
        assert weights.entering is not None
        found = np.empty(len(losses), object)
        for k, loss in enumerate(losses):
            entering = pulls.one_of(weights.entering, k, len(losses))
            found[k] = loss, self._trade(entering) if self.settings.view == "direction" else entering
        return found

    def _trade(self, weights: Weights) -> tuple[Array, Array]:
        """(K,) degrees by which each C turns the mean pull, and the typical weight's share of what is left."""
        layers = pulls.layers(self.prepared, weights)
        lengths = pulls.norms(self.prepared, layers)
        true = pulls.clipped_mean(self.prepared, layers, lengths, math.inf)
        means = [pulls.clipped_mean(self.prepared, layers, lengths, clip) for clip in self.clips]
        return np.array([pulls.angle(mean, true) for mean in means]), np.sqrt(np.mean(np.square(means), axis=1))

    def add(self, scores: Array) -> None:
        losses, seen = scores[0]
        self.losses.append(losses)
        if self.settings.view == "direction":
            self.trades.append(seen)
        elif self.cut is None:
            self.cut = self._cut(seen)

    def _cut(self, weights: Weights) -> Cut:
        rows = self.prepared.rows
        units = self.data.train_rows if rows is None else self.data.train_rows[rows[:, 0]]
        groups = [by_column(self.data, column, units) for column in dict.fromkeys((OUTCOME, self.settings.group))]
        lengths = pulls.norms(self.prepared, pulls.layers(self.prepared, weights))
        return Cut(lengths, self.settings.clip_norm, tuple(groups))

    def result(self) -> Result:
        s, trade = self.settings, None
        if self.trades:
            noise = self.sigma * self.clips / (s.sampling_rate * self.prepared.units)
            held = int(np.flatnonzero(self.clips == s.clip_norm)[0])
            degrees, signal = (np.stack(part) for part in zip(*self.trades, strict=True))
            trade = Trade(self.clips, held, degrees, signal, noise)
        losses = np.stack(self.losses)
        return Result(
            s, self.sigma, models.score(self.data, losses), losses.mean(axis=0), models.floor(self.data),
            len(losses), len(losses) / s.seeds, cut=self.cut, trade=trade,
        )  # fmt: skip


class _Grid:
    """Trainings at every ε, and without privacy: what each group's accuracy does."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.data = settings, datasets.load(settings.dataset)
        self.prepared = dpsgd.prepare(self.data, settings.unit)
        order, last, _, self.clips, self.sigma = tradeoff.points(settings.training)
        self.sorted = np.argsort(order, kind="stable")
        self.epsilons, self.held = order[self.sorted], int(np.flatnonzero(self.sorted == last)[0])
        self.groups = by_column(self.data, settings.group, self.data.evaluation_rows)
        self.accuracies: list[Array] = []
        self.pairs: list[tuple[Array, Array]] = []
        self.row_losses = np.zeros((len(order) + 1, len(self.groups.codes)), np.float32)

    def sweep(self, seeds: range) -> Iterator[tuple[dpsgd.Seed, Array] | None]:
        s = self.settings
        sigma, clips = np.append(self.sigma, 0), np.append(self.clips, np.inf)
        plan = models.CATALOGUE[s.model].plan(self.prepared, sigma, clips, s.sampling_rate, s.steps)
        rates = np.array(plan.learning_rate)
        rates[-1] /= math.sqrt(len(self.data.schema.columns) + 1)  # a column adds 1 at most to a row's squared length
        X = self.data.evaluation[0]
        plan = replace(plan, learning_rate=rates)
        streams = _streams(s, seeds)
        return dpsgd.sweep(self.prepared, plan, streams, lambda w: models.batched_losses(self.data, w.decision(X)))

    def add(self, losses: Array) -> None:
        losses = np.concatenate([losses[:-1][self.sorted], losses[-1:]])
        self.row_losses += losses
        self.pairs.append((losses[-1], losses[self.held].copy()))
        self.accuracies.append(1 - losses.astype(np.float32) @ self.groups.members / np.maximum(self.groups.sizes, 1))

    def result(self) -> Result:
        s, done = self.settings, len(self.pairs)
        free, private = (np.stack(part) for part in zip(*self.pairs, strict=True))
        payers = Payers(
            self.epsilons, self.held, self.groups, np.stack(self.accuracies), self.row_losses / done, free, private
        )
        return Result(
            s, float(self.sigma[-1]), models.score(self.data, private), private.mean(axis=0),
            models.floor(self.data), done * len(self.row_losses), done / s.seeds, payers=payers,
        )  # fmt: skip


def _streams(settings: Settings, seeds: range) -> list[dpsgd.Seed]:
    return [(settings.seed, seed) for seed in seeds]


def run(settings: Settings) -> Iterator[Result | None]:
    """Train: a first Result after one training (by groups: two), better ones as more arrive."""
    grid = accounting.EPSILON_GRID.tolist() if settings.view == "groups" else []
    yield from tradeoff.calibrate(settings.training, [*grid, settings.epsilon])
    gathered = _Grid(settings) if settings.view == "groups" else _Held(settings)
    first = min(settings.seeds, 2 if settings.view == "groups" else 1)
    painted = -math.inf
    for seeds in (range(first), range(first, settings.seeds)):
        for arrived in gathered.sweep(seeds):
            if arrived is not None:
                gathered.add(arrived[1])
            early = seeds.start == 0 and arrived is not None and arrived[0][1] < first - 1
            if arrived is not None and not early and time.perf_counter() - painted > REPAINT:
                yield gathered.result()
                painted = time.perf_counter()
            else:
                yield None
        if seeds.start == 0:
            yield from a_breath(painted)
    yield gathered.result()


def prepare(settings: Settings) -> Iterator[None]:
    """In idle moments, calibrate the other positions of the ε slider."""
    yield from tradeoff.calibrate_slider(settings.training)
