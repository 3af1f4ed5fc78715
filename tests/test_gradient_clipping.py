"""Gradient clipping: pulls against brute force, shares against counts, groups against the whole."""

import dataclasses
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import privlab
from privlab import datasets, dpsgd, models, uncertainty
from privlab.experiments import _gradient_clipping_pulls as pulls
from privlab.experiments import gradient_clipping as clipping
from privlab.experiments import tradeoff
from privlab.experiments._gradient_clipping_groups import by_column, columns
from privlab.experiments._gradient_clipping_picture import EDGES
from privlab.experiments._gradient_clipping_result import Payers, points, wilson

RNG = np.random.default_rng(7)


def case(loss, hidden, people=None):
    """Data of 9 rows and a model with weights from nowhere in particular."""
    outputs = 3 if loss == "softmax" else 1
    X = RNG.normal(size=(9, 4)).astype(np.float32)
    y = RNG.integers(0, 3 if loss == "softmax" else 2, 9)
    data = dpsgd.TrainingData.make(X, y, loss, outputs=outputs, people=people)
    first = RNG.normal(size=(5, hidden or outputs)).astype(np.float32)
    second = RNG.normal(size=(1, hidden + 1, outputs)).astype(np.float32) if hidden else None
    return data, dpsgd.Weights(first, second, outputs)


def loss_of(data, row, first, second):
    """Cross-entropy of one row, written down anew."""
    z = data.X[row].astype(float) @ first
    if second is not None:
        z = np.append(np.maximum(z, 0), 1) @ second
    code = int(data.y[row])
    if data.loss == "logistic":
        return math.log1p(math.exp(z[0])) - code * z[0]
    return math.log(np.exp(z).sum()) - z[code]


def brute(data, weights):
    """Every unit's gradient by differences (units, parameters), in double."""
    first, second = weights.first.astype(float), None if weights.second is None else weights.second[0].astype(float)
    theta = first.ravel() if second is None else np.concatenate([first.ravel(), second.ravel()])

    def total(theta, rows):
        a = theta[: first.size].reshape(first.shape)
        b = None if second is None else theta[first.size :].reshape(second.shape)
        return sum(loss_of(data, row, a, b) for row in rows)

    n = len(data.X) - 1
    units = [[row] for row in range(n)] if data.rows is None else [[r for r in row if r < n] for row in data.rows]
    shift = 1e-5 * np.eye(len(theta))
    return np.array([[(total(theta + h, unit) - total(theta - h, unit)) / 2e-5 for h in shift] for unit in units])


CASES = [
    (loss, hidden, people)
    for loss in ("logistic", "softmax")
    for hidden in (0, 6)
    for people in (None, np.array([0, 0, 0, 1, 2, 2, 3, 4, 4]))
]


@pytest.mark.parametrize(("loss", "hidden", "people"), CASES)
def test_pulls_are_those_of_brute_force(loss, hidden, people):
    data, weights = case(loss, hidden, people)
    true = brute(data, weights)
    layers = pulls.layers(data, weights)
    lengths = pulls.norms(data, layers)
    np.testing.assert_allclose(lengths, np.linalg.norm(true, axis=1), rtol=1e-3)
    np.testing.assert_allclose(pulls.clipped_mean(data, layers, lengths, math.inf), true.mean(axis=0), atol=1e-4)
    clip = float(np.median(lengths)) * 0.9
    cut = true * np.minimum(1, clip / np.linalg.norm(true, axis=1))[:, None]
    mean = pulls.clipped_mean(data, layers, lengths, clip)
    np.testing.assert_allclose(mean, cut.mean(axis=0), atol=1e-4)
    a, b = cut.mean(axis=0), true.mean(axis=0)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert math.cos(math.radians(pulls.angle(mean, b))) == pytest.approx(expected, abs=1e-4)
    assert expected < 0.999


def test_a_logistic_pull_is_residual_times_row():
    data, weights = case("logistic", 0)
    guess = 1 / (1 + np.exp(-(data.X[:-1] @ weights.first)[:, 0]))
    expected = np.abs(guess - data.y[:-1]) * np.linalg.norm(data.X[:-1], axis=1)
    np.testing.assert_allclose(pulls.norms(data, pulls.layers(data, weights)), expected, rtol=1e-5)


def plan(data, steps, *, watched=-1, width=1, sigma=0.7, clip=0.8, hidden=0):
    many = np.ones(width, np.float32)
    return dpsgd.Plan(sigma * many, clip * many, 0.5, steps, hidden, 0.3, watched=watched)


@pytest.mark.parametrize("hidden", [0, 3])
def test_watched_weights_are_the_iterate_that_a_step_starts_from(hidden):
    data = dpsgd.prepare(datasets.load("german"))
    after_one = dpsgd.train(data, plan(data, 1, hidden=hidden), (0, 1))
    seen = dpsgd.train(data, plan(data, 9, watched=1, hidden=hidden), (0, 1)).entering
    np.testing.assert_array_equal(seen.first, after_one.first)
    start = dpsgd.train(data, plan(data, 9, watched=0, hidden=hidden), (0, 1)).entering
    assert bool(start.first.any()) is bool(hidden)
    unwatched = dpsgd.train(data, plan(data, 9, hidden=hidden), (0, 1))
    watched = dpsgd.train(data, plan(data, 9, watched=8, hidden=hidden), (0, 1))
    assert unwatched.entering is None
    np.testing.assert_array_equal(watched.first, unwatched.first)
    assert not np.array_equal(watched.entering.first, watched.first), "an iterate, not the average"


def test_noise_and_signal_are_what_the_trainer_does():
    settings = clipping.Settings.make(dataset="german", view="direction", seeds=1, done=0, clip_norm=0.5)
    trade = privlab.run("gradient_clipping", **settings.as_dict()).trade
    data = dpsgd.prepare(datasets.load("german"))
    sigma, q, width = settings.training.noise_multiplier, settings.sampling_rate, 64
    made = dpsgd.Plan(np.full(width, sigma), np.full(width, 0.5), q, 1, 0, 0.3)
    quiet = dataclasses.replace(made, noise_multiplier=np.zeros(width))
    noisy, still = (dpsgd.train(data, one, (0, 3)).first for one in (made, quiet))
    on_the_mean = (noisy - still) * 0.5 / 0.3  # a step is rate × mean / C
    assert on_the_mean.std() == pytest.approx(trade.noise[trade.held], rel=0.05)
    assert trade.noise[trade.held] == pytest.approx(sigma * 0.5 / (q * 750), rel=1e-6)
    np.testing.assert_allclose(trade.noise / trade.clip_norm, trade.noise[0] / trade.clip_norm[0])
    whole = dpsgd.Plan(np.zeros(1), np.full(1, 0.5), 1, 1, 0, 0.3)
    mean = dpsgd.train(data, whole, (0, 3)).first * 0.5 / 0.3
    assert trade.signal[0, trade.held] == pytest.approx(np.sqrt(np.mean(mean**2)), rel=1e-3)


def test_a_clip_that_nobody_reaches_cuts_nobody():
    found = privlab.run("gradient_clipping", dataset="german", clip_norm=100, seeds=1)
    assert found.cut.share == 0
    assert not found.cut.table["cut"].any()
    assert "0 % of the 750 people" in found.sentence
    far = privlab.run("gradient_clipping", dataset="german", view="direction", clip_norm=100, seeds=1).trade
    assert far.degrees[0, -1] < 0.1
    assert far.degrees[0, 0] > 5


def test_shares_are_counts():
    found = privlab.run("gradient_clipping", dataset="german", group="age", clip_norm=1.5, seeds=1)
    data, table = found.dataset, found.frame()
    raw = data.raw[~data.is_test]
    s = found.settings
    made = models.CATALOGUE[s.model].plan(
        dpsgd.prepare(data), np.array([found.noise_multiplier]), np.array([1.5]), s.sampling_rate, s.steps
    )
    seen = dpsgd.train(dpsgd.prepare(data), dataclasses.replace(made, watched=s.step - 1), (0, 0)).entering
    X = np.column_stack([data.X_train, np.ones(750)])
    guess = 1 / (1 + np.exp(-(X @ seen.first)[:, 0].astype(float)))
    cut = np.abs(guess - data.y_train) * np.linalg.norm(X, axis=1) > 1.5
    young = (raw["age"] < 30).to_numpy()
    bad = (raw["credit"] == "bad").to_numpy()
    rows = table.set_index(["column", "group"])
    for key, who in {("age", "below 30"): young, ("outcome", "bad"): bad}.items():
        assert rows.loc[key, "people"] == who.sum()
        assert rows.loc[key, "cut"] == cut[who].sum()
    assert table.query("column == 'age'")["people"].sum() == 750
    assert found.cut.share == pytest.approx(cut.mean())


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (9, 9), (3, 20), (500, 2000)])
def test_wilson_is_scipys(hits, n):
    low, high = wilson(np.array([hits]), np.array([n]))
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_of_nobody_any_share_may_be():
    assert [end[0] for end in wilson(np.array([0]), np.array([0]))] == pytest.approx([0, 1], abs=1e-12)


@pytest.mark.parametrize("name", ["adult", "rand"])
def test_rows_are_those_of_the_table(name):
    data = datasets.load(name)
    for rows, X, y in ((data.train_rows, data.X_train, data.y_train), (data.evaluation_rows, *data.evaluation)):
        got, codes = data.schema.encode(data.raw.iloc[rows])
        np.testing.assert_array_equal(got, X)
        np.testing.assert_array_equal(codes, y)


def test_rows_of_a_test_split_that_is_too_large_are_those_that_are_scored(monkeypatch):
    data = dataclasses.replace(datasets.load("german"))
    monkeypatch.setattr(datasets, "MAX_EVALUATION_ROWS", 100)
    X, y = data.evaluation
    assert len(y) == 100
    np.testing.assert_array_equal(data.schema.encode(data.raw.iloc[data.evaluation_rows])[0], X)


def test_groups_come_from_the_card():
    assert columns(datasets.card("adult")) == ("outcome", "age", "race", "sex")
    assert columns(datasets.card("digits")) == ("outcome",)
    data = datasets.load("adult")
    rows = data.evaluation_rows
    sex = by_column(data, "sex", rows)
    assert sex.names == ("Female", "Male")
    assert sex.sizes.tolist() == [5421, 10860]
    age = by_column(data, "age", rows)
    assert age.names == ("below 30", "30 to below 45", "45 to below 60", "60 and above")
    expected = np.histogram(data.raw["age"].iloc[rows], [0, 30, 45, 60, 200])[0]
    assert age.sizes.tolist() == expected.tolist()
    assert by_column(datasets.load("rand"), "mhi", np.arange(20)).names == ("below 50", "50 and above")
    np.testing.assert_array_equal(sex.members.sum(axis=1), 1)


@pytest.fixture(scope="module")
def paid():
    return privlab.run("gradient_clipping", dataset="german", view="groups", group="age", epsilon=0.5, seeds=6)


def test_groups_add_up_to_everybody(paid):
    p = paid.payers
    sizes = p.groups.sizes
    assert sizes.sum() == 250
    np.testing.assert_allclose(p.accuracy[:, p.held] @ sizes / 250, paid.scores, atol=1e-6)
    np.testing.assert_allclose(p.accuracy[:, -1] @ sizes / 250, 1 - p.free.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(p.mean @ sizes / 250, 1 - p.row_loss.mean(axis=1), atol=1e-6)
    assert p.epsilon[p.held] == 0.5
    np.testing.assert_array_equal(np.sort(p.epsilon), p.epsilon)


def test_every_epsilon_is_scored_at_its_own_place(paid):
    p, s = paid.payers, paid.settings
    data, prepared = paid.dataset, dpsgd.prepare(paid.dataset)
    order, last, _, clips, sigma = tradeoff.points(s.training)
    made = models.CATALOGUE[s.model].plan(
        prepared, np.append(sigma, 0), np.append(clips, np.inf), s.sampling_rate, s.steps
    )
    weights = dpsgd.train(prepared, made, (0, 0))
    right = 1 - models.batched_losses(data, weights.decision(data.evaluation[0]))
    old = p.groups.codes == 2
    for place in (0, 7, last):
        k = int(np.flatnonzero(p.epsilon == order[place])[0])
        assert p.accuracy[0, k, 2] == pytest.approx(right[place, old].mean(), abs=1e-6)


def test_without_privacy_is_as_good_as_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    found = privlab.run("gradient_clipping", view="groups", seeds=2)
    data = found.dataset
    X, y = data.evaluation
    usual = LogisticRegression(max_iter=1000).fit(data.X_train, data.y_train).predict(X) == y
    p = found.payers
    for g in (0, 1):
        assert p.mean[-1, g] == pytest.approx(usual[p.groups.codes == g].mean(), abs=0.005)


def test_intervals_hold_trainings_and_people(paid):
    p = paid.payers
    g, k = 1, 3
    here = p.groups.codes == g
    people2 = p.row_loss[k, here].var() / here.sum()
    seeds2 = p.accuracy[:, k, g].var(ddof=1) / 6
    assert p.half[k, g] == pytest.approx(math.sqrt(1.96**2 * people2 + stats.t.ppf(0.975, 5) ** 2 * seeds2), rel=1e-3)
    change = p.changes[g]
    lost = (p.private[:, here].astype(float) - p.free[:, here]).mean(axis=1)
    assert change.mean == pytest.approx(-lost.mean(), abs=1e-6)
    assert change.seeds == pytest.approx(lost.std(ddof=1) / math.sqrt(6), rel=1e-4)


def made_up(lost, people=4000, seeds=8):
    """Payers of two groups of which the second loses a share of its right answers."""
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 1], people // 2)
    groups = dataclasses.replace(by_column(datasets.load("adult"), "sex", np.arange(2)), codes=codes)
    free = np.zeros((seeds, people), bool)
    private = (rng.random((seeds, people)) < 0.02) | ((rng.random((seeds, people)) < lost) & (codes == 1))
    accuracy = np.stack([1 - one.astype(np.float32) @ groups.members / groups.sizes for one in (private, free)], axis=1)
    row_loss = np.stack([private.mean(axis=0), free.mean(axis=0)]).astype(np.float32)
    return Payers(np.array([1.0]), 0, groups, accuracy, row_loss, free, private)


def test_who_pays_is_told_apart_only_where_it_can_be():
    clear, same = made_up(0.1).most, made_up(0.0).most
    assert clear.group == 1
    assert clear.told_apart
    assert clear.more == pytest.approx(0.1, abs=0.01)
    assert not same.told_apart
    assert 0.002 < clear.half < 0.02


def test_who_pays_is_seldom_told_apart_by_chance():
    found = []
    rng = np.random.default_rng(3)
    for _ in range(200):
        p = made_up(0.0, people=600, seeds=4)
        private = rng.random(p.private.shape) < rng.beta(1, 9, 600)  # people differ, groups do not
        most = dataclasses.replace(p, private=private).most
        found.append(most.told_apart)
    assert np.mean(found) <= 0.1


def test_points_are_readable():
    one = uncertainty.Difference(-0.0312, 0.004, 0, 0)
    assert points(one) == "−3.1 ± 0.4 points"
    assert points(dataclasses.replace(one, mean=-0.0001)) == "0.0 ± 0.4 points"
    assert points(dataclasses.replace(one, half=math.inf)) == "−3.1 ± ? points"


def test_the_step_follows_what_is_done():
    kind = clipping.Settings
    assert [kind(done=done).step for done in (0, 50, 100)] == [1, 31, 60]
    assert [kind(done=done, steps=1).step for done in (0, 100)] == [1, 1]


def test_settings_follow_the_data():
    kind = clipping.Settings
    assert kind.make(dataset="german").group == "outcome"
    assert kind.make(dataset="german").delta == kind().delta
    assert kind.make(kind(group="age"), dataset="german").group == "age"
    assert kind.make(dataset=datasets.load("rand")).dataset == "rand"
    assert kind.make(noise_multiplier=kind().training.noise_multiplier).epsilon == pytest.approx(1, rel=0.01)
    with pytest.raises(ValueError, match="'group' must be among outcome, age, status_sex, foreign_worker for 'german'"):
        kind.make(dataset="german", group="race")
    with pytest.raises(ValueError, match="'delta' must be in"):
        kind.make(dataset="german", delta=0.01)
    with pytest.raises(ValueError, match="two handles on one thing"):
        kind.make(epsilon=1, noise_multiplier=2)
    with pytest.raises(ValueError, match=r"'dataset' must be among adult.* Got 'diabetes'"):
        kind.make(dataset="diabetes")
    offered = kind.controls()["unit"].offered
    assert [offered(kind.make(dataset=name), "row") for name in ("adult", "rand")] == [False, True]


def test_people_with_several_rows_pull_as_one():
    by_person, by_row = (
        privlab.run("gradient_clipping", dataset="rand", unit=unit, seeds=1, done=0) for unit in ("person", "row")
    )
    assert len(by_person.cut.norms) == 4434
    assert len(by_row.cut.norms) == 15079
    assert by_person.cut.norms.max() > 1.5 * by_row.cut.norms.max()
    assert any("several rows" in words for words in by_person.assumptions)
    assert not any("several rows" in words for words in by_row.assumptions)


@pytest.mark.parametrize("view", ["norms", "direction"])
def test_the_panel_says_that_epsilon_does_not_cover_the_look(view):
    found = privlab.run("gradient_clipping", dataset="german", view=view, seeds=2)
    figure = Figure(figsize=clipping.Picture.size)
    picture = clipping.Picture(figure)
    picture.update(found)
    assert "not cover" in picture.key.get_text()
    assert any("ε does not cover" in words for words in found.assumptions)


def test_the_picture_shows_the_numbers(paid):
    picture = clipping.Picture(Figure(figsize=clipping.Picture.size))
    found = privlab.run("gradient_clipping", dataset="german", clip_norm=1.5, seeds=3, group="age")
    assert picture.update(found)
    assert not picture.update(privlab.run("gradient_clipping", dataset="german", clip_norm=1.6, seeds=3, group="age"))
    picture.update(found)
    norms = picture.scenes["norms"]
    assert norms.line.get_xdata()[0] == 1.5
    share = 100 * found.cut.share
    drawn = norms.cut.get_data()
    assert (drawn.values - drawn.baseline).sum() == pytest.approx(share, abs=1e-6)
    assert norms.words[1].get_text() == f"{share:.0f} %\ncut"
    assert [block.get_width() for block in norms.blocks] == pytest.approx(list(100 * found.cut.table["share"]))
    assert norms.point.get_xdata()[0] == pytest.approx(100 * found.scores.mean())
    assert picture.update(paid), "another view is another background"
    scene = picture.scenes["groups"]
    assert not norms.hist.get_visible()
    for g, (free, _, line, _, dot, change) in zip(paid.payers.present, scene.parts, strict=True):
        assert free.get_ydata()[0] == pytest.approx(100 * paid.payers.mean[-1, g])
        np.testing.assert_allclose(line.get_ydata(), 100 * paid.payers.mean[:-1, g])
        assert dot.get_xdata()[0] == 0.5
        assert change.get_text() == points(paid.payers.changes[g])


def test_direction_draws_both_sides_of_the_trade():
    found = privlab.run("gradient_clipping", dataset="german", view="direction", seeds=3, done=20)
    picture = clipping.Picture(Figure(figsize=clipping.Picture.size))
    assert picture.update(found)
    scene, t = picture.scenes["direction"], found.trade
    np.testing.assert_allclose(scene.noise.get_ydata(), t.noise)
    _, _, line, dot, _ = scene.parts[0]
    np.testing.assert_allclose(line.get_ydata(), t.degrees.mean(axis=0))
    assert dot.get_xdata()[0] == t.clip_norm[t.held] == 1
    assert f"{t.degrees[:, t.held].mean():.1f}°" in found.sentence


def test_better_results_come_after_the_first():
    seen = [r for r in clipping.run(clipping.Settings.make(dataset="german", seeds=40)) if r is not None]
    assert len(seen[0].scores) == 1
    assert math.isnan(seen[0].accuracy[1])
    assert "one training" in seen[0].sentence
    assert seen[-1].progress == 1
    assert len(seen[-1].scores) == seen[-1].count == 40
    np.testing.assert_array_equal(seen[0].cut.norms, seen[-1].cut.norms)


def test_the_axis_of_pulls_keeps_still_while_the_bars_can_be_read():
    picture, tops = clipping.Picture(Figure(figsize=clipping.Picture.size)), []
    found = [privlab.run("gradient_clipping", dataset="german", seeds=2, clip_norm=c) for c in (0.03, 0.1, 1.0, 10.0)]
    for result in [*found, *found[::-1]]:
        picture.update(result)
        tops.append(picture.scenes["norms"].hist.get_ylim()[1])
    shares = [100 * np.histogram(r.cut.norms, EDGES)[0].max() / len(r.cut.norms) for r in found]
    assert all(top >= share for top, share in zip(tops, [*shares, *shares[::-1]], strict=True))
    assert tops == sorted(tops), "it only grows"
    other = privlab.run("gradient_clipping", dataset="adult", seeds=2)
    picture.update(other)
    fresh = clipping.Picture(Figure(figsize=clipping.Picture.size))
    fresh.update(other)
    assert picture.scenes["norms"].hist.get_ylim() == fresh.scenes["norms"].hist.get_ylim()
