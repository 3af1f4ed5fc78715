"""Tables from outside: their size and shape are checked before they are parsed, and nothing in them is ever run.

What a file is, its first bytes say, not its name. Read are CSV (plain or gzip) and Parquet; all else, pickles and
archives among it, is refused. An error names line and column, never a value.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from privlab.cards import folder
from privlab.schema import Schema
from privlab.tables import pd

__all__ = ["LIMITS", "Limits", "example", "read", "typed"]

BLOCK = 1 << 20  # bytes looked at at once
LINE = 2_000_000  # bytes that a line has at most
OTHERS = (  # what else a file may be, by how it begins
    (b"PK", "a ZIP archive or a spreadsheet; save the sheet as CSV"),
    (b"\x80\x02", "a pickle, which would run code"),
    (b"\x80\x03", "a pickle, which would run code"),
    (b"\x80\x04", "a pickle, which would run code"),
    (b"\x80\x05", "a pickle, which would run code"),
    (b"\x93NUMPY", "a NumPy array; save the table as CSV"),
    (b"\x89HDF", "HDF5; save the table as CSV"),
    (b"SQLite format 3", "a database; save the table as CSV"),
    (b"ARROW1", "an Arrow file; save the table as Parquet"),
    (b"BZh", "bzip2; unpack it"),
    (b"\xfd7zXZ", "xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd; unpack it"),
    (b"%PDF", "a PDF"),
    (b"<", "a page or XML"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
)


@dataclass(frozen=True)
class Limits:
    """How large a table may be.

    Attributes
    ----------
    file : int
        Bytes of the file.
    text : int
        Bytes once it is unpacked.
    rows, columns, cells : int
    cell, name : int
        Bytes in one cell; letters in a column's name.
    """

    file: int = 100_000_000
    text: int = 300_000_000
    rows: int = 2_000_000
    columns: int = 2_000
    cells: int = 20_000_000
    cell: int = 10_000
    name: int = 120

    def refuse(self, what: str, most: int, got: str) -> ValueError:
        """The error for something too large."""
        return ValueError(f"'file' must have at most {most:,} {what}. Got {got}.")


LIMITS = Limits()


def read(source: str | os.PathLike[str] | bytes, limits: Limits = LIMITS) -> pd.DataFrame:
    """Read a table from a file or from an upload's bytes.

    Parameters
    ----------
    source : path or bytes
        CSV in UTF-8 that begins with a line of names, separated by comma, semicolon or tab, plain or gzip; or Parquet,
        which needs pyarrow.
    limits : Limits, optional

    Returns
    -------
    DataFrame
        A CSV's entries all as text, empty ones as missing: what they are, a schema declares; see `typed`.

    Raises
    ------
    ValueError
        If the file is not there, too large, no table, or not regular; before it is parsed, and never telling a value.
    ModuleNotFoundError
        For Parquet without pyarrow.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), len(source), limits)
    path = Path(source)
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            known = os.fstat(file.fileno())
            if not stat.S_ISREG(known.st_mode):
                raise ValueError(f"'path' must name a file with a table. Got '{path}', which is no regular file.")
            return _read(file, known.st_size, limits)
    except OSError as error:
        raise ValueError(f"'path' must name a file that can be read. Got '{path}': {error.strerror}.") from None


def _read(file: BinaryIO, size: int, limits: Limits) -> pd.DataFrame:
    if size > limits.file:
        raise limits.refuse("bytes", limits.file, f"{size:,}")
    begins = file.read(16)
    file.seek(0)
    if begins.startswith(b"PAR1"):
        from privlab import parquet

        return parquet.read(file, size, limits)
    packed = begins.startswith(b"\x1f\x8b")
    text = b"".join(_checked(_unpacked(file, limits) if packed else _blocks(file), limits))
    return _parsed(text, limits)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _unpacked(file: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """Blocks of what gzip packed, as far as they may go."""
    done = 0
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            while block := packed.read(BLOCK):
                done += len(block)
                if done > limits.text:
                    raise limits.refuse("bytes once unpacked", limits.text, "more")
                yield block
    except (OSError, EOFError, zlib.error):
        raise ValueError("'file' must be whole. Got a gzip file that is cut off or damaged.") from None


def _checked(blocks: Iterator[bytes], limits: Limits) -> Iterator[bytes]:
    """Pass text on in blocks of whole lines, once each is known to be well-formed and within the limits."""
    rest, separator, width, line, first = b"", b"", 0, 1, True
    for block in blocks:
        if first:
            _look_at(block)
            block = block.removeprefix(b"\xef\xbb\xbf")
        first = False
        whole, rest = _whole_lines(rest + block, limits, line)
        if whole:
            separator, width, line = _check_lines(whole, separator, width, line, limits)
            yield whole
    if first:
        raise ValueError("'file' must hold a table. Got an empty file.")
    if rest:
        ended = rest if rest.endswith(b"\n") else rest + b"\n"
        if ended.count(b'"') % 2:
            raise ValueError(f"'file' must close every quotation mark. Got one left open after line {line}.")
        _check_lines(ended, separator, width, line, limits)
        yield ended


def _look_at(block: bytes) -> None:
    """Refuse by its first bytes what is no text."""
    for begins, words in OTHERS:
        if block.startswith(begins):
            raise ValueError(f"'file' must be CSV or Parquet. Got {words}.")
    if re.search(rb"[\x00-\x08\x0e-\x1f]", block[:4096]):
        raise ValueError("'file' must be CSV or Parquet. Got something that is no text.")


def _whole_lines(text: bytes, limits: Limits, line: int) -> tuple[bytes, bytes]:
    """The records that end in a text, and what is left; a record too long for any is refused."""
    codes = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    outside = np.searchsorted(np.flatnonzero(codes == ord('"')), ends) % 2 == 0
    cut = int(ends[outside][-1]) + 1 if outside.any() else 0
    if len(text) - cut > LINE:
        raise limits.refuse("bytes in a line", LINE, f"more after line {line}")
    return text[:cut], text[cut:]


def _check_lines(text: bytes, separator: bytes, width: int, line: int, limits: Limits) -> tuple[bytes, int, int]:
    """Check whole lines: (separator, columns, number of the next line)."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"'file' must be UTF-8 text. Got another encoding in line {line + text.count(10, 0, error.start)}."
        ) from None
    codes = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    separator = separator or _separator(text)
    marks = np.flatnonzero((codes == separator[0]) | (codes == ord("\n")))
    marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    ends = np.flatnonzero(codes[marks] == ord("\n"))
    fields = np.diff(ends, prepend=-1)
    empty = (fields == 1) & (np.diff(marks[ends], prepend=-1) <= 1 + (codes[marks[ends] - 1] == ord("\r")))
    width = width or int(fields[0])
    if width > limits.columns:
        raise limits.refuse("columns", limits.columns, f"{width:,}")
    lengths = np.diff(marks, prepend=-1) - 1
    if (lengths > limits.cell).any():
        at = int((lengths > limits.cell).argmax())
        row = int(np.searchsorted(ends, at))
        column = at - (int(ends[row - 1]) + 1 if row else 0) + 1
        raise limits.refuse("bytes in a cell", limits.cell, f"{lengths[at]:,} in line {line + row}, column {column}")
    bad = (fields != width) & ~empty if width > 1 else fields != width
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"'file' must have {width} cells in every line, as in its first. Got {fields[row]} in line {line + row}."
        )
    rows = line + len(fields) - 2
    if rows > limits.rows:
        raise limits.refuse("rows", limits.rows, "more")
    if rows * width > limits.cells:
        raise limits.refuse("cells", limits.cells, "more")
    _check_quotes(codes, quotes, separator[0], marks[ends], line)
    return separator, width, line + len(fields)


def _separator(text: bytes) -> bytes:
    """Whichever of comma, semicolon and tab the first line has most of."""
    end = text.find(b"\n")
    return max(b",;\t", key=lambda code: text.count(code, 0, end)).to_bytes()


def _check_quotes(codes: Any, quotes: Any, separator: int, ends: Any, line: int) -> None:
    """Refuse quotation marks inside a cell that are not doubled: they would be read one way here, another way there."""
    edges = [separator, ord("\n"), ord("\r"), ord('"')]
    padded = np.concatenate([[ord("\n")], codes, [ord("\n")]])
    opens, closes = quotes[::2], quotes[1::2]
    wrong = np.concatenate(
        [opens[~np.isin(padded[opens], edges)], closes[~np.isin(padded[closes + 2], edges)]],
    )
    if len(wrong):
        row = int(np.searchsorted(ends, wrong.min()))
        raise ValueError(
            "'file' must have quotation marks around whole cells, and those inside doubled. "
            f"Got others in line {line + row}."
        )


def _parsed(text: bytes, limits: Limits) -> pd.DataFrame:
    table = pd.read_csv(
        io.BytesIO(text), sep=_separator(text).decode(), header=None, dtype=str, keep_default_na=False, na_values=[""],
        index_col=False, low_memory=False,
    )  # fmt: skip
    return named(table.iloc[1:].reset_index(drop=True), table.iloc[0].tolist(), limits)


def named(table: pd.DataFrame, raw: list[Any], limits: Limits) -> pd.DataFrame:
    """A table under its names, which must be names and not the first person's values."""
    names = [" ".join(name.split()) if isinstance(name, str) else "" for name in raw]
    for i, name in enumerate(names):
        if not name:
            raise ValueError(f"'file' must name every column in its first line. Got no name for column {i + 1}.")
        if len(name) > limits.name:
            raise limits.refuse("letters in a column's name", limits.name, f"{len(name):,} in column {i + 1}")
        if not name.isprintable():
            raise ValueError(f"'file' must have printable names of columns. Got another letter in column {i + 1}.")
        if name in names[:i]:
            raise ValueError(f"'file' must have different names of columns. Got column {i + 1} like an earlier one.")
        if name == "split":
            raise ValueError("'file' must not have a column 'split': the lab's own split takes that name. Rename it.")
        if _is_number(name) or (table.iloc[:, i] == name).any():
            raise ValueError(
                f"'file' must begin with a line of names. Got an entry instead of a name in column {i + 1}: it is a "
                "number, or stands below as well. Write a line of names above."
            )
    if not len(table):
        raise ValueError("'file' must hold at least one row below its names. Got none.")
    return table.set_axis(names, axis=1)


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def typed(table: pd.DataFrame, schema: Schema, person: str | None = None) -> pd.DataFrame:
    """A table's declared columns as their schema has them: numbers as numbers, and categories as text.

    Raises
    ------
    ValueError
        If a column is not there or an entry is no number; names column and row, never the value.
    """
    found = {}
    for column in (*schema.columns, schema.target):
        if column.name not in table.columns:
            raise ValueError(f"'file' must have the column '{column.name}'. Got none of that name.")
        values = table[column.name]
        if column.kind == "number":
            found[column.name] = pd.Series(column.numbers(values), index=table.index)
        else:
            present = values.notna()
            found[column.name] = values.astype(object).where(~present, values[present].map(_word))
    if person is not None:
        if person not in table.columns:
            raise ValueError(f"'person' must be a column of the file. Got '{person}'.")
        found[person] = table[person]
    return pd.DataFrame(found)


def _word(value: Any) -> str:
    """A category as it is typed: 1.0 of a column of numbers is 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def example() -> Path:
    """Where the shipped example of a file of one's own lies: how 944 Americans meant to vote in 1996."""
    return folder() / "votes.csv"
