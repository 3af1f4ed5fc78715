"""What is public about a table: bounds and categories of its columns, and the one encoder.

Nothing here is learned from rows unless a `Schema` is drafted from them, and then it says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from privlab.columns import MAX_FEATURES, Array, Category, Column
from privlab.tables import pd


class PrivacyLeakWarning(UserWarning):
    """Something was read from the data that a private release would have to declare."""


@dataclass(frozen=True)
class Schema:
    """Public bounds and categories of a table's columns and of its target.

    Attributes
    ----------
    columns : tuple of Column
        The features, in order.
    target : Column
        What is predicted: its categories are the classes; bounds make it a regression.
    drafted : tuple of str
        Names of the columns whose description was read from the data and is not confirmed.

    Raises
    ------
    ValueError
        If a name occurs twice or the columns encode to none or to more than 2,000 features.
    """

    columns: tuple[Column, ...]
    target: Column
    drafted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        _check_unique([column.name for column in (*self.columns, self.target)])
        _check_width(sum(len(column.features) for column in self.columns))

    @property
    def task(self) -> str:
        """One of "binary", "multiclass" or "regression"."""
        if not self.target.categories:
            return "regression"
        return "binary" if len(self.target.categories) == 2 else "multiclass"

    @property
    def classes(self) -> tuple[Category, ...]:
        """The declared classes in the order of their codes; empty for a regression."""
        return self.target.categories

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the encoded features, in the order of the columns of X."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def leaks(self) -> tuple[str, ...]:
        """What was read from the data instead of declared, in words."""
        by_name = {column.name: column for column in (*self.columns, self.target)}
        word = {"category": "categories", "number": "bounds"}
        return tuple(f"{word[by_name[name].kind]} of '{name}'" for name in self.drafted)

    def code(self, frame: pd.DataFrame) -> tuple[list[Array], Array]:
        """Check a table and encode it column by column: (one array a feature column, target)."""
        check_frame(frame)
        columns = (*self.columns, self.target)
        absent = [column.name for column in columns if column.name not in frame.columns]
        if absent:
            raise ValueError(f"'df' must have the column '{absent[0]}'. Got none of that name.")
        *coded, y = [column.encode(frame[column.name]) for column in columns]
        return coded, y

    def expand(self, coded: list[Array], rows: Array) -> npt.NDArray[np.float32]:
        """Lay encoded columns out as features for some rows: C-contiguous float32 (rows, d)."""
        X = np.zeros((len(rows), len(self.feature_names)), np.float32)
        block = 16_384  # the block's features stay in cache while its columns are filled in
        for first in range(0, len(rows), block):
            part = rows[first : first + block]
            out = X[first : first + block]
            position, start = np.arange(len(part)), 0
            for column, values in zip(self.columns, coded, strict=True):
                if column.categories:
                    out[position, values[part] + start] = 1
                else:
                    out[:, start] = values[part]
                start += len(column.features)
        return X

    def encode(self, frame: pd.DataFrame) -> tuple[npt.NDArray[np.float32], Array]:
        """Encode a table by its public description alone.

        Parameters
        ----------
        frame : DataFrame
            Holds every column of the schema; other columns are left alone.

        Returns
        -------
        X : float32 array of shape (rows, d), C-contiguous
            Numbers clamped to their bounds and mapped to [-1, 1]; categories one-hot.
        y : array of shape (rows,)
            int32 class codes, or for a regression float32 in [-1, 1] by the target's bounds.

        Raises
        ------
        ValueError, TypeError
            For an empty table, a missing or twice-named column, or an entry that is missing, not
            finite, not a number or not a declared category. Never tells the value.
        """
        coded, y = self.code(frame)
        return self.expand(coded, np.arange(len(frame))), y

    @classmethod
    def draft(cls, frame: pd.DataFrame, *, target: str) -> Schema:
        """Draft a schema by reading the data: a start to correct, and a leak until `confirm`.

        A column of numbers gets its minimum and maximum as bounds, any other column the values it
        holds as categories. A target of numbers with at most 20 different values becomes classes.

        Raises
        ------
        ValueError, TypeError
            If the table is empty or too wide, the target is unknown or has one class, or a column
            has missing values, too many categories or no use as a feature (dates).
        """
        check_frame(frame)
        check_target(frame, target)
        _check_width(len(frame.columns) - 1)
        goal = Column.draft(frame[target], as_target=True)
        columns = tuple(Column.draft(frame[name]) for name in frame.columns if name != target)
        return cls(columns, goal, drafted=(*(column.name for column in columns), target))

    def confirm(self, *names: str, **declared: Iterable[Category]) -> Schema:
        """Return the schema with columns confirmed as public knowledge.

        Parameters
        ----------
        *names : str
            Columns to confirm as they stand. With no names and nothing declared: all of them.
        **declared : (low, high) or categories
            Columns to confirm with other bounds or categories than the drafted ones.

        Raises
        ------
        ValueError
            If a name is unknown, or the bounds or categories make no sense.

        Examples
        --------
        ``schema.confirm(age=(0, 120)).confirm("sex")``
        """
        by_name = {column.name: column for column in (*self.columns, self.target)}
        for name in (*names, *declared):
            if name not in by_name:
                raise ValueError(f"'{name}' must be a column of the schema. Got an unknown name.")
        for name, values in declared.items():
            by_name[name] = _redeclare(by_name[name], tuple(values))
        done = {*names, *declared} or set(by_name)
        return replace(
            self,
            columns=tuple(by_name[column.name] for column in self.columns),
            target=by_name[self.target.name],
            drafted=tuple(name for name in self.drafted if name not in done),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain lists and dicts, as on a data card; see `from_dict`."""
        target = {"name": self.target.name, **_fields(self.target)}
        columns = {column.name: _fields(column) for column in self.columns}
        return {"target": target, "columns": columns, "drafted": list(self.drafted)}

    @classmethod
    def from_dict(cls, text: Mapping[str, Any]) -> Schema:
        """Make a schema from what `to_dict` gave or a data card holds."""
        columns = tuple(Column(name, **fields) for name, fields in text["columns"].items())
        return cls(columns, Column(**text["target"]), tuple(text.get("drafted", ())))


def check_frame(frame: pd.DataFrame) -> None:
    """Raise unless `frame` is a table with rows and with unique names in text."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"'df' must be a pandas DataFrame. Got {type(frame).__name__}.")
    if len(frame) == 0:
        raise ValueError("'df' must hold at least one row. Got an empty table.")
    for name in frame.columns:
        if not isinstance(name, str):
            raise TypeError(
                f"'df' must have text as column names. Got {type(name).__name__}. "
                "Rename them: df.columns = df.columns.astype(str)."
            )
    _check_unique(frame.columns.tolist())


def check_target(frame: pd.DataFrame, target: str) -> None:
    """Raise unless `target` is a column of `frame` with more than one value."""
    if target not in frame.columns:
        raise ValueError(f"'target' must be a column of 'df'. Got '{target}'.")
    different = frame[target].nunique()
    if different < 2:
        raise ValueError(f"'{target}' must hold at least 2 classes or numbers to be a target. Got {different}.")


def _check_unique(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"Column names must be unique. Got '{name}' twice.")
        seen.add(name)


def _check_width(features: int) -> None:
    if not 1 <= features <= MAX_FEATURES:
        raise ValueError(f"The table must encode to 1 to {MAX_FEATURES} features. Got {features}.")


def _redeclare(column: Column, values: tuple[Any, ...]) -> Column:
    if column.categories:
        return replace(column, categories=values)
    if len(values) != 2:
        raise ValueError(f"'{column.name}' must be declared as (low, high). Got {len(values)}.")
    return replace(column, low=values[0], high=values[1])


def _fields(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"categories": list(column.categories)}
    if not column.categories:
        found = {"low": column.low, "high": column.high}
    if column.transform:
        found["transform"] = column.transform
    if column.fill is not None:
        found["fill"] = column.fill
    return found
