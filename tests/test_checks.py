"""The checks: what is broken fails for sure, what is sound passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from privlab import checks, dpsgd, gradients, mechanisms


def clipped(gradients):
    return gradients * np.minimum(1, 2 / np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True), 1e-30))


def step(gradients, rng):
    """C = 2, σ = 1.5, divided by 10."""
    return (clipped(gradients).sum(axis=0) + 3 * rng.standard_normal(gradients.shape[1])) / 10


BATCH = np.random.default_rng(0).standard_normal((7, 5)) * np.geomspace(0.1, 50, 7)[:, None]


def test_one_person_moves_a_clipped_sum_by_c():
    assert checks.pull(step, BATCH, np.array([0, 0, 0, 0, 1.5]), 10) == pytest.approx(1.5)
    assert checks.pull(step, BATCH, np.array([0, 0, 0, 0, 1e9]), 10) == pytest.approx(2)
    found = checks.sensitivity(step, [BATCH[:0], BATCH[:1], BATCH], clip_norm=2, divisor=10)
    assert (found.check, found.passed) == ("sensitivity", True)
    assert found.statistic == pytest.approx(1, abs=1e-7)
    assert found.words == "One person can move the sum by C at most, as promised."


@pytest.mark.parametrize(("promised", "passes"), [(2.0, True), (1.99, False), (2.1, True)])
def test_the_least_excess_of_sensitivity_is_seen(promised, passes):
    assert checks.sensitivity(step, [BATCH], clip_norm=promised, divisor=10).passed is passes


def test_a_wrong_divisor_is_a_wrong_sensitivity():
    assert not checks.sensitivity(step, [BATCH], clip_norm=2, divisor=11).passed


def test_people_who_could_be_added_have_length_1_and_turn_against_the_batch():
    found = list(checks.directions(BATCH))
    assert [np.linalg.norm(one) for one in found] == pytest.approx([1, 1, 1, 1])
    assert found[2] @ BATCH[-1] == pytest.approx(-np.linalg.norm(BATCH[-1]))
    assert len(list(checks.directions(BATCH[:0]))) == 2


def test_a_steps_noise_is_read_off_two_releases():
    draws = checks.step_noise(step, BATCH, np.random.default_rng(1), draws=9999, divisor=10)
    assert len(draws) == 10_000
    assert draws.std() == pytest.approx(3, rel=0.05)
    assert checks.noise(draws, scale=3).passed


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
def test_five_percent_too_little_noise_is_caught_and_the_right_amount_is_not(family):
    drawn = [getattr(np.random.default_rng(seed), {"gaussian": "normal"}.get(family, family)) for seed in range(40)]
    right = [checks.noise(draw(scale=7, size=10_000), scale=7, family=family) for draw in drawn]
    assert all(one.passed for one in right)
    little = [checks.noise(draw(scale=0.95 * 7, size=40_000), scale=7, family=family) for draw in drawn]
    assert not any(one.passed for one in little)
    assert {one.words[:17] for one in little} == {"The noise is only"}
    much = checks.noise(drawn[0](scale=9, size=10_000), scale=7, family=family)
    assert much.passed, "too much noise breaks no promise"
    assert much.statistic == pytest.approx(9 / 7, rel=0.03)


def test_sound_noise_is_flagged_once_in_a_million_by_both_tests_together():
    from scipy import special, stats

    draws = np.random.default_rng(6).standard_normal(1000)
    size = stats.chi2.cdf(1000 * checks.noise(draws, scale=1).limit ** 2, 1000)
    shape = special.kolmogorov(checks.noise(np.abs(draws), scale=1).limit)
    assert size + shape == pytest.approx(1e-6, rel=1e-6)


def test_ten_thousand_draws_find_five_percent_too_little_nearly_always():
    shortfall = 0.95 * np.random.default_rng(3).standard_normal((200, 10_000))
    caught = sum(not checks.noise(draws, scale=1).passed for draws in shortfall)
    assert caught >= 190


def test_noise_of_another_shape_or_used_before_is_caught():
    rng = np.random.default_rng(4)
    uniform = rng.uniform(-math.sqrt(3), math.sqrt(3), 10_000)
    assert checks.noise(uniform, scale=1).words == "The noise has another shape than promised."
    assert not checks.noise(rng.laplace(scale=math.sqrt(0.5), size=10_000), scale=1).passed
    assert not checks.noise(rng.standard_normal(10_000) + 0.1, scale=1).passed, "noise off its centre"
    twice = checks.noise(np.tile(rng.standard_normal(5000), 2), scale=1)
    assert twice.words.startswith("5,000 of 10,000 draws of noise came before")
    assert not twice.passed
    none = checks.noise(np.zeros(100), scale=1)
    assert (none.passed, none.words) == (False, "The noise is practically nothing of what was promised.")


@pytest.mark.parametrize(("people", "rate", "steps"), [(400, 0.02, 60), (100, 0.01, 20), (2000, 0.3, 20), (10, 0.5, 5)])
def test_poisson_batches_pass(people, rate, steps):
    for seed in range(400):
        batches = dpsgd.poisson_batches(np.random.default_rng(seed), people, rate, steps)
        found = checks.sampling(batches, people=people, rate=rate)
        assert found.passed, (seed, found)


def test_batches_that_are_no_poisson_samples_are_caught():
    rng, people, rate, steps = np.random.default_rng(5), 400, 0.05, 60

    def caught(batches):
        return not checks.sampling(batches, people=people, rate=rate).passed

    dealt = [part for _ in range(3) for part in np.array_split(rng.permutation(people), 20)]
    assert caught(dealt)
    assert caught([rng.choice(people, 20, replace=False) for _ in range(steps)]), "a batch size that never varies"
    assert caught(dpsgd.poisson_batches(rng, people, 2 * rate, steps))
    assert caught(dpsgd.poisson_batches(rng, people, rate / 2, steps))
    assert caught([dpsgd.poisson_batches(rng, people, rate, 1)[0]] * steps), "the same people again and again"
    with pytest.raises(ValueError, match=r"'rate' must be in \(0, 1\). Got 1."):
        checks.sampling([np.arange(30)] * 20, people=30, rate=1)


def test_limits_of_dispersion_are_those_of_chi_squared_where_counts_are_large():
    from scipy.stats import chi2

    counts = np.random.default_rng(8).binomial(10_000, 0.5, 500)
    measured, (low, high) = checks.dispersion(counts, 10_000, 0.5)
    assert measured == pytest.approx(1, abs=0.25)
    for limit, exact in ((low, chi2.ppf(2.5e-7, 500)), (high, chi2.isf(2.5e-7, 500))):
        assert abs(500 * limit - 500) == pytest.approx(abs(exact - 500), rel=0.12)
        assert abs(500 * limit - 500) > abs(exact - 500), "never inside"


def test_replay_names_what_changed_and_no_value():
    fixed = {"bounds": np.array([0, 77]), "divisor": 8.5}
    assert checks.replay(fixed, {"bounds": np.array([0, 77]), "divisor": 8.5}).passed
    found = checks.replay(fixed, {"bounds": np.array([0, 99]), "divisor": 8.5, "classes": [1]})
    assert (found.passed, found.statistic) == (False, 2)
    assert found.words == "Bounds, classes changed with one person."


def test_the_account_is_the_published_one():
    ran = {"noise_multiplier": 4.0, "sampling_rate": 0.01, "steps": 10_000, "delta": 1e-5}
    found = checks.account(0.94, **ran)
    assert not found.passed
    assert found.statistic == pytest.approx(0.947, rel=0.005)
    assert checks.account(0.95, **ran).passed


def test_two_worlds_are_told_apart_only_as_far_as_epsilon_allows():
    rng = np.random.default_rng(6)
    without, within = rng.laplace(size=20_000), 1 + rng.laplace(size=20_000)
    sound = checks.two_worlds(without, within, claimed=1)
    assert sound.passed
    assert 0.5 < sound.statistic < 1
    told = checks.two_worlds(without, 1.8 + rng.laplace(size=20_000), claimed=1)
    assert not told.passed
    assert told.statistic < 1.8


@pytest.mark.parametrize(("mechanism", "family"), [("laplace", "laplace"), ("gaussian", "gaussian")])
def test_the_labs_own_noise_passes(mechanism, family):
    draws = mechanisms.noisy(np.zeros(4000), mechanism, 2.5)
    assert checks.noise(draws, scale=2.5, family=family).passed
    assert not checks.noise(draws, scale=2.9, family=family).passed


@pytest.mark.parametrize("hidden", [0, 3])
def test_the_labs_own_trainer_moves_by_c_at_most(hidden):
    plan = dpsgd.Plan(np.ones(1, np.float32), np.full(1, 0.5, np.float32), 0.1, 10, hidden=hidden)

    def trained(rows, rng):
        """A row is a person's features, constant and target; the sum of their clipped gradients."""
        data = dpsgd.TrainingData.make(rows[:, :-2], rows[:, -1], "squared", units=10)
        model = (gradients.Hidden if hidden else gradients.Linear)(data, plan)
        theta = model.start(np.random.default_rng(0))[None]
        given = (data.X[None, :-1], data.y[None, :-1], data.norm2[None, :-1])
        with np.errstate(invalid="ignore"):  # a vector unit reads past the end of so small a matrix, and flags that
            found = model.gradient(theta, *given, 1)[0].astype(float)
        assert np.isfinite(found).all()
        return found

    people = np.random.default_rng(1).standard_normal((9, 6))
    for size in (1, 4, 9):
        for direction in checks.directions(people[:size]):
            for length in (0.1, 1.0, 1e3):
                assert checks.pull(trained, people[:size], length * direction, 1) <= 0.5 * (1 + 1e-5)
    assert checks.pull(trained, people, 1e3 * people[0], 1) == pytest.approx(0.5, rel=1e-4)
