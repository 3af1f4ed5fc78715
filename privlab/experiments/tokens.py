"""What is a pseudonym worth, and to whom?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import pseudonyms
from privlab.experiments import _choices
from privlab.experiments import _tokens_attacks as attacks
from privlab.experiments._tokens_picture import Picture
from privlab.experiments._tokens_result import Result
from privlab.experiments._waiting import elsewhere
from privlab.settings import Controls, choice, control

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["FRESH", "Picture", "Result", "Settings", "prepare", "run"]

FRESH = ("seconds",)  # no clock runs the same twice
GRID = (30, 100, 300, 1000, 3000, 10_000, 20_000)
BROKEN_OFF = 30_000  # tries against salts and keys
REPAINT = 0.06  # seconds between two pictures
VIEWS = {
    "reverse": "trying all values",
    "frequency": "counting",
    "link": "two tables",
    "text": "free text",
}


class Settings(Controls):
    """Whose pseudonyms, and what is done to them."""

    people: int = control(
        default=1000, label="people n", low=10, high=20_000, slider=(10, 20_000), scale="log",
        ends=("few", "many"), hint="How many people are in the table.",
        offered=lambda settings, value: settings.view != "text",
    )  # fmt: skip
    digits: int = control(
        default=5, label="unknown digits d", low=3, high=7, slider=(3, 6), places=4,
        ends=("easy", "hard"), offered=lambda settings, value: settings.view == "reverse",
        hint="Of a telephone number, when all values are tried: 10 times the work for each.",
    )  # fmt: skip
    view: str = choice(
        default="reverse", label="attack", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        hint="What somebody does with the pseudonyms.",
    )  # fmt: skip
    column: str = choice(
        default="education-num", label="what is counted", among=lambda: tuple(attacks.COLUMNS),
        words=lambda name: attacks.COLUMNS[name],
        offered=lambda settings, name: settings.view == "frequency" or name == settings.column,
        hint="The column of Adult that stands in the table as a token; for counting alone.",
    )  # fmt: skip
    seeds: int = control(
        default=10, label="repeats", low=1, high=100, slider=(2, 40), scale="log", places=20, advanced=True,
        offered=lambda settings, value: settings.view in ("frequency", "link"),
        hint="How often people are drawn anew, for counting and for two tables.",
    )  # fmt: skip
    seed: int = _choices.seed()


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, read what the other views need."""
    yield from elsewhere(lambda: (attacks.codes(), attacks.column(settings.column, "test"), attacks.notes()))


def run(settings: Settings) -> Iterator[Result | None]:
    """Attack the pseudonyms; a better Result whenever more is tried."""
    yield from {"reverse": _reverse, "frequency": _frequency, "link": _link, "text": _text}[settings.view](settings)


def _reverse(s: Settings) -> Iterator[Result | None]:
    """Try numbers against plain hashes, then salted ones, then tokens."""
    rng = np.random.default_rng([s.seed, s.people, s.digits])
    known = attacks.numbers(s.people, s.digits, rng)
    tries = yield from elsewhere(lambda: attacks.attempts(s.digits, rng))
    salts = [f"{salt:08x}" for salt in rng.integers(2**32, size=s.people).tolist()]
    few = tries[:BROKEN_OFF]
    searches: dict[str, Any] = {
        "hash": lambda: attacks.reverse_hashes(known, tries),
        "salted": lambda: attacks.reverse_salted(known, salts, tries, BROKEN_OFF),
        "token": lambda: attacks.reverse_tokens(known, pseudonyms.Key.fresh(), pseudonyms.Key.fresh(), few),
    }
    tried: dict[str, tuple[Array, Array, Array]] = {}
    painted, work = 0.0, len(tries) + 2 * len(few)
    for way, search in searches.items():
        rows, spent, before = [], 0.0, time.perf_counter()
        for row in search():
            now = time.perf_counter()
            spent += now - before
            rows.append((*row, spent))
            if now - painted > REPAINT:
                done = sum(int(found[0][-1]) for name, found in tried.items() if name != way) + row[0]
                tried = tried | {way: _columns(rows)}
                yield Result(s, tried=tried, progress=min(0.99, done / work))
                painted = time.perf_counter()
            else:
                yield None
            before = time.perf_counter()
        tried = tried | {way: _columns(rows)}
    yield Result(s, tried=tried, progress=1.0)


def _columns(rows: list[tuple[int, int, float]]) -> tuple[Array, Array, Array]:
    """At most about a hundred rows of what was tried, the last among them, as columns."""
    some = rows[:: -(-len(rows) // 100)]
    some += rows[-1:] if some[-1] != rows[-1] else []
    tried, found, seconds = (np.array(part) for part in zip(*some, strict=True))
    return tried, found, seconds


def _frequency(s: Settings) -> Iterator[Result | None]:
    """Match tokens to values by how frequent they are, for more and more people."""
    x = np.unique([*GRID, s.people])
    held = int(np.flatnonzero(x == s.people)[0])
    people, public = yield from elsewhere(
        lambda: (np.array(attacks.column(s.column, "train")), attacks.column(s.column, "test"))
    )
    key = pseudonyms.Key.fresh()
    shares: dict[str, list[list[float]]] = {"token": [], "fresh": []}
    for repeat in range(s.seeds):
        drawn = np.random.default_rng([s.seed, repeat]).permutation(people)
        tables = [drawn[:n].tolist() for n in x]
        shares["token"].append([])
        shares["fresh"].append([])
        for table in tables:
            shares["token"][-1].append(attacks.guessed_by_frequency(table, public, key))
            shares["fresh"][-1].append(attacks.guessed_blindly(table, public))
            yield None
        found = {way: np.array(share) for way, share in shares.items()}
        yield Result(s, x, held, found, progress=(repeat + 1) / s.seeds)


def _link(s: Settings) -> Iterator[Result | None]:
    """Fit two tables together, by tokens and by what else they hold."""
    yield from elsewhere(attacks.codes)
    keys = pseudonyms.Key.fresh(), pseudonyms.Key.fresh()
    x = np.arange(len(attacks.KEPT) + 1)
    shares: dict[str, list[list[float]]] = {"same": [], "other": [], "wrong": []}
    for repeat in range(s.seeds):
        first, second = attacks.two_tables(s.people, np.random.default_rng([s.seed, repeat, s.people]))

        def judged(first: Array = first, second: Array = second) -> list[tuple[float, float]]:
            same = attacks.linked_by_token(first, second, (keys[0], keys[0]))
            other = attacks.linked_by_token(first, second, keys)
            by_columns = [attacks.linked_by_columns(first, second, int(count)) for count in x]
            return [same, *(max(other, one) for one in by_columns)]

        (same, _), *other = yield from elsewhere(judged)
        shares["same"].append([same] * len(x))
        shares["other"].append([right for right, _ in other])
        shares["wrong"].append([wrong for _, wrong in other])
        found = {way: np.array(share) for way, share in shares.items()}
        yield Result(s, x, len(x) - 1, found, progress=(repeat + 1) / s.seeds)


def _text(s: Settings) -> Iterator[Result | None]:
    """Search the made-up messages for personal data, some at a time."""
    messages = yield from elsewhere(attacks.notes)
    yield from elsewhere(lambda: attacks.search(messages[0]))  # brings the libraries, which takes a moment
    counts = {kind: [0, 0] for kind in (*attacks.TEXT_KINDS, "precision")}
    for start in range(0, len(messages), 15):
        for message in messages[start : start + 15]:
            covered, right = attacks.search(message)
            for kind, hits in (*covered.items(), *(("precision", hits) for hits in right.values())):
                counts[kind][0] += sum(hits)
                counts[kind][1] += len(hits)
        done = min(1.0, (start + 15) / len(messages))
        enough = all(of for _, of in counts.values())
        yield Result(s, searched={k: (a, b) for k, (a, b) in counts.items()}, progress=done) if enough else None
