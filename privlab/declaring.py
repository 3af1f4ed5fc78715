"""What is public about a table of one's own, in words that a person types, and the data set made of them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from privlab import intake
from privlab.cards import Card
from privlab.columns import Column
from privlab.datasets import Dataset, from_frame
from privlab.schema import Schema
from privlab.tables import pd

__all__ = ["column", "declare", "draft", "script", "words"]

DRAFTED = 50  # categories that a draft lists at most: more are likely names
BETWEEN = re.compile(r"\s*([-+.\de]+)\s*(?:to|,|;|–|\.\.)\s*([-+.\de]+)\s*", re.IGNORECASE)
Public = str | Sequence[Any] | Column


def declare(
    source: pd.DataFrame | str | os.PathLike[str] | bytes,
    *,
    target: str,
    columns: Mapping[str, Public],
    n: int,
    person: str | None = None,
    max_rows_per_person: int = 1,
    name: str | None = None,
) -> Dataset:
    """Make a data set of one's own table with everything declared and nothing read from the rows, and register it.

    Parameters
    ----------
    source : DataFrame, path or bytes
        The table, or a file with it; see `privlab.intake.read`.
    target : str
        The column to predict, one of `columns`.
    columns : mapping
        What is public, by column: bounds, as "18 to 100" or (18, 100), or every category, as "yes, no" or a list of
        text. Columns left out here are left out of the data set.
    n : int
        Public number of people.
    person : str, optional
        The column that tells whose row it is. Without it each row is a person.
    max_rows_per_person : int
        Public bound on the rows of one person.
    name : str, optional
        Default: the first free one of "own-1", "own-2", ….

    Raises
    ------
    ValueError, TypeError
        For a declaration that makes no sense, or an entry outside it; names column and row, never a value.

    Examples
    --------
    ``privlab.declare("survey.csv", target="vote", columns={"age": "18 to 100", "vote": "yes, no"}, n=1000)``
    """
    known = {key: column(key, value) for key, value in columns.items()}
    if target not in known:
        raise ValueError(f"'target' must be one of the declared columns. Got '{target}'.")
    if len(known) < 2:
        raise ValueError("'columns' must declare a column besides the target. Got none.")
    if person in known:
        raise ValueError(f"'person' must be a column that is not declared otherwise. Got '{person}'.")
    schema = Schema(tuple(one for key, one in known.items() if key != target), known[target])
    table = source if isinstance(source, pd.DataFrame) else intake.read(source)
    return from_frame(
        intake.typed(table, schema, person), target=target, schema=schema, name=name, person=person, n=n,
        max_rows_per_person=max_rows_per_person if person is not None else None,
    )  # fmt: skip


def column(name: str, public: Public, kind: str = "", missing: str = "") -> Column:
    """One column as a person declares it.

    Parameters
    ----------
    name : str
    public : str or sequence
        "18 to 100" or (18, 100); "yes, no" or ["yes", "no"]. A category with a comma stands in quotation marks.
    kind : {"number", "categories"}, optional
        Default: whichever `public` looks like.
    missing : str, optional
        What stands in for a missing entry. Default: nothing may be missing.
    """
    if isinstance(public, Column):
        return public
    if isinstance(public, str):
        found = BETWEEN.fullmatch(public)
        if kind != "categories" and found:
            public = tuple(_number(name, word) for word in found.groups())
        elif kind == "number":
            raise ValueError(
                f"'{name}' must have bounds, such as 0 to 100. Got {'none' if not public.strip() else 'other text'}."
            )
        else:
            public = _split(public)
    if len(public) == 2 and not any(isinstance(value, (str, bool)) for value in public):
        low, high = (float(value) for value in public)
        return Column(name, low, high, fill=_number(name, missing) if missing.strip() else None)
    categories = tuple(str(value).strip() for value in public)
    if not categories:
        raise ValueError(f"'{name}' must have bounds, such as 0 to 100, or categories, such as yes, no. Got none.")
    return Column(name, categories=categories, fill=missing.strip() or None)


def words(one: Column) -> str:
    """What a person would type for a column."""
    if one.kind == "number":
        return f"{one.low:g} to {one.high:g}"
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(one.categories)
    return line.getvalue().replace(",", ", ") if not any("," in str(c) for c in one.categories) else line.getvalue()


def script(card: Card, path: str) -> str:
    """A program that declares the same of a file again."""
    schema = card.schema
    known = "".join(
        f"    {one.name!r}: {words(one)!r},\n" if one.fill is None else f"    {one.name!r}: privlab.datasets.{one!r},\n"
        for one in (*schema.columns, schema.target)
    )
    whose = "" if card.person is None else f", person={card.person!r}, max_rows_per_person={card.max_rows_per_person}"
    call = f"privlab.declare({path!r}, target={schema.target.name!r}, columns=public, n={card.n}{whose})"
    return f"import privlab\n\npublic = {{\n{known}}}\nmine = {call}\n"


def draft(table: pd.DataFrame, name: str, kind: str) -> str:
    """What a column's rows hold, in words: a leak until somebody confirms that it is public."""
    values = table[name].dropna()
    if kind == "number":
        one = Column(name, 0, 1)
        return words(Column.draft(pd.Series(one.numbers(values), name=name)))
    if values.nunique() > DRAFTED:
        raise ValueError(
            f"'{name}' must have at most {DRAFTED} categories to be drafted. Got more: leave it out, or type them."
        )
    return words(Column.draft(values.map(str).astype(object)))


def _split(text: str) -> tuple[str, ...]:
    """Categories between commas; one with a comma of its own stands in quotation marks."""
    (found,) = csv.reader([" ".join(text.split())], skipinitialspace=True) if text.strip() else ([],)
    return tuple(word.strip() for word in found if word.strip())


def _number(name: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"'{name}' must have numbers as bounds, and for what is missing. Got other text.") from None
