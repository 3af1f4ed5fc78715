"""Data sets ready to train on: the shipped ones by name, and one's own tables."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from privlab import cards, kept
from privlab.cards import Card
from privlab.columns import Array, Category, Column
from privlab.kept import Coded
from privlab.schema import PrivacyLeakWarning, Schema, check_frame, check_target
from privlab.tables import pd

__all__ = [
    "Card",
    "Column",
    "Dataset",
    "PrivacyLeakWarning",
    "Schema",
    "card",
    "deployments",
    "from_frame",
    "load",
    "names",
    "register",
]

MAX_EVALUATION_ROWS = 20_000
TEST_FRACTION = 0.25

_own: dict[str, Dataset] = {}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set encoded by its public card and split into training and test rows.

    Attributes
    ----------
    card : Card
        Everything public about it.
    X_train, X_test : float32 arrays of shape (rows, d), C-contiguous
        Numbers in [-1, 1], categories one-hot; no constant column.
    y_train, y_test : arrays of shape (rows,)
        int32 class codes in the order of `classes`; for a regression float32 in [-1, 1].
    people_train : int32 array of shape (training rows,), or None
        Whose row it is, 0, 1, 2, …: each person's rows stand together. None: each row is a unit.
    table : DataFrame, optional
        The table as it came; None: a shipped one, which `raw` reads when it is asked for.
    is_test : bool array of shape (rows,)
        Which of its rows are in the test split.
    """

    card: Card
    X_train: npt.NDArray[np.float32]
    X_test: npt.NDArray[np.float32]
    y_train: Array
    y_test: Array
    people_train: npt.NDArray[np.int32] | None
    table: pd.DataFrame | None
    is_test: npt.NDArray[np.bool_]

    def __repr__(self) -> str:
        rows, d = self.X_train.shape
        return f"Dataset({self.name!r}, task={self.task!r}, n={self.n}, X_train=({rows}, {d}))"

    @property
    def name(self) -> str:
        """The name that `load` finds it by."""
        return self.card.name

    @property
    def title(self) -> str:
        """The data set and its question, in words."""
        return self.card.title

    @property
    def schema(self) -> Schema:
        """Public bounds and categories."""
        return self.card.schema

    @property
    def task(self) -> str:
        """One of "binary", "multiclass" or "regression"."""
        return self.schema.task

    @property
    def classes(self) -> tuple[Category, ...]:
        """The declared classes in the order of their codes."""
        return self.schema.classes

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of X."""
        return self.schema.feature_names

    @property
    def unit(self) -> str:
        """What privacy protects: "person" or "row"."""
        return self.card.unit

    @property
    def n(self) -> int:
        """Declared number of protected units in the whole set."""
        return self.card.n

    @property
    def n_train(self) -> int:
        """Declared number of protected units in the training split."""
        return self.card.n_train

    @property
    def n_train_rows(self) -> int:
        """Rows in the training split."""
        return len(self.X_train)

    @property
    def max_rows_per_person(self) -> int:
        """Public bound on the rows of one person."""
        return self.card.max_rows_per_person

    @property
    def sensitive(self) -> tuple[str, ...]:
        """Columns about what people may wish to hide."""
        return self.card.sensitive

    @property
    def score_range(self) -> tuple[float, float]:
        """The score axis of a picture."""
        return self.card.score_range

    @property
    def leaks(self) -> tuple[str, ...]:
        """What was read from the data instead of declared; empty for the shipped sets."""
        return self.card.leaks

    @cached_property
    def raw(self) -> pd.DataFrame:
        """The table as it came."""
        return cards.read_table(self.card, split=False) if self.table is None else self.table

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The raw table with a column "split" of "train" and "test"."""
        return self.raw.assign(split=np.where(self.is_test, "test", "train"))

    @cached_property
    def evaluation(self) -> tuple[npt.NDArray[np.float32], Array]:
        """(X, y) of at most 20,000 test rows, always the same ones: what models are scored on."""
        if len(self.X_test) <= MAX_EVALUATION_ROWS:
            return self.X_test, self.y_test
        rows = self._evaluated
        return self.X_test[rows], self.y_test[rows]

    @property
    def _evaluated(self) -> Array:
        draws = np.random.RandomState(0).random_sample(len(self.X_test))
        return np.sort(np.argsort(draws, kind="stable")[:MAX_EVALUATION_ROWS])

    @cached_property
    def train_rows(self) -> Array:
        """For each row of X_train its place in `raw`, counted from 0."""
        units = None if self.card.person is None else _people(self.raw[self.card.person])
        return _in_order(np.flatnonzero(~self.is_test), units)

    @cached_property
    def evaluation_rows(self) -> Array:
        """For each row of `evaluation` its place in `raw`, counted from 0."""
        return np.flatnonzero(self.is_test)[self._evaluated]


def names() -> tuple[str, ...]:
    """Return the names that `load` knows: the shipped sets, then one's own in order of arrival."""
    return (*cards.SHIPPED, *_own)


def card(name: str) -> Card:
    """Return what is public about a data set, without reading its rows.

    Raises
    ------
    ValueError
        If no data set has that name.
    """
    if name in _own:
        return _own[name].card
    if name not in cards.SHIPPED:
        raise ValueError(f"'dataset' must be one of {', '.join(names())}. Got '{name}'.")
    return cards.read_card(name)


def load(name: str) -> Dataset:
    """Return a data set; the second time it is the same object.

    Raises
    ------
    ValueError
        If no data set has that name, or its file is not the one its card describes.
    """
    return _own[name] if name in _own else _load(name)


@cache
def _load(name: str) -> Dataset:
    known = card(name)
    if (coded := kept.read(known)) is None:
        frame = cards.read_table(known)
        is_test = None if known.split is None else (frame[known.split] == "test").to_numpy()
        coded = _code(known, frame, is_test=is_test, seed=0)
        kept.write(known, coded)
    return _expand(known, coded)


def register(dataset: Dataset) -> Dataset:
    """Let `load` find a data set by its name, and return it.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    if dataset.name in names():
        raise ValueError(f"'name' must not be taken. Got '{dataset.name}'.")
    _own[dataset.name] = dataset
    return dataset


def from_frame(
    df: pd.DataFrame,
    *,
    target: str,
    schema: Schema | None = None,
    name: str | None = None,
    person: str | None = None,
    n: int | None = None,
    max_rows_per_person: int | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
) -> Dataset:
    """Make a data set of one's own table and register it, so that every experiment can use it.

    Whatever is not declared is read from the data; a `PrivacyLeakWarning` and `Dataset.leaks`
    then say what.

    Parameters
    ----------
    df : DataFrame
    target : str
        The column to predict.
    schema : Schema, optional
        Public bounds and categories. Default: `Schema.draft` reads them from the data.
    name : str, optional
        Default: the first free one of "own-1", "own-2", ….
    person : str, optional
        The column that tells whose row it is; it makes people, not rows, the unit of protection.
    n : int, optional
        Public number of people (of rows without `person`). Default: counted in the data.
    max_rows_per_person : int, optional
        Public bound on the rows of one person. Default: counted in the data.
    test_fraction : float
        Share of the units, in (0, 1), that a pseudo-random split sets aside for testing.
    seed : int
        Of that split.

    Raises
    ------
    ValueError, TypeError
        For an empty table, an unknown target, one with a single class, a name that is taken, or
        any entry that the schema does not allow; before any work, and never telling a value.
    """
    check_frame(df)
    check_target(df, target)
    if name is not None and (not isinstance(name, str) or name in names()):
        raise ValueError(f"'name' must be text that is not taken. Got {name!r}.")
    if not 0 < test_fraction < 1:
        raise ValueError(f"'test_fraction' must be in (0, 1). Got {test_fraction}.")
    if "split" in df.columns:
        raise ValueError("'df' must not have a column 'split': the lab's own split takes that name.")
    for key, value in (("n", n), ("max_rows_per_person", max_rows_per_person)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"'{key}' must be an integer. Got {type(value).__name__}.")
        if value is not None and value < 1:
            raise ValueError(f"'{key}' must be at least 1. Got {value}.")
    units, rows_per_unit = len(df), 1
    if person is not None:
        if person not in df.columns or person == target:
            raise ValueError(f"'person' must be a column of 'df' other than the target. Got '{person}'.")
        counts = np.bincount(_people(df[person]))
        units, rows_per_unit = len(counts), int(counts.max())
    if schema is None:
        schema = Schema.draft(df.drop(columns=[person] if person else []), target=target)
    elif schema.target.name != target or person in {c.name for c in schema.columns}:
        raise ValueError("'schema' must describe the target as target and not the person's column.")
    leaks = list(schema.leaks)
    if n is None:
        n = units
        leaks.append("n")
    if person is not None and max_rows_per_person is None:
        leaks.append("max_rows_per_person")
    known = Card(
        name=name or next(f"own-{i}" for i in range(1, len(_own) + 2) if f"own-{i}" not in _own),
        title=f"Your data: {target}",
        schema=schema,
        unit="row" if person is None else "person",
        n=n,
        n_train=n - int(n * test_fraction),
        rows=len(df),
        score="R² on the test rows"
        if schema.task == "regression"
        else "accuracy: the share of test rows classified correctly",
        score_range=(0.0, 1.0),
        person=person,
        max_rows_per_person=max_rows_per_person or rows_per_unit,
        leaks=tuple(leaks),
    )
    if leaks:
        warnings.warn(
            f"'{known.name}' reads from the data what a private release must declare: {', '.join(leaks)}.",
            PrivacyLeakWarning,
            stacklevel=2,
        )
    return register(_expand(known, _code(known, df, test_fraction=test_fraction, seed=seed), df))


def deployments() -> pd.DataFrame:
    """Return well-known uses of differential privacy, each with its epsilon, unit and source."""
    return pd.read_csv(cards.folder() / "deployments.csv")


def _code(
    known: Card,
    raw: pd.DataFrame,
    *,
    is_test: npt.NDArray[np.bool_] | None = None,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
) -> Coded:
    """Encode and split a table that fits its card."""
    coded, y = known.schema.code(raw)
    units = np.arange(len(raw)) if known.person is None else _people(raw[known.person])
    most = int(np.bincount(units).max())
    if most > known.max_rows_per_person:
        raise ValueError(
            f"'max_rows_per_person' must be at least the rows of every person. "
            f"Got {known.max_rows_per_person}, and a person with more."
        )
    if is_test is None:
        is_test = _chosen(int(units.max()) + 1, test_fraction, seed)[units]
    train, tested = np.flatnonzero(~is_test), int(is_test.sum())
    if not tested or (known.schema.classes and len(np.unique(y[train])) < 2):
        raise ValueError(
            "'df' must hold at least 1 test row, and at least 2 classes among its training rows. "
            f"Got {tested} test rows of {len(raw)}."
        )
    return Coded(coded, y, is_test, None if known.person is None else units)


def _expand(known: Card, coded: Coded, table: pd.DataFrame | None = None) -> Dataset:
    """Lay an encoded table out for training."""
    train, test = np.flatnonzero(~coded.is_test), np.flatnonzero(coded.is_test)
    people_train = None
    if coded.units is not None:
        train = _in_order(train, coded.units)
        people_train = np.unique(coded.units[train], return_inverse=True)[1].astype(np.int32)
    X_train, X_test = (known.schema.expand(coded.columns, rows) for rows in (train, test))
    return Dataset(known, X_train, X_test, coded.y[train], coded.y[test], people_train, table, coded.is_test)


def _in_order(rows: Array, units: Array | None) -> Array:
    """Rows with those of one unit together; without units as they are."""
    return rows if units is None else rows[np.argsort(units[rows], kind="stable")]


def _people(values: pd.Series[Any]) -> npt.NDArray[np.int64]:
    """Number people 0, 1, 2, … in order of appearance."""
    codes, _ = pd.factorize(values)
    if (codes < 0).any():
        raise ValueError(
            f"'{values.name}' must hold a value in every row. Got a missing value in row "
            f"{int((codes < 0).argmax())} (counting from 0)."
        )
    return codes


def _chosen(units: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose a fraction of units: the lowest draws of a generator whose stream is frozen."""
    count = int(units * fraction)
    chosen = np.zeros(units, np.bool_)
    draws = np.random.RandomState(seed).random_sample(units)
    chosen[np.argpartition(draws, count)[:count]] = True
    return chosen
