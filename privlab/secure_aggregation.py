"""Secure aggregation: a server adds up what clients send and sees nothing but the sum.

The protocol of Bonawitz et al. (2017), "Practical secure aggregation for privacy-preserving machine learning", in its
version for a server that is curious but follows it. Each two clients agree on a key (X25519) and stretch it to a mask
(ChaCha20) that one adds and the other subtracts; each adds a mask of its own, too. All is done in whole numbers modulo
2^k, so the masks cancel exactly. Secrets are shared among the clients (Shamir 1979), any `threshold` of whom can help
the server to take off the masks that dropouts have left. Keys serve one round.

For teaching. Not covered: a server that lies about who dropped out (the paper adds signatures and a round of
consistency checks), that makes up clients (nobody's key is authenticated here), or that has as many clients on its side
as the threshold (with their shares it unmasks anybody); clients that send nonsense; timing, for whole numbers of Python
take longer the larger they are. And the *sum* itself is not protected: with few clients, or over many rounds, it tells
of them. That is what differential privacy is for.

Key agreement, ciphers and key derivation are `cryptography`'s; the sharing of secrets is a polynomial in a prime field.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

PRIME = 2**521 - 1  # larger than any secret of 32 bytes
SECRET = 32  # bytes
SHARE = 66  # bytes of a number below the prime
Entropy = Callable[[int], bytes]


class TooFewLeftError(RuntimeError):
    """Fewer clients than the threshold are left: nothing can be unmasked, and nothing is."""


@dataclass(frozen=True)
class Coding:
    """Numbers as whole numbers modulo 2^bits, with `fraction` binary digits after the point.

    Attributes
    ----------
    bits : int in [8, 64]
    fraction : int in [0, bits)
    """

    bits: int = 32
    fraction: int = 16

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 64:
            raise ValueError(f"'bits' must be in [8, 64]. Got {self.bits}.")
        if not 0 <= self.fraction < self.bits:
            raise ValueError(f"'fraction' must be in [0, {self.bits}). Got {self.fraction}.")

    @property
    def modulus(self) -> int:
        """2^bits."""
        return 1 << self.bits

    def largest(self, clients: int) -> float:
        """The largest entry of a vector with which a sum of so many clients cannot wrap around."""
        return ((self.modulus >> 1) - 1) // clients / (1 << self.fraction)

    def encode(self, values: Array, clients: int) -> Array:
        """Round to fixed point: uint64 codes of values (d,), each to be added up with those of `clients` in all.

        Raises
        ------
        ValueError
            If an entry is not finite, or so large that the sum might wrap around.
        """
        most = self.largest(clients)
        if not np.isfinite(values).all() or np.abs(values).max(initial=0) > most:
            raise ValueError(f"'values' must be finite and in [-{most:g}, {most:g}]. Got others.")
        codes = np.rint(np.asarray(values, np.float64) * (1 << self.fraction)).astype(np.int64)
        return self.wrap(codes.astype(np.uint64))

    def wrap(self, codes: Array) -> Array:
        """Codes modulo 2^bits."""
        return codes & np.uint64(self.modulus - 1)

    def decode(self, codes: Array) -> Array:
        """Float64 values of (sums of) codes."""
        lift = np.uint64(64 - self.bits)
        signed = (codes << lift).view(np.int64) >> lift.astype(np.int64)
        values: Array = signed / (1 << self.fraction)
        return values


def split(secret: bytes, threshold: int, holders: Sequence[int], entropy: Entropy = os.urandom) -> dict[int, int]:
    """Share a secret of 32 bytes: any `threshold` of the shares bring it back, fewer tell nothing about it.

    The shares are a random polynomial's values at the holders' numbers + 1, in the field of 2^521 − 1 elements.
    """
    coefficients = [int.from_bytes(entropy(SHARE), "big") % PRIME for _ in range(threshold - 1)]
    coefficients.append(int.from_bytes(secret, "big"))
    shares = {}
    for holder in holders:
        value = 0
        for coefficient in coefficients:
            value = (value * (holder + 1) + coefficient) % PRIME
        shares[holder] = value
    return shares


def join(shares: Mapping[int, int]) -> bytes:
    """The secret that shares belong to, by Lagrange interpolation at 0."""
    secret = 0
    for holder, value in shares.items():
        over = under = 1
        for other in shares:
            if other != holder:
                over = over * (other + 1) % PRIME
                under = under * (other - holder) % PRIME
        secret = (secret + value * over * pow(under, -1, PRIME)) % PRIME
    return secret.to_bytes(SHARE, "big")[-SECRET:]


def mask(key: bytes, size: int, coding: Coding) -> Array:
    """A key of 32 bytes stretched to uint64 codes (size,), uniform modulo 2^bits."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * size))
    return coding.wrap(np.frombuffer(stream, "<u8").astype(np.uint64))


def _key(own: Any, other: bytes, purpose: bytes) -> bytes:
    """What two clients derive from their private and public keys alike."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    agreed = own.exchange(X25519PublicKey.from_public_bytes(other))
    return HKDF(hashes.SHA256(), SECRET, salt=None, info=purpose).derive(agreed)


def _private(secret: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(secret)


@dataclass
class Client:
    """One client in one round.

    Parameters
    ----------
    number : int
        Its place among the clients, from 0.
    threshold : int
        How many clients must answer at the end.
    coding : Coding
    entropy : callable
        Number of bytes -> random bytes; the system's, except in tests and pictures.
    """

    number: int
    threshold: int
    coding: Coding
    entropy: Entropy = os.urandom
    _publics: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    _held: dict[int, tuple[int, int]] = field(default_factory=dict, repr=False)
    _told: frozenset[int] | None = None
    _done: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # Two key pairs: the one that makes masks is given away when its owner drops out, the other never.
        self._masking, self._sealing, self._own = (self.entropy(SECRET) for _ in range(3))

    @property
    def public(self) -> tuple[bytes, bytes]:
        """Its public keys, for masks and for sealing."""
        masking, sealing = (_private(key).public_key().public_bytes_raw() for key in (self._masking, self._sealing))
        return masking, sealing

    def share(self, publics: Mapping[int, tuple[bytes, bytes]]) -> dict[int, bytes]:
        """Shares of its secrets for every client, sealed so that the server, who passes them on, cannot read them."""
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        if not len(publics) / 2 < self.threshold <= len(publics):
            # Else two halves could each be told that the other had dropped out.
            raise ValueError(f"'threshold' must be in ({len(publics) / 2:g}, {len(publics)}]. Got {self.threshold}.")
        self._once("share")  # else two plaintexts would go under one key and nonce
        self._publics = dict(publics)
        everybody = sorted(publics)
        parts = [split(secret, self.threshold, everybody, self.entropy) for secret in (self._masking, self._own)]
        sealed, sealing = {}, _private(self._sealing)
        for other in everybody:
            if other == self.number:
                self._held[other] = parts[0][other], parts[1][other]
                continue
            plain = b"".join(part[other].to_bytes(SHARE, "big") for part in parts)
            nonce = self.number.to_bytes(6, "big") + other.to_bytes(6, "big")
            key = _key(sealing, publics[other][1], b"seal")
            sealed[other] = ChaCha20Poly1305(key).encrypt(nonce, plain, None)
        return sealed

    def hold(self, sealed: Mapping[int, bytes]) -> None:
        """Open the shares that others have sealed for it: one from each who is still there."""
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        sealing = _private(self._sealing)
        for other, box in sealed.items():
            nonce = other.to_bytes(6, "big") + self.number.to_bytes(6, "big")
            key = _key(sealing, self._publics[other][1], b"seal")
            plain = ChaCha20Poly1305(key).decrypt(nonce, box, None)
            self._held[other] = int.from_bytes(plain[:SHARE], "big"), int.from_bytes(plain[SHARE:], "big")

    def masked(self, codes: Array) -> Array:
        """Its codes (d,) under all masks: to whoever lacks a key, uniform noise modulo 2^bits.

        Raises
        ------
        TooFewLeftError
            If fewer clients than the threshold have shared their secrets.
        RuntimeError
            If it has sent codes before: the difference of two would lie open.
        """
        if len(self._held) < self.threshold:
            raise TooFewLeftError(f"'sealed' must come from at least {self.threshold - 1} others. Got fewer.")
        self._once("masked")
        total = codes.astype(np.uint64) + mask(self._own, len(codes), self.coding)
        masking = _private(self._masking)
        for other in self._held:
            if other != self.number:
                shared = mask(_key(masking, self._publics[other][0], b"mask"), len(codes), self.coding)
                total = total + shared if other > self.number else total - shared
        return self.coding.wrap(total)

    def reveal(self, survivors: frozenset[int]) -> dict[int, int]:
        """One share of each who shared secrets: of a survivor its own mask, of a dropout its key for masks.

        Never both of one client, whatever is asked, or its values could be unmasked.

        Raises
        ------
        TooFewLeftError
            If there are fewer survivors than the threshold.
        ValueError
            If a survivor has not shared its secrets.
        RuntimeError
            If it has answered for other survivors before.
        """
        if len(survivors) < self.threshold:
            raise TooFewLeftError(f"'survivors' must be at least {self.threshold}. Got {len(survivors)}.")
        if not survivors <= self._held.keys():
            raise ValueError("'survivors' must be clients who have shared their secrets. Got others.")
        if self._told not in (None, survivors):
            raise RuntimeError("'survivors' must be the same whenever asked for. Got others.")
        self._told = survivors
        return {other: held[other in survivors] for other, held in self._held.items()}

    def _once(self, step: str) -> None:
        if step in self._done:
            raise RuntimeError(f"'{step}' must be asked for once, for keys serve one round. Got another request.")
        self._done.add(step)


@dataclass(frozen=True)
class Round:
    """What the server saw in one round, and the sum.

    Attributes
    ----------
    masked : dict of uint64 (d,)
        What each client that answered sent.
    total : uint64 (d,)
        The sum of their codes modulo 2^bits.
    """

    masked: dict[int, Array]
    total: Array


def aggregate(
    codes: Sequence[Array],
    *,
    threshold: int,
    coding: Coding,
    lost_early: Sequence[int] = (),
    lost_late: Sequence[int] = (),
    entropy: Entropy = os.urandom,
) -> Round:
    """Run one round among clients and a server, all in this process.

    Parameters
    ----------
    codes : sequence of uint64 (d,)
        Each client's encoded values.
    threshold : int
        More than half of the clients, at most all.
    coding : Coding
    lost_early : sequence of int
        Clients that share their secrets and then send no values.
    lost_late : sequence of int
        Clients that send their values, which count, and then do not help to unmask.
    entropy : callable

    Returns
    -------
    Round

    Raises
    ------
    ValueError
        If the threshold is out of its range.
    TooFewLeftError
        If fewer clients than the threshold are left: then nothing is unmasked.
    """
    clients = [Client(number, threshold, coding, entropy) for number in range(len(codes))]
    publics = {client.number: client.public for client in clients}
    sealed = [client.share(publics) for client in clients]
    for client in clients:
        client.hold({other: boxes[client.number] for other, boxes in enumerate(sealed) if other != client.number})
    masked = {c.number: c.masked(codes[c.number]) for c in clients if c.number not in lost_early}
    survivors = frozenset(masked)
    answers = {n: clients[n].reveal(survivors) for n in sorted(survivors) if n not in lost_late}
    return Round(masked, unmask(masked, answers, publics, threshold, coding))


def unmask(
    masked: Mapping[int, Array],
    answers: Mapping[int, Mapping[int, int]],
    publics: Mapping[int, tuple[bytes, bytes]],
    threshold: int,
    coding: Coding,
) -> Array:
    """The server's part: add up, take off the survivors' own masks and those that dropouts left; uint64 (d,)."""
    if len(answers) < threshold:
        raise TooFewLeftError(f"'answers' must come from at least {threshold} clients. Got {len(answers)}.")
    helpers = sorted(answers)[:threshold]
    total: Array = np.asarray(np.sum(list(masked.values()), axis=0, dtype=np.uint64))
    for number in publics:
        secret = join({helper: answers[helper][number] for helper in helpers})
        if number in masked:
            total = total - mask(secret, len(total), coding)
            continue
        masking = _private(secret)
        for other in masked:
            left = mask(_key(masking, publics[other][0], b"mask"), len(total), coding)
            # Survivor `other` added it if `number` is the larger, and subtracted it else.
            total = total - left if number > other else total + left
    return coding.wrap(total)


def bytes_sent(clients: int, size: int, coding: Coding) -> int:
    """What one client sends in a round: keys, sealed shares, masked values packed to their bits, and its answer."""
    keys, seal = 2 * SECRET, 2 * SHARE + 16
    return keys + (clients - 1) * seal + math.ceil(size * coding.bits / 8) + clients * SHARE
