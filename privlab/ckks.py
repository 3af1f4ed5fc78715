"""CKKS ciphertexts by TenSEAL: their size, their error, who holds the key, and who computes without it.

CKKS (Cheon, Kim, Kim & Song 2017) keeps N/2 numbers in a ciphertext and computes on all of them at once. Parameters
follow the tables of HomomorphicEncryption.org (2018) for 128 bits of classical security with ternary secrets: the
primes of a chain may have 109, 218 or 438 bits in all for N = 4096, 8192 or 16384. Encryption is symmetric, for here
the one who encrypts also decrypts. There is no bootstrapping, so the number of products in a row is fixed beforehand.

What leaves the key holder is bytes, and a server computes with what it loads from bytes that hold no secret key. Keys
live in memory alone and refuse to be pickled; so neither widgets, logs nor disks see one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from math import log2, sqrt
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

EXTRA = 'python -m pip install -c requirements.lock -e ".[encrypted]"'
SECURITY = 128  # bits
MOST_BITS = {4096: 109, 8192: 218, 16384: 438}  # of all primes together, for that security
LEAST_SCALE, MOST_SCALE = 22, 50
HEADROOM = 20  # bits before the point, where 60-bit primes leave room for them
SPARE_BITS = 30  # of the last prime, where no product of two ciphertexts needs it
NOISE = 3.24  # standard deviation of SEAL's noise: centred binomial, variance 10.5
SURE = 8  # standard deviations in a bound: passed once in 10^15


class MissingExtraError(ImportError):
    """A library that the default install leaves out; says which command adds it."""


def available(library: str = "tenseal") -> bool:
    """Whether an optional library, "tenseal" or "phe", is there."""
    return find_spec(library) is not None


def library(name: str) -> Any:
    """An optional library.

    Raises
    ------
    MissingExtraError
        Where it is not installed.
    """
    if not available(name):
        raise MissingExtraError(f"'{name}' is not installed. This adds it: {EXTRA}")
    return import_module(name)


@dataclass(frozen=True)
class Parameters:
    """The size of ciphertexts, and how exact they are.

    Parameters
    ----------
    degree : {4096, 8192, 16384}
        N: a ciphertext holds N/2 numbers.
    scale_bits : int in [22, 50]
        Numbers are rounded to multiples of 2^-scale_bits.
    levels : int
        Products in a row: 0 for sums; 1 for products with open numbers; more where ciphertexts meet.

    Raises
    ------
    ValueError
        Where 128 bits of security leave no room for them.
    """

    degree: int
    scale_bits: int
    levels: int

    def __post_init__(self) -> None:
        if self.degree not in MOST_BITS:
            raise ValueError(f"'degree' must be among {', '.join(map(str, MOST_BITS))}. Got {self.degree}.")
        if not LEAST_SCALE <= self.scale_bits <= MOST_SCALE:
            raise ValueError(f"'scale_bits' must be in [{LEAST_SCALE}, {MOST_SCALE}]. Got {self.scale_bits}.")
        if not fits(self.degree, self.scale_bits, self.levels):
            raise ValueError(
                f"'scale_bits' must leave the primes at most {MOST_BITS[self.degree]} bits for degree {self.degree} "
                f"and {self.levels} products in a row, or {SECURITY} bits of security are lost. "
                f"Got {self.scale_bits}, which makes {self.bits}."
            )

    @property
    def chain(self) -> list[int]:
        """Bits of each prime: the first, one for each product, and the last, which only keys use."""
        return _chain(self.scale_bits, self.levels)

    @property
    def bits(self) -> int:
        """Bits of all primes together."""
        return sum(self.chain)

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree // 2

    @property
    def scale(self) -> float:
        """What numbers are multiplied by before they are rounded."""
        return float(2**self.scale_bits)

    @property
    def noise(self) -> float:
        """Standard deviation of a fresh ciphertext's error, in each number."""
        return NOISE * sqrt(self.degree / 2) / self.scale

    @property
    def rounding(self) -> float:
        """Standard deviation of what rounding to multiples of 1/scale does to each number."""
        return sqrt(self.degree / 24) / self.scale

    @property
    def rescaling(self) -> float:
        """Standard deviation of the error of dividing a ciphertext by a prime, its secret being ternary."""
        return self.rounding * sqrt(1 + 2 * self.degree / 3)

    @property
    def floating(self) -> float:
        """Relative error of the Fourier transforms, which are done in double precision."""
        return 8 * log2(self.degree) * 2.0**-53

    @cached_property
    def drift(self) -> tuple[float, ...]:
        """Factor that each product in a row puts on its result.

        A product is divided by a prime near the scale, and TenSEAL counts that prime as the scale itself. SEAL takes
        the largest primes of that many bits that are 1 modulo 2N; the nearest to the scale goes first.
        """
        return tuple(self.scale / prime for prime in islice(_primes(self.scale_bits, 2 * self.degree), self.levels))


def _chain(scale_bits: int, levels: int) -> list[int]:
    first = min(60, scale_bits + HEADROOM)
    return [first, *[scale_bits] * levels, SPARE_BITS if levels < 2 else first]


def fits(degree: int, scale_bits: int, levels: int) -> bool:
    """Whether 128 bits of security leave room for such ciphertexts; see `Parameters`."""
    return sum(_chain(scale_bits, levels)) <= MOST_BITS[degree]


def _primes(bits: int, spacing: int) -> Iterator[int]:
    """Primes that are 1 modulo `spacing`, downwards from 2^bits."""
    for candidate in range(2**bits + 1 - spacing, 2 ** (bits - 1), -spacing):
        if _is_prime(candidate):
            yield candidate


def _is_prime(n: int) -> bool:
    """Miller–Rabin's test of an odd number above 41; exact below 3·10^24 with these bases."""
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41):
        value = pow(base, (n - 1) >> twos, n)
        if value != 1 and all(pow(value, 2**k, n) != n - 1 for k in range(twos)):
            return False
    return True


class KeyHolder:
    """Someone with a secret key, made anew: encrypts into bytes and decrypts from bytes."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters, self._ts = parameters, library("tenseal")
        self._context = self._ts.context(
            self._ts.SCHEME_TYPE.CKKS,
            parameters.degree,
            -1,
            parameters.chain,
            encryption_type=self._ts.ENCRYPTION_TYPE.SYMMETRIC,
            n_threads=1,
        )
        self._context.global_scale = parameters.scale

    def __repr__(self) -> str:
        return f"KeyHolder({self.parameters})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A key holder must stay in memory; it is not pickled.")

    def server_context(self) -> bytes:
        """What a server is given: parameters and, where ciphertexts meet, keys that bring products back to size."""
        context: bytes = self._context.serialize(
            save_public_key=False,
            save_secret_key=False,
            save_galois_keys=False,
            save_relin_keys=self.parameters.levels > 1,
        )
        return context

    def encrypt(self, values: Array) -> bytes:
        """Up to N/2 numbers as one ciphertext."""
        ciphertext: bytes = self._ts.ckks_vector(self._context, values).serialize()
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> Array:
        """The numbers in a ciphertext."""
        return np.array(self._ts.ckks_vector_from(self._context, ciphertext).decrypt())


class Server:
    """Someone who computes with ciphertexts and cannot open one.

    Parameters
    ----------
    context : bytes
        From `KeyHolder.server_context()`.
    rescale : bool
        Whether each product is divided by a prime.

    Raises
    ------
    ValueError
        Where the context holds a secret key.
    """

    def __init__(self, context: bytes, *, rescale: bool = False) -> None:
        self._ts = library("tenseal")
        self._context = self._ts.context_from(context, n_threads=1)
        if self._context.has_secret_key():
            raise ValueError("'context' must hold no secret key. Got one that does.")
        self._context.auto_rescale = rescale

    def load(self, ciphertext: bytes) -> Any:
        """A ciphertext to compute with: times numbers and ciphertexts, plus and minus ciphertexts.

        An operation may bring its *right* operand down to the left one's level for good.
        """
        return self._ts.ckks_vector_from(self._context, ciphertext)
