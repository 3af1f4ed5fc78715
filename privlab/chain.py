"""A ledger's entries, sealed one after the other, and what an inspection of them finds.

An entry's text holds its own number and the seal of the entry before it; its seal is an HMAC of that text. Without the
key nobody can write an entry, and no entry fits at another place.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from privlab.filters import TOO_MUCH, Spent
from privlab.heads import Head, seal


class Row(NamedTuple):
    """A row as it stands in the file."""

    number: int
    text: str
    seal: str


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        "edited", "deleted", "reordered", "replaced", "truncated", "rolled back", "head lost", "head older" or
        "damaged".
    entries : tuple of int
        Numbers of the entries that it is about.
    words : str
    """

    kind: str
    entries: tuple[int, ...]
    words: str


@dataclass(frozen=True)
class Verification:
    """What an inspection of a ledger found; true if nothing is wrong.

    Attributes
    ----------
    entries : int
        Charges that are written.
    problems : tuple of Problem
    intent : bool
        Whether a charge was begun and its end not noted: a crash, or a charge at this very moment.
    """

    entries: int
    problems: tuple[Problem, ...] = ()
    intent: bool = False

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return "Not whole: " + "; ".join(problem.words for problem in self.problems) + "."
        more = " A charge was begun and its end not noted: the next one sees to it." if self.intent else ""
        return f"Whole: {self.entries:,} charges, each sealed and in its place.{more}"

    __repr__ = __str__


def write(key: bytes, number: int, before: str, content: dict[str, Any], total: Spent, cost: Spent = ()) -> Row:
    """An entry after the one that is sealed `before`, with what is spent in all and by itself."""
    sums = {"cost": " ".join(map(str, cost)), "total": " ".join(map(str, total))}
    text = json.dumps({"n": number, "before": before, **content, **sums}, separators=(",", ":"), ensure_ascii=False)
    return Row(number, text, seal(key, text.encode()).hex())


def total(entry: dict[str, Any]) -> Spent:
    """What is spent in all with an entry."""
    return tuple(map(int, entry["total"].split()))


def holds(key: bytes, row: Row) -> bool:
    """Whether a row's seal is that of its text."""
    text, mark = str(row.text).encode(errors="replace"), str(row.seal)  # for a file may hold anything
    return mark.isascii() and hmac.compare_digest(seal(key, text).hex(), mark)


def ends_well(last: Row | None, head: Head) -> bool:
    """Whether the last row is the one that the head names, or the one of an intent that is open."""
    now = (-1, "") if last is None else (last.number, last.seal)
    return now in ((head.number, head.seal), (head.intent, head.intent_seal))


def inspect(key: bytes, rows: Sequence[Row], ever: int, head: Head | None) -> Verification:
    """Check every seal, every place and every sum, and the end against the head.

    Parameters
    ----------
    rows : sequence of Row
        By the number that the file gives them.
    ever : int
        The highest number that the file says it ever gave.
    """
    problems: list[Problem] = []
    sound: list[tuple[int, str, str, str]] = []  # number, seal before, cost, total
    seals: dict[int, str] = {}
    edited = []
    for row in rows:
        if holds(key, row):
            entry = json.loads(row.text)
            sound.append((entry["n"], entry["before"], entry["cost"], entry["total"]))
            seals[entry["n"]] = row.seal
        else:
            edited.append(row.number)
    _say(problems, "edited", edited, "does not fit its seal: it was edited")
    there = {*seals, *edited}
    last = max(there, default=-1)
    _say(problems, "deleted", (n for n in range(last + 1) if n not in there), "is gone: it was deleted")
    order = [n for n, *_ in sound]
    moved = [n for n, due in zip(order, sorted(order), strict=True) if n != due]
    _say(problems, "reordered", moved, "stands where another belongs: entries were reordered")
    misfits = [n for n, before, *_ in sound if before != seals.get(n - 1, before)]
    misfits += _wrong_sums(sound) if not misfits else []
    _say(problems, "replaced", misfits, "does not follow from the one before: that one was replaced")
    if head is None:
        words = "its head, kept elsewhere, is missing: it was lost, or the ledger was moved or copied (then pass head=)"
        problems.append(Problem("head lost", (), words))
    else:
        _check_end(problems, last, seals, ever, head)
    return Verification(max(0, len(rows) - 1), tuple(problems), head is not None and head.open)


def _wrong_sums(sound: Sequence[tuple[int, str, str, str]]) -> list[int]:
    """Numbers of entries whose total is not their predecessor's and their own cost, where both are there."""
    links = [(n, before, cost, after) for (m, *_, before), (n, _, cost, after) in pairwise(sound) if n == m + 1]
    if not links:
        return []
    numbers, *columns = zip(*links, strict=True)
    before, cost, after = (
        np.fromstring(" ".join(texts), np.int64, sep=" ").reshape(len(links), -1) for texts in columns
    )
    wrong = (np.minimum(before + cost, TOO_MUCH) != after).any(axis=1)
    return [numbers[row] for row in np.flatnonzero(wrong)]


def _check_end(problems: list[Problem], last: int, seals: dict[int, str], ever: int, head: Head) -> None:
    """Compare the last entry with the head: what was cut off, taken back or put in its place."""
    if last > max(head.number, head.intent):
        problems.append(Problem("head older", (last,), f"its head, kept elsewhere, is older than entry {last}"))
    elif last < head.number:
        gone = tuple(range(last + 1, head.number + 1))
        if ever >= head.number:
            words = f"{_named(gone)} {'is' if len(gone) == 1 else 'are'} gone from the end: it was truncated"
            problems.append(Problem("truncated", gone, words))
        else:
            words = f"it ends at entry {last}, its head at {head.number}: an older copy was put back (rolled back)"
            problems.append(Problem("rolled back", gone, words))
    elif last in seals and (last, seals[last]) not in ((head.number, head.seal), (head.intent, head.intent_seal)):
        problems.append(Problem("replaced", (last,), f"entry {last} is another than the head names: it was replaced"))


def _say(problems: list[Problem], kind: str, entries: Iterable[int], words: str) -> None:
    found = tuple(entries)
    if found:
        plural = words.replace("is gone", "are gone").replace("it was", "they were").replace("does not", "do not")
        plural = plural.replace("stands", "stand").replace("its seal", "their seals")
        problems.append(Problem(kind, found, f"{_named(found)} {words if len(found) == 1 else plural}"))


def _named(entries: tuple[int, ...]) -> str:
    if len(entries) == 1:
        return f"entry {entries[0]}"
    if len(entries) <= 3:
        return f"entries {', '.join(map(str, entries[:-1]))} and {entries[-1]}"
    return f"{len(entries)} entries from {entries[0]} to {entries[-1]}"
