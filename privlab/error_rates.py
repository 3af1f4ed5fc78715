"""The least ε at which an attack can be wrong so rarely, by what is known of the mechanism's noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from privlab import accounting, composition

if TYPE_CHECKING:
    from privlab.dpsgd import Array

Family = Literal["any", "gaussian", "pld"]
Shape = Callable[["Array", "Array"], float]
FAMILIES: dict[Family, str] = {
    "any": "distribution-free",
    "gaussian": "Gaussian-shaped",
    "pld": "shaped like sampled Gaussian noise",
}
SPREAD, LOUDEST = 1.01, -270  # the noise multipliers that the PLD-shaped bound tells apart: 1.01^-270 = 0.068 and up


def distribution_free(fpr: Array, fnr: Array, delta: float) -> Array:
    """ε of each pair, whatever the mechanism: max{ln((1−δ−FNR)/FPR), ln((1−δ−FPR)/FNR)}, at least 0."""
    with np.errstate(divide="ignore"):
        forth = np.log(np.maximum(1 - delta - fnr, 0)) - np.log(fpr)
        back = np.log(np.maximum(1 - delta - fpr, 0)) - np.log(fnr)
    return np.maximum(0, np.maximum(forth, back))


def shift(fpr: Array, fnr: Array) -> Array:
    """How many standard deviations apart two Gaussians are that are told apart with these error rates."""
    from scipy.special import ndtri

    return np.maximum(0, -ndtri(fpr) - ndtri(fnr))


def shape(family: Family, delta: float, sampling_rate: float, steps: int) -> Shape:
    """(FPR, FNR), each (pairs,) -> the least ε that allows one of the pairs."""
    if family == "any":
        return lambda fpr, fnr: float(distribution_free(fpr, fnr, delta).min())
    if family == "gaussian" or sampling_rate == 1:  # unsampled steps are together one Gaussian release
        return lambda fpr, fnr: composition.gaussian(float(shift(fpr, fnr).min()), delta)
    return lambda fpr, fnr: _sampled(fpr, fnr, delta, sampling_rate, steps)


def _sampled(fpr: Array, fnr: Array, delta: float, rate: float, steps: int) -> float:
    """ε of the least noisy σ on a grid of ratio `SPREAD` that allows none of the pairs, hence rounded down."""
    apart = float(shift(fpr, fnr).min())
    if apart == 0:
        return 0.0
    guess = 1 / math.sqrt(math.log1p((apart / rate) ** 2 / steps))  # by the central limit
    low = max(LOUDEST, round(math.log(guess, SPREAD)))
    while low > LOUDEST and not _allows(low, rate, steps, fpr, fnr):
        low = max(LOUDEST, low - 16)
    high = low + 16
    while _allows(high, rate, steps, fpr, fnr):
        low, high = high, high + 16
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _allows(middle, rate, steps, fpr, fnr) else (low, middle)
    more = SPREAD ** (high + 1)  # lowers ε by 1 % or more, which outweighs the accountant's rounding up
    return accounting.epsilon(noise_multiplier=more, sampling_rate=rate, steps=steps, delta=delta)


def _allows(place: int, rate: float, steps: int, fpr: Array, fnr: Array) -> bool:
    """Whether some pair of rates is possible at σ = SPREAD^place."""
    growth, with_person, without = _curves(place, rate, steps)
    hits = with_person + growth * fpr[:, None] >= 1 - fnr[:, None]
    rejections = without + growth * fnr[:, None] >= 1 - fpr[:, None]
    return bool((hits & rejections).all(axis=1).any())


@lru_cache(maxsize=512)
def _curves(place: int, rate: float, steps: int) -> tuple[Array, Array, Array]:
    """e^ε, and δ(ε) of the output with the person against that without, and the other way round."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    sigma = SPREAD**place
    interval = max(1e-4, accounting.rounding_interval(sigma, rate, steps))
    step = pld.from_gaussian_mechanism(sigma, sampling_prob=rate, value_discretization_interval=interval)
    composed = step.self_compose(steps)
    epsilons = np.concatenate([[0.0], np.geomspace(0.01, 30, 400)])
    sides = (composed._pmf_remove, composed._pmf_add)  # dp-accounting's public answer is the larger of the two
    return np.exp(epsilons), *(np.asarray(side.get_delta_for_epsilon(epsilons)) for side in sides)
