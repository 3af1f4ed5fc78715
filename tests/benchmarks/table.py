"""Rows of the benchmark's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def at_most(what: str, value: float, unit: str, bar: float) -> Row:
    """A row whose value must not pass the bar."""
    return {"what": what, "value": float(value), "unit": unit, "bar": f"≤ {bar:g}", "met": bool(value <= bar)}


def at_least(what: str, value: float, unit: str, bar: float) -> Row:
    """A row whose value must reach the bar."""
    return {"what": what, "value": float(value), "unit": unit, "bar": f"≥ {bar:g}", "met": bool(value >= bar)}


def only_told(what: str, value: float, unit: str) -> Row:
    """A row with no bar."""
    return {"what": what, "value": float(value), "unit": unit, "bar": "", "met": None}


def show(rows: Sequence[Row]) -> str:
    """The table as text."""
    wide = max(len(row["what"]) for row in rows)
    words = {True: "yes", False: "NO", None: ""}
    lines = [f"{'what':<{wide}}  {'measured':>16}  {'bar':>9}  met"]
    for row in rows:
        measured = f"{row['value']:.4g} {row['unit']}".strip()
        lines.append(f"{row['what']:<{wide}}  {measured:>16}  {row['bar']:>9}  {words[row['met']]}")
    return "\n".join(lines)
