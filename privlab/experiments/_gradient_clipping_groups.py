"""Groups of people by a column of the data card: by what is to be predicted, or by what people may wish to hide."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from privlab import datasets
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.cards import Card
    from privlab.columns import Column
    from privlab.dpsgd import Array

OUTCOME = "outcome"
MOST = 6  # groups of one column
AGES = (30, 45, 60)


@dataclass(frozen=True)
class Groups:
    """Who belongs to which group.

    Attributes
    ----------
    column : str
        "outcome", or the name of a column.
    names : tuple of str
    codes : int (people,)
        The place of each one's group among the names; -1: in none, as the entry is missing.
    """

    column: str
    names: tuple[str, ...]
    codes: Array

    @property
    def sizes(self) -> Array:
        """People in each group (G,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))

    @property
    def members(self) -> Array:
        """float32 (people, G): 1 where somebody belongs."""
        return (self.codes[:, None] == np.arange(len(self.names))).astype(np.float32)


def columns(card: Card) -> tuple[str, ...]:
    """The columns by which the people of a data set can be told apart, "outcome" first."""
    named = card.sensitive or tuple(column.name for column in card.schema.columns if column.categories)
    known = {column.name: column for column in card.schema.columns}
    return (OUTCOME, *(name for name in named if name in known and len(known[name].categories) <= MOST))


def by_column(dataset: datasets.Dataset, column: str, rows: Array) -> Groups:
    """The groups of some rows of `dataset.raw`; bands of a number are cut at public places."""
    schema = dataset.schema
    if column == OUTCOME:
        return _named(schema.target, column, dataset, rows)
    (known,) = [one for one in schema.columns if one.name == column]
    if known.categories:
        return _named(known, column, dataset, rows)
    assert known.low is not None
    assert known.high is not None
    cuts = AGES if column.lower() == "age" else ((known.low + known.high) / 2,)
    values = dataset.raw[column].to_numpy(float)[rows]
    codes = np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="right"))
    middle = [f"{low:g} to below {high:g}" for low, high in pairwise(cuts)]
    return Groups(column, (f"below {cuts[0]:g}", *middle, f"{cuts[-1]:g} and above"), codes)


def _named(known: Column, column: str, dataset: datasets.Dataset, rows: Array) -> Groups:
    entries = dataset.raw[known.name].iloc[rows]
    codes = pd.Categorical(entries, categories=list(known.categories)).codes.astype(np.intp)
    return Groups(column, tuple(map(str, known.categories)), codes)
