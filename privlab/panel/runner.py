"""Drives an experiment's anytime generator on the notebook's own event loop.

New settings replace the running generator; between two of its steps the loop answers messages. Settings may be handed
over from any thread (JupyterLab sends widget messages over kernel subshells); the steps are taken on the loop, or by
`finish()` where that is called.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any

BREATH = 0.02  # seconds after a run's first picture in which the cores are left to those who send and paint it


class Runner:
    """Runs what it was last asked to.

    Parameters
    ----------
    run : callable
        settings -> generator of results, or None where there is nothing new.
    prepare : callable
        settings -> generator of None, for the idle time after a run.
    shown : callable
        (result, final) -> None, for every result; the last one comes again with `final`.
    failed : callable
        (exception) -> None.
    """

    def __init__(
        self,
        run: Callable[[Any], Generator[Any, None, None]],
        prepare: Callable[[Any], Generator[None, None, None]],
        shown: Callable[[Any, bool], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._run, self._prepare, self._shown, self._failed = run, prepare, shown, failed
        self.lock = threading.RLock()
        self._work: Generator[None, None, None] | None = None
        self._idle: Generator[None, None, None] | None = None
        self._breath, self._moved = 0.0, asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self._work is not None

    def start(self, settings: Any, begun: Generator[Any, None, None] | None = None) -> None:
        """Drop what is running and run these settings, or go on with a run of them; from any thread."""
        with self.lock:
            self.stop()
            self._work = self._walk(settings, begun or self._run(settings))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """Drop what is running; what was shown last stays."""
        with self.lock:
            dropped, self._work, self._idle = (self._work, self._idle), None, None
            for generator in dropped:
                if generator is not None:
                    generator.close()

    def step(self) -> bool:
        """Take one step of the run; whether there are more."""
        with self.lock:
            work = self._work
            if work is None:
                return False
            try:
                next(work)
            except StopIteration:
                self._work = None
            except Exception as error:  # noqa: BLE001 - told to the person beside the controls, and in full in the log
                self._work = None
                self._failed(error)
            return self._work is not None

    def finish(self) -> None:
        """Take all steps of the run, here and now."""
        while self.step():
            pass

    def _walk(self, settings: Any, run: Generator[Any, None, None]) -> Generator[None, None, None]:
        last = None
        with closing(run):
            for result in run:
                if result is not None:
                    self._breath = BREATH if last is None else 0.0
                    last = result
                    self._shown(result, False)
                yield
        if last is not None:
            self._shown(last, True)
        self._idle = self._prepare(settings)

    def _rest(self) -> bool:
        """Take one step of what idle time is for; whether there are more."""
        with self.lock:
            if self._idle is None:
                return False
            try:
                next(self._idle)
            except StopIteration:
                self._idle = None
            except Exception as error:  # noqa: BLE001
                self._idle = None
                self._failed(error)
            return True

    def _wake(self) -> None:
        self._moved.set()
        if self._loop is not None and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._pump())

    async def _pump(self) -> None:
        while self.step() or self._rest():
            breath, self._breath = self._breath, 0.0
            if not breath:
                await asyncio.sleep(0)
                continue
            self._moved.clear()
            with suppress(TimeoutError):  # other settings end the rest
                await asyncio.wait_for(self._moved.wait(), breath)
