"""What does privacy cost on a table of your own, and which of your declarations matter?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from privlab import datasets, dpsgd, models
from privlab.columns import Column
from privlab.dpsgd import Array, TrainingData
from privlab.experiments import _choices, tradeoff
from privlab.experiments._own_data_picture import Picture
from privlab.experiments._own_data_result import ALL, DECLARED, PEOPLE, PLAIN, Result
from privlab.settings import Controls, Handle, choice, control

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

COLUMNS = 6  # columns of numbers that are widened one at a time: the first ones declared
MODELS = {"dp-sgd-logistic": "logistic regression", "dp-sgd-mlp": "network"}


def _fitting() -> tuple[str, ...]:
    """Data sets with classes, own ones too."""
    return tuple(name for name in datasets.names() if datasets.card(name).schema.task != "regression")


class Settings(Controls):
    """What to train, and how far off the declarations might be."""

    epsilon: float = tradeoff.same("epsilon")
    wider: float = control(
        default=10.0, label="bounds too wide, times w", low=1, high=1e6, slider=(1, 100), scale="log", places=41,
        ends=("as declared", "careless"),
        hint="What if an upper bound had been declared w times as far from the lower one?",
    )  # fmt: skip
    clip_norm: float = tradeoff.same("clip_norm")
    dataset: str = _choices.data("votes", _fitting)
    model: str = choice(
        default="dp-sgd-logistic", label="model", among=lambda: tuple(MODELS), words=lambda name: MODELS[name],
        hint="What is trained, with DP-SGD.",
    )  # fmt: skip
    sampling_rate: float = tradeoff.same("sampling_rate", default=0.71)
    steps: int = tradeoff.same("steps")
    delta: float = tradeoff.same("delta")
    seeds: int = tradeoff.same("seeds")
    seed: int = tradeoff.same("seed")
    unit: str = tradeoff.same("unit")

    handles: ClassVar[dict[str, Handle]] = dict(tradeoff.Settings.handles)
    view: ClassVar[str] = "epsilon"  # what private mode draws its looks over

    @property
    def models(self) -> tuple[str, ...]:
        """The model, as the trade-off has it."""
        return (self.model,)

    @property
    def training(self) -> tradeoff.Settings:
        """The same training as the trade-off knows it."""
        return tradeoff.training(self, models=self.models)

    @property
    def mechanism(self) -> dict[str, Any]:
        """What the accountant needs besides ε or σ."""
        return self.training.mechanism

    @property
    def noise_multiplier(self) -> float:
        """σ that upholds ε."""
        return self.training.noise_multiplier

    def check(self) -> None:
        """Refuse what the trade-off refuses."""
        _ = self.training

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """As the trade-off does."""
        return tradeoff.resolve_shared(cls, values, (base or cls()).training)


def run(settings: Settings) -> Iterator[Result | None]:
    """Train as declared, and with each declaration off in turn: first two seeds of all, then the rest."""
    s, data = settings, datasets.load(settings.dataset)
    yield from tradeoff.calibrate(s.training, [s.epsilon])
    sigma = s.noise_multiplier
    losses: dict[str, list[Array]] = {}
    first = min(tradeoff.FIRST_SEEDS, s.seeds)
    floor, names = models.floor(data), declarations(data)
    for seeds in (range(first), range(first, s.seeds)):
        for name in names if len(seeds) else ():
            table, factors = _with(data, s, name)
            plan = models.CATALOGUE[s.model].plan(
                table, np.array([sigma]), np.array([s.clip_norm]), s.sampling_rate, s.steps
            )
            if name == PLAIN:
                plan = replace(plan, noise_multiplier=np.zeros(1, np.float32), clip_norm=np.full(1, np.inf, np.float32))
            X = _scaled(data.evaluation[0], factors)
            for item in dpsgd.sweep(
                table, plan, [(s.seed, seed) for seed in seeds],
                lambda w, X=X: models.batched_losses(data, w.decision(X)),  # type: ignore[misc]
            ):  # fmt: skip
                if item is not None:
                    losses.setdefault(name, []).append(item[1][0])
                yield None
            done = sum(map(len, losses.values())) / (s.seeds * len(names))
            if len(losses) == len(names):
                yield Result(s, {name: np.stack(losses[name]) for name in names}, floor, done)


def declarations(data: datasets.Dataset) -> tuple[str, ...]:
    """What is trained: without privacy, as declared, and with each declaration off."""
    numbers = [column.name for column in data.schema.columns if column.kind == "number"][:COLUMNS]
    return (PLAIN, DECLARED, *numbers, *([ALL] if numbers else []), PEOPLE)


def _with(data: datasets.Dataset, settings: Settings, name: str) -> tuple[TrainingData, Array]:
    """The training data with one declaration off, and what each feature is shrunk by."""
    table = dpsgd.prepare(data, settings.unit)
    factors = np.concatenate(
        [
            np.full(len(column.features), _shrunk(column, settings.wider) if name in (ALL, column.name) else 1)
            for column in data.schema.columns
        ]
    ).astype(np.float32)
    if name == PEOPLE:
        return replace(table, units=2 * table.units), factors
    if (factors == 1).all():
        return table, factors
    X = table.X.copy()
    X[:-1, :-1] = _scaled(X[:-1, :-1], factors)
    return replace(table, X=X), factors


def _shrunk(column: Column, wider: float) -> float:
    """How much less of [-1, 1] a column of numbers fills whose upper bound is so many times too far off."""
    if column.kind == "category":
        return 1.0
    assert column.low is not None
    assert column.high is not None
    if column.transform == "log1p":
        span = column.high - column.low
        return math.log1p(span) / math.log1p(wider * span)
    return 1 / wider


def _scaled(X: Array, factors: Array) -> Array:
    """Features as they would be between bounds too wide: what was at the lower bound stays at -1."""
    return (X + 1) * factors - 1 if (factors != 1).any() else X


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, calibrate the other positions of the ε slider."""
    yield from tradeoff.calibrate_slider(settings.training)


def __getattr__(name: str) -> Any:
    """Its private mode, imported when it is asked for: a look releases what one of the trade-off's does."""
    if name == "private":
        return import_module("privlab.experiments._tradeoff_private")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
