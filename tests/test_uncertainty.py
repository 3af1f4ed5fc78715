"""Intervals cover as often as they say, and ε is told in odds that hold."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from privlab import explain, uncertainty
from privlab.uncertainty import difference, estimate


@pytest.mark.parametrize("degrees", [*range(1, 41), 63, 99, 499, 10_000])
def test_student_quantile(degrees):
    exact = stats.t.ppf(0.975, degrees)
    assert uncertainty.t_quantile(degrees) == pytest.approx(exact, abs=1e-3)


def test_estimate_is_mean_and_student_intervals():
    scores = np.array([[0.1, 0.5], [0.2, 0.5], [0.6, 0.5]])
    e = estimate(scores)
    spread = stats.t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.6], ddof=1)
    np.testing.assert_allclose(e.mean, [0.3, 0.5])
    np.testing.assert_allclose(e.band, [spread / math.sqrt(3), 0], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(e.release, [spread * math.sqrt(4 / 3), 0], rtol=1e-5, atol=1e-12)


def test_one_seed_has_a_mean_and_no_band():
    e = estimate(np.array([[0.1, 0.5]]))
    np.testing.assert_array_equal(e.mean, [0.1, 0.5])
    assert np.isnan(e.band).all()
    assert np.isnan(e.release).all()


@pytest.mark.parametrize("seeds", [2, 4, 8, 32])
def test_bands_cover_the_mean_and_a_fresh_release(seeds):
    rng = np.random.default_rng(seeds)
    trials = 6000
    scores = rng.normal(0.8, 0.02, (seeds, trials))
    e = estimate(scores)
    mean_covered = np.mean(np.abs(e.mean - 0.8) <= e.band)
    fresh_covered = np.mean(np.abs(rng.normal(0.8, 0.02, trials) - e.mean) <= e.release)
    assert 0.94 <= mean_covered <= 0.96
    assert 0.94 <= fresh_covered <= 0.96


def test_error_of_the_test_split_covers_the_mean_of_all_people():
    rng = np.random.default_rng(3)
    chance = rng.beta(2, 8, 1_000_000)  # how often a training gets each person wrong
    true, covered = chance.mean(), []
    for _ in range(1500):
        rows = chance[rng.integers(0, len(chance), 1000)]
        loss = rng.random((64, 1000)) < rows
        half = uncertainty.split_error(loss)
        covered.append(abs(loss.mean() - true) <= half)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_error_of_the_test_split_is_in_units_of_the_score():
    loss = np.array([[0.0, 4.0, 0.0, 4.0]])
    assert uncertainty.split_error(loss) == pytest.approx(1.96 * 2 / 2)
    assert uncertainty.split_error(loss, scale=8.0) == pytest.approx(1.96 * 2 / 2 / 8)


def paired(rng, seeds, rows, gap, seed_sd, row_sd, noise_sd):
    """Losses of two settings: b loses `gap` less than a on average, on shared rows and seeds."""
    row, seed = rng.normal(0, 1, rows), rng.normal(0, 1, (seeds, 1))
    a = row + seed + rng.normal(0, noise_sd, (seeds, rows))
    moved = rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, row_sd, rows)
    b = row + seed - gap + moved + rng.normal(0, noise_sd, (seeds, rows))
    return a, b


@pytest.mark.parametrize(
    ("seed_sd", "row_sd", "noise_sd"),
    [(0.1, 0.01, 0.1), (0.001, 1.0, 0.1), (0.05, 1.0, 0.3)],
    ids=["seeds", "people", "both"],
)
def test_difference_covers_whatever_it_is_that_varies(seed_sd, row_sd, noise_sd):
    rng = np.random.default_rng(11)
    found = [difference(*paired(rng, 8, 400, 0.3, seed_sd, row_sd, noise_sd)) for _ in range(1500)]
    covered = np.mean([abs(d.mean - 0.3) <= d.half for d in found])
    assert 0.935 <= covered <= 0.985
    named = np.mean([d.seeds > d.people for d in found])
    assert named > 0.95 if seed_sd > 0.06 else named < 0.5


def test_two_settings_are_told_apart_if_they_differ_and_only_then():
    rng = np.random.default_rng(12)
    same = [difference(*paired(rng, 8, 400, 0.0, 0.05, 1.0, 0.3)) for _ in range(400)]
    apart = [difference(*paired(rng, 8, 400, 0.4, 0.05, 1.0, 0.3)) for _ in range(400)]
    assert np.mean([d.told_apart for d in same]) < 0.08
    assert np.mean([d.told_apart for d in apart]) > 0.95


def test_difference_pairs_rows_and_seeds():
    rng = np.random.default_rng(13)
    a, b = paired(rng, 8, 400, 0.3, 0.001, 0.01, 0.01)
    assert difference(a, b).half < 0.01
    assert difference(a, b[:, ::-1]).half > 0.1
    assert difference(a, rng.permutation(b)).half > 0.1


def test_difference_is_the_score_of_b_minus_that_of_a():
    a = np.array([[True, True, False, True], [True, True, True, True]])
    b = np.array([[False, True, False, False], [False, True, False, True]])
    assert difference(a, b).mean == pytest.approx(0.5)
    assert difference(b, a).mean == pytest.approx(-0.5)
    assert difference(a, b, scale=2.0).mean == pytest.approx(0.25)


def test_difference_uses_the_seeds_that_both_have():
    rng = np.random.default_rng(14)
    a, b = paired(rng, 8, 100, 0.3, 0.05, 0.1, 0.1)
    assert difference(a[:5], b) == difference(a[:5], b[:5])


def test_one_training_each_tells_nothing_apart():
    a, b = np.zeros((1, 10)), np.ones((1, 10))
    d = difference(a, b)
    assert d.mean == -1.0
    assert math.isinf(d.half)
    assert not d.told_apart


# ε in odds


@pytest.mark.parametrize(("epsilon", "right"), [(0, 0.5), (0.5, 0.6225), (1, 0.7311), (2, 0.8808), (5, 0.9933)])
def test_guess_limit(epsilon, right):
    assert explain.guess_limit(epsilon) == pytest.approx(right, abs=5e-5)


def test_guess_limit_of_delta_and_of_large_epsilon():
    assert explain.guess_limit(0, 0.2) == pytest.approx(0.6)
    assert explain.guess_limit(1, 1.0) == 1.0
    assert explain.guess_limit(1e6) == 1.0


def test_guess_limit_holds_for_the_gaussian_mechanism():
    distance = 1.0  # of the two means, in standard deviations
    normal = NormalDist()
    right = normal.cdf(distance / 2)
    for epsilon in (0.1, 0.5, 1.0, 3.0):
        left = normal.cdf(-epsilon / distance + distance / 2)
        delta = left - math.exp(epsilon) * normal.cdf(-epsilon / distance - distance / 2)
        assert right <= explain.guess_limit(epsilon, delta)


@pytest.mark.parametrize(
    ("epsilon", "times"),
    [(0, "50"), (0.5, "63"), (1, "74"), (2, "89"), (2.95, "95.1"), (5, "99.34"), (20, "100")],
)
def test_odds_are_rounded_up_for_they_are_a_limit(epsilon, times):
    text = explain.odds(epsilon)
    assert f"right at most {times} times in 100; a coin, 50." in text


@pytest.mark.parametrize("epsilon", np.geomspace(0.01, 20, 60))
def test_odds_never_understate(epsilon):
    said = float(explain.odds(epsilon, 1e-5).split("at most ")[1].split(" times")[0])
    right = 100 * explain.guess_limit(epsilon, 1e-5)
    assert right - 1e-9 <= said <= right + 1
