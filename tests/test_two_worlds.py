"""Two worlds: the theory against golden values and definitions, releases against the theory, and the low bits."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

import privlab
from privlab.experiments import _two_worlds_noise as noises
from privlab.experiments import _two_worlds_result as found
from privlab.experiments import two_worlds
from privlab.experiments.two_worlds import Settings
from privlab.explain import guess_limit

KINDS = list(noises.LABELS)
PURE = [noises.LAPLACE, noises.DISCRETE_LAPLACE, noises.RESPONSE]
GAUSSIANS = [noises.GAUSSIAN, noises.DISCRETE_GAUSSIAN]


def final(**values):
    return privlab.run("two_worlds", **values)


@pytest.mark.parametrize(("epsilon", "right"), [(0.5, 0.6225), (1, 0.7311), (2, 0.8808), (5, 0.9933)])
def test_golden_limits_and_the_response_that_reaches_them(epsilon, right):
    assert guess_limit(epsilon) == pytest.approx(right, abs=5e-5)
    noise = noises.make(noises.RESPONSE, epsilon, 1e-5)
    alarms, hits = noise.roc()
    assert (1 + (hits - alarms).max()) / 2 == pytest.approx(right, abs=5e-5)


def test_golden_noise():
    assert noises.make(noises.GAUSSIAN, 1.0, 1e-5).scale == pytest.approx(3.73063, rel=1e-5)
    assert noises.make(noises.LAPLACE, 0.5, 1e-5).scale == pytest.approx(2)
    assert noises.make(noises.RESPONSE, math.log(3), 1e-5).scale == pytest.approx(0.75)


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_no_attacker_passes_the_limit_and_less_noise_would(kind, epsilon):
    noise = noises.make(kind, epsilon, 1e-3)
    alarms, hits = noise.roc()
    assert (np.diff(alarms) >= 0).all()
    assert (np.diff(hits) >= -1e-12).all()
    assert (hits <= noise.limit(alarms) + 1e-9).all()
    assert (noise.limit(alarms) - hits).min() < 1e-3, "somewhere the limit is nearly reached"
    scale = 0.95 * noise.scale if kind != noises.RESPONSE else min(0.999, 1.02 * noise.scale)
    weak = noises.Noise(kind, epsilon, noise.delta, scale)
    alarms, hits = weak.roc()
    assert (hits > noise.limit(alarms) + 1e-9).any()


@pytest.mark.parametrize("kind", GAUSSIANS)
def test_delta_is_what_exceeds_the_fence(kind):
    epsilon, delta = 0.8, 1e-3
    noise = noises.make(kind, epsilon, delta)
    if noise.whole:
        k = np.arange(-200.0, 201.0)
        within, without = (np.exp(-((k - world) ** 2) / 2 / noise.scale**2) for world in (1, 0))
        within, without = within / within.sum(), without / without.sum()
        beyond = np.maximum(within - math.exp(epsilon) * without, 0).sum()
    else:
        beyond = integrate.quad(
            lambda x: max(
                0.0,
                stats.norm.pdf(x, 1, noise.scale) - math.exp(epsilon) * stats.norm.pdf(x, 0, noise.scale),
            ),
            -20,
            40,
            limit=500,
        )[0]
    assert beyond == pytest.approx(delta, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_tails_and_evidence_are_those_of_the_heights(kind):
    noise = noises.make(kind, 0.7, 1e-2)
    for world in (0, 1):
        if noise.whole:
            k = np.arange(-400.0, 401.0)
            chances = noise.height(k, world) * noise.peak
            assert chances.sum() == pytest.approx(1, rel=1e-9)
            for t in (-2.5, 0.5, 3.5):
                assert float(noise.above(t, world)) == pytest.approx(chances[k > t].sum(), rel=1e-9)
        else:
            area = integrate.quad(lambda x, w=world: float(noise.height(x, w)) * noise.peak, 1.3, 80, limit=400)[0]
            assert float(noise.above(1.3, world)) == pytest.approx(area, rel=1e-6)
    x = np.array([0.0, 1.0]) if kind == noises.RESPONSE else np.array([-3.0, 0.0, 1.0, 5.0])
    ratio = np.log(noise.height(x, 1) / noise.height(x, 0))
    np.testing.assert_allclose(noise.log_ratio(x), ratio, rtol=1e-9, atol=1e-12)
    if kind in PURE:
        assert np.abs(ratio).max() == pytest.approx(0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_releases_follow_the_theory(kind):
    result = final(mechanism=kind, epsilon=0.9, releases=4000, delta=1e-3)
    frame = result.frame()
    for seen, theory in (("seen_false_alarms", "false_alarms"), ("seen_hits", "hits")):
        error = np.sqrt(np.maximum(frame[theory] * (1 - frame[theory]), 1e-4) / 4000)
        assert (np.abs(frame[seen] - frame[theory]) < 4.5 * error).all(), seen
    swapped = np.abs(frame["seen_hits"] - frame["false_alarms"]).max()
    assert swapped > 0.05, "the two worlds must differ in this comparison"


def test_intervals_are_the_exact_ones():
    for count, total in ((0, 20), (3, 50), (50, 50)):
        exact = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
        low, high = found.interval(np.array(count), total)
        assert (float(low), float(high)) == pytest.approx((exact.low, exact.high))


def test_last_digits_betray_naive_noise_and_not_opendp_s():
    result = final(view="low_bits", epsilon=1.0, releases=10_000)
    attacks = {(attack.looks_at, attack.made_by): attack for attack in result.attacks}
    naive, exact = attacks["last digits", "NumPy"], attacks["last digits", "OpenDP"]
    assert naive.right == naive.spoken > 2000
    assert naive.interval[0] > guess_limit(1.0)
    assert exact.spoken > 2000
    assert exact.interval[0] < guess_limit(1.0)
    assert 0.6 < exact.right / exact.spoken < 0.78
    assert "NumPy's noise is not private" in result.sentence
    assert attacks["size", "NumPy"].interval[0] < guess_limit(1.0)


def test_the_sentence_says_the_odds():
    assert "30 times in 100 without you and 70 times in 100 with you" in final(releases=200).sentence
    told = final(mechanism=noises.RESPONSE, epsilon=math.log(3), releases=200).sentence
    assert "25 times in 100 if your truth is no and 75 times in 100 if it is yes" in told
    assert "ε allows nobody more than 89" in final(epsilon=2, releases=200).sentence


def test_last_digits_are_for_laplace_only():
    with pytest.raises(ValueError, match=r"'mechanism' must be 'laplace' for the view 'low_bits'. Got 'gaussian'"):
        Settings.make(view="low_bits", mechanism=noises.GAUSSIAN)


def test_first_result_comes_with_few_releases_and_the_last_with_all():
    results = [item for item in two_worlds.run(Settings.make(releases=3000)) if item is not None]
    assert results[0].released.shape == (2, two_worlds.BLOCK)
    assert results[-1].released.shape == (2, 3000)
    assert results[-1].progress == 1
