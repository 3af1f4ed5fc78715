"""A real federation on this machine: Flower's SuperLink and a SuperNode a client, each a process of its own.

All of them listen on loopback only, and without encryption: this shows the machinery, it is no set-up for secrets.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
MISSING = "Flower is missing. This adds it: python -m pip install -c requirements.lock -e '.[federated]'"
APP = "from privlab.flower import client_app, server_app\n\n__all__ = ['client_app', 'server_app']\n"
PROJECT = """[project]
name = "privlab-federated"
version = "0.1.0"
description = "Federated learning in the privacy lab"
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


def is_there() -> bool:
    """Whether Flower is installed."""
    return importlib.util.find_spec("flwr") is not None


def train(*, patience: float = 600.0, **chosen: Any) -> dict[str, Any]:
    """Start a SuperLink and a SuperNode for each client, train, stop them all, and return the server's report.

    Parameters
    ----------
    patience : float
        Seconds until a run that has not ended is given up.
    **chosen
        As for `privlab.flower.configuration`.

    Returns
    -------
    dict
        accuracy (rounds,), epsilon over all rounds, reports (rounds,), weights (rounds + 1, d + 1).

    Raises
    ------
    ModuleNotFoundError
        Without Flower; the message says how to add it.
    RuntimeError
        If a process ends before the training does, or the training fails; with what it said.
    TimeoutError
    """
    if not is_there():
        raise ModuleNotFoundError(MISSING)
    from privlab import flower

    with tempfile.TemporaryDirectory(prefix="privlab-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        report = folder / "report.json"
        told = flower.configuration(**chosen, report=str(report))
        ports = _free_ports(1 + told["clients"])
        _write(folder, told, ports[0])
        started = stack.enter_context(_processes(folder))
        started.start(
            "flower-superlink", "--insecure", "--host", HOST, "--port", str(ports[0]),
            "--disable-runtime-dependency-installation",
        )  # fmt: skip
        _until(lambda: _answers(ports[0]), started, patience)
        for number, port in enumerate(ports[1:]):
            started.start(
                "flower-supernode", "--insecure", "--superlink", f"{HOST}:{ports[0]}", "--host", HOST,
                "--port", str(port), "--node-config", f"partition-id={number} num-partitions={told['clients']}",
            )  # fmt: skip
        started.call("flwr", "run", str(folder / "app"), "room")
        _until(report.exists, started, patience)
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        if "failed" in found:
            raise RuntimeError(f"The server's app failed. {found['failed']}")
        return found


class _Started:
    """Processes of Flower's, their environment, and what they wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        here = Path(sys.executable).parent
        self.environment = os.environ | {
            "FLWR_TELEMETRY_ENABLED": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "FLWR_HOME": str(folder / "home"),
            "PATH": f"{here}{os.pathsep}{os.environ.get('PATH', '')}",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def start(self, *words: str) -> None:
        """Start a process that goes on."""
        log = self.folder / f"{len(self.running)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out, cwd=self.folder)
        self.running.append((words[0], process, log))

    def call(self, *words: str) -> None:
        """Run a process to its end."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"'{words[0]} {words[1]}' failed: {(done.stdout + done.stderr)[-800:]}")

    def check(self) -> None:
        """Raise if a process has ended, or its training failed."""
        for name, process, log in self.running:
            if process.poll() is not None:
                raise RuntimeError(f"'{name}' has ended: {log.read_text('utf-8', 'replace')[-800:]}")

    def told(self) -> str:
        """The last lines of what all wrote."""
        return "\n".join(f"{name}: {log.read_text('utf-8', 'replace')[-1500:]}" for name, _, log in self.running)

    def stop(self) -> None:
        """End all processes."""
        for _, process, _ in reversed(self.running):
            process.terminate()
        for _, process, _ in self.running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _processes(folder: Path) -> Iterator[_Started]:
    started = _Started(folder)
    try:
        yield started
    finally:
        started.stop()


def _write(folder: Path, told: dict[str, Any], port: int) -> None:
    """Write Flower's app, which only names ours, and where its SuperLink listens."""
    app, home = folder / "app", folder / "home"
    app.mkdir()
    home.mkdir()
    (app / "app.py").write_text(APP, encoding="utf-8")
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    (app / "pyproject.toml").write_text(PROJECT + "\n".join(lines) + "\n", encoding="utf-8")
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "room"\n\n[superlink.room]\naddress = "{HOST}:{port}"\ninsecure = true\n',
        encoding="utf-8",
    )


def _until(ready: Any, started: _Started, patience: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + patience
    while not ready():
        started.check()
        if time.monotonic() > end:
            raise TimeoutError(f"The federation must be done within {patience:g} seconds. {started.told()}")
        time.sleep(0.2)


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex((HOST, port)) == 0
