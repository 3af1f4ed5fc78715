"""ε ↔ noise multiplier for a sampled, composed Gaussian mechanism.

Every number comes from Google's dp-accounting: privacy loss distributions (PLD, Doroshenko et al.
2022, "Connect the Dots") rounded pessimistically, so that a stated ε is an upper bound. What is
ours is only the choice of the rounding interval, the search for the noise, and a shipped table of
its results for the default settings, which spares a first picture the import of dp-accounting.

The mechanism: in each of `steps` rounds every unit (a row, or a person) joins the batch
independently with probability `sampling_rate` (Poisson sampling), contributions are clipped to
norm C and summed, and Gaussian noise of standard deviation `noise_multiplier`·C is added.
Neighbours differ by adding or removing one unit.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from numbers import Integral, Real
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EPSILON_GRID",
    "EPSILON_POSITIONS",
    "TABLE_SETTINGS",
    "epsilon",
    "gaussian_noise_multiplier",
    "is_shipped",
    "noise_multiplier",
    "noise_multipliers",
    "warm_up",
]


def _significant(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    return np.unique([float(f"{value:.{digits}g}") for value in values])


EPSILON_POSITIONS = _significant(np.r_[np.geomspace(0.05, 1, 69)[:-1], np.geomspace(1, 10, 53)], 3)
"""Where an ε slider stops: 121 readable values from 0.05 to 10 with 1 among them."""

# Rounded, for the last bits differ between platforms and the shipped table goes by equality.
EPSILON_GRID = _significant(np.geomspace(0.05, 10, 16), 12)
"""The ε of a trade-off curve: 16 from 0.05 to 10, equally spaced on a log scale."""

TABLE_SETTINGS: tuple[tuple[float, int, float], ...] = tuple(
    (rate, 60, 1e-5) for rate in (0.02, 0.022, 0.033, 0.11, 0.37, 0.67, 0.71, 1.0)
)
"""The (sampling_rate, steps, delta) whose noise is shipped at every ε above: the usual ones of the data sets."""

TABLE_NAME = "calibration.csv"

# Privacy losses are rounded to multiples of an interval this many times the loss of a step, which
# raises ε by 0.1–0.5 %. Measured over sampling rates 0.0001–1, 1–10,000 steps, ε 0.05–50.
_INTERVAL_PER_LOSS = 0.14
# Never narrower than dp-accounting's customary interval, or this share of ε where that is less.
_FINE_INTERVAL = 1e-4
_FINE_SHARE = 1 / 1900
_MOST_INTERVALS = 200_000

# Outside these the accountant leaves double precision. Answers for the nearest bound are safe, as
# less noise and more sampling only raise ε; below the least noise there is none.
_LEAST_NOISE = 0.05
_MOST_NOISE = 1e12
_LEAST_RATE = 1e-12
# ε is evaluated on a fixed lattice of noise multipliers and interpolated in between, so that an
# answer depends on its own arguments alone, never on what was asked before.
_LATTICE_RATIO = 1.5
_AIM = 0.9985
_ACCEPT = 0.996


def epsilon(
    *,
    noise_multiplier: float,
    sampling_rate: float,
    steps: int,
    delta: float,
    accountant: str = "pld",
) -> float:
    """Return the ε that a noise multiplier upholds: a tight upper bound.

    Parameters
    ----------
    noise_multiplier
        Noise standard deviation σ in units of the clipping norm, positive. Below 0.05 the answer
        is infinite, as the accountant's floating-point range ends there.
    sampling_rate
        Probability q in (0, 1] that a unit joins a batch.
    steps
        Number of compositions, 1 to 1,000,000.
    delta
        The δ in (0, 1) that ε belongs to. "pld" needs δ ≥ 5e-13 + 1e-15·steps, for its FFT
        resolves no less.
    accountant
        "pld" (tight) or "rdp" (Rényi, looser, for comparison).

    Returns
    -------
    float
        ε ≥ 0, or infinity. With "pld" usually 0.1–0.5 % above the exact value, never below it.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    """
    sigma = _real("noise_multiplier", noise_multiplier, 0, math.inf)
    setting = _setting(sampling_rate, steps, delta)
    if accountant == "pld":
        return _pld_epsilon(sigma, *setting)
    if accountant == "rdp":
        return _rdp_epsilon(sigma, *setting)
    raise ValueError(f"'accountant' must be one of 'pld', 'rdp'. Got {accountant!r}.")


def noise_multiplier(*, epsilon: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Return the least noise multiplier, rounded up, that upholds ε.

    Parameters
    ----------
    epsilon
        The ε in (0, 100] to be upheld.
    sampling_rate, steps, delta
        As in `epsilon`.

    Returns
    -------
    float
        σ with five significant digits and ``epsilon(noise_multiplier=σ, …) <= epsilon``, within
        0.5 % of it. At least 0.05, even where less noise would do.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    """
    target = _real("epsilon", epsilon, 0, 100, closed=True)
    return _calibrate(target, *_setting(sampling_rate, steps, delta))


def noise_multipliers(
    epsilons: Iterable[float], *, sampling_rate: float, steps: int, delta: float
) -> NDArray[np.float64]:
    """Return `noise_multiplier` for every ε of a grid, sharing the work between them.

    Parameters
    ----------
    epsilons
        One-dimensional, each in (0, 100].
    sampling_rate, steps, delta
        As in `epsilon`.

    Returns
    -------
    numpy.ndarray
        Shape ``(len(epsilons),)``; the same values as one call each.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    """
    setting = _setting(sampling_rate, steps, delta)
    targets = [_real("epsilons", value, 0, 100, closed=True) for value in epsilons]
    return np.array([_calibrate(target, *setting) for target in targets])


def is_shipped(*, sampling_rate: float, steps: int, delta: float) -> bool:
    """Return whether the shipped table answers for every position of the ε slider."""
    return (sampling_rate, steps, delta, float(EPSILON_POSITIONS[0])) in _table()


def gaussian_noise_multiplier(*, epsilon: float, delta: float) -> float:
    """Return the noise multiplier of one plain Gaussian release: no sampling, no composition.

    The analytic Gaussian mechanism of Balle & Wang (2018), exact where the classical formula
    √(2 ln(1.25/δ))/ε is loose, by dp-accounting.

    Parameters
    ----------
    epsilon
        The ε in (0, 100] to be upheld.
    delta
        The δ in (0, 1).

    Returns
    -------
    float
        σ in units of the L2 sensitivity, rounded up by one part in 10⁹.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    """
    target = _real("epsilon", epsilon, 0, 100, closed=True)
    chance = _real("delta", delta, 0, 1)
    from dp_accounting import get_sigma_gaussian

    return float(get_sigma_gaussian(target, chance, tol=1e-12)) * (1 + 1e-9)


def warm_up() -> None:
    """Import dp-accounting (1–2 s) at a moment when nobody waits for it."""
    import dp_accounting  # noqa: F401


def _real(name: str, value: object, low: float, high: float, *, closed: bool = False) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"'{name}' must be a number. Got {type(value).__name__}.")
    number = float(value)
    if not (low < number < high or (closed and number == high)):
        raise ValueError(f"'{name}' must be in ({low}, {high}{']' if closed else ')'}. Got {value}.")
    return number


def _setting(sampling_rate: object, steps: object, delta: object) -> tuple[float, int, float]:
    rate = _real("sampling_rate", sampling_rate, 0, 1, closed=True)
    if isinstance(steps, bool | np.bool_) or not isinstance(steps, Integral):
        raise TypeError(f"'steps' must be an integer. Got {type(steps).__name__}.")
    count = int(steps)
    if not 1 <= count <= 1_000_000:
        raise ValueError(f"'steps' must be in [1, 1000000]. Got {count}.")
    return rate, count, _real("delta", delta, 0, 1)


def _loss_scale(sigma: float, rate: float, steps: int) -> float:
    """Return the size of one step's privacy loss that rounding it should be measured by.

    That is its root mean square where many steps add up to a Gaussian, and up to the norm of its
    third moment where rare large losses decide, which bear a wider interval.
    """
    deviates = np.linspace(-9, 9, 721)
    density = np.exp(-(deviates**2) / 2)
    density /= density.sum()
    outputs = np.r_[sigma * deviates, 1 + sigma * deviates]
    weights = np.r_[(1 - rate) * density, rate * density]
    absent = math.log1p(-rate) if rate < 1 else -math.inf
    losses = np.logaddexp(absent, math.log(rate) + (2 * outputs - 1) / (2 * sigma**2))
    typical = math.sqrt(weights @ losses**2)
    skewness = float(weights @ np.abs(losses / typical) ** 3)
    return typical * min(skewness ** (1 / 3), 1 + skewness / math.sqrt(steps))


def rounding_interval(sigma: float, rate: float, steps: int) -> float:
    """Return the interval to round privacy losses to; a handful of steps do not average, so it is finer there."""
    return _INTERVAL_PER_LOSS * min(1.0, math.sqrt(steps) / 6) * _loss_scale(sigma, rate, steps)


@functools.lru_cache(maxsize=8192)
def _pld_epsilon(sigma: float, rate: float, steps: int, delta: float) -> float:
    if rate == 1:
        # Unsampled Gaussians compose to one Gaussian.
        sigma, steps = sigma / math.sqrt(steps), 1
    # The FFT that composes errs by less than this in absolute probability, in either direction
    # (measured against extended precision): the answer for a δ smaller by that much is safe.
    roundoff = 1e-13 + 2e-16 * steps
    if delta < 5 * roundoff:
        raise ValueError(f"'delta' must be in [{5 * roundoff:.3g}, 1) for {steps} steps. Got {delta}.")
    if sigma < _LEAST_NOISE:
        return math.inf
    sigma, rate = min(sigma, _MOST_NOISE), max(rate, _LEAST_RATE)
    from dp_accounting.pld import privacy_loss_distribution as pld

    def rounded(interval: float) -> float:
        step = pld.from_gaussian_mechanism(sigma, sampling_prob=rate, value_discretization_interval=interval)
        composed = step if steps == 1 else step.self_compose(steps)
        return float(composed.get_epsilon_for_delta(delta - roundoff))

    interval = rounding_interval(sigma, rate, steps)
    if interval >= _FINE_INTERVAL:
        return rounded(interval)
    coarse = rounded(_FINE_INTERVAL)
    widest = math.log1p(rate * math.expm1(10 / sigma + 0.5 / sigma**2))
    interval = max(interval, coarse * _FINE_SHARE, widest / _MOST_INTERVALS)
    return coarse if coarse == 0 or interval >= _FINE_INTERVAL else rounded(interval)


def _rdp_epsilon(sigma: float, rate: float, steps: int, delta: float) -> float:
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    noise = dp_accounting.GaussianDpEvent(min(sigma, _MOST_NOISE))
    event = dp_accounting.PoissonSampledDpEvent(max(rate, _LEAST_RATE), noise)
    with quiet_absl():
        return float(RdpAccountant().compose(event, steps).get_epsilon(delta))


@contextmanager
def quiet_absl() -> Iterator[None]:
    """Silence the remark that an order was left out, which costs tightness only."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


@functools.lru_cache(maxsize=8192)
def _calibrate(target: float, rate: float, steps: int, delta: float) -> float:
    known = _table().get((rate, steps, delta, target))
    return search(target, rate, steps, delta) if known is None else known


def search(target: float, rate: float, steps: int, delta: float) -> float:
    """Return what `noise_multiplier` does, for checked arguments, without the shipped table.

    ε is interpolated on the lattice; what that suggests is evaluated and corrected until it holds.
    """

    def loss(sigma: float) -> float:
        return _pld_epsilon(sigma, rate, steps, delta)

    def node(index: int) -> float:
        return _LEAST_NOISE * _LATTICE_RATIO**index

    start = _central_limit_noise(target, rate, steps, delta) / _LEAST_NOISE
    index = max(0, math.ceil(math.log(start, _LATTICE_RATIO)))
    while loss(node(index)) > target:
        if node(index) > _MOST_NOISE:
            raise ValueError(f"'epsilon' must be larger for delta {delta} and {steps} steps. Got {target}.")
        index += 1
    while index > 0 and loss(node(index - 1)) <= target:
        index -= 1
    if index == 0:
        return _LEAST_NOISE

    low, high = node(index - 1), node(index)
    points = [(sigma, loss(sigma)) for sigma in map(node, range(max(0, index - 2), index + 2))]
    for attempt in itertools.count():
        guess = _interpolate(points, target * _AIM) if attempt < 4 else math.sqrt(low * high)
        guess = _round_up(guess if low < guess < high else math.sqrt(low * high))
        if guess >= high:
            break
        value = loss(guess)
        if _ACCEPT * target <= value <= target:
            return guess
        low, high = (guess, high) if value > target else (low, guess)
        points.append((guess, value))
    return high


def _interpolate(points: list[tuple[float, float]], target: float) -> float:
    """Return σ at ε by Lagrange's polynomial of ln σ in ln ε, through the points of finite ln ε."""
    usable = [(math.log(e), math.log(s)) for s, e in points if 0 < e < math.inf]
    x = math.log(target)
    total = 0.0
    for i, (xi, yi) in enumerate(usable):
        others = [xj for j, (xj, _) in enumerate(usable) if j != i]
        total += yi * math.prod((x - xj) / (xi - xj) for xj in others)
    return math.exp(total)


def _central_limit_noise(target: float, rate: float, steps: int, delta: float) -> float:
    """Return the noise at which the central limit (Bu et al. 2020) puts ε: no bound, a start."""
    quantile = max(0.0, -NormalDist().inv_cdf(delta))
    mean = 2 * target / (math.sqrt(quantile**2 + 2 * target) + quantile)
    return 1 / math.sqrt(max(math.log1p((mean / rate) ** 2 / steps), _MOST_NOISE**-2))


def _round_up(value: float) -> float:
    """Round up to five significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 4)
    return float(f"{math.ceil(value / unit) * unit:.5g}")


@functools.cache
def _table() -> dict[tuple[float, int, float, float], float]:
    """Return the shipped noise multipliers, or none if they are another dp-accounting's."""
    text = resources.files("privlab").joinpath(TABLE_NAME).read_text(encoding="utf-8")
    version, _, *rows = text.splitlines()
    if version != table_version():
        return {}
    table = {}
    for row in rows:
        rate, steps, delta, target, sigma = row.split(",")
        table[float(rate), int(steps), float(delta), float(target)] = float(sigma)
    return table


def table_version() -> str:
    """Return the line that the shipped table starts with if it fits what is installed."""
    return f"# dp-accounting {metadata.version('dp-accounting')}"
