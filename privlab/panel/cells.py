"""Which cell opened which panels, so that re-running the cell closes them."""

from __future__ import annotations

from typing import Any

_open: dict[str, tuple[str, list[Any]]] = {}


def _here() -> tuple[str, str] | None:
    """The id of the cell that runs now and of its run; None outside a notebook that tells."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
    cell = parent.get("metadata", {}).get("cellId")
    return (cell, parent["header"]["msg_id"]) if cell else None


def opened(panel: Any) -> None:
    """Take note of a panel, and close those that an earlier run of this cell opened."""
    here = _here()
    if here is None:
        return
    cell, run = here
    before = _open.get(cell)
    if before is None or before[0] != run:
        for old in before[1] if before else ():
            old.close()
        _open[cell] = (run, [])
    _open[cell][1].append(panel)
