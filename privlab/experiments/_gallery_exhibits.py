"""What the checks find on each bug of the gallery and on its sound twin: findings, and what their picture needs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, checks, datasets, dpsgd
from privlab.checks import Finding
from privlab.experiments import _gallery_bugs as bugs
from privlab.experiments import _learners_fits as fits
from privlab.experiments._gallery_bugs import CATALOGUE, DELTA, RATE, STEPS, Bug, Plan
from privlab.experiments._two_worlds_result import interval
from privlab.experiments._waiting import for_import, for_the_accountant, meanwhile

if TYPE_CHECKING:
    from privlab.dpsgd import Array

DATA = "breast_cancer"
CURVE = np.geomspace(0.1, 1000, 25)  # lengths of an added gradient, in units of C
ROUNDS = 10
BLOCK = 0.015  # seconds of work between two results
BINS = 2**20  # steps of the sound twin's grid within one sensitivity


@dataclass(frozen=True)
class Exhibit:
    """One bug, or its sound twin, under the checks.

    Attributes
    ----------
    bug : str
    broken : bool
    findings : tuple of Finding
    drawn : dict of array
        What the picture of this bug's evidence shows.
    progress : float in [0, 1]
    """

    bug: str
    broken: bool
    findings: tuple[Finding, ...]
    drawn: dict[str, Array]
    progress: float = 1.0

    @property
    def caught(self) -> bool:
        """Whether any check failed."""
        return not all(finding.passed for finding in self.findings)


@dataclass(frozen=True)
class Claim:
    """What is claimed of a bug and its twin, and how much the checks may try."""

    epsilon: float
    clip_norm: float
    trials: int
    seed: int

    @property
    def noise_multiplier(self) -> float:
        """σ of one round of training."""
        return accounting.noise_multiplier(epsilon=self.epsilon, sampling_rate=RATE, steps=STEPS, delta=DELTA)

    def rng(self, bug: str, broken: bool) -> np.random.Generator:
        """Each variant draws its own numbers."""
        return np.random.default_rng([self.seed, list(CATALOGUE).index(bug), broken])


def examine(name: str, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    """Run the checks that a bug is open to: better and better exhibits, the last one whole."""
    bug = CATALOGUE[name]
    yield from (_step if bug.step is not None else _OTHERS[name])(bug, broken, claim)


@cache
def _gradients() -> Array:
    """Gradients (n, d) of real people where a logistic regression starts, the constant last."""
    data = datasets.load(DATA)
    return np.column_stack([data.X_train, np.ones(len(data.X_train))]).astype(float) * (0.5 - data.y_train)[:, None]


def people() -> int:
    """N of the training that the claims are about."""
    return int(datasets.card(DATA).n_train)


def _step(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    rng, plan = claim.rng(bug.name, broken), Plan(claim.clip_norm, claim.noise_multiplier, RATE * people())
    step, divisor = bugs.settle(bug, plan, broken)
    batches = [_gradients()[:size] for size in (0, 1, 3, round(plan.divisor))]
    batches.append(3 * plan.clip_norm * batches[2] / np.linalg.norm(batches[2], axis=1, keepdims=True))  # all cut
    findings = [checks.sensitivity(step, batches, clip_norm=plan.clip_norm, divisor=divisor)]
    if bug.name == "sampled_divisor":
        divisors = [{"what the sum is divided by": (size if broken else divisor)} for size in (8, 9)]
        findings.append(checks.replay(*divisors))
    yield None
    far = [checks.farthest(step, batches, length * plan.clip_norm, divisor) for length in CURVE]
    drawn = {"pull": np.array(far) / plan.clip_norm}
    yield None
    draws = checks.step_noise(step, batches[3], rng, draws=claim.trials, divisor=divisor)
    scale = plan.noise_multiplier * plan.clip_norm
    findings.append(checks.noise(draws, scale=scale))
    width = batches[3].shape[1]
    half = -(-width // 2)
    layers = draws.reshape(-1, width)[:, : width // 2], draws.reshape(-1, width)[:, half:]
    drawn |= {"noise": draws / scale, "pairs": np.array([layer.ravel() for layer in layers]) / scale}
    yield Exhibit(bug.name, broken, tuple(findings), drawn)


def _shuffled(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    rng, n, sigma = claim.rng(bug.name, broken), people(), claim.noise_multiplier
    batches = bugs.shuffled(n, rng) if broken else dpsgd.poisson_batches(rng, n, RATE, STEPS)
    drawn = {"joins": np.bincount(np.concatenate(batches), minlength=n)}
    sampled = checks.sampling(batches, people=n, rate=RATE)
    yield Exhibit(bug.name, broken, (sampled,), drawn, 0.5)
    if broken:
        spent = bugs.spent_by_shuffling(sigma, round(1 / RATE), DELTA)
        words = f"Shuffled, one epoch spends ε = {spent:.3g} or more; claimed was {claim.epsilon:.3g}."
        total = Finding("account", spent <= claim.epsilon, words, spent, claim.epsilon)
    else:
        yield from for_the_accountant()
        total = checks.account(claim.epsilon, noise_multiplier=sigma, sampling_rate=RATE, steps=STEPS, delta=DELTA)
    yield Exhibit(bug.name, broken, (sampled, total), drawn)


def _rounds(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    yield from for_the_accountant()
    planned: dict[str, Any] = {"sampling_rate": RATE, "steps": STEPS * (1 if broken else ROUNDS), "delta": DELTA}
    calibrate = partial(accounting.noise_multiplier, epsilon=claim.epsilon, **planned)
    yield from meanwhile(calibrate)  # both keep their answers
    found, sigma = [], calibrate()
    for rounds in range(1, ROUNDS + 1):
        ran: dict[str, Any] = planned | {"noise_multiplier": sigma, "steps": STEPS * rounds}
        yield from meanwhile(partial(accounting.epsilon, **ran))
        found.append(checks.account(claim.epsilon, **ran))
    spent = np.array([one.statistic for one in found]) / claim.epsilon
    yield Exhibit(bug.name, broken, (found[-1],), {"ledger": spent})


def _data_bounds(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    """Diffprivlib's naive Bayes on two real columns, without and with a made-up person far out."""
    yield from for_import("diffprivlib.models")
    from diffprivlib import BudgetAccountant
    from diffprivlib.models import GaussianNB
    from diffprivlib.utils import PrivacyLeakWarning

    data, reach = datasets.load(DATA), claim.clip_norm
    X, y = reach * data.X_train[:, :2].astype(float), data.y_train.astype(int)
    facts, drawn = [], []
    for world in (0, 1):
        rows, labels = (np.vstack([X, [[3 * reach, 0]]]), np.append(y, 2)) if world else (X, y)
        if not broken:  # bounds are declared, and a made-up row stands for each declared class
            rows, labels = np.vstack([rows, np.zeros((3, 2))]), np.concatenate([labels, np.arange(3)])
        model = GaussianNB(
            epsilon=claim.epsilon, bounds=None if broken else (-reach, reach), random_state=claim.seed,
            accountant=BudgetAccountant(),
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PrivacyLeakWarning)  # the library's own, and the point of this exhibit
            model.fit(rows, labels)
        bounds = np.array([np.broadcast_to(end, 2) for end in model.bounds])
        facts.append({"bounds": bounds, "classes": model.classes_})
        drawn.append([*bounds[:, 0] / reach, len(model.classes_)])
        yield None
    yield Exhibit(bug.name, broken, (checks.replay(*facts),), {"bounds": np.array(drawn)})


def _low_digits(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    """A count of 0 or C with Laplace noise; the attacker looks for answers that only noise around 0 can have."""
    step = claim.clip_norm / BINS
    finer = 2.0 ** (math.floor(math.log2(claim.clip_norm)) - 53)  # C plus noise is a multiple of this, near 0
    near = 2.0**52 * finer
    if broken:
        yield from for_import("diffprivlib.models")
        from diffprivlib.mechanisms import Laplace

        state = np.random.RandomState(int(claim.rng(bug.name, broken).integers(2**31)))
        mechanism = Laplace(epsilon=claim.epsilon, sensitivity=claim.clip_norm, random_state=state)

        def release(value: float, size: int) -> Array:
            return np.array([mechanism.randomise(value) for _ in range(size)])

    else:
        rng, stop = claim.rng(bug.name, broken), -math.expm1(-claim.epsilon / BINS)

        def release(value: float, size: int) -> Array:
            steps: Array = rng.geometric(stop, size) - rng.geometric(stop, size)
            return (round(value / step) + steps) * step

    def score(answer: Array) -> Array:
        return np.where((np.abs(answer) < near) & (np.fmod(answer, finer) != 0), 0.0, 1.0)

    def scores(world: int, size: int) -> Array:
        return score(release(world * claim.clip_norm, size))

    def show(*worlds: Array) -> dict[str, Array]:
        return {"digits": _shares(*(1 - told for told in worlds))}

    yield from _audited(bug, broken, claim, scores, 500, show)


def _shares(without: Array, within: Array) -> Array:
    """Shares of ones in both worlds, and the ends of their 95 % intervals (3, 2)."""
    counts = np.array([without.sum(), within.sum()])
    return np.array([counts / len(without), *interval(counts, len(without))])


def _empty_groups(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    """K-means with two groups: everybody is at 0, or one of them at C. Starts lie in [3C/8, 7C/8] or further left."""
    yield from for_import("diffprivlib.models")
    from diffprivlib import BudgetAccountant
    from diffprivlib.models import KMeans

    top, state = claim.clip_norm, np.random.RandomState(int(claim.rng(bug.name, broken).integers(2**31)))
    told: dict[str, Any] = {"bounds": (0, top), "random_state": state, "accountant": BudgetAccountant()}
    kind, share = (KMeans, 1) if broken else (fits.filled(), 2)  # a replaced row leaves one group and enters another
    made = kind(2, epsilon=claim.epsilon / share, **told)
    rows = np.zeros((min(2000, max(30, math.ceil(100 / claim.epsilon))), 1))

    def scores(world: int, size: int) -> Array:
        rows[-1] = top * world
        right = np.array([made.fit(rows).cluster_centers_.max() for _ in range(size)])
        return np.where((right < 3 * top / 8) | (right > 7 * top / 8), 1.0, 0.0)

    yield from _audited(
        bug, broken, replace(claim, trials=max(400, claim.trials // 25)), scores, 4,
        show=lambda *worlds: {"starts": _shares(*worlds)},
    )  # fmt: skip


def _audited(
    bug: Bug,
    broken: bool,
    claim: Claim,
    scores: Callable[[int, int], Array],
    block: int,
    show: Callable[[Array, Array], dict[str, Array]],
) -> Iterator[Exhibit | None]:
    """Run two worlds block by block and audit them ever more tightly."""
    worlds: list[Array] = [np.empty(0), np.empty(0)]
    shown, painted = 0, time.perf_counter()
    while (count := len(worlds[0])) < claim.trials:
        size = min(block, claim.trials - count)
        for world in (0, 1):
            worlds[world] = np.append(worlds[world], scores(world, size))
            yield None
        count += size
        if count == claim.trials or (count >= max(100, 2 * shown) and time.perf_counter() - painted > BLOCK):
            finding = checks.two_worlds(*worlds, claimed=claim.epsilon)
            drawn = show(worlds[0], worlds[1])
            yield Exhibit(bug.name, broken, (finding,), drawn, count / claim.trials)
            shown, painted = count, time.perf_counter()


def _linear_regression(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    """The noise on ΣX² that the installed library draws; declared bounds (0, C), or (−C, C), which hide its slip."""
    yield from for_import("diffprivlib.models")
    from diffprivlib.models import linear_regression as library

    top, state = claim.clip_norm, np.random.RandomState(int(claim.rng(bug.name, broken).integers(2**31)))
    scale = 3 * top**2 / claim.epsilon  # a third of ε for each of Σy², Σxy and Σx²
    rows = np.full((math.ceil(120 / claim.epsilon), 1), top)  # so many that folding noise at 0 plays no part
    bounds = np.array([0.0 if broken else -top]), np.array([top])
    truth, draws = float((rows**2).sum()), np.empty(claim.trials)
    at = time.perf_counter()
    for k in range(claim.trials):
        _, sums = library._construct_regression_obj(  # what `fit` calls, where the slip is
            rows, np.zeros(len(rows)), bounds, (np.zeros(1), np.ones(1)), claim.epsilon, 0.0, state
        )
        draws[k] = float(sums[2][0, 0]) - truth
        if k + 1 in (1000, claim.trials):
            seen = draws[: k + 1]
            finding = checks.noise(seen, scale=scale, family="laplace")
            yield Exhibit(bug.name, broken, (finding,), {"noise": seen / scale}, (k + 1) / claim.trials)
        elif time.perf_counter() - at > BLOCK:
            yield None
            at = time.perf_counter()


@dataclass(frozen=True)
class Objective:
    """One weight, learned by objective perturbation from rows of length d: fifty short ones and one person's.

    The person's row is 0 or d long. With b the random weight of the loss, the release w solves G(w) + b = 0, where
    G(w) = Σ loss'(wx)x + Λw increases; so its density is that of b, at −G(w), times G'(w).
    """

    length: float
    strength: float
    scale: float

    def pulls(self, w: Array, world: int) -> Array:
        """G(w)."""
        x, d = self.length / 50, self.length
        person = d * (_logistic(w * d) - 1) * world
        return np.asarray(50 * x * _logistic(w * x) + person + self.strength * w)

    def evidence(self, w: Array) -> Array:
        """The log-likelihood ratio of a release w: for the person with a long row, against them with none."""
        x, d = self.length / 50, self.length
        s, t = _logistic(w * x), _logistic(w * d)
        slope = 50 * x**2 * s * (1 - s) + self.strength
        density = (np.abs(self.pulls(w, 0)) - np.abs(self.pulls(w, 1))) / self.scale
        return np.asarray(density + np.log1p(d**2 * t * (1 - t) / slope))

    def solve(self, noise: Array, world: int) -> Array:
        """The released w for random weights b (N,), by bisection."""
        far = (np.abs(noise).max() + 2 * self.length) / self.strength
        low, high = np.full(len(noise), -far), np.full(len(noise), far)
        for _ in range(60):
            middle = (low + high) / 2
            above = self.pulls(middle, world) + noise > 0
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2


def _logistic(z: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(z / 2))


def objective(claim: Claim, broken: bool) -> tuple[Objective, dict[str, Any]]:
    """The learner, and what the library's mechanism is told: for the sound twin all rows are scaled to length 1."""
    length = 10 * claim.clip_norm if broken else min(1.0, 10 * claim.clip_norm)
    strength = 0.25 * length / math.expm1(claim.epsilon / 3)  # then a third of ε is left for the random weight
    told = {"epsilon": claim.epsilon, "alpha": strength, "data_sensitivity": length, "function_sensitivity": 0.25}
    return Objective(length, strength, 6 * length / claim.epsilon), told


def _logistic_regression(bug: Bug, broken: bool, claim: Claim) -> Iterator[Exhibit | None]:
    yield from for_import("diffprivlib.models")
    from diffprivlib.mechanisms import Vector

    made, told = objective(claim, broken)
    state = np.random.RandomState(int(claim.rng(bug.name, broken).integers(2**31)))
    mechanism = Vector(dimension=1, n=51, random_state=state, **told)
    one = np.ones(1)

    def weights(size: int) -> Array:  # the mechanism adds b·w/n to the loss: read it off a loss of 0 at w = 1
        return np.array([51 * float(mechanism.randomise(_nothing)(one)) for _ in range(size)])

    def scores(world: int, size: int) -> Array:
        return made.evidence(made.solve(weights(size), world))

    def show(without: Array, within: Array) -> dict[str, Array]:
        return {"worlds": np.array([without, within]) / claim.epsilon}

    yield from _audited(bug, broken, claim, scores, 150, show=show)


def _nothing(w: Array) -> float:
    return 0.0


_OTHERS: dict[str, Callable[[Bug, bool, Claim], Iterator[Exhibit | None]]] = {
    "shuffled": _shuffled,
    "rounds": _rounds,
    "data_bounds": _data_bounds,
    "empty_groups": _empty_groups,
    "low_digits": _low_digits,
    "linear_regression": _linear_regression,
    "logistic_regression": _logistic_regression,
}
