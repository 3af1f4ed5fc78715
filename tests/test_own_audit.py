"""The lab's own mechanisms and models put to the test that it offers for others': none breaks its promise, and with
half of its noise each that spends its whole ε does."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import privlab
from privlab import accounting, dpsgd, mechanisms, models
from privlab.columns import Column
from privlab.experiments import _learners_fits as learners
from privlab.experiments import _places_learners as places
from privlab.experiments import _statistics_release as statistics
from privlab.experiments import _two_worlds_noise as noises

DELTA = 1e-3
N = 24  # rows in each data set
OUT, IN = 0, 1  # the two worlds


def replaced(world):
    """Rows in [-1, 1] with classes; the last row is as unlike the others in one world as it can be."""
    rng = np.random.default_rng(5)
    X, y = rng.uniform(-0.9, -0.1, (N, 2)), np.arange(N) % 4 == 0
    X[-1], y[-1] = ((-1, -1), False) if world == OUT else ((1, 1), True)
    return X, y.astype(int)


def added(world):
    """Rows with a feature that only the last one has, who is there in one world alone."""
    X, y = replaced(OUT)
    X = np.column_stack([X, np.zeros(N)])
    X[-1], y[-1] = (0, 0, 8), 1
    return X[: N - 1 + world], y[: N - 1 + world]


def in_batches(draw, size=500):
    """A release of one at a time from draws (size, …) of several at once."""
    left = {OUT: [], IN: []}

    def release(world, rng):
        if not left[world]:
            left[world] = list(draw(world, size))
        return left[world].pop()

    return release


def gaussian(epsilon, loud):
    return accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=DELTA) * loud


def statistic(mechanism):
    """A clamped sum that one person moves by 7, as the statistics panel releases it."""
    return lambda epsilon, loud: in_batches(
        lambda world, size: statistics.repeated(
            100 + 7 * world, size, mechanism, loud * statistics.scale(mechanism, epsilon, DELTA, 7)
        )
    )


def noisy(mechanism, dtype):
    """Fresh noise on a number that one person moves by 1."""

    def make(epsilon, loud):
        scale = loud / epsilon if mechanism == "laplace" else gaussian(epsilon, loud)
        return in_batches(lambda world, size: mechanisms.noisy(np.full(size, world, dtype), mechanism, scale))

    return make


def two_worlds(name):
    """The noise of the two-worlds panel; with less of it, that of a larger ε."""
    return lambda epsilon, loud: in_batches(
        lambda world, size: noises.make(name, epsilon / loud, DELTA).release(world, size)
    )


def vector(epsilon, loud):
    """What the exact trainer adds its noise to, moved by one clipped unit."""
    sigma, moved = gaussian(epsilon, loud), np.array([600, -800, 0], np.int64)
    return lambda world, rng: mechanisms.discrete_gaussian(moved * world, sensitivity=1000, noise_multiplier=sigma)


def coins(epsilon, loud):
    """One person's answer among five."""
    return in_batches(
        lambda world, size: places.randomised_response(np.full(size, world), 5, epsilon / loud, np.random.default_rng())
    )


def unary(epsilon, loud):
    """One person's answer among five, each place by a coin of its own."""
    return lambda world, rng: places.unary_response(np.array([world]), 5, epsilon / loud, rng)


def record(epsilon, loud):
    """One person's whole record, blurred; rounded, for the noise is idealised."""
    far = math.sqrt(4 * 3 + 4)  # labels count ±1

    def draw(world, size):
        rows = np.full((size, 3), 2.0 * world - 1), np.full(size, world)
        return np.round(places.perturb(*rows, far, epsilon / loud, DELTA, np.random.default_rng()), 6)

    return in_batches(draw)


def trained(hidden):
    """Weights of the live trainer at full batches, many models at once; rounded, for the noise is idealised."""

    def make(epsilon, loud):
        steps, width, seeds = 10, 60, iter(range(10**6))
        sigma = accounting.noise_multiplier(epsilon=epsilon, sampling_rate=1, steps=steps, delta=DELTA) * loud
        plan = dpsgd.Plan(np.full(width, sigma, np.float32), np.ones(width, np.float32), 1.0, steps, hidden, 0.1)

        def draw(world, size):
            X, y = added(world)
            weights = dpsgd.train(dpsgd.TrainingData.make(X, y, "logistic", units=N), plan, (next(seeds),))
            return np.round(weights.first.reshape(len(weights.first), width, -1).transpose(1, 0, 2), 6)

        return in_batches(draw)

    return make


def of_learner(name):
    """What a private learner's picture shows of it."""
    kept = {"clusters": "centres", "components": "direction", "tree": "label", "bayes": "means", "line": "line"}

    def make(epsilon, loud):
        def release(world, rng):
            X, y = replaced(world)
            sample = SimpleNamespace(X=X, y=y, unseen=X[:4], truth=y[:4], classes=2, norm=2 * math.sqrt(2))
            with models.strictly():
                found = learners._FITS[name](sample, epsilon / loud, 2, int(rng.integers(2**31)))
            return found["map"][::10, ::10] if name == "forest" else found[kept[name]]

        return release

    return make


def of_catalogue(name):
    """Predictions of a fitted model of the catalogue."""

    def make(epsilon, loud):
        schema = SimpleNamespace(columns=(Column("a", 0, 1), Column("b", 0, 1)))

        def release(world, rng):
            X, y = replaced(world)
            regression = models.CATALOGUE[name].tasks == {"regression"}
            target = 2.0 * y - 1 if regression else y
            if regression:
                X, target = X[: N - 1 + world], target[: N - 1 + world]
            data = SimpleNamespace(
                X_train=X.astype(np.float32), y_train=target, classes=(0, 1), schema=schema, task="binary",
                evaluation=(np.array([[-0.5, -0.5], [0.9, 0.9], [0.9, -0.9]], np.float32), None),
            )  # fmt: skip
            return np.round(models.CATALOGUE[name].fit(data, epsilon / loud, DELTA, (int(rng.integers(2**31)),)), 6)

        return release

    return make


def quantile(epsilon, loud):
    """A private quantile of 41 numbers, of which one may be added at the top."""
    return lambda world, rng: statistics.quantiles(f"audit-{world}", "x", 1, (10, 20, 30), 0.5, epsilon / loud, 1)


@pytest.fixture(autouse=True)
def numbers(monkeypatch):
    """Two small data sets for the statistics panel's quantiles."""
    known = {f"audit-{world}": SimpleNamespace(values=[5] * 20 + [35] * (20 + world)) for world in (OUT, IN)}
    monkeypatch.setattr(statistics, "rows", lambda name, column, kept: known[name])


FEW = {"diffprivlib-forest": 60}  # a tenth of a second each
# How to make a release of it, (epsilon, loudness of the noise); runs in each world; δ; shape of its noise;
# and whether it spends its whole ε, so that half of its noise must be seen: the bound is then on average six of its
# own standard deviations above ε or more, for OpenDP's noise is fresh at every run of the tests.
SHIPPED = {
    "Laplace": (noisy("laplace", float), 8000, 0.0, "any", True),
    "Laplace, whole numbers": (noisy("laplace", np.int64), 8000, 0.0, "any", True),
    "Gaussian": (noisy("gaussian", float), 12_000, DELTA, "gaussian", True),
    "Gaussian, whole numbers": (noisy("gaussian", np.int64), 12_000, DELTA, "gaussian", True),
    "discrete Gaussian vector": (vector, 8000, DELTA, "gaussian", True),
    "statistics, Laplace": (statistic("laplace"), 8000, 0.0, "any", True),
    "statistics, Gaussian": (statistic("gaussian"), 16_000, DELTA, "gaussian", True),
    "statistics, quantile": (quantile, 3000, 0.0, "any", False),
    "two worlds, Laplace": (two_worlds(noises.LAPLACE), 8000, 0.0, "any", True),
    "two worlds, discrete Laplace": (two_worlds(noises.DISCRETE_LAPLACE), 8000, 0.0, "any", True),
    "two worlds, Gaussian": (two_worlds(noises.GAUSSIAN), 12_000, DELTA, "gaussian", True),
    "two worlds, discrete Gaussian": (two_worlds(noises.DISCRETE_GAUSSIAN), 16_000, DELTA, "gaussian", True),
    "two worlds, response": (two_worlds(noises.RESPONSE), 8000, 0.0, "any", True),
    "an answer by coins": (coins, 8000, 0.0, "any", True),
    "an answer by unary coins": (unary, 6000, 0.0, "any", True),
    "a blurred record": (record, 16_000, DELTA, "gaussian", True),
    "DP-SGD, linear": (trained(0), 4000, DELTA, "gaussian", True),
    "DP-SGD, network": (trained(3), 2000, DELTA, "gaussian", False),
    **{f"learner, {name}": (of_learner(name), 150, 0.0, "any", False) for name in learners._FITS},
    **{name: (of_catalogue(name), FEW.get(name, 150), DELTA if name == "sufficient-statistics" else 0.0, "any", False)
       for name, model in models.CATALOGUE.items() if model.fit},
}  # fmt: skip
EPSILON = 1.0


def put_to_the_test(name, loud, seed=0):
    make, trials, delta, family, _ = SHIPPED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return privlab.verify(
            make(EPSILON, loud), OUT, IN, epsilon=EPSILON, delta=delta, family=family, confidence=1 - 1e-6,
            trials=trials, seed=seed,
        )  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_what_the_lab_ships_keeps_its_promise(name):
    report = put_to_the_test(name, 1.0)
    assert report.ok, report.words
    assert report.ceiling > EPSILON, "so many runs could have shown a breach"


@pytest.mark.parametrize("name", [name for name, case in SHIPPED.items() if case[-1]])
def test_with_half_the_noise_it_would_be_caught(name):
    report = put_to_the_test(name, 0.5)
    assert not report.ok, report.words


@pytest.mark.parametrize(("spent", "ok"), [(1.0, True), (6.0, False)])
def test_the_estimator_with_exact_noise_keeps_its_promise_and_no_far_smaller_one(spent, ok):
    from privlab.estimators import DPLogisticRegression

    model = DPLogisticRegression(
        epsilon=spent, delta=DELTA, noise="exact", n=N, classes=(0, 1), sampling_rate=1.0, steps=3, learning_rate=0.1
    )
    report = privlab.verify(
        model, added(OUT), added(IN), epsilon=1.0, delta=DELTA, family="gaussian", confidence=1 - 1e-6, trials=500
    )
    assert report.ok == ok, report.words
