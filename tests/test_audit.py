"""Lower bounds on ε: their values, that they hold as often as they say, and what they can see."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from privlab import accounting, audit, composition

DELTA, STEPS = 1e-5, 100


def two_worlds(mean, runs, seed):
    """Scores of Gaussian noise without and with a person who moves it by `mean` standard deviations."""
    without, with_ = np.random.default_rng(seed).standard_normal((2, runs))
    return without, with_ + mean


@pytest.fixture(scope="module")
def four():
    """What 100 unsampled steps come to together at ε = 4: as many standard deviations apart."""
    return math.sqrt(STEPS) / accounting.noise_multiplier(epsilon=4, sampling_rate=1, steps=STEPS, delta=DELTA)


def test_rates_in_and_epsilon_out():
    assert audit.from_rates(0.1, 0.2, delta=0) == pytest.approx(math.log(8))
    assert audit.from_rates(0.2, 0.1, delta=0) == pytest.approx(math.log(8)), "either direction"
    assert audit.from_rates(0.1, 0.2, delta=0.1) == pytest.approx(math.log(7))
    assert audit.from_rates(0.5, 0.5, delta=0) == 0
    assert audit.from_rates(0.6, 0.7, delta=0) == 0
    from scipy.stats import norm

    rate = norm.sf(1)
    expected = composition.gaussian(2.0, DELTA)
    assert audit.from_rates(rate, rate, delta=DELTA, family="gaussian") == pytest.approx(expected, rel=1e-6)
    assert audit.from_rates(rate, rate, delta=DELTA, family="pld", steps=7) == pytest.approx(expected, rel=1e-6)


def test_the_shape_of_sampled_noise_leads_back_to_its_epsilon():
    rate, steps, sigma = 0.1, 60, 1.0
    rng, scores = np.random.default_rng(1), []
    for present in (0, 1):
        observed = sigma * rng.standard_normal((40_000, steps), np.float32)
        observed += present * (rng.random((40_000, steps), np.float32) < rate)
        scores.append(audit.white_box_scores(observed, sigma, rate))
    errors = [float(np.mean(scores[0] >= 0.3)), float(np.mean(scores[1] < 0.3))]
    found = audit.from_rates(*errors, delta=DELTA, family="pld", sampling_rate=rate, steps=steps)
    spent = accounting.epsilon(noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=DELTA)
    assert 0.94 * spent < found < 1.01 * spent
    assert audit.from_rates(*errors, delta=DELTA, family="gaussian") < 0.9 * spent, "it is not Gaussian"


def test_white_box_scores():
    observed = np.array([[0.0, 1.0], [2.0, -1.0]])
    plain = audit.white_box_scores(observed, 2.0)
    np.testing.assert_allclose(plain, ((2 * observed - 1) / 8).sum(axis=1))
    sampled = audit.white_box_scores(observed, 2.0, 0.25)
    np.testing.assert_allclose(sampled, np.log(0.75 + 0.25 * np.exp((2 * observed - 1) / 8)).sum(axis=1))


def test_one_run():
    assert audit.one_run(1000, 1000, 1000, delta=1e-5) == pytest.approx(5.78, abs=0.005)
    assert audit.one_run(1000, 1000, 1000, delta=0) == pytest.approx(-math.log(0.05 ** (-1 / 1000) - 1), abs=1e-3)
    assert audit.one_run(1000, 100, 50, delta=1e-5) == 0
    assert audit.one_run(1000, 100, 0, delta=1e-5) == 0
    right = audit.one_run(1000, 200, 150, delta=0, confidence=0.9)
    lowest = binomtest(150, 200).proportion_ci(0.8, "exact").low
    assert right == pytest.approx(math.log(lowest / (1 - lowest)), abs=1e-4)
    assert audit.one_run(1000, 200, 150, delta=1e-4, confidence=0.9) < right


def test_the_gaussian_bound_sees_much_and_rarely_too_much(four):
    bounds = [
        audit.lower_bound(*two_worlds(four, 10_000, seed), delta=DELTA, confidence=0.99, family="gaussian")
        for seed in range(400)
    ]
    found = np.array([bound.lower_bound for bound in bounds])
    assert found.mean() >= 3.3
    assert np.count_nonzero(found > 4) <= 11
    estimates = np.array([bound.estimate for bound in bounds])
    assert 3.9 < estimates.mean() < 4.1


@pytest.mark.parametrize("family", ["any", "gaussian"])
@pytest.mark.parametrize("runs", [20, 300])
def test_few_runs_do_not_flag_the_sound(family, runs):
    mean = 1.0
    spent = composition.gaussian(mean, 0.01)
    flagged = sum(
        audit.lower_bound(*two_worlds(mean, runs, [9, seed]), delta=0.01, family=family).lower_bound > spent
        for seed in range(400)
    )
    assert flagged <= 35


def test_laplace_at_its_limit_is_not_flagged_and_half_its_noise_is():
    flagged = {0.5: 0, 1.0: 0}
    for seed in range(100):
        for scale in flagged:
            noise = np.random.default_rng(seed).laplace(scale=scale, size=(2, 20_000))
            bound = audit.lower_bound(noise[0], noise[1] + 1, delta=0)
            flagged[scale] += bound.lower_bound > 1
    assert flagged[1.0] <= 12
    assert flagged[0.5] == 100


@pytest.mark.parametrize("family", list(audit.FAMILIES))
@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_separation_shows_the_ceiling_in_either_direction(family, sign):
    without, with_ = sign * np.arange(100.0), sign * (1000 + np.arange(100.0))
    bound = audit.lower_bound(without, with_, delta=DELTA, family=family, sampling_rate=0.5, steps=4)
    assert bound.lower_bound == pytest.approx(bound.ceiling)
    assert (bound.false_positives, bound.false_negatives) == (0, 0)
    assert (bound.without_trials, bound.with_trials) == (50, 50)
    assert bound.above == (sign == 1)
    assert bound.ceiling > 2
    more = audit.lower_bound(np.zeros(1000), np.full(1000, math.inf), delta=DELTA, family=family)
    assert more.ceiling > bound.ceiling or family != "any"


def test_the_ceiling_is_that_of_clopper_and_pearson():
    """Better than both rates at half the error each; no better than as if all runs were of one kind."""
    bound = audit.lower_bound(np.zeros(2000), np.ones(2000), delta=0)
    each, both = 1 - 0.025 ** (1 / 1000), 1 - 0.05 ** (1 / 2000)
    assert math.log((1 - each) / each) <= bound.ceiling <= math.log((1 - both) / both)


def test_a_threshold_lies_between_the_worlds_not_at_the_edge_of_one():
    rule = audit.choose(np.array([0.0, 1, 2]), np.array([10.0, 11, 12]), delta=0)
    assert rule.threshold == 6
    assert rule.wrong(np.array([5.9, 6.1]), np.array([6.1, 5.9, 0])) == (1, 2)


def test_the_judged_half_alone_decides():
    """Whatever the first half shows, a bound comes from the second."""
    without, with_ = np.zeros(2000), np.zeros(2000)
    with_[0::2] = 5
    assert audit.lower_bound(without, with_, delta=0).lower_bound == 0
    without, with_ = two_worlds(0, 2000, 3)
    assert audit.lower_bound(without, with_, delta=0).lower_bound < 0.2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"delta": 1.0}, "'delta' must be in [0, 1)"),
        ({"delta": 0.0, "family": "gaussian"}, "'delta' must be in (0, 1)"),
        ({"confidence": 1.0}, "'confidence' must be in (0, 1)"),
        ({"family": "normal"}, "'family' must be among any, gaussian, pld. Got 'normal'."),
        ({"without": np.zeros(3)}, "'without' must have the shape (N,), N at least 4. Got (3,)."),
        ({"with_": np.zeros((5, 2))}, "'with_' must have the shape (N,)"),
        ({"with_": np.array([0, 1, 2, math.nan])}, "'with_' must hold no NaN. Got 1."),
    ],
)
def test_bad_input_is_refused(values, message):
    given = {"without": np.zeros(10), "with_": np.zeros(10), "delta": 1e-5} | values
    with pytest.raises(ValueError, match=r"^'") as error:
        audit.lower_bound(given.pop("without"), given.pop("with_"), **given)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("counts", "message"),
    [((0, 1, 0), "'canaries' must be in [1,"), ((5, 6, 1), "'guesses' must be in [1, 5]"), ((5, 4, 5), "'right' must")],
)
def test_impossible_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=r"^'") as error:
        audit.one_run(*counts, delta=0)
    assert str(error.value).startswith(message)
    with pytest.raises(TypeError, match="'right' must be a whole number"):
        audit.one_run(5, 4, 2.5, delta=0)
