"""Encoded shipped data, kept in the user's cache folder: the next start need neither parse nor import pandas.

A file's name is the hash of all that it was made from: the data, the card and the code that encodes. Whatever changes
makes another name, so that nothing stale is ever read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import platformdirs

if TYPE_CHECKING:
    from privlab.cards import Card
    from privlab.columns import Array

CODE = ("cards", "columns", "datasets", "kept", "schema")


class Coded(NamedTuple):
    """A table, encoded column by column and split.

    Attributes
    ----------
    columns : list of arrays (rows,)
        float32 in [-1, 1] for numbers, int32 codes for categories.
    y : array (rows,)
    is_test : bool array (rows,)
    units : int array (rows,), or None
        Whose row it is; None: each row is a unit.
    """

    columns: list[Array]
    y: Array
    is_test: Array
    units: Array | None


def read(card: Card) -> Coded | None:
    """What was kept of a shipped data set; None if nothing was, or it cannot be read."""
    try:
        with _place(card).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            numbers, codes, units = iter(file["numbers"]), iter(file["codes"]), file["units"]
            columns = [next(codes if column.categories else numbers) for column in card.schema.columns]
            return Coded(columns, file["y"], file["is_test"], units if len(units) else None)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def write(card: Card, coded: Coded) -> None:
    """Keep an encoded data set, whole or not at all; a folder that cannot be written to only costs time."""
    place, rows = _place(card), len(coded.y)

    def stacked(kind: str, dtype: Any) -> Array:
        parts = [values for values in coded.columns if values.dtype.kind == kind]
        return np.stack(parts) if parts else np.zeros((0, rows), dtype)

    none = np.zeros(0, np.int64)
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            new = Path(folder) / place.name
            np.savez(
                new, numbers=stacked("f", np.float32), codes=stacked("i", np.int32), y=coded.y,
                is_test=coded.is_test, units=none if coded.units is None else coded.units,
            )  # fmt: skip
            os.replace(new, place)


def remove(card: Card) -> None:
    """Keep nothing of a data set any more."""
    with suppress(FileNotFoundError):
        _place(card).unlink()


def _place(card: Card) -> Path:
    assert card.file is not None
    made_from = hashlib.sha256(repr(card).encode())
    made_from.update(_code())
    for path in card.file.paths:
        made_from.update(path.read_bytes())
    return (
        Path(platformdirs.user_cache_dir("privlab", appauthor=False)) / f"{card.name}-{made_from.hexdigest()[:32]}.npz"
    )


@cache
def _code() -> bytes:
    folder = Path(__file__).parent
    return b"".join((folder / f"{name}.py").read_bytes() for name in CODE)
