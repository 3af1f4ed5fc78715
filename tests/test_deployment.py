"""A federation in real processes: it comes to the simulator's models, and whatever ends it, no process is left."""

import os
import signal
import time

import numpy as np
import psutil
import pytest

from privlab import deployment, room

# A room whose commands only wait. The node ignores polite requests, and its SuperExec has a child of its own.
WAITING = """
import os, signal, sys, time
from pathlib import Path
from privlab import room

def node():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

def superexec():
    os.fork()
    time.sleep(600)

class Waiting(room.Room):
    def open(self, ports, clients):
        for words in ("node", "superexec"):
            self.start("home", words)
        (self.folder / "open").touch()

room.GRACE = 0.3
commands = {"node": node, "superexec": superexec}
room.keep(Waiting(Path(sys.argv[1]), commands), (), 0)
"""


def alive(group):
    """The processes of a group that are there, the dead that nobody has asked about left out."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            pass
    return found


def until(ready):
    end = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING, encoding="utf-8")
    monkeypatch.setattr(deployment, "PROGRAM", (str(script),))


def everybody_there(folder, process):
    until((folder / "open").exists)
    until(lambda: len(alive(process.pid)) == 4)


@pytest.mark.parametrize("how", ["done", "Ctrl-C", "a process dies", "the room is killed"])
def test_no_process_is_left(tmp_path, waiting, how):
    with pytest.raises(KeyboardInterrupt), deployment._opened(tmp_path) as process:  # noqa: PT012
        everybody_there(tmp_path, process)
        if how == "done":
            process.stdin.close()
            process.wait(10)
        if how == "a process dies":
            os.kill(alive(process.pid)[1].pid, signal.SIGKILL)
            process.wait(10)
        if how == "the room is killed":
            process.kill()
            until(lambda: len(alive(process.pid)) == 3)
        assert len(alive(process.pid)) == {"Ctrl-C": 4, "the room is killed": 3}.get(how, 0)
        raise KeyboardInterrupt
    until(lambda: not alive(process.pid))
    assert ("has ended with code -9" in deployment._logs(tmp_path)) == (how == "a process dies")


def test_after_a_deadline_it_is_said_how_far_it_came(waiting):
    with pytest.raises(TimeoutError, match=r"^The federation must be done within 0\.2 seconds\. It was at: the SuperL"):
        deployment.train(patience=0.2)


def test_a_federation_that_ends_too_early_says_what_it_wrote(monkeypatch):
    monkeypatch.setattr(deployment, "PROGRAM", ("-c", "raise SystemExit('no memory')"))
    with pytest.raises(RuntimeError, match=r"^A process of the federation has ended\. room: no memory"):
        deployment.train()


@pytest.mark.parametrize("supernodes", [0, 3])
def test_flower_s_commands_are_told_where_and_how_many(tmp_path, monkeypatch, supernodes):
    said = []
    monkeypatch.setattr(room, "answers", lambda port: True)
    one = room.Room(tmp_path, {})
    one.start = lambda home, *words: said.append((home, *words))
    one.open(range(7000, 7001 + supernodes), clients=3)
    homes, commands = [words[0] for words in said], [words[1] for words in said]
    nodes = [f"node-{number}" for number in range(supernodes)]
    assert homes == ["superlink", *nodes, "superlink", *nodes, "superlink"]
    assert commands == [room.SUPERLINK, *[room.SUPERNODE] * supernodes, *[room.SUPEREXEC] * (1 + supernodes), "flwr"]
    assert ("--simulation" in said[0]) == (not supernodes)
    assert any("num-supernodes=3" in word for word in said[-1]) == (not supernodes)
    for number, words in enumerate(said[1 : 1 + supernodes]):
        assert f"partition-id={number} num-partitions=3" in words
    assert all("--insecure" in words for words in said[:-1]), "on loopback"
    hosts = {words[words.index("--host") + 1] for words in said if "--host" in words}
    assert hosts == {"127.0.0.1"}


def test_ports_are_different_and_free():
    ports = deployment._free_ports(5)
    assert len(set(ports)) == 5
    assert not any(map(room.answers, ports))


def test_superlink_and_supernodes_come_to_the_simulator_s_models():
    """The real thing: two rounds among two SuperNodes, noise and all."""
    seen, stages = {}, []

    def tell(found):
        stages.append(found["stage"])
        for process in psutil.process_iter():
            try:
                if "privlab.room" in process.cmdline() and process.environ().get("MARK") == mark:
                    seen[process.pid] = process.environ()
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                pass

    mark = os.environ["MARK"] = str(time.time_ns())
    chosen = {"clients": 2, "rounds": 2, "protect": "central", "epsilon": 4.0, "local_epochs": 2}
    try:
        found = deployment.train(tell=tell, **chosen)
    finally:
        del os.environ["MARK"]
    assert deployment.difference(found, **chosen) < 2e-5
    assert np.abs(found["weights"][-1]).max() > 0.1
    assert found["reports"] == [2, 2]
    assert 0.99 * 4 < found["epsilon"] <= 4
    assert "round 2 of 2, 0 of 2 nodes have answered" in stages
    # The one that forks, SuperLink, two SuperNodes, three SuperExecs, the server's app, at times clients' apps.
    assert len(seen) >= 8
    for environment in seen.values():
        assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
        assert environment["FLWR_DISABLE_UPDATE_CHECK"] == "1"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    gone = [pid for pid in seen if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert not gone
