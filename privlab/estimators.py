"""The lab's private models as scikit-learn estimators, for one's own pipeline, grid or Dask job.

Each fit spends its whole ε anew: what a grid search tries is composed, and choosing by a score on private data costs
privacy that `privacy_` knows nothing of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets

from privlab.dpsgd import Array
from privlab.release import Privacy, Private, check_whole
from privlab.tables import pd

__all__ = ["DPLinearRegression", "DPLogisticRegression", "DPMLPClassifier", "Privacy"]


class _Classifier(ClassifierMixin, Private):
    """What the two classifiers share: classes and probabilities."""

    classes: Iterable[Any] | None

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train on features X (rows, d) and labels y (rows,).

        Parameters
        ----------
        X : array-like of shape (rows, d)
        y : array-like of shape (rows,)
        groups : array-like of shape (rows,), optional
            Whose row it is: protects people, each with all their rows, instead of rows. scikit-learn's searches
            keep `groups` to themselves unless metadata routing is on (``set_fit_request(groups=True)``); see
            `privacy_.unit`.

        Raises
        ------
        ValueError, TypeError
            For a parameter out of range, δ ≥ 1/n, a label that is not declared (never telling which), NaN or infinity.
        """
        X, y, people = self._check_rows(X, y, groups)
        check_classification_targets(y)
        classes = np.unique(y if self.classes is None else np.asarray(self.classes))
        if len(classes) < 2:
            name = "y" if self.classes is None else "classes"
            raise ValueError(f"'{name}' must hold at least 2 classes. Got 1 class.")
        codes = pd.Index(classes).get_indexer(pd.Index(y))
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            raise ValueError(f"'y' must hold declared classes only. Got another in row {row} (counting from 0).")
        self.classes_ = classes
        binary = len(classes) == 2
        leaks = ["classes"] if self.classes is None else []
        self._train(X, codes, people, "logistic" if binary else "softmax", 1 if binary else len(classes), leaks)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the log-odds of the second class (rows,), or a score for each of several classes (rows, classes)."""
        scores = self._scores(X)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> Array:
        """Return each class's probability (rows, classes), in the order of `classes_`."""
        scores = self._scores(X)
        if len(self.classes_) == 2:
            scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return np.asarray(shares)

    def predict(self, X: Any) -> Array:
        """Return the likeliest class of each row (rows,)."""
        scores = self._scores(X)
        best = (scores[:, 0] > 0).astype(int) if len(self.classes_) == 2 else scores.argmax(axis=1)
        return np.asarray(self.classes_[best])


class DPLogisticRegression(_Classifier):
    """Private logistic regression (softmax for several classes) by DP-SGD (Abadi et al. 2016).

    Features should be scaled by public bounds, to about [-1, 1], as `privlab.Schema.encode` does. Clipping upholds ε at
    any scale; features beyond ±1000 are clamped.

    Parameters
    ----------
    epsilon : float in (0, 100]
        The ε to uphold.
    delta : float in (0, 1/n)
    clip_norm : float
        C, the longest pull of one unit on a step.
    sampling_rate : float in (0, 1], optional
        The chance q that a unit joins a batch. Default: 0.02, or 500/n (at most 1) where n is below 25,000.
    steps : int
    learning_rate : float, optional
        On the clipped mean in units of C. Default: chosen from public numbers, slower where the noise is loud; see
        `privlab.dpsgd.steady_rate`.
    momentum : float in [0, 1)
    classes : array-like, optional
        The declared classes; one that is absent from y keeps its place. Default: read from y, which leaks.
    n : int, optional
        The public number of protected units. Default: counted, which leaks.
    noise : {"idealised", "exact"}
        Floating-point noise, or OpenDP's discrete Gaussian with batches from the system's entropy; see `privlab.exact`.
    random_state : int, optional
        None: the system's entropy, fresh at every fit. An integer makes the fit repeatable, hence not private.

    Attributes
    ----------
    privacy_ : Privacy
        What was spent and what that assumes.
    classes_ : array of shape (classes,)
    coef_, intercept_ : arrays of shape (1 or classes, d) and (1 or classes,)
    n_ : int
        The number of units that δ and the batch size were reckoned from.
    n_features_in_ : int
    """

    _model = "dp-sgd-logistic"

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        clip_norm: float = 1.0,
        sampling_rate: float | None = None,
        steps: int = 60,
        learning_rate: float | None = None,
        momentum: float = 0.9,
        classes: Iterable[Any] | None = None,
        n: int | None = None,
        noise: str = "idealised",
        random_state: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.clip_norm = clip_norm
        self.sampling_rate = sampling_rate
        self.steps = steps
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.classes = classes
        self.n = n
        self.noise = noise
        self.random_state = random_state

    @property
    def coef_(self) -> Array:
        """Weights of the features (1 or classes, d)."""
        return self.weights_.first[:-1].T

    @property
    def intercept_(self) -> Array:
        """Weight of the constant (1 or classes,)."""
        return self.weights_.first[-1]


class DPMLPClassifier(_Classifier):
    """Private network with one hidden ReLU layer by DP-SGD (Abadi et al. 2016).

    Parameters
    ----------
    hidden_units : int
        Width of the hidden layer.
    epsilon, delta, clip_norm, sampling_rate, steps, learning_rate, momentum, classes, n, noise, random_state
        As in `DPLogisticRegression`; features should be scaled as there.

    Attributes
    ----------
    privacy_, classes_, n_, n_features_in_
        As in `DPLogisticRegression`.
    """

    _model = "dp-sgd-mlp"

    def __init__(
        self,
        *,
        hidden_units: int = 32,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        clip_norm: float = 1.0,
        sampling_rate: float | None = None,
        steps: int = 60,
        learning_rate: float | None = None,
        momentum: float = 0.9,
        classes: Iterable[Any] | None = None,
        n: int | None = None,
        noise: str = "idealised",
        random_state: int | None = None,
    ) -> None:
        self.hidden_units = hidden_units
        self.epsilon = epsilon
        self.delta = delta
        self.clip_norm = clip_norm
        self.sampling_rate = sampling_rate
        self.steps = steps
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.classes = classes
        self.n = n
        self.noise = noise
        self.random_state = random_state

    def _check_parameters(self) -> None:
        check_whole("hidden_units", self.hidden_units, 1)
        super()._check_parameters()


class DPLinearRegression(RegressorMixin, Private):
    """Private least squares by DP-SGD (Abadi et al. 2016).

    Parameters
    ----------
    y_bounds : (low, high), optional
        Public bounds of the target: it is clamped to them, and so are predictions. Default: read from y, which leaks.
    clip_norm : float
        C, where the target has been scaled to [-1, 1].
    epsilon, delta, sampling_rate, steps, learning_rate, momentum, n, noise, random_state
        As in `DPLogisticRegression`; features should be scaled as there.

    Attributes
    ----------
    y_bounds_ : (float, float)
    coef_, intercept_ : array of shape (d,), and float
        In the units of y, before predictions are clamped.
    privacy_, n_, n_features_in_
        As in `DPLogisticRegression`.
    """

    _model = "dp-sgd-linear"

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        clip_norm: float = 0.3,
        sampling_rate: float | None = None,
        steps: int = 60,
        learning_rate: float | None = None,
        momentum: float = 0.9,
        y_bounds: tuple[float, float] | None = None,
        n: int | None = None,
        noise: str = "idealised",
        random_state: int | None = None,
    ) -> None:
        self.epsilon = epsilon
        self.delta = delta
        self.clip_norm = clip_norm
        self.sampling_rate = sampling_rate
        self.steps = steps
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.y_bounds = y_bounds
        self.n = n
        self.noise = noise
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train on features X (rows, d) and targets y (rows,).

        Parameters
        ----------
        X : array-like of shape (rows, d)
        y : array-like of shape (rows,)
        groups : array-like of shape (rows,), optional
            As in `DPLogisticRegression.fit`.

        Raises
        ------
        ValueError, TypeError
            For a parameter out of range, δ ≥ 1/n, NaN or infinity.
        """
        X, y, people = self._check_rows(X, y, groups, y_numeric=True)
        y = y.astype(float)
        low, high = (y.min(), y.max()) if self.y_bounds is None else self.y_bounds
        if not 0 < high - low < math.inf:
            raise ValueError(
                "'y' must hold at least 2 different values. Got 1."
                if self.y_bounds is None
                else f"'y_bounds' must be finite, low < high. Got {self.y_bounds}."
            )
        self.y_bounds_ = (float(low), float(high))
        scaled = 2 * (np.clip(y, low, high) - low) / (high - low) - 1
        self._train(X, scaled, people, "squared", 1, ["y_bounds"] if self.y_bounds is None else [])
        return self

    @property
    def coef_(self) -> Array:
        """Weights of the features (d,)."""
        low, high = self.y_bounds_
        return self.weights_.first[:-1, 0] * ((high - low) / 2)

    @property
    def intercept_(self) -> float:
        """The prediction where all features are 0."""
        low, high = self.y_bounds_
        return float(low + (self.weights_.first[-1, 0] + 1) * (high - low) / 2)

    def predict(self, X: Any) -> Array:
        """Return the predicted target of each row (rows,), within `y_bounds_`."""
        scores = self._scores(X)
        low, high = self.y_bounds_
        return np.asarray(low + (np.clip(scores[:, 0], -1, 1) + 1) * ((high - low) / 2))
