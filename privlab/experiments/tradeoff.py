"""How much does privacy cost a real model?"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from privlab import accounting, datasets, dpsgd, models
from privlab.dpsgd import Array
from privlab.experiments import _choices
from privlab.experiments._tradeoff_picture import Picture
from privlab.experiments._tradeoff_result import Curve, Result, compare
from privlab.experiments._tradeoff_slow import Slow
from privlab.experiments._waiting import a_breath, for_the_accountant
from privlab.settings import Controls, Handle, choice, control

__all__ = ["Picture", "Result", "Settings", "compare", "prepare", "run"]

FIRST_SEEDS = 2  # trained before the first picture: one for each of two cores; of a network, whose blocks share them, 1
REPAINT = 0.06  # seconds between two pictures
CLIP_GRID = np.geomspace(0.1, 10, 16)


def _noise(settings: Settings, epsilons: Sequence[float]) -> Sequence[float]:
    """σ at each ε, for labels: interpolated along the curve's ε until all positions have been calibrated."""
    mechanism = settings.mechanism
    known = _calibrated.get(tuple(mechanism.values()), ())
    if accounting.is_shipped(**mechanism) or len(known) == len(_positions()):
        return _exact(tuple(epsilons), *mechanism.values())
    if not known:
        return ()
    sigma = np.log(accounting.noise_multipliers(known, **mechanism))
    return list(np.exp(np.interp(np.log(epsilons), np.log(known), sigma)))


@cache
def _exact(epsilons: tuple[float, ...], sampling_rate: float, steps: int, delta: float) -> tuple[float, ...]:
    found = accounting.noise_multipliers(epsilons, sampling_rate=sampling_rate, steps=steps, delta=delta)
    return tuple(found.tolist())


_SHIPPED = {*accounting.EPSILON_GRID.tolist(), *accounting.EPSILON_POSITIONS.tolist()}
_calibrated: dict[tuple[float, ...], tuple[float, ...]] = {}  # the ε for which σ is at hand, by mechanism


def _positions() -> tuple[float, ...]:
    return Settings.controls()["epsilon"].positions()


class Settings(Controls):
    """What to train, and how privately."""

    epsilon: float = _choices.epsilon("How much one person's data may change the result. Smaller is more private.")
    clip_norm: float = control(
        default=1.0,
        label="clipping norm C",
        low=0.01,
        high=100,
        slider=(0.1, 10),
        scale="log",
        ends=("clips more", "clips less"),
        hint="How far one person may pull a training step. Longer pulls are cut to C; the noise grows with C.",
    )
    dataset: str = _choices.data("adult")
    models: tuple[str, ...] = choice(
        default=("dp-sgd-logistic",), label="models", among=models.names, many=True,
        words=lambda name: models.CATALOGUE[name].label,
        offered=lambda settings, name: not settings.misfit(name),
        hint="Private models to train; each has a curve of its own.",
    )  # fmt: skip
    view: str = choice(
        default="epsilon", label="show score over", among=lambda: ("epsilon", "clip_norm"),
        words=lambda view: {"epsilon": "privacy budget ε", "clip_norm": "clipping norm C"}[view],
        hint="What the horizontal axis of the picture is.",
    )  # fmt: skip
    sampling_rate: float = control(
        default=0.02, label="sampling rate q", low=1e-6, high=1, slider=(0.005, 1), scale="log", advanced=True,
        hint="The chance that a person joins the batch of a step.",
    )  # fmt: skip
    steps: int = control(
        default=60,
        label="steps T",
        low=1,
        high=20000,
        slider=(10, 1000),
        scale="log",
        advanced=True,
        hint="Training steps; each one spends.",
    )
    delta: float = control(
        default=1e-5, label="δ", low=1e-12, high=0.1, slider=(1e-9, 1e-3), scale="log", places=19, advanced=True,
        hint="The chance left outside the promise; it must be below 1 in the number of people.",
    )  # fmt: skip
    seeds: int = control(
        default=32, label="trainings", low=1, high=1000, slider=(2, 200), scale="log", places=40, advanced=True,
        hint="Independent trainings at every point: more of them narrow the dark band.",
    )  # fmt: skip
    seed: int = _choices.seed()
    unit: str = choice(
        default="person", label="protects", among=lambda: ("person", "row"), words=lambda unit: f"one {unit}",
        offered=lambda settings, unit: unit == "person" or datasets.card(settings.dataset).max_rows_per_person > 1,
        hint="Whether the promise is to a whole person or to one row of the table.",
    )  # fmt: skip

    handles: ClassVar[Mapping[str, Handle]] = {
        "noise_multiplier": Handle(
            "epsilon",
            "noise multiplier σ",
            _noise,
            "Noise on each step, in units of C. It is ε seen from the other side: moving either moves the other.",
            (_choices.ACCURATE, _choices.PRIVATE),
        )
    }

    @property
    def mechanism(self) -> dict[str, Any]:
        """What the accountant needs besides ε or σ."""
        return {"sampling_rate": self.sampling_rate, "steps": self.steps, "delta": self.delta}

    @property
    def noise_multiplier(self) -> float:
        """σ that upholds ε: the noise's standard deviation in units of C."""
        return accounting.noise_multiplier(epsilon=self.epsilon, **self.mechanism)

    @property
    def n(self) -> int:
        """The declared, public number of protected units."""
        card = datasets.card(self.dataset)
        return card.rows if self.unit == "row" else card.n

    def check(self) -> None:
        """Refuse a δ too large for the people, and models that do not fit the data."""
        if self.delta >= 1 / self.n:
            raise ValueError(
                f"'delta' must be in (0, 1/n) = (0, {1 / self.n:.3g}) for {self.n:,} in '{self.dataset}'. "
                f"Got {self.delta:g}."
            )
        for name in self.models:
            if why := self.misfit(name):
                raise ValueError(why)

    def misfit(self, name: str) -> str:
        """Why a model cannot be among these settings, in words; empty if it can."""
        model = models.CATALOGUE[name]
        if self.view == "clip_norm" and model.fit is not None:
            return "'view' must be 'epsilon' for models that have no clipping norm. Got 'clip_norm'."
        why = model.unfit_for(datasets.card(self.dataset), self.unit)
        return f"'models' must fit the data: {why}" if why else ""

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Read σ given for ε, and models, δ or q left to the data set."""
        values = dict(values)
        before = base or cls()
        unit, name = values.get("unit", before.unit), values.get("dataset", before.dataset)
        if isinstance(values.get("models"), str):
            values["models"] = (values["models"],)
        if (
            {"dataset", "unit"} & set(values)
            and isinstance(name, str)
            and name in datasets.names()
            and unit in ("person", "row")
        ):
            card = datasets.card(name)
            if "models" not in values:
                fitting = models.fitting(card, unit)
                values["models"] = tuple(m for m in before.models if m in fitting) or fitting[:1]
            units = card.rows if unit == "row" else card.n
            if "delta" not in values and before.delta >= 1 / units:
                values["delta"] = 10.0 ** -(math.floor(math.log10(units)) + 1)
            if "sampling_rate" not in values and before.sampling_rate == _usual_rate(before.dataset, before.unit):
                values["sampling_rate"] = _usual_rate(name, unit)
        if values.get("view") == "clip_norm" and "models" not in values:
            kept = tuple(m for m in before.models if models.CATALOGUE[m].fit is None)
            values["models"] = kept or tuple(m for m in models.fitting(datasets.card(name), unit)[:1])
        if "noise_multiplier" in values:
            sigma = values.pop("noise_multiplier")
            if "epsilon" in values:
                raise ValueError("'epsilon' and 'noise_multiplier' are two handles on one thing: give one.")
            mechanism = before.mechanism | {k: values[k] for k in before.mechanism if k in values}
            values["epsilon"] = accounting.epsilon(noise_multiplier=sigma, **mechanism)
            if values["epsilon"] > cls.controls()["epsilon"].high:
                raise ValueError(f"'noise_multiplier' must leave ε at most 100 with these steps. Got {sigma:g}.")
        return values


def same(name: str, default: Any = None, **changed: Any) -> Any:
    """One of these settings, for another experiment's Settings; `changed` is what its control has otherwise."""
    (one,) = (f for f in fields(Settings) if f.name == name)
    made = replace(one.metadata["control"], **changed)
    return field(default=one.default if default is None else default, metadata={"control": made})


def shared_with(cls: type[Controls]) -> set[str]:
    """The names of those of these settings that another experiment's have too."""
    return {*cls.controls()} & {*Settings.controls()} - {"view"}


def training(settings: Controls, **over: Any) -> Settings:
    """The same training as the trade-off knows it."""
    return Settings(**({name: getattr(settings, name) for name in shared_with(type(settings))} | over))


def resolve_shared(cls: type[Controls], values: dict[str, Any], before: Settings) -> dict[str, Any]:
    """Values for another experiment's settings, with what is left to the data set filled in."""
    shared = shared_with(cls)
    found = Settings.resolve({k: v for k, v in values.items() if k in shared or k in cls.handles}, before)
    return {k: v for k, v in values.items() if k not in cls.handles} | {k: v for k, v in found.items() if k in shared}


def _usual_rate(dataset: str, unit: str) -> float:
    card = datasets.card(dataset)
    share = card.n_train / card.n
    return dpsgd.usual_rate(round(share * (card.rows if unit == "row" else card.n)))


def points(settings: Settings) -> tuple[Array, int, Array, Array, Array]:
    """x, the held index, and ε, C and σ at every point.

    The held point comes last, so that the noise of the others stays when it moves.
    """
    along = settings.view == "epsilon"
    grid, own = (accounting.EPSILON_GRID, settings.epsilon) if along else (CLIP_GRID, settings.clip_norm)
    grid = grid[~np.isclose(grid, own, rtol=1e-9)]
    order = np.append(grid, own)
    epsilons = order if along else np.full(len(order), settings.epsilon)
    clips = np.full(len(order), settings.clip_norm) if along else order
    if along:
        sigma = np.append(accounting.noise_multipliers(grid, **settings.mechanism), settings.noise_multiplier)
    else:
        sigma = np.full(len(order), settings.noise_multiplier)
    return order, len(order) - 1, epsilons, clips, sigma


class Collector:
    """Gathers scores as they arrive and makes Results of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data = datasets.load(settings.dataset)
        self.order, last, self.epsilons, self.clips, self.sigma = points(settings)
        self.sorted = np.argsort(self.order, kind="stable")
        self.held = int(np.flatnonzero(self.sorted == last)[0])
        self.scores: dict[str, list[Array]] = {name: [] for name in settings.models}
        self.losses: dict[str, list[Array]] = {name: [] for name in settings.models}
        self.ceilings: dict[str, float] = {}
        self.floor = models.floor(self.data)
        self.scale = 1.0 if self.data.task != "regression" else float(np.var(self.data.evaluation[1]))

    def add(self, name: str, scores: Array, held: Array) -> None:
        self.scores[name].append(scores)
        self.losses[name].append(held)

    def result(self) -> Result:
        curves = tuple(
            Curve(name, np.stack(rows)[:, self.sorted], np.stack(self.losses[name]))
            for name, rows in self.scores.items()
            if rows
        )
        done = sum(map(len, self.scores.values())) / (self.settings.seeds * len(self.scores))
        return Result(
            self.settings, self.order[self.sorted], self.held, self.sigma[self.sorted], curves, self.floor,
            dict(self.ceilings), self.scale, done,
        )  # fmt: skip


def run(settings: Settings) -> Iterator[Result | None]:
    """Train the curve: a first Result after two seeds of every live model, better ones as more arrive."""
    grid = accounting.EPSILON_GRID.tolist() if settings.view == "epsilon" else []
    yield from calibrate(settings, [*grid, settings.epsilon])
    gathered = Collector(settings)
    slow = Slow(gathered)
    painted = -math.inf
    batched = [name for name in settings.models if models.CATALOGUE[name].fit is None]
    first = {name: min(1 if models.CATALOGUE[name].hidden else FIRST_SEEDS, settings.seeds) for name in batched}
    rounds = [(name, range(first[name])) for name in batched]
    rounds += [(name, range(first[name], settings.seeds)) for name in batched if settings.seeds > first[name]]
    for name, seeds in rounds:
        for arrived in _train(gathered, name, seeds):
            early = seeds.start == 0 and len(gathered.scores[name]) < len(seeds)
            if arrived and not early and time.perf_counter() - painted > REPAINT:
                yield gathered.result()
                painted = time.perf_counter()
            else:
                yield None
        if seeds.start == 0:
            yield from a_breath(painted)
    try:
        while not slow.queue.finished:
            slow.queue.advance()
            yield gathered.result() if slow.take_in() and any(gathered.scores.values()) else None
        yield gathered.result()
    finally:
        slow.queue.cancel()


def _train(gathered: Collector, name: str, seeds: range) -> Iterator[bool]:
    """Train a batched model and gather its scores; yields whether something arrived."""
    settings, model, data = gathered.settings, models.CATALOGUE[name], gathered.data
    known = _ahead().get((data, _of_one(settings, name)), [])
    if [*seeds] == [*range(len(known))]:
        for scores, held in known:
            gathered.add(name, scores, held)
            yield True
        return
    prepared = dpsgd.prepare(data, settings.unit)
    plan = model.plan(prepared, gathered.sigma, gathered.clips, settings.sampling_rate, settings.steps)
    X = data.evaluation[0]
    streams = [(settings.seed, seed) for seed in seeds]
    trained = dpsgd.sweep(prepared, plan, streams, lambda w: models.batched_losses(data, w.decision(X)))
    for item in trained:
        if item is not None:
            losses = item[1]
            gathered.add(name, models.score(data, losses), losses[-1].copy())
        yield item is not None


def calibrate(settings: Settings, epsilons: Sequence[float]) -> Iterator[None]:
    """Have σ at hand for every ε, in small steps: each may take some time."""
    mechanism = settings.mechanism
    if accounting.is_shipped(**mechanism) and _SHIPPED.issuperset(epsilons):
        return
    yield from for_the_accountant()
    for epsilon in epsilons:
        accounting.noise_multiplier(epsilon=float(epsilon), **mechanism)
        yield
    key = tuple(mechanism.values())
    if len(epsilons) > max(1, len(_calibrated.get(key, ()))):
        _calibrated[key] = tuple(sorted(epsilons))


def calibrate_slider(settings: Settings) -> Iterator[None]:
    """Have σ at hand for all positions of the ε slider, so that no later press waits for it."""
    yield from for_the_accountant()
    positions = np.asarray(_positions())
    yield from calibrate(settings, positions[np.argsort(np.abs(np.log(positions / settings.epsilon)))].tolist())


def prepare(settings: Settings) -> Iterator[None]:
    """In idle moments, calibrate the slider, and train the first picture's models one step of a slider further.

    They are those that would be trained at the press, to the last bit, and a hand that goes on sees them sooner.
    """
    yield from calibrate_slider(settings)
    _ahead().clear()
    for name in ("epsilon", "clip_norm"):
        places, now = Settings.controls()[name].positions(), getattr(settings, name)
        below, above = [place for place in places if place < now], [place for place in places if place > now]
        for value in (*below[-1:], *above[:1]):
            moved = Settings.make(settings, **{name: value})
            gathered = Collector(moved)
            for model in settings.models:
                if not (models.CATALOGUE[model].fit or models.CATALOGUE[model].hidden):  # what takes a moment only
                    for _ in _train(gathered, model, range(min(FIRST_SEEDS, settings.seeds))):
                        yield
                    rows = zip(gathered.scores[model], gathered.losses[model], strict=True)
                    _ahead()[gathered.data, _of_one(moved, model)] = list(rows)


@cache
def _ahead() -> dict[tuple[datasets.Dataset, Settings], list[tuple[Array, Array]]]:
    """Scores, and losses at the point that is held, of each seed; by the rows too, for people may be taken out."""
    return {}


def _of_one(settings: Settings, model: str) -> Settings:
    """What a model's trainings depend on: not on other models, nor on how many trainings there are."""
    return replace(settings, models=(model,), seeds=FIRST_SEEDS)


def __getattr__(name: str) -> Any:
    """Its private mode, imported when it is asked for."""
    if name == "private":
        return import_module("privlab.experiments._tradeoff_private")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
