"""pandas, imported when it is first used: the first picture needs no table, and the import is a third of its time."""

from __future__ import annotations

import csv
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["pd", "to_csv"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell instead of showing it

if TYPE_CHECKING:
    import pandas as pd
else:

    class _Later:
        def __getattr__(self, name: str) -> Any:
            return getattr(import_module("pandas"), name)

    pd = _Later()


def to_csv(table: pd.DataFrame) -> bytes:
    """A table as a file that a spreadsheet shows and never runs: an apostrophe stands before text like a formula."""

    def plain(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value

    inert = table.rename(columns=plain)
    text = [i for i, kind in enumerate(inert.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    for i in text:
        inert.isetitem(i, [plain(value) for value in inert.iloc[:, i]])
    # pandas would leave a bare carriage return unquoted, and what follows it would begin a cell
    return bytes(inert.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).encode())
