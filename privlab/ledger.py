"""The ledger: every release on private data is charged here before it is shown.

One SQLite file, written with full synchronisation and a rollback journal, safe under several notebooks at once. Its
entries are sealed one after the other (`privlab.chain`); the key of the seals and the head of the chain lie elsewhere
(`privlab.heads`). Whether a charge fits is decided by a privacy filter for adaptively chosen releases
(`privlab.filters`).

What it cannot do: whoever may read the user's key can write entries, and whoever can put back older copies of the
ledger *and* of the head at once is not found out. It tells honest people what was spent, and shows meddling with the
file; it does not lock the data away. Nor does it know who its people are: whoever keeps two ledgers of the same people
may spend both budgets.

A charge goes in three steps, all under the file's write lock: the head notes the intent to write entry n + 1 (on the
disk before anything else happens), the entry is committed, the head confirms it. A crash in between leaves a ledger
that ends at n or at n + 1, and only while the intent is open are both accepted. Nothing is shown before the third step,
so that what was charged may never have been shown, but never the other way round.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from privlab import chain, heads
from privlab.chain import Problem, Row, Verification
from privlab.filters import Charge, Filter, Spent

__all__ = ["BrokenLedgerError", "BudgetExceededError", "Charge", "Entry", "Ledger", "Problem", "Verification"]

PATIENCE = 60.0  # seconds to wait while others write
_COLUMNS = "number, text, seal"


class BudgetExceededError(RuntimeError):
    """A charge does not fit what is left of the budget; nothing was written."""

    refuses = True  # told to a person in its own words: it is no fault


class BrokenLedgerError(RuntimeError):
    """The ledger is not the one that its head names; nothing is charged to it."""


@dataclass(frozen=True)
class Entry:
    """One charge as it stands in the ledger.

    Attributes
    ----------
    number : int
        From 1.
    time : str
        UTC, ISO 8601.
    what : str
        What was released.
    charge : mapping
        The numbers that its cost follows from.
    epsilon : float
        By how much it raised the reading: never less than 0, and mostly less than the release's own ε.
    spent : float
        The reading after it.
    """

    number: int
    time: str
    what: str
    charge: Mapping[str, Any]
    epsilon: float
    spent: float


class Ledger:
    """A privacy budget for one set of people, and everything that was spent of it.

    Protected is one person, whose rows are added or removed. Every charge is an upper bound for that.

    Parameters
    ----------
    path : path
        The SQLite file; made if there is none.
    epsilon : float in (0, 1000], optional
        The budget, for good. May be left out for a ledger that exists.
    delta : float in [0, 1), optional
        The δ of the budget: below 1/n for n people. May be left out for a ledger that exists.
    key : path, optional
        A file of at least 32 secret bytes that its owner alone may read; made if there is none. Default: in the user's
        data folder.
    head : path, optional
        Where the number and the seal of the last entry are kept. Default: in the user's data folder.

    Raises
    ------
    ValueError, TypeError
        For a budget out of range or another than the ledger's, for the wrong key, or for a key or a head in the
        ledger's own folder.
    BrokenLedgerError
        If a ledger was here and is gone.

    Examples
    --------
    ``ledger = privlab.Ledger("adult.ledger", epsilon=3, delta=1e-5)``, then
    ``ledger.charge(noise_multiplier=1.2, sampling_rate=0.02, steps=60, what="a model of income")``
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        epsilon: float | None = None,
        delta: float | None = None,
        key: str | os.PathLike[str] | None = None,
        head: str | os.PathLike[str] | None = None,
    ) -> None:
        self.path = Path(path).resolve()
        key_path = heads.usual_key() if key is None else Path(key).resolve()
        head_path = heads.usual_head(self.path) if head is None else Path(head).resolve()
        for name, place in (("key", key_path), ("head", head_path)):
            if place.parent == self.path.parent:
                raise ValueError(f"'{name}' must lie in another folder than the ledger. Got the same.")
        asked = None if epsilon is None or delta is None else Filter(epsilon, delta)
        if asked is None and not self.path.exists():
            raise ValueError("'epsilon' and 'delta' must be given for a new ledger. Got one or none of them.")
        if not self.path.parent.is_dir():
            raise ValueError("'path' must lie in a folder that exists. Got another.")
        secret = heads.read_key(key_path)
        self._head = heads.HeadFile(head_path, secret)
        self.name, self.filter = self._open(secret, asked)
        self._key = heads.seal(secret, self.name.encode())
        for name, given in (("epsilon", epsilon), ("delta", delta)):
            own = getattr(self.filter, name)
            if given is not None and float(given) != own:
                raise ValueError(f"'{name}' must be the ledger's own, {own:g}. Got {given:g}.")

    def __repr__(self) -> str:
        return f"Ledger({self.path.name!r}, epsilon={self.epsilon:g}, delta={self.delta:g})"

    @property
    def epsilon(self) -> float:
        """The budget's ε."""
        return self.filter.epsilon

    @property
    def delta(self) -> float:
        """The budget's δ."""
        return self.filter.delta

    def charge(
        self,
        *,
        what: str,
        epsilon: float | None = None,
        delta: float = 0.0,
        noise_multiplier: float | None = None,
        sampling_rate: float = 1.0,
        steps: int = 1,
    ) -> Entry:
        """Charge one release, before it is made: an (ε, δ), or steps of sampled Gaussian noise. See `Charge`.

        Returns
        -------
        Entry
            What was written. Only then may the release be shown.

        Raises
        ------
        BudgetExceededError
            If it does not fit; nothing was written.
        BrokenLedgerError
            If the ledger's end is not the one that its head names.
        ValueError, TypeError
            For numbers out of range.
        """
        one = Charge(
            what=what, epsilon=epsilon, delta=delta, noise_multiplier=noise_multiplier, sampling_rate=sampling_rate,
            steps=steps,
        )  # fmt: skip
        return self.charge_all(one)[0]

    def charge_all(self, *charges: Charge) -> tuple[Entry, ...]:
        """Charge several releases, all or none of them. Raises as `charge` does."""
        costs = [self.filter.cost(one) for one in charges]  # may take long: before the lock
        with self._locked() as file:
            last, head = self._end(file)
            spent = chain.total(json.loads(last.text))
            rows, entries = [last], []
            for one, cost in zip(charges, costs, strict=True):
                total = self.filter.add(spent, cost)
                if not self.filter.allows(total):
                    raise BudgetExceededError(self._refusal(one, spent, total))
                time = datetime.now(UTC).isoformat(timespec="milliseconds")
                content = {"time": time, "what": one.what, "charge": one.numbers()}
                rows.append(chain.write(self._key, rows[-1].number + 1, rows[-1].seal, content, total, cost))
                entries.append(self._entry(json.loads(rows[-1].text), spent))
                spent = total
            known = replace(head, number=last.number, seal=last.seal)
            self._append(file, known.intending(rows[-1].number, rows[-1].seal), rows[1:])
        return tuple(entries)

    def would_spend(self, *charges: Charge) -> float:
        """What the reading would be after these charges; nothing is written."""
        spent = self._spent()
        for one in charges:
            spent = self.filter.add(spent, self.filter.cost(one))
        return self.filter.reading(spent)

    def spent(self) -> float:
        """The reading: the least budget ε, at the ledger's δ, that all charges so far would have passed.

        It is at most the budget, which is what holds for sure. That a smaller ε would have held, had it been the
        budget, is what the reading says; whoever lets the end depend on what was released gets the budget's ε.
        """
        return self.filter.reading(self._spent())

    def remaining(self) -> float:
        """The budget less the reading. A release's own ε may be above it and still fit, for losses add up slowly."""
        return max(0.0, self.epsilon - self.spent())

    def entries(self) -> tuple[Entry, ...]:
        """All charges, in their order. Their seals are not looked at: that is what `verify` is for."""
        with self._locked() as file:
            contents = [json.loads(row.text) for row in _rows(file)]
        return tuple(self._entry(content, chain.total(before)) for before, content in pairwise(contents))

    def verify(self) -> Verification:
        """Inspect the whole ledger: edits, deletions, reordering, truncation and older copies are each named."""
        try:
            with self._locked() as file:
                return self._inspect(file)
        except BrokenLedgerError as error:
            return Verification(0, (Problem("damaged", (), str(error)),))

    def _spent(self) -> Spent:
        with self._locked() as file:
            return chain.total(json.loads(self._end(file)[0].text))

    def _end(self, file: sqlite3.Connection) -> tuple[Row, heads.Head]:
        """The last entry and the head, if they agree."""
        rows, head = _rows(file, "DESC LIMIT 1"), self._head.read()
        if not rows or head is None or not chain.holds(self._key, rows[0]) or not chain.ends_well(rows[0], head):
            raise BrokenLedgerError(str(self._inspect(file)))
        return rows[0], head

    def _append(self, file: sqlite3.Connection, intent: heads.Head, rows: list[Row]) -> None:
        """Note the intent, commit, confirm. What is committed counts, whether it is confirmed or not."""
        self._head.write(intent, durable=True)
        file.executemany(f"INSERT INTO entries({_COLUMNS}) VALUES (?, ?, ?)", rows)
        file.execute("COMMIT")
        file.execute("BEGIN IMMEDIATE")
        if self._head.read() == intent:  # else somebody has written since, and confirmed this along with it
            self._head.write(intent.confirmed(), durable=False)

    def _inspect(self, file: sqlite3.Connection) -> Verification:
        ever = file.execute("SELECT seq FROM sqlite_sequence").fetchone() if _there(file) else None
        return chain.inspect(self._key, _rows(file), ever[0] if ever else -1, self._head.read())

    def _entry(self, content: dict[str, Any], before: Spent) -> Entry:
        spent = self.filter.reading(chain.total(content))
        more = spent - self.filter.reading(before)
        return Entry(content["n"], content["time"], content["what"], content["charge"], more, spent)

    def _refusal(self, one: Charge, spent: Spent, total: Spent) -> str:
        f = self.filter
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in one.numbers().items())
        return (
            f"The budget of ε = {f.epsilon:g} at δ = {f.delta:g} does not allow this: {f.reading(spent):.4g} is spent, "
            f"and '{one.what}' ({numbers}) would make it {f.reading(total):.4g}. Nothing was charged."
        )

    def _open(self, secret: bytes, asked: Filter | None) -> tuple[str, Filter]:
        """The ledger's name and budget: from its head, else from its first entry, which is written if there is none."""
        head = self._head.read()
        if head is not None and head.number >= 0:
            if not self.path.exists():
                raise BrokenLedgerError(
                    f"A ledger of {head.number:,} charges was here and is gone: it was deleted. Put it back, or begin "
                    "another at another path."
                )
            return head.ledger, Filter(head.epsilon, head.delta, head.orders)
        with self._locked() as file:
            first = next(iter(_rows(file, "LIMIT 1")), None)
            if first is None:
                if asked is None:
                    raise ValueError("'epsilon' and 'delta' must be given for a new ledger. Got one or none of them.")
                first = self._begin(file, secret, asked)
            try:
                content = json.loads(first.text)
                name = content["ledger"]
                budget = Filter(content["epsilon"], content["delta"], tuple(content["orders"]))
            except (KeyError, TypeError, ValueError):
                name, budget = "", None
            if budget is None or not chain.holds(heads.seal(secret, name.encode()), first):
                raise ValueError("'key' must be the key that the ledger was made with. Got another.")
            return name, budget

    def _begin(self, file: sqlite3.Connection, secret: bytes, budget: Filter) -> Row:
        """Write the first entry, which holds the budget."""
        file.execute(
            "CREATE TABLE entries (number INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, seal TEXT NOT NULL)"
        )
        name = secrets.token_hex(16)
        content = {"ledger": name, "epsilon": budget.epsilon, "delta": budget.delta, "orders": budget.orders}
        first = chain.write(heads.seal(secret, name.encode()), 0, "", content, budget.nothing)
        before = heads.Head(name, budget.epsilon, budget.delta, budget.orders, -1, "", -1, "")
        self._append(file, before.intending(0, first.seal), [first])
        return first

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        """A connection of this call's own that holds the write lock, and lets it go without writing."""
        with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as file:
            try:
                file.execute("PRAGMA journal_mode = DELETE")
                file.execute("PRAGMA synchronous = FULL")
                file.execute("BEGIN IMMEDIATE")
                yield file
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:  # locked, disk full, …: not the file's fault
                    raise
                raise BrokenLedgerError("The file cannot be read as a ledger: it was damaged.") from error
            finally:
                if file.in_transaction:
                    file.execute("ROLLBACK")


def _there(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone() is not None


def _rows(file: sqlite3.Connection, which: str = "") -> list[Row]:
    if not _there(file):
        return []
    return list(map(Row._make, file.execute(f"SELECT {_COLUMNS} FROM entries ORDER BY number {which}")))
