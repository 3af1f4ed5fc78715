"""Federated learning: updates are what a client alone would send, sums are noised as accounted, models are good."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import clients, datasets, experiments, federated
from privlab.federated import Plan

SEEDS = [(0, i) for i in range(3)]


@pytest.fixture(scope="module")
def adult():
    return datasets.load("adult")


def rows_of(dataset, split="alike", number=200, skew=0.0, parts=4):
    holdings = clients.deal(dataset, split, number, skew, 0)
    return clients.Rows.make(dataset.X_train, dataset.y_train, holdings, parts, dataset.n_train)


def last(rows, plan, seeds=SEEDS):
    *_, history = federated.train(rows, plan, seeds)
    return history


def accuracy(dataset, weights):
    X, y = dataset.evaluation
    return ((X @ weights[:-1] + weights[-1] > 0) == y[:, None]).mean(axis=0)


@pytest.mark.parametrize("split", clients.SPLITS)
@pytest.mark.parametrize("number", [3, 40])
def test_everybody_is_held_by_one_client_and_kinds_are_those_of_the_column(adult, split, number):
    holdings = clients.deal(adult, split, number, 0.8, 0)
    assert holdings.sizes.sum() == len(adult.X_train)
    assert holdings.owner.max() < number
    np.testing.assert_allclose(holdings.mix.sum(axis=1), 1)
    assert holdings.kind_train.max() < len(holdings.kinds)
    column = {"employer": "workclass", "region": "native-country", "age": "age"}.get(split)
    if column is not None:
        table = adult.raw[column].to_numpy()
        expected = {
            "employer": lambda one: clients._codes(clients.EMPLOYERS)[one],
            "region": lambda one: clients._codes(clients.REGIONS)[one],
            "age": lambda one: sum(float(one) > last_year for last_year in clients.AGES),
        }[split]
        for kind, rows in ((holdings.kind_train, ~adult.is_test), (holdings.kind_test, adult.is_test)):
            np.testing.assert_array_equal(kind, [expected(one) for one in table[rows]])


def test_skew_says_how_much_of_a_client_is_of_its_own_kind(adult):
    for skew in (0.0, 0.5, 1.0):
        holdings = clients.deal(adult, "age", 50, skew, 0)
        shares = np.bincount(holdings.kind_train, minlength=5) / len(adult.X_train)
        table = np.zeros((50, 5))
        np.add.at(table, (holdings.owner, holdings.kind_train), 1)
        table /= table.sum(axis=1, keepdims=True)
        own = table[np.arange(50), holdings.mix.argmax(axis=1)] if skew else table[:, 0]
        expected = skew + (1 - skew) * (shares[holdings.mix.argmax(axis=1)] if skew else shares[0])
        np.testing.assert_allclose(own, expected, atol=0.06)


def test_labels_of_one_client_are_as_correlated_as_the_skew_says(adult):
    for skew in (0.1, 0.4):
        mix = clients.deal(adult, "labels", 4000, skew, 0).mix[:, 1]
        share = adult.y_train.mean()
        assert mix.mean() == pytest.approx(share, abs=0.03)
        assert mix.var() / (share * (1 - share)) == pytest.approx(skew, rel=0.1)


def test_a_split_the_data_does_not_have_is_refused(adult):
    with pytest.raises(ValueError, match=r"^'split' must be among alike, age, labels. Got 'region'"):
        clients.deal(datasets.load("german"), "region", 3, 0.0, 0)


@pytest.mark.parametrize("algorithm", ["fedavg", "fedsgd"])
def test_an_update_is_what_the_client_alone_would_send(adult, algorithm):
    rows = rows_of(adult, "labels", 30, 0.6)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(rows.width, 2)).astype(np.float32) / 4
    plan = Plan(algorithm=algorithm, local_epochs=2, learning_rate=0.7)
    together = federated.local_updates(rows, weights, plan)
    holdings = clients.deal(adult, "labels", 30, 0.6, 0)
    for one in (0, 17):
        X = np.column_stack([adult.X_train, np.ones(len(adult.X_train))])[holdings.owner == one].astype(float)
        y = adult.y_train[holdings.owner == one]
        w = weights[:, 1].astype(float)
        batches = [slice(p, None, 4) for p in range(4)] * 2 if algorithm == "fedavg" else [slice(None)]
        for batch in batches:
            A, b = X[batch], y[batch]
            w = w - 0.7 * A.T @ (1 / (1 + np.exp(-A @ w)) - b) / len(b)
        np.testing.assert_allclose(together[one, :, 1], w - weights[:, 1], atol=2e-5)
        np.testing.assert_allclose(
            federated.local_updates(rows.only([one]), weights, plan)[0], together[one], atol=2e-5
        )


def test_a_client_without_rows_sends_nothing():
    data = datasets.load("german")
    owner = np.zeros(len(data.X_train), int)
    holdings = clients.Holdings(owner, ("all",), owner, owner, np.ones((2, 1)))
    rows = clients.Rows.make(data.X_train, data.y_train, holdings)
    updates = federated.local_updates(rows, np.ones((rows.width, 1), np.float32), Plan())
    assert not updates[1].any()
    assert updates[0].any()


def test_alike_clients_learn_what_all_the_data_in_one_place_would(adult):
    pooled = rows_of(adult, number=1, parts=20)
    *_, model = federated.alone(pooled, 20)
    target = accuracy(adult, model.T)[0]
    assert target > 0.845
    for plan in (Plan(), Plan(participation=0.2, local_epochs=3, dropout=0.3)):
        found = accuracy(adult, last(rows_of(adult), plan).models[-1])
        assert np.all(np.abs(found - target) < 0.005)


def test_fedsgd_with_everybody_is_a_step_on_all_the_data(adult):
    rows, pooled = rows_of(adult), rows_of(adult, number=1)
    plan = Plan(algorithm="fedsgd", rounds=3, cap=1000)  # every client weighs as much as it has rows
    one = last(pooled, replace(plan, cap=0), SEEDS[:1])
    np.testing.assert_allclose(last(rows, plan, SEEDS[:1]).weights, one.weights, atol=1e-5)


def test_the_sum_has_noise_once_a_round_and_a_fixed_divisor(adult):
    rows = rows_of(adult, number=50)
    plan = Plan(
        protect="central",
        participation=0.3,
        dropout=0.4,
        rounds=4,
        clip_norm=0.2,
        noise_multiplier=1.5,
        server_rate=0.5,
    )
    history = last(rows, plan, SEEDS[:1])
    come = federated.answered(plan, 50, SEEDS[0])
    noise = federated.server_noise(plan, rows.width, SEEDS[0])
    for step in range(4):
        sent = federated.clipped(federated.local_updates(rows, history.weights[step], plan), plan)[come[step], :, 0]
        assert np.linalg.norm(sent, axis=1).max() <= 0.2 * (1 + 1e-5)
        moved = 0.5 * (sent.sum(axis=0) + noise[step]) / (0.3 * 50)
        np.testing.assert_allclose(history.weights[step + 1, :, 0] - history.weights[step, :, 0], moved, atol=1e-5)
    draws = federated.server_noise(replace(plan, rounds=5000), rows.width, (1, 2))
    assert draws.std() == pytest.approx(1.5 * 0.2, rel=0.01)


def test_an_empty_round_gets_its_noise(adult):
    rows = rows_of(adult, number=5)
    plan = Plan(protect="central", participation=0.5, dropout=0.999, rounds=2, noise_multiplier=2.0)
    history = last(rows, plan, [(3, 4)])
    assert history.reports.sum() == 0
    expected = federated.server_noise(plan, rows.width, (3, 4))[0] / 2.5
    np.testing.assert_allclose(history.weights[1, :, 0], expected, rtol=1e-5)


def test_weights_are_capped_and_the_divisor_stays_public(adult):
    rows = rows_of(adult, "region", 10, 1.0)
    plan = Plan(protect="central", cap=2000, noise_multiplier=1.0)
    weight = federated.weigh(rows.sizes, plan)
    assert weight.max() == 1
    assert weight.min() == pytest.approx(rows.sizes.min() / 2000)
    assert federated.divisor(plan, 10, 32561, 3.0) == federated.divisor(plan, 10, 32561, 9.0) == 10
    assert federated.divisor(replace(plan, cap=4000), 10, 32561, 3.0) == pytest.approx(32561 / 4000)
    assert federated.divisor(replace(plan, protect="none"), 10, 32561, 3.0) == 3.0
    assert (federated.weigh(rows.sizes, replace(plan, protect="local")) == 1).all(), "sizes are private"


def test_local_noise_is_on_each_update_and_reports_are_bounded(adult):
    rows = rows_of(adult, number=20)
    plan = Plan(protect="local", participation=0.5, rounds=30, clip_norm=0.1).calibrated(4.0, 1e-5, 20)
    come = federated.answered(plan, 20, SEEDS[0])
    most = plan.most_reports
    assert 15 < most < 30
    many = federated.joined(plan, 2000, SEEDS[0]).sum(axis=0)
    assert many.max() == most
    assert federated.joined(replace(plan, protect="central"), 2000, SEEDS[0]).sum(axis=0).max() > most
    history = last(rows, plan, SEEDS[:1])
    sent = federated.clipped(federated.local_updates(rows, history.weights[0], plan), plan)[..., 0]
    noisy = sent + federated.local_noise(plan, 20, rows.width, SEEDS[0], 0)
    np.testing.assert_allclose(history.weights[1, :, 0], noisy[come[0]].mean(axis=0), atol=1e-5)
    assert federated.local_noise(plan, 2000, rows.width, (0,), 1).std() == pytest.approx(
        0.1 * plan.noise_multiplier, rel=0.02
    )


@pytest.mark.parametrize(("participation", "rounds", "epsilon"), [(0.2, 50, 2.0), (0.05, 200, 1.0), (1.0, 30, 4.0)])
def test_a_client_s_epsilon_is_dp_accounting_s(participation, rounds, epsilon):
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    plan = Plan(protect="central", participation=participation, rounds=rounds).calibrated(epsilon, 1e-5, 500)
    event = dp_accounting.PoissonSampledDpEvent(participation, dp_accounting.GaussianDpEvent(plan.noise_multiplier))
    reference = PLDAccountant(value_discretization_interval=1e-4).compose(event, rounds).get_epsilon(1e-5)
    assert reference <= epsilon
    assert plan.epsilon(1e-5, 500) <= epsilon
    assert reference == pytest.approx(epsilon, rel=0.01)


def test_fixed_cohorts_have_books_of_their_own():
    coins = Plan(protect="central", participation=0.2).calibrated(2.0, 1e-5, 200)
    fixed = Plan(protect="central", participation=0.2, cohort="fixed").calibrated(2.0, 1e-5, 200)
    assert fixed.noise_multiplier > 1.5 * coins.noise_multiplier, "replacing a client moves the sum by twice as much"
    assert fixed.epsilon(1e-5, 200) <= 2.0
    assert fixed.epsilon(1e-5, 200) > 1.98
    for epsilon in (20.0,):
        plan = Plan(protect="central", participation=0.1, cohort="fixed", rounds=10).calibrated(epsilon, 1e-5, 200)
        assert 0.98 * epsilon < plan.epsilon(1e-5, 200) <= epsilon
    assert replace(coins, cohort="fixed").epsilon(1e-5, 200) > 3
    assert (federated.joined(fixed, 200, (0,)).sum(axis=1) == 40).all()
    assert len(set(federated.joined(coins, 200, (0,)).sum(axis=1))) > 5


def test_local_noise_upholds_epsilon_for_the_most_reports():
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    plan = Plan(protect="local", participation=0.3, rounds=20).calibrated(3.0, 1e-5, 100)
    # Any two clipped updates are up to 2C apart.
    event = dp_accounting.GaussianDpEvent(plan.noise_multiplier / 2)
    spent = PLDAccountant(value_discretization_interval=1e-4).compose(event, plan.most_reports).get_epsilon(1e-5)
    assert spent == pytest.approx(3.0, rel=0.005)
    assert plan.epsilon(1e-5, 100) == pytest.approx(3.0, rel=1e-5)


def test_without_protection_epsilon_is_infinite_and_delta_is_checked():
    assert Plan().epsilon(1e-5, 100) == math.inf
    assert Plan(protect="central").epsilon(1e-5, 100) == math.inf
    with pytest.raises(ValueError, match=r"^'delta' must be in \(0, 1/clients = 0.01\). Got 0.01"):
        Plan(protect="central").calibrated(1.0, 0.01, 100)


def test_coins_are_independent_and_the_same_at_every_epsilon():
    plan = Plan(participation=0.3, rounds=2000)
    come = federated.joined(plan, 50, (0,))
    assert come.mean() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / 1e5))
    count = come.sum(axis=1)
    assert count.var() == pytest.approx(50 * 0.21, rel=0.2), "not a cohort of fixed size"
    np.testing.assert_array_equal(come, federated.joined(replace(plan, noise_multiplier=3.0), 50, (0,)))
    stayed = federated.answered(replace(plan, dropout=0.25), 50, (0,))
    assert stayed.sum() / come.sum() == pytest.approx(0.75, abs=0.02)
    assert not (stayed & ~come).any()


def test_models_are_means_of_the_later_half_and_bytes_are_counted(adult):
    rows = rows_of(adult, number=10)
    history = last(rows, Plan(rounds=7, participation=0.5), SEEDS)
    assert history.weights.shape == (8, rows.width, 3)
    np.testing.assert_allclose(history.models[-1], history.weights[4:].mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(history.models[0], history.weights[1])
    np.testing.assert_array_equal(history.bytes()[-1], 4 * rows.width * history.reports.sum(axis=0))


def test_pulls_are_the_distances_from_the_mean(adult):
    rows = rows_of(adult, "employer", 8, 1.0)
    plan = Plan(rounds=3)
    history = last(rows, plan, SEEDS[:1])
    each = [federated.local_updates(rows, w, plan)[..., 0] for w in history.weights[:-1]]
    pull = np.mean([one - one.mean(axis=0) for one in each], axis=0)
    groups = np.array([0, 0, 0, 0, 0, 1, 2, 3])
    expected = [np.linalg.norm(pull[groups == g].mean(axis=0)) for g in range(4)]
    np.testing.assert_allclose(history.drift(groups)[:, 0], expected, rtol=1e-3)


def test_the_server_walks_slower_where_the_noise_is_loud():
    plan = Plan(protect="central", noise_multiplier=1.0)
    assert plan.paced(200, 50).server_rate == 1
    loud = replace(plan, noise_multiplier=400.0).paced(200, 50)
    assert loud.server_rate == pytest.approx(federated.PACE / (400 * math.sqrt(50) / 200))
    assert replace(loud, server_rate=1.0, protect="local").paced(200, 50).server_rate < loud.server_rate


def test_what_is_not_finite_is_refused():
    data = datasets.load("german")
    X = data.X_train.copy()
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"^'X' and 'y' must be finite"):
        clients.Rows.make(X, data.y_train, clients.deal(data, "alike", 3, 0.0, 0))


@pytest.mark.parametrize("protect", ["none", "central", "local"])
def test_fifty_rounds_of_two_hundred_clients_take_a_second_at_most(adult, protect):
    rows = rows_of(adult, "employer", skew=0.8)
    plan = Plan(rounds=50, protect=protect).calibrated(8.0, 1e-5, 200)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(last(rows, plan, [(0, 0)]).reports) == 50
        taken.append(time.perf_counter() - start)
    assert min(taken) <= 1


def test_the_panel_s_curve_is_a_training_of_its_settings():
    result = privlab.run("federated", dataset="german", clients=30, epsilon=3, seeds=3, participation=0.5, rounds=12)
    data = datasets.load("german")
    holdings = clients.deal(data, "labels", 30, 0.8, 0)
    rows = clients.Rows.make(data.X_train, data.y_train, holdings, 4, data.n_train)
    plan = Plan(rounds=12, participation=0.5, protect="central", clip_norm=0.3).calibrated(3.0, 1e-5, 30)
    plan = plan.paced(30, rows.width)
    assert result.plan == plan
    assert plan.epsilon(1e-5, 30) <= 3
    X, y = data.evaluation
    for seed in range(3):
        models = last(rows, plan, [(0, seed)]).models[..., 0]
        expected = [((X @ w[:-1] + w[-1] > 0) == y).mean() for w in models]
        np.testing.assert_allclose(result.scores[seed], expected, atol=0.005)


def test_the_panel_tells_each_kind_apart():
    result = privlab.run("federated", protect="none", seeds=2, clients=40, split="age", skew=1)
    data = datasets.load("adult")
    assert result.people.sum() == len(data.X_train)
    held = np.bincount(clients.deal(data, "age", 40, 1.0, 0).kind_test) / len(data.evaluation[0])
    assert held @ result.right.mean(axis=0) == pytest.approx(result.scores[:, -1].mean(), abs=1e-6)
    assert result.clients_right.shape == result.clients_alone.shape == (40,)
    np.testing.assert_allclose(result.clients_right, result.right.mean(axis=0)[result.groups])
    alike = privlab.run("federated", protect="none", seeds=2, clients=40, split="age", skew=0)
    assert result.drift.mean() > 2 * np.nanmax(alike.drift)
    assert alike.references.pooled == result.references.pooled > alike.references.alone.mean()


def test_a_first_result_is_honest_and_comes_before_the_last():
    found = [one for one in experiments.get("federated").run(federated_settings(seeds=3)) if one is not None]
    assert found[0].progress < found[-1].progress == 1
    assert found[0].scores.shape[1] <= found[-1].scores.shape[1] == 60
    np.testing.assert_allclose(found[0].scores[0], found[-1].scores[0, : found[0].scores.shape[1]])
    assert not len(found[0].references.alone) or found[0].references.alone.shape == (200,)


def federated_settings(**values):
    return experiments.get("federated").Settings.make(**values)


def test_noise_and_skew_cost_accuracy():
    free, loud = (privlab.run("federated", protect=p, epsilon=0.2, clients=50, seeds=4) for p in ("none", "central"))
    assert free.scores[:, -1].mean() > loud.scores[:, -1].mean() + 0.03
    assert f"(ε = {free.settings.epsilon:.3g} plays no part)" in free.sentence
    local = privlab.run("federated", protect="local", epsilon=8, seeds=4)
    assert local.scores[:, -1].mean() < privlab.run("federated", epsilon=8, seeds=4).scores[:, -1].mean() - 0.005
    assert "on each update" in local.sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dataset": "german", "clients": 751}, r"'clients' must be at most 750, .* Got 751\."),
        ({"dataset": "credit", "split": "region"}, r"'split' must be among .* on 'credit'\. Got 'region'"),
        ({"dataset": "digits"}, "'dataset' must be among "),
    ],
)
def test_what_the_data_do_not_have_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        privlab.run("federated", **values)


def test_a_smaller_data_set_takes_what_it_has():
    made = federated_settings(dataset="german")
    assert made.split == "labels"
    assert made.clients == 200
    most = datasets.card("breast_cancer").n_train
    assert type(made).make(federated_settings(clients=700), dataset="breast_cancer").clients == most


def test_capped_weights_are_public():
    plan = federated_settings(weights="capped", clients=10, split="region", skew=1).plan()
    assert plan.cap == math.ceil(2 * 32561 / 10)


@pytest.mark.parametrize("view", ["rounds", "clients"])
@pytest.mark.parametrize("values", [{}, {"protect": "local", "epsilon": 0.1}, {"split": "labels", "skew": 1}])
def test_pictures_show_what_was_found(view, values):
    result = privlab.run("federated", view=view, seeds=4, rounds=20, **values)
    picture = experiments.get("federated").Picture(Figure(figsize=(6.8, 4.7)))
    assert picture.update(result)
    assert not picture.update(result)
    if view == "rounds":
        x, y = picture.rounds.line.get_data()
        np.testing.assert_array_equal(x, np.arange(1, 21))
        np.testing.assert_allclose(y, 100 * result.curve.mean)
        assert picture.rounds.levels["pooled"].get_ydata()[0] == pytest.approx(100 * result.references.pooled)
    else:
        assert len(picture.kinds.dots.get_data()[0]) == len(result.kinds)
        np.testing.assert_allclose(picture.kinds.dots.get_data()[0], 100 * result.right.mean(axis=0))
        for k, bar in enumerate(picture.kinds.pulls[: len(result.kinds)]):
            assert bar.get_data()[0][1] == pytest.approx(min(result.drift.mean(axis=0)[k], picture.kinds.longest))
            assert np.diff(picture.kinds.doubts[k].get_data()[0])[0] > 0
