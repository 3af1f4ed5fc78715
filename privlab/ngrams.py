"""A small language model by counting: which letter follows the two, and the four, letters before it.

Every line of text is cut to a public length and says of each (letters before, next letter) whether it holds it: yes
or no, however often. The model is the number of lines that say yes, for every combination of a public alphabet. So
one line more or less changes the counts by a vector of length √(2·length) at most (L2), and Gaussian noise on *all*
of the counts, those that are zero included, makes the model (ε, δ)-differentially private for a line.

The counts of four letters before have 44⁵ = 165 million cells. Their noise is a function of the seed and the cell, so
only cells that somebody looks at are ever computed. It is floating-point noise: "idealised".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

ALPHABET = "\n abcdefghijklmnopqrstuvwxyz0123456789',.:<>"
SIZE, END = len(ALPHABET), 0
BEFORE = (2, 4)  # letters before the next one that are looked at
STRENGTH = 3.0  # made-up lines of the shorter context's opinion that join each context
CLEAR = 3.0  # standard deviations of noise that a count must reach to be believed
_SAME = str.maketrans({"-": " ", ";": ",", "?": ".", "!": "."})
_OTHER = re.compile(f"[^{re.escape(ALPHABET)}]")
_CODES = {letter: code for code, letter in enumerate(ALPHABET)}


def simplify(line: str) -> str:
    """A line in the model's alphabet: lower case, five marks of punctuation, single blanks."""
    return " ".join(_OTHER.sub("", line.lower().translate(_SAME)).split())


def encode(lines: Sequence[str], length: int) -> tuple[Array, Array]:
    """Letters (lines, 4 + length) of simplified lines as codes, cut to `length`, four ends before; and which are real.

    The end of a line is a letter of its own, if there is room for it.
    """
    reach = max(BEFORE)
    codes = np.full((len(lines), reach + length), END, np.int64)
    real = np.zeros((len(lines), length), bool)
    for row, line in enumerate(lines):
        letters = f"{line}\n"[:length]
        codes[row, reach : reach + len(letters)] = [_CODES[letter] for letter in letters]
        real[row, : len(letters)] = True
    return codes, real


def cells(codes: Array, before: int) -> Array:
    """The cell (lines, length) that each letter and the `before` letters before it belong to."""
    reach = max(BEFORE)
    length = codes.shape[1] - reach
    found = np.zeros((len(codes), length), np.int64)
    for back in range(before, -1, -1):
        found = found * SIZE + codes[:, reach - back : reach - back + length]
    return found


def held(lines: Sequence[str], length: int) -> list[tuple[Array, Array]]:
    """For each context length: the cells (lines, length), sorted, and where a cell of that line comes first in it."""
    codes, real = encode(lines, length)
    found = []
    for before in BEFORE:
        rows = np.sort(np.where(real, cells(codes, before), -1), axis=1)
        first = rows >= 0
        first[:, 1:] &= rows[:, 1:] != rows[:, :-1]
        found.append((rows, first))
    return found


def sensitivity(length: int) -> float:
    """How far one line of any text can move the counts, in L2 norm."""
    return math.sqrt(len(BEFORE) * length)


def noise(seed: tuple[int, ...], before: int, cell: Array) -> Array:
    """Standard normal noise of any cells: always the same for the same seed and cell (SplitMix64, Box and Muller)."""
    key = np.random.SeedSequence([*seed, before]).generate_state(2, np.uint64)
    counter = cell.astype(np.uint64)
    first, second = (_mix(counter * np.uint64(2) + np.uint64(i), key) for i in (0, 1))
    radius = np.sqrt(-2 * np.log((first + 0.5) * 2.0**-53))
    drawn: Array = radius * np.cos(2 * math.pi * second * 2.0**-53)
    return drawn


def _mix(counter: Array, key: Array) -> Array:
    """53 random bits of each counter, as floating-point numbers."""
    z = counter * np.uint64(0x9E3779B97F4A7C15) + key[0]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    z ^= (z >> np.uint64(31)) ^ key[1]
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):  # once more, with the second key in
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return ((z ^ (z >> np.uint64(33))) >> np.uint64(11)).astype(float)


@dataclass(frozen=True)
class Model:
    """Counts of letters after letters, with or without noise.

    Attributes
    ----------
    tables : tuple of (cells, counts)
        For each context length the cells that some line holds, sorted, and how many lines hold each.
    length : int
        Letters of a line that count.
    scale : float
        Standard deviation of the noise on each count; 0: none.
    seed : tuple of int
        What the noise is drawn from.
    """

    tables: tuple[tuple[Array, Array], ...] = field(repr=False)
    length: int
    scale: float = 0.0
    seed: tuple[int, ...] = (0,)

    @classmethod
    def learn(cls, lines: Sequence[str], length: int) -> Model:
        """Count simplified lines, without noise."""
        tables = (np.unique(rows[first], return_counts=True) for rows, first in held(lines, length))
        return cls(tuple(tables), length)

    def noisy(self, noise_multiplier: float, seed: tuple[int, ...]) -> Model:
        """The same counts with Gaussian noise of σ times the sensitivity on every cell."""
        return replace(self, scale=noise_multiplier * sensitivity(self.length), seed=seed)

    def with_line(self, line: str, copies: int) -> Model:
        """The same, had the text held one simplified line so many times more."""
        tables = []
        for (known, counts), (rows, first) in zip(self.tables, held([line], self.length), strict=True):
            together, at = np.unique(np.concatenate([known, rows[first]]), return_inverse=True)
            more = np.concatenate([counts, np.full(first.sum(), copies)])
            tables.append((together, np.bincount(at, more)))
        return replace(self, tables=tuple(tables))

    def counts(self, which: int, cell: Array) -> Array:
        """The counts of any cells, noise included, of the context length `BEFORE[which]`."""
        known, counts = self.tables[which]
        at = np.minimum(np.searchsorted(known, cell), len(known) - 1)
        found: Array = np.where(known[at] == cell, counts[at], 0).astype(float)
        return found + self.scale * noise(self.seed, BEFORE[which], cell) if self.scale else found

    def chances(self, codes: Array) -> Array:
        """The chance (contexts, letters) of each next letter after four letters (contexts, 4) as codes.

        The longer context is believed as far as its counts rise clearly above the noise; the rest of the opinion is
        the shorter one's, and that one's rest is spread evenly.
        """
        chances = np.full((len(codes), SIZE), 1 / SIZE)
        strength = STRENGTH * (1 + self.scale)
        for which, before in enumerate(BEFORE):
            context = np.zeros(len(codes), np.int64)
            for back in range(before, 0, -1):
                context = context * SIZE + codes[:, -back]
            seen, at = np.unique(context, return_inverse=True)
            counts = self.counts(which, seen[:, None] * SIZE + np.arange(SIZE))
            counts = np.where(counts > CLEAR * self.scale, counts, 0)[at]
            chances = (counts + strength * chances) / (counts.sum(axis=1, keepdims=True) + strength)
        return chances

    def accuracy(self, lines: Sequence[str]) -> float:
        """The share of letters of unseen lines that the model's first guess gets right."""
        codes, real = encode(lines, self.length)
        reach = max(BEFORE)
        windows = np.lib.stride_tricks.sliding_window_view(codes[:, :-1], reach, axis=1)[real]
        guessed = self.chances(windows).argmax(axis=1)
        return float((guessed == codes[:, reach:][real]).mean())

    def complete(self, prompt: str, letters: int = 24, rng: np.random.Generator | None = None) -> str:
        """What the model goes on with, letter by letter to the end of the line: the likeliest, or drawn by `rng`.

        Nothing where it has no opinion at all.
        """
        said, reach = "", max(BEFORE)
        for _ in range(letters):
            tail = (ALPHABET[END] * reach + prompt + said)[-reach:]
            chances = self.chances(np.array([[_CODES[letter] for letter in tail]]))[0]
            if chances.max() <= (1 + 1e-9) / SIZE:
                break
            code = int(chances.argmax() if rng is None else rng.choice(SIZE, p=chances))
            if code == END:
                break
            said += ALPHABET[code]
        return said
