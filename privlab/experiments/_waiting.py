"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module

from privlab import accounting, dpsgd


def for_the_accountant() -> Iterator[None]:
    """Import dp-accounting, 1–2 s, while the notebook goes on."""
    yield from meanwhile(accounting.warm_up)


def for_import(module: str) -> Iterator[None]:
    """Import what takes long, such as "diffprivlib.models" (3 s), while the notebook goes on."""
    if module not in sys.modules:
        yield from meanwhile(lambda: import_module(module))


def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread, for what it leaves behind, such as an import or a kept result."""
    warming = threading.Thread(target=work, daemon=True)
    warming.start()
    while warming.is_alive():
        warming.join(dpsgd.PATIENCE)
        yield
