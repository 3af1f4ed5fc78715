"""What people do to pseudonyms: try all values, count, fit tables together; and how well a text was cleaned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import cards, personal, pseudonyms, texts

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.tables import pd

AREA = "+44 20 7946 "  # what everybody knows of a made-up telephone number
COLUMNS = {
    "education-num": "schooling", "occupation": "occupation", "marital-status": "marital status",
    "native-country": "country of birth", "workclass": "kind of employer", "race": "race",
}  # fmt: skip
KEPT = ("sex", "race", "marital-status", "education-num", "age", "occupation", "hours-per-week", "native-country")
CHUNK = 1500  # values tried between two looks at the clock
TEXT_KINDS = ("card", "iban", "email", "phone", "pin", "street", "name")
_LABEL = re.compile(r"\{(\w+)\|([^}]*)\}")


def numbers(people: int, digits: int, rng: np.random.Generator) -> list[str]:
    """A made-up number for each person, `digits` digits of which nobody knows."""
    return [f"{AREA}{value:0{digits}d}" for value in rng.integers(10**digits, size=people).tolist()]


def attempts(digits: int, rng: np.random.Generator) -> list[str]:
    """All numbers there are, in random order."""
    return [f"{AREA}{value:0{digits}d}" for value in rng.permutation(10**digits).tolist()]


def reverse_hashes(known: Sequence[str], tries: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Look for plain hashes of people's numbers among hashes of all numbers; (tried, people found) after each chunk."""
    wanted = Counter(pseudonyms.plain_hash(number) for number in known)
    found = 0
    for start in range(0, len(tries), CHUNK):
        part = tries[start : start + CHUNK]
        found += sum(wanted.get(pseudonyms.plain_hash(number), 0) for number in part)
        yield start + len(part), found


def reverse_salted(
    known: Sequence[str], salts: Sequence[str], tries: Sequence[str], most: int
) -> Iterator[tuple[int, int]]:
    """The same where each hash has a salt of its own, which stands beside it: one person after the other.

    Broken off after `most` hashes.
    """
    wanted = [pseudonyms.plain_hash(number, salt) for number, salt in zip(known, salts, strict=True)]
    person = place = made = 0
    while made < most and person < len(known):
        for _ in range(min(CHUNK, most - made)):
            made += 1
            if pseudonyms.plain_hash(tries[place], salts[person]) == wanted[person]:
                person, place = person + 1, 0
                if person == len(known):
                    break
            else:
                place += 1
        yield made, person


def reverse_tokens(
    known: Sequence[str], key: pseudonyms.Key, guess: pseudonyms.Key, tries: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """The same against keyed tokens, by somebody who does not have the key and tries one of their own."""
    wanted = Counter(key.token("phone", number) for number in known)
    found = 0
    for start in range(0, len(tries), CHUNK):
        part = tries[start : start + CHUNK]
        found += sum(wanted.get(guess.token("phone", number), 0) for number in part)
        yield start + len(part), found


@cache
def adult(split: str) -> pd.DataFrame:
    """The rows of Adult's own training or test split."""
    table = cards.read_table(cards.read_card("adult"))
    return table[table["split"] == split].reset_index(drop=True)


@cache
def column(name: str, split: str) -> tuple[str, ...]:
    """A column's entries, as text."""
    return tuple(adult(split)[name].astype(str))


def match_by_frequency(tokens: Sequence[str], public: Sequence[str]) -> dict[str, str]:
    """Which value each token stands for, by rank: the most frequent token for the most frequent public value, …

    For independent rows no other assignment is likelier. Equals are taken as they first come.
    """
    ranked = ([entry for entry, _ in Counter(entries).most_common()] for entries in (tokens, public))
    return dict(zip(*ranked, strict=False))


def guessed_by_frequency(people: Sequence[str], public: Sequence[str], key: pseudonyms.Key) -> float:
    """The share of people whose value is guessed right from keyed tokens of it and public frequencies."""
    tokens = {value: key.token("value", value) for value in set(people)}
    matched = match_by_frequency([tokens[value] for value in people], public)
    return float(np.mean([matched.get(tokens[value]) == value for value in people]))


def guessed_blindly(people: Sequence[str], public: Sequence[str]) -> float:
    """The share guessed right where each row has a token of its own: all that is left is the most frequent value."""
    most = Counter(public).most_common(1)[0][0]
    return float(np.mean([value == most for value in people]))


def two_tables(people: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rows of Adult in two tables of `people` each, half of them in both; shuffled apart."""
    rows = rng.permutation(len(adult("train")))[: people + people // 2]
    first, second = rows[:people], rows[people // 2 :][:people]
    return rng.permutation(first), rng.permutation(second)


@cache
def codes() -> Array:
    """Adult's rows as whole numbers (rows, columns) for the columns that tables keep."""
    from privlab.tables import pd

    return np.column_stack([pd.factorize(adult("train")[name])[0] for name in KEPT]).astype(np.int64)


def linked_by_token(first: Array, second: Array, keys: tuple[pseudonyms.Key, pseudonyms.Key]) -> tuple[float, float]:
    """Share of the common people linked by equal tokens, and share of the links that are wrong."""
    one = {keys[0].token("person", str(row)): row for row in first.tolist()}
    links = [(one[token], row) for row in second.tolist() if (token := keys[1].token("person", str(row))) in one]
    return _judge(links, first, second)


def linked_by_columns(first: Array, second: Array, count: int) -> tuple[float, float]:
    """The same by what the tables keep: a link where a combination of the first `count` columns is alone in both."""
    if count == 0:
        return 0.0, 0.0
    sizes = codes().max(axis=0) + 1
    place = np.ravel_multi_index(tuple(codes()[:, k] for k in range(count)), tuple(sizes[:count].tolist()))

    def alone(rows: Array) -> dict[int, int]:
        seen, at, often = np.unique(place[rows], return_index=True, return_counts=True)
        return dict(zip(seen[often == 1].tolist(), rows[at[often == 1]].tolist(), strict=True))

    one, other = alone(first), alone(second)
    return _judge([(one[key], other[key]) for key in one.keys() & other.keys()], first, second)


def _judge(links: Sequence[tuple[int, int]], first: Array, second: Array) -> tuple[float, float]:
    common = len(np.intersect1d(first, second))
    right = sum(a == b for a, b in links)
    return right / max(common, 1), 1 - right / len(links) if links else 0.0


@dataclass(frozen=True)
class Labelled:
    """A message with the places of its personal data.

    Attributes
    ----------
    text : str
    labels : tuple of (start, end, kind)
    """

    text: str
    labels: tuple[tuple[int, int, str], ...]


def read_labels(line: str) -> Labelled:
    """Take the labels ``{kind|value}`` out of a line."""
    text, labels, end = "", [], 0
    for match in _LABEL.finditer(line):
        text += line[end : match.start()]
        labels.append((len(text), len(text) + len(match[2]), match[1]))
        text, end = text + match[2], match.end()
    return Labelled(text + line[end:], tuple(labels))


@cache
def notes() -> tuple[Labelled, ...]:
    """The made-up messages with their labels."""
    return tuple(read_labels(line) for line in texts.lines("notes"))


def search(message: Labelled) -> tuple[dict[str, list[bool]], dict[str, list[bool]]]:
    """By kind: for each label, whether a find covers all of it; and for each find, whether it touches a label."""
    found = personal.find(message.text)
    covered: dict[str, list[bool]] = {}
    for start, end, kind in message.labels:
        covered.setdefault(kind, []).append(any(one.start <= start and end <= one.end for one in found))
    right: dict[str, list[bool]] = {}
    for one in found:
        touches = any(one.start < end and start < one.end for start, end, _ in message.labels)
        right.setdefault(one.kind, []).append(touches)
    return covered, right
