"""The machine's cores: threads for numerical work, with the matrix library held to one thread each meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class Cores:
    """A thread a core, and the hold on the matrix library."""

    def __init__(self, number: int | None = None) -> None:
        here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.count = number or here
        self.lock, self.users = threading.Lock(), 0
        self.numbers, self.own = count(os.getpid()), threading.local()
        self.threads = ThreadPoolExecutor(self.count, thread_name_prefix="privlab", initializer=self._number)

    def _number(self) -> None:
        self.own.number = next(self.numbers)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep one of the threads on a core of its own meanwhile.

        Linux wakes a thread where its waker runs. Two that hand each other Python's lock end up on one core after a
        rest, and stay there for longer than a first curve takes.
        """
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {sorted(allowed)[self.own.number % len(allowed)]})
        try:
            yield
        finally:
            os.sched_setaffinity(0, allowed)

    @cached_property
    def blas(self) -> ThreadpoolController:
        """The hold on the matrix libraries that are loaded by now, NumPy's among them."""
        from threadpoolctl import ThreadpoolController

        return ThreadpoolController()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While anybody is inside, matrix products take one thread."""
        with self.lock:
            if self.users == 0:
                self.limit = self.blas.limit(limits=1)
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if self.users == 0:
                    self.limit.restore_original_limits()


shared = cache(Cores)
