"""Every entry of the catalogue does what it promises, where it promises it."""

from __future__ import annotations

import itertools
import warnings

import diffprivlib.models
import numpy as np
import pandas as pd
import pytest
from diffprivlib.mechanisms import LaplaceBoundedDomain, PermuteAndFlip
from diffprivlib.utils import PrivacyLeakWarning
from sklearn.exceptions import ConvergenceWarning

import privlab
from privlab import accounting, datasets, dpsgd, models
from privlab.columns import Column
from privlab.schema import Schema

FITTED = [name for name, model in models.CATALOGUE.items() if model.fit]
SMALL = {"binary": "breast_cancer", "multiclass": "digits", "regression": "diabetes"}


@pytest.fixture(scope="module")
def own():
    """200 rows with a category, of which one class never occurs and one category has all the weight."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(0, 10, 200), "kind": rng.choice(["a", "b"], 200)})
    frame["y"] = np.where(frame["kind"] == "a", "no", "yes")
    columns = Column("x", 0, 10), Column("kind", categories=("a", "b", "c"))
    schema = Schema(columns, Column("y", categories=("never", "no", "yes")))
    return datasets.from_frame(frame, target="y", schema=schema, n=200, name="catalogue-test")


def predictions(dataset, model, epsilon=1.0, seed=(0, 0)):
    """Predictions of one entry, whether fitted or batched."""
    if model.fit:
        return model.fit(dataset, epsilon, 1e-5, seed)
    data = dpsgd.prepare(dataset)
    sigma = np.array([accounting.noise_multiplier(epsilon=epsilon, sampling_rate=0.2, steps=40, delta=1e-5)])
    weights = dpsgd.train(data, model.plan(data, sigma, np.array([1.0]), 0.2, 40), seed)
    return models._decide(dataset, weights.decision(dataset.evaluation[0]))[0]


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name, model in models.CATALOGUE.items() for task in sorted(model.tasks)]
)
def test_fits_every_task_it_claims(name, task):
    dataset = privlab.load(SMALL[task])
    got = predictions(dataset, models.CATALOGUE[name])
    assert got.shape == dataset.evaluation[1].shape
    if task == "regression":
        assert np.abs(got).max() <= 1
        assert got.std() > 0.01
    else:
        assert set(np.unique(got)) <= set(range(len(dataset.classes)))
        assert len(np.unique(got)) > 1


@pytest.mark.parametrize("name", FITTED)
def test_a_fit_repeats_by_its_seed(name):
    model = models.CATALOGUE[name]
    dataset = privlab.load(SMALL["regression" if "regression" in model.tasks else "binary"])
    first, again, other = (model.fit(dataset, 1.0, 1e-5, seed) for seed in [(0, 1), (0, 1), (1, 0)])
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    losses = models.fit(dataset.name, name, 1.0, 1e-5, (0, 1))
    np.testing.assert_array_equal(losses, models.losses(dataset, first))


@pytest.mark.parametrize("name", FITTED)
def test_scores_rise_with_epsilon(name):
    dataset = privlab.load("diabetes" if name == "sufficient-statistics" else "breast_cancer")
    means = [
        np.mean([models.score(dataset, models.fit(dataset, name, epsilon, 1e-5, (0, seed))) for seed in range(8)])
        for epsilon in (0.05, 10)
    ]
    assert means[1] > means[0] + 0.05


def spied(monkeypatch, name):
    """Watch what a classifier of diffprivlib is made with and fitted on."""
    seen = []
    real = getattr(diffprivlib.models, name)

    class Spy(real):
        def fit(self, X, y, sample_weight=None):
            seen.append((self, X.copy(), y.copy()))
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(diffprivlib.models, name, Spy)
    return seen


@pytest.mark.parametrize("source", ["breast_cancer", "digits", "german", "catalogue-test"])
def test_logistic_gets_rows_of_norm_one_at_most(source, own, monkeypatch):
    seen = spied(monkeypatch, "LogisticRegression")
    dataset = privlab.load(source)
    models.fit(dataset, "diffprivlib-logistic", 2.0, 1e-5, (0, 0))
    ((estimator, X, y),) = seen
    classes = len(dataset.classes)
    assert np.linalg.norm(X, axis=1).max() <= 1 + 1e-9
    assert (estimator.data_norm, estimator.fit_intercept, estimator.epsilon) == (1.0, False, 2.0)
    assert np.ptp(X[:-classes, -1]) == 0  # the constant, inside the norm
    assert X[0, -1] > 0
    assert not X[-classes:].any()
    np.testing.assert_array_equal(y[-classes:], range(classes))
    np.testing.assert_array_equal(estimator.classes_, range(classes))


def test_bayes_gets_declared_bounds_and_three_fifths_of_epsilon(own, monkeypatch):
    seen = spied(monkeypatch, "GaussianNB")
    models.fit(own, "diffprivlib-naive-bayes", 2.0, 1e-5, (0, 0))
    ((estimator, X, _),) = seen
    assert estimator.epsilon == pytest.approx(1.2)
    np.testing.assert_array_equal(estimator.bounds, np.full((2, X.shape[1]), [[-1], [1]]))
    assert np.abs(X).max() <= 1
    np.testing.assert_array_equal(estimator.classes_, range(3))


def test_forest_gets_declared_bounds_classes_and_half_of_epsilon(own, monkeypatch):
    seen = spied(monkeypatch, "RandomForestClassifier")
    models.fit(own, "diffprivlib-forest", 2.0, 1e-5, (0, 0))
    ((estimator, X, y),) = seen
    assert estimator.epsilon == 1.0
    assert len(X) == len(y) == own.n_train_rows
    np.testing.assert_array_equal(estimator.classes_, range(3))
    np.testing.assert_array_equal(estimator.bounds, np.full((2, 2), [[0], [1]]))
    assert X.min() >= 0
    assert X.max() <= 1
    assert set(np.unique(X[:, 1])) == {0, 0.5}  # "a" and "b" of three categories
    np.testing.assert_allclose(X[:, 0], (own.X_train[:, 0] + 1) / 2)


@pytest.mark.parametrize("warning", [PrivacyLeakWarning, ConvergenceWarning])
def test_a_warning_of_diffprivlib_is_an_error(warning, monkeypatch):
    real = diffprivlib.models.GaussianNB

    class Leaky(real):
        def fit(self, X, y, sample_weight=None):
            warnings.warn("leak", warning, stacklevel=1)
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(diffprivlib.models, "GaussianNB", Leaky)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(warning, match="leak"):
            models.fit("breast_cancer", "diffprivlib-naive-bayes", 1.0, 1e-5, (0, 0))


def chances(counts, scale):
    """Exact output distribution of permute-and-flip with acceptance exp(scale · (count − greatest))."""
    accept = np.exp(scale * (np.asarray(counts) - max(counts)))
    total = np.zeros(len(counts))
    orders = list(itertools.permutations(range(len(counts))))
    for order in orders:
        left = 1.0
        for candidate in order:
            total[candidate] += left * accept[candidate]
            left *= 1 - accept[candidate]
    return total / len(orders)


def test_why_the_forest_gets_half_of_epsilon():
    """One vote more costs a leaf ε, a vote that changes costs 2ε: what diffprivlib takes for one costs two."""
    scale = 0.7
    np.testing.assert_allclose(
        PermuteAndFlip(epsilon=scale, sensitivity=1, utility=[3, 1, 2], monotonic=True)._probabilities,
        scale * np.array([0, -2, -1]),
    )
    added, changed = [], []
    for counts in itertools.product(range(5), repeat=3):
        before = chances(counts, scale)
        for i, j in itertools.permutations(range(3), 2):
            more = np.array(counts)
            more[i] += 1
            added.append(np.abs(np.log(chances(more, scale) / before)).max())
            if counts[j]:
                more[j] -= 1
                changed.append(np.abs(np.log(chances(more, scale) / before)).max())
    assert max(added) <= scale + 1e-9
    assert scale * 1.5 < max(changed) <= 2 * scale + 1e-9


def test_why_bayes_gets_three_fifths_of_epsilon():
    """A changed label takes a whole square from one class's sum and gives one to another's: twice ε/3."""
    third, most = 0.5, 4.0
    scale = LaplaceBoundedDomain(epsilon=third, sensitivity=most, lower=0, upper=most * 50)._find_scale()

    def density(true, at):
        mass = 1 - np.exp(-true / scale) / 2 - np.exp((true - most * 50) / scale) / 2
        return np.exp(-abs(at - true) / scale) / mass

    leaves = max(np.log(density(0.0, at) / density(most, at)) for at in np.linspace(0, most * 50, 2001))
    assert 0.9 * third < leaves <= third + 1e-9


@pytest.mark.parametrize("name", FITTED)
def test_rows_are_what_fitted_models_protect(name):
    model = models.CATALOGUE[name]
    if model.tasks == models.CLASSIFY:
        assert model.unfit_for(datasets.card("rand"), "person") == (
            f"'{name}' protects rows; in 'rand' a person has several. Choose unit='row'."
        )
        assert model.unfit_for(datasets.card("rand"), "row") == ""
        assert model.unfit_for(datasets.card("diabetes"), "row").startswith(
            f"'{name}' is for binary and multiclass tasks"
        )
    else:
        assert model.unfit_for(datasets.card("adult"), "person") == (
            f"'{name}' is for regression tasks; 'adult' is binary."
        )
    assert model.unfit_for(datasets.card(SMALL[sorted(model.tasks)[-1]]), "person") == ""


def test_every_promise_is_whole():
    for model in models.CATALOGUE.values():
        assert "{" not in model.promise
        assert model.promise.endswith(".")
        assert "idealised" in model.promise
    assert models.fitting(datasets.card("diabetes"), "row") == ("dp-sgd-linear", "dp-sgd-mlp", "sufficient-statistics")


def test_noise_on_the_moments_is_the_gaussian_mechanism(monkeypatch):
    """With the noise as sole input the solution is that of the noise: its matrix has σ and σ/√2."""
    seen = []
    real = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: seen.append(matrix) or real(matrix))
    dataset = privlab.load("diabetes")
    sigma = accounting.gaussian_noise_multiplier(epsilon=1.0, delta=1e-5)
    for seed in range(400):
        models.fit(dataset, "sufficient-statistics", 1.0, 1e-5, (0, seed))
    noise = np.array(seen) - np.mean(seen, axis=0)
    d = noise.shape[1]
    inside, beside = noise[:, np.arange(d), np.arange(d)], noise[:, *np.triu_indices(d, 1)]
    assert inside.std() == pytest.approx(sigma, rel=0.03)
    assert beside.std() == pytest.approx(sigma / np.sqrt(2), rel=0.02)
    # Rows of norm 1 at most: the moments of the features and the constant add up to less than the rows.
    assert 0.5 * dataset.n_train_rows < np.trace(np.mean(seen, axis=0)) < dataset.n_train_rows


def test_only_fitted_models_are_fitted_here():
    with pytest.raises(ValueError, match="'dp-sgd-logistic' must be a fitted model"):
        models.fit("breast_cancer", "dp-sgd-logistic", 1.0, 1e-5, (0,))
