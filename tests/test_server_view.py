"""What the server sees: one person whole, a crowd hardly, masked numbers nothing, and noise as ε asks for."""

import math

import numpy as np
import pytest

import privlab
from privlab import accounting, cards, datasets
from privlab.experiments import _server_attack as attack
from privlab.experiments import server_view
from privlab.experiments.server_view import CARDS, DELTA, PROTECT, Settings


@pytest.fixture(scope="module")
def adult():
    return attack.table(datasets.load("adult"))


@pytest.mark.parametrize("name", ["adult", "credit", "german", "breast_cancer"])
def test_one_person_is_read_whole(name):
    table = attack.table(datasets.load(name))
    people = np.arange(0, len(table.X), max(1, len(table.X) // 200))
    update = attack.gradients(table.X[people, None], table.y[people, None])
    record = update[:, :-1] / update[:, -1:]
    np.testing.assert_allclose(record, table.X[people], atol=1e-6)
    guess = attack.guess(table, update, people=1, others=0, scale=1.0, noise=0.0)
    # A number halfway between two of the grid may be told as either.
    assert table.read(guess, people).mean() > (0.999 if name == "adult" else 0.99)


def test_gradients_are_the_logistic_loss_s(adult):
    X, y = adult.X[:30].astype(float).reshape(3, 10, -1), adult.y[:30].reshape(3, 10)
    ones = np.concatenate([X, np.ones((3, 10, 1))], axis=-1)

    def loss(w, k):
        return np.logaddexp(0, -(2 * y[k] - 1) * (ones[k] @ w)).mean()

    found, step = attack.gradients(X, y), 1e-6
    for j in (0, 7, ones.shape[-1] - 1):
        move = np.zeros(ones.shape[-1])
        move[j] = step
        for k in range(3):
            assert found[k, j] == pytest.approx((loss(move, k) - loss(-move, k)) / (2 * step), abs=1e-8)


def test_without_an_update_the_commonest_value_is_taken(adult):
    people = np.arange(500)
    blind = attack.guess(adult, np.zeros((500, adult.X.shape[1] + 1)), people=1, others=0, scale=1.0, noise=1e9)
    codes, labels = blind
    for column, common in enumerate(adult.priors):
        assert (codes[:, column] == common.argmax()).all()
    assert not labels.any()
    assert 0.4 < adult.read(blind, people).mean() < 0.65


def test_noise_is_what_replacing_a_client_asks_for():
    result = privlab.run("server_view", epsilon=0.8, repeats=2000)
    sigma = accounting.gaussian_noise_multiplier(epsilon=0.8, delta=DELTA)
    assert result.arrived["noise"].std() == pytest.approx(2 * sigma, rel=0.01), "C = 1: two updates are up to 2 apart"
    half = privlab.run("server_view", epsilon=0.8, repeats=500, clip_norm=0.5)
    assert half.arrived["noise"].std() == pytest.approx(sigma, rel=0.02)


def test_enough_noise_is_in_the_sum_even_if_as_many_drop_out_as_may(monkeypatch):
    seen = []
    plain = attack.guess

    def watched(table, vectors, **known):
        seen.append((vectors, known))
        return plain(table, vectors, **known)

    monkeypatch.setattr(attack, "guess", watched)
    privlab.run("server_view", epsilon=0.5, clients=9, repeats=50)
    sigma = accounting.gaussian_noise_multiplier(epsilon=0.5, delta=DELTA)
    vectors, known = seen[4]  # after one masked update, none, masks, noise
    assert known["others"] == 8
    assert known["noise"] * math.sqrt(attack.threshold(9) / 9) == pytest.approx(sigma)
    assert vectors.std() == pytest.approx(known["noise"], rel=0.1)


def test_masked_numbers_are_uniform_and_tell_nothing():
    result = privlab.run("server_view", clients=30, repeats=50)
    numbers = result.arrived["masks"]
    assert len(numbers) == 30 * 50
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    expected = len(numbers) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 19 + 6 * math.sqrt(38)
    assert abs(result.share("one masked") - result.share("guess")) < 0.12


@pytest.mark.parametrize("clients", [3, 4, 10, 40])
def test_the_threshold_is_more_than_half_and_two_thirds(clients):
    assert clients / 2 < attack.threshold(clients) <= clients
    assert attack.threshold(clients) >= 2 * clients / 3


def test_a_crowd_masks_and_noise_bring_the_server_back_to_guessing():
    one, few, many = (privlab.run("server_view", people=people) for people in (1, 2, 30))
    assert one.share("none") > 0.999
    assert one.share("none") > few.share("none") > many.share("none")
    for result in (one, few, many):
        for what in ("masks", "noise", "both"):
            assert abs(result.share(what) - result.share("guess")) < 0.04, what
    loud, faint = (privlab.run("server_view", epsilon=epsilon) for epsilon in (1, 100))
    assert faint.share("noise") > loud.share("noise") + 0.1


def test_the_card_switches_with_the_protection():
    assert set(CARDS) == set(PROTECT)
    for protect in PROTECT:
        result = privlab.run("server_view", protect=protect, repeats=50)
        assert result.card == CARDS[protect]
        assert ("ε" in result.card["the server"]) == (protect in ("noise", "both"))
    assert CARDS["none"]["the server"] != CARDS["masks"]["the server"]


def test_the_attack_is_never_turned_on_one_s_own_people():
    assert set(server_view._shipped()) <= set(cards.SHIPPED)
    with pytest.raises(ValueError, match=r"^'dataset' must be among adult, credit, german, votes, breast_cancer"):
        Settings.make(dataset="digits")


def test_no_person_s_values_are_in_the_results():
    result = privlab.run("server_view", repeats=50)
    assert set(result.frame().columns) == {"attacked", "column", "share read", "people"}
    for share in result.read.values():
        assert share.shape == (len(result.columns),)


def test_intervals_hold_the_share_and_narrow():
    few, many = (privlab.run("server_view", people=3, repeats=repeats) for repeats in (100, 1600))
    assert np.all(many.half("none") < 0.5 * few.half("none"))
    assert np.all(many.half("none") < 0.03)
    inside = np.abs(few.read["none"] - many.read["none"]) < 1.6 * few.half("none")
    assert inside.all()
