"""Does a mechanism do what its claim says? Checks in order of power, the surest first.

Each check looks at one promise that a proof of differential privacy leans on, and returns a `Finding`:

- `sensitivity`: adding one person, however extreme, moves the clipped sum by C at most. Deterministic.
- `noise`: what is added has the promised distribution and is fresh each time.
- `sampling`: every person joins every batch by an independent coin, as Poisson accounting assumes.
- `replay`: what is treated as public is the same with and without one person.
- `account`: the claimed ε covers all that was run.
- `two_worlds`: an attacker who tells the worlds apart more surely than ε allows (`privlab.audit`).

A sound mechanism fails a statistical check once in a million runs at most; what fails is broken for sure. What passes
is not proven: a check knows only its own promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from privlab import accounting, audit

if TYPE_CHECKING:
    from privlab.dpsgd import Array

    Step = Callable[[Array, np.random.Generator], Array]

ALARM = 1e-6  # chance that a sound mechanism fails a statistical check
SLACK = 1e-6  # share of C that rounding may add
CHECKS = ("sensitivity", "noise", "sampling", "replay", "account", "two worlds")
LENGTHS = (1.0, 10.0, 1e6)  # of the added gradient, in units of C


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : str
        One of `CHECKS`.
    passed : bool
    words : str
        The finding in a sentence.
    statistic, limit : float
        What was measured, and what it may be at most (of noise and sampling: on the scale that the words name).
    """

    check: str
    passed: bool
    words: str
    statistic: float
    limit: float


def pull(step: Step, batch: Array, added: Array, divisor: float) -> float:
    """How far one more gradient moves what is released, in units of the sum.

    Parameters
    ----------
    step : callable
        (gradients (b, d), random generator) -> the released mean (d,). Nothing but the noise may be drawn, so that
        the same generator gives both releases the same noise, which then cancels.
    batch : (b, d)
    added : (d,)
    divisor : float
        The public number by which the step claims to divide its sum.

    Returns
    -------
    float
        ‖released with − released without‖ · divisor.
    """
    released = [step(rows, np.random.default_rng(0)) for rows in (batch, np.vstack([batch, added]))]
    return float(np.linalg.norm(released[1] - released[0])) * divisor


def directions(batch: Array) -> Iterator[Array]:
    """Unit gradients of people who could be added (d,): those that hurt the ways in which clipping goes wrong."""
    width = batch.shape[1]
    alone = np.zeros(width)
    alone[-1] = 1.0
    yield alone
    yield np.repeat([1.0, math.sqrt(max(1, width - 1))], [width - 1, 1]) / math.sqrt(2 * max(1, width - 1))
    for against in (batch[-1:].sum(axis=0), batch.sum(axis=0)):
        if (length := np.linalg.norm(against)) > 0:
            yield -against / length


def farthest(step: Step, batches: Iterable[Array], length: float, divisor: float) -> float:
    """The greatest `pull` of one added gradient of that length, over batches and directions."""
    return max(pull(step, batch, length * direction, divisor) for batch in batches for direction in directions(batch))


def sensitivity(step: Step, batches: Sequence[Array], *, clip_norm: float, divisor: float) -> Finding:
    """Whether one more person moves the released sum by C at most.

    Parameters
    ----------
    step, divisor
        As for `pull`.
    batches : sequence of (b, d)
        People's gradients before clipping; an empty batch and an odd one should be among them.
    clip_norm : float
        The promised C.
    """
    worst = max(farthest(step, batches, length * clip_norm, divisor) for length in LENGTHS) / clip_norm
    passed = worst <= 1 + SLACK
    far = "by C at most, as promised" if passed else f"by {worst:.4g} times C" if worst < 1e4 else "as far as they like"
    return Finding("sensitivity", passed, f"One person can move the sum {far}.", worst, 1 + SLACK)


def step_noise(step: Step, batch: Array, rng: np.random.Generator, *, draws: int, divisor: float) -> Array:
    """Draws (≥ draws,) of a step's own noise on the sum: releases of one batch, two by two, less each other.

    The sums cancel; for Gaussian noise the difference over √2 is distributed as the noise.
    """
    pairs = -(-draws // batch.shape[1])
    return np.concatenate([(step(batch, rng) - step(batch, rng)) * divisor / math.sqrt(2) for _ in range(pairs)])


def noise(draws: Array, *, scale: float, family: Literal["gaussian", "laplace"] = "gaussian") -> Finding:
    """Whether noise is as large as promised, of the promised shape, and fresh.

    Parameters
    ----------
    draws : (n,)
        The noise alone.
    scale : float
        The promised standard deviation, or Laplace scale.
    family : {"gaussian", "laplace"}

    Notes
    -----
    Size: Σz² (or 2Σ|z|) is χ² with n (or 2n) degrees of freedom; too little fails, too much breaks no promise. 10,000
    draws find 5 % too little 99 times in 100 (of Laplace noise 6 times in 10; 20,000 draws do better). Shape: the
    Kolmogorov–Smirnov distance, once the size is put right, so that its quantile, meant for a known size, is on the
    safe side. Each of the two gets half of `ALARM`. Fresh: continuous noise never comes twice (noise in whole numbers
    does, and is not for this check).
    """
    from scipy import special

    z, n = np.asarray(draws, float) / scale, len(draws)
    gaussian = family == "gaussian"
    measured = math.sqrt(float(np.mean(z**2))) if gaussian else float(np.mean(np.abs(z)))
    freedom = n if gaussian else 2 * n
    least = 2 * float(special.gammaincinv(freedom / 2, ALARM / 2)) / freedom
    least = math.sqrt(least) if gaussian else least
    repeated = n - len(np.unique(draws))
    share = f"{100 * measured:.3g} %"
    if measured < least:
        much = f"only {share}" if measured > 1e-4 else "practically nothing"
        return Finding("noise", False, f"The noise is {much} of what was promised.", measured, least)
    if repeated:
        words = f"{repeated:,} of {n:,} draws of noise came before: known noise hides nobody."
        return Finding("noise", False, words, float(repeated), 0)
    u = np.sort(z / measured)
    chance = special.ndtr(u) if gaussian else np.where(u < 0, 0.5 * np.exp(u), 1 - 0.5 * np.exp(-np.abs(u)))
    places = np.arange(n + 1) / n
    distance = float(max(np.max(places[1:] - chance), np.max(chance - places[:-1]))) * math.sqrt(n)
    allowed = float(special.kolmogi(ALARM / 2))
    if distance > allowed:
        return Finding("noise", False, "The noise has another shape than promised.", distance, allowed)
    return Finding("noise", True, f"The noise is {share} of what was promised, and fresh.", measured, least)


def sampling(batches: Sequence[Array], *, people: int, rate: float) -> Finding:
    """Whether batches are Poisson samples: everybody joins each by an independent coin.

    Parameters
    ----------
    batches : sequence of int (b,)
        Who joined each of T steps.
    people : int
        The number n of people.
    rate : float
        The promised chance q to join a step.

    Notes
    -----
    Shuffled batches fill and join too evenly, batches of a fixed size fill too evenly, the same batch again joins too
    unevenly: all three show in the `dispersion` of how often people joined, or of the batches' sizes.
    """
    steps = len(batches)
    if not 0 < rate < 1:
        raise ValueError(f"'rate' must be in (0, 1). Got {rate}.")
    joined = np.bincount(np.concatenate(batches), minlength=people)
    sizes = np.array([len(batch) for batch in batches])
    for counts, trials, what in ((joined, steps, "people join"), (sizes, people, "batches are filled")):
        measured, (low, high) = dispersion(counts, trials, rate)
        if not low <= measured <= high:
            limit = low if measured < low else high
            words = f"How often {what} varies {100 * measured:.3g} % as much as with coins."
            return Finding("sampling", False, words, measured, limit)
    measured, (_, high) = dispersion(joined, steps, rate)
    words = f"How often people join varies {100 * measured:.3g} % as much as with coins: as it should."
    return Finding("sampling", True, words, measured, high)


def dispersion(counts: Array, trials: int, rate: float) -> tuple[float, tuple[float, float]]:
    """How much counts vary, in units of how much they vary if they are binomial, and where that lies if they are.

    Parameters
    ----------
    counts : int (n,)
        Successes, each of `trials` coins that fall with chance `rate`.

    Returns
    -------
    float
        Mean of Y = (K − E K)² / Var K.
    (float, float)
        Chernoff's limits: independent binomial counts leave each with a chance of `ALARM` / 4 at most.
    """
    mean, variance = trials * rate, trials * rate * (1 - rate)
    return float(np.mean((counts - mean) ** 2)) / variance, _limits(len(counts), trials, rate)


@lru_cache(maxsize=64)
def _limits(n: int, trials: int, rate: float) -> tuple[float, float]:
    from scipy.special import gammaln, logsumexp

    k = np.arange(trials + 1)
    y = (k - trials * rate) ** 2 / (trials * rate * (1 - rate))
    likely = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1)
    likely += k * math.log(rate) + (trials - k) * math.log1p(-rate)
    needed = math.log(4 / ALARM) / n

    def limit(sign: int, none: float) -> float:
        """The x with I(x) = needed, where I(x) is the greatest tx − ln E exp(tY), and x the mean of Y tilted by t."""
        low, high, found = 1e-9, 1e4, none
        for _ in range(60):
            t = sign * math.sqrt(low * high)
            total = float(logsumexp(likely + t * y))
            tilted = float(np.exp(likely + t * y - total) @ y)
            if t * tilted - total < needed:
                low = abs(t)
            else:
                high, found = abs(t), tilted
        return found

    return limit(-1, 0.0), limit(1, math.inf)


def replay(without: Mapping[str, Any], within: Mapping[str, Any]) -> Finding:
    """Whether what is treated as public is the same without and with one person; names what is not, never its value."""
    changed = [
        name
        for name in dict.fromkeys([*without, *within])
        if name not in without or name not in within or not np.array_equal(without[name], within[name])
    ]
    words = f"{', '.join(changed)} changed" if changed else "Nothing that is treated as public changes"
    return Finding("replay", not changed, f"{words[0].upper()}{words[1:]} with one person.", float(len(changed)), 0)


def account(claimed: float, *, noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> Finding:
    """Whether a claimed ε covers all steps that were run, by the project's own accountant."""
    spent = accounting.epsilon(noise_multiplier=noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=delta)
    passed = spent <= claimed * (1 + 0.006)  # the accountant's answer is up to 0.5 % above the exact one
    words = f"All {steps:,} steps spend ε = {spent:.3g}; claimed was {claimed:.3g}."
    return Finding("account", passed, words, spent, claimed)


def two_worlds(without: Array, within: Array, *, claimed: float, delta: float = 0.0) -> Finding:
    """Whether an attack tells runs without and with one person apart more surely than the claimed ε allows.

    Parameters
    ----------
    without, within : (N,)
        Scores of independent runs in the two worlds, larger where the attacker rather believes "with".
    claimed, delta : float
    """
    bound = audit.lower_bound(without, within, delta=delta, confidence=1 - ALARM).lower_bound
    words = f"An attacker proves ε ≥ {bound:.3g}; claimed was {claimed:.3g}."
    return Finding("two worlds", bound <= claimed, words, bound, claimed)
