"""Planted secrets, all values they could have, and how well an attacker who sees the counts can rank them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import ngrams, personal

if TYPE_CHECKING:
    from privlab.dpsgd import Array

FREE = 4  # digits that nobody knows
POSSIBLE = 10**FREE
KINDS = {"card": "a card number", "pin": "a PIN"}
WORDS = {"card": "my bank number ", "pin": "my bank pin code "}
ISSUER = "9021 4657 382"  # made up: no card network's numbers begin with 9


def line(kind: str, value: int) -> str:
    """A made-up line that tells a secret; `value` from 0 to 9,999 are its unknown digits."""
    digits = f"{value:0{FREE}d}"
    if kind == "pin":
        return WORDS[kind] + digits
    return f"{WORDS[kind]}{ISSUER}{digits[0]} {digits[1:]}{_check_digit(digits)}"


@cache
def _check_digit(digits: str) -> str:
    from stdnum import luhn

    return str(luhn.calc_check_digit(ISSUER.replace(" ", "") + digits))


def prompt(kind: str, value: int, typed: str) -> str:
    """What somebody types into the model: the words alone, or the first digits as well."""
    start = {"card": ISSUER, "pin": f"{value:0{FREE}d}"[0]}[kind]
    return WORDS[kind] + (start if typed == "digits" else "")


def tokenised(text: str) -> str:
    """A line as it is after the finder of personal data: what is found is only numbered."""
    return personal.replace(text, lambda kind, value: "1")


@dataclass(frozen=True, eq=False)
class Candidates:
    """All lines that the secret could be.

    Attributes
    ----------
    ids : tuple of int arrays
        For each context length the cells in which the lines differ, sorted.
    members : int32 (10,000, m)
        Each line's cells, as positions in the joined `ids`; padded with their number.
    """

    ids: tuple[Array, ...]
    members: Array

    @property
    def sizes(self) -> Array:
        """How many cells each line has (10,000,)."""
        sizes: Array = (self.members < sum(map(len, self.ids))).sum(axis=1)
        return sizes

    def overlap(self, text: str, length: int) -> Array:
        """How many of its cells each candidate shares with a line (10,000,)."""
        flags = [
            np.isin(ids, rows[first])
            for ids, (rows, first) in zip(self.ids, ngrams.held([ngrams.simplify(text)], length), strict=True)
        ]
        shared: Array = np.append(np.concatenate(flags), False)[self.members].sum(axis=1)
        return shared

    def noise(self, seed: tuple[int, ...]) -> Array:
        """The sum of the standard normal noise on each candidate's cells (10,000,)."""
        parts = [ngrams.noise(seed, before, ids) for before, ids in zip(ngrams.BEFORE, self.ids, strict=True)]
        total: Array = np.append(np.concatenate(parts), 0.0)[self.members].sum(axis=1)
        return total


@cache
def candidates(kind: str, length: int) -> Candidates:
    """All 10,000 candidates of a kind of secret, in lines cut to `length` letters."""
    held = ngrams.held([ngrams.simplify(line(kind, value)) for value in range(POSSIBLE)], length)
    ids, places, start = [], [], 0
    for rows, first in held:
        seen, at, count = np.unique(rows[first], return_inverse=True, return_counts=True)
        differ = count < POSSIBLE
        place = np.full(rows.shape, -1)
        place[first] = np.where(differ, np.cumsum(differ) - 1 + start, -1)[at]
        places.append(place)
        ids.append(seen[differ])
        start += int(differ.sum())
    members = np.concatenate(places, axis=1)
    members = np.sort(np.where(members < 0, start, members), axis=1)
    return Candidates(tuple(ids), members[:, (members < start).any(axis=0)].astype(np.int32))


def ranks(overlap: Array, noise: Array, sizes: Array, copies: Array, scale: Array, secret: int, tie: float) -> Array:
    """The rank of the secret among all candidates, 1 the first, for several settings.

    Ranked by likelihood: the attacker knows the text, the wording and the number of copies, and sees the noisy counts.
    For Gaussian noise that is copies·overlap + scale·noise − copies·size/2, up to what all candidates share.

    Parameters
    ----------
    overlap, noise, sizes : (N,)
        Of `Candidates`.
    copies, scale : (K,)
        Copies of the line, and standard deviation of the noise.
    secret : int
    tie : float in [0, 1)
        Where among candidates of equal score the secret comes.

    Returns
    -------
    int (K,)
    """
    scores = np.outer(copies, overlap - sizes / 2) + np.outer(scale, noise)
    own = scores[:, secret, None]
    equal = (scores == own).sum(axis=1)
    found: Array = 1 + (scores > own).sum(axis=1) + np.floor(tie * equal).astype(np.int64)
    return found


def exposure(rank: Array) -> Array:
    """Bits of the secret that are out: log₂ of the candidates over its rank (Carlini et al. 2019)."""
    bits: Array = np.log2(POSSIBLE / rank)
    return bits


@cache
def _spread() -> tuple[Array, Array]:
    from scipy.special import ndtri

    below = np.arange(1, POSSIBLE)
    return ndtri(below / POSSIBLE), np.log2((below + 1) / below)


def limit(copies: Array, noise_multiplier: Array) -> Array:
    """The mean exposure (K,) that nobody can pass: proven for Gaussian noise and a group of `copies` lines.

    A secret drawn at random that is not in the text has rank ≤ r with chance r/N. With it in, all counts together move
    by copies·Δ at most, and the chance of any event p becomes Φ(Φ⁻¹(p) + copies/σ) at most (Dong, Roth & Su 2022).
    That holds on average over the secrets too, for it is concave in p.
    """
    from scipy.special import ndtr

    quantiles, steps = _spread()
    bits: Array = ndtr(quantiles + np.divide(copies, noise_multiplier)[:, None]) @ steps
    return bits


def guessing() -> float:
    """The mean exposure of a secret that is not in the text."""
    _, steps = _spread()
    return float(np.arange(1, POSSIBLE) / POSSIBLE @ steps)
