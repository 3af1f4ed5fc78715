"""The batched trainer against slow references, and its privacy by its parts.

Deterministic checks come first (a gradient, a clip, a divisor), then what the noise and the batches
are distributed like. Statistical checks have fixed seeds; each also rejects the wrong distribution.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from privlab import cores, datasets, dpsgd, gradients
from privlab.dpsgd import Plan, TrainingData, poisson_batches, sweep, train

SURE = 1e-6  # a right distribution is refused with twice this probability
KINDS = ("logistic", "softmax", "squared")
CASES = [(loss, hidden) for hidden in (0, 7) for loss in KINDS]
CLIPS = np.array([0.05, 0.5, 2.0, np.inf], np.float32)


def some_data(loss, people=False, rows=40, d=6, seed=0, **kwargs):
    """Random rows; with people, ten of them with one to nine rows each."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (rows, d))
    codes = rng.integers(0, 3 if loss == "softmax" else 2, rows)
    y = rng.normal(0, 1, rows) if loss == "squared" else codes
    who = np.minimum(rng.geometric(0.2, rows), 10) if people else None
    outputs = 3 if loss == "softmax" else 1
    return TrainingData.make(X, y, loss, outputs=outputs, people=who, **kwargs)


def a_plan(noise=0.0, clip=1.0, models=1, **kwargs):
    sigma = np.broadcast_to(np.asarray(noise, np.float32), (models,))
    clips = np.broadcast_to(np.asarray(clip, np.float32), (models,))
    return Plan(sigma, clips, **{"sampling_rate": 1.0, "steps": 1, "momentum": 0.0} | kwargs)


def engine(data, plan, seed=5):
    rng = np.random.default_rng(seed)
    model = (gradients.Hidden if plan.hidden else gradients.Linear)(data, plan)
    theta = rng.normal(0, 0.7, len(model.start(rng))).astype(np.float32)
    return model, theta


def unpack(data, plan, theta):
    """One list of float64 parameter arrays for each model: [W (d + 1, outputs)] or [first, second]."""
    theta, inputs, models = theta.astype(float), data.X.shape[1], plan.width
    if not plan.hidden:
        flat = theta.reshape(inputs, models, data.outputs)
        return [[flat[:, k]] for k in range(models)]
    cut = models * inputs * plan.hidden
    first = theta[:cut].reshape(models, inputs, plan.hidden)
    second = theta[cut:].reshape(models, plan.hidden + 1, data.outputs)
    return [[first[k], second[k]] for k in range(models)]


def one_loss(parts, x, y, loss):
    """The loss of one row, written from its definition."""
    z = x @ parts[0]
    if len(parts) == 2:
        z = np.append(np.maximum(z, 0), 1) @ parts[1]
    if loss == "squared":
        return (z[0] - y) ** 2 / 2
    if loss == "logistic":
        return np.logaddexp(0, z[0]) - y * z[0]
    return np.log(np.exp(z).sum()) - z[int(y)]


def one_gradient(parts, x, y, loss):
    """The gradient of one row's loss by central differences in float64, flat."""
    gradients = []
    for part in parts:
        gradient = np.zeros_like(part)
        for at in np.ndindex(part.shape):
            kept, values = part[at], []
            for moved in (kept + 1e-6, kept - 1e-6):
                part[at] = moved
                values.append(one_loss(parts, x, y, loss))
            part[at] = kept
            gradient[at] = (values[0] - values[1]) / 2e-6
        gradients.append(gradient.ravel())
    return np.concatenate(gradients)


def units(data):
    """The row indices of each unit, padding left out."""
    real = len(data.X) - 1
    if data.rows is None:
        return [np.array([i]) for i in range(real)]
    return [rows[rows < real] for rows in data.rows]


def slow_sums(data, plan, theta, chosen):
    """Clipped gradient sums: per unit the rows' gradients summed, the joint norm taken, then clipped."""
    rows, sums = units(data), []
    for parts, clip in zip(unpack(data, plan, theta), plan.clip_norm, strict=True):
        total = 0.0
        for unit in chosen:
            gradient = sum(
                one_gradient(parts, data.X[i].astype(float), float(data.y[i]), data.loss) for i in rows[unit]
            )
            total = total + gradient * min(1, clip / np.linalg.norm(gradient))
        sums.append(total)
    return np.array(sums)


def fast_sums(data, plan, model, theta, chosen):
    rows = chosen if data.rows is None else data.rows[chosen].ravel()
    m = 1 if data.rows is None else data.rows.shape[1]
    (flat,) = model.gradient(theta[None], data.X[rows][None], data.y[rows][None], data.norm2[rows][None], m)
    parts = unpack(data, plan, flat)
    return np.array([np.concatenate([part.ravel() for part in one]) for one in parts])


# Gradients and clipping


@pytest.mark.parametrize("people", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize(("loss", "hidden"), CASES)
def test_clipped_sums_are_those_of_a_slow_reference(loss, hidden, people):
    data = some_data(loss, people)
    plan = a_plan(clip=CLIPS, models=4, hidden=hidden)
    model, theta = engine(data, plan)
    chosen = np.arange(data.n)[::2] if people else np.array([0, 3, 4, 17, 39])
    slow = slow_sums(data, plan, theta, chosen)
    fast = fast_sums(data, plan, model, theta, chosen)
    scale = np.abs(slow).max(axis=1, keepdims=True)
    np.testing.assert_allclose(fast / scale, slow / scale, atol=3e-6)
    assert np.linalg.norm(slow[0]) > 0.01
    clipped = np.linalg.norm(slow[3]) > 1.5 * np.linalg.norm(slow[1])
    assert clipped, "the smaller clipping norms must matter in this comparison"


@pytest.mark.parametrize("people", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize(("loss", "hidden"), CASES)
def test_one_huge_unit_moves_the_clipped_sum_by_no_more_than_the_clipping_norm(loss, hidden, people):
    # Sums are float32: the tolerance covers the rounding of a sum some ten times as long as C.
    rng = np.random.default_rng(1)
    X, y = rng.normal(0, 1, (30, 6)), rng.integers(0, 2, 30)
    last = 3 if people else 1
    X[-last:] *= 1e4
    norms = []
    for label in (0, 1):
        y[-last:] = label
        outputs = 3 if loss == "softmax" else 1
        who = np.arange(30) // 3 if people else None
        data = TrainingData.make(X, y, loss, outputs=outputs, people=who)
        plan = a_plan(clip=CLIPS[:3], models=3, hidden=hidden)
        model, theta = engine(data, plan)
        every = np.arange(data.n)
        rest = fast_sums(data, plan, model, theta, every[:-1]).astype(float)
        moved = fast_sums(data, plan, model, theta, every) - rest
        norms.append(np.linalg.norm(moved, axis=1) / CLIPS[:3])
    assert np.max(norms) <= 1 + 1e-5
    assert np.max(norms, axis=0).min() > 0.9, "a huge unit is clipped, not dropped"


@pytest.mark.parametrize("hidden", [0, 7])
def test_rows_that_nearly_cancel_hide_no_part_of_a_person_from_the_clip(hidden):
    # The sum of this person's gradients is small beside each of them, and yet far above C.
    clip, worst = 0.01, 0.0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        row = rng.uniform(-1, 1, 40)
        X = np.stack([row, row + rng.normal(0, 5e-3, 40)])
        data = TrainingData.make(X, np.array([0, 1]), "logistic", people=np.zeros(2, int))
        plan = a_plan(clip=clip, hidden=hidden)
        model, theta = engine(data, plan)
        theta[:] = 0 if hidden == 0 else theta * 0.1
        moved = fast_sums(data, plan, model, theta, np.arange(1))
        worst = max(worst, float(np.linalg.norm(moved.astype(float))))
    assert clip * 0.9 <= worst <= clip * (1 + 1e-5)


def test_zero_gradients_stay_zero():
    data = TrainingData.make(np.zeros((4, 2)), np.full(4, 0.5), "logistic")
    plan = a_plan(clip=CLIPS, models=4)
    weights = train(data, plan, (0,))
    assert (weights.first == 0).all()


# A whole training


@pytest.mark.parametrize("people", [False, True], ids=["rows", "people"])
def test_training_is_momentum_over_the_public_divisor_averaged_over_the_second_half(people):
    data = some_data("logistic", people, units=1234)
    plan = a_plan(clip=(0.1, 0.7), models=2, steps=7, sampling_rate=0.4, momentum=0.8, learning_rate=3.0)
    draw = np.random.Generator(np.random.SFC64([9, 4, 0]))
    batches = poisson_batches(draw, data.n, 0.4, 7)
    theta = np.zeros((7, 2))
    velocity, iterates = 0.0, []
    for batch in batches:
        flat = theta.ravel().astype(np.float32)
        velocity = 0.8 * velocity + slow_sums(data, plan, flat, batch).T
        theta = theta - 3.0 * velocity / (np.array([0.1, 0.7]) * 0.4 * 1234)
        iterates.append(theta)
    expected = np.mean(iterates[3:], axis=0)
    np.testing.assert_allclose(train(data, plan, (9, 4)).first, expected, rtol=2e-4, atol=1e-7)


def test_divisor_is_the_declared_expected_batch_and_not_the_sampled_one():
    # Every row pulls the bias by 1/2, so the weight counts the batch.
    rows, rate = 400, 0.1
    found = {}
    for declared in (400, 1000):
        data = TrainingData.make(np.zeros((rows, 1)), np.ones(rows), "logistic", units=declared)
        plan = a_plan(clip=10.0, sampling_rate=rate, learning_rate=1.0)
        weights = [train(data, plan, (seed,)).first[-1, 0] for seed in range(300)]
        found[declared] = np.array(weights) * 10.0 * rate * declared / 0.5
    np.testing.assert_allclose(found[400], found[1000], rtol=1e-5)
    sizes = np.round(found[400])
    np.testing.assert_allclose(found[400], sizes, atol=1e-2)
    assert dispersion_fits(sizes, rows * rate, rows * rate * (1 - rate))
    assert not dispersion_fits(np.full(300, rows * rate), rows * rate, rows * rate * (1 - rate))


def test_without_noise_and_clipping_it_is_ordinary_training():
    rng = np.random.default_rng(2)
    X = rng.normal(0, 1, (800, 5))
    y = (X @ [2.0, -1.0, 0.5, 0.0, 1.0] + 0.3 > 0).astype(int)
    data = TrainingData.make(X, y, "logistic")
    plan = a_plan(0.0, np.inf, sampling_rate=0.1, steps=200, momentum=0.9)
    linear = train(data, plan, (0,)).decision(X.astype(np.float32))[0, 0]
    assert np.mean((linear > 0) == y) > 0.98
    hidden = train(data, replace(plan, hidden=8, learning_rate=0.5), (0,))
    assert np.mean((hidden.decision(X.astype(np.float32))[0, 0] > 0) == y) > 0.97


def test_decision_is_the_model_written_out():
    rng = np.random.default_rng(3)
    data = some_data("softmax")
    X = rng.normal(0, 1, (9, 6)).astype(np.float32)
    ones = np.append(X, np.ones((9, 1), np.float32), axis=1)
    for hidden in (0, 7):
        plan = a_plan(1.0, 1.0, 2, hidden=hidden)
        weights = train(data, plan, (1,))
        decision = weights.decision(X)
        assert decision.shape == (2, 3, 9)
        for k in range(2):
            if hidden:
                h = np.maximum(ones @ weights.first[:, 7 * k : 7 * k + 7], 0)
                z = np.append(h, np.ones((9, 1)), axis=1) @ weights.second[k]
            else:
                z = ones @ weights.first[:, 3 * k : 3 * k + 3]
            np.testing.assert_allclose(decision[k], z.T, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("where", ["X", "y"])
def test_values_that_are_not_finite_are_refused_before_training(bad, where):
    X, y = np.zeros((3, 2)), np.zeros(3)
    (X if where == "X" else y).flat[1] = bad
    with pytest.raises(ValueError, match=r"'X' and 'y' must be finite"):
        TrainingData.make(X, y, "squared")


def test_noise_without_a_clipping_norm_is_refused():
    with pytest.raises(ValueError, match="'clip_norm' must be finite where there is noise"):
        a_plan((0.0, 1.0), np.inf, models=2)


def test_the_pace_slows_down_where_noise_is_loud_and_nowhere_else():
    rate = dpsgd.steady_rate(np.array([0.0, 0.1, 1.0, 4.0]), 100, 50.0, fastest=2.0, pace=0.12)
    np.testing.assert_allclose(rate, [2.0, 2.0, 0.6, 0.15])


# Noise


def pulls(data, plan, seed, block=0):
    """What a training of one step without momentum added up: minus the move, in units of gradients."""
    still = replace(plan, noise_multiplier=np.zeros_like(plan.noise_multiplier))
    pair = [train(data, one, seed, block) for one in (plan, still)]
    pace = plan.learning_rate / (plan.clip_norm * plan.sampling_rate * data.units)
    first = (pair[1].first - pair[0].first).astype(float)
    first = first.reshape(len(first), plan.width, -1) / pace[:, None]
    parts = [first.transpose(1, 0, 2).reshape(plan.width, -1)]
    if plan.hidden:
        second = (pair[1].second - pair[0].second).astype(float) / pace[:, None, None]
        parts.append(second.reshape(plan.width, -1))
    return np.concatenate(parts, axis=1)


def variance_fits(draws, sigma):
    """Whether draws are as spread as N(0, σ²), by a two-sided χ² test."""
    total = float(np.sum((draws / sigma) ** 2))
    return SURE < stats.chi2.cdf(total, draws.size) < 1 - SURE


def dispersion_fits(counts, mean, variance):
    """Whether counts scatter as independent ones with this mean and variance, by a χ² test."""
    total = float(np.sum((counts - mean) ** 2) / variance)
    return SURE < stats.chi2.cdf(total, len(counts)) < 1 - SURE


def nothing_to_learn(loss="logistic", people=False, d=300):
    """Rows so rarely sampled that every batch is empty: what moves a model is noise alone."""
    rng = np.random.default_rng(0)
    who = np.array([0, 0, 1, 2]) if people else None
    outputs = 3 if loss == "softmax" else 1
    X, y = rng.normal(0, 1, (4, d)), np.array([0, 1, 1, 0])
    return TrainingData.make(X, y, loss, outputs=outputs, people=who)


@pytest.mark.parametrize("people", [False, True], ids=["rows", "people"])
@pytest.mark.parametrize(("loss", "hidden"), [("logistic", 0), ("softmax", 0), ("softmax", 12)])
def test_an_empty_batch_gets_noise_of_sigma_times_clip_and_no_other(loss, hidden, people):
    sigma = np.array([0.5, 3.0, 1.0], np.float32)
    clip = np.array([2.0, 0.1, 1.0], np.float32)
    data = nothing_to_learn(loss, people, d=1000 if hidden else 4000)
    plan = a_plan(sigma, clip, 3, sampling_rate=1e-9, hidden=hidden)
    seeds = range(4 if loss == "logistic" else 2)
    draws = np.concatenate([pulls(data, plan, (3, seed)) for seed in seeds], axis=1)
    assert draws.shape[1] > 10_000
    for k in range(3):
        true = float(sigma[k] * clip[k])
        assert variance_fits(draws[k], true)
        assert not variance_fits(draws[k], 1.05 * true)
        assert not variance_fits(draws[k], 0.95 * true)
        assert stats.kstest(draws[k] / true, "norm").pvalue > SURE


def test_every_part_of_a_network_gets_the_same_noise():
    data = nothing_to_learn("softmax", d=100)
    plan = a_plan(2.0, 0.5, 2, sampling_rate=1e-9, hidden=100)
    draws = np.concatenate([pulls(data, plan, (1, seed)) for seed in range(40)], axis=0)
    first, second = draws[:, : 101 * 100], draws[:, 101 * 100 :]
    assert second.shape == (80, 101 * 3)
    for part in (first[:2], second, second[:, -3:].repeat(1)):
        assert variance_fits(part.ravel(), 1.0)
    assert not variance_fits(second.ravel(), 1.05)


def test_noise_comes_on_top_of_the_gradient():
    data = some_data("logistic")
    plan = a_plan(1.0, 0.3, 400, sampling_rate=1.0)
    draws = pulls(data, plan, (2,))
    assert variance_fits(draws.ravel(), 0.3)


def test_each_step_adds_noise_once():
    # With empty batches and no momentum the average of the last two of four iterates is
    # −pace·(n₁ + n₂ + n₃ + n₄/2): noise that came twice, never or again would not fit its variance.
    data = nothing_to_learn(d=20_000)
    plan = a_plan(1.5, 0.4, sampling_rate=1e-9, steps=4)
    first = train(data, plan, (8,)).first.astype(float)
    draws = first / (plan.learning_rate / (0.4 * 1e-9 * data.units))
    true = 1.5 * 0.4 * np.sqrt(3 + 0.25)
    assert variance_fits(draws, true)
    assert not variance_fits(draws, 1.05 * true)
    assert not variance_fits(draws, 0.95 * true)


def test_models_steps_blocks_and_seeds_draw_their_own_noise():
    data = nothing_to_learn(d=5000)
    plan = a_plan(1.0, 1.0, 3, sampling_rate=1e-9)
    rows = [
        pulls(data, plan, seed, block)
        for seed, block in (((0, 0), 0), ((0, 0), 1), ((0, 1), 0), ((1, 0), 0), ((0, 2), 0))
    ]
    drawn = np.concatenate(rows)
    related = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(related).max() < 5 / np.sqrt(drawn.shape[1])
    assert np.abs(np.corrcoef(drawn.T[:40]) - np.eye(40)).max() < 0.99
    # Two steps: the second iterate is −pace·(n₁ + n₂), the first −pace·n₁.
    one = pulls(data, plan, (0, 0))
    second = train(data, replace(plan, steps=2), (0, 0)).first.T.astype(float)
    second = -second / (plan.learning_rate / (1e-9 * data.units)) - one
    for k in range(3):
        assert abs(np.corrcoef(one[k], second[k])[0, 1]) < 5 / np.sqrt(one.shape[1])
        assert variance_fits(second[k], 1.0)


# Batches


@pytest.mark.parametrize(("n", "rate", "steps"), [(2000, 0.05, 100), (300, 0.5, 400), (50, 0.9, 90)])
def test_batches_are_poisson_samples(n, rate, steps):
    batches = poisson_batches(np.random.default_rng(1), n, rate, steps)
    assert len(batches) == steps
    for batch in batches:
        assert (np.diff(batch) > 0).all(), "a unit joins a batch once"
        assert len(batch) == 0 or 0 <= batch[0] <= batch[-1] < n
    sizes = np.array([len(batch) for batch in batches])
    joined = np.bincount(np.concatenate(batches), minlength=n)
    assert dispersion_fits(joined, steps * rate, steps * rate * (1 - rate))
    assert dispersion_fits(sizes, n * rate, n * rate * (1 - rate))


def test_shuffled_and_fixed_size_batches_are_not_poisson():
    rng = np.random.default_rng(2)
    n, size, steps = 1000, 100, 100
    shuffled = np.concatenate([rng.permutation(n) for _ in range(steps * size // n)])
    joined = np.bincount(shuffled, minlength=n)
    assert not dispersion_fits(joined, 10, 10 * 0.9)
    assert not dispersion_fits(np.full(steps, size), 100, 100 * 0.9)


def test_training_joins_each_unit_by_its_own_coin():
    # Unit i alone has feature i and always pulls by C, so its weight tells how often it joined:
    # the average of the second half's iterates counts step t (from 0) with the share of iterates after it.
    n, rate, steps = 1500, 0.2, 20
    data = TrainingData.make(1e6 * np.eye(n), np.full(n, -1e12), "squared")
    plan = a_plan(clip=1.0, sampling_rate=rate, steps=steps, learning_rate=1.0)
    weights = -train(data, plan, (6,)).first[:-1, 0].astype(float) * rate * n
    share = np.minimum(1, (steps - np.arange(steps)) / (steps - steps // 2))
    variance = rate * (1 - rate) * np.sum(share**2)
    assert dispersion_fits(weights, rate * share.sum(), variance)
    assert not dispersion_fits(weights, rate * share.sum(), 1.4 * variance)


def test_rate_one_takes_everyone_and_a_tiny_rate_no_one():
    rng = np.random.default_rng(0)
    assert [len(b) for b in poisson_batches(rng, 7, 1.0, 3)] == [7, 7, 7]
    assert [len(b) for b in poisson_batches(rng, 7, 1e-9, 3)] == [0, 0, 0]


def test_people_of_the_health_experiment_are_sampled_whole():
    rand = datasets.load("rand")
    people = dpsgd.prepare(rand, "person")
    assert (people.n, people.units) == (4434, 4434)
    held = np.concatenate(units(people))
    np.testing.assert_array_equal(np.sort(held), np.arange(rand.n_train_rows))
    for rows in units(people)[::200]:
        assert len(set(rand.people_train[rows])) == 1
        assert len(rows) == np.sum(rand.people_train == rand.people_train[rows[0]])
    rows = dpsgd.prepare(rand, "row")
    assert rows.rows is None
    assert (rows.n, rows.units) == (15_079, 15_079)


def test_a_person_of_the_health_experiment_pulls_once_by_the_clipping_norm():
    data = dpsgd.prepare(datasets.load("rand"), "person")
    busiest = int(np.argmax([len(rows) for rows in units(data)]))
    plan = a_plan(clip=0.5)
    model, theta = engine(data, plan)
    theta *= 0.1
    chosen = np.array([busiest, 5])
    fast = fast_sums(data, plan, model, theta, chosen)
    np.testing.assert_allclose(fast, slow_sums(data, plan, theta, chosen), atol=2e-6)
    alone = fast_sums(data, plan, model, theta, chosen[:1])
    assert np.linalg.norm(alone) == pytest.approx(0.5, rel=1e-5)


# Sweeps


def parameters(weights):
    first = weights.first.reshape(len(weights.first), -1, weights.outputs)
    return first.transpose(1, 0, 2).reshape(first.shape[1], -1).copy()


def collect(data, plan, seeds, score=parameters):
    return dict(item for item in sweep(data, plan, seeds, score) if item is not None)


def test_the_same_seed_gives_the_same_models_and_another_seed_others():
    data = some_data("logistic")
    plan = a_plan(1.0, 1.0, 70, sampling_rate=0.3, steps=5)
    one, again = (collect(data, plan, [(0, 0), (0, 1)]) for _ in range(2))
    for seed in one:
        np.testing.assert_array_equal(one[seed], again[seed])
    assert not np.isclose(one[0, 0], one[0, 1]).any()
    system = [train(data, plan, None).first for _ in range(2)]
    assert not np.isclose(*system).any()


@pytest.mark.parametrize("hidden", [0, 6])
def test_blocks_cover_the_plan_and_a_sweep_puts_them_together(hidden):
    width = dpsgd.HIDDEN_BLOCK * 2 + 3 if hidden else dpsgd.LINEAR_BLOCK * 2 + 3
    grids = {
        "noise_multiplier": np.linspace(1, 2, width, dtype=np.float32),
        "clip_norm": np.linspace(3, 4, width, dtype=np.float32),
        "learning_rate": np.linspace(0.1, 5, width),
    }
    plan = Plan(**grids, sampling_rate=0.3, steps=4, hidden=hidden)
    blocks = plan.blocks()
    assert len(blocks) == 3
    for name, grid in grids.items():
        np.testing.assert_array_equal(np.concatenate([getattr(b, name) for b in blocks]), grid)
    for b in blocks:
        assert (b.sampling_rate, b.steps, b.hidden, b.momentum) == (0.3, 4, hidden, 0.9)
    data = some_data("logistic")

    def score(weights):
        return weights.decision(np.eye(6, dtype=np.float32))

    together = collect(data, plan, [(7, 3)], score)[7, 3]
    apart = [score(train(data, part, (7, 3), block)) for block, part in enumerate(blocks)]
    np.testing.assert_allclose(together, np.concatenate(apart), rtol=1e-5)


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize(("loss", "people"), [("logistic", False), ("logistic", True), ("softmax", False)])
def test_seeds_trained_together_are_those_trained_alone(loss, people, hidden):
    data = some_data(loss, people)
    plan = a_plan(1.0, np.array([0.5, 1.0, 2.0]), 3, sampling_rate=0.3, steps=7, hidden=hidden, momentum=0.9)
    seeds = [(4, 0), (4, 1), (9, 2)]
    points = np.eye(data.X.shape[1] - 1, dtype=np.float32)
    together = dpsgd.train_together(data, plan, seeds).decision(points)
    alone = np.concatenate([train(data, plan, seed).decision(points) for seed in seeds])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_what_is_kept_of_a_seed_is_what_it_draws(monkeypatch):
    data, plan = some_data("logistic"), a_plan(1.0, 1.0, 3, sampling_rate=0.3, steps=7)
    kept = [train(data, plan, (3,)).first for _ in range(2)]
    monkeypatch.setattr(dpsgd, "KEPT", 0)
    np.testing.assert_array_equal(kept, [train(data, plan, (3,)).first] * 2)
    system = [train(data, plan, None).first for _ in range(2)]
    assert not np.isclose(*system).any()


def test_blocks_of_a_seed_share_their_batches():
    data = some_data("logistic")
    width = dpsgd.LINEAR_BLOCK + 1
    found = collect(data, a_plan(0.0, 1.0, width, sampling_rate=0.3, steps=4), [(0, 0)])[0, 0]
    np.testing.assert_allclose(found[-1], found[0], rtol=1e-4)


@pytest.mark.parametrize("hidden", [0, 6])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, hidden):
    data = some_data("softmax", rows=400)
    plan = a_plan(1.0, 1.0, 70, sampling_rate=0.3, steps=8, hidden=hidden, momentum=0.9)
    found = []
    for count in (1, 3):
        some = cores.Cores(count)
        monkeypatch.setattr(cores, "shared", lambda some=some: some)
        found.append(collect(data, plan, [(0, seed) for seed in range(4)]))
        some.threads.shutdown()
    for seed, parts in found[0].items():
        np.testing.assert_allclose(parts, found[1][seed], rtol=1e-4, atol=1e-7)


def a_heavy_case():
    rng = np.random.default_rng(0)
    data = TrainingData.make(rng.normal(0, 1, (20_000, 80)), rng.integers(0, 2, 20_000), "logistic")
    return data, a_plan(1.0, 1.0, 16, sampling_rate=0.05, steps=400, hidden=32)


def test_a_sweep_answers_within_thirty_milliseconds_and_stops_when_closed(monkeypatch):
    running, started, really = [], [], dpsgd.train_together

    def counted(*args):
        started.append(1)
        running.append(threading.get_ident())
        try:
            return really(*args)
        finally:
            running.remove(threading.get_ident())

    monkeypatch.setattr(dpsgd, "train_together", counted)
    data, plan = a_heavy_case()
    gaps = []
    with closing(sweep(data, plan, [(0, seed) for seed in range(50)], parameters)) as steps:
        next(steps)
        for _ in range(40):
            before = time.perf_counter()
            next(steps)
            gaps.append(time.perf_counter() - before)
        assert np.median(gaps) < 0.03
        assert max(gaps) < 0.3
        assert running
        before = time.perf_counter()
    assert time.perf_counter() - before < 0.5
    assert not running
    count = len(started)
    time.sleep(0.05)
    assert len(started) == count < 30


def blas_threads():
    held = {library.filepath for library in cores.shared().blas.lib_controllers}
    return sorted((one["filepath"], one["num_threads"]) for one in threadpool_info() if one["filepath"] in held)


@pytest.mark.parametrize("how", ["exhausted", "closed", "failed"])
def test_a_sweep_leaves_the_matrix_library_as_it_was(how):
    def fail(weights):
        raise RuntimeError("score")

    np.eye(2) @ np.eye(2)
    data, plan = some_data("logistic"), a_plan(1.0, 1.0, 3, steps=3)
    with threadpool_limits(2):
        before = blas_threads()
        assert any(count == 2 for _, count in before)
        other = sweep(data, plan, [(0, 0)], parameters)
        steps = sweep(data, plan, [(0, seed) for seed in range(3)], fail if how == "failed" else parameters)
        if how == "failed":
            with pytest.raises(RuntimeError, match="score"):
                list(steps)
        else:
            next(steps)
            assert {count for _, count in blas_threads()} == {1}
            next(other)
            if how == "closed":
                steps.close()
            else:
                list(steps)
            assert {count for _, count in blas_threads()} == {1}, "the other sweep still runs"
            other.close()
        assert blas_threads() == before


def test_a_stopped_training_gives_nothing():
    calls = []

    def stopped():
        calls.append(1)
        return len(calls) > 3

    assert train(some_data("logistic"), a_plan(steps=10), (0,), 0, stopped) is None
    assert len(calls) == 4


def test_sweeps_side_by_side_do_not_disturb_each_other():
    data = some_data("logistic")
    plan = a_plan(1.0, 1.0, 5, sampling_rate=0.3, steps=20)
    seeds = [(0, seed) for seed in range(6)]
    alone = collect(data, plan, seeds)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(collect, data, plan, seeds) for _ in range(2)]
        for future in both:
            for seed, parts in future.result().items():
                np.testing.assert_array_equal(parts, alone[seed])
