"""The finished points of a sweep on disk: one file of JSON lines, which outlives whoever writes it.

The first line tells which sweep it is; each later one is a point, written whole in one go. A process that is killed
leaves at worst a last line without an end, which the next one takes away. One process writes at a time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KIND = "privlab sweep"
DIFFERS = {
    "experiment": "another experiment's",
    "version": "made by another version of privlab",
    "over": "of another grid",
    "fixed": "made with other fixed settings",
    "data": "made of other data",
    "table": "of another table",
}


class Finished:
    """The file of a sweep, held for writing.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    identity : mapping
        What the points are of, in plain types, under the keys of `DIFFERS`.

    Raises
    ------
    ValueError
        If the file is in use, is no sweep's, or another sweep's; it is left as it is then.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self.points = path, set[int]()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _lock(self._file, path)
            if os.fstat(self._file).st_size == 0:
                self._write({"kind": KIND, **identity})
            header = read_header(path)
            for name, words in DIFFERS.items():
                if header[name] != json.loads(json.dumps(identity[name])):
                    raise ValueError(
                        f"'path' must hold points of this very sweep, or nothing. Got {str(path)!r}, whose points are "
                        f"{words}."
                    )
            whole = 0
            for whole, point in _lines(path):  # noqa: B007
                if point is not None:
                    self.points.add(point["point"])
            os.ftruncate(self._file, whole)
        except BaseException:
            self.close()
            raise

    def add(self, point: int, found: Mapping[str, Any]) -> None:
        """Keep a point."""
        self._write({"point": point, **found})
        self.points.add(point)

    def _write(self, content: Mapping[str, Any]) -> None:
        line, before = json.dumps(content, ensure_ascii=False).encode() + b"\n", os.fstat(self._file).st_size
        if os.write(self._file, line) < len(line):
            os.ftruncate(self._file, before)
            raise OSError(f"No room for {self.path}: the points before are kept.")

    def close(self) -> None:
        """Let the file go, written to the disk."""
        os.fsync(self._file)
        os.close(self._file)


def read_header(path: Path) -> dict[str, Any]:
    """What the points of a file are of."""
    with path.open("rb") as file:
        line = file.readline(10_000_000)
    try:
        header = json.loads(line)
        if line.endswith(b"\n") and header["kind"] == KIND:
            return dict(header)
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"'path' must be a sweep's file, or a new one. Got {str(path)!r}, which is something else.")


def read_points(path: Path) -> Iterator[dict[str, Any]]:
    """The points of a file, one at a time, in the order in which they were finished."""
    for _, point in _lines(path):
        if point is not None:
            yield point


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(where its line ends, point) of each whole line; the first has no point."""
    with path.open("rb") as file:
        end = len(file.readline())
        yield end, None
        for number, line in enumerate(file, 2):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                point = json.loads(line)
                point["point"]
            except (ValueError, KeyError, TypeError):
                raise ValueError(
                    f"'path' must be a sweep's file. Got {str(path)!r}, whose line {number} is damaged: take that "
                    "line out, and its point is computed again."
                ) from None
            yield end, point


def _lock(file: int, path: Path) -> None:
    """Hold the file until it is closed, or the process ends in whatever way."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, 2**40, os.SEEK_SET)  # beyond what anybody reads
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ValueError(f"'path' must be free. Got {str(path)!r}, which another sweep writes to just now.") from None
