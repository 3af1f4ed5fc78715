"""The machine's cores: threads for numerical work, with the matrix library held to one thread each meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class Cores:
    """A thread a core, and the hold on the matrix library."""

    def __init__(self, number: int | None = None) -> None:
        here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.count = number or here
        self.lock, self.users = threading.Lock(), 0
        self.threads = ThreadPoolExecutor(self.count, thread_name_prefix="privlab")

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
