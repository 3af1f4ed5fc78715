"""An experiment at every point of a grid: on many workers, kept on disk as it goes, taken up again after a kill."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from privlab import cards, datasets, experiments, watching, workers
from privlab.finished import Finished, read_header, read_points
from privlab.settings import Controls
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.watching import Watch

Table = Literal["summary", "frame"]
MANY = 32  # workers to keep busy where an executor does not tell how many it has
AHEAD = 2  # points handed out for each worker: one in work, one waiting
LOOK = 0.1  # seconds between two looks at Stop
NAMED = 5  # failed points that an error names


class SweepError(RuntimeError):
    """Some points failed; `sweep` holds all others."""

    def __init__(self, words: str, sweep: Sweep) -> None:
        super().__init__(words)
        self.sweep = sweep


@dataclass(frozen=True)
class Sweep:
    """The finished points of a sweep, read from disk when they are asked for.

    Attributes
    ----------
    path : Path
        Their file.
    experiment : str
    over : dict
        The values of each setting that is swept.
    points : int
        Of the whole grid.
    done : int
        Finished so far.
    """

    path: Path
    experiment: str
    over: dict[str, list[Any]]
    points: int
    done: int

    def rows(self) -> Iterator[dict[str, Any]]:
        """The points, one at a time, as they were finished: point, settings, columns, rows, sentence."""
        return read_points(self.path)

    def frame(self) -> pd.DataFrame:
        """The table: the swept settings beside each row of each point's own table, in the order of the grid.

        Where that table has a column of a setting's name, the setting's is called "name (set)".
        """
        parts: dict[tuple[str, ...], list[list[Any]]] = {}  # by columns, for some settings change those
        for point in self.rows():
            own, held = point["columns"], point["settings"]
            names = ("point", *(f"{name} (set)" if name in own else name for name in held), *own)
            first = [point["point"], *(", ".join(v) if isinstance(v, list) else v for v in held.values())]
            parts.setdefault(names, []).extend([*first, *row] for row in point["rows"])
        if not parts:
            return pd.DataFrame(columns=["point", *self.over])
        table = pd.concat([pd.DataFrame(rows, columns=list(names)) for names, rows in parts.items()])
        return table.sort_values("point", kind="stable", ignore_index=True)

    @property
    def sentence(self) -> str:
        """How far it is, in words."""
        grid = " × ".join(f"{len(values):,} {name}" for name, values in self.over.items())
        words = f"{self.experiment} at {self.done:,} of {self.points:,} points ({grid}), kept in {self.path}."
        return words if self.done == self.points else f"{words} The same call goes on from here."

    def __repr__(self) -> str:
        return self.sentence


def sweep(
    experiment: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    path: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    table: Table = "summary",
    watch: Watch | None = None,
    **fixed: Any,
) -> Sweep:
    """Run an experiment at every point of a grid and keep what is finished; the same call goes on after a stop.

    Numbers depend on a point's settings alone, not on how many workers there are, which one it was, or what ran
    before. Sweeping is for public data: each point is another look at the data, and nobody is charged for it.

    Parameters
    ----------
    experiment : str
        One of `privlab.experiments.names()`, or a settings code.
    grid : mapping
        The values of each setting to sweep, such as ``{"clip_norm": [0.3, 1, 3], "steps": [30, 60]}``. The last one
        moves fastest.
    path : path, optional
        The file that keeps the points, or a folder for one that is named after all that its points depend on. Default:
        this folder.
    executor : Executor, optional
        Anything like `concurrent.futures.Executor`, such as ``dask.distributed.Client(…).get_executor()``. Default:
        worker processes on this machine.
    workers : int, optional
        How many of them; with an executor, how many it has. Default: one a core.
    table : {"summary", "frame"}
        Which of a result's tables is kept.
    watch : Watch, optional
        Default: in a notebook a progress bar with Stop. Stopping, or interrupting the kernel, keeps what is finished.
    **fixed
        The other settings.

    Returns
    -------
    Sweep
        With `.frame()`, `.rows()` one at a time, `.sentence`, `.done` of `.points`.

    Raises
    ------
    ValueError, TypeError
        For a point with an unknown setting or a value out of its range, or a file that holds anything else; before
        any work.
    SweepError
        At the end, if points failed: it names them, and its `.sweep` holds all others.

    Examples
    --------
    >>> found = privlab.sweep("tradeoff", {"clip_norm": [0.3, 1, 3]}, seeds=8)  # doctest: +SKIP
    >>> found.frame()  # doctest: +SKIP
    """
    points = Points(experiment, grid, fixed)
    identity = {
        "experiment": points.experiment, "version": _version(), "over": points.grid, "fixed": points.fixed,
        "data": points.data, "table": _one_of(table),
    }  # fmt: skip
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ValueError(f"'workers' must be a whole number of at least 1. Got {workers!r}.")
    place = Path("" if path is None else path)
    if place.is_dir():
        place /= f"{points.experiment}-sweep-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}.jsonl"
    if not place.parent.is_dir():
        raise ValueError(f"'path' must be a folder, or a file in one, that exists. Got {str(place)!r}.")
    with closing(Finished(place, identity)) as kept:
        if len(kept.points) < points.count:
            with closing(watch or watching.bar(f"Sweeping {points.experiment}")) as bar:
                _Work(points, kept, table, bar).run(executor, workers)
        return Sweep(place, points.experiment, points.grid, points.count, len(kept.points))


def read(path: str | os.PathLike[str]) -> Sweep:
    """What a file of `sweep` holds, finished or not."""
    header = read_header(Path(path))
    count = math.prod(map(len, header["over"].values()))
    return Sweep(Path(path), header["experiment"], header["over"], count, sum(1 for _ in read_points(Path(path))))


class Points:
    """A grid, checked whole; its points are made when they are asked for.

    Attributes
    ----------
    experiment : str
    grid : dict
        Of lists in plain types.
    fixed : dict
        The settings that all points start from.
    count : int
    data : dict
        A hash of every data set in use, by name.
    """

    def __init__(self, experiment: str, grid: Mapping[str, Sequence[Any]], fixed: dict[str, Any]) -> None:
        if {"ledger", "gate"} & {*fixed, *(grid if isinstance(grid, Mapping) else ())}:
            raise ValueError(
                "'ledger' and 'gate' must be left out of a sweep: every point is another look at the data, and would "
                "cost its ε. Sweep on public data, such as dataset='adult', then look once at your own."
            )
        module, base = experiments.read(experiment, fixed)
        self.settings, self.experiment = module.Settings, module.__name__.rpartition(".")[2]
        self.base, self.fixed = base, base.as_dict()
        self.grid = {name: self._values(name, values) for name, values in _mapping(grid).items()}
        self.count = math.prod(map(len, self.grid.values()))
        if both := {*self.grid} & {*fixed}:
            raise ValueError(f"'{min(both)}' must be swept or fixed, not both. Got both.")
        self.data: dict[str, str] = {}
        for i in range(self.count):
            name = getattr(self[i], "dataset", None)
            if name is not None and name not in self.data:
                self.data[name] = _digest(name)

    def _values(self, name: str, values: Any) -> list[Any]:
        allowed = [*self.settings.controls(), *self.settings.handles]
        if name not in allowed:
            raise TypeError(f"Settings must be among {', '.join(allowed)}. Got {name!r}.")
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            raise TypeError(f"'{name}' of the grid must be a list of values. Got {type(values).__name__}.")
        one = self.settings.controls().get(name)
        found = [one.check(name, one.reads(value)) if one else float(value) for value in values]
        if not found or len({*found}) < len(found):
            raise ValueError(
                f"'{name}' of the grid must hold values that all differ. Got {len(found)}, {len({*found})} different."
            )
        return found

    def held(self, i: int) -> dict[str, Any]:
        """The swept settings of a point."""
        held = {}
        for name, values in reversed(self.grid.items()):
            i, place = divmod(i, len(values))
            held[name] = values[place]
        return {name: held[name] for name in self.grid}

    def __getitem__(self, i: int) -> Controls:
        held = self.held(i)
        try:
            made: Controls = self.settings.make(self.base, **held)
        except (ValueError, TypeError) as error:
            raise type(error)(f"Point {i} ({_words(held)}): {error}") from None
        return made


class _Work:
    """Points on their way to workers and back."""

    def __init__(self, points: Points, kept: Finished, table: Table, bar: Watch) -> None:
        self.points, self.kept, self.table, self.bar = points, kept, table, bar
        self.failed: dict[int, str] = {}
        self.trace = ""

    def run(self, executor: Executor | None, count: int | None) -> None:
        """Compute what is not finished, a few points at a time; raises at the end if any failed."""
        pool = executor or workers.get(count or _cores())
        submit = pool.submit
        most = AHEAD * (count or getattr(pool, "_max_workers", None) or MANY)
        left = (i for i in range(self.points.count) if i not in self.kept.points)
        flying: dict[Future[Any], int] = {}
        try:
            while not self.bar.stopped:
                for i in itertools.islice(left, most - len(flying)):
                    flying[self._hand_out(submit, i)] = i
                if not flying:
                    break
                for future in wait(flying, timeout=LOOK, return_when=FIRST_COMPLETED).done:
                    i = flying.pop(future)
                    if self._take_in(future, i):
                        flying[self._hand_out(submit, i, with_data=True)] = i
                self.bar.show(len(self.kept.points), self.points.count)
        except KeyboardInterrupt:
            if isinstance(self.bar, watching.Silent):
                raise
            # else a person's Stop, where a busy kernel does not hear buttons
        finally:
            for future in flying:
                future.cancel()
        if self.failed:
            raise self._error()

    def _hand_out(self, submit: Callable[..., Future[Any]], i: int, with_data: bool = False) -> Future[Any]:
        settings = self.points[i]
        name = getattr(settings, "dataset", None)
        own = None if name is None or name in cards.SHIPPED else (name, self.points.data[name])
        data = datasets.load(name) if with_data and name else None
        return submit(compute, self.points.experiment, settings.as_dict(), self.table, _version(), own, data)

    def _take_in(self, future: Future[Any], i: int) -> bool:
        """Keep what came back; whether the worker asks for the data."""
        try:
            kind, found = future.result()
        except BrokenExecutor as error:
            raise RuntimeError(
                f"A worker process died, perhaps for want of memory. {len(self.kept.points):,} of "
                f"{self.points.count:,} points are kept in {self.kept.path}; the same call goes on from there."
            ) from error
        except Exception as error:  # noqa: BLE001, for a cluster may lose one point and keep the others
            kind, found = "failed", (f"{type(error).__name__}: {error}", traceback.format_exc())
        if kind == "found":
            self.kept.add(i, {"settings": self.points.held(i), **found})
        elif kind == "failed":
            self.failed[i], trace = found
            self.trace = self.trace or trace
        return bool(kind == "needs data")

    def _error(self) -> SweepError:
        points, kept = self.points, self.kept
        named = [f"point {i} ({_words(points.held(i))}): {why}" for i, why in list(self.failed.items())[:NAMED]]
        more = [f"and {len(self.failed) - NAMED:,} more"] if len(self.failed) > NAMED else []
        error = SweepError(
            f"{len(self.failed):,} of {points.count:,} points failed; {len(kept.points):,} are kept in {kept.path}, "
            f"and the same call tries the others again. Failed: {'; '.join([*named, *more])}.",
            Sweep(kept.path, points.experiment, points.grid, points.count, len(kept.points)),
        )
        error.add_note(f"In the worker, the first of them:\n{self.trace}")
        return error


def compute(
    experiment: str, values: dict[str, Any], table: Table, version: str, own: tuple[str, str] | None,
    data: Dataset | None,
) -> tuple[str, Any]:  # fmt: skip
    """One point, in a worker: ("found", its table and sentence), ("failed", why) or ("needs data", a name).

    Own data is sent only to a worker that asks for it, so that it travels once.
    """
    try:
        if version != _version():
            raise RuntimeError("The worker has another version of privlab.")
        if own is not None and _lacks(own, data):
            return "needs data", own[0]
        module = import_module(f"{experiments.__name__}.{experiment}")
        result = None
        with workers.here():
            for better in module.run(module.Settings(**values)):
                result = result if better is None else better
        assert result is not None
        found = (result.summary() if table == "summary" else result.frame()).to_dict("split", index=False)
        return "found", {"columns": found["columns"], "rows": found["data"], "sentence": result.sentence}
    except Exception as error:  # noqa: BLE001, for it is told at the end, with the point's settings
        return "failed", (f"{type(error).__name__}: {error}", traceback.format_exc())


def _lacks(own: tuple[str, str], data: Dataset | None) -> bool:
    """Whether this process lacks a data set; `data` is taken in."""
    name, digest = own
    if name not in datasets.names():
        if data is None:
            return True
        datasets.register(data)
    if _digest_of(datasets.load(name)) != digest:
        raise ValueError(f"'{name}' is the name of other data in this worker: restart the workers, or rename yours.")
    return False


def _digest(name: str) -> str:
    file = datasets.card(name).file
    return _digest_of(datasets.load(name)) if file is None else file.sha256


@lru_cache(maxsize=8)
def _digest_of(own: Dataset) -> str:
    """A hash of a data set's card, split and rows."""
    columns = [column.name for column in (*own.schema.columns, own.schema.target)]
    columns += [] if own.card.person is None else [own.card.person]
    made_from = hashlib.sha256(repr(own.card).encode() + own.is_test.tobytes())
    made_from.update(pd.util.hash_pandas_object(own.raw[columns], index=False).to_numpy().tobytes())
    return made_from.hexdigest()[:32]


@cache
def _version() -> str:
    """The version of privlab and a hash of its code: numbers of other code are other numbers."""
    from privlab import __version__

    made_from = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        made_from.update(path.read_bytes())
    return f"{__version__} ({made_from.hexdigest()[:12]})"


def _mapping(grid: Any) -> Mapping[str, Any]:
    if not isinstance(grid, Mapping) or not grid:
        raise TypeError(f"'grid' must be a mapping of settings to their values. Got {type(grid).__name__}.")
    return grid


def _one_of(table: Any) -> str:
    if table not in ("summary", "frame"):
        raise ValueError(f"'table' must be among summary, frame. Got {table!r}.")
    return str(table)


def _words(held: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in held.items())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
