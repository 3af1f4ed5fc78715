"""Twenty people on one Jupyter server with two cores, each with a panel of their own, all moving it at a human pace."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.benchmarks import table

PEOPLE, CORES = 20, 2
CROWDS = (5, 10, 20)  # of them at their sliders at once; the others look on, their panels open
SECONDS = 40.0  # of each crowd
PAUSE = (2.0, 8.0)  # seconds from a fresh picture to a person's next move
PATIENCE = 120.0
COMFORT = 1000  # ms within which 95 of 100 moves show
OPEN = """
import privlab
panel = privlab.explore("tradeoff")
"""
WHERE = """
import json
slider = panel._plain[1].slider
print(json.dumps([slider.comm.comm_id, panel._picture.comm.comm_id, [value for _, value in slider.options]]))
"""


@dataclass
class Person:
    """A kernel behind the server's websocket, and the panel in it."""

    kernel: str
    line: WebSocketClientConnection
    slider: str = ""
    picture: str = ""
    places: tuple[float, ...] = ()
    at: int = 0
    inbox: asyncio.Queue[str | bytes | None] = field(default_factory=asyncio.Queue)

    async def receive(self) -> None:
        """Take messages off the line as they come, as a browser does, so that the server sees somebody there."""
        while (raw := await self.line.read_message()) is not None:
            self.inbox.put_nowait(raw)

    async def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message on the shell channel and return its id."""
        name = uuid.uuid4().hex
        header = {
            "msg_id": name,
            "msg_type": kind,
            "session": self.kernel,
            "username": "",
            "version": "5.3",
            "date": "",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        await self.line.write_message(json.dumps(message | {"buffers": []}))
        return name

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        raw = await asyncio.wait_for(self.inbox.get(), PATIENCE)
        assert isinstance(raw, str)
        heard: dict[str, Any] = json.loads(raw)
        return heard

    async def run(self, code: str) -> str:
        """Run code and return what it printed."""
        asked = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "user_expressions": {}}
        name = await self.send("execute_request", asked)
        said, replied, idle = "", False, False
        while not (replied and idle):
            heard = await self.hear()
            if heard.get("parent_header", {}).get("msg_id") != name:
                continue
            kind, content = heard["header"]["msg_type"], heard["content"]
            said += content["text"] if kind == "stream" and content["name"] == "stdout" else ""
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
            assert kind != "error", content.get("evalue")
        return said

    async def open(self) -> float:
        """Open the panel; the seconds until its first picture was sent."""
        before = time.perf_counter()
        await self.run(OPEN)
        took = time.perf_counter() - before
        self.slider, self.picture, places = json.loads(await self.run(WHERE))
        self.places = tuple(places)
        self.at = self.places.index(1.0)
        return took

    async def move(self, by: int) -> float:
        """Move the slider; the milliseconds until a picture of just these settings came."""
        self.at = min(max(self.at + by, 0), len(self.places) - 1)
        wanted, before = self.places[self.at], time.perf_counter()
        state = {"method": "update", "state": {"index": self.at}, "buffer_paths": []}
        await self.send("comm_msg", {"comm_id": self.slider, "data": state})
        while True:
            heard = await self.hear()
            content = heard["content"]
            if heard["header"]["msg_type"] == "comm_msg" and content["comm_id"] == self.picture:
                shown = content["data"].get("state", {}).get("value", "")
                if f"&quot;clip_norm&quot;: {wanted}" in shown:
                    return 1000 * (time.perf_counter() - before)

    async def play(self, seconds: float, seed: int) -> list[float]:
        """Move and look, move and look."""
        chance, taken = random.Random(seed), []
        end = time.perf_counter() + seconds
        await self.listen(chance.uniform(0, PAUSE[1]))
        while time.perf_counter() < end:
            taken.append(await self.move(chance.choice((-3, -2, -1, 1, 2, 3))))
            await self.listen(chance.uniform(*PAUSE))
        return taken

    async def listen(self, seconds: float) -> None:
        """Let pictures pass by."""
        await asyncio.sleep(seconds)
        while not self.inbox.empty():
            self.inbox.get_nowait()


def measure() -> list[table.Row]:
    """Medians and 95th percentiles from a slider's message to its first fresh picture, and memory."""
    return asyncio.run(_measure())


async def _measure() -> list[table.Row]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = uuid.uuid4().hex
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        places = {f"JUPYTER_{name}_DIR": f"{folder}/{name}" for name in ("CONFIG", "DATA", "RUNTIME")}
        arguments = [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
                     "--ServerApp.open_browser=False", "--allow-root", "--ServerApp.log_level=ERROR",
                     "--ZMQChannelsWebsocketConnection.limit_rate=False"]  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *arguments], env=os.environ | places, stderr=subprocess.DEVNULL
        )
        if hasattr(os, "sched_setaffinity"):  # kernels inherit it
            os.sched_setaffinity(server.pid, sorted(os.sched_getaffinity(0))[:CORES])
        people: list[Person] = []
        receiving: list[asyncio.Task[None]] = []
        try:
            await _answers(port, token)
            rows = [table.only_told("load average before", before, "")]
            opened = []
            for _ in range(PEOPLE):
                people.append(await _join(port, token))
                receiving.append(asyncio.create_task(people[-1].receive()))
                opened.append(await people[-1].open())
            rows.append(table.only_told("first cell to a panel, one after another: median", _middle(opened), "s"))
            await asyncio.gather(*(one.listen(10) for one in people))
            held = [_each(server.pid)]
            for crowd in CROWDS:
                rows += await _crowd(people, crowd)
                held.append(_each(server.pid))
            rows.append(table.only_told(f"memory for each of {PEOPLE} people, at most", max(held), "MB"))
            rows.append(table.only_told("memory of the server itself", _own(psutil.Process(server.pid)), "MB"))
        finally:
            for one in people:
                one.line.close()
            server.terminate()
            server.wait(60)
    return rows


async def _crowd(people: list[Person], crowd: int) -> list[table.Row]:
    played = await asyncio.gather(
        *(one.play(SECONDS, seed) if seed < crowd else one.listen(SECONDS) for seed, one in enumerate(people))
    )
    taken = [ms for moves in played if moves for ms in moves]
    await asyncio.gather(*(one.listen(5) for one in people))
    what = f"{crowd} of {PEOPLE} people moving, {CORES} cores, {len(taken)} moves: fresh picture"
    return [
        table.only_told(f"{what}, median", _middle(taken), "ms"),
        table.at_most("… 95th percentile", float(np.quantile(taken, 0.95)), "ms", COMFORT),
    ]


def _each(server: int) -> float:
    """Megabytes for each person: the kernels and the processes that they started."""
    return sum(_own(one) for one in psutil.Process(server).children(recursive=True)) / PEOPLE


def _own(process: psutil.Process) -> float:
    """Its fair share (PSS) where the system tells, else what it alone holds (USS), in MB; 0 once it is gone."""
    try:
        info = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0.0
    return float(getattr(info, "pss", info.uss)) / 2**20


async def _answers(port: int, token: str) -> None:
    end = time.perf_counter() + PATIENCE
    while True:
        try:
            await _ask(port, token, "GET", "api/status")
            return
        except OSError:
            if time.perf_counter() > end:
                raise
            await asyncio.sleep(0.2)


async def _ask(port: int, token: str, method: str, path: str) -> Any:
    request = HTTPRequest(
        f"http://127.0.0.1:{port}/{path}", method, {"Authorization": f"token {token}"}, request_timeout=PATIENCE,
        body="{}" if method == "POST" else None,
    )  # fmt: skip
    return json.loads((await AsyncHTTPClient().fetch(request)).body)


async def _join(port: int, token: str) -> Person:
    kernel = (await _ask(port, token, "POST", "api/kernels"))["id"]
    address = f"ws://127.0.0.1:{port}/api/kernels/{kernel}/channels?token={token}"
    return Person(kernel, await websocket_connect(HTTPRequest(address, request_timeout=PATIENCE)))


def _middle(values: list[float]) -> float:
    return float(statistics.median(values))
