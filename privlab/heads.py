"""What is kept of a ledger elsewhere: the key of its seals, and its head, which names its last entry.

Both lie in the user's own data folder (by platformdirs), never beside the ledger: whoever can write to the ledger alone
can then neither seal an entry nor pass an older copy off as the newest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import platformdirs

SLOT = 4096  # bytes: two slots in two pages, so that a write cut short spoils one of them only


def folder() -> Path:
    """The user's own folder for keys and heads."""
    return Path(platformdirs.user_data_dir("privlab", appauthor=False))


def usual_key() -> Path:
    """Where the user's key lies."""
    return folder() / "ledger.key"


def usual_head(ledger: Path) -> Path:
    """Where the head of the ledger at that path lies: by path, so that a deleted ledger is missed."""
    name = hashlib.sha256(os.fsencode(ledger)).hexdigest()[:32]
    return folder() / "heads" / f"{ledger.stem}-{name}.head"


def read_key(path: Path) -> bytes:
    """The key in a file that only its owner may read; made of the system's entropy if there is none.

    Raises
    ------
    ValueError
        If others may read it, or it is not a key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, new = tempfile.mkstemp(dir=path.parent)  # 0600, and whole before anybody can see it
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(new, path)
        finally:
            os.unlink(new)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ValueError("'key' must be a file that its owner alone may read (0600). Got one that others may.")
    key = path.read_bytes()
    if len(key) < 32:
        raise ValueError(f"'key' must hold at least 32 bytes. Got {len(key)}.")
    return key


def seal(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256."""
    return hmac.digest(key, text, "sha256")


@dataclass(frozen=True)
class Head:
    """The last entry of a ledger that is known to be written, and what is about to be.

    Attributes
    ----------
    ledger : str
        The ledger's own random name.
    epsilon, delta, orders : float, float, tuple of float
        Its budget, and the orders at which it is kept.
    number, seal : int, str
        Of the last entry; -1 before the first.
    intent, intent_seal : int, str
        Of the last of the entries about to be written; as `number` and `seal` while none is. While it is open, the
        ledger may end at the one or at the other: a crash in between is nobody's fault.
    """

    ledger: str
    epsilon: float
    delta: float
    orders: tuple[float, ...]
    number: int
    seal: str
    intent: int
    intent_seal: str

    @property
    def open(self) -> bool:
        """Whether an intent has not been confirmed."""
        return self.intent != self.number

    def confirmed(self) -> Head:
        """The head once its intent is written."""
        return replace(self, number=self.intent, seal=self.intent_seal)

    def intending(self, number: int, seal: str) -> Head:
        """The head while the entries up to `number`, sealed so, are about to be written."""
        return replace(self, intent=number, intent_seal=seal)


class HeadFile:
    """A head in a file of two slots, each sealed and counted; the newer whole one holds.

    Not safe by itself: its readers and writers hold the ledger's write lock.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path, self._key = path, seal(key, b"head")

    def read(self) -> Head | None:
        """The head; None if there is none, or none that is whole."""
        return max(self._slots(), default=(0, None), key=lambda slot: slot[0])[1]

    def _slots(self) -> list[tuple[int, Head]]:
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for start in (0, SLOT):
            mark, _, text = raw[start : start + SLOT].rstrip(b"\0").partition(b" ")
            if text and hmac.compare_digest(mark, seal(self._key, text).hex().encode()):
                fields = json.loads(text)
                count, orders = fields.pop("count"), tuple(fields.pop("orders"))
                found.append((count, Head(**fields, orders=orders)))
        return found

    def write(self, head: Head, *, durable: bool) -> None:
        """Replace the older slot; `durable`: on the disk before this returns."""
        count = max((number for number, _ in self._slots()), default=0) + 1
        text = json.dumps({"count": count, **asdict(head)}).encode()
        record = seal(self._key, text).hex().encode() + b" " + text
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.lseek(handle, count % 2 * SLOT, os.SEEK_SET)
            os.write(handle, record.ljust(SLOT, b"\0"))
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        if fresh and durable and os.name == "posix":
            place = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(place)
            finally:
                os.close(place)
