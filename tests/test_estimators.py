"""The estimators keep scikit-learn's contract, and tell the truth about what a fit spent."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

import privlab
from privlab import (
    DPLinearRegression,
    DPLogisticRegression,
    DPMLPClassifier,
    PrivacyLeakWarning,
    accounting,
    dpsgd,
    exact,
    gradients,
    mechanisms,
)

ALL = (DPLogisticRegression, DPMLPClassifier, DPLinearRegression)
CHECKS = [pair for kind in ALL for pair in estimator_checks_generator(kind(), mark=None)]


def named(one):
    """A check by its function, without the address that its own text has: two workers must agree on it."""
    return one.func.__name__ if hasattr(one, "func") else str(one)


leaking = pytest.mark.filterwarnings("ignore::privlab.schema.PrivacyLeakWarning")


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    high = X.max(axis=0)
    return 2 * X / high - 1, y


@pytest.fixture(scope="module")
def adult():
    return privlab.load("adult")


def declared(kind, **parameters):
    """An estimator that reads nothing from the breast cancer data."""
    public = {"y_bounds": (0, 1)} if kind is DPLinearRegression else {"classes": (0, 1)}
    return kind(**({"n": 569} | public | parameters))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=named)
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_excused(kind):
    tags = get_tags(kind())
    own = tags.regressor_tags if kind is DPLinearRegression else tags.classifier_tags
    assert not own.poor_score
    assert not tags._skip_test
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not hasattr(kind, "_xfail_checks")


@pytest.mark.parametrize("kind", ALL)
def test_privacy_is_what_the_accountant_says(kind, cancer):
    fitted = declared(kind, epsilon=2.0, delta=1e-6, clip_norm=0.7, sampling_rate=0.2, steps=30).fit(*cancer)
    spent = fitted.privacy_
    setting = {"sampling_rate": 0.2, "steps": 30, "delta": 1e-6}
    assert spent.noise_multiplier == accounting.noise_multiplier(epsilon=2.0, **setting)
    assert spent.epsilon == accounting.epsilon(noise_multiplier=spent.noise_multiplier, **setting)
    assert 1.99 < spent.epsilon <= 2.0
    assert (spent.delta, spent.sampling_rate, spent.steps, spent.clip_norm) == (1e-6, 0.2, 30, 0.7)
    assert (spent.unit, spent.adjacency, spent.noise) == ("row", "add/remove one row", "idealised floating-point")
    assert spent.leaks == ()
    assert spent.fresh
    assert str(spent) == (
        f"(ε = {spent.epsilon:.4g}, δ = 1e-06)-differentially private to add/remove one row: 30 steps, "
        f"Poisson rate 0.2, clipping norm 0.7, noise {spent.noise_multiplier:.4g} × that, idealised floating-point."
    )


@pytest.mark.parametrize(
    ("n", "rate"),
    [(300, 1), (1000, 0.5), (12_500, 0.04), (25_000, 0.02), (32_561, 0.02)],
    ids=lambda value: f"{value:g}",
)
def test_default_rate_follows_the_public_n(n, rate, cancer):
    assert declared(DPLogisticRegression, n=n).fit(*cancer).privacy_.sampling_rate == rate


@pytest.mark.parametrize("kind", ALL)
def test_what_is_read_from_the_data_is_warned_of_and_recorded(kind, cancer):
    name = "y_bounds" if kind is DPLinearRegression else "classes"
    with pytest.warns(PrivacyLeakWarning, match=f"{name}, n") as caught:
        fitted = kind().fit(*cancer)
    assert caught[0].filename == __file__
    assert fitted.privacy_.leaks == (name, "n")
    assert f"Not covered, for it was read from the data: {name}, n." in str(fitted.privacy_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert declared(kind).fit(*cancer).privacy_.leaks == ()


@pytest.mark.parametrize("kind", ALL)
def test_noise_is_fresh_unless_seeded(kind, cancer):
    X, y = cancer
    fresh = [declared(kind).fit(X, y).weights_.first for _ in range(2)]
    assert np.mean(fresh[0] != fresh[1]) > 0.99
    again = [declared(kind, random_state=3).fit(X, y) for _ in range(2)]
    np.testing.assert_array_equal(again[0].weights_.first, again[1].weights_.first)
    assert not again[0].privacy_.fresh
    assert "Not private" in str(again[0].privacy_)
    assert "Not private" not in str(declared(kind).fit(X, y).privacy_)


def test_same_weights_as_the_trainer_of_the_lab(cancer):
    X, y = cancer
    fitted = declared(DPLogisticRegression, sampling_rate=0.3, learning_rate=0.5, momentum=0.8, random_state=5).fit(
        X, y
    )
    data = dpsgd.TrainingData.make(X, y, "logistic", units=569)
    sigma = np.float32([fitted.privacy_.noise_multiplier])
    plan = dpsgd.Plan(sigma, np.float32([1]), 0.3, 60, learning_rate=0.5, momentum=0.8)
    expected = dpsgd.train(data, plan, (5,)).first
    np.testing.assert_allclose(fitted.coef_, expected[:-1].T, rtol=1e-6)
    np.testing.assert_allclose(fitted.intercept_, expected[-1], rtol=1e-6)


def test_classes_are_the_declared_ones(cancer):
    X, y = cancer
    names = np.array(["benign", "malign"])[y]
    fitted = DPLogisticRegression(classes=["benign", "malign", "unseen"], n=569).fit(X, names)
    assert list(fitted.classes_) == ["benign", "malign", "unseen"]
    shares = fitted.predict_proba(X)
    assert shares.shape == (569, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[:, 2].mean() < 0.2
    with pytest.raises(ValueError, match=r"declared classes only. Got another in row \d+") as caught:
        DPLogisticRegression(classes=["malign", "unseen"], n=569).fit(X, names)
    assert "benign" not in str(caught.value)
    one = DPLogisticRegression(classes=[0, 1], n=569).fit(X, np.ones(569, int))
    assert one.score(X, np.ones(569)) > 0.95


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (DPLogisticRegression, {"epsilon": 0}, r"'epsilon' must be in \(0, 100]. Got 0."),
        (DPLogisticRegression, {"epsilon": float("nan")}, r"'epsilon' must be in \(0, 100]. Got nan."),
        (DPLogisticRegression, {"epsilon": "1"}, r"'epsilon' must be a number in \(0, 100]. Got str."),
        (DPLogisticRegression, {"delta": 0.01}, r"'delta' must be in \(0, 1/n\) = \(0, 0.00176\). Got 0.01."),
        (DPLogisticRegression, {"delta": 1 / 569}, "'delta' must be in"),
        (DPLogisticRegression, {"clip_norm": np.inf}, r"'clip_norm' must be in \(0, inf\). Got inf."),
        (DPLogisticRegression, {"sampling_rate": 1.5}, r"'sampling_rate' must be in \(0, 1]. Got 1.5."),
        (DPLogisticRegression, {"steps": 0}, "'steps' must be at least 1. Got 0."),
        (DPLogisticRegression, {"steps": 2.0}, "'steps' must be an integer of at least 1. Got float."),
        (DPLogisticRegression, {"learning_rate": 0}, "'learning_rate' must be in"),
        (DPLogisticRegression, {"momentum": 1}, "'momentum' must be in"),
        (DPLogisticRegression, {"n": 0}, "'n' must be at least 1. Got 0."),
        (DPLogisticRegression, {"noise": "none"}, "'noise' must be one of idealised, exact. Got 'none'."),
        (DPLogisticRegression, {"noise": "exact", "random_state": 0}, "'random_state' must be None with noise='exact'"),
        (DPLogisticRegression, {"random_state": np.random.RandomState(0)}, "'random_state' must be an integer"),
        (DPLogisticRegression, {"classes": [1]}, "'classes' must hold at least 2 classes. Got 1 class."),
        (DPMLPClassifier, {"hidden_units": 0}, "'hidden_units' must be at least 1. Got 0."),
        (DPLinearRegression, {"y_bounds": (1, 1)}, r"'y_bounds' must be finite, low < high. Got \(1, 1\)."),
        (DPLinearRegression, {"y_bounds": (0, np.inf)}, "'y_bounds' must be finite"),
    ],
)
def test_bad_parameters(kind, parameters, message, cancer):
    with pytest.raises((ValueError, TypeError), match=message):
        declared(kind, **parameters).fit(*cancer)


def test_groups_protect_people(cancer):
    X, y = cancer
    people = np.arange(569) // 3
    fitted = declared(DPLogisticRegression, n=190).fit(X, y, groups=people)
    assert (fitted.privacy_.unit, fitted.privacy_.adjacency) == ("person", "add/remove one person")
    assert fitted.privacy_.sampling_rate == 1
    with pytest.warns(PrivacyLeakWarning, match="declare: n"):
        assert DPLogisticRegression(classes=(0, 1)).fit(X, y, groups=people.astype(str)).n_ == 190
    with pytest.raises(ValueError, match="inconsistent numbers"):
        declared(DPLogisticRegression).fit(X, y, groups=people[1:])
    with pytest.raises(ValueError, match="'groups' must name a person in every row"):
        declared(DPLogisticRegression).fit(X, y, groups=np.where(people == 5, np.nan, people))


@pytest.mark.parametrize("noise", ["idealised", "exact"])
def test_a_person_with_many_huge_rows_pulls_no_further_than_one_row(noise):
    """Two steps of almost no noise: whoever repeats a huge row must move the weights no more than C."""
    X, y = np.zeros((40, 3)), np.arange(40) % 2
    X[20:], y[20:] = [1e300, -1e300, 5], 1
    people = np.minimum(np.arange(40), 20)
    settings = {"epsilon": 100, "delta": 1e-3, "learning_rate": 1.0, "momentum": 0, "steps": 1, "sampling_rate": 1}
    fitted = declared(DPLogisticRegression, n=21, noise=noise, **settings).fit(X, y, groups=people)
    sigma = fitted.privacy_.noise_multiplier
    pull = 21 * np.linalg.norm(fitted.coef_)  # in units of C, plus noise in three coordinates
    assert 1 - 5 * sigma < pull < 1 + 5 * sigma


def test_pipeline_search_clone_and_pickle(cancer):
    X, y = cancer
    pipe = make_pipeline(FunctionTransformer(lambda X: X / 2), declared(DPLogisticRegression, random_state=0))
    search = GridSearchCV(pipe, {"dplogisticregression__epsilon": [0.01, 5.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"dplogisticregression__epsilon": 5.0}
    assert search.best_score_ > 0.85
    fitted = search.best_estimator_[-1]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.privacy_ == fitted.privacy_
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "privacy_")


def test_metadata_routing_brings_people_to_the_fit(cancer):
    X, y = cancer
    people = np.arange(569) // 3
    with config_context(enable_metadata_routing=True):
        model = declared(DPLogisticRegression, n=190).set_fit_request(groups=True)
        search = GridSearchCV(model, {"clip_norm": [1.0]}, cv=GroupKFold(3)).fit(X, y, groups=people)
    assert search.best_estimator_.privacy_.unit == "person"


def test_regression_in_units_of_the_target():
    X, y = load_diabetes(return_X_y=True)
    X = X / 0.2
    fitted = DPLinearRegression(epsilon=10, n=442, y_bounds=(0, 400), random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.4
    inside = np.clip(X @ fitted.coef_ + fitted.intercept_, 0, 400)
    np.testing.assert_allclose(fitted.predict(X), inside, rtol=1e-9)
    assert fitted.y_bounds_ == (0, 400)


@pytest.mark.parametrize("kind", [DPLogisticRegression, DPMLPClassifier])
def test_accuracy_on_adult_at_epsilon_one(kind, adult):
    known = {"classes": (0, 1), "n": adult.n_train}
    plain = LogisticRegression(max_iter=1000).fit(adult.X_train, adult.y_train).score(adult.X_test, adult.y_test)
    scores = [kind(**known).fit(adult.X_train, adult.y_train).score(adult.X_test, adult.y_test) for _ in range(4)]
    assert np.mean(scores) > plain - 0.005


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize(("loss", "outputs"), [("logistic", 1), ("softmax", 3), ("squared", 1)])
@pytest.mark.parametrize("size", [1, 4])
def test_exact_gradients_are_those_of_the_lab(hidden, loss, outputs, size):
    rng = np.random.default_rng(0)
    X, people = rng.normal(size=(50, 4)), None if size == 1 else np.arange(50) // size
    y = rng.normal(size=50) if loss == "squared" else rng.integers(0, max(2, outputs), 50)
    data = dpsgd.TrainingData.make(X, y, loss, outputs=outputs, people=people)
    quiet = dpsgd.Plan(np.float32([0]), np.float32([0.4]), 1, 2, hidden, learning_rate=1.0)
    start = [rng.normal(size=(hidden or outputs, 5))]
    if hidden:
        start.append(rng.normal(size=(outputs, hidden + 1)))
    rows = np.arange(50)[:, None] if people is None else data.rows
    got = exact.clipped_sum(exact._gradients(start, data.X[rows].astype(float), data.y[rows].astype(float), loss), 0.4)
    model = (gradients.Hidden if hidden else gradients.Linear)(data, quiet)
    theta = np.concatenate([part.T.ravel() for part in start]).astype(np.float32)
    flat = rows.ravel()
    (expected,) = model.gradient(
        theta[None], data.X[flat][None], data.y[flat][None], data.norm2[flat][None], rows.shape[1]
    )
    cut = start[0].size
    parts = [got[:cut].reshape(start[0].shape).T.ravel()]
    if hidden:
        parts.append(got[cut:].reshape(start[1].shape).T.ravel())
    np.testing.assert_allclose(np.concatenate(parts) * (0.4 / exact.GRID), expected, rtol=1e-3, atol=1e-5)


def test_sensitivity_holds_in_whole_numbers():
    rng = np.random.default_rng(1)
    pulls = rng.normal(size=(2000, 37)) * 10.0 ** rng.uniform(-12, 150, size=(2000, 1))
    pulls[7, 3], pulls[8, 5] = np.inf, np.nan
    each = [exact.clipped_sum(row[None], 0.3) for row in pulls]
    together = exact.clipped_sum(pulls, 0.3)
    longest = max(sum(int(value) ** 2 for value in row) for row in each)
    assert 0.999 * exact.GRID**2 < longest <= exact.GRID**2
    np.testing.assert_array_equal(together, np.sum(each, axis=0))
    assert not each[7].any()
    assert not each[8].any()


def test_a_unit_longer_than_the_grid_is_left_out(monkeypatch):
    """Should floating point ever understate a norm, the check in whole numbers stands."""
    real = np.sqrt
    monkeypatch.setattr(np, "sqrt", lambda value: 0.99 * real(value))
    total = exact.clipped_sum(np.array([[3.0, 4.0], [0.03, 0.04]]), 1.0)
    np.testing.assert_allclose(total / exact.GRID, [0.03, 0.04])


def test_a_gradient_does_not_depend_on_the_batch():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(300, 1, 23)), rng.integers(0, 2, (300, 1)).astype(float)
    parts = [rng.normal(size=(9, 23)), rng.normal(size=(1, 10))]
    together = exact._gradients(parts, X, y, "logistic")
    for first, last in [(0, 1), (3, 10), (100, 299)]:
        np.testing.assert_array_equal(
            exact._gradients(parts, X[first:last], y[first:last], "logistic"), together[first:last]
        )


def accepts(draws, sigma):
    """Whether draws pass for Gaussian with standard deviation sigma: χ² on their variance, and their shape."""
    chance = stats.chi2.cdf(np.sum((draws / sigma) ** 2), len(draws))
    return 1e-5 < chance < 1 - 1e-5 and stats.kstest(draws / sigma, "norm").pvalue > 1e-5


def test_exact_noise_has_the_right_size():
    draws = mechanisms.discrete_gaussian(np.zeros(20_000, np.int64), sensitivity=exact.GRID, noise_multiplier=1.7)
    assert draws.dtype == np.int64
    draws = draws / exact.GRID
    assert accepts(draws, 1.7)
    assert not accepts(draws, 1.7 * 1.05)
    assert not accepts(draws, 1.7 * 0.95)


def test_exact_noise_reaches_the_weights():
    """With one step and no data but a blank row, the weights are the noise times a known factor."""
    X, y = np.zeros((2, 400)), np.array([0, 1])
    settings = {"steps": 1, "momentum": 0, "learning_rate": 0.5, "sampling_rate": 1, "clip_norm": 2.0, "delta": 1e-3}
    fitted = [declared(DPLogisticRegression, n=10, noise="exact", **settings).fit(X, y) for _ in range(40)]
    draws = np.concatenate([model.coef_[0] for model in fitted]) * (10 / 0.5)
    sigma = fitted[0].privacy_.noise_multiplier
    assert accepts(draws, sigma)
    assert not accepts(draws, sigma * 1.05)
    assert not accepts(draws, sigma * 0.95)
    assert fitted[0].privacy_.noise == "exact (OpenDP discrete Gaussian on a grid)"


def test_exact_batches_are_poisson():
    counts = np.bincount(np.concatenate([exact._joined(500, 0.1) for _ in range(400)]), minlength=500)
    chance = stats.chi2.cdf(np.sum((counts - 40) ** 2 / 36), 500)
    assert 1e-5 < chance < 1 - 1e-5
    assert len(exact._joined(7, 1)) == 7


def test_a_release_that_spends_more_is_refused(monkeypatch):
    import opendp.measurements

    real = opendp.measurements.make_gaussian
    monkeypatch.setattr(opendp.measurements, "make_gaussian", lambda *space, scale: real(*space, scale=0.99 * scale))
    with pytest.raises(ValueError, match=r"must spend ρ = 0.345\d* at most. OpenDP reckons 0.35"):
        mechanisms.discrete_gaussian(np.zeros(1, np.int64), sensitivity=99, noise_multiplier=1.2031)


def test_package_brings_them_without_importing_scikit_learn():
    code = (
        "import sys, privlab; assert 'sklearn' not in sys.modules; "
        "privlab.DPLogisticRegression; assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=re.escape("module 'privlab' has no attribute 'DPForest'")):
        _ = privlab.DPForest


@leaking
@pytest.mark.parametrize("kind", [DPLogisticRegression, DPMLPClassifier])
def test_exact_noise_learns_as_well(kind, cancer):
    X, y = cancer
    assert kind(noise="exact", epsilon=5).fit(X, y).score(X, y) > 0.85
