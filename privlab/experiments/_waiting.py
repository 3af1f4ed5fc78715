"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib import import_module

from privlab import accounting, dpsgd


def for_the_accountant() -> Iterator[None]:
    """Import dp-accounting, 1–2 s, while the notebook goes on."""
    yield from _meanwhile(accounting.warm_up)


def for_the_library() -> Iterator[None]:
    """Import diffprivlib, about 3 s, while the notebook goes on."""
    yield from _meanwhile(lambda: import_module("diffprivlib.models"))


def _meanwhile(work: Callable[[], object]) -> Iterator[None]:
    warming = threading.Thread(target=work, daemon=True)
    warming.start()
    while warming.is_alive():
        warming.join(dpsgd.PATIENCE)
        yield
