"""Many private models trained at once: the one numerical core of privlab's own.

DP-SGD (Abadi et al. 2016) with Poisson batches, joint per-unit clipping and Gaussian noise. The models of one curve
(an ε or clipping grid) are columns of one weight matrix and share each sampled batch, so a step is two matrix products;
every model draws its own noise. Other seeds draw their own batches and run beside it in a second thread, because that
uses two cores where the matrix products alone would not.

Noise here is floating-point noise: "idealised", good for seeing and teaching. `privlab.estimators` offers exact noise.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from privlab import cores, gradients

if TYPE_CHECKING:
    from privlab.datasets import Dataset

Loss = Literal["logistic", "softmax", "squared"]
Array = np.ndarray[Any, np.dtype[Any]]
Seed = tuple[int, ...]
USUAL_RATE, USUAL_BATCH, LARGEST_BATCH = 0.02, 500, 2_000
PATIENCE = 0.01  # seconds a sweep blocks its caller at most before it yields
LINEAR_BLOCK, HIDDEN_BLOCK = 64, 4  # models trained in one go: wide for the matrix product, or shared by the cores
TOGETHER, MOST = 120, 8  # linear models, and seeds, that are trained in step; wide plans have a thread a seed
KEPT = 100_000  # numbers drawn for one training that are kept for its next, at other settings
KEPT_ROWS = 8_000_000  # numbers in the batches' rows that are kept likewise: those of a first picture
BATCHES, NOISE, START = 0, 1, 2**31  # streams of one seed; blocks follow NOISE


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Encoded rows laid out for training.

    Attributes
    ----------
    X : float32 (rows + 1, d + 1)
        Features with a constant last column; the last row is all zero and pads short batches and people.
    y : float32 (rows + 1,)
        Class codes, or the scaled target of a regression.
    rows : int (n, m) or None
        For each protected unit the indices of its rows, padded with the zero row. None: a row is a unit.
    loss : {"logistic", "softmax", "squared"}
    outputs : int
        Columns of the prediction: 1, or the number of classes for softmax.
    units : int
        Declared, public number of protected units: what the expected batch size is reckoned from.
    """

    X: Array
    y: Array
    rows: Array | None
    loss: Loss
    outputs: int
    units: int

    @cached_property
    def norm2(self) -> Array:
        """Squared norm of every row, the constant included."""
        return np.einsum("nd,nd->n", self.X, self.X)

    @property
    def n(self) -> int:
        """Units really there, each of which may join a batch."""
        return len(self.X) - 1 if self.rows is None else len(self.rows)

    @classmethod
    def make(
        cls, X: Array, y: Array, loss: Loss, *, outputs: int = 1, people: Array | None = None, units: int | None = None
    ) -> TrainingData:
        """Lay out features X (rows, d) and targets y (rows,).

        `people` (rows,) groups the rows of one person; `units` is the public n (default: counted, which leaks it).
        """
        padded = np.zeros((len(X) + 1, X.shape[1] + 1), np.float32)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused
            padded[:-1, :-1] = X
            target = np.append(y.astype(np.float32), np.float32(0))
        padded[:-1, -1] = 1
        rows = None if people is None else _rows_by_person(people)
        count = len(X) if rows is None else len(rows)
        made = cls(padded, target, rows, loss, outputs, units or count)
        if not np.isfinite(made.norm2).all() or not np.isfinite(target).all():
            raise ValueError("'X' and 'y' must be finite, squared lengths of rows included. Got NaN or infinity.")
        return made


def _rows_by_person(people: Array) -> Array:
    """(persons, most rows of one) row indices, padded with len(people)."""
    order = np.argsort(people, kind="stable")
    _, start, count = np.unique(people[order], return_index=True, return_counts=True)
    place = np.arange(count.max())
    rows: Array = np.where(
        place < count[:, None],
        order[np.minimum(start[:, None] + place, len(people) - 1)],
        len(people),
    )
    return rows


@cache
def prepare(dataset: Dataset, unit: str = "person") -> TrainingData:
    """The training split of a data set, laid out once for the unit of protection ("person" or "row")."""
    losses: dict[str, Loss] = {"binary": "logistic", "multiclass": "softmax", "regression": "squared"}
    return TrainingData.make(
        dataset.X_train,
        dataset.y_train,
        losses[dataset.task],
        outputs=len(dataset.classes) if dataset.task == "multiclass" else 1,
        people=dataset.people_train if unit == "person" else None,
        units=dataset.n_train if unit == "person" else dataset.n_train_rows,
    )


@dataclass(frozen=True)
class Plan:
    """What to train: K models that share their batches.

    Parameters
    ----------
    noise_multiplier, clip_norm : float32 (K,)
        σ and C of each model. σ = 0 trains without noise, C = ∞ without clipping (then σ must be 0).
    sampling_rate : float in (0, 1]
    steps : int
    hidden : int
        Units of the hidden layer (ReLU); 0 for a linear model.
    learning_rate : float or float (K,)
        Step on the *clipped mean in units of C*, so that a change of C alone does not change the pace.
    momentum : float in [0, 1)
    watched : int
        A step, counted from 0: the weights that it starts from are kept as `Weights.entering`. -1: none.
    members : bool (K, n), optional
        Which units each model learns from. Only for full batches (`sampling_rate` 1) of units that are rows.
    penalty : float
        λ of the L2 penalty λ/2·‖θ‖², the constant included, that is added to the mean loss. It costs no privacy.
    """

    noise_multiplier: Array
    clip_norm: Array
    sampling_rate: float
    steps: int
    hidden: int = 0
    learning_rate: float | Array = 2.0
    momentum: float = 0.9
    watched: int = -1
    members: Array | None = None
    penalty: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.clip_norm[self.noise_multiplier > 0]).all():
            raise ValueError("'clip_norm' must be finite where there is noise. Got infinity or NaN.")

    @property
    def width(self) -> int:
        """K, the number of models."""
        return len(self.noise_multiplier)

    def blocks(self) -> list[Plan]:
        """Parts that can be trained apart, of a width that does not depend on the machine."""
        size = HIDDEN_BLOCK if self.hidden else LINEAR_BLOCK
        rates = np.broadcast_to(self.learning_rate, self.width)
        return [
            replace(
                self,
                noise_multiplier=self.noise_multiplier[i : i + size],
                clip_norm=self.clip_norm[i : i + size],
                learning_rate=rates[i : i + size],
                members=None if self.members is None else self.members[i : i + size],
            )
            for i in range(0, self.width, size)
        ]


def usual_rate(units: int) -> float:
    """The sampling rate where none is chosen: 2 % of the public n, but batches of at least 500 and at most 2,000 units.

    Larger ones train small sets better at the same ε. Smaller ones are quicker and cost 750,000 people < 0.1 points.
    """
    return float(f"{min(max(USUAL_RATE, USUAL_BATCH / units), LARGEST_BATCH / units, 1):.2g}")


def steady_rate(noise_multiplier: Array, parameters: int, batch: float, fastest: float, pace: float) -> Array:
    """A learning rate that slows down where the noise is loud: min(fastest, pace / ν), ν = σ·√d / expected batch.

    ν is the length of one step's noise against the longest possible clipped mean. It is made of public numbers only, so
    the choice costs no privacy. `pace` was tuned once, on the shipped data sets.
    """
    loudness = np.asarray(noise_multiplier, float) * np.sqrt(parameters) / batch
    return np.minimum(fastest, pace / np.maximum(loudness, 1e-12))


@dataclass(frozen=True)
class Weights:
    """K trained models: `first` (d + 1, K·units) and, with a hidden layer, `second` (K, hidden + 1, outputs).

    `entering` are the weights that a plan's watched step started from: an iterate, not an average.
    """

    first: Array
    second: Array | None
    outputs: int
    entering: Weights | None = None

    def decision(self, X: Array) -> Array:
        """Raw predictions (K, outputs, rows) for features X (rows, d) without a constant column."""
        z = self.first[:-1].T @ X.T
        z += self.first[-1][:, None]
        if self.second is None:
            return z.reshape(-1, self.outputs, len(X))
        h = np.maximum(z, 0, out=z).reshape(len(self.second), -1, len(X))
        return self.second[:, :-1].transpose(0, 2, 1) @ h + self.second[:, -1, :, None]


def poisson_batches(rng: np.random.Generator, n: int, sampling_rate: float, steps: int) -> list[Array]:
    """For each step the units that joined, each independently with probability `sampling_rate`.

    Gaps between successes of a Bernoulli sequence are geometric, so the cost follows the batch, not the data.
    """
    if sampling_rate == 1:
        return [np.arange(n)] * steps
    total, rate = n * steps, -np.log1p(-sampling_rate)
    size = int(total * sampling_rate + 8 * np.sqrt(total * sampling_rate) + 16)
    position = np.full(1, -1, np.int64)
    while position[-1] < total:
        gaps = np.minimum(rng.standard_exponential(size) / rate, total).astype(np.int64) + 1
        position = np.concatenate([position, position[-1] + np.cumsum(gaps)])
    step, unit = np.divmod(position[1:][position[1:] < total], n)
    return np.split(unit, np.searchsorted(step, np.arange(1, steps)))


def _stream(seed: Seed, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([*seed, number]))


@lru_cache(maxsize=64)
def _kept_batches(seed: Seed, n: int, sampling_rate: float, steps: int) -> list[Array]:
    return poisson_batches(_stream(seed, BATCHES), n, sampling_rate, steps)


@lru_cache(maxsize=64)
def _kept_noise(seed: Seed, block: int, steps: int, size: int) -> Array:
    return _stream(seed, NOISE + block).standard_normal((steps, size), np.float32)


def _batches(seed: Seed | None, n: int, sampling_rate: float, steps: int) -> list[Array]:
    """Who joins each step: drawn once for a seed, whose trainings at other ε and C join the same way."""
    if seed is None:
        return poisson_batches(np.random.default_rng(), n, sampling_rate, steps)
    kept = n * sampling_rate * steps <= KEPT
    return (_kept_batches if kept else _kept_batches.__wrapped__)(seed, n, sampling_rate, steps)


def _noise(seed: Seed | None, block: int, steps: int, size: int) -> Iterator[Array]:
    """Standard normal draws (size,) of each step."""
    if seed is not None and steps * size <= KEPT:
        yield from _kept_noise(seed, block, steps, size)
        return
    rng = np.random.default_rng() if seed is None else _stream(seed, NOISE + block)
    for _ in range(steps):
        yield rng.standard_normal(size, np.float32)


def train(
    data: TrainingData, plan: Plan, seed: Seed | None, block: int = 0, stopped: Callable[[], bool] = bool
) -> Weights | None:
    """Train the K models of a plan from one seed (None: the system's entropy); None if `stopped()` before the end.

    Every step adds N(0, (σC)²) once to the sum of clipped gradients and divides by the fixed, public expected batch
    size; an empty batch gets its noise too. Returned are the averages of the second half's iterates. Blocks of one
    seed share their batches and their start, and draw their own noise.
    """
    return train_together(data, plan, [seed], block, stopped)


def train_together(
    data: TrainingData, plan: Plan, seeds: Sequence[Seed | None], block: int = 0, stopped: Callable[[], bool] = bool
) -> Weights | None:
    """`train` from several seeds in step with each other; the S·K models come seed by seed.

    Each seed has its own batches and noise. Fewer and larger array operations hand Python's lock over less often.
    """
    model = (gradients.Hidden if plan.hidden else gradients.Linear)(data, plan)
    starts = (np.random.default_rng() if seed is None else _stream(seed, START) for seed in seeds)
    theta = np.stack([model.start(rng) for rng in starts])
    velocity, average, size = np.zeros_like(theta), np.zeros_like(theta), theta.shape[1]
    scale = model.spread(plan.noise_multiplier * np.where(plan.noise_multiplier > 0, plan.clip_norm, 0))
    unit = np.where(np.isfinite(plan.clip_norm), plan.clip_norm, 1)
    pace = model.spread(plan.learning_rate / (unit * plan.sampling_rate * data.units))
    tail, entering = plan.steps // 2, None
    m = 1 if data.rows is None else data.rows.shape[1]
    noises = zip(*(_noise(seed, block, plan.steps, size) for seed in seeds), strict=True) if scale.any() else None
    for step, rows in enumerate(_rows(data, tuple(seeds), plan.sampling_rate, plan.steps)):
        if stopped():
            return None
        if step == plan.watched:
            entering = Weights(*model.weights(theta.copy()), data.outputs)
        gradient = model.gradient(theta, *rows, m)
        if noises is not None:
            for sums, noise in zip(gradient, next(noises), strict=True):
                sums += noise * scale
        if plan.penalty:
            gradient += np.float32(plan.penalty * plan.sampling_rate * data.units) * theta
        velocity *= plan.momentum
        velocity += gradient
        theta -= pace * velocity
        if step >= tail:
            average += theta
    return Weights(*model.weights(average / np.float32(plan.steps - tail)), data.outputs, entering)


Rows = tuple[Array, Array, Array]


def _rows(data: TrainingData, seeds: tuple[Seed | None, ...], sampling_rate: float, steps: int) -> Iterator[Rows]:
    """Features (trainings, units·m, d + 1), targets and squared norms of each step's rows."""
    size = len(seeds) * data.n * sampling_rate * steps * data.X.shape[1]
    if sampling_rate == 1 and data.rows is None:  # everybody, in every step
        whole = [np.broadcast_to(part[:-1], (len(seeds), *part[:-1].shape)) for part in (data.X, data.y, data.norm2)]
        yield from itertools.repeat((whole[0], whole[1], whole[2]), steps)
    elif None not in seeds and size <= KEPT_ROWS:
        yield from _kept_rows(data, seeds, sampling_rate, steps)
    else:
        yield from _gather(data, seeds, sampling_rate, steps, gradients.Scratch())


@lru_cache(maxsize=2)
def _kept_rows(data: TrainingData, seeds: tuple[Seed, ...], sampling_rate: float, steps: int) -> list[Rows]:
    return list(_gather(data, seeds, sampling_rate, steps, None))


def _gather(
    data: TrainingData,
    seeds: tuple[Seed | None, ...],
    sampling_rate: float,
    steps: int,
    scratch: gradients.Scratch | None,
) -> Iterator[Rows]:
    width = data.X.shape[1]
    for joined in zip(*(_batches(seed, data.n, sampling_rate, steps) for seed in seeds), strict=True):
        rows = _side_by_side(data, joined)
        X = np.empty((rows.size, width), np.float32) if scratch is None else scratch("X", rows.size, width)
        np.take(data.X, rows.ravel(), axis=0, out=X, mode="clip")
        yield X.reshape(*rows.shape, width), data.y[rows], data.norm2[rows]


def _side_by_side(data: TrainingData, joined: Sequence[Array]) -> Array:
    """Row indices of each training's batch (trainings, units·m), padded with the row of zeros."""
    if data.rows is not None:
        joined = [data.rows[batch].ravel() for batch in joined]
    rows = np.full((len(joined), max(map(len, joined))), len(data.X) - 1)
    for row, batch in zip(rows, joined, strict=True):
        row[: len(batch)] = batch
    return rows


def sweep(
    data: TrainingData, plan: Plan, seeds: Iterable[Seed], score: Callable[[Weights], Array]
) -> Iterator[tuple[Seed, Array] | None]:
    """Train the plan for every seed and yield (seed, scores) in the order of `seeds`.

    `score` maps the weights of some of the models to an array whose first axis is those models. Yields None at least
    every `PATIENCE` seconds in between; closing the generator stops the training.
    """
    pool, stop = cores.shared(), threading.Event()
    left = list(seeds)
    together = 1 if plan.hidden else min(MOST, max(1, TOGETHER // min(plan.width, LINEAR_BLOCK)))
    groups = [left[i : i + together] for i in range(0, len(left), together)]

    def work(part: Plan, group: Sequence[Seed], block: int) -> Array | None:
        weights = train_together(data, part, group, block, stop.is_set)
        if weights is None:
            return None
        scores = score(weights)
        return scores.reshape(len(group), -1, *scores.shape[1:])

    with pool.held():
        jobs = [
            (group, [pool.threads.submit(work, part, group, block) for block, part in enumerate(plan.blocks())])
            for group in groups
        ]
        try:
            for group, parts in jobs:
                while wait(parts, timeout=PATIENCE).not_done:
                    yield None
                yield from zip(group, np.concatenate([part.result() for part in parts], axis=1), strict=True)
        finally:
            stop.set()
            futures = [future for _, parts in jobs for future in parts]
            for future in futures:
                future.cancel()
            wait(futures)
