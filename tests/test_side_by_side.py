"""Five ways side by side: each is what it says, costs what it says, and is shown in words as well as signs."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import ckks, datasets, encrypted
from privlab.experiments import _side_by_side_ways as ways
from privlab.experiments import side_by_side
from privlab.experiments.side_by_side import WAYS, Picture


@pytest.fixture(scope="module")
def usual():
    return privlab.run("side_by_side", seeds=4)


@pytest.mark.parametrize("epsilon", [0.3, 2.0, 20.0])
@pytest.mark.parametrize("clients", [5, 100, 3000])
def test_masked_rounds_together_spend_epsilon_and_no_more(epsilon, clients):
    plan = ways.noisy(epsilon, clients, 50)
    assert plan.protect == "central"
    assert plan.participation == 1
    assert 0.99 * epsilon <= plan.epsilon(ways.DELTA, clients) <= epsilon * (1 + 1e-6)


def test_every_way_is_trained_and_better_than_always_the_same_answer(usual):
    assert list(usual.scores) == list(WAYS) == list(ways.TRAIN)
    assert usual.progress == 1
    for way, scores in usual.scores.items():
        assert scores.shape == (4,)
        mean, low, high = usual.interval(way)
        assert low < mean < high
        assert mean > usual.floor + 0.02
        assert high - mean > 0.005, "16,281 people leave at least half a point open"
    means = {way: usual.interval(way)[0] for way in WAYS}
    assert means["central"] == pytest.approx(means["federated"], abs=0.01)
    assert means["local"] < means["secure"] < means["federated"]


def test_clients_matter_only_to_the_federated_ways(usual):
    few = privlab.run("side_by_side", seeds=4, clients=10)
    for way in ("central", "local", "encrypted"):
        np.testing.assert_array_equal(few.scores[way], usual.scores[way])
    assert few.scores["secure"].mean() < usual.scores["secure"].mean() - 0.01
    assert few.sent["federated"] == ways.ROUNDS * 10 * 50 * 4
    assert usual.sent["federated"] == ways.ROUNDS * 100 * 50 * 4
    assert usual.sent["secure"] == ways.ROUNDS * (100 + 1) * 3 * 50 * 8


def test_epsilon_matters_only_where_there_is_noise(usual):
    strict = privlab.run("side_by_side", seeds=4, epsilon=0.5)
    for way in ("federated", "encrypted"):
        assert not WAYS[way].private
        np.testing.assert_array_equal(strict.scores[way], usual.scores[way])
    for way in ("central", "local", "secure"):
        assert WAYS[way].private
        assert strict.scores[way].mean() < usual.scores[way].mean()


def test_the_encrypted_way_is_the_polynomial_training_and_dear(usual):
    data = datasets.load("adult")
    X = np.column_stack([data.X_train, np.ones(len(data.X_train))]).astype(float)
    assert np.abs(X).sum(axis=1).max() <= 12
    weights = encrypted.polynomial_training(X, data.y_train.astype(float), ways.STEPS, encrypted.fastest(12), 12)
    test, truth = data.evaluation
    right = np.mean((test @ weights[:-1] + weights[-1] > 0) == truth)
    assert usual.scores["encrypted"] == pytest.approx(right, abs=2e-4)
    assert usual.seconds["encrypted"] > 1000 * usual.seconds["federated"]
    assert 3e10 < usual.sent["encrypted"] < 1e11


def test_without_the_extra_only_the_cost_is_left_out(monkeypatch, usual):
    monkeypatch.setattr(ckks, "find_spec", lambda name: None)
    result = privlab.run("side_by_side", seeds=4)
    np.testing.assert_array_equal(result.scores["encrypted"], usual.scores["encrypted"])
    assert math.isnan(result.seconds["encrypted"])
    assert result.cost("encrypted") == ("not", "installed")
    assert ckks.EXTRA in result.assumptions[-1]
    assert ckks.EXTRA not in " ".join(usual.assumptions)
    assert result.summary()["work"].iloc[-1] == "not"


def test_a_sign_never_stands_without_its_word():
    words = {"●": "every", "◐": "", "◔": "", "○": "nothing"}
    for way in WAYS.values():
        for cell in (way.server, way.model):
            sign, _, said = cell.partition(" ")
            assert said.startswith(words[sign])
            assert len(said) >= 7
        assert ("◔" in way.model) == way.private, "little is told of people exactly where ε bounds it"


def test_the_picture_shows_each_way_as_it_comes(usual):
    picture = Picture(Figure(figsize=Picture.size))
    first = next(item for item in side_by_side.run(usual.settings) if item is not None)
    assert list(first.scores) == ["central"]
    picture.update(first)
    assert picture.rows["central"].dot.get_visible()
    assert not picture.rows["local"].dot.get_visible()
    picture.update(usual)
    for way, row in picture.rows.items():
        assert row.dot.get_visible()
        mean, low, high = usual.interval(way)
        assert row.value.get_text() == f"{100 * mean:.1f}"
        np.testing.assert_allclose(row.line.get_xdata(), [100 * low, 100 * high])
        assert row.cost.get_text() == "\n".join(usual.cost(way))


def test_the_table_for_stakeholders_says_who_sees_what(usual):
    table = usual.summary().set_index("way")
    assert table.loc["encrypted", "whoever runs it sees"] == "○ nothing"
    assert table.loc["trusted office with noise", "must be trusted"].startswith("the office")
    assert table.loc["federated, masks, noise", "protected by ε"] == "one whole client"
    assert not table.isna().any().any()
