"""Groups of people who look alike: k-anonymity, l-diversity, t-closeness, and what they still leak.

Columns are told more coarsely by steps that come from a data card alone, never from the rows. Groups smaller than k are
then left out, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from privlab.columns import Array, Category, Column

if TYPE_CHECKING:
    from privlab.datasets import Dataset

LEVELS = 5  # of coarseness, 0 to 4
BINS = (0, 16, 8, 4, 2)  # of a number, at most, by level
Z = 1.96  # of a 95 % interval
GROUPED, GONE = 2, 3  # levels from which categories are grouped, and from which those without groups are left out

Groups = tuple[tuple[Category, ...], ...]
# What a stranger may already know of a person, and the public groups of categories, by data set: judgements, from the
# documentation of each set.
KNOWN: Mapping[str, tuple[str, ...]] = {
    "adult": ("age", "workclass", "education-num", "marital-status", "occupation", "relationship", "race", "sex"),
    "credit": ("SEX", "AGE", "EDUCATION", "MARRIAGE"),
    "german": ("age", "status_sex", "present_residence_since", "housing", "job", "number_of_people_liable_for",
               "telephone", "foreign_worker"),
    "rand": ("site", "black", "xage", "female", "child", "educdec", "num"),
}  # fmt: skip
GROUPS: Mapping[str, Mapping[str, Groups]] = {
    "adult": {
        "workclass": (
            ("Private",),
            ("Self-emp-not-inc", "Self-emp-inc"),
            ("Federal-gov", "Local-gov", "State-gov"),
            ("?", "Without-pay", "Never-worked"),
        ),
        "marital-status": (
            ("Married-civ-spouse", "Married-spouse-absent", "Married-AF-spouse"),
            ("Divorced", "Separated", "Widowed"),
            ("Never-married",),
        ),
        "occupation": (
            ("Tech-support", "Sales", "Exec-managerial", "Prof-specialty", "Adm-clerical"),
            ("Craft-repair", "Handlers-cleaners", "Machine-op-inspct", "Farming-fishing", "Transport-moving"),
            ("Other-service", "Priv-house-serv", "Protective-serv", "Armed-Forces"),
            ("?",),
        ),
        "relationship": (("Wife", "Husband"), ("Own-child", "Other-relative"), ("Not-in-family", "Unmarried")),
    },
    "german": {
        "status_sex": (
            ("male : divorced/separated", "male : single", "male : married/widowed"),
            ("female : divorced/separated/married", "female : single"),
        ),
        "job": (
            ("unemployed/ unskilled - non-resident", "unskilled - resident"),
            ("skilled employee/ official", "management/ self-employed/ highly qualified employee/ officer"),
        ),
    },
    "rand": {"health": (("excellent", "good"), ("fair", "poor"))},
}


def edges(column: Column, level: int) -> npt.NDArray[np.float64]:
    """Where a column of numbers is cut at a level, in its own units; from its public bounds alone.

    Round widths (1, 2, 2.5, 5, 10, …) that make at most 16, 8, 4 or 2 steps. A spread-out number (log1p) is cut at
    powers of ten, from level 2 on at every other one, and from level 3 on only into nothing and something.
    """
    check_level(level)
    assert column.low is not None and column.high is not None  # noqa: PT018
    low, high = float(column.low), float(column.high)
    if level == 0:
        return np.zeros(0)
    if column.transform:
        powers = 10.0 ** np.arange(0, math.ceil(math.log10(high - low)), 1 if level == 1 else 2)
        return np.asarray(low + (powers[:1] if level >= GONE else powers), np.float64)
    size = math.floor(math.log10((high - low) / BINS[level]))
    for width in (factor * 10.0**power for power in (size, size + 1) for factor in (1, 2, 2.5, 5)):
        cuts = width * np.arange(math.floor(low / width) + 1, math.ceil(high / width))
        if len(cuts) < BINS[level]:
            return np.asarray(cuts, np.float64)
    raise AssertionError("a step of ten times the size always fits")


@dataclass(frozen=True)
class Coarse:
    """One column as it is told at a level of coarseness.

    Attributes
    ----------
    column : Column
    level : int
        0: as collected; 4: the coarsest.
    groups : tuple of tuples of categories
        Public groups of the column's categories; none: a column of more than two is left out from level 3 on.
    """

    column: Column
    level: int
    groups: Groups = ()

    def __post_init__(self) -> None:
        check_level(self.level)
        listed = [category for group in self.groups for category in group]
        if self.groups and (len(listed) != len(set(listed)) or set(listed) != set(self.column.categories)):
            raise ValueError(f"'groups' of '{self.column.name}' must hold each of its categories once.")

    @property
    def told(self) -> Column | None:
        """The column's new public description; None where nothing is left of it."""
        if self.column.kind == "number" or not self._parts:
            return self.column
        if len(self._parts) < 2:
            return None
        return Column(self.column.name, categories=tuple(" / ".join(map(str, part)) for part in self._parts))

    @property
    def _parts(self) -> Groups:
        """Of a category, what is told as one; empty: as it is."""
        if self.column.kind == "number" or self.level < GROUPED:
            return ()
        if self.groups:
            return self.groups
        return (self.column.categories,) if self.level >= GONE and len(self.column.categories) > 2 else ()

    def codes(self, values: Array) -> npt.NDArray[np.int64]:
        """Which step or group each entry (rows,) of `Column.encode` belongs to; numbers as collected by their rank."""
        if self.column.kind == "number":
            if self.level == 0:
                return np.unique(values, return_inverse=True)[1].astype(np.int64)
            return np.searchsorted(self.column.scale(edges(self.column, self.level)), values, "right").astype(np.int64)
        return self._lookup()[values]

    def encode(self, values: Array) -> Array:
        """The entries (rows,) as the coarser column encodes them: the middle of a step, the code of a group."""
        if self.column.kind == "category" or self.level == 0:
            return self._lookup()[values].astype(np.int32) if self.column.kind == "category" else values
        return self.column.scale(self.middles())[self.codes(values)]

    def middles(self) -> npt.NDArray[np.float64]:
        """The middle of each step of a number, in its own units."""
        column = self.column
        assert column.low is not None and column.high is not None  # noqa: PT018
        ends = np.concatenate([[column.low], edges(column, self.level), [column.high]])
        if column.transform:  # the middle as the model sees it
            spread = np.log1p(ends - column.low)
            return np.asarray(np.expm1((spread[1:] + spread[:-1]) / 2) + column.low)
        return np.asarray((ends[1:] + ends[:-1]) / 2)

    def _lookup(self) -> npt.NDArray[np.int64]:
        parts = self._parts or tuple((category,) for category in self.column.categories)
        place = {category: index for index, part in enumerate(parts) for category in part}
        return np.array([place[category] for category in self.column.categories])


def known(dataset: Dataset) -> tuple[str, ...]:
    """What a stranger may know of a person beforehand: of a table of one's own, every column but the answer."""
    return KNOWN.get(dataset.name) or tuple(column.name for column in dataset.schema.columns)


def coarse(name: str, column: Column, level: int) -> Coarse:
    """A column of a data set of that name, with the set's public groups."""
    return Coarse(column, level, GROUPS.get(name, {}).get(column.name, ()))


def alike(codes: Sequence[Array], rows: int) -> npt.NDArray[np.int64]:
    """Number the groups of rows with the same codes (rows,) in every column: 0, 1, …; one group without columns."""
    key, size = np.zeros(rows, np.int64), 1
    for column in codes:
        width = int(column.max()) + 1
        if size * width >= 2**62:
            key, size = np.unique(key, return_inverse=True)[1].astype(np.int64), rows
        key, size = key * width + column, size * width
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class Grouped:
    """A table in groups of people who look alike, with a secret of each.

    Attributes
    ----------
    of : int (rows,)
        The group of each row.
    table : int (groups, values)
        How many people of a group have each value of the secret.
    ordered : bool
        Whether the secret's values have an order, which t-closeness then minds.
    """

    of: npt.NDArray[np.int64]
    table: npt.NDArray[np.int64]
    ordered: bool = False

    @classmethod
    def make(cls, codes: Sequence[Array], secret: Array, values: int, *, ordered: bool = False) -> Grouped:
        """Group rows by their codes; `secret` (rows,) holds codes below `values`."""
        of = alike(codes, len(secret))
        count = int(of.max()) + 1 if len(of) else 0
        table = np.bincount(of * values + secret, minlength=count * values).reshape(count, values)
        return cls(of, table, ordered)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """People in each group (groups,)."""
        return np.asarray(self.table.sum(axis=1))

    @property
    def rows(self) -> int:
        """People in all."""
        return len(self.of)

    def at_least(self, k: int) -> tuple[Grouped, int]:
        """Leave out the groups smaller than k (suppression): what remains, and how many people were left out."""
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"'k' must be a whole number of at least 1. Got {k!r}.")
        stay = self.sizes >= k
        number = np.cumsum(stay) - 1
        kept = self.of[stay[self.of]]
        return Grouped(number[kept], self.table[stay], self.ordered), self.rows - len(kept)

    @property
    def k(self) -> int:
        """The k of k-anonymity (Sweeney 2002): the size of the smallest group; 0 where nobody is left."""
        return int(self.sizes.min(initial=self.rows)) if self.rows else 0

    @property
    def distinct(self) -> int:
        """Distinct l-diversity: the fewest different secrets in a group; 0 where nobody is left."""
        return int((self.table > 0).sum(axis=1).min()) if self.rows else 0

    @property
    def entropy(self) -> float:
        """Entropy l-diversity (Machanavajjhala et al. 2007): exp of the least entropy of a group; 0 for nobody."""
        if not self.rows:
            return 0.0
        shares = self.table / self.sizes[:, None]
        terms = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1)), 0)
        return float(np.exp(-terms.sum(axis=1).max()))

    @property
    def t(self) -> float:
        """The t of t-closeness (Li et al. 2007): the farthest group from all together, by the earth mover's distance.

        In [0, 1]: with an order, how many places a secret moves on average over the most it can; without, half of the
        summed differences. 0 where nobody is left.
        """
        if not self.rows:
            return 0.0
        gap = self.table / self.sizes[:, None] - self.table.sum(axis=0) / self.rows
        if self.ordered:
            moved = np.abs(np.cumsum(gap, axis=1)).sum(axis=1) / (gap.shape[1] - 1)
        else:
            moved = np.abs(gap).sum(axis=1) / 2
        return float(moved.max())

    def certain(self, ruled_out: int = 0) -> Array:
        """Per group (groups,) whether the secret is told for sure.

        With `ruled_out` = 0 the homogeneity attack: everybody in the group has the same. With more, background
        knowledge: an attacker can rule out so many values that are not the person's, and takes the likeliest to do so.
        """
        return np.asarray((self.table > 0).sum(axis=1) <= 1 + ruled_out)

    def share(self, per_group: Array) -> tuple[float, float, float]:
        """The mean over people of a share per group, and its 95 % interval; NaN where nobody is left.

        Groups, not people, are what varies: the standard error is that of a ratio of sums over groups. It gives the
        number of independent people that Wilson's interval is then reckoned for; where all groups agree, that number is
        Kish's number of groups, so that a single group is never certain.
        """
        if not self.rows:
            return math.nan, math.nan, math.nan
        sizes, n = self.sizes, float(self.rows)
        mean = min(max(float(np.sum(per_group * sizes)) / n, 0.0), 1.0)
        variance = float(np.sum((sizes * (per_group - mean)) ** 2)) / n**2
        alone = n**2 / float(np.sum(sizes.astype(float) ** 2))
        count = mean * (1 - mean) / variance if variance > 1e-15 else alone
        centre, spread = mean + Z**2 / 2 / count, Z * math.sqrt(mean * (1 - mean) / count + (Z / 2 / count) ** 2)
        low, high = ((centre + side * spread) / (1 + Z**2 / count) for side in (-1, 1))
        return mean, max(low, 0.0), min(high, 1.0)

    @property
    def found(self) -> Array:
        """Per group the chance to pick the right one of its people: 1 over its size."""
        return 1 / self.sizes

    @property
    def guessed(self) -> Array:
        """Per group the share of people whose secret is the commonest in it."""
        return np.asarray(self.table.max(axis=1) / self.sizes)


def check_level(level: int) -> None:
    """Raise unless a level of coarseness exists."""
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level < LEVELS:
        raise ValueError(f"'level' must be a whole number in [0, {LEVELS - 1}]. Got {level!r}.")
