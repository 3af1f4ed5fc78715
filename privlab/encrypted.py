"""Computing on what nobody could read: predictions, sums and training steps on ciphertexts and on random shares.

By CKKS (`privlab.ckks`) a server applies its model to rows it cannot read, adds up updates it cannot read, and computes
steps of a training on rows, labels and weights it cannot read. For contrast, the sum also by additive secret shares and
by Paillier's scheme. Each computation states beforehand how far its result may be off.

The secrecy is that of the numbers on their way and at the server. What is decrypted in the end tells as much as the
same numbers computed in the clear. And decrypted CKKS numbers must not be shown, as they are, to anybody who has seen
the ciphertexts, however honest: their errors tell of the key (Li & Micciancio 2021).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from math import hypot, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from privlab.ckks import SURE, KeyHolder, Parameters, Server, library
from privlab.secure_aggregation import Coding

if TYPE_CHECKING:
    from privlab.dpsgd import Array

LEVELS = {"inference": 1, "sum": 0, "training": 4}  # products in a row
SHARED, PACKED = Coding(64, 32), Coding(48, 32)  # numbers made whole: for shares; to be packed into one plain text
FIELD = 56  # bits of a packed number's place, with room for carries
PAILLIER_BITS = 3072  # of n, for 128 bits of security
SIGMOID_DEGREE, SIGMOID_RANGE = 3, 8.0

Outcomes = Generator[None, None, "Outcome"]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Outcome:
    """What a computation gave and what it took.

    Attributes
    ----------
    values : float array
    client, server : float
        Seconds of work of all who hold keys or shares together, and of all servers.
    sent : int
        Bytes to the servers and back.
    bound : float
        The greatest error of a value, known beforehand.
    """

    values: Array
    client: float
    server: float
    sent: int
    bound: float


class Meter:
    """Counts work and bytes; what happens between two pieces of work is not counted."""

    def __init__(self) -> None:
        self.seconds, self.sent = {"client": 0.0, "server": 0.0}, 0

    @contextmanager
    def at(self, who: str) -> Iterator[None]:
        """Time this as work of "client" or "server"."""
        start = time.perf_counter()
        yield
        self.seconds[who] += time.perf_counter() - start

    def passed(self, message: bytes) -> bytes:
        """Count a message."""
        self.sent += len(message)
        return message

    def outcome(self, values: Array, bound: float) -> Outcome:
        """What has been counted, with its result."""
        return Outcome(values, **self.seconds, sent=self.sent, bound=bound)


def finish(computation: Generator[None, None, Found]) -> Found:
    """Drive a computation to its end."""
    while True:
        try:
            next(computation)
        except StopIteration as end:
            found: Found = end.value
            return found


def _add_up(
    parameters: Parameters, vectors: Array, weights: Sequence[float], meter: Meter
) -> Generator[None, None, Array]:
    """Encrypt vectors one by one and let a server add them up, times its weights where there are any."""
    with meter.at("client"):
        keys = KeyHolder(parameters)
    server, total = Server(meter.passed(keys.server_context())), None
    for k, vector in enumerate(vectors):
        with meter.at("client"):
            ciphertext = meter.passed(keys.encrypt(vector))
        yield
        with meter.at("server"):
            one = server.load(ciphertext)
            one = one * weights[k] if weights else one
            total = one if total is None else total + one
        yield
    with meter.at("server"):
        result = meter.passed(_bytes(total))
    with meter.at("client"):
        return keys.decrypt(result)


def _bytes(ciphertext: Any) -> bytes:
    return bytes(ciphertext.serialize())


def inference(parameters: Parameters, X: Array, weights: Array) -> Outcomes:
    """Decision values X·w of rows that the server cannot read, by the server's own weights.

    Each column of X (rows, d), the constant among them, is one ciphertext with a row in each slot: up to N/2 rows cost
    what one costs, and the server needs no key of any kind. Entries of X lie in [-1, 1].

    Yields None between pieces of work and returns an Outcome with values (rows,).
    """
    meter = Meter()
    # A product with nothing would be no ciphertext any more: no weight is smaller than what is told apart from 0.
    some = np.where(np.abs(weights) < 1 / parameters.scale, 1 / parameters.scale, weights)
    values = yield from _add_up(parameters, X.T, some.tolist(), meter)
    return meter.outcome(values, inference_bound(parameters, weights))


def inference_bound(parameters: Parameters, weights: Array) -> float:
    """Noise adds up like lengths at right angles; the rounding of rows and weights is taken at its worst."""
    p, total = parameters, float(np.abs(weights).sum())
    rounded = SURE * p.rounding * total + 2 * len(weights) / p.scale
    return SURE * p.noise * float(np.linalg.norm(weights)) + rounded + 2 * p.floating * total


def encrypted_sum(parameters: Parameters, updates: Array) -> Outcomes:
    """The sum of the clients' updates (clients, d), entries in [-1, 1]; the server sees ciphertexts alone.

    The clients share one secret key. A single client who hands it to the server opens every update.

    Yields None between pieces of work and returns an Outcome with values (d,).
    """
    meter = Meter()
    values = yield from _add_up(parameters, updates, (), meter)
    return meter.outcome(values, sum_bound(parameters, len(updates)))


def sum_bound(parameters: Parameters, clients: int) -> float:
    """Noise of independent ciphertexts grows like a square root; rounding is taken at its worst."""
    p = parameters
    return SURE * p.noise * sqrt(clients) + (SURE * p.rounding + 2 * p.floating) * clients


@cache
def sigmoid_polynomial() -> tuple[float, float, float]:
    """Find (a, b, error): σ(z) is ½ + a·z + b·z³ up to that error on [-8, 8], by least squares."""
    z = np.linspace(-SIGMOID_RANGE, SIGMOID_RANGE, 2001)
    powers, wanted = np.column_stack([z, z**SIGMOID_DEGREE]), 1 / (1 + np.exp(-z)) - 0.5
    a, b = np.linalg.lstsq(powers, wanted, rcond=None)[0].tolist()
    return a, b, float(np.abs(powers @ (a, b) - wanted).max())


def reach() -> float:
    """Up to here the polynomial rises, as the sigmoid does; no row's decision value may be larger."""
    a, b, _ = sigmoid_polynomial()
    return min(SIGMOID_RANGE, sqrt(a / (-3 * b)))


def _stay(weights: Array, length: float) -> Array:
    """Weights near enough to 0 that no row leaves the reach."""
    most = reach() / length
    return np.clip(weights, -most, most)


def polynomial_training(
    X: Array, y: Array, steps: int, rate: float, length: float, start: Array | float = 0.0
) -> Array:
    """Weights (d,) after steps of logistic regression in the clear, the polynomial standing in for the sigmoid.

    `length` is public: no row of X has a larger sum of sizes. It keeps the weights where no row leaves the reach.
    """
    (a, b, _), weights = sigmoid_polynomial(), np.zeros(X.shape[1], X.dtype) + start
    for _ in range(steps):
        z = X @ weights
        weights = _stay(weights - rate * X.T @ (a * z + b * z**3 - (y - 0.5)) / len(y), length)
    return weights


def fastest(length: float) -> float:
    """The largest rate of steps: a longer one might drive two sets of weights apart."""
    return 2 / (sigmoid_polynomial()[0] * length)


def training(parameters: Parameters, X: Array, y: Array, steps: int, rate: float, length: float) -> Outcomes:
    """Steps of logistic regression on rows X (n, d) in [-1, 1], labels y (n,) and weights the server cannot read.

    A step is `polynomial_training`'s. The server computes every row's pull on every weight: four products in a row.
    Then a ciphertext is used up; so the key holder adds up the pulls, moves the weights and encrypts them anew, which
    bootstrapping would spare. Up to N/2 rows cost what one costs.

    Yields None between pieces of work and returns an Outcome with values (d,), the weights after all steps.

    Raises
    ------
    ValueError
        For a rate above `fastest(length)`.
    """
    meter, (a, b, _) = Meter(), sigmoid_polynomial()
    if not 0 < rate <= fastest(length):
        raise ValueError(f"'rate' must be in (0, {fastest(length):.3g}]. Got {rate:g}.")
    first, second, third, last = parameters.drift
    line, curve = a / (first * second), b / (first**3 * second**2 * third)
    with meter.at("client"):
        keys = KeyHolder(parameters)
    yield
    server = Server(meter.passed(keys.server_context()), rescale=True)
    loaded = []
    for vector in (*X.T, y - 0.5):
        with meter.at("client"):
            ciphertext = meter.passed(keys.encrypt(vector))
        yield
        with meter.at("server"):
            loaded.append(server.load(ciphertext))
    *columns, labels = loaded
    weights, largest = np.zeros(X.shape[1]), 0.0
    for _ in range(steps):
        z: Any = None
        largest = max(largest, float(np.abs(weights).sum()))
        for column, weight in zip(columns, weights, strict=True):
            with meter.at("client"):
                ciphertext = meter.passed(keys.encrypt(np.full(len(y), weight)))
            yield
            with meter.at("server"):
                part = column * server.load(ciphertext)
                z = part if z is None else z + part
            yield
        with meter.at("server"):
            square = z.square()
        yield
        with meter.at("server"):
            cube = square * (z * curve)
        yield
        with meter.at("server"):
            wrong = cube + z * line - labels
        yield
        pull = np.empty(len(weights))
        for j, column in enumerate(columns):
            with meter.at("server"):
                result = meter.passed(_bytes(column * wrong))
            yield
            with meter.at("client"):
                pull[j] = keys.decrypt(result).mean() / last
            yield
        weights = _stay(weights - rate * pull, length)
    return meter.outcome(weights, training_bound(parameters, X.shape, steps, rate, largest))


def training_bound(parameters: Parameters, shape: tuple[int, ...], steps: int, rate: float, largest: float) -> float:
    """How far a weight may be off after the steps on rows of that shape (n ≥ 10, d).

    `largest` bounds every row's decision value: the sum of the weights' sizes, at its largest. Errors of one row's pull
    add up like lengths at right angles, and so do those of different rows, for noise in different slots is
    uncorrelated. A step never drives two sets of weights apart: up to the reach the polynomial rises, no more steeply
    than at 0, and the rate is at most 2 over the largest curvature. So the errors of the steps add up.
    """
    p, (a, b, _), (rows, columns) = parameters, sigmoid_polynomial(), shape
    fresh, product = hypot(p.noise, p.rounding), p.rescaling
    z = hypot(sqrt(columns) * fresh, largest * fresh, sqrt(columns) * product)
    wrong = hypot(a * z, product, abs(b) * largest * product, largest**2 * product, product, fresh)
    pull = hypot(wrong, fresh, product)
    steady = 0.5 * (largest + largest**3) / p.scale + 4 * p.floating
    return steps * rate * sqrt(columns) * (SURE * pull / sqrt(rows) + steady)


def shared_sum(updates: Array, servers: int = 3) -> Outcome:
    """The sum of updates (clients, d), each split into random shares: short of all the servers, nobody learns anything.

    Shares are whole numbers modulo 2^64 from the system's entropy. The sum is exact but for the rounding of each
    update to multiples of 2^-32.
    """
    meter, clients, d = Meter(), len(updates), updates.shape[1]
    held = np.zeros((servers, d), np.uint64)
    for update in updates:
        with meter.at("client"):
            blinds = np.frombuffer(secrets.token_bytes(8 * (servers - 1) * d), np.uint64).reshape(servers - 1, d)
            last = SHARED.encode(update, clients) - blinds.sum(axis=0, dtype=np.uint64)
        for server, share in enumerate((*blinds, last)):
            message = meter.passed(share.tobytes())
            with meter.at("server"):
                held[server] += np.frombuffer(message, np.uint64)
    with meter.at("client"):
        sums = [np.frombuffer(meter.passed(one.tobytes()), np.uint64) for one in held]
        values = SHARED.decode(np.add.reduce(sums, axis=0))
    return meter.outcome(values, whole_bound(clients))


def whole_bound(clients: int) -> float:
    """Rounding to multiples of 2^-32 once a client, at its worst, and what double precision adds."""
    return clients * 2.0 ** -(SHARED.fraction + 1) * (1 + 2.0**-10)


def paillier_sum(updates: Sequence[Sequence[float]]) -> Outcome:
    """The sum of updates (clients, d) by Paillier's scheme (1999): ciphertexts are multiplied, plain texts add up.

    By phe, with n of 3072 bits. Numbers are packed, 56 bits each, as many as a plain text holds. Meant for a worker
    process, for the search for primes cannot yield; the key never leaves that process.

    Raises
    ------
    ValueError
        For more than 256 clients, whose carries would not fit, or a number too large.
    """
    paillier = import_module(f"{library('phe').__name__}.paillier")
    meter, given, size = Meter(), np.asarray(updates, float), 2 * PAILLIER_BITS // 8
    clients, d = given.shape
    per, most = (PAILLIER_BITS - 1) // FIELD, 1 << (FIELD - PACKED.bits)
    if clients > most:
        raise ValueError(f"'updates' must be of at most {most} clients. Got {clients}.")
    groups = [range(start, min(start + per, d)) for start in range(0, d, per)]
    with meter.at("client"):
        public, private = paillier.generate_paillier_keypair(n_length=PAILLIER_BITS)
    totals = [1] * len(groups)
    for update in given:
        with meter.at("client"):
            numbers = PACKED.encode(update, clients).tolist()
            packed = [sum(numbers[j] << (FIELD * k) for k, j in enumerate(group)) for group in groups]
            sent = [meter.passed(int(public.raw_encrypt(one)).to_bytes(size, "big")) for one in packed]
        with meter.at("server"):
            totals = [t * int.from_bytes(one, "big") % public.nsquare for t, one in zip(totals, sent, strict=True)]
    results = [meter.passed(int(total).to_bytes(size, "big")) for total in totals]
    sums: list[int] = []
    with meter.at("client"):
        for group, result in zip(groups, results, strict=True):
            opened = int(private.raw_decrypt(int.from_bytes(result, "big")))
            sums += [(opened >> (FIELD * k)) % 2**FIELD for k in range(len(group))]
        values = PACKED.decode(PACKED.wrap(np.array(sums, np.uint64)))
    return meter.outcome(values, whole_bound(clients))
