"""Shipped texts: ``data/texts/NAME.txt.gz``, one line a unit of protection, and the card ``NAME.toml`` beside it."""

from __future__ import annotations

import gzip
import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache

from privlab.cards import folder


@dataclass(frozen=True)
class TextCard:
    """Everything public about a text; holds no line of it.

    Attributes
    ----------
    title, source, licence, citation : str
    unit : str
        What privacy protects.
    n : int
        Declared number of units.
    path, sha256 : str
        The file beside the card, and the hash of its text.
    """

    title: str
    source: str
    licence: str
    citation: str
    unit: str
    n: int
    path: str
    sha256: str


@cache
def card(name: str) -> TextCard:
    """Read the card of a shipped text.

    Raises
    ------
    ValueError
        If no such text is shipped.
    """
    if name not in names():
        raise ValueError(f"'text' must be among {', '.join(names())}. Got {name!r}.")
    return TextCard(**tomllib.loads((folder() / "texts" / f"{name}.toml").read_text(encoding="utf-8")))


def names() -> tuple[str, ...]:
    """The shipped texts."""
    return tuple(sorted(path.stem for path in (folder() / "texts").glob("*.toml")))


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of a shipped text, checked against its card.

    Raises
    ------
    ValueError
        If no such text is shipped, or the file is not the one that the card describes.
    """
    known = card(name)
    raw = gzip.decompress((folder() / "texts" / known.path).read_bytes())
    if hashlib.sha256(raw).hexdigest() != known.sha256:
        raise ValueError(f"The text of '{name}' must match the SHA-256 on its card.")
    return tuple(raw.decode("ascii").splitlines())
