"""A real ledger in a folder that is thrown away: written, meddled with, and inspected."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privlab.ledger import Charge, Ledger, Verification

ENTRIES = 8
COPIED = 5  # entries in the older copy
CHEAP = 0.001  # what the edited entry claims to have cost


@dataclass(frozen=True)
class Chain:
    """What was written, what was found, and what the inspection says.

    Attributes
    ----------
    written, found : tuple of (int, str)
        Number and ε of each entry, in short, in the order of the file.
    verification : Verification
    """

    written: tuple[tuple[int, str], ...]
    found: tuple[tuple[int, str], ...]
    verification: Verification


def _edit(path: Path, copy: Path) -> None:
    cheap = f"json_set(text, '$.charge.epsilon', {CHEAP})"
    _change(path, f"UPDATE entries SET text = {cheap} WHERE number = 4")


def _delete(path: Path, copy: Path) -> None:
    _change(path, "DELETE FROM entries WHERE number = 3")


def _reorder(path: Path, copy: Path) -> None:
    for old, new in ((2, -1), (5, 2), (-1, 5)):
        _change(path, f"UPDATE entries SET number = {new} WHERE number = {old}")


def _truncate(path: Path, copy: Path) -> None:
    _change(path, f"DELETE FROM entries WHERE number > {ENTRIES - 2}")


def _roll_back(path: Path, copy: Path) -> None:
    shutil.copy(copy, path)


def _change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)


TAMPERINGS: Mapping[str, tuple[str, Callable[[Path, Path], None]]] = {
    "nothing": ("nothing", lambda path, copy: None),
    "edit": ("an entry is made to look cheap", _edit),
    "delete": ("an entry is taken out", _delete),
    "reorder": ("two entries change places", _reorder),
    "truncate": ("the last two are cut off", _truncate),
    "roll back": ("an older copy is put back", _roll_back),
}


def tamper(tampering: str, epsilon: float, most: float, rng: np.random.Generator) -> Chain:
    """Charge eight answers of at most `most` each to a ledger, meddle with its file, and inspect it."""
    prices = [float(f"{price:.2g}") for price in most * rng.uniform(0.4, 1, ENTRIES)]
    charges = [Charge(what=f"answer {i}", epsilon=price) for i, price in enumerate(prices, 1)]
    with tempfile.TemporaryDirectory() as place:
        book, apart, copy = Path(place) / "book", Path(place) / "apart", Path(place) / "copy"
        book.mkdir()
        ledger = Ledger(book / "a.ledger", epsilon, 0.0, key=apart / "key", head=apart / "head")
        ledger.charge_all(*charges[:COPIED])
        shutil.copy(ledger.path, copy)
        ledger.charge_all(*charges[COPIED:])
        written = _entries(ledger)
        TAMPERINGS[tampering][1](ledger.path, copy)
        return Chain(written, _entries(ledger), ledger.verify())


def _entries(ledger: Ledger) -> tuple[tuple[int, str], ...]:
    return tuple((entry.number, f"{entry.charge['epsilon']:.2g}".removeprefix("0")) for entry in ledger.entries())
