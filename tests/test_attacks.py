"""Membership attacks: they find what leaks and no more, agree with scikit-learn and SciPy, and stay below the limit."""

import math
from dataclasses import replace

import numpy as np
import pytest

from privlab import attacks, datasets, dpsgd, explain, models
from privlab.attacks import Attack


def coins(models, people, seed=0):
    return np.random.default_rng(seed).random((models, people)) < 0.5


def leaking(gap, models=128, people=400, seed=0):
    """Confidences whose mean moves by `gap` standard deviations where somebody is in, and who is in."""
    joined = coins(models, people, seed)
    rng = np.random.default_rng([seed, 1])
    return 3 * rng.standard_normal(people) + rng.standard_normal((models, people)) + gap * joined, joined


def phi(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize("rounded", [False, True])
def test_roc_and_auc_are_scikit_learn_s(rounded):
    from sklearn.metrics import roc_auc_score, roc_curve

    values, joined = leaking(0.7, 20, 50)
    attack = Attack(np.round(values) if rounded else values, joined)
    alarms, hits, _ = roc_curve(joined.ravel(), attack.scores.ravel(), drop_intermediate=False)
    np.testing.assert_allclose(attack.roc, (alarms, hits))
    assert attack.auc == pytest.approx(roc_auc_score(joined.ravel(), attack.scores.ravel()))
    assert attack.advantage == pytest.approx((hits - alarms).max())
    at = 0.05
    assert attack.hits(at) == hits[alarms <= at].max()


@pytest.mark.parametrize("count", [16, 100])
def test_the_likelihood_ratio_is_that_of_gaussians_without_the_target(count):
    from scipy.stats import norm

    values, joined = leaking(1.0, count, 6)
    scores = attacks.likelihood_ratio(values, joined).scores
    target, others = 3, np.arange(count) != 3
    spread = {}
    for side in (True, False):
        parts = [values[others & (joined[:, i] == side), i] for i in range(6)]
        pooled = sum(((p - p.mean()) ** 2).sum() for p in parts) / sum(len(p) - 1 for p in parts)
        own = min(map(len, parts)) >= attacks.OWN_SPREAD
        spread[side] = [(p.mean(), p.std(ddof=1) if own else math.sqrt(pooled)) for p in parts]
    expected = [
        norm.logpdf(values[target, i], *spread[True][i]) - norm.logpdf(values[target, i], *spread[False][i])
        for i in range(6)
    ]
    np.testing.assert_allclose(scores[target], expected, rtol=1e-9)


def test_losses_and_log_odds_are_one():
    margins = np.array([-30.0, -2.0, 0.0, 3.0, 30.0])
    np.testing.assert_allclose(attacks.confidence(np.logaddexp(0, -margins)), margins, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gap", [0.5, 1.5])
def test_a_planted_leak_is_found_as_far_as_it_goes(gap):
    values, joined = leaking(gap)
    attack = attacks.likelihood_ratio(values, joined)
    best = phi(gap / math.sqrt(2))  # of whoever knows both Gaussians
    assert best - 0.015 < attack.auc < best + 0.01
    assert attack.right.mean() == pytest.approx(phi(gap / 2), abs=0.015)
    blind = attacks.membership(np.logaddexp(0, -values), joined, kind="loss")
    assert blind.auc < attack.auc - 0.05, "one threshold for all mistakes the easy for members"


def test_where_nothing_leaks_nothing_is_found():
    values, joined = leaking(0.0)
    attack = attacks.likelihood_ratio(values, joined)
    assert attack.auc == pytest.approx(0.5, abs=0.01)
    assert attack.auc_interval[0] < 0.5 < attack.auc_interval[1]
    assert attack.exposed(0.05)[1] == pytest.approx(0.5, abs=0.1), "luck is not taken for exposure"
    lucky = np.sort(attack.right)[-20:].mean()
    assert lucky > 0.57


def test_the_few_who_are_exposed_are_found_behind_a_harmless_mean():
    values, joined = leaking(0.0)
    values[:, :20] += 4 * joined[:, :20]
    attack = attacks.likelihood_ratio(values, joined)
    chosen, rate = attack.exposed(0.05)
    assert set(chosen) == set(range(20))
    assert rate == pytest.approx(phi(2), abs=0.02)
    assert attack.right.mean() < 0.53
    assert attack.hits(0.01) > 0.03


def test_one_model_is_attacked_with_the_others_as_shadows():
    values, joined = leaking(1.0)
    losses = np.logaddexp(0, -values)
    all_of_them = attacks.membership(losses, joined)
    one = attacks.membership(losses, joined, targets=[5])
    np.testing.assert_allclose(one.scores[0], all_of_them.scores[5], atol=1e-6)
    assert one.covers == "other people"
    low, high = one.auc_interval
    assert low < one.auc < high
    assert math.isnan(one.hits(0.01)), "some 200 non-members say nothing about one false alarm in 100"
    assert math.isnan(one.interval(0.01)[0])


def test_intervals_cover_the_truth_over_people_and_models():
    truth = 1 - phi(2.326348 - 1)
    covered, widths = 0, []
    for seed in range(60):
        values, joined = leaking(1.0, 24, 120, seed)
        everybody_s_own = 3 * np.random.default_rng([seed, 1]).standard_normal(120)
        attack = Attack(values - everybody_s_own, joined)
        low, high = attack.interval(0.01)
        covered += low <= truth <= high
        widths.append(high - low)
    assert covered >= 50
    assert np.median(widths) < 0.12


@pytest.mark.parametrize(("people", "models"), [(0.7, 0.0), (0.0, 0.7)])
def test_intervals_are_as_wide_as_attacks_differ(people, models):
    """Whether it is people or models that some leak of more than others, one at a time."""
    aucs, hits, halves = [], [], []
    for seed in range(60):
        rng = np.random.default_rng([seed, 2])
        joined = coins(30, 90, seed)
        gap = 1 + people * rng.standard_normal(90) + models * rng.standard_normal((30, 1))
        attack = Attack(rng.standard_normal((30, 90)) + gap * joined, joined)
        aucs.append(attack.auc)
        hits.append(attack.hits(0.1))
        halves.append([*(np.array(attack.auc_interval) - attack.auc), *(attack.interval(0.1) - attack.hits(0.1))])
    low, high, hits_low, hits_high = np.mean(halves, axis=0)
    for found, ends in ((aucs, (-low, high)), (hits, (-hits_low, hits_high))):
        for end in ends:
            assert 0.7 < end / (1.96 * np.std(found)) < 1.4


@pytest.mark.parametrize(
    ("losses", "joined", "words"),
    [
        (np.ones((4, 3)), np.ones((3, 4)), "one shape"),
        (np.ones(4), np.ones(4), "one shape"),
        (np.full((8, 3), np.nan), coins(8, 3), "finite"),
        (-np.ones((8, 3)), coins(8, 3), "at least 0"),
        (np.ones((8, 3)), np.eye(8, 3), "at least 3 models. Got 1."),
    ],
)
def test_what_cannot_be_attacked_is_refused(losses, joined, words):
    with pytest.raises(ValueError, match=words):
        attacks.membership(losses, joined)


def test_members_and_others_are_needed():
    with pytest.raises(ValueError, match="members and non-members"):
        attacks.membership(np.ones((1, 3)), np.ones((1, 3)), kind="loss")


def test_the_limit_is_that_of_guesses_and_of_randomised_response():
    for epsilon in (0.1, 1.0, 4.0):
        even = 1 / (1 + math.exp(epsilon))
        assert explain.hit_limit(even, epsilon) == pytest.approx(1 - even), "the corner: randomised response"
        assert explain.hit_limit(0.0, epsilon, 1e-3) == pytest.approx(1e-3)
        assert explain.hit_limit(1.0, epsilon) == 1
        alarms = np.linspace(0, 1, 10_001)
        best = np.max((explain.hit_limit(alarms, epsilon, 1e-3) + 1 - alarms) / 2)
        assert best == pytest.approx(explain.guess_limit(epsilon, 1e-3), abs=1e-4)


def trained(name, members, sigma=0.0, clip=np.inf, people=40, **change):
    data = datasets.load("german")
    laid = dpsgd.TrainingData.make(data.X_train[:people], data.y_train[:people], "logistic", units=20)
    width = len(members)
    plan = models.CATALOGUE[name].plan(laid, np.full(width, sigma), np.full(width, clip), 1.0, 8)
    plan = replace(plan, members=members, **change)
    found = dpsgd.sweep(laid, plan, [(3,)], lambda weights: weights.decision(laid.X[:-1, :-1])[:, 0])
    return next(item[1] for item in found if item is not None)


@pytest.mark.parametrize("name", ["dp-sgd-logistic", "dp-sgd-mlp"])
@pytest.mark.parametrize("clip", [np.inf, 0.5])
def test_models_learn_from_their_members_alone(name, clip):
    """Each as if the others were not there; 70 models go over the edge of a block."""
    members = coins(70, 40)
    together = trained(name, members, clip=clip)
    data = datasets.load("german")
    for model in (0, 1, 69):
        own = members[model]
        X, y = data.X_train[:40], data.y_train[:40]
        laid = dpsgd.TrainingData.make(X[own], y[own], "logistic", units=20)
        plan = models.CATALOGUE[name].plan(laid, np.zeros(1), np.full(1, clip), 1.0, 8)
        alone = dpsgd.train(laid, plan, (3,))
        np.testing.assert_allclose(together[model], alone.decision(X)[0, 0], rtol=2e-3, atol=2e-4)


def test_members_are_for_full_batches():
    with pytest.raises(ValueError, match="'sampling_rate' must be 1"):
        trained("dp-sgd-logistic", coins(3, 40), sampling_rate=0.5)


def test_the_penalty_is_scikit_learn_s():
    from sklearn.linear_model import LogisticRegression

    data = datasets.load("german")
    X, y = data.X_train[:200], data.y_train[:200]
    laid = dpsgd.TrainingData.make(X, y, "logistic")
    plan = dpsgd.Plan(np.zeros(1), np.full(1, np.inf), 1.0, 400, learning_rate=0.5, penalty=0.05)
    ours = dpsgd.train(laid, plan, (0,)).first[:, 0]
    theirs = LogisticRegression(C=1 / (0.05 * 200), fit_intercept=False, tol=1e-8).fit(laid.X[:-1], y)
    np.testing.assert_allclose(ours, theirs.coef_[0], atol=2e-3)
