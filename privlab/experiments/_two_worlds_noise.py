"""Noise in two worlds: what an answer of 0 (without one person) or 1 (with them) becomes, in theory and by OpenDP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from privlab import accounting, explain, mechanisms

Array = npt.NDArray[np.float64]

LAPLACE, GAUSSIAN, RESPONSE = "laplace", "gaussian", "randomized_response"
DISCRETE_LAPLACE, DISCRETE_GAUSSIAN = "discrete_laplace", "discrete_gaussian"
LABELS = {
    LAPLACE: "Laplace",
    GAUSSIAN: "Gaussian",
    DISCRETE_LAPLACE: "discrete Laplace",
    DISCRETE_GAUSSIAN: "discrete Gaussian",
    RESPONSE: "randomised response",
}
SLOW = (GAUSSIAN, DISCRETE_GAUSSIAN)  # calibrated by dp-accounting
TAIL = 12  # scales from the centre, beyond which the discrete Gaussian has less than 1e-31
ROUNDED = 1 - 1e-9  # so that OpenDP, which rounds up, reckons no more than ε


@dataclass(frozen=True)
class Noise:
    """A mechanism that upholds ε for one person, whose presence moves the exact answer from 0 to 1.

    Attributes
    ----------
    mechanism : str
        One of `LABELS`.
    epsilon, delta : float
        What it upholds; δ is 0 for the pure kinds.
    scale : float
        Laplace: mean distance from the truth. Gaussian: standard deviation (for the discrete kind, of the Gaussian that
        is made discrete). Randomised response: the chance of the truth.
    """

    mechanism: str
    epsilon: float
    delta: float
    scale: float

    @property
    def whole(self) -> bool:
        """Whether answers are whole numbers."""
        return self.mechanism not in (LAPLACE, GAUSSIAN)

    @property
    def peak(self) -> float:
        """Density, or chance, of the likeliest answer."""
        s = self.scale
        if self.mechanism == LAPLACE:
            return 1 / (2 * s)
        if self.mechanism == GAUSSIAN:
            return 1 / (s * math.sqrt(2 * math.pi))
        if self.mechanism == DISCRETE_LAPLACE:
            return math.tanh(0.5 / s)
        return s if self.mechanism == RESPONSE else float(_discrete_gaussian(s).max())

    def height(self, x: Array, world: int) -> Array:
        """How likely the answers `x` are, against the likeliest, without (0) or with (1) the person."""
        if self.mechanism == RESPONSE:
            chance = np.where(x == world, 1.0, (1 - self.scale) / self.scale)
            return np.where((x == 0) | (x == 1), chance, 0.0)
        away = np.abs(x - world) / self.scale
        return np.exp(-away if self.mechanism in (LAPLACE, DISCRETE_LAPLACE) else -(away**2) / 2)

    def log_ratio(self, x: Array) -> Array:
        """Logarithm of how many times likelier the answers `x` are with the person than without."""
        if self.mechanism == RESPONSE:
            return math.log(self.scale / (1 - self.scale)) * (2 * np.asarray(x) - 1)
        if self.mechanism in (LAPLACE, DISCRETE_LAPLACE):
            return (np.abs(x) - np.abs(x - 1)) / self.scale
        return (x - 0.5) / self.scale**2

    def above(self, threshold: Array | float, world: int) -> Array:
        """The chance that an answer is above each threshold."""
        t = np.asarray(threshold, float) - world
        if self.mechanism == GAUSSIAN:
            from scipy.special import ndtr

            return np.asarray(ndtr(-t / self.scale))
        if self.mechanism == LAPLACE:
            tail = np.exp(-np.abs(t) / self.scale) / 2
            return np.where(t > 0, tail, 1 - tail)
        if self.mechanism == RESPONSE:
            yes = self.scale if world else 1 - self.scale
            return np.where(t + world < 0, 1.0, np.where(t + world < 1, yes, 0.0))
        k = np.floor(t).astype(int)
        if self.mechanism == DISCRETE_LAPLACE:
            a = math.exp(-1 / self.scale)
            tail = a ** np.where(k >= 0, k + 1, -k) / (1 + a)
            return np.where(k >= 0, tail, 1 - tail)
        chances = _discrete_gaussian(self.scale)
        beyond = np.append(np.cumsum(chances[::-1])[::-1], 0.0)  # P(noise ≥ k), k from the lower end of the table
        return beyond[np.clip(k + 1 + len(chances) // 2, 0, len(chances))]

    def roc(self) -> tuple[Array, Array]:
        """False alarms and hits of the best attackers, from never to always "in".

        As the likelihood ratio only grows with the answer, thresholds on the answer are best (Neyman and Pearson), with
        a coin between two of them; so the curve is the mechanism's trade-off function (Dong, Roth & Su 2022), turned
        upside down.
        """
        s = self.scale
        if self.mechanism == RESPONSE:
            t = np.array([0.5])
        elif self.whole:
            t = np.arange(-math.ceil(TAIL * s), math.ceil(TAIL * s) + 1) + 0.5
        else:
            outside = s * np.geomspace(1e-3, TAIL, 120)
            t = np.concatenate([-outside[::-1], np.linspace(0, 1, 121), 1 + outside])
        never_to_always = t[::-1]
        ends = np.zeros(1), np.ones(1)
        return (
            np.concatenate([ends[0], self.above(never_to_always, 0), ends[1]]),
            np.concatenate([ends[0], self.above(never_to_always, 1), ends[1]]),
        )

    def limit(self, false_alarms: Array | float) -> Array:
        """The most hits that (ε, δ) allows any attacker at these false alarms."""
        return explain.hit_limit(false_alarms, self.epsilon, self.delta)

    def release(self, world: int, count: int) -> Array:
        """Answers really released by OpenDP, with the system's entropy."""
        if self.mechanism == RESPONSE:
            answer = _response(self.scale)
            return np.array([answer(bool(world)) for _ in range(count)], float)
        exact = np.full(count, world, np.int64 if self.whole else np.float64)
        kind: mechanisms.Mechanism = "laplace" if self.mechanism in (LAPLACE, DISCRETE_LAPLACE) else "gaussian"
        return mechanisms.noisy(exact, kind, self.scale).astype(float)


@lru_cache(maxsize=256)
def make(mechanism: str, epsilon: float, delta: float) -> Noise:
    """The least noise of a kind that upholds ε (and δ, for the Gaussian kinds)."""
    if mechanism == RESPONSE:
        return Noise(mechanism, epsilon, 0.0, 1 / (1 + math.exp(-epsilon * ROUNDED)))
    if mechanism in (LAPLACE, DISCRETE_LAPLACE):
        return Noise(mechanism, epsilon, 0.0, 1 / (epsilon * ROUNDED))
    sigma = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=delta)
    if mechanism == DISCRETE_GAUSSIAN:
        sigma = _least_sigma(epsilon, delta, sigma)
    return Noise(mechanism, epsilon, delta, sigma)


def discrete_gaussian_delta(sigma: float, epsilon: float) -> float:
    """δ(ε) of the discrete Gaussian at sensitivity 1: the sum of what exceeds e^ε (Canonne, Kamath & Steinke 2020)."""
    chances = np.pad(_discrete_gaussian(sigma), 1)
    return float(np.maximum(chances[:-1] - math.exp(epsilon) * chances[1:], 0).sum())


def _least_sigma(epsilon: float, delta: float, near: float) -> float:
    """σ of the discrete Gaussian that upholds (ε, δ), found by halving beside the continuous one's."""
    low, high = near / 2, near
    while discrete_gaussian_delta(high, epsilon) > delta:
        low, high = high, 1.1 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if discrete_gaussian_delta(middle, epsilon) <= delta else (middle, high)
    return high


@lru_cache(maxsize=64)
def _discrete_gaussian(sigma: float) -> Array:
    """Chances of −K … K."""
    reach = math.ceil(TAIL * sigma) + 1
    weights = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    return np.asarray(weights / weights.sum())


@lru_cache(maxsize=64)
def _response(prob: float) -> Any:
    from opendp.measurements import make_randomized_response_bool
    from opendp.mod import enable_features

    enable_features("contrib")
    return make_randomized_response_bool(prob=prob)
