"""What runs alone prove about ε: lower bounds, each with its confidence, from scores of two worlds.

A mechanism runs many times on the data without one person and many times with them. Whoever can tell the two kinds of
outputs apart better than ε allows has shown that ε is too small. Each run gives a score; a threshold on it is chosen on
one half of the runs and judged on the other, so that no luck in the choice is counted as evidence.

A lower bound refutes a claim or is silent. It never proves one: a small bound may come from too few runs, or from an
attack that looks in the wrong place. `Bound.ceiling` says what that many runs could have shown at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from privlab.error_rates import FAMILIES, Family, distribution_free, shape, shift

if TYPE_CHECKING:
    from privlab.dpsgd import Array

Wrong = tuple[int, int]
LEAST = 4  # runs in each world, so that either half has two
FARTHEST = 1e300  # stands for an infinite score
TRIED = 120  # thresholds looked at from either end
CUT, GRID = 0.02, 100  # of `_largest_rates`
SHARES = (0.05, 0.2, 0.5, 0.8, 0.95)  # of the error, between the two rates, to choose from


@dataclass(frozen=True)
class Bound:
    """An empirical lower bound on ε.

    Attributes
    ----------
    lower_bound : float
        With probability `confidence` or more over the runs, the mechanism's ε at δ is at least this.
    ceiling : float
        The bound that as many runs would have given had the attack never been wrong.
    estimate : float
        ε as the attack's error rates alone suggest it, without a margin: it proves nothing.
    false_positives, false_negatives : int
        Wrong guesses among the judged runs: "with" said of a run without the person, and the contrary.
    without_trials, with_trials : int
        Runs judged in each world; as many again chose the threshold.
    threshold : float
        The guess is "with" where the score is at least this (`above`), or at most this.
    above : bool
    delta, confidence : float
    family : {"any", "gaussian", "pld"}
        What the bound assumes; "any" assumes nothing.
    """

    lower_bound: float
    ceiling: float
    estimate: float
    false_positives: int
    false_negatives: int
    without_trials: int
    with_trials: int
    threshold: float
    above: bool
    delta: float
    confidence: float
    family: Family

    @property
    def false_positive_rate(self) -> float:
        """How often a run without the person was taken for one with them."""
        return self.false_positives / self.without_trials

    @property
    def false_negative_rate(self) -> float:
        """How often a run with the person was taken for one without them."""
        return self.false_negatives / self.with_trials


@dataclass(frozen=True)
class Rule:
    """How to guess from a score, and how to share the error between the two rates: fixed before any run is judged.

    Attributes
    ----------
    threshold, above, delta, confidence, family
        As of `Bound`.
    share : float
        Of the error, what is left to the false positives.
    promise : float
        What it proves on the runs that it was chosen by; greater is better, on a scale of its own.
    """

    threshold: float
    above: bool
    share: float
    promise: float
    delta: float
    confidence: float
    family: Family

    def judge(self, without: Array, with_: Array, *, sampling_rate: float = 1.0, steps: int = 1) -> Bound:
        """The bound that other runs' scores prove, (N,) and (M,)."""
        wrong, trials = self.wrong(without, with_), (len(without), len(with_))
        least = shape(self.family, self.delta, sampling_rate, steps)

        def proven(wrong: Wrong, share: float) -> float:
            return least(*_largest_rates(wrong, trials, self.confidence, share))

        return Bound(
            lower_bound=proven(wrong, self.share),
            ceiling=max(proven((0, 0), share) for share in {self.share, _share((0, 0), trials, self)}),
            estimate=least(*((np.array([count]) + 0.5) / (n + 1) for count, n in zip(wrong, trials, strict=True))),
            false_positives=wrong[0],
            false_negatives=wrong[1],
            without_trials=trials[0],
            with_trials=trials[1],
            threshold=self.threshold,
            above=self.above,
            delta=self.delta,
            confidence=self.confidence,
            family=self.family,
        )

    def wrong(self, without: Array, with_: Array) -> Wrong:
        """False positives and false negatives among the runs."""
        said = [
            np.count_nonzero(each >= self.threshold if self.above else each <= self.threshold)
            for each in (without, with_)
        ]
        return int(said[0]), len(with_) - int(said[1])


def choose(without: Array, with_: Array, *, delta: float, confidence: float = 0.95, family: Family = "any") -> Rule:
    """The rule that proves most on these runs' scores, (N,) and (M,), all finite; arguments as of `lower_bound`.

    Each threshold is rated with the error shared by all that are tried. So careful a choice passes over thresholds
    that are good by luck, such as those that a handful of runs lie beyond.
    """
    _check(delta, confidence, family)
    everything = np.unique(np.concatenate([without, with_]))
    cuts = (everything[1:] + everything[:-1]) / 2 if len(everything) > 1 else everything
    last = len(cuts) - 1
    ends = np.geomspace(1, last + 1, TRIED).astype(int) - 1
    tried = cuts[np.unique(np.concatenate([ends, last - ends, np.linspace(0, last, TRIED).astype(int)]))]
    trials, each = np.array([len(without), len(with_)]), (1 - confidence) / (2 * len(tried))
    in_order, best = (np.sort(without), np.sort(with_)), Rule(0.0, True, 0.5, -math.inf, delta, confidence, family)
    for above in (True, False):
        said = np.stack([np.searchsorted(scores, tried, "left" if above else "right") for scores in in_order], 1)
        said = trials - said if above else said
        wrong = np.stack([said[:, 0], trials[1] - said[:, 1]], 1)
        rates = _at_most(wrong, trials, each)
        proven = (
            distribution_free(rates[:, 0], rates[:, 1], delta) if family == "any" else shift(rates[:, 0], rates[:, 1])
        )
        proven = proven - 1e-9 * (wrong / trials).sum(axis=1)  # where nothing is proven, wrong the least
        place = int(np.argmax(proven))
        if proven[place] > best.promise:
            best = replace(best, threshold=float(tried[place]), above=above, promise=float(proven[place]))
    return replace(best, share=_share(best.wrong(without, with_), (len(without), len(with_)), best))


def _share(wrong: Wrong, trials: Wrong, rule: Rule) -> float:
    """The share of the error that proves most on these counts; sampled noise is taken for plain, which is quicker."""
    least = shape("any" if rule.family == "any" else "gaussian", rule.delta, 1.0, 1)
    return max(SHARES, key=lambda one: least(*_largest_rates(wrong, trials, rule.confidence, one)))


def lower_bound(
    without: npt.ArrayLike,
    with_: npt.ArrayLike,
    *,
    delta: float,
    confidence: float = 0.95,
    family: Family = "any",
    sampling_rate: float = 1.0,
    steps: int = 1,
) -> Bound:
    """How large the ε of a mechanism must at least be, from scores of its runs in two worlds.

    Parameters
    ----------
    without, with_ : array_like (N,), (M,)
        A score of each run without and with the person, at least 4 of each, from independent runs in the order in
        which they were made. Infinite scores are allowed. The score must not have been fitted to these runs.
    delta : float
        The δ in [0, 1) that ε belongs to; above 0 for the shaped families.
    confidence : float in (0, 1)
    family : {"any", "gaussian", "pld"}
        "any" holds for every mechanism: binomial bounds on both error rates (Clopper & Pearson 1934). "gaussian" also
        assumes a trade-off between them as of Gaussian noise (Dong, Roth & Su 2022), "pld" one as of sampled,
        composed Gaussian noise (Nasr et al. 2023); these see more and are wrong about anything else.
    sampling_rate, steps : float in (0, 1], int
        Of the mechanism, for "pld" only.

    Returns
    -------
    Bound

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    scores = _scores("without", without), _scores("with_", with_)
    chosen, judged = ((scores[0][part::2], scores[1][part::2]) for part in (0, 1))
    rule = choose(*chosen, delta=delta, confidence=confidence, family=family)
    return rule.judge(*judged, sampling_rate=sampling_rate, steps=steps)


def from_rates(
    false_positive_rate: float,
    false_negative_rate: float,
    *,
    delta: float,
    family: Family = "any",
    sampling_rate: float = 1.0,
    steps: int = 1,
) -> float:
    """The least ε at which a test can have these error rates.

    "any": max{ln((1−δ−FNR)/FPR), ln((1−δ−FPR)/FNR)} (Kairouz et al. 2015). "gaussian": that of
    μ = Φ⁻¹(1−FPR) − Φ⁻¹(FNR). "pld": that of the greatest σ whose trade-off curve allows both rates.
    """
    _check(delta, 0.5, family)
    rates = np.array([false_positive_rate]), np.array([false_negative_rate])
    return shape(family, delta, sampling_rate, steps)(*rates)


def one_run(canaries: int, guesses: int, right: int, *, delta: float, confidence: float = 0.95) -> float:
    """A lower bound on ε from a single run with many canaries (Steinke, Nasr & Jagielski 2023, Theorem 5.2).

    Each of m canaries joins by a fair coin; the attacker guesses about r of them and v guesses are right.

    Parameters
    ----------
    canaries, guesses, right : int
        m ≥ r ≥ v ≥ 0, r ≥ 1. Which canaries to guess about may depend on the run's output alone.
    delta : float in [0, 1)
    confidence : float in (0, 1)

    Returns
    -------
    float
        0 where the guesses are no better than luck. For adding or removing any single canary.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.
    """
    counts = ("canaries", canaries, 1, math.inf), ("guesses", guesses, 1, canaries), ("right", right, 0, guesses)
    for name, count, least, most in counts:
        if isinstance(count, bool) or not isinstance(count, int | np.integer):
            raise TypeError(f"'{name}' must be a whole number. Got {type(count).__name__}.")
        if not least <= count <= most:
            raise ValueError(f"'{name}' must be in [{least}, {most:g}]. Got {count}.")
    _check(delta, confidence, "any")
    if right == 0:
        return 0.0
    from scipy.stats import binom

    before = right - np.arange(1, right + 1)

    def chance(epsilon: float) -> float:
        """How likely so many right guesses are, at most."""
        sure = 1 / (1 + math.exp(-epsilon))
        luck = binom.sf(right - 1, guesses, sure)
        more = (binom.sf(before - 1, guesses, sure) - luck) / np.arange(1, right + 1)
        return float(luck + 2 * canaries * delta * max(0.0, more.max()))

    low, high = 0.0, 50.0  # no number of guesses that fits a computer shows more
    if chance(low) > 1 - confidence:
        return 0.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) <= 1 - confidence else (low, middle)
    return low


def white_box_scores(observed: Array, noise_multiplier: float, sampling_rate: float = 1.0) -> Array:
    """How much each training's steps speak for a canary: the log-likelihood ratio of what an insider sees.

    Parameters
    ----------
    observed : array (runs, T)
        The noisy sum of clipped gradients in the canary's direction, every step, in units of the clipping norm: around
        0 without the canary, around 1 in the steps that it joins.
    noise_multiplier : float
        σ, positive.
    sampling_rate : float in (0, 1]
        q.

    Returns
    -------
    array (runs,)
        Σ_t ln(1 − q + q·exp((2s_t − 1) / 2σ²)).
    """
    evidence = (2 * np.asarray(observed, float) - 1) / (2 * noise_multiplier**2)
    if sampling_rate < 1:
        evidence = np.logaddexp(math.log1p(-sampling_rate), math.log(sampling_rate) + evidence)
    total: Array = evidence.sum(axis=1)
    return total


def _scores(name: str, given: npt.ArrayLike) -> Array:
    scores = np.asarray(given, float)
    if scores.ndim != 1 or len(scores) < LEAST:
        raise ValueError(f"'{name}' must have the shape (N,), N at least {LEAST}. Got {scores.shape}.")
    if np.isnan(scores).any():
        raise ValueError(f"'{name}' must hold no NaN. Got {np.isnan(scores).sum()}.")
    return np.clip(scores, -FARTHEST, FARTHEST)


def _check(delta: float, confidence: float, family: str) -> None:
    if family not in FAMILIES:
        raise ValueError(f"'family' must be among {', '.join(FAMILIES)}. Got {family!r}.")
    least = "[0" if family == "any" else "(0"
    if not 0 <= delta < 1 or (delta == 0 and family != "any"):
        raise ValueError(f"'delta' must be in {least}, 1) for the family '{family}'. Got {delta}.")
    if not 0 < confidence < 1:
        raise ValueError(f"'confidence' must be in (0, 1). Got {confidence}.")


def _at_most(wrong: npt.ArrayLike, trials: npt.ArrayLike, chance: npt.ArrayLike) -> Array:
    """The error rate at which so few wrong guesses, or fewer, have that chance: an upper bound on it."""
    from scipy.special import betaincinv

    wrong, trials = np.asarray(wrong), np.asarray(trials)
    return np.where(wrong < trials, betaincinv(wrong + 1, np.maximum(trials - wrong, 1), 1 - np.asarray(chance)), 1.0)


def _largest_rates(wrong: Wrong, trials: Wrong, confidence: float, share: float) -> tuple[Array, Array]:
    """Pairs (FPR, FNR) such that, with the confidence, the true rates are not above all of them: each below some pair.

    A pair of rates is ruled out where so few wrong guesses would be too rare, by the p-values of both counts together
    (Stouffer et al. 1949; `share` is the first count's weight, squared). Rates that one count alone all but rules out
    are cut off, at `CUT` of the error. Between two places of the grid the larger of either rate is taken.
    """
    from scipy.special import ndtr, ndtri

    error = 1 - confidence
    furthest, together, weights = ndtri(CUT * error / 2), ndtri((1 - CUT) * error), np.sqrt([share, 1 - share])
    last = (together - weights[1] * furthest) / weights[0]
    first = np.linspace(furthest, last, GRID)
    second = (together - weights[0] * np.append(first[1:], last)) / weights[1]
    places = first, np.maximum(second, furthest)
    false_positive, false_negative = (_at_most(*each) for each in zip(wrong, trials, map(ndtr, places), strict=True))
    return false_positive, false_negative
