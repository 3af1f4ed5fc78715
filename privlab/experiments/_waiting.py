"""Waiting for what takes long without holding anybody up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from typing import TypeVar

from privlab import accounting, cores, dpsgd, workers

T = TypeVar("T")
BREATH = 0.04  # seconds


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


def a_breath(painted: float) -> Iterator[None]:
    """Leave the cores to the browser for a moment after `painted`, so that a first picture is soon on the screen."""
    while not workers.is_here() and time.perf_counter() - painted < BREATH:
        time.sleep(BREATH / 10)
        yield


def for_all(*work: Callable[[], T]) -> Generator[None, None, list[T]]:
    """Do pieces of array arithmetic in the cores' threads while the notebook goes on, and return what they return."""
    jobs = [cores.shared().threads.submit(one) for one in work]
    while wait(jobs, timeout=dpsgd.PATIENCE).not_done:
        yield
    return [job.result() for job in jobs]


def elsewhere(job: Callable[[], T]) -> Generator[None, None, T]:
    """Call a function in a thread of its own and return what it returns, while the notebook goes on."""
    beside = ThreadPoolExecutor(1)
    try:
        asked = beside.submit(job)
        while wait([asked], timeout=dpsgd.PATIENCE).not_done:
            yield
        return asked.result()
    finally:
        beside.shutdown(wait=False)  # whoever moved on does not wait for it
