"""Collect less: fewer columns, told more coarsely, and rows no older than they need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from privlab import anonymity
from privlab.columns import Array, Column
from privlab.schema import Schema
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset

Columns = Sequence[str] | Mapping[str, int]  # names, or names with a level each
RIDGE = 1e-6  # of the rows' number; keeps the least squares of one-hot columns solvable
# The column that tells how old a row is, and the newest there can be: of the shipped sets only RAND's has one.
AGES = {"rand": ("year", 5)}


def encoded(dataset: Dataset, X: Array) -> dict[str, Array]:
    """Take features X (rows, d) apart again, column by column, as `Column.encode` made them."""
    parts: dict[str, Array] = {}
    start = 0
    for column in dataset.schema.columns:
        block = X[:, start : start + len(column.features)]
        parts[column.name] = block.argmax(axis=1).astype(np.int32) if column.categories else block[:, 0]
        start += len(column.features)
    return parts


@cache
def order(dataset: Dataset) -> tuple[str, ...]:
    """All columns, the most useful first: drop whichever costs the least, again and again (backward elimination).

    What a column is worth is read from least squares on the training rows, without privacy: a look at the data that no
    ε pays for. A private release must choose its columns by public knowledge, or pay for the choice.
    """
    rows, start, places = len(dataset.X_train), 1, {}
    for column in dataset.schema.columns:
        places[column.name] = np.arange(start, start + len(column.features))
        start += len(column.features)
    X = np.column_stack([np.ones(rows, np.float32), dataset.X_train])
    y = dataset.y_train.astype(np.float32)
    target = np.eye(len(dataset.classes), dtype=np.float32)[dataset.y_train] if dataset.task == "multiclass" else y
    gram = (X.T @ X).astype(float) + RIDGE * rows * np.eye(X.shape[1])
    pulled = (X.T @ target).astype(float).reshape(len(gram), -1)

    def explained(names: Sequence[str]) -> float:
        use = np.concatenate([[0], *(places[name] for name in names)])
        inner = pulled[use]
        return float(np.sum(inner * np.linalg.solve(gram[np.ix_(use, use)], inner)))

    left, dropped = list(places), []
    while len(left) > 1:
        worth = {name: explained([other for other in left if other != name]) for name in left}
        least = max(worth, key=lambda name: worth[name])
        left.remove(least)
        dropped.append(least)
    return (*left, *reversed(dropped))


def check_columns(dataset: Dataset, columns: Sequence[str]) -> None:
    """Raise unless `columns` are some of the data set's features, each once."""
    known = [column.name for column in dataset.schema.columns]
    for name in columns:
        if name not in known:
            raise ValueError(f"'columns' must be among {', '.join(known)}. Got {name!r}.")
    if not columns or len(set(columns)) < len(columns):
        raise ValueError("'columns' must name at least one column, each once.")


def coarse(dataset: Dataset, columns: Columns, level: int) -> list[anonymity.Coarse]:
    """The chosen columns at a level of coarseness, or each at a level of its own, in the data set's own order."""
    check_columns(dataset, list(columns))
    levels = columns if isinstance(columns, Mapping) else dict.fromkeys(columns, level)
    chosen = [column for column in dataset.schema.columns if column.name in levels]
    return [anonymity.coarse(dataset.name, column, levels[column.name]) for column in chosen]


def within(dataset: Dataset, budget: float) -> dict[str, int]:
    """Drop and coarsen as much as a model can bear: the columns left, each with its level of coarseness.

    Greedy: of all columns the one whose next step (a level coarser, at last left out) explains the least less of the
    target takes that step, until the next one would cost more than the budget.

    Parameters
    ----------
    dataset : Dataset
        Of two classes.
    budget : float
        Points of accuracy that may be lost, by least squares on the training rows. As in `order`, a look at the data
        without privacy.
    """
    if dataset.task != "binary" or not 0 <= budget < 100:
        raise ValueError(f"'dataset' must have two classes, and 'budget' be in [0, 100). Got {budget:g}.")
    rows, blocks = len(dataset.X_train), {}
    for column in dataset.schema.columns:
        for level in range(anonymity.LEVELS):
            blocks[column.name, level] = features(dataset, dataset.X_train, [column.name], level)
    ends = np.cumsum([1, *(block.shape[1] for block in blocks.values())])
    places = {key: np.arange(a, b) for key, a, b in zip(blocks, ends, ends[1:], strict=False)}
    X = np.column_stack([np.ones(rows, np.float32), *blocks.values()])
    y = 2 * dataset.y_train.astype(np.float32) - 1
    gram, pulled = (X.T @ X).astype(float) + RIDGE * rows * np.eye(X.shape[1]), (X.T @ y).astype(float)

    def fit(levels: Mapping[str, int]) -> tuple[Array, Array]:
        use = np.concatenate([[0], *(places[key] for key in levels.items())])
        return use, np.linalg.solve(gram[np.ix_(use, use)], pulled[use])

    def explained(levels: Mapping[str, int]) -> float:
        use, weights = fit(levels)
        return float(pulled[use] @ weights)

    def right(levels: Mapping[str, int]) -> float:
        use, weights = fit(levels)
        return float(np.mean((X[:, use] @ weights.astype(np.float32) > 0) == (y > 0)))

    left = {column.name: 0 for column in dataset.schema.columns}
    least = right(left) - budget / 100
    while len(left) > 1:
        steps = [_step(left, name) for name in left]
        best = max(steps, key=explained)
        if right(best) < least:
            break
        left = best
    return left


def _step(levels: Mapping[str, int], name: str) -> dict[str, int]:
    """The same with one column a level coarser, or without it after the last."""
    changed = {**levels, name: levels[name] + 1}
    return changed if changed[name] < anonymity.LEVELS else {key: at for key, at in levels.items() if key != name}


def features(dataset: Dataset, X: Array, columns: Columns, level: int = 0) -> npt.NDArray[np.float32]:
    """Features (rows, d) of the chosen columns alone, at a level of coarseness, from all features X.

    Numbers stand in the middle of their step, categories in their group. Where nothing is left of any column there is
    one feature, and it is 0.
    """
    parts, told = encoded(dataset, X), _told(coarse(dataset, columns, level))
    if not told:
        return np.zeros((len(X), 1), np.float32)
    schema = Schema(tuple(column for _, column in told), dataset.schema.target)
    return schema.expand([one.encode(parts[one.column.name]) for one, _ in told], np.arange(len(X)))


def minimise(dataset: Dataset, columns: Columns, level: int = 0, *, name: str | None = None) -> Dataset:
    """Return a data set that holds nothing but the chosen columns, told at a level of coarseness, and the target.

    Parameters
    ----------
    dataset : Dataset
    columns : sequence of str, or mapping of str to int
        Features to keep; as a mapping, such as from `within`, each with a level of its own.
    level : int in [0, 4]
        0: as collected; see `anonymity.Coarse`.
    name : str, optional
        Default: the data set's own with "-less" behind it. `privlab.datasets.register` lets experiments find it.

    Returns
    -------
    Dataset
        The same people in the same split. Its table has the kept columns, the target and, where there is one, the
        column that tells whose row it is; no other column is in it.

    Raises
    ------
    ValueError
        For an unknown column or level, or if the level leaves nothing of any column.
    """
    told = _told(coarse(dataset, columns, level))
    if not told:
        raise ValueError("'level' must leave something of at least one of the columns. Got one that leaves nothing.")
    raw, new = dataset.raw, dict[str, Any]()
    for one, column in told:
        codes = one.column.encode(raw[column.name])
        if column is one.column and (one.level == 0 or column.categories):
            new[column.name] = raw[column.name]
        elif column.categories:
            new[column.name] = pd.Categorical.from_codes(one.encode(codes), pd.Index(column.categories))
        else:
            new[column.name] = one.middles()[one.codes(codes)].astype(np.float32)
    rest = [dataset.schema.target.name, *([dataset.card.person] if dataset.card.person else [])]
    table = pd.DataFrame(new | {column: raw[column] for column in rest}, index=raw.index)
    schema = Schema(tuple(column for _, column in told), dataset.schema.target)
    kept = {column.name for column in schema.columns}
    card = replace(
        dataset.card,
        name=name or f"{dataset.name}-less",
        schema=schema,
        sensitive=tuple(one for one in dataset.sensitive if one in kept),
        file=None,
        leaks=tuple(words for words in dataset.leaks if not any(f"'{gone}'" in words for gone in _gone(dataset, kept))),
    )
    X_train, X_test = (features(dataset, X, columns, level) for X in (dataset.X_train, dataset.X_test))
    return replace(dataset, card=card, X_train=X_train, X_test=X_test, table=table)


def young(dataset: Dataset, X: Array, years: int) -> npt.NDArray[np.bool_]:
    """Which rows of features X (rows, d) are at most so many years old, as the set's own clock counts them.

    RAND's clock is the year of the study that a row tells of, 1 to 5; it has no calendar dates. A rule "delete after
    two years", run when the study ends, leaves the rows of its years 4 and 5.

    Raises
    ------
    ValueError
        If the data set tells no age of its rows: none of the other shipped sets does.
    """
    if dataset.name not in AGES:
        raise ValueError(f"'dataset' must tell how old its rows are: {', '.join(AGES)}. Got '{dataset.name}'.")
    name, newest = AGES[dataset.name]
    column = next(one for one in dataset.schema.columns if one.name == name)
    if isinstance(years, bool) or not isinstance(years, int) or not 1 <= years <= newest:
        raise ValueError(f"'years' must be a whole number in [1, {newest}]. Got {years!r}.")
    return np.asarray(encoded(dataset, X)[name] >= column.scale(newest - years + 1))


def one_row_each(people: Array | None, rows: int) -> npt.NDArray[np.int64]:
    """The last row of every person; every row where each is a person's only one."""
    if people is None:
        return np.arange(rows)
    return np.append(np.flatnonzero(np.diff(people)), rows - 1)


def _told(columns: Sequence[anonymity.Coarse]) -> list[tuple[anonymity.Coarse, Column]]:
    found: list[Any] = [(one, one.told) for one in columns]
    return [(one, column) for one, column in found if column is not None]


def _gone(dataset: Dataset, kept: set[str]) -> list[str]:
    return [column.name for column in dataset.schema.columns if column.name not in kept]
