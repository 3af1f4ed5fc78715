"""Places for the noise: every channel keeps its ε, estimates are unbiased, and pictures show what was learned."""

import math

import numpy as np
import pytest

import privlab
from privlab import accounting, datasets, dpsgd, models
from privlab.experiments import _places_learners as learners
from privlab.experiments import where_noise_goes
from privlab.experiments.where_noise_goes import DELTA, STEPS, Settings

DRAWS = 200_000


@pytest.mark.parametrize("epsilon", [0.3, 1.0, math.log(3), 4.0])
@pytest.mark.parametrize("categories", [2, 3, 30])
def test_responses_keep_their_epsilon(categories, epsilon):
    true, other = learners.response_chances(categories, epsilon)
    assert true + (categories - 1) * other == pytest.approx(1)
    assert math.log(true / other) == pytest.approx(epsilon)
    yes, wrong = learners.unary_chances(epsilon)
    # Two records differ in two of the k answers; the worst pair of answers is a yes there and a no here.
    assert math.log(yes / wrong * (1 - wrong) / (1 - yes)) == pytest.approx(epsilon)


def test_the_coin_of_three_quarters_is_opendp_s():
    from opendp.measurements import make_randomized_response_bool
    from opendp.mod import enable_features

    enable_features("contrib")
    true, _ = learners.response_chances(2, math.log(3))
    assert true == pytest.approx(0.75)
    assert make_randomized_response_bool(prob=true).map(1) == pytest.approx(math.log(3))


@pytest.mark.parametrize("protocol", ["randomised_response", "unary_response"])
def test_responses_follow_their_chances_and_counts_come_out_right(protocol):
    epsilon, k = 1.3, 4
    codes = np.repeat([0, 1, 2, 3], [DRAWS // 2, DRAWS // 4, DRAWS // 4, 0])
    chances = (learners.response_chances(k, epsilon), learners.unary_chances(epsilon))[protocol == "unary_response"]
    told = getattr(learners, protocol)(codes, k, epsilon, np.random.default_rng(0))
    counts = np.bincount(told, minlength=k) if protocol == "randomised_response" else told.sum(axis=0)
    first = codes == 0
    share = (told[first] == 0).mean() if protocol == "randomised_response" else told[first, 0].mean()
    assert share == pytest.approx(chances[0], abs=4.5 * 0.5 / math.sqrt(DRAWS / 2))
    found = learners.debias(counts, DRAWS, chances)
    noise = learners.count_noise(DRAWS, chances)
    assert np.all(np.abs(found - np.bincount(codes, minlength=k)) < 6 * noise)
    assert found.sum() == pytest.approx(DRAWS, abs=12 * noise)


def test_the_noise_of_a_count_is_as_stated():
    chances = learners.response_chances(6, 0.8)
    codes = np.full(3000, 5)
    found = [
        learners.debias(
            np.bincount(learners.randomised_response(codes, 6, 0.8, np.random.default_rng(seed)), minlength=6),
            3000,
            chances,
        )[0]
        for seed in range(800)
    ]
    assert np.std(found) == pytest.approx(learners.count_noise(3000, chances), rel=0.1)
    assert abs(np.mean(found)) < 4.5 * np.std(found) / math.sqrt(800)


@pytest.mark.parametrize("name", ["adult", "credit", "german"])
def test_no_two_records_are_farther_apart_than_the_noise_allows_for(name):
    data = datasets.load(name)
    layout = learners.layout(data, data.X_train)
    low, high = data.X_train.min(axis=0), data.X_train.max(axis=0)
    assert low.min() >= -1
    assert high.max() <= 1
    rows = np.column_stack([data.X_train, 2.0 * data.y_train - 1])[:: max(1, len(data.X_train) // 400)]
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert gaps.max() <= layout.diameter
    assert layout.diameter < 2 * gaps.max(), "not far more than is needed"
    assert (layout.codes.max(axis=0) < layout.sizes).all()


def test_records_get_the_noise_that_replacing_one_asks_for():
    X, y = np.zeros((DRAWS // 10, 9)), np.zeros(DRAWS // 10, int)
    noisy = learners.perturb(X, y, 6.0, 1.0, 1e-5, np.random.default_rng(0))
    clean = np.column_stack([X, -np.ones(len(X))])
    expected = 6.0 * accounting.gaussian_noise_multiplier(epsilon=1.0, delta=1e-5)
    assert expected == pytest.approx(6 * 3.73063, rel=1e-4)
    assert (noisy - clean).std() == pytest.approx(expected, rel=0.01)


def test_noise_taken_off_the_moments_gives_the_weights_back():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400_000, 3))
    weights = np.array([0.5, -0.3, 0.0])
    rows = np.column_stack([X, X @ weights + 0.2]) + 0.5 * rng.standard_normal((len(X), 4))
    found = learners.learn_input(rows, 0.5)
    np.testing.assert_allclose(found, [*weights, 0.2], atol=0.02)


def test_the_central_model_is_a_private_training_of_everybody():
    settings = Settings.make(dataset="german", people=750, epsilon=1.5, seeds=2)
    result = privlab.run("where_noise_goes", dataset="german", people=750, epsilon=1.5, seeds=2)
    data = datasets.load("german")
    train = dpsgd.prepare(data)
    sigma = accounting.gaussian_noise_multiplier(epsilon=1.5, delta=DELTA) * math.sqrt(STEPS)
    spent = accounting.epsilon(noise_multiplier=sigma, sampling_rate=1.0, steps=STEPS, delta=DELTA)
    assert spent == pytest.approx(1.5, rel=0.006)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(train, np.full(2, sigma), np.ones(2), 1.0, STEPS)
    weights = dpsgd.train(train, plan, (settings.seed, 0))
    expected = models.score(data, models.batched_losses(data, weights.decision(data.evaluation[0])))
    np.testing.assert_allclose(result.scores["central"][:, result.held], expected, atol=0.005)


def test_a_better_place_and_a_larger_budget_show():
    strict, loose = (privlab.run("where_noise_goes", epsilon=epsilon, people=10_000, seeds=4) for epsilon in (0.5, 8.0))
    for place in ("local", "central"):
        assert loose.scores[place].mean() > strict.scores[place].mean()
    for result in (strict, loose):
        means = {place: result.scores[place].mean() for place in result.scores}
        assert means["none"] >= means["central"] > means["local"] > means["input"]
        assert f"{100 * result.scores['local'][:, result.held].mean():.1f} %" in result.sentence


def test_shares_are_as_far_off_as_the_closed_form_says():
    result = privlab.run("where_noise_goes", view="share", epsilon=0.7, people=3000, seeds=200)
    for place, errors in result.expected.items():
        ratio = result.typical(place) / errors
        assert np.all(np.abs(ratio - 1) < 0.35), place
        assert np.abs(np.mean(ratio) - 1) < 0.15, place
    sizes = result.people / result.people[0]
    np.testing.assert_allclose(result.expected["local"][0] / result.expected["local"], np.sqrt(sizes))
    np.testing.assert_allclose(result.expected["central"][0] / result.expected["central"], sizes)
    keep = math.exp(0.7) / (math.exp(0.7) + 1)
    assert result.expected["local"][0] == pytest.approx(
        100 * math.sqrt(keep * (1 - keep)) / (2 * keep - 1) / math.sqrt(result.people[0])
    )
    needed = 3000 * (result.expected["local"][result.held] / result.expected["central"][result.held]) ** 2
    assert f"{needed:,.0f} people" in result.sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dataset": "german", "people": 751}, r"'people' must be at most 750, .* Got 751\."),
        ({"people": 40_000}, r"'people' must be at most 32,561, .* Got 40,000\."),
        ({"dataset": "digits"}, "'dataset' must be among "),
        ({"dataset": "rand"}, "'dataset' must be among "),
    ],
)
def test_what_cannot_be_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        privlab.run("where_noise_goes", **values)


def test_a_smaller_data_set_takes_all_it_has():
    assert Settings.make(dataset="german").people == 750
    assert Settings.make(Settings.make(people=500), dataset="german").people == 500
    assert where_noise_goes.GRID[0] == 300
