"""What a screen reader and a keyboard need and ipywidgets lacks, set by names.js once the first picture is out."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

LATER = 0.3  # seconds that the first picture has to itself


def follow(panel: Any) -> None:
    """Add the script to a panel in a moment; not outside a notebook, where no page shows it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(LATER, _add, panel)


def _add(panel: Any) -> None:
    if panel.comm is not None:  # not closed meanwhile
        panel.children += (_kind()(),)


@cache
def _kind() -> type[Any]:
    import anywidget

    class Names(anywidget.AnyWidget):
        _esm = Path(__file__).with_name("names.js").read_text(encoding="utf-8")

    return Names
