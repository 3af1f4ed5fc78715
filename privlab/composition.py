"""What many noisy steps cost together, by several ways of keeping the books.

The mechanism is that of `privlab.accounting`: Poisson sampling, clipped sums, Gaussian noise, add/remove one unit. All
but the central limit are upper bounds. What dp-accounting offers is taken from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting

if TYPE_CHECKING:
    from privlab.dpsgd import Array

Account = Callable[[float, float, int, float], float]


@lru_cache(maxsize=4096)
def one_step(noise_multiplier: float, sampling_rate: float, delta: float) -> float:
    """ε of a single step at δ: dp-accounting's PLD, rounded up; infinite where δ is below what it resolves."""
    if delta < 1e-15:
        return math.inf
    return float(_step(noise_multiplier, sampling_rate).get_epsilon_for_delta(delta))


@lru_cache(maxsize=64)
def _step(noise_multiplier: float, sampling_rate: float) -> Any:
    from dp_accounting.pld import privacy_loss_distribution as pld

    widest = math.log1p(sampling_rate * math.expm1(min(700.0, 8 / noise_multiplier + 0.5 / noise_multiplier**2)))
    return pld.from_gaussian_mechanism(
        noise_multiplier, sampling_prob=sampling_rate, value_discretization_interval=max(1e-7, widest / 5000)
    )


def naive(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε of basic composition (Dwork et al. 2006): each step's ε at δ/T, added up."""
    return steps * one_step(noise_multiplier, sampling_rate, delta / steps)


def advanced(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε of advanced composition, or of basic composition where that is less.

    Kairouz, Oh & Viswanath (2015), Theorem 3.4, with half of δ for the steps and half as slack.
    """
    each, slack = one_step(noise_multiplier, sampling_rate, delta / (2 * steps)), delta / 2
    if each > 50:
        return naive(noise_multiplier, sampling_rate, steps, delta)
    drift = steps * each * math.expm1(each) / (math.exp(each) + 1)
    return min(
        naive(noise_multiplier, sampling_rate, steps, delta),
        drift + each * math.sqrt(2 * steps * math.log(1 / slack)),
        drift + each * math.sqrt(2 * steps * math.log(math.e + math.sqrt(steps) * each / slack)),
    )


@lru_cache(maxsize=4096)
def rdp(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε by Rényi differential privacy (Mironov 2017), as `accounting.epsilon` with accountant "rdp"."""
    from dp_accounting.rdp import compute_epsilon

    orders, losses = _rdp_step(noise_multiplier, sampling_rate)
    return float(compute_epsilon(orders, steps * losses, delta)[0])


@lru_cache(maxsize=64)
def _rdp_step(noise_multiplier: float, sampling_rate: float) -> tuple[Array, Array]:
    """Orders, and one step's Rényi losses, which add up; dp-accounting keeps them to itself."""
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    noise = dp_accounting.GaussianDpEvent(noise_multiplier)
    with accounting.quiet_absl():
        accountant = RdpAccountant().compose(dp_accounting.PoissonSampledDpEvent(sampling_rate, noise))
    return np.asarray(accountant._orders), np.asarray(accountant._rdp)


def pld(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε by privacy loss distributions: the tight bound that the lab uses everywhere.

    Without sampling it is one Gaussian release, whose ε has a closed form at any noise.
    """
    if sampling_rate == 1:
        return gaussian(math.sqrt(steps) / noise_multiplier, delta)
    return accounting.epsilon(noise_multiplier=noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=delta)


def limit(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε of the Gaussian central limit (Bu et al. 2020): an estimate, not a bound; often too low."""
    exponent = 1 / noise_multiplier**2
    if exponent > 700:
        return math.inf
    return gaussian(sampling_rate * math.sqrt(steps * math.expm1(exponent)), delta)


def gaussian(mean: float, delta: float) -> float:
    """ε at δ of telling N(0, 1) from N(mean, 1): δ = Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2), rounded up by bisection."""
    from scipy.special import log_ndtr

    def beyond(epsilon: float) -> float:
        # In logarithms: where tails are small, differences of Φ lose the digits that e^ε then makes much of.
        first, second = log_ndtr(mean / 2 - epsilon / mean), epsilon + log_ndtr(-mean / 2 - epsilon / mean)
        return -math.exp(first) * math.expm1(min(0.0, second - first))

    if mean == 0:
        return 0.0
    low, high = 0.0, mean**2 / 2 + 40 * mean
    if beyond(0) <= delta:
        return 0.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > delta else (low, middle)
    return high


@lru_cache(maxsize=1024)
def replace_one(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε for replacing one unit by another, with the same Poisson sampling; dp-accounting's PLD, rounded up."""
    import dp_accounting
    from dp_accounting.pld import privacy_loss_distribution

    step = privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier,
        sampling_prob=sampling_rate,
        value_discretization_interval=accounting.rounding_interval(noise_multiplier, sampling_rate, steps),
        neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE,
    )
    return float(step.self_compose(steps).get_epsilon_for_delta(delta))


@lru_cache(maxsize=64)
def fixed_size(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """ε for replacing one unit if each batch is a random subset of fixed size; dp-accounting's RDP.

    A share q of n = 10⁶ units; the bound hardly depends on n. Replacing one unit moves a sum by up to 2C, and the event
    wants the noise in units of that.
    """
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    noise, units = dp_accounting.GaussianDpEvent(noise_multiplier / 2), 10**6
    event = dp_accounting.SampledWithoutReplacementDpEvent(units, max(1, round(sampling_rate * units)), noise)
    relation = dp_accounting.NeighboringRelation.REPLACE_ONE
    with accounting.quiet_absl():
        accountant = RdpAccountant(neighboring_relation=relation).compose(event, steps)
    return float(accountant.get_epsilon(delta))


@lru_cache(maxsize=1024)
def shuffled_at_least(noise_multiplier: float, batches: int, delta: float) -> float:
    """A lower bound on ε of one epoch of shuffled batches: no accountant can truthfully claim less.

    Chua et al. (2024), "How Private are DP-SGD Implementations?": the event that the largest of the T batch sums passes
    c, one unit's batch among them: ln((P(c) − δ) / Q(c)), at the best c.
    """
    from scipy.special import log_ndtr, ndtr

    sigma, c = noise_multiplier, np.linspace(-2, 12 * max(1.0, noise_multiplier) + 2, 4000)
    rest = (batches - 1) * log_ndtr(c / sigma)
    present = -np.expm1(rest + log_ndtr((c - 2) / sigma))
    absent = -np.expm1(rest + log_ndtr((c - 1) / sigma))
    possible = (present > delta) & (absent > 1e-300) & (ndtr(c / sigma) > 0)
    if not possible.any():
        return 0.0
    return max(0.0, float(np.log((present[possible] - delta) / absent[possible]).max()))


def plan(epsilon: float, delta: float, queries: int) -> dict[str, float]:
    """The noise each of several Gaussian queries needs if all together may spend (ε, δ).

    Parameters
    ----------
    epsilon : float in (0, 100]
    delta : float in (0, 1)
    queries : int
        How many, each about every unit, of sensitivity 1 in L2 norm.

    Returns
    -------
    dict
        Standard deviation in units of the sensitivity, by the way of keeping the books: "naive", "advanced", "zCDP"
        (Bun & Steinke 2016) and "exact" (Gaussians add up to a Gaussian).

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    if isinstance(queries, bool) or not isinstance(queries, int):
        raise TypeError(f"'queries' must be a whole number of at least 1. Got {type(queries).__name__}.")
    if queries < 1:
        raise ValueError(f"'queries' must be a whole number of at least 1. Got {queries}.")
    return dict(_plan(epsilon, delta, queries))


@lru_cache(maxsize=1024)
def _plan(epsilon: float, delta: float, queries: int) -> dict[str, float]:
    once = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=delta)
    log = math.log(1 / delta)
    rho = (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2
    simple = accounting.gaussian_noise_multiplier(epsilon=epsilon / queries, delta=delta / queries)
    return {
        "naive": simple,
        "advanced": min(simple, _plan_advanced(epsilon, delta, queries)),
        "zCDP": math.sqrt(queries / (2 * rho)),
        "exact": once * math.sqrt(queries),
    }


def _plan_advanced(epsilon: float, delta: float, queries: int) -> float:
    """The noise at which advanced composition of the queries reaches ε."""
    low, high = 0.0, epsilon
    for _ in range(60):
        each = (low + high) / 2
        total = queries * each * math.expm1(each) / (math.exp(each) + 1)
        total += each * math.sqrt(2 * queries * math.log(2 / delta))
        low, high = (each, high) if total <= epsilon else (low, each)
    return accounting.gaussian_noise_multiplier(epsilon=low, delta=delta / (2 * queries))
