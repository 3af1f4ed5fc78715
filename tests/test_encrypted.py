"""Encrypted computations: bounds hold and mean something, parameters are safe, and keys stay where they are."""

import base64
import copy
import json
import pickle
import tempfile
import time

import ipywidgets
import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import ckks, datasets, encrypted
from privlab.ckks import KeyHolder, Parameters, Server
from privlab.experiments import _encrypted_tasks as tasks
from privlab.experiments import _encrypted_words as words
from privlab.experiments import encrypted as encrypted_experiment

ROWS = 300


def first_on_ciphertexts(**values):
    """The first result with the chosen ciphertexts in it."""
    found = encrypted_experiment.run(encrypted_experiment.Settings.make(**values))
    return next(result for result in found if result is not None and result.held)


def people(rows=ROWS):
    """Adult's numbers with a constant (rows, 6), and labels (rows,)."""
    data = datasets.load("adult")
    X = data.X_train[:rows, [0, 10, 46, 47, 48]].astype(float)
    return np.column_stack([X, np.ones(rows)]), data.y_train[:rows].astype(float)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).normal(size=6)


@pytest.mark.parametrize(("degree", "scale_bits"), [(4096, 22), (4096, 29), (8192, 40), (16384, 50)])
def test_an_encrypted_prediction_keeps_its_bound_which_is_near(degree, scale_bits, weights):
    X, _ = people(100)
    found = encrypted.finish(encrypted.inference(Parameters(degree, scale_bits, 1), X, weights))
    worst = np.abs(found.values - X @ weights).max()
    assert found.values.shape == (100,)
    assert worst < found.bound < 15 * worst
    assert found.client > 0
    assert found.server > 0


@pytest.mark.parametrize("small", [0.0, 1e-30, -1e-9, 2.0**-27])
def test_weights_of_next_to_nothing_keep_the_bound(small):
    X, _ = people(20)
    weights = np.full(6, small)
    found = encrypted.finish(encrypted.inference(Parameters(4096, 26, 1), X, weights))
    assert np.abs(found.values - X @ weights).max() < found.bound


@pytest.mark.parametrize(("degree", "scale_bits"), [(4096, 22), (8192, 34), (16384, 50)])
def test_an_encrypted_sum_keeps_its_bound_which_is_near(degree, scale_bits):
    updates = np.random.default_rng(1).uniform(-1, 1, (20, 100))
    found = encrypted.finish(encrypted.encrypted_sum(Parameters(degree, scale_bits, 0), updates))
    worst = np.abs(found.values - updates.sum(axis=0)).max()
    assert found.values.shape == (100,)
    assert worst < found.bound < 12 * worst


@pytest.mark.parametrize(("degree", "scale_bits"), [(8192, 24), (8192, 29), (16384, 40)])
def test_encrypted_steps_are_the_plain_ones_up_to_their_bound(degree, scale_bits):
    X, y = people()
    found = encrypted.finish(encrypted.training(Parameters(degree, scale_bits, 4), X, y, 3, 1.5, 6))
    plain = encrypted.polynomial_training(X, y, 3, 1.5, 6)
    worst = np.abs(found.values - plain).max()
    assert worst < found.bound < 1000 * worst
    assert found.bound < 5e-3
    assert np.abs(plain).max() > 0.2, "something was learned"


def test_what_tenseal_takes_for_the_scale_is_divided_out():
    """Without the factors of the primes the weights would be off by far more than the bound."""
    p = Parameters(8192, 29, 4)
    keys = KeyHolder(p)
    server = Server(keys.server_context(), rescale=True)
    one, product = np.full(p.slots, 1.0), server.load(keys.encrypt(np.full(p.slots, 1.0)))
    assert all(1 < factor < 1.002 for factor in p.drift)
    for k in range(4):
        product = product * server.load(keys.encrypt(one))
        expected = np.prod(p.drift[: k + 1])
        assert keys.decrypt(product.serialize()).mean() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("degree", [4096, 8192, 16384])
def test_the_noise_of_a_fresh_ciphertext_is_as_stated(degree):
    p = Parameters(degree, 30, 0)
    keys = KeyHolder(p)
    values = np.random.default_rng(2).uniform(-1, 1, p.slots)
    off = np.concatenate([keys.decrypt(keys.encrypt(values)) - values for _ in range(8)])
    assert off.std() == pytest.approx(np.hypot(p.noise, p.rounding), rel=0.05)


@pytest.mark.parametrize("degree", [4096, 8192, 16384])
def test_one_bit_more_is_refused_here_and_by_seal(degree):
    import tenseal as ts

    most = ckks.MOST_BITS[degree]
    for levels in (0, 1, 4):
        room = [bits for bits in range(22, 51) if sum(chain(bits, levels)) <= most]
        for bits in range(22, 51):
            if bits in room:
                assert Parameters(degree, bits, levels).bits <= most
            else:
                with pytest.raises(ValueError, match=f"'scale_bits' must leave the primes at most {most} bits"):
                    Parameters(degree, bits, levels)
    assert ts.context(ts.SCHEME_TYPE.CKKS, degree, -1, [*split(most - 30), 30], n_threads=1).is_private()
    with pytest.raises(ValueError, match="encryption parameters are not set correctly"):
        ts.context(ts.SCHEME_TYPE.CKKS, degree, -1, [*split(most - 30), 31])


def chain(bits, levels):
    first = min(60, bits + 20)
    return [first, *[bits] * levels, 30 if levels < 2 else first]


def split(bits):
    """Primes of at most 60 bits each that make so many together."""
    parts = -(-bits // 60)
    return [bits // parts + (k < bits % parts) for k in range(parts)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((2048, 30, 0), "'degree' must be among 4096, 8192, 16384. Got 2048."),
        ((8192, 21, 0), r"'scale_bits' must be in \[22, 50\]. Got 21."),
        ((8192, 51, 0), r"'scale_bits' must be in \[22, 50\]. Got 51."),
    ],
)
def test_parameters_out_of_range_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Parameters(*given)


def test_the_primes_are_primes():
    found = [n for n in range(43, 2000) if n % 2 and ckks._is_prime(n)]
    assert found == [n for n in range(43, 2000) if all(n % k for k in range(2, int(n**0.5) + 1))]
    assert not ckks._is_prime(3_215_031_751)  # fools the bases 2, 3, 5 and 7


@pytest.mark.parametrize("levels", [0, 1, 4])
def test_a_server_holds_no_secret_key_and_opens_nothing(levels):
    keys = KeyHolder(Parameters(8192, 29, levels))
    context = keys.server_context()
    server = Server(context, rescale=levels > 1)
    assert not server._context.has_secret_key()
    assert not server._context.is_private()
    sealed = server.load(keys.encrypt(np.arange(5.0)))
    for attempt in (sealed.decrypt, server._context.secret_key):
        with pytest.raises(ValueError, match=r"(s|S)ecret"):
            attempt()
    np.testing.assert_allclose(keys.decrypt(sealed.serialize())[:5], np.arange(5.0), atol=1e-4)
    if levels < 2:
        assert len(context) < 200, "no key of any kind"


def test_a_context_with_a_secret_key_is_no_server_s():
    keys = KeyHolder(Parameters(4096, 25, 0))
    whole = keys._context.serialize(save_public_key=False, save_secret_key=True, save_galois_keys=False)
    assert len(whole) > len(keys.server_context()) + 10_000
    with pytest.raises(ValueError, match="'context' must hold no secret key"):
        Server(whole)


def test_keys_are_neither_pickled_nor_shown():
    keys = KeyHolder(Parameters(4096, 25, 0))
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="must stay in memory"):
            attempt(keys)
    assert repr(keys) == "KeyHolder(Parameters(degree=4096, scale_bits=25, levels=0))"


def test_no_key_reaches_widgets_logs_or_disk(monkeypatch, tmp_path, caplog, capfd):
    """A panel's keys are looked for in all that a saved notebook would hold, in what was said, and in new files."""
    made = []

    class Watched(KeyHolder):
        def __init__(self, parameters):
            super().__init__(parameters)
            parts = {"save_public_key": False, "save_galois_keys": False, "save_relin_keys": False}
            with_key, without = (self._context.serialize(save_secret_key=one, **parts) for one in (True, False))
            made.append(with_key[len(without) + 64 :])

    monkeypatch.setattr(encrypted, "KeyHolder", Watched)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    panel = privlab.explore("encrypted", seeds=1, degree="8192").wait()
    said = capfd.readouterr()
    state = ipywidgets.Widget.get_manager_state()["state"]
    states = json.dumps(state)
    bodies = b"".join(base64.b64decode(part["data"]) for one in state.values() for part in one.get("buffers", ()))
    panel.close()
    assert "bits kept" in states
    assert min(map(len, made)) > 10_000, "there were keys"
    text = states + caplog.text + said.out + said.err
    for key in made:
        for start in range(0, 4000, 500):
            piece = key[start : start + 24]
            assert piece not in bodies
            for form in (piece.hex(), base64.b64encode(piece).decode(), str(list(piece))[1:-1], repr(piece)[2:-1]):
                assert form not in text
    assert not list(tmp_path.rglob("*"))


def test_another_holder_s_key_does_not_open():
    one, other = (KeyHolder(Parameters(4096, 25, 0)) for _ in range(2))
    values = np.linspace(-1, 1, 50)
    assert np.abs(other.decrypt(one.encrypt(values))[:50] - values).max() > 100


def test_steps_that_might_drive_errors_apart_are_refused():
    X, y = people(20)
    with pytest.raises(ValueError, match=r"'rate' must be in \(0, 2.22\]. Got 2.3."):
        encrypted.finish(encrypted.training(Parameters(8192, 29, 4), X, y, 1, 2.3, 6))


def test_the_polynomial_is_near_the_sigmoid_and_rises_to_its_reach():
    a, b, error = encrypted.sigmoid_polynomial()
    z = np.linspace(-8, 8, 5001)
    assert np.abs(0.5 + a * z + b * z**3 - 1 / (1 + np.exp(-z))).max() == pytest.approx(error, rel=1e-3)
    assert error < 0.12
    inside = np.abs(z) < encrypted.reach()
    slope = a + 3 * b * z**2
    assert (slope[inside] >= 0).all()
    assert slope.max() <= a * (1 + 1e-6)
    assert (slope[~inside] <= 0).all()
    assert 5 < encrypted.reach() < 8


def test_weights_stay_where_the_polynomial_rises():
    X, y = np.ones((50, 4)), np.ones(50)
    weights = encrypted.polynomial_training(X, y, 300, 2.0, 4)
    assert np.abs(X @ weights).max() <= encrypted.reach() * (1 + 1e-12)


def test_shares_add_up_exactly_and_say_nothing_apart(monkeypatch):
    updates = np.random.default_rng(3).normal(size=(40, 500))
    passed = []
    monkeypatch.setattr(encrypted.Meter, "passed", lambda self, message: passed.append(message) or message)
    found = encrypted.shared_sum(updates)
    exact = np.round(updates * 2.0**32).astype(np.int64).sum(axis=0) / 2.0**32
    np.testing.assert_array_equal(found.values, exact)
    assert np.abs(found.values - updates.sum(axis=0)).max() < found.bound
    messages = [np.frombuffer(one, np.uint64).reshape(-1) for one in passed[: 3 * 40]]
    for server in range(3):  # 20,000 shares in each of 16 equal parts of their range: chi-square, 15 degrees of freedom
        counts = np.bincount((np.concatenate(messages[server::3]) >> 60).astype(int), minlength=16)
        assert ((counts - 1250.0) ** 2 / 1250).sum() < 60
    assert found.values.shape == (500,)


def test_paillier_adds_up_exactly(monkeypatch):
    monkeypatch.setattr(encrypted, "PAILLIER_BITS", 1024)
    updates = np.random.default_rng(4).normal(size=(7, 40))
    found = encrypted.paillier_sum(updates.tolist())
    np.testing.assert_array_equal(found.values, np.round(updates * 2.0**32).astype(np.int64).sum(axis=0) / 2.0**32)
    assert found.sent == (7 + 1) * 3 * 256, "18 numbers in a plain text, so 3 ciphertexts"


@pytest.mark.parametrize(
    ("scheme", "coding"),
    [(encrypted.shared_sum, encrypted.SHARED), (lambda u: encrypted.paillier_sum(u.tolist()), encrypted.PACKED)],
)
def test_the_largest_numbers_still_add_up_and_larger_ones_are_refused(monkeypatch, scheme, coding):
    monkeypatch.setattr(encrypted, "PAILLIER_BITS", 1024)
    most = coding.largest(3)
    for sign in (-1, 1):
        updates = np.full((3, 2), sign * most)
        np.testing.assert_allclose(scheme(updates).values, updates.sum(axis=0), rtol=1e-12)
    with pytest.raises(ValueError, match="'values' must be finite and in"):
        scheme(np.full((3, 2), 1.01 * most))


def test_more_clients_than_a_packed_number_has_room_for_are_refused():
    with pytest.raises(ValueError, match=r"'updates' must be of at most 256 clients\. Got 257\."):
        encrypted.paillier_sum(np.zeros((257, 1)).tolist())


def test_without_the_extra_the_error_says_which_command_adds_it(monkeypatch):
    monkeypatch.setattr(ckks, "find_spec", lambda name: None)
    assert not ckks.available()
    wanted = r"'tenseal' is not installed. This adds it: python -m pip install -c requirements.lock -e "
    with pytest.raises(ckks.MissingExtraError, match=wanted) as error:
        KeyHolder(Parameters(4096, 25, 0))
    assert '".[encrypted]"' in str(error.value)
    with pytest.raises(ckks.MissingExtraError, match="'phe' is not installed"):
        encrypted.paillier_sum([[1.0]])


def test_the_experiment_measures_what_it_says_and_keeps_every_bound():
    result = privlab.run("encrypted", count=60, scale_bits=30, degree="8192", seeds=2)
    assert {key: len(costs) for key, costs in result.rows.items()} == {
        ("plain", 0): 2,
        ("ckks", 8192): 2,
        ("ckks", 16384): 1,
    }
    assert result.why_not("ckks", 4096) == "no room at 128-bit security"
    for cost in result.costs:
        assert cost.error < cost.bound or cost.way == "plain"
        assert cost.seconds > 0
    assert result.same
    assert "All decisions are the same." in result.sentence
    plain, small, large = (result.rows[key][0].sent for key in result.rows)
    assert plain == 8 * 60 * 50 + 8 * 60
    assert 1.8 < large / small < 2.2, "twice the ring, twice the bytes"
    assert result.summary()["stated bound"].iloc[1] == result.held[0].bound
    assert ckks.EXTRA not in " ".join(result.assumptions)


def test_the_model_that_predicts_is_adult_s():
    data = datasets.load("adult")
    weights = encrypted.finish(tasks.trained())
    right = (tasks.with_constant(data.evaluation[0]) @ weights > 0) == data.evaluation[1]
    assert right.mean() > 0.84


def test_more_people_cost_the_same():
    few, many = (first_on_ciphertexts(count=count).held[0].sent for count in (10, 1000))
    assert many == pytest.approx(few, rel=0.02)


@pytest.mark.usefixtures("in_this_process")
def test_a_sum_is_added_up_in_every_way(monkeypatch):
    monkeypatch.setattr(encrypted, "PAILLIER_BITS", 1024)
    result = privlab.run("encrypted", task="sum", seeds=1)
    assert [key for key, _ in result.rows] == ["plain", "shares", "paillier", "ckks", "ckks", "ckks"]
    assert result.settings.count == 20, "the usual number of clients"
    assert all(cost.error < cost.bound for cost in result.costs if cost.way != "plain")
    shares, paillier = result.rows["shares", 0][0], result.rows["paillier", 0][0]
    assert shares.error == paillier.error, "both round to the same multiples"
    assert tasks.client_updates(20).shape == (20, 100)
    many = first_on_ciphertexts(task="sum", count=51)
    assert many.why_not("paillier") == "not above 50 clients"


def test_updates_are_those_of_the_clients_own_people():
    data = datasets.load("adult")
    updates = tasks.client_updates(1).reshape(50, 2)
    expected = data.X_train.astype(float).T @ (0.5 - np.eye(2)[data.y_train.astype(int)]) / len(data.X_train)
    np.testing.assert_allclose(updates[:-1], expected, rtol=1e-9)
    assert np.abs(tasks.client_updates(30)).max() < 1


def test_training_has_no_room_in_the_smallest_ring():
    settings = encrypted_experiment.Settings.make(task="training")
    result = next(item for item in encrypted_experiment.run(settings) if item is not None)
    assert result.held == ()
    assert "there is no room at 128-bit security for training steps at N = 4,096. Take a larger N." in result.sentence
    settings = encrypted_experiment.Settings.make(scale_bits=40)
    result = next(item for item in encrypted_experiment.run(settings) if item is not None)
    assert "for predictions at N = 4,096. Take a larger N or keep fewer bits." in result.sentence
    larger = first_on_ciphertexts(task="training", degree="8192")
    assert larger.held[0].error < larger.held[0].bound < 1e-3
    assert "A training of 150 steps would take" in larger.sentence


@pytest.mark.parametrize("task", ["inference", "sum", "training"])
def test_without_the_extra_the_experiment_still_runs_and_says_so(monkeypatch, task):
    monkeypatch.setattr(ckks, "find_spec", lambda name: None)
    result = privlab.run("encrypted", task=task)
    assert {cost.way for cost in result.costs} == {"plain", "shares"} - ({"shares"} if task != "sum" else set())
    assert result.progress == 1
    assert f"CKKS is not installed. This adds it: {ckks.EXTRA}" in result.sentence
    assert ckks.EXTRA in result.assumptions[-1]
    picture = encrypted_experiment.Picture(Figure(figsize=encrypted_experiment.Picture.size))
    picture.update(result)
    notes = [row.note.get_text() for row in picture.rows]
    assert notes.count("not installed") == (4 if task == "sum" else 3)


def test_results_hold_numbers_and_settings_alone():
    result = first_on_ciphertexts()
    kinds = {type(value) for cost in result.costs for value in vars(cost).values()}
    assert kinds == {str, int, float}
    assert set(vars(result)) - {"rows"} == {"settings", "costs", "same", "progress"}
    assert len(pickle.dumps(result)) < 5000, "the smallest key has 80,000 bytes"
    assert set(result.settings.as_dict()) == {"count", "scale_bits", "degree", "task", "seeds"}


def test_pieces_of_work_are_short():
    """In CPU time, for the machine may be busy: nothing holds its caller for long."""
    pieces, start = [], time.thread_time()
    for _ in encrypted_experiment.run(encrypted_experiment.Settings.make(seeds=1)):
        pieces.append(time.thread_time() - start)
        start = time.thread_time()
    assert np.quantile(pieces, 0.99) < 0.03


def test_the_picture_shows_every_way_and_its_bound():
    picture = encrypted_experiment.Picture(Figure(figsize=encrypted_experiment.Picture.size))
    result = privlab.run("encrypted", seeds=2)
    assert picture.update(result)
    assert not picture.update(result)
    names = [row.name.get_text() for row in picture.rows]
    assert names == ["in the clear", "▸ CKKS 4,096", "CKKS 8,192", "CKKS 16,384", "", ""]
    row = picture.rows[1]
    assert row.bound.get_xdata()[0] == result.held[0].bound
    assert row.middles[2].get_xdata()[0] == max(one.error for one in result.held)
    assert row.words[1].get_text().endswith("MB")


@pytest.mark.parametrize(
    ("value", "time_said", "size_said"),
    [
        (0.0000123, "12 µs", "0.0 B"),
        (0.044, "44 ms", "0.0 B"),
        (2.34, "2.3 s", "2.3 B"),
        (480, "8.0 min", "480 B"),
        (4.8e6, "1333 h", "4.8 MB"),
    ],
)
def test_numbers_in_words(value, time_said, size_said):
    assert words.seconds(value) == time_said
    assert words.size(value) == size_said


def test_errors_in_words():
    assert [words.tiny(value) for value in (0.0, 0.02, 6.6e-6, 9.7e-10, 4e-12)] == [
        "0", "0.02", "7·10⁻⁶", "1·10⁻⁹", "4·10⁻¹²",
    ]  # fmt: skip
