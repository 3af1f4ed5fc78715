"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import wait
from typing import TypeVar

from privlab import accounting, cores, dpsgd

Found = TypeVar("Found")


def for_the_accountant() -> Iterator[None]:
    """Import dp-accounting, 1–2 s, while the notebook goes on."""
    warming = threading.Thread(target=accounting.warm_up, daemon=True)
    warming.start()
    while warming.is_alive():
        warming.join(dpsgd.PATIENCE)
        yield


def elsewhere(job: Callable[[], Found]) -> Generator[None, None, Found]:
    """Do what takes long in a thread: yields None meanwhile, and returns what came of it."""
    future = cores.shared().threads.submit(job)
    while wait([future], timeout=dpsgd.PATIENCE).not_done:
        yield None
    return future.result()
