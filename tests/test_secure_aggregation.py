"""Masked sums: exact whatever drops out, closed below the threshold, and masks that look like nothing."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from privlab import secure_aggregation as secure
from privlab.secure_aggregation import Coding, TooFewLeftError


def setting(rng):
    """A random number of clients, a threshold, and dropouts that leave enough."""
    clients = int(rng.integers(2, 6))
    threshold = int(rng.integers(clients // 2 + 1, clients + 1))
    order = rng.permutation(clients).tolist()
    early = int(rng.integers(0, clients - threshold + 1))
    late = int(rng.integers(0, clients - threshold - early + 1))
    return clients, threshold, order[:early], order[early : early + late]


def test_a_thousand_masked_sums_equal_the_plain_ones_bit_for_bit():
    rng = np.random.default_rng(0)
    lost = Counter()
    for _ in range(1000):
        clients, threshold, early, late = setting(rng)
        coding = Coding(int(rng.choice([16, 32, 48, 64])), 4)
        codes = [coding.wrap(rng.integers(0, 2**64, 5, dtype=np.uint64)) for _ in range(clients)]
        done = secure.aggregate(codes, threshold=threshold, coding=coding, lost_early=early, lost_late=late)
        plain = coding.wrap(sum((codes[n] for n in range(clients) if n not in early), np.zeros(5, np.uint64)))
        np.testing.assert_array_equal(done.total, plain)
        lost["early"] += bool(early)
        lost["late"] += bool(late)
    assert min(lost.values()) > 100


def test_below_the_threshold_nothing_is_unmasked():
    coding = Coding()
    codes = [np.arange(3, dtype=np.uint64)] * 5
    for early, late in (([0, 1, 2], []), ([0], [1, 2]), ([], [0, 1, 4])):
        with pytest.raises(TooFewLeftError, match=r"must .* at least 3.* Got 2\."):
            secure.aggregate(codes, threshold=3, coding=coding, lost_early=early, lost_late=late)


@pytest.mark.parametrize("threshold", [2, 5])
def test_a_threshold_that_does_not_fit_is_refused(threshold):
    with pytest.raises(ValueError, match=rf"^'threshold' must be in \(2, 4\]. Got {threshold}"):
        secure.aggregate([np.zeros(2, np.uint64)] * 4, threshold=threshold, coding=Coding())


def test_a_client_never_gives_both_shares_of_one():
    coding = Coding()
    clients = [secure.Client(n, 2, coding) for n in range(3)]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    for client in clients:
        client.hold({n: boxes[client.number] for n, boxes in enumerate(sealed) if n != client.number})
    one = clients[0]
    first = one.reveal(frozenset({0, 1}))
    assert set(first) == {0, 1, 2}
    assert one.reveal(frozenset({0, 1})) == first
    with pytest.raises(RuntimeError, match=r"^'survivors' must be the same"):
        one.reveal(frozenset({0, 1, 2}))
    with pytest.raises(TooFewLeftError):
        clients[1].reveal(frozenset({1}))


def test_a_client_does_each_step_once_and_with_enough_others_only():
    """Two answers under one key, or survivors that are made up, would open what one answer keeps closed."""
    clients = [secure.Client(n, 3, Coding()) for n in range(4)]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    one, codes = clients[0], np.zeros(2, np.uint64)
    with pytest.raises(RuntimeError, match=r"^'share' must be asked for once"):
        one.share(publics)
    one.hold({1: sealed[1][0]})
    with pytest.raises(TooFewLeftError, match=r"^'sealed' must come from at least 2 others"):
        one.masked(codes)
    one.hold({2: sealed[2][0]})
    one.masked(codes)
    with pytest.raises(RuntimeError, match=r"^'masked' must be asked for once"):
        one.masked(codes + np.uint64(1))
    assert not [share for held in one._held.values() for share in held if str(share) in repr(one)]
    for made_up in ({0, 1, 3}, {0, 1, 77}):
        with pytest.raises(ValueError, match=r"^'survivors' must be clients who have shared"):
            one.reveal(frozenset(made_up))
    assert set(one.reveal(frozenset({0, 1, 2}))) == {0, 1, 2}


def test_as_many_clients_as_the_threshold_unmask_anybody_with_the_server_and_fewer_do_not():
    """What the module and the panel's card say of clients who side with the server."""
    coding, codes = Coding(), np.arange(4, dtype=np.uint64)
    clients = [secure.Client(n, 3, coding) for n in range(5)]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    for client in clients:
        client.hold({n: boxes[client.number] for n, boxes in enumerate(sealed) if n != client.number})
    sent = clients[0].masked(codes)

    def opened(side):
        masking, own = (secure.join({n: clients[n]._held[0][part] for n in side}) for part in (0, 1))
        sums = {n: secure.mask(secure._key(secure._private(masking), publics[n][0], b"mask"), 4, coding)
                for n in range(1, 5)}  # fmt: skip
        return coding.wrap(sent - secure.mask(own, 4, coding) - sum(sums.values(), np.zeros(4, np.uint64)))

    np.testing.assert_array_equal(opened((1, 2, 4)), codes)
    assert not (opened((1, 2)) == codes).any()


def test_any_threshold_of_shares_bring_a_secret_back_and_fewer_do_not():
    secret = bytes(range(32))
    shares = secure.split(secret, 3, range(5))
    for chosen in combinations(shares, 3):
        assert secure.join({n: shares[n] for n in chosen}) == secret
    assert secure.join(shares) == secret
    for chosen in combinations(shares, 2):
        assert secure.join({n: shares[n] for n in chosen}) != secret
    # Two shares fit every secret alike: for another one there is a third share that makes it.
    assert secure.split(secret, 3, range(5)) != shares


def test_sealed_shares_are_closed_to_others_and_to_changes():
    from cryptography.exceptions import InvalidTag

    clients = [secure.Client(n, 2, Coding()) for n in range(3)]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    with pytest.raises(InvalidTag):
        clients[2].hold({0: sealed[0][1]})
    with pytest.raises(InvalidTag):
        clients[1].hold({0: sealed[0][1][:-1] + bytes([sealed[0][1][-1] ^ 1])})


def test_masked_vectors_are_uniform_and_hide_what_is_sent():
    coding, size = Coding(8, 0), 64_000
    zero = [np.zeros(size, np.uint64)] * 3
    seen = secure.aggregate(zero, threshold=2, coding=coding, lost_early=[2]).masked
    for codes in seen.values():
        counts = np.bincount(codes.astype(int), minlength=256)
        squares = ((counts - size / 256) ** 2 / (size / 256)).sum()
        assert 255 - 5.5 * np.sqrt(2 * 255) < squares < 255 + 5.5 * np.sqrt(2 * 255)
    assert abs(np.corrcoef(seen[0].astype(float), seen[1].astype(float))[0, 1]) < 5 / np.sqrt(size)
    again = secure.aggregate(zero, threshold=2, coding=coding).masked
    assert (again[0] != seen[0]).mean() > 0.99, "keys serve once"


def test_without_one_s_own_mask_a_late_answer_would_lie_open():
    """A client that was taken for a dropout keeps its values hidden by its own mask."""
    coding, codes = Coding(), [np.arange(4, dtype=np.uint64) + n for n in range(3)]
    clients = [secure.Client(n, 2, coding) for n in range(3)]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    for client in clients:
        client.hold({n: boxes[client.number] for n, boxes in enumerate(sealed) if n != client.number})
    late = clients[2].masked(codes[2])
    masked = {n: clients[n].masked(codes[n]) for n in (0, 1)}
    answers = {n: clients[n].reveal(frozenset(masked)) for n in (0, 1)}
    np.testing.assert_array_equal(secure.unmask(masked, answers, publics, 2, coding), codes[0] + codes[1])
    key = secure._private(secure.join({n: answers[n][2] for n in (0, 1)}))
    for other in (0, 1):
        pair = secure.mask(secure._key(key, publics[other][0], b"mask"), 4, coding)
        late = coding.wrap(late + pair)  # client 2 has subtracted it from both
    assert (late != codes[2]).all()


def test_fixed_point_goes_and_comes_back():
    rng = np.random.default_rng(1)
    for coding in (Coding(), Coding(64, 40), Coding(16, 8)):
        values = rng.uniform(-1, 1, (6, 50)) * coding.largest(6)
        codes = [coding.encode(one, 6) for one in values]
        assert all((one < coding.modulus).all() for one in codes if coding.bits < 64)
        total = coding.decode(coding.wrap(np.sum(codes, axis=0, dtype=np.uint64)))
        np.testing.assert_allclose(total, values.sum(axis=0), atol=3.01 / (1 << coding.fraction), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 5462.0, -5462.0])
def test_what_might_wrap_around_is_refused(bad):
    assert Coding().largest(6) == pytest.approx(32767.99 / 6, rel=1e-4)
    with pytest.raises(ValueError, match=r"^'values' must be finite and in \[-5461"):
        Coding().encode(np.array([0.0, bad]), 6)


@pytest.mark.parametrize(("bits", "fraction", "name"), [(7, 1, "bits"), (65, 1, "bits"), (32, 32, "fraction")])
def test_a_coding_that_cannot_be_is_refused(bits, fraction, name):
    with pytest.raises(ValueError, match=f"^'{name}' must be in "):
        Coding(bits, fraction)


def test_bytes_are_those_that_are_sent():
    coding, size, number = Coding(), 50, 7
    clients = [secure.Client(n, 4, coding) for n in range(number)]
    publics = {client.number: client.public for client in clients}
    sealed = clients[0].share(publics)
    real = sum(map(len, publics[0])) + sum(map(len, sealed.values())) + size * 4 + number * secure.SHARE
    assert secure.bytes_sent(number, size, coding) == real
