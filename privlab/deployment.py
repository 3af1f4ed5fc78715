"""A real federation on this machine: Flower's SuperLink and a SuperNode a client, each a process of its own.

Or Flower's simulation engine, where Ray's workers play the clients. Everything listens on loopback only, without
encryption or passwords: this shows the machinery, it is no set-up for secrets, nor for a machine whose other users you
do not trust, for while it runs they could hand it programs. Nothing is reported to Flower or Ray.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privlab import room

if TYPE_CHECKING:
    from privlab.clients import Rows
    from privlab.datasets import Dataset
    from privlab.federated import Plan

DELTA = 1e-5
PARTS = 4
DONE, FAILED = "done", "failed"

PROGRAM = ("-m", "privlab.room")
ENGINES = ("processes", "simulation")
MISSING = "{} is missing. This adds it: python -m pip install -c requirements.lock -e '.[{}]'"
NO_FORK = "'federated' needs Linux or macOS, for its processes are forked. On Windows: inside WSL."
APP = "from privlab.flower import client_app, server_app\n\n__all__ = ['client_app', 'server_app']\n"
PROJECT = """[project]
name = "privlab-federated"
version = "0.1.0"
description = "Federated learning in the privacy lab"
license = "Apache-2.0"
dependencies = []

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.flwr.app]
publisher = "privlab"
fab-include = ["app.py"]

[tool.flwr.app.components]
serverapp = "app:server_app"
clientapp = "app:client_app"

[tool.flwr.app.config]
"""


def missing(engine: str = "processes") -> str:
    """What this machine lacks for an engine, and what adds it; nothing if it is all there."""
    if importlib.util.find_spec("flwr") is None:
        return MISSING.format("Flower", "federated" if engine == "processes" else "simulation")
    if engine == "simulation" and importlib.util.find_spec("ray") is None:
        return MISSING.format("Ray", "simulation")
    return "" if hasattr(os, "fork") else NO_FORK


def train(
    *,
    engine: str = "processes",
    patience: float | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda _: None,
    **chosen: Any,
) -> dict[str, Any]:
    """Start a federation, train, stop all its processes, and return the server's report.

    Parameters
    ----------
    engine : {"processes", "simulation"}
        A SuperLink and a SuperNode for each client, or Flower's simulation on Ray.
    patience : float, optional
        Seconds until a run that has not ended is given up; by default enough for a machine with other work to do.
    tell : callable
        Is given the report whenever it has changed.
    **chosen
        As for `configuration`.

    Returns
    -------
    dict
        accuracy (rounds,), epsilon over all rounds, reports (rounds,), weights (rounds + 1, d + 1).

    Raises
    ------
    ValueError
        If the engine, ε or patience is out of its range.
    ModuleNotFoundError
        Without Flower, Ray or a way to fork; the message says how to add it.
    RuntimeError
        If a process ends before the training does, or the training fails; with what it said.
    TimeoutError
        After `patience`; with how far the training has come.
    """
    if engine not in ENGINES:
        raise ValueError(f"'engine' must be among {', '.join(ENGINES)}. Got {engine!r}.")
    usual = configuration(**chosen)
    if not 0 < usual["epsilon"] <= 100:
        raise ValueError(f"'epsilon' must be in (0, 100]. Got {usual['epsilon']:g}.")
    patience = 120.0 + usual["rounds"] * (20 + 5 * usual["clients"]) if patience is None else patience
    if not patience > 0:
        raise ValueError(f"'patience' must be more than 0 seconds. Got {patience:g}.")
    if lacks := missing(engine):
        raise ModuleNotFoundError(lacks)
    with tempfile.TemporaryDirectory(prefix="privlab-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        told = usual | {"report": str(folder / "report.json")}
        nodes = told["clients"] if engine == "processes" else 0
        _write(folder, told, _free_ports(1 + nodes))
        end = time.monotonic() + patience
        with _opened(folder) as process:
            found: dict[str, Any] = {"stage": "the SuperLink is starting"}
            while True:
                over = process.poll() is not None
                before, found = found, _read(folder / "report.json") or found
                if found != before:
                    tell(found)
                if found["stage"] == DONE:
                    break
                if found["stage"] == FAILED:
                    raise RuntimeError(f"The server's app failed. {found['why']}")
                if over:
                    raise RuntimeError(f"A process of the federation has ended. {_logs(folder)}")
                time.sleep(0.1)
                if time.monotonic() > end:
                    late = f"The federation must be done within {patience:g} seconds. It was at: {found['stage']}."
                    raise TimeoutError(f"{late} {_logs(folder)}")
        return {name: value for name, value in found.items() if name != "stage"}


def configuration(**chosen: Any) -> dict[str, Any]:
    """What a run is told, in the types that Flower carries: defaults, and what is chosen instead.

    Parameters
    ----------
    **chosen
        Any of dataset, clients, split, skew, rounds, participation, local_epochs, dropout, protect, epsilon, clip_norm,
        seed, and report (a path that the server writes its result to, or nothing).

    Raises
    ------
    TypeError
        For another name.
    """
    usual = {
        "dataset": "adult", "clients": 4, "split": "employer", "skew": 0.8, "rounds": 5, "participation": 1.0,
        "local_epochs": 5, "dropout": 0.0, "protect": "none", "epsilon": 8.0, "clip_norm": 0.3, "seed": 0, "report": "",
    }  # fmt: skip
    for name in chosen:
        if name not in usual:
            raise TypeError(f"Settings of a run must be among {', '.join(usual)}. Got {name!r}.")
    return usual | chosen


@lru_cache(maxsize=4)
def prepared(written: str, server: bool) -> tuple[Dataset, Rows, Plan, tuple[int, int]]:
    """The data, who holds them, and the plan of a run; its noise only for the side that adds it."""
    from privlab import clients, datasets, federated

    told = json.loads(written)
    data = datasets.load(told["dataset"])
    holdings = clients.deal(data, told["split"], told["clients"], told["skew"], told["seed"])
    rows = clients.Rows.make(data.X_train, data.y_train, holdings, PARTS, data.n_train)
    plan = federated.Plan(
        rounds=told["rounds"], participation=told["participation"], local_epochs=told["local_epochs"],
        dropout=told["dropout"], protect=told["protect"], clip_norm=told["clip_norm"],
    )  # fmt: skip
    if server or plan.protect == "local":
        plan = plan.calibrated(told["epsilon"], DELTA, told["clients"])
    return data, rows, plan.paced(told["clients"], rows.width), (told["seed"], 0)


def difference(found: dict[str, Any], **chosen: Any) -> float:
    """How far the models of a report are from those of the simulator in this process, at most, in any weight."""
    import numpy as np

    from privlab import federated

    told = configuration(**chosen)
    written = json.dumps({name: value for name, value in told.items() if name != "report"})
    _, rows, plan, seed = prepared(written, server=True)
    *_, history = federated.train(rows, plan, [seed])
    return float(np.abs(history.weights[..., 0] - found["weights"]).max())


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that starts all others (see `room`), in a group of its own; at the end none of them is left."""
    log = (folder / "room.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, *PROGRAM, str(folder)],
        env=_environment(folder), cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        log.close()
        assert process.stdin is not None
        process.stdin.close()  # the sign to end
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2 * room.GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # on macOS the latter, for a group of the dead
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """What all processes are told: report to nobody, talk to this machine directly, use one core each."""
    here = str(Path(__file__).resolve().parent.parent)
    told = {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "FLWR_HOME": str(folder / "superlink"),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
        "RAY_raylet_start_wait_time_s": "120",
        "NO_PROXY": room.HOST,
        "no_proxy": room.HOST,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
    }
    if len(str(folder)) < 40:  # for Ray's sockets lie there, and the length of their paths is bounded
        told["RAY_TMPDIR"] = str(folder)
    return os.environ | told


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError):
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return report
    return None


def _logs(folder: Path) -> str:
    """The last that the processes wrote, and why they were ended."""
    texts = {log.stem: log.read_text("utf-8", "replace")[-800:] for log in sorted(folder.glob("*.log"))}
    return "\n".join(f"{name}: {text.strip()}" for name, text in texts.items() if text.strip())


def _write(folder: Path, told: dict[str, Any], ports: list[int]) -> None:
    """Write Flower's app, which only names ours, where its SuperLink listens, and who else does."""
    app, home = folder / "app", folder / "superlink"
    app.mkdir()
    home.mkdir()
    (app / "app.py").write_text(APP, encoding="utf-8")
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    (app / "pyproject.toml").write_text(PROJECT + "\n".join(lines) + "\n", encoding="utf-8")
    address = f"{room.HOST}:{ports[0]}"
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "room"\n\n[superlink.room]\naddress = "{address}"\ninsecure = true\n', encoding="utf-8"
    )
    noisy = told["protect"] == "local"
    who = {"ports": ports, "clients": told["clients"], "noisy": noisy}
    (folder / "room.json").write_text(json.dumps(who), encoding="utf-8")


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((room.HOST, 0))
        return [one.getsockname()[1] for one in sockets]
