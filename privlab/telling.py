"""Scores that tell outputs of two worlds apart, learned from some runs to be judged on others.

None of them knows the mechanism. One looks at the kind of an output (its shape, and where entries are missing), one at
the values, one at how often such values come up, one at their last binary digits, where floating-point noise gives away
what it was added to (Mironov 2012).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array

BINS = 40  # cells that a table has for values which do not repeat
ATOMS = 200  # values with a cell of their own, at most
REPEATS = 3  # of a value, to deserve one
NOTED = 2.0  # standard errors that a cell must speak with to be heard
WIDE = 300  # coordinates beyond which their correlations are left out
KINDS, DIGITS = "its shape, or which numbers are missing", "the last binary digits"
ZERO = 5000  # stands for the last digit of 0, which has none


@dataclass(frozen=True)
class Output:
    """What one run released.

    Attributes
    ----------
    kind : hashable
        Shapes of its parts, and which of its numbers are missing or infinite.
    values : float array (d,)
        All its numbers in a row; 0 where they are not finite.
    """

    kind: Hashable
    values: Array


def read(released: Any) -> Output:
    """An `Output` from numbers in whatever nesting of arrays, sequences and mappings.

    Raises
    ------
    TypeError
        If there is something else in it; it is named by its type alone.
    """
    shapes: list[Hashable] = []
    parts: list[Array] = []
    _collect(released, shapes, parts)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(0)
    finite = np.isfinite(values)
    if finite.all():
        return Output(tuple(shapes), values)
    odd = np.isnan(values) + 2 * np.isposinf(values) + 3 * np.isneginf(values)
    return Output((tuple(shapes), odd.astype(np.int8).tobytes()), np.where(finite, values, 0))


def _collect(released: Any, shapes: list[Hashable], parts: list[Array]) -> None:
    if isinstance(released, Mapping):
        shapes.append(tuple(map(str, released)))
        released = list(released.values())
    if isinstance(released, list | tuple) and not all(isinstance(one, float | int) for one in released):
        shapes.append(len(released))
        for one in released:
            _collect(one, shapes, parts)
        return
    if released is None:
        shapes.append(None)
        return
    numbers = np.asarray(released)
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"'release' must return numbers. Got {type(released).__name__}.")
    shapes.append(numbers.shape)
    parts.append(numbers.ravel().astype(float))


@dataclass(frozen=True)
class Table:
    """How much each cell of a variable's range speaks for the world with the person.

    Attributes
    ----------
    atoms : array (a,)
        Values with a cell of their own, rising.
    edges : array (b,)
        Between the cells of all other values.
    evidence : array (a + b + 1,)
        ln of how much likelier the cell is with the person; 0 where that may be chance.
    """

    atoms: Array
    edges: Array
    evidence: Array

    @classmethod
    def learn(cls, without: Array, with_: Array) -> Table:
        """From values (N,) and (M,) of the two worlds."""
        everything = np.concatenate([without, with_])
        values, counts = np.unique(everything, return_counts=True)
        often = values[counts >= REPEATS]
        if len(often) > ATOMS:
            often = np.sort(often[np.argsort(-counts[counts >= REPEATS], kind="stable")[:ATOMS]])
        rest = values[~np.isin(values, often)]
        edges = np.unique(np.quantile(rest, np.arange(1, BINS) / BINS)) if len(rest) else np.empty(0)
        blank = cls(often, edges, np.zeros(len(often) + len(edges) + 1))
        return cls(often, edges, _evidence(*(blank.counts(each) for each in (without, with_))))

    def cells(self, values: Array) -> Array:
        """The cell of each value."""
        place = np.searchsorted(self.edges, values, side="right") + len(self.atoms)
        if len(self.atoms):
            atom = np.minimum(np.searchsorted(self.atoms, values), len(self.atoms) - 1)
            place = np.where(self.atoms[atom] == values, atom, place)
        return place

    def counts(self, values: Array) -> Array:
        """How many values fall into each cell."""
        return np.bincount(self.cells(values), minlength=len(self.evidence))

    def __call__(self, values: Array) -> Array:
        """What each value speaks for."""
        return self.evidence[self.cells(values)]


def _evidence(without: Array, with_: Array) -> Array:
    """Logarithm of the ratio of two worlds' shares of each cell, from counts; 0 where that may be chance."""
    with_share, share = (with_ + 0.5) / (with_.sum() + 1), (without + 0.5) / (without.sum() + 1)
    ratio = np.log(with_share) - np.log(share)
    return np.where(np.abs(ratio) > NOTED * np.sqrt(1 / (with_ + 0.5) + 1 / (without + 0.5)), ratio, 0)


def last_digits(values: Array) -> Array:
    """The place of the last binary digit that is not 0: the greatest e such that the value is a multiple of 2^e."""
    fraction, exponent = np.frexp(values)
    whole = np.abs(fraction * 2.0**53).astype(np.int64)
    lowest = np.maximum(whole & -whole, 1)
    places: Array = np.where(values == 0, ZERO, exponent - 53 + np.log2(lowest).astype(int)).astype(float)
    return places


Score = Callable[["Sequence[Output]"], "Array"]


def learn(without: Sequence[Output], with_: Sequence[Output]) -> dict[str, Score]:
    """Scores of outputs, each under words for what it looks at; a greater one speaks for the world with the person."""
    kinds = Counter(one.kind for one in (*without, *with_))
    usual = kinds.most_common(1)[0][0]
    shapes = _kinds(without, with_)
    found: dict[str, Score] = {}
    if len(kinds) > 1:
        found[KINDS] = shapes
    pair = [_matrix(world, usual)[1] for world in (without, with_)]
    if min(map(len, pair)) < REPEATS or pair[0].shape[1] == 0:
        return found or {KINDS: shapes}

    def whole(part: Callable[[Array], Array]) -> Score:
        """A score of the usual kind's numbers; of other kinds, what the kind says."""

        def score(outputs: Sequence[Output]) -> Array:
            scores = shapes(outputs)
            regular, values = _matrix(outputs, usual)
            scores[regular] += part(values)
            return scores

        return score

    if pair[0].shape[1] == 1:
        found["the number"] = whole(lambda values: values[:, 0])
    else:
        line = _direction(*pair)
        found["a weighted sum of the numbers"] = whole(lambda values: values @ line)
        along = Table.learn(pair[0] @ line, pair[1] @ line)
        found["how often such weighted sums come up"] = whole(lambda values: along(values @ line))
    found["how often such numbers come up"] = whole(_columns(*pair))
    digits = _columns(*map(last_digits, pair))
    found[DIGITS] = whole(lambda values: digits(last_digits(values)))
    return found


def _kinds(without: Sequence[Output], with_: Sequence[Output]) -> Score:
    numbers: dict[Hashable, int] = {}
    codes = [np.array([numbers.setdefault(one.kind, len(numbers)) for one in world]) for world in (without, with_)]
    evidence = _evidence(*(np.bincount(each, minlength=len(numbers)) for each in codes))
    known = {kind: float(evidence[number]) for kind, number in numbers.items()}
    return lambda outputs: np.array([known.get(one.kind, 0.0) for one in outputs])


def _matrix(outputs: Sequence[Output], kind: Hashable) -> tuple[Array, Array]:
    """Which outputs are of a kind, and their values, stacked."""
    regular = np.array([one.kind == kind for one in outputs], bool)
    chosen = [one.values for one in outputs if one.kind == kind]
    return regular, np.stack(chosen) if chosen else np.empty((0, 0))


def _direction(without: Array, with_: Array) -> Array:
    """Fisher's linear discriminant (d,), from values (N, d) and (M, d)."""
    means = without.mean(axis=0), with_.mean(axis=0)
    gap = means[1] - means[0]
    spread = (without.var(axis=0) + with_.var(axis=0)) / 2
    least = 1e-12 * max(float(spread.max()), float(np.abs(gap).max()) ** 2, 1e-300)
    if len(gap) > min(WIDE, (len(without) + len(with_)) // 4):
        return gap / (spread + least)
    covariance = (np.cov(without, rowvar=False) + np.cov(with_, rowvar=False)) / 2
    line: Array = np.linalg.solve(covariance + np.diag(1e-6 * spread + least), gap)
    return line


def _columns(without: Array, with_: Array) -> Callable[[Array], Array]:
    """The evidence of each coordinate's own table, added up."""
    tables = [Table.learn(*each) for each in zip(without.T, with_.T, strict=True)]
    return lambda values: np.sum([table(column) for table, column in zip(tables, values.T, strict=True)], axis=0)
