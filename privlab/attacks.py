"""Membership inference: who was among the people that a model learned from?

The attacker sees how well a model fits a person and guesses whether that person took part. A loss threshold asks only
how well (Yeom et al. 2018). The likelihood ratio (LiRA, Carlini et al. 2022, online) asks whether that is how well
models with this person fit them, or models without; it needs shadow models, made the same way from other people.
How many members any attacker can find at most under (ε, δ) says `explain.hit_limit`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

Kind = Literal["likelihood-ratio", "loss"]
FALSE_ALARMS = np.geomspace(1e-4, 1, 81)  # where a ROC curve is drawn and its interval known; 0.001 and 0.01 among them
LEAST_ALARMS = 10  # non-members beyond a threshold, below which nothing is said about it
OWN_SPREAD = 16  # shadow models with, and without, a person from which their own spread is estimated; fewer share one
RESAMPLED = 200
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Attack:
    """What an attacker said of every person and model, and what was true.

    Attributes
    ----------
    scores : float (models, people)
        The higher, the surer that the person is in the model. Of the likelihood ratio: its logarithm, so 0 is even.
    joined : bool (models, people)
        Who was in.
    """

    scores: Array
    joined: Array

    @cached_property
    def _falling(self) -> tuple[Array, Array]:
        """The order of all pairs by falling score, and who in that order was in."""
        order = np.argsort(self.scores, axis=None)[::-1]
        return order, self.joined.ravel()[order]

    @cached_property
    def roc(self) -> tuple[Array, Array]:
        """(false alarms, hits) at every threshold, as shares, from (0, 0) to (1, 1)."""
        order, joined = self._falling
        last = np.append(np.flatnonzero(np.diff(self.scores.ravel()[order])), len(order) - 1)  # of equal scores
        hits = np.cumsum(joined)[last]
        alarms = last + 1 - hits
        return np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])

    @property
    def auc(self) -> float:
        """How often a member gets a higher score than a non-member: 0.5 is a coin."""
        return float(np.trapezoid(self.roc[1], self.roc[0]))

    @property
    def advantage(self) -> float:
        """The most that hits exceed false alarms, at any threshold (Yeom et al. 2018)."""
        return float(np.max(self.roc[1] - self.roc[0]))

    def hits(self, false_alarms: Array | float) -> Array:
        """The share of members found at no more than this share of false alarms (TPR at FPR).

        NaN where that would be fewer than 10 false alarms: nothing honest can be said there.
        """
        alarms = np.asarray(false_alarms, float)
        found = self.roc[1][np.searchsorted(self.roc[0], alarms * (1 + 1e-12), side="right") - 1]
        return np.where(alarms * np.sum(~self.joined) >= LEAST_ALARMS, found, np.nan)

    @property
    def covers(self) -> str:
        """What the intervals allow for, in words."""
        return "other people" if len(self.scores) == 1 else "other people and other models"

    @cached_property
    def intervals(self) -> tuple[Array, Array]:
        """95 % interval (low, high) of the hits at `FALSE_ALARMS` and, last, of the AUC; each (82,).

        People and models are crossed, so each is resampled on its own (Rubin's Bayesian bootstrap) and the two squared
        deviations are added. The shadow models that gave the scores stay as they are.
        """
        order, joined = self._falling
        alarms = np.cumsum(~joined)
        place, width = np.searchsorted(FALSE_ALARMS * alarms[-1], alarms), len(FALSE_ALARMS)
        low, high = np.zeros(width + 1), np.zeros(width + 1)
        for axis, count in enumerate(self.scores.shape):
            if count == 1:
                continue
            own = (order % count if axis else order // self.scores.shape[1]) * width + place
            outs, ins = (
                np.bincount(own[side], minlength=count * width).reshape(count, -1) for side in (~joined, joined)
            )
            found = _resampled(outs, ins, axis)
            low += (found[0] - np.quantile(found, (1 - LEVEL) / 2, axis=0)) ** 2
            high += (found[0] - np.quantile(found, (1 + LEVEL) / 2, axis=0)) ** 2
        middle = np.append(self.hits(FALSE_ALARMS), self.auc)
        return np.maximum(0, middle - np.sqrt(low)), np.minimum(1, middle + np.sqrt(high))

    def interval(self, false_alarms: float) -> tuple[float, float]:
        """95 % interval of `hits` at one share of false alarms, for what `covers` says; NaN where it is."""
        low, high = (np.interp(math.log(false_alarms), np.log(FALSE_ALARMS), end[:-1]) for end in self.intervals)
        return float(low), float(high)

    @property
    def auc_interval(self) -> tuple[float, float]:
        """95 % interval of the AUC, for what `covers` says."""
        return float(self.intervals[0][-1]), float(self.intervals[1][-1])

    @property
    def right(self) -> Array:
        """For each person how often the attacker is right about them at a score of 0, over the models (people,)."""
        return np.mean((self.scores > 0) == self.joined, axis=0)

    def exposed(self, share: float) -> tuple[Array, float]:
        """The most exposed `share` of people, and how often the attacker is right about them.

        They are chosen by every other model and the rate is counted on the rest, so that luck does not choose.
        """
        first, second = (Attack(self.scores[i::2], self.joined[i::2]).right for i in (0, 1))
        count = max(1, round(share * len(first)))
        chosen = [np.argsort(-rates, kind="stable")[:count] for rates in (first, second)]
        rate = (second[chosen[0]].mean() + first[chosen[1]].mean()) / 2
        return np.argsort(-self.right, kind="stable")[:count], float(rate)


def _resampled(outside: Array, inside: Array, axis: int) -> Array:
    """Hits at `FALSE_ALARMS` and the AUC (1 + resamples, 82) from counts (people or models, bins of falling score).

    The first row is not resampled.
    """
    weights = np.random.default_rng([len(outside), axis]).standard_exponential((RESAMPLED, len(outside)))
    weights = np.concatenate([np.ones((1, len(outside))), weights])
    alarms, hits = (np.cumsum(weights @ side, axis=1) for side in (outside, inside))
    alarms, hits = (np.pad(side / side[:, -1:], ((0, 0), (1, 0))) for side in (alarms, hits))
    found = np.stack([np.interp(FALSE_ALARMS, *pair) for pair in zip(alarms, hits, strict=True)])
    return np.column_stack([found, np.trapezoid(hits, alarms, axis=1)])


def membership(
    losses: Array, joined: Array, *, kind: Kind = "likelihood-ratio", targets: Sequence[int] | None = None
) -> Attack:
    """Attack models by the losses of people who were in them and people who were not.

    Parameters
    ----------
    losses : float (models, people)
        Cross-entropy of each model at each person: −ln of the probability given to what is true of them. To attack one
        model, let it be the first and shadow models the others.
    joined : bool (models, people)
        Who was in which model.
    kind : {"likelihood-ratio", "loss"}
        "likelihood-ratio" attacks each model with the others as shadows; "loss" needs none of them.
    targets : sequence of int, optional
        Which of the models are attacked; default all.

    Returns
    -------
    Attack
        Scores for the targets (targets, people).

    Raises
    ------
    ValueError
        If shapes differ, a loss is negative or not finite, nobody is in or nobody out, or, for the likelihood ratio,
        somebody is in or out of fewer than three models.
    """
    losses, joined = np.asarray(losses, float), np.asarray(joined, bool)
    if losses.ndim != 2 or losses.shape != joined.shape:
        raise ValueError(
            f"'losses' and 'joined' must have one shape (models, people). Got {losses.shape} and {joined.shape}."
        )
    if not np.isfinite(losses).all() or (losses < 0).any():
        raise ValueError("'losses' must be finite and at least 0. Got others.")
    if kind == "likelihood-ratio":
        return likelihood_ratio(confidence(losses), joined, targets)
    rows = slice(None) if targets is None else np.asarray(targets)
    return _checked(-losses[rows], joined[rows])


def confidence(losses: Array) -> Array:
    """ln(p / (1 − p)) of the probability p = exp(−loss): roughly Gaussian over models (Carlini et al. 2022)."""
    kept = np.maximum(losses, 1e-30)
    odds: Array = -kept - np.log(-np.expm1(-kept))
    return odds


def likelihood_ratio(confidences: Array, joined: Array, targets: Sequence[int] | None = None) -> Attack:
    """`membership` by likelihood ratio, from log-odds (models, people) instead of losses.

    For a logistic model the log-odds are its raw prediction, signed so that being right is positive.
    """
    counts = np.stack([joined.sum(axis=0), (~joined).sum(axis=0)])
    if counts.min() < 3:
        raise ValueError(f"'joined' must have everybody in and out of at least 3 models. Got {counts.min()}.")
    centred = np.asarray(confidences, float) - np.mean(confidences, axis=0)
    rows = slice(None) if targets is None else np.asarray(targets)
    seen, within = centred[rows], joined[rows]
    return _checked(_others(centred, joined, within, seen) - _others(centred, ~joined, ~within, seen), within)


def _others(values: Array, side: Array, own: Array, seen: Array) -> Array:
    """Log density of each target's own value among one side's models, the target left out: (targets, people)."""
    number = side.sum(axis=0) - own
    mean = (np.sum(values, axis=0, where=side) - own * seen) / number
    spread = np.sum(values**2, axis=0, where=side) - own * seen**2 - number * mean**2
    if number.min() < OWN_SPREAD:
        spread, number = spread.sum(axis=1, keepdims=True), number.sum(axis=1, keepdims=True) - len(number[0]) + 1
    variance = np.maximum(spread / (number - 1), 1e-12)
    density: Array = -((seen - mean) ** 2 / variance + np.log(variance)) / 2
    return density


def _checked(scores: Array, joined: Array) -> Attack:
    if joined.all() or not joined.any():
        raise ValueError("'joined' must hold members and non-members. Got only one of them.")
    return Attack(scores, joined)
