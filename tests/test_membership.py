"""Membership: published figures are met, the promise holds, bugs pass its limit, and pictures show what was found."""

import math
from dataclasses import fields

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, attacks, datasets, experiments
from privlab.experiments import _shadows, membership
from privlab.experiments._membership_result import LEAST_TOLD, TRAITS


@pytest.fixture(scope="module")
def opened():
    return privlab.run("membership")


def test_the_attack_on_adult_is_as_good_as_it_should_be(opened):
    """A pool of 300, half of it in each of 256 models; of 100, more is found."""
    attack = opened.attacks["plain"]
    assert attack.scores.shape == (256, 300)
    assert attack.auc == pytest.approx(0.63, abs=0.015)
    assert attack.hits(0.01) == pytest.approx(0.06, abs=0.015)
    assert opened.simple.auc == pytest.approx(0.53, abs=0.015)
    low, high = attack.auc_interval
    assert low < 0.63 < high
    assert 0.01 < high - low < 0.06
    small = privlab.run("membership", size=50).attacks["plain"]
    assert small.auc == pytest.approx(0.69, abs=0.02)


@pytest.mark.parametrize(("epsilon", "size"), [(0.05, 25), (1.0, 25), (3.01, 100)])
def test_private_models_stay_below_their_limit(epsilon, size):
    result = privlab.run("membership", epsilon=epsilon, size=size, shadows=512)
    attack = result.attacks["private"]
    alarms = attacks.FALSE_ALARMS[attacks.FALSE_ALARMS >= 0.01]
    low = attack.intervals[0][:-1][attacks.FALSE_ALARMS >= 0.01]
    assert (low <= result.limit(alarms)).all()
    assert attack.advantage < math.tanh(epsilon / 2) + 0.03
    plain = result.attacks["plain"]
    assert plain.interval(0.01)[0] > result.limit(0.01) or epsilon > 1, "without privacy the same attack passes it"


@pytest.mark.parametrize(("bug", "share"), [("never composed", 1 / math.sqrt(400)), ("hardly any noise", 1 / 50)])
def test_a_broken_promise_is_caught_above_the_limit(bug, share, monkeypatch):
    true = _shadows.noise
    monkeypatch.setattr(_shadows, "noise", lambda epsilon, steps: true(epsilon, steps) * share)
    result = privlab.run("membership", epsilon=0.304, size=25, steps=400)
    assert result.attacks["private"].interval(0.01)[0] > result.limit(0.01), bug


@pytest.mark.parametrize("steps", [1, 7, 60, 400])
@pytest.mark.parametrize("epsilon", [0.05, 1.0, 8.73])
def test_the_noise_upholds_epsilon_and_is_not_far_more(epsilon, steps):
    assert epsilon in accounting.EPSILON_POSITIONS or epsilon == 8.73
    sigma = _shadows.noise(epsilon, steps)
    spent = accounting.epsilon(noise_multiplier=sigma, sampling_rate=1.0, steps=steps, delta=_shadows.DELTA)
    assert spent <= epsilon
    exact = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=_shadows.DELTA) * math.sqrt(steps)
    assert exact * 0.999 < sigma < 1.01 * exact


def test_every_place_of_the_slider_is_known_without_the_accountant():
    places = membership.Settings.controls()["epsilon"].positions()
    assert set(places) == set(accounting.EPSILON_POSITIONS.tolist())
    assert accounting.is_shipped(sampling_rate=1.0, steps=_shadows.KNOWN_STEPS, delta=_shadows.DELTA)
    assert not list(_shadows.ready(places[7]))


def test_a_pool_is_of_real_people_with_the_labels_asked_for():
    data = datasets.load("adult")
    pool = _shadows.Pool.draw(data, 100, 15, 0)
    assert len(set(pool.rows.tolist())) == 200
    np.testing.assert_array_equal(pool.X, data.X_train[pool.rows])
    assert pool.flipped.sum() == 30
    assert pool.training.units == 100, "public, whoever is in"
    np.testing.assert_array_equal(pool.y != data.y_train[pool.rows], pool.flipped)
    members = pool.members(400, 0)
    assert abs(members.mean() - 0.5) < 5 * 0.5 / math.sqrt(members.size)
    assert members.sum(axis=1).std() > 4, "by a coin each, not always just half"


def test_first_results_come_early_and_better_ones_after():
    settings = membership.Settings(size=25, shadows=600)
    found = [result for result in membership.run(settings) if result is not None]
    assert [len(r.attacks["plain"].scores) for r in found] == [256, 512, 600]
    assert found[-1].progress == 1
    widths = [np.diff(r.attacks["plain"].auc_interval)[0] for r in found]
    assert widths[-1] < widths[0]


def test_traits_are_told_of_many_and_coarsely(opened):
    exposed, everybody, number = opened.unusual()
    assert number >= LEAST_TOLD
    assert exposed.shape == everybody.shape == (len(TRAITS),)
    tiny = privlab.run("membership", size=20, shadows=64)
    assert tiny.unusual()[2] == LEAST_TOLD
    wrong = privlab.run("membership", label_noise=20)
    exposed, everybody, _ = wrong.unusual()
    assert everybody[-1] == pytest.approx(0.2)
    assert exposed[-1] > 0.4, "who has a wrong label is learned by heart"


def test_a_rare_category_is_rare():
    data = datasets.load("adult")
    pool = _shadows.Pool.draw(data, 2000, 0, 0)
    from privlab.experiments._membership_result import traits

    found = traits(data, pool, np.zeros(4000, bool))
    table = data.raw.iloc[data.train_rows[pool.rows]]
    columns = [column.name for column in data.schema.columns if column.categories]
    train = data.raw.iloc[data.train_rows]
    rare = np.zeros(4000, bool)
    for name in columns:
        share = train[name].value_counts(normalize=True)
        rare |= table[name].map(share).to_numpy() < 0.02
    np.testing.assert_array_equal(found[:, 2], rare)
    np.testing.assert_array_equal(found[:, 1], (table["income"] == ">50K").to_numpy())


@pytest.mark.parametrize("view", ["attack", "people"])
def test_the_picture_shows_what_was_found(opened, view):
    result = privlab.run("membership", view=view)
    picture = experiments.get("membership").Picture(Figure(figsize=(6.8, 4.7)))
    assert picture.update(result)
    assert not picture.update(privlab.run("membership", view=view, epsilon=3.01)), "axes keep still"
    picture.update(result)
    shown = picture.views[view]
    plain = result.attacks["plain"]
    if view == "attack":
        x, y = shown.lines["plain"].get_data()
        np.testing.assert_allclose(y, plain.hits(x))
        assert shown.points["plain"].get_ydata()[0] == plain.hits(0.01)
        assert shown.names.texts["limit"].get_text().endswith("2.8")
        x, y = shown.limit.get_data()
        np.testing.assert_allclose(y, np.minimum(1, result.limit(x)))
    else:
        heights = shown.bars["plain"].get_data().values
        assert heights.sum() == pytest.approx(100)
        assert shown.bars["coin"].get_data().values.sum() == pytest.approx(100, abs=0.1)
        widths = [bar.get_width() for bar in shown.exposed]
        np.testing.assert_allclose(widths, 100 * result.unusual()[0])
    others = [ax for name, one in picture.views.items() if name != view for ax in one.axes]
    assert not any(ax.get_visible() for ax in others)


def test_the_table_has_the_curves_with_their_intervals(opened):
    table = opened.frame()
    assert set(table["attack"]) == {"likelihood ratio", "loss threshold"}
    plain = table[(table["models"] == "without privacy") & (table["attack"] == "likelihood ratio")]
    assert plain["false alarms"].min() == pytest.approx(10 / (~opened.attacks["plain"].joined).sum(), rel=0.15)
    assert (plain["low"] <= plain["hits"]).all()
    assert (plain["hits"] <= plain["high"]).all()
    assert {field.name for field in fields(opened)} >= {"attacks", "simple", "traits"}


def test_too_many_people_are_refused_and_fewer_taken_with_a_smaller_set():
    with pytest.raises(ValueError, match=r"'size' must be at most 375, half of the people in 'german'. Got 400\."):
        privlab.run("membership", dataset="german", size=400)
    large = membership.Settings(size=2000)
    assert membership.Settings.make(large, dataset="german").size == 375
