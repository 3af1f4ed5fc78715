"""Fits of the other private learners, called in worker processes; each returns what its picture needs, and its score.

What they uphold was read from the source of diffprivlib 0.6.6 and OpenDP 0.16, for *replacing* one row while the number
of rows is public; what is missing is made good here:

- KMeans (DPLloyd) releases counts and sums cluster by cluster. A replaced row can leave one cluster and enter another,
  which counts twice, so it is given ½ ε. It also skips empty clusters, and whether one is empty is a fact about the
  people that no noise hides: one made-up row on each centre keeps every cluster filled.
- PCA spends half of ε on the mean and half on eigenvalues and eigenvectors (Amin et al. 2019); sound for declared
  bounds and norm. Only the direction is used here.
- The tree and the forest draw their splits without looking and release a leaf's most common class. A replaced row
  changes the votes of two leaves, so they are given ½ ε.
- GaussianNB is given 3/5 of ε and a made-up row of each class: see `privlab.models`.
- OpenDP's LinearRegression (Theil–Sen) is made for noise that its own map, for two changed rows, says to spend ε. For
  adding one row that map is half of what it should be: dropping the odd row out changes another pair too. Its PCA needs
  the package randomgen and is left out.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets, models

if TYPE_CHECKING:
    from collections.abc import Callable

    from privlab.columns import Column
    from privlab.dpsgd import Array

    Fit = Callable[["Sample", float, int, int], dict[str, Array]]

WIDEST = 8  # columns of a direction
GRID = np.linspace(-1, 1, 41)  # of a forest's map, both ways
TREES = 10
Found = dict[str, Any]


class Sample:
    """The people to learn from and the unseen ones, by their numbers in [-1, 1]; `columns` describes these."""

    def __init__(self, dataset: datasets.Dataset, width: int) -> None:
        self.columns = numbers(dataset.schema.columns)[:width]
        places = [dataset.feature_names.index(column.name) for column in self.columns]
        self.X = dataset.X_train[:, places].astype(float)
        self.y = dataset.y_train
        self.unseen = dataset.evaluation[0][:, places].astype(float)
        self.truth = dataset.evaluation[1]
        self.classes = len(dataset.classes)

    @property
    def norm(self) -> float:
        """The greatest norm of a row, whoever's it is, once a mean has been taken off."""
        return 2 * float(np.sqrt(self.X.shape[1]))


def numbers(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that hold numbers."""
    return tuple(column for column in columns if not column.categories)


def width(learner: str) -> int:
    """How many columns it looks at, at most."""
    return WIDEST if learner == "components" else 2


def fit(source: str | datasets.Dataset, learner: str, epsilon: float, size: int, seed: int) -> Found:
    """Fit one learner; infinite ε: without privacy, by scikit-learn.

    Returns
    -------
    dict
        "score" in [0, 1] on the unseen people, and arrays by name: the learner itself.
    """
    dataset = datasets.load(source) if isinstance(source, str) else source
    sample = Sample(dataset, width(learner))
    with models.strictly():
        return _FITS[learner](sample, epsilon, size, seed)


def floor(dataset: datasets.Dataset, learner: str) -> float:
    """The score of knowing nothing: of one point for all, of a direction at random, of always the same answer."""
    if learner in ("clusters", "line"):
        return 0.0
    if learner == "components":
        return 1 / min(WIDEST, len(numbers(dataset.schema.columns)))
    return models.floor(dataset)


def _settings(epsilon: float, seed: int) -> dict[str, Any]:
    from diffprivlib import BudgetAccountant

    return {"epsilon": epsilon, "random_state": seed, "accountant": BudgetAccountant()}


@cache
def filled() -> Any:
    """KMeans of diffprivlib with a made-up row on each centre, so that no cluster is ever empty."""
    from diffprivlib.models import KMeans

    class Filled(KMeans):
        def _update_centers(self, X: Array, centers: Array, labels: Array, **rest: Any) -> Array:
            X, labels = np.concatenate([X, centers]), np.concatenate([labels, np.arange(len(centers))])
            found: Array = super()._update_centers(X, centers=centers, labels=labels, **rest)
            return found

    return Filled


def _clusters(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    if np.isinf(epsilon):
        from sklearn.cluster import KMeans

        centres = KMeans(size, n_init=4, random_state=seed).fit(sample.X).cluster_centers_
    else:
        model = filled()(size, bounds=(-1, 1), **_settings(epsilon / 2, seed))
        centres = model.fit(sample.X).cluster_centers_
    near = ((sample.unseen[:, None] - centres) ** 2).sum(axis=2).min(axis=1).mean()
    return {"centres": centres, "score": float(1 - near / sample.unseen.var(axis=0).sum())}


def _components(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    if np.isinf(epsilon):
        from sklearn.decomposition import PCA

        model = PCA(1).fit(sample.X)
    else:
        from diffprivlib import models as private

        model = private.PCA(1, bounds=(-1, 1), data_norm=sample.norm, **_settings(epsilon, seed)).fit(sample.X.copy())
    direction = model.components_[0]
    kept = (sample.unseen @ direction).var() / sample.unseen.var(axis=0).sum()
    return {"direction": direction * np.sign(direction[np.abs(direction).argmax()]), "score": float(kept)}


def _tree(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    classes = np.arange(sample.classes)
    if np.isinf(epsilon):
        from sklearn.tree import DecisionTreeClassifier

        model = DecisionTreeClassifier(max_depth=size, random_state=seed).fit(sample.X, sample.y)
        return {"score": float(np.mean(model.predict(sample.unseen) == sample.truth))}
    from diffprivlib.models.forest import DecisionTreeClassifier as PrivateTree

    made = PrivateTree(size, bounds=(-1, 1), classes=classes, **_settings(epsilon / 2, seed))
    tree = made.fit(sample.X, sample.y).tree_
    order = [0]
    for node in order:
        if tree.children_left[node] >= 0:
            order += [tree.children_left[node], tree.children_right[node]]
    splits, leaves = order[: 2**size - 1], order[2**size - 1 :]
    where = tree.apply(sample.X.astype(np.float32))
    votes = np.array([np.bincount(sample.y[where == leaf], minlength=sample.classes) for leaf in leaves])
    label = tree.value[leaves, 0].argmax(axis=1)
    at = np.searchsorted(np.sort(leaves), tree.apply(sample.unseen.astype(np.float32)))
    guess = label[np.argsort(leaves)][at]
    return {
        "feature": tree.feature[splits], "threshold": tree.threshold[splits], "label": label, "votes": votes,
        "score": float(np.mean(guess == sample.truth)),
    }  # fmt: skip


def _forest(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    if np.isinf(epsilon):
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(TREES, max_depth=size, random_state=seed)
    else:
        from diffprivlib.models import RandomForestClassifier as PrivateForest

        classes = np.arange(sample.classes)
        model = PrivateForest(TREES, bounds=(-1, 1), classes=classes, max_depth=size, **_settings(epsilon / 2, seed))
    model.fit(sample.X, sample.y)
    across, up = np.meshgrid(GRID, GRID)
    votes = model.predict_proba(np.column_stack([across.ravel(), up.ravel()]))[:, -1]
    right = np.mean(model.predict(sample.unseen) == sample.truth)
    return {"map": votes.reshape(across.shape), "score": float(right)}


def _bayes(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    if np.isinf(epsilon):
        from sklearn.naive_bayes import GaussianNB

        model = GaussianNB().fit(sample.X, sample.y)
    else:
        from diffprivlib.models import GaussianNB as PrivateNB

        codes = np.arange(sample.classes, dtype=sample.y.dtype)
        X, y = np.concatenate([sample.X, np.zeros((len(codes), 2))]), np.concatenate([sample.y, codes])
        model = PrivateNB(bounds=(-1, 1), var_smoothing=1e-3, **_settings(epsilon * 3 / 5, seed)).fit(X, y)
    right = np.mean(model.predict(sample.unseen) == sample.truth)
    return {"means": model.theta_, "spreads": np.sqrt(model.var_), "score": float(right)}


def _line(sample: Sample, epsilon: float, size: int, seed: int) -> Found:
    pairs = sample.X
    if np.isinf(epsilon):
        from sklearn.linear_model import LinearRegression

        model = LinearRegression().fit(pairs[:, :1], pairs[:, 1])
        slope, start = float(model.coef_[0]), float(model.intercept_)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):  # pairs with one x, which OpenDP drops afterwards
            slope, start = map(float, theil_sen(epsilon)(pairs))
    guess = np.clip(slope * sample.unseen[:, 0] + start, -1, 1)
    miss, without = (np.mean((sample.unseen[:, 1] - one) ** 2) for one in (guess, sample.unseen[:, 1].mean()))
    return {"line": np.array([slope, start]), "score": float(1 - miss / without)}


@cache
def theil_sen(epsilon: float) -> Any:
    """OpenDP's measurement of a line for numbers in [-1, 1]; spends ε for one replaced row (a distance of 2)."""
    from opendp.extras.sklearn.linear_model import LinearRegression
    from opendp.measures import max_divergence
    from opendp.mod import enable_features

    enable_features("contrib", "honest-but-curious")  # the second: its own steps in Python are taken on trust

    def made(scale: float) -> Any:
        return LinearRegression(max_divergence(), [(-1.0, 1.0)], (-1.0, 1.0), scale).measurement

    measurement = made(made(1.0).map(2) / epsilon * (1 + 1e-9))
    if not measurement.check(2, epsilon):
        raise ValueError(f"The line must spend ε = {epsilon:g} at most. OpenDP reckons {measurement.map(2):g}.")
    return measurement


_FITS: dict[str, Fit] = {
    "clusters": _clusters,
    "components": _components,
    "tree": _tree,
    "forest": _forest,
    "bayes": _bayes,
    "line": _line,
}
