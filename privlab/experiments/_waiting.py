"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from privlab import accounting, dpsgd

Answer = TypeVar("Answer")


def for_the_accountant() -> Iterator[None]:
    """Import dp-accounting, 1–2 s, while the notebook goes on."""
    warming = threading.Thread(target=accounting.warm_up, daemon=True)
    warming.start()
    while warming.is_alive():
        warming.join(dpsgd.PATIENCE)
        yield


def for_an_answer(function: Callable[[], Answer]) -> Generator[None, None, Answer]:
    """Call a function in a thread and return what it returns, while the notebook goes on.

    Whoever stops waiting is not held up; the thread comes to its end alone.
    """
    beside = ThreadPoolExecutor(1)
    try:
        asked = beside.submit(function)
        while wait([asked], timeout=dpsgd.PATIENCE).not_done:
            yield
        return asked.result()
    finally:
        beside.shutdown(wait=False)
