"""Published bugs of differential privacy, planted on purpose, each beside code that does it right.

A training step gets the gradients (b, d) of the people who joined, before clipping, and a random generator; it returns
the noisy mean (d,). Who got it wrong was read in the sources and issues named. Line numbers and measurements of
diffprivlib are those of version 0.6.6, as installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

    Draw = np.random.Generator
    Variant = Callable[["Plan", Array, Draw], Array]

RATE, STEPS, DELTA = 0.02, 60, 1e-5


@dataclass(frozen=True)
class Plan:
    """What a training promises: C, σ, and the public number that its sums are divided by."""

    clip_norm: float
    noise_multiplier: float
    divisor: float


@dataclass(frozen=True)
class Bug:
    """One bug.

    Attributes
    ----------
    name, label : str
        In code, and on the control.
    shows : str
        The picture of its evidence: "pull", "noise", "pairs", "joins", "bounds", "ledger", "starts", "digits" or
        "worlds".
    promise, slip : str
        What the claim rests on, and what is done instead.
    who : str
        Who got it wrong, and where that is told.
    hides : str
        Where the bug does no harm, so that no check can find it.
    step : callable or None
        Of a bug in a training step: the broken step.
    divisor : float
        Of such a bug: what it divides by, in units of the plan's divisor.
    """

    name: str
    label: str
    shows: str
    promise: str
    slip: str
    who: str
    hides: str = ""
    step: Variant | None = None
    divisor: float = 1.0


def clip(gradients: Array, clip_norm: float) -> Array:
    """Shorten every row to norm C at most."""
    norms = np.linalg.norm(gradients, axis=1, keepdims=True)
    return gradients * np.minimum(1, clip_norm / np.maximum(norms, 1e-30))


def _noise(plan: Plan, width: int, rng: Draw) -> Array:
    return plan.noise_multiplier * plan.clip_norm * rng.standard_normal(width)


def sound(plan: Plan, gradients: Array, rng: Draw) -> Array:
    """DP-SGD's step: clip everyone, add up, add noise once, divide by a public number."""
    return (clip(gradients, plan.clip_norm).sum(axis=0) + _noise(plan, gradients.shape[1], rng)) / plan.divisor


def _unclipped(plan: Plan, gradients: Array, rng: Draw) -> Array:
    return (gradients.sum(axis=0) + _noise(plan, gradients.shape[1], rng)) / plan.divisor


def _clipped_late(plan: Plan, gradients: Array, rng: Draw) -> Array:
    mean = gradients.sum(axis=0, keepdims=True) / max(1, len(gradients))
    return clip(mean, plan.clip_norm)[0] + _noise(plan, gradients.shape[1], rng) / plan.divisor


def _clipped_by_layer(plan: Plan, gradients: Array, rng: Draw) -> Array:
    weights, bias = gradients[:, :-1], gradients[:, -1:]
    both = np.hstack([clip(weights, plan.clip_norm), clip(bias, plan.clip_norm)])
    return (both.sum(axis=0) + _noise(plan, gradients.shape[1], rng)) / plan.divisor


def _unscaled(plan: Plan, gradients: Array, rng: Draw) -> Array:
    noise = plan.noise_multiplier * rng.standard_normal(gradients.shape[1])
    return (clip(gradients, plan.clip_norm).sum(axis=0) + noise) / plan.divisor


def _divided_twice(plan: Plan, gradients: Array, rng: Draw) -> Array:
    noise = _noise(plan, gradients.shape[1], rng) / plan.divisor
    return (clip(gradients, plan.clip_norm).sum(axis=0) + noise) / plan.divisor


def _microbatches(plan: Plan, gradients: Array, rng: Draw) -> Array:
    pairs = [gradients[i : i + 2].mean(axis=0) for i in range(0, len(gradients), 2)]
    clipped = clip(np.array(pairs).reshape(-1, gradients.shape[1]), plan.clip_norm)
    return (clipped.sum(axis=0) + _noise(plan, gradients.shape[1], rng)) / (plan.divisor / 2)


def _sampled_divisor(plan: Plan, gradients: Array, rng: Draw) -> Array:
    total = clip(gradients, plan.clip_norm).sum(axis=0) + _noise(plan, gradients.shape[1], rng)
    return np.asarray(total / max(1, len(gradients)))


def _one_key(plan: Plan, gradients: Array, rng: Draw) -> Array:
    width = gradients.shape[1]
    noise = np.resize(_noise(plan, -(-width // 2), rng), width)  # two layers of one shape, from one key
    return (clip(gradients, plan.clip_norm).sum(axis=0) + noise) / plan.divisor


def shuffled(people: int, rng: Draw) -> list[Array]:
    """Batches as most training code makes them: the people in a new order every epoch, cut into equal parts."""
    parts = round(1 / RATE)
    epochs = [np.array_split(rng.permutation(people), parts) for _ in range(math.ceil(STEPS / parts))]
    return [batch for epoch in epochs for batch in epoch][:STEPS]


def spent_by_shuffling(noise_multiplier: float, batches: int, delta: float) -> float:
    """A lower bound on the ε of one epoch of shuffled batches (Chua et al. 2024).

    Everyone else pulls one way by C, and a missing person leaves their place empty: their batch's sum stands out by C,
    and by 2C with them, who pull back. An attacker looks whether any of the T sums is above c; the best c gives
    max ln((P − δ) / Q).
    """
    from scipy.special import log_ndtr

    c = np.linspace(-2, 2 + 12 * noise_multiplier, 2000)
    rest = (batches - 1) * log_ndtr(c / noise_multiplier)
    within, without = (-np.expm1(log_ndtr((c - moved) / noise_multiplier) + rest) for moved in (2, 1))
    kept = (within > delta) & (without > 1e-12)
    return float(np.log((within[kept] - delta) / without[kept]).max())


CUT = "Everyone's gradient is cut to length C before it is added up."
LOUD = "Gaussian noise of standard deviation σ·C is added to the sum."
INSTALLED = "diffprivlib 0.6.6, as installed here"

CATALOGUE: dict[str, Bug] = {
    bug.name: bug
    for bug in (
        Bug(
            "no_clipping", "nobody is clipped", "pull", CUT, "Gradients are added up as they are.",
            "dpwgan adds noise, yet limits its weights and not the gradients (civisanalytics/dpwgan, issue 2, open).",
            step=_unclipped,
        ),
        Bug(
            "clip_late", "clipped after averaging", "pull", CUT, "The average of the batch is cut instead.",
            "A generator of synthetic data in AiDotNet (ooples/AiDotNet, found in review, pull request 1318, 2026).",
            step=_clipped_late,
        ),
        Bug(
            "clip_layers", "clipped layer by layer", "pull", CUT, "Every layer is cut to C by itself.",
            "Fed-BioMed's central noise, by its own list of faults (fedbiomed/fedbiomed, issue 1443, point 4, 2025).",
            step=_clipped_by_layer,
        ),
        Bug(
            "unscaled_noise", "noise not scaled by C", "noise", LOUD, "The noise is σ, whatever C is.",
            "SPRINT_gan took another wrong power, σ·C², which is too little where C < 1 (greenelab/SPRINT_gan, "
            "issue 5, 2018, closed).",
            hides="With C at 1 or less there is noise enough.",
            step=_unscaled,
        ),
        Bug(
            "divided_twice", "noise divided twice", "noise", LOUD,
            "The noise is divided by the batch size twice.",
            "Backpropagation Clipping was off by a factor of the batch size: ε = 0.21 claimed, more than 2.79 shown "
            "(Tramèr et al. 2022, Debugging Differential Privacy).",
            step=_divided_twice,
        ),
        Bug(
            "microbatches", "microbatches clipped", "pull", CUT,
            "People are averaged two by two and averages are cut. One person can turn an average around: twice C.",
            "TensorFlow Privacy's compute_dp_sgd_privacy, which its documentation now calls deprecated for not "
            "counting this (tensorflow/privacy, issues 81 and 620).",
            step=_microbatches, divisor=0.5,
        ),
        Bug(
            "sampled_divisor", "divided by who came", "pull", "The sum is divided by a fixed, public number.",
            "It is divided by the number of people who are really there.",
            "Opacus 1.0 to 1.6 divide by a number made of the true number of people (meta-pytorch/opacus, issues 571 "
            "and 819, open).",
            step=_sampled_divisor,
        ),
        Bug(
            "one_key", "one key, two layers", "pairs", "Every number gets fresh noise.",
            "Two layers of one shape get the same noise: their difference has none.",
            "JAX's own example of DP-SGD (jax-ml/jax, pull request 3646, 2020, repaired).",
            step=_one_key,
        ),
        Bug(
            "shuffled", "shuffled, not sampled", "joins", "Everyone joins each batch by an independent coin.",
            "People are shuffled and dealt out: everyone joins once an epoch.",
            "Common: lxuechen/private-transformers (issue 7), TensorFlow Privacy's tutorials (issue 483). Chua et al. "
            "(2024) worked out what it costs.",
        ),
        Bug(
            "rounds", "rounds never added up", "ledger", "The claimed ε covers all that was released.",
            "Every round of training starts a new account.",
            "Apple's macOS 10.12 renewed the budget every day (Tang et al. 2017).",
        ),
        Bug(
            "data_bounds", "bounds from the data", "bounds", "Bounds and classes are public: they come from no person.",
            "They are read off the people.",
            f"{INSTALLED}: models take bounds that are not given from the data, with a warning (issue 58); naive Bayes "
            "takes its classes from them without one.",
        ),
        Bug(
            "empty_groups", "a group left empty", "starts",
            "What can come out with one person can come out without them.",
            "A group without people is skipped: its centre stays put.",
            f"{INSTALLED}: KMeans, in _update_centers. Not reported there as a bug, as far as we found.",
        ),
        Bug(
            "low_digits", "the last digits of noise", "digits",
            "What can come out with one person can come out without them.",
            "Numbers are finer near 0: last digits tell where noise began.",
            f"{INSTALLED}: its Laplace noise (issues 19 and 94; Mironov 2012, Haney et al. 2022).",
        ),
        Bug(
            "linear_regression", "diffprivlib's line", "noise",
            "Laplace noise hides each of the sums that the line is made of.",
            "One sensitivity is reckoned with the lower bound twice. With bounds (0, C) it is 0: no noise at all.",
            f"{INSTALLED}: LinearRegression, line 144 (issues 104 and 105, open).",
        ),
        Bug(
            "logistic_regression", "diffprivlib's classifier", "worlds",
            "Random weights in the loss hide a row of length 10 C.",
            "Noise is set for a row's length, where its square is needed.",
            f"{INSTALLED}: LogisticRegression with a large data_norm. The reasoning is in its issue 10: 2cq where rows "
            "of length q have 2cq². Not reported there as a bug, as far as we found.",
            hides="With C at 0.1 or less, and so data_norm at 1 or less, the claim is kept.",
        ),
    )
}  # fmt: skip


def settle(bug: Bug, plan: Plan, broken: bool) -> tuple[Any, float]:
    """A training step (gradients, rng) -> mean, and what it divides by."""
    variant = bug.step if broken and bug.step is not None else sound
    divisor = plan.divisor * (bug.divisor if broken else 1)
    return lambda gradients, rng: variant(plan, gradients, rng), divisor
