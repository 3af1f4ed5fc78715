"""The processes of a federation on this machine, forked from one that has Flower in memory already.

Flower starts a new Python for every client in every round: one to three seconds of work before the first number moves.
On a busy machine they come too late, are started again, and make it busier still. Here one process imports Flower
once and forks all others: the SuperLink, the SuperNodes, and beside each its SuperExec, Flower's own loop that fetches
tasks, which forks each task. All run Flower's own commands, and differ from it in two things: how a task is started,
and how often a node asks. They stay in one process group, so they can be ended at once.

`deployment` runs this module as a process of its own; it ends all of them when that one closes its input or is gone.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HOST = "127.0.0.1"
OFTEN = 0.3  # seconds between two looks
GRACE = 3.0  # seconds that processes have to end by themselves
SUPERLINK, SUPERNODE, SUPEREXEC = "flower-superlink", "flower-supernode", "flower-superexec"
NEEDED = (SUPERLINK, SUPERNODE, SUPEREXEC, "flwr", "flwr-serverapp", "flwr-clientapp", "flwr-simulation")
SIMULATED = "client-resources-num-cpus=1 init-args-log-to-driver=false num-supernodes="


class Room:
    """Starts the processes and looks after them.

    Parameters
    ----------
    folder : Path
        Holds Flower's app and its settings, and takes what the processes write.
    commands : dict of callables
        Flower's commands.
    """

    def __init__(self, folder: Path, commands: dict[str, Callable[[], Any]]) -> None:
        self.folder, self.commands = folder, commands
        self.running: dict[int, str] = {}

    def open(self, ports: Sequence[int], clients: int) -> None:
        """Start a SuperLink at the first port and a SuperNode at each of the others, and hand in the run.

        With no other ports, Flower's simulation engine plays the clients.
        """
        superlink, *supernodes = (f"{HOST}:{port}" for port in ports)
        simulation = [] if supernodes else ["--simulation"]
        size = [] if supernodes else ["--federation-config", SIMULATED + str(clients)]
        self.start("superlink", SUPERLINK, "--host", HOST, "--port", str(ports[0]), "--insecure", *simulation,
                   "--disable-runtime-dependency-installation", "--isolation", "process")  # fmt: skip
        self.until(lambda: answers(ports[0]))
        for number, port in enumerate(ports[1:]):
            self.start(f"node-{number}", SUPERNODE, "--superlink", superlink, "--host", HOST, "--port", str(port),
                       "--node-config", f"partition-id={number} num-partitions={len(supernodes)}",
                       "--isolation", "process", "--insecure")  # fmt: skip
        self.until(lambda: all(map(answers, ports[1:])))
        for number, address in enumerate((superlink, *supernodes)):
            name = f"node-{number - 1}" if number else "superlink"
            self.start(name, SUPEREXEC, "--runtime-api-address", address, "--insecure")
        self.start("superlink", "flwr", "run", str(self.folder / "app"), "room", "--stream", *size)

    def start(self, home: str, *words: str) -> int:
        """Fork a process that runs one of Flower's commands, with a home of its own."""
        pid = fork(self.commands, words, self.folder / f"{home}.log", self.folder / home)
        self.running[pid] = words[0]
        return pid

    def until(self, ready: Callable[[], bool]) -> None:
        """Wait until something is so."""
        while not ready():
            self.look()

    def look(self) -> None:
        """Wait a moment; leave if nobody is there any more, or a process has ended, for none does during a run."""
        if select.select([sys.stdin], [], [], 0.1)[0]:
            raise SystemExit(0)
        if self.running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid:
                raise SystemExit(f"'{self.running.pop(pid)}' has ended with code {os.waitstatus_to_exitcode(status)}.")

    def close(self) -> None:
        """End all processes: first politely, then whatever is left, and this one with it."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        end = time.monotonic() + GRACE
        while self.running and time.monotonic() < end:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            self.running.pop(pid, None)
            time.sleep(0.02)
        os.killpg(0, signal.SIGKILL)


def fork(commands: dict[str, Callable[[], Any]], words: Sequence[str], log: Path, home: Path | None = None) -> int:
    """Fork a process that runs one of Flower's commands, as its script would, and return its number."""
    pid = os.fork()
    if pid:
        return pid
    code: Any = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if home is not None:
            os.environ["FLWR_HOME"] = str(home)
        sys.argv = list(words)
        if words[0] == SUPERNODE:
            _ask_often()
        if words[0] == SUPEREXEC:
            _fork_tasks(commands, log)
        code = commands[words[0]]()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 -- a child must never return into its parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _ask_often() -> None:
    """Have this SuperNode look for work and answers a few times a second, where Flower's waits up to three seconds."""
    supernode = import_module("flwr.supernode.start_client_internal")
    vars(supernode)["time"] = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, OFTEN)))


def _fork_tasks(commands: dict[str, Callable[[], Any]], log: Path) -> None:
    """Have this SuperExec fork its tasks, where Flower's own executor starts a new Python for each."""
    from flwr.supercore.superexec import run_superexec
    from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult
    from flwr.supercore.superexec.executor.subprocess_executor import SubprocessExecutor

    class ForkingExecutor(SubprocessExecutor):
        def launch(self, spec: ExecutionSpec) -> LaunchResult:
            address = ("--runtime-api-address", spec.runtime_api_address)
            fork(commands, (spec.task_type.value, *address, "--token", spec.token, "--insecure"), log)
            return LaunchResult.accepted()

        def reconcile(self) -> None:
            """Let go of tasks that are done."""
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass

    vars(run_superexec)["get_executor"] = lambda *_, **__: ForkingExecutor()


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as one:
        one.settimeout(0.5)
        return one.connect_ex((HOST, port)) == 0


def main(folder: Path) -> None:
    """Run a federation as ``room.json`` in a folder has it."""
    from privlab import deployment, federated, flower  # noqa: F401 -- all that are forked need Flower

    told = json.loads((folder / "room.json").read_text("utf-8"))
    if told.pop("noisy"):  # each client will find its noise, and what that imports is imported here, once for all
        federated.Plan(protect="local").calibrated(8.0, deployment.DELTA, told["clients"])
    commands = {one.name: one.load() for one in entry_points(group="console_scripts") if one.name in NEEDED}
    keep(Room(folder, commands), **told)


def keep(room: Room, ports: Sequence[int], clients: int) -> None:
    """Open a room and look after it until this process's input ends or one of the others does."""
    try:
        room.open(ports, clients)
        while True:
            room.look()
    except SystemExit as end:
        sys.stderr.write(str(end.code or ""))
    except BaseException:  # noqa: BLE001 -- whatever it was, nothing may go on running
        traceback.print_exc()
    finally:
        room.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
