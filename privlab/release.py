"""One private fit as scikit-learn sees it: check parameters, calibrate the noise, train, and tell what was spent."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from privlab import accounting, dpsgd, exact, models
from privlab.dpsgd import Array, Loss, TrainingData, Weights
from privlab.schema import PrivacyLeakWarning
from privlab.tables import pd

FARTHEST = 1e3  # features are clamped to ±this, so that no row can overflow the arithmetic that clips it
NOISES = {"idealised": "idealised floating-point", "exact": "exact (OpenDP discrete Gaussian on a grid)"}


@dataclass(frozen=True)
class Privacy:
    """What a fit spent, and what that assumes.

    Attributes
    ----------
    epsilon, delta : float
        dp-accounting's upper bound for the released weights, at that δ.
    noise_multiplier, sampling_rate, clip_norm : float
    steps : int
        The mechanism that was accounted: `steps` Poisson batches, each clipped sum with noise σ·C.
    unit : {"row", "person"}
        What is protected.
    adjacency : str
        What neighbouring data sets differ in.
    noise : str
        "idealised floating-point" or "exact (OpenDP discrete Gaussian on a grid)".
    leaks : tuple of str
        Names of what was read from the data instead of declared; ε does not cover it.
    fresh : bool
        Whether the randomness came from the system's entropy. Without it the fit is not private.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    sampling_rate: float
    steps: int
    clip_norm: float
    unit: str
    adjacency: str
    noise: str
    leaks: tuple[str, ...]
    fresh: bool

    def __str__(self) -> str:
        words = [
            f"(ε = {self.epsilon:.4g}, δ = {self.delta:g})-differentially private to {self.adjacency}: {self.steps} "
            f"steps, Poisson rate {self.sampling_rate:.3g}, clipping norm {self.clip_norm:g}, "
            f"noise {self.noise_multiplier:.4g} × that, {self.noise}."
        ]
        if self.leaks:
            words.append(f"Not covered, for it was read from the data: {', '.join(self.leaks)}.")
        if not self.fresh:
            words.append("Not private: its noise can be drawn again by whoever knows 'random_state'.")
        return " ".join(words)


class Private(BaseEstimator):
    """What the estimators share; each names its `_model` of the catalogue and keeps the parameters listed here."""

    _model: ClassVar[str]

    epsilon: float
    delta: float
    clip_norm: float
    sampling_rate: float | None
    steps: int
    learning_rate: float | None
    momentum: float
    n: int | None
    noise: str
    random_state: int | None

    def _check_parameters(self) -> None:
        check_number("epsilon", self.epsilon, 0, 100, closed=True)
        check_number("delta", self.delta, 0, 1)
        check_number("clip_norm", self.clip_norm, 0, math.inf)
        if self.sampling_rate is not None:
            check_number("sampling_rate", self.sampling_rate, 0, 1, closed=True)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, 0, math.inf)
        if self.momentum != 0:
            check_number("momentum", self.momentum, 0, 1)
        check_whole("steps", self.steps, 1)
        if self.n is not None:
            check_whole("n", self.n, 1)
        if self.noise not in NOISES:
            raise ValueError(f"'noise' must be one of {', '.join(NOISES)}. Got {self.noise!r}.")
        if self.random_state is not None:
            check_whole("random_state", self.random_state, 0)
            if self.noise == "exact":
                raise ValueError("'random_state' must be None with noise='exact'. Got an integer.")

    def _check_rows(self, X: Any, y: Any, groups: Any, **checks: Any) -> tuple[Array, Array, Array | None]:
        """Rows fit to train on, after the parameters: features, targets and the number of each row's person."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2, **checks)
        if groups is None:
            return X, y, None
        check_consistent_length(X, groups)
        people, _ = pd.factorize(column_or_1d(groups))
        if (people < 0).any():
            raise ValueError("'groups' must name a person in every row. Got a missing value.")
        return X, y, people

    def _train(self, X: Array, y: Array, people: Array | None, loss: Loss, outputs: int, leaks: list[str]) -> None:
        """Calibrate, train, and set `weights_`, `privacy_` and `n_`."""
        units = self.n if self.n is not None else int(len(X) if people is None else people.max() + 1)
        leaks = leaks + (["n"] if self.n is None else [])
        if self.delta >= 1 / units:
            raise ValueError(f"'delta' must be in (0, 1/n) = (0, {1 / units:.3g}). Got {self.delta}.")
        rate = self.sampling_rate
        if rate is None:
            rate = dpsgd.usual_rate(units)
        mechanism: dict[str, Any] = {"sampling_rate": rate, "steps": self.steps, "delta": self.delta}
        sigma = accounting.noise_multiplier(epsilon=self.epsilon, **mechanism)
        if leaks:
            warnings.warn(
                f"{type(self).__name__} reads from the data what a private release must declare: {', '.join(leaks)}.",
                PrivacyLeakWarning,
                stacklevel=3,
            )
        data = TrainingData.make(_clamped(X), y, loss, outputs=outputs, people=people, units=units)
        known = replace(models.CATALOGUE[self._model], hidden=getattr(self, "hidden_units", 0))
        plan = known.plan(data, np.array([sigma]), np.array([self.clip_norm]), rate, self.steps)
        rates = plan.learning_rate if self.learning_rate is None else self.learning_rate
        plan = replace(plan, learning_rate=rates, momentum=self.momentum)
        if self.noise == "exact":
            weights = exact.train(data, plan, sigma)
        else:
            seed = None if self.random_state is None else (int(self.random_state),)
            trained = dpsgd.train(data, plan, seed)
            assert trained is not None
            second = None if trained.second is None else trained.second.astype(float)
            weights = Weights(trained.first.astype(float), second, outputs)
        unit = "row" if people is None else "person"
        self.n_, self.weights_ = units, weights
        self.privacy_ = Privacy(
            epsilon=accounting.epsilon(noise_multiplier=sigma, **mechanism),
            delta=self.delta,
            noise_multiplier=sigma,
            sampling_rate=rate,
            steps=self.steps,
            clip_norm=self.clip_norm,
            unit=unit,
            adjacency=f"add/remove one {unit}",
            noise=NOISES[self.noise],
            leaks=tuple(leaks),
            fresh=self.random_state is None,
        )

    def _scores(self, X: Any) -> Array:
        """Raw predictions (rows, outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        scores: Array = self.weights_.decision(_clamped(X))[0].T
        return scores


def _clamped(X: Array) -> Array:
    return np.clip(X, -FARTHEST, FARTHEST)


def check_number(name: str, value: object, low: float, high: float, *, closed: bool = False) -> None:
    """Raise unless a parameter is a number between `low` and `high`."""
    end = "]" if closed else ")"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"'{name}' must be a number in ({low}, {high}{end}. Got {type(value).__name__}.")
    if not (low < float(value) < high or (closed and value == high)):
        raise ValueError(f"'{name}' must be in ({low}, {high}{end}. Got {value}.")


def check_whole(name: str, value: object, low: int) -> None:
    """Raise unless a parameter is an integer of at least `low`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"'{name}' must be an integer of at least {low}. Got {type(value).__name__}.")
    if int(value) < low:
        raise ValueError(f"'{name}' must be at least {low}. Got {value}.")
