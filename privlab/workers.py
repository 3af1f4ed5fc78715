"""Slow fits run in worker processes, behind `concurrent.futures.Executor`; what they return is remembered here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from typing import Any

Key = tuple[Any, ...]
KEPT = 4000  # results remembered
IN_FLIGHT = 4  # calls handed out at a time: the rest can still be called off
PATIENCE = 0.01  # seconds that `Queue.advance` blocks at most

_chosen: list[Executor] = []
_remembered: dict[Key, Any] = {}
_thread = threading.local()
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def use(executor: Executor | None) -> None:
    """Run slow fits on this executor, such as a Dask client's `get_executor()`; None: on this machine again."""
    _chosen[:] = [] if executor is None else [executor]


def get(count: int | None = None) -> Executor:
    """The executor chosen with `use`, or joblib's reusable pool.

    It has `count` workers, by default so many that a core is left for the live models.
    """
    if is_here():
        return _Here()
    if _chosen:
        return _chosen[0]
    from joblib.externals.loky import get_reusable_executor

    executor: Executor = get_reusable_executor(
        max_workers=count or max(1, (os.cpu_count() or 2) - 1), timeout=300, initializer=_stand_back, env=_ONE_THREAD
    )
    return executor


@contextmanager
def here() -> Iterator[None]:
    """Make this thread's slow fits in this thread: what runs in a worker process already needs no other."""
    before, _thread.here = is_here(), True
    try:
        yield
    finally:
        _thread.here = before


def is_here() -> bool:
    """Whether this thread is inside `here`, so that nobody watches it."""
    return getattr(_thread, "here", False)


class _Here(Executor):
    """Calls made at once, where they are handed in."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        made: Future[Any] = Future()
        try:
            made.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001, for it is the future's to raise
            made.set_exception(error)
        return made


def _stand_back() -> None:
    """Slow fits give way to the models that train under a person's hand, and end with the process that asked."""
    if hasattr(os, "nice"):
        os.nice(10)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once its parent is gone: one that was killed could not tell it to."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def recall(key: Key) -> Any:
    """What the call of that key returned; None if it has not been made."""
    return _remembered.get(key)


class Queue:
    """Calls to make in worker processes, a few at a time and each only once in a session.

    Parameters
    ----------
    function : callable
        Importable by the workers; its result must not be None.
    calls : mapping
        The arguments of each call by its key, in the order of their making.
    """

    def __init__(self, function: Callable[..., Any], calls: Mapping[Key, tuple[Any, ...]]) -> None:
        self.function = function
        self.calls = {key: given for key, given in calls.items() if key not in _remembered}
        self.flying: dict[Key, Future[Any]] = {}

    @property
    def finished(self) -> bool:
        """Whether every call has returned."""
        return not self.calls and not self.flying

    def advance(self) -> None:
        """Remember what has returned and hand out what can be; raises what a call raised."""
        if self.flying:
            wait(self.flying.values(), timeout=PATIENCE, return_when=FIRST_COMPLETED)
        for key in [key for key, future in self.flying.items() if future.done()]:
            _remembered[key] = self.flying.pop(key).result()
        while len(_remembered) > KEPT:
            del _remembered[next(iter(_remembered))]
        while self.calls and len(self.flying) < IN_FLIGHT:
            key = next(iter(self.calls))
            self.flying[key] = get().submit(self.function, *self.calls.pop(key))

    def cancel(self) -> None:
        """Call off what has not begun."""
        for future in self.flying.values():
            future.cancel()
