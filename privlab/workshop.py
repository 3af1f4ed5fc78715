"""Is this machine ready for a room? What ``python -m privlab workshop --people N`` looks at, one check after another.

Each check says what it found and, if that is not enough, what to do. The figures for many people on one machine are
measured by ``python -m tests.benchmarks room``.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PYTHONS = ((3, 11), (3, 13))
KERNEL_MB, SERVER_MB, SPARE_MB = 400, 150, 1500  # for each person, for the server, and for the system and a browser
PEOPLE_PER_CORE = 10  # of whom each moves a slider every five seconds
KERNEL_SECONDS, PICTURE_SECONDS, CURVE_SECONDS = 5.0, 2.0, 1.0  # what the lab is made for
PATIENCE = 120.0
PORTS = range(8888, 8939)  # which JupyterLab tries, one after another
EXTRAS = {"encrypted": ("tenseal", "phe", "gmpy2"), "federated": ("flwr",)}
INSTALL = "python -m pip install -c requirements.lock -e ."
FIRST = """
import time
before = time.perf_counter()
import privlab
panel = privlab.explore("tradeoff")
first = time.perf_counter() - before
panel.wait().close()
from privlab import experiments
def trained(seed):
    module, settings = experiments.read("tradeoff", {"seed": seed})
    began = time.perf_counter()
    for result in module.run(settings):
        if result is not None and result.count >= 512:
            return time.perf_counter() - began
print(first, min(trained(seed) for seed in (1, 2, 3)))
"""


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes
    ----------
    name : str
    ok : bool
    found : str
    remedy : str
        What to do; for what is well, at most a hint.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""


def inspect(people: int, notebooks: Path, *, package: Path, wheelhouse: Path | None = None) -> Iterator[Check]:
    """Look at everything, one thing after another.

    Parameters
    ----------
    people : int
        How many will use this machine at once.
    notebooks : Path
        The folder that they will work in.
    package : Path
        privlab's own folder; in a checkout the lock lies beside it.
    wheelhouse : Path, optional
        Wheels that a room without a network installs from.
    """
    yield python(sys.version_info[:2])
    yield packages(package.parent / "requirements.lock")
    yield extras()
    yield copies(notebooks)
    yield memory(people)
    yield cores(people)
    yield port()
    yield from first_panel()
    if wheelhouse is not None:
        yield wheels(wheelhouse)


def python(version: tuple[int, ...]) -> Check:
    """Whether this Python is one that privlab is tested on."""
    low, high = (".".join(map(str, one)) for one in PYTHONS)
    ok = PYTHONS[0] <= version <= PYTHONS[1]
    return Check("Python", ok, ".".join(map(str, version)), "" if ok else f"Install Python {low} to {high}.")


def packages(lock: Path) -> Check:
    """Whether what is installed fits privlab's ranges and, where the lock lies, is what it names."""
    from packaging.requirements import Requirement

    asked = [Requirement(line) for line in metadata.requires("privlab") or ()]
    asked = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong, needed = [], {one.name for one in asked}
    for one in asked:
        if (version := _installed(one.name)) is None:
            wrong.append(f"{one.name} is missing")
        elif not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} is {version}, not {one.specifier}")
    lines = lock.read_text("utf-8").splitlines() if lock.is_file() else []
    pins = [Requirement(line) for line in lines if line.strip() and not line.strip().startswith("#")]
    pins = [one for one in pins if one.marker is None or one.marker.evaluate()]
    same = 0
    for one in pins:
        version = _installed(one.name)
        same += version is not None and one.specifier.contains(version, prereleases=True)
        if version is not None and not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} is {version}, the lock says {one.specifier}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        return Check("packages", False, f"{'; '.join(wrong[:3])}{more}", f"Install what the lock names: {INSTALL}")
    found = f"{same} as in the lock" if pins else f"{len(needed)} within their ranges; no lock beside an installed copy"
    return Check("packages", True, found)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def extras() -> Check:
    """Which optional parts are there. None has to be: their notebooks say what is missing."""
    there = {extra: all(importlib.util.find_spec(name) for name in names) for extra, names in EXTRAS.items()}
    missing = [extra for extra, ok in there.items() if not ok]
    found = ", ".join(f"{extra}: {'there' if ok else 'left out'}" for extra, ok in there.items())
    hint = f'For notebooks 09 and 10 to be whole: {INSTALL[:-1]}".[{",".join(missing)}]"' if missing else ""
    return Check("extras", True, found, hint)


def copies(notebooks: Path) -> Check:
    """Whether the notebooks are there, and work can be saved beside them."""
    count = len(list(notebooks.glob("[0-9][0-9]_*.ipynb")))
    if not count:
        return Check(
            "notebooks", False, f"none in {notebooks}", "Start the lab once in a folder of yours, or reinstall."
        )
    try:
        with tempfile.TemporaryFile(dir=notebooks):
            pass
        for path in notebooks.glob("*.ipynb"):
            if not os.access(path, os.W_OK):
                raise PermissionError(path.name)
    except OSError as error:
        return Check("notebooks", False, f"{notebooks} cannot be written to ({type(error).__name__})",
                     "Copy the folder to a place of your own, and start the lab there.")  # fmt: skip
    return Check("notebooks", True, f"{count}, writable")


def memory(people: int) -> Check:
    """Whether everybody's kernel finds room."""
    import psutil  # IPython brings it

    free = psutil.virtual_memory().available / 2**20
    needed = people * KERNEL_MB + SERVER_MB + SPARE_MB
    most = max(0, int((free - SERVER_MB - SPARE_MB) // KERNEL_MB))
    found = f"{free / 1024:.1f} GB free, {needed / 1024:.1f} needed ({KERNEL_MB} MB for each of {people})"
    remedy = f"Close programs, split the room over machines of at most {most} each, or let people bring their own."
    return Check("memory", free >= needed, found, "" if free >= needed else remedy)


def cores(people: int) -> Check:
    """Whether pictures follow the hand when all move at once."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = PEOPLE_PER_CORE * count
    found = f"{count}, good for {most} people"
    remedy = f"Split the room over {-(-people // most)} such machines, or let people share a screen in pairs."
    return Check("cores", people <= most, found, "" if people <= most else remedy)


def port(ports: range = PORTS) -> Check:
    """Whether JupyterLab finds a free port."""
    for number in ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            return Check("port", True, f"{number} is free")
    return Check("port", False, f"none free from {ports[0]} to {ports[-1]}",
                 "Stop old servers (jupyter server list), or name another: make lab ARGS='--port 9000'.")  # fmt: skip


def first_panel(program: str = FIRST) -> Iterator[Check]:
    """Whether a kernel starts, and a panel in it is as quick as the lab is made for."""
    try:
        start, said = _in_a_kernel(program)
    except Exception as error:  # noqa: BLE001 - whatever it is, the room must hear of it
        words = (str(error).strip() or type(error).__name__).splitlines()[-1][:120]
        yield Check("kernel", False, words, f"Install again: {INSTALL}")
        return
    first, curve = map(float, said.split()[-2:])
    quick = "Close other programs, plug the machine in, and look again."
    for name, what, took, most in (
        ("kernel", "starts in", start, KERNEL_SECONDS),
        ("first panel", "first picture in", first, PICTURE_SECONDS),
        ("speed", "512 models trained in", curve, CURVE_SECONDS),
    ):
        yield Check(name, took <= most, f"{what} {took:.2g} s (made for {most:g})", "" if took <= most else quick)


def _in_a_kernel(program: str) -> tuple[float, str]:
    """How many seconds a kernel of its own takes to start, and what a program prints in it."""
    from jupyter_client.manager import KernelManager

    manager, before = KernelManager(kernel_name="python3"), time.perf_counter()
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    heard: list[str] = []

    def hear(message: dict[str, dict[str, str]]) -> None:
        heard.append(message["content"].get("text", ""))

    try:
        client.wait_for_ready(timeout=PATIENCE)
        start = time.perf_counter() - before
        reply = client.execute_interactive(program, output_hook=hear, timeout=PATIENCE)["content"]
        if reply["status"] != "ok":
            raise RuntimeError(f"{reply['ename']}: {reply['evalue']}")
        return start, "".join(heard)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def wheels(folder: Path, ask: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> Check:
    """Whether a room without a network could install from these wheels: pip itself tries it, and installs nothing."""
    count = len(list(folder.glob("*.whl")))
    remedy = "On a machine of the same kind and Python, with a network: make wheelhouse"
    if not count:
        return Check("wheelhouse", False, f"no wheels in {folder}", remedy)
    asked = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--dry-run",
             "--ignore-installed", "--no-index", "--find-links", str(folder), "privlab"]  # fmt: skip
    tried = ask(asked, capture_output=True, text=True, check=False)
    if tried.returncode:
        words = tried.stderr.strip().splitlines() or ["pip failed"]
        return Check("wheelhouse", False, words[-1][:160], remedy)
    return Check("wheelhouse", True, f"complete, {count} wheels")
