"""Parquet files: counted by their footer before they are read, and then read in batches with a ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.intake import Limits

BATCH = 65_536  # rows read at once
FOOTER = 4_000_000  # bytes of counts and names
HELP = 'Parquet files need pyarrow: python -m pip install -c requirements.lock -e ".[parquet]"'


def read(file: BinaryIO, size: int, limits: Limits) -> pd.DataFrame:
    """Read a table whose counts are within the limits."""
    from privlab.intake import named

    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise ModuleNotFoundError(HELP) from None

    _check_footer(file, size)
    try:
        found = pq.ParquetFile(file, thrift_string_size_limit=FOOTER, thrift_container_size_limit=100 * limits.columns)
        _check_counts(found.metadata, limits)
        _check_types(found.schema_arrow, pa)
        words = [field.name for field in found.schema_arrow if _is_text(field.type, pa)]
        if words:  # texts stay in dictionaries, however often they are repeated
            found = pq.ParquetFile(file, read_dictionary=words, thrift_string_size_limit=FOOTER)
        parts, done, before = [], 0, pa.total_allocated_bytes()
        for batch in found.iter_batches(BATCH):
            done += batch.num_rows
            if done > limits.rows:
                raise limits.refuse("rows", limits.rows, "more")
            if pa.total_allocated_bytes() - before > limits.text:
                raise limits.refuse("bytes once unpacked", limits.text, "more")
            _check_cells(batch, done - batch.num_rows, limits, pa)
            parts.append(batch.to_pandas())
    except (pa.ArrowException, OSError):
        raise ValueError("'file' must be whole. Got a Parquet file that is damaged or beyond what is read.") from None
    if not parts:
        raise ValueError("'file' must hold at least one row below its names. Got none.")
    table = pd.concat([_plain(part) for part in parts], ignore_index=True)
    return named(table, list(table.columns), limits)


def _plain(part: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in part.columns if not pd.api.types.is_numeric_dtype(part[name])]
    return part.astype(dict.fromkeys(texts, object))


def _check_footer(file: BinaryIO, size: int) -> None:
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or not 0 < length <= min(FOOTER, size):
        raise ValueError("'file' must be whole. Got a Parquet file that is cut off, or with too many counts to read.")
    file.seek(0)


def _check_counts(known: Any, limits: Limits) -> None:
    if known.num_columns > limits.columns:
        raise limits.refuse("columns", limits.columns, f"{known.num_columns:,}")
    if known.num_rows > limits.rows:
        raise limits.refuse("rows", limits.rows, f"{known.num_rows:,}")
    unpacked = sum(known.row_group(i).total_byte_size for i in range(known.num_row_groups))
    if unpacked > limits.text:
        raise limits.refuse("bytes once unpacked", limits.text, f"{unpacked:,}")
    if known.num_rows * known.num_columns > limits.cells:  # repeated entries take next to nothing in the file
        raise limits.refuse("cells", limits.cells, f"{known.num_rows * known.num_columns:,}")


def _is_text(kind: Any, pa: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_types(schema: Any, pa: Any) -> None:
    for i, field in enumerate(schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not (plain or _is_text(kind, pa)):
            raise ValueError(
                f"'file' must hold numbers, text or true and false. Got {kind} in column {i + 1}. Leave it out."
            )


def _check_cells(batch: Any, first: int, limits: Limits, pa: Any) -> None:
    for i, column in enumerate(batch.columns):
        if pa.types.is_dictionary(column.type):
            import pyarrow.compute as pc

            longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
            if longest > limits.cell:
                raise limits.refuse(
                    "bytes in a cell", limits.cell, f"{longest:,} in column {i + 1}, rows {first + 1:,} on"
                )
