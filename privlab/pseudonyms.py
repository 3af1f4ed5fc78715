"""Pseudonyms: a token in place of a name or number, by a key or from a vault, and what becomes of it without them.

A *keyed token* is HMAC-SHA-256 (RFC 2104) of the value: the same value gives the same token, so tables still fit
together, but only where the key is the same, and nobody without the key can try values out. A *vault* draws each token
at random and keeps the list; it can be read backwards, and a token says nothing at all. A plain hash is neither: who
can list the values can list the hashes.

Either way what remains is personal data: as long as a key or vault exists anywhere, somebody can tell who it is, and
the other columns may tell it without.

Format-preserving encryption is not offered. Of the two standard modes NIST withdrew one, FF3, after it was broken
(Durak & Vaudenay 2017), and for the other, FF1, we know of no reviewed Python library. A vault gives tokens of any
format and is safer.

Keys live in a file of the user's own, mode 0600, outside the project; never beside the data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from platformdirs import user_data_path

BITS = 80  # of a token: of a million values, two share a token with a chance of 4 in 10¹³
_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def folder() -> Path:
    """Where the user's keys lie."""
    return user_data_path("privlab") / "keys"


class Key:
    """A secret key that makes tokens. It never shows itself: not in its text, and it cannot be copied or pickled.

    Made by `Key.fresh()`, for this process alone, or `Key.stored(name)`, from a file.
    """

    __slots__ = ("__secret", "path")

    def __init__(self, secret: bytes, path: Path | None = None) -> None:
        if len(secret) != _BYTES:
            raise ValueError(f"'secret' must have {_BYTES} bytes. Got {len(secret)}.")
        self.__secret = secret
        self.path = path

    @classmethod
    def fresh(cls) -> Key:
        """A new key, kept nowhere: when it is gone, nobody can link or make its tokens any more."""
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def stored(cls, name: str = "default", *, where: Path | None = None) -> Key:
        """The user's key of that name; made, with mode 0600, if there is none.

        Parameters
        ----------
        name : str
            Letters, digits, "-" and "_".
        where : Path, optional
            A folder other than `folder()`.

        Raises
        ------
        ValueError
            For another name, or a file that is no key.
        PermissionError
            If others may read the key's file.
        """
        path = _path(name, where)
        with suppress(FileExistsError):  # it is there already, which is the usual case
            _write_new(path, secrets.token_bytes(_BYTES))
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PermissionError(f"The file of the key {name!r} must have mode 0600: others may read it.")
        return cls(path.read_bytes(), path)

    def token(self, kind: str, value: str) -> str:
        """The token of a value: 16 letters and digits.

        Parameters
        ----------
        kind : str
            What the value is, such as "phone": equal values of two kinds get tokens that differ.
        value : str
            In one spelling, such as `privlab.personal.Span.value`.
        """
        message = f"{len(kind)}:{kind}{value}".encode()
        digest = hmac.digest(self.__secret, message, "sha256")
        return base64.b32encode(digest[: BITS // 8]).decode().lower()

    def rotate(self) -> Key:
        """Put a new key into this one's place and return it; this one works on until the process forgets it.

        Tokens of the old key and of the new have nothing in common. `translation` brings a table over while both are
        at hand.

        Raises
        ------
        ValueError
            If the key is in no file.
        """
        path = self._file()
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        _write_new(temporary, secrets.token_bytes(_BYTES))
        temporary.replace(path)
        return Key(path.read_bytes(), path)

    def delete(self) -> None:
        """Forget the key, here and in its file: nobody can make or check its tokens any more.

        The file is overwritten first. Copies in backups, and what a flash drive keeps of its own accord, are out of
        reach.

        Raises
        ------
        ValueError
            If the key is in no file.
        """
        path = self._file()
        with path.open("r+b") as file:
            file.write(bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        self.__secret = secrets.token_bytes(_BYTES)
        self.path = None

    def _file(self) -> Path:
        if self.path is None:
            raise ValueError("The key must be in a file. Got one that lives in this process alone.")
        return self.path

    def __repr__(self) -> str:
        return "Key(hidden)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A key must not be copied or pickled.")


def translation(old: Key, new: Key, kind: str, values: Iterable[str]) -> dict[str, str]:
    """Tokens of an old key and what they are under a new one: needs both keys and the values."""
    return {old.token(kind, value): new.token(kind, value) for value in values}


def _path(name: str, where: Path | None) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"'name' must be 1 to 40 letters, digits, '-' and '_'. Got {name!r}.")
    return (where or folder()) / f"{name}.key"


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet, for the user's eyes only from the first moment."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Vault:
    """Random tokens, and the list that leads back. Kept in memory; it shows nothing of itself.

    Parameters
    ----------
    like : bool
        Whether tokens take the value's format: digits become digits, letters letters, all else stays; a token of a
        card number never has right check digits, so that it is not taken for one.
    """

    def __init__(self, *, like: bool = False) -> None:
        self._like = like
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[tuple[str, str], str] = {}

    def token(self, kind: str, value: str) -> str:
        """The token of a value, drawn when it is first asked for.

        Raises
        ------
        ValueError
            If no free token of the value's format is found.
        """
        known = self._tokens.get((kind, value))
        if known is not None:
            return known
        for _ in range(1000):
            drawn = _alike(value) if self._like else secrets.token_hex(BITS // 8)
            free = (kind, drawn) not in self._values and drawn != value
            if free and not (kind == "card" and self._like and _checks(drawn)):
                self._tokens[kind, value], self._values[kind, drawn] = drawn, value
                return drawn
        raise ValueError(f"The format of a '{kind}' leaves no free token.")

    def value(self, kind: str, token: str) -> str:
        """The value behind a token.

        Raises
        ------
        KeyError
            For a token that is not, or no more, in the vault. The text names the kind alone.
        """
        try:
            return self._values[kind, token]
        except KeyError:
            raise KeyError(f"The vault has no such token of kind '{kind}'.") from None

    def forget(self, kind: str, value: str) -> None:
        """Take a value and its token out: the token leads nowhere any more. Nothing happens if it is not there."""
        token = self._tokens.pop((kind, value), None)
        if token is not None:
            del self._values[kind, token]

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return f"Vault({len(self)} values)"


def _alike(value: str) -> str:
    """Random letters and digits in the places of letters and digits."""
    digits, small, large = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

    def drawn(letter: str) -> str:
        if letter.isdigit():
            return secrets.choice(digits)
        return secrets.choice(large if letter.isupper() else small) if letter.isalpha() else letter

    return "".join(map(drawn, value))


def _checks(number: str) -> bool:
    from stdnum import luhn

    return bool(luhn.is_valid(number))


def plain_hash(value: str, salt: str = "") -> str:
    """SHA-256 of a value, as many a table has it for a pseudonym. It is none: see the experiment "tokens"."""
    return hashlib.sha256(f"{salt}{value}".encode()).hexdigest()
