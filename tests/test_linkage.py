"""Linkage, reconstruction and hidden columns: counted right, solved right, fair to the baseline, true on screen."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, datasets, experiments
from privlab.experiments import _attributes_guess, _shadows, linkage, reconstruction


def test_groups_are_those_of_pandas():
    table = datasets.load("adult").raw
    names = ("age", "sex", "race", "occupation")
    result = privlab.run("linkage", people=linkage.ALL, known=names, repeats=2)
    for k in range(len(names)):
        fitting = table.groupby(list(names[: k + 1]), observed=True)["age"].transform("size")
        rich = table["income"].eq(">50K").groupby([table[name] for name in names[: k + 1]], observed=True)
        agree = rich.transform("nunique") == 1
        assert result.alone[0, k] == pytest.approx((fitting == 1).mean())
        assert result.few[0, k] == pytest.approx(((fitting > 1) & (fitting < 5)).mean())
        assert result.found[0, k] == pytest.approx((1 / fitting).mean())
        assert result.told[0, k] == pytest.approx(agree.mean())
    assert (result.alone[0] == result.alone[1]).all(), "all of them: nothing is left to chance"


def test_coarse_ages_and_fewer_columns_hide_more_people():
    alone = [privlab.run("linkage", age_width=w, repeats=2).share("alone").mean[-1] for w in (1, 5, 20)]
    assert alone[0] > alone[1] > alone[2] > 0
    exact = privlab.run("linkage", known=("age",), age_width=80, repeats=2)
    assert exact.alone.max() == 0, "one group for all"
    order = privlab.run("linkage", repeats=2).share("alone").mean
    assert (np.diff(order) > 0).all()


def test_fewer_rows_leave_more_people_alone():
    few, many = (privlab.run("linkage", people=n).share("alone") for n in (1000, 30_000))
    assert few.mean[-1] > many.mean[-1] + 0.3
    assert few.band[-1] > many.band[-1]
    result = privlab.run("linkage", people=1000, repeats=2)
    assert (result.found > result.alone + result.few / 4).all()
    assert (result.found < result.alone + (1 - result.alone) / 2).all()


def test_no_known_column_is_refused():
    with pytest.raises(ValueError, match="'known' must be among"):
        privlab.run("linkage", known=())


def test_the_linkage_picture_shows_what_was_counted():
    result = privlab.run("linkage", repeats=3)
    picture = experiments.get("linkage").Picture(Figure(figsize=(6.8, 4.7)))
    picture.update(privlab.run("linkage", known=tuple(linkage.COLUMNS), repeats=2))
    picture.update(result)
    alone, few = result.share("alone").mean, result.share("few").mean
    widths = [bar.get_width() for bar in picture.alone if bar.get_visible()]
    np.testing.assert_allclose(widths, 100 * alone)
    np.testing.assert_allclose([bar.get_width() for bar in picture.few[:6]], 100 * (alone + few))
    assert [text.get_text() for text in picture.names if text.get_visible()][1] == "+ sex"
    half = [np.ptp(line[:, 0]) / 2 for line in picture.spread.get_segments()]
    np.testing.assert_allclose(half, 100 * result.share("alone").band)


def solved(m, n, sigma, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n).astype(float)
    asked = rng.integers(0, 2, (m, n)).astype(float)
    answers = asked @ truth + sigma * rng.standard_normal(m)
    return truth, asked, answers, reconstruction.solve(asked, asked.T @ asked, answers, max(sigma, 1e-3))


def test_the_guess_is_the_best_linear_one():
    from scipy.optimize import minimize

    _, asked, answers, guess = solved(30, 12, 0.8)

    def cost(x):
        return np.sum((asked @ x - answers) ** 2) / 0.8**2 + 4 * np.sum((x - 0.5) ** 2)

    best = minimize(cost, np.full(12, 0.5), tol=1e-12).x
    np.testing.assert_allclose(guess, best, atol=1e-5)


def test_exact_counts_give_everything_away_and_noise_of_the_square_root_does_not():
    truth, _, _, guess = solved(120, 100, 0.0)
    np.testing.assert_allclose(guess, truth, atol=0.1)
    truth, _, _, guess = solved(400, 100, 10 * math.sqrt(100))
    assert np.mean((guess > 0.5) == (truth > 0.5)) < 0.7


@pytest.mark.parametrize("epsilon", [0.304, 1.0, 10.0])
def test_no_more_secrets_come_out_than_epsilon_allows(epsilon):
    result = privlab.run("reconstruction", epsilon=epsilon, people=100, seeds=6)
    found = result.estimate("together")
    pairs = 6 * 100
    assert (found.mean < result.limit + 5 * 0.5 / math.sqrt(pairs)).all()
    assert result.estimate("each").mean[-1] > found.mean[-1] + 0.1
    assert result.right["exact"].shape == (6, len(result.questions))
    assert result.questions[result.held] == 300


def test_the_noise_of_all_answers_together_is_epsilon_s():
    for m in (10, 300, 3000):
        sigma = _shadows.noise(1.0, m)
        assert accounting.epsilon(noise_multiplier=sigma, sampling_rate=1.0, steps=m, delta=_shadows.DELTA) <= 1
    result = privlab.run("reconstruction", epsilon=0.0509, questions=300, people=20, seeds=2)
    alone = _shadows.noise(0.0509, 1)
    true = accounting.epsilon(noise_multiplier=alone, sampling_rate=1.0, steps=300, delta=_shadows.DELTA)
    assert true <= result.spent < 1.1 * true
    assert math.isinf(privlab.run("reconstruction", people=20, seeds=2).spent)


def test_secrets_are_real_and_even():
    secrets, chances = reconstruction._secrets()
    assert chances.sum() == pytest.approx(1)
    assert chances[secrets > 0].sum() == pytest.approx(0.5)
    np.testing.assert_array_equal(secrets, datasets.load("adult").y_train)


def test_the_reconstruction_picture_shows_what_came_out():
    result = privlab.run("reconstruction", people=50, seeds=4, questions=100)
    picture = experiments.get("reconstruction").Picture(Figure(figsize=(6.8, 4.7)))
    picture.update(privlab.run("reconstruction", people=20, seeds=2))
    picture.update(result)
    for kind, line in picture.lines.items():
        np.testing.assert_allclose(line.get_data()[1], 100 * result.estimate(kind).mean)
        assert len(picture.dots[kind].get_xdata()) == result.right[kind].size
    assert picture.limit.get_ydata()[0] == pytest.approx(100 * result.limit)
    heights = sorted(name.get_position()[1] for name in [*picture.names.values(), picture.floor_name])
    assert np.diff(heights).min() > 4


def test_the_discriminant_is_scikit_learn_s():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = datasets.load("breast_cancer")
    X, y = data.X_train, data.y_train
    ours = _attributes_guess.discriminant(X, y, 2, data.X_test)
    np.testing.assert_allclose(np.exp(ours).sum(axis=1), 1)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05).fit(X, y).predict(data.X_test)
    assert np.mean(ours.argmax(axis=1) == theirs) > 0.97


def made(people=60, values=4, models=200, leak=0.0, seed=0):
    """A guesser who knows nothing beforehand, and fits that rise by `leak` at the true value for members."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, values, people)
    nothing = np.zeros((values, people, 1), np.float32)
    chances = np.log(rng.dirichlet(np.full(values, 2.0), people))
    guesser = _attributes_guess.Guesser(nothing, np.ones(people), truth, chances, 0.3)
    joined = rng.random((models, people)) < 0.5
    fits = rng.standard_normal((models, values, people))
    fits += leak * joined[:, None, :] * (np.arange(values)[:, None] == truth)
    return guesser, fits, joined


def test_what_a_model_betrays_of_its_members_is_found_and_nothing_of_others():
    guesser, fits, joined = made(leak=2.0)
    right = guesser.right(fits, joined)
    members, outsiders = (_attributes_guess.gain(right, guesser.alone, joined == side) for side in (True, False))
    assert members.mean - members.half > 0.2
    assert outsiders.mean < members.mean / 3
    guesser, fits, joined = made(leak=0.0)
    right = guesser.right(fits, joined)
    for side in (True, False):
        found = _attributes_guess.gain(right, guesser.alone, joined == side)
        assert abs(found.mean) < 0.03


def test_each_model_is_compared_with_the_others_that_lack_the_person():
    guesser, fits, joined = made(people=5, models=12, leak=1.0)
    better = np.empty_like(fits)
    for model in range(12):
        for person in range(5):
            others = [k for k in range(12) if k != model and not joined[k, person]]
            there = fits[others, :, person]
            better[model, :, person] = (fits[model, :, person] - there.mean(axis=0)) / there.std(axis=0)
    own = np.array([[better[k, guesser.truth[i], i] for i in range(5)] for k in range(12)])
    weight = own[joined].mean() - own[~joined].mean()
    expected = np.argmax(guesser.chances.T + weight * better, axis=1) == guesser.truth
    np.testing.assert_array_equal(guesser.right(fits, joined), expected)


@pytest.mark.parametrize(("people", "models"), [(0.2, 0.02), (0.02, 0.2)])
def test_the_interval_of_a_gain_covers_it(people, models):
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        chance = 0.5 + people * rng.standard_normal(80) + models * rng.standard_normal((60, 1))
        found = _attributes_guess.gain(rng.random((60, 80)) < chance, np.zeros(80), rng.random((60, 80)) < 0.5)
        covered += abs(found.mean - 0.5) < found.half
    assert covered >= 88


def test_candidates_are_the_people_with_every_value():
    data = datasets.load("adult")
    pool = _shadows.Pool.draw(data, 20, 0, 0)
    guesser = _attributes_guess.Guesser.make(data, pool, "occupation")
    assert guesser.candidates.shape == (15, 40, data.X_train.shape[1])
    for person, value in enumerate(guesser.truth):
        np.testing.assert_array_equal(guesser.candidates[value, person], pool.X[person])
    names = data.schema.columns[4].categories
    assert data.schema.columns[4].name == "occupation"
    table = data.raw.iloc[data.train_rows[pool.rows]]
    assert [names[value] for value in guesser.truth] == table["occupation"].tolist()


def test_the_picture_of_hidden_columns_shows_the_gains():
    result = privlab.run("attributes", size=25, shadows=64)
    picture = experiments.get("attributes").Picture(Figure(figsize=(6.8, 4.7)))
    assert picture.update(result)
    assert picture.update(privlab.run("attributes", size=25, shadows=64, hidden="sex")), "another title"
    picture.update(result)
    for dot, found in zip(picture.dots, result.gains.values(), strict=True):
        assert dot.get_xdata()[0] == pytest.approx(np.clip(100 * found.mean, -6, 16))
    assert [text.get_text().split(",")[0] for text in picture.names] == ["members", "outsiders"] * 2
