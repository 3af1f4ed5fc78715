"""What ``python -m privlab lab|demo|federated|test`` does: opens the lab, shows it, learns without gathering, tests.

The Makefile only makes the environment and then calls this, so both routes behave alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

START = "00_start_here.ipynb"
PACKAGE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``python -m privlab``; by default those of this process.

    Raises
    ------
    SystemExit
        With code 2 and a message on standard error, for arguments that make no sense.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if options.command == "lab":
        return lab(ip=options.ip, port=options.port)
    if options.command == "demo":
        return demo(ip=options.ip, port=options.port)
    if options.command == "federated":
        return federated(
            options.engine, options.patience,
            clients=options.clients, rounds=options.rounds, protect=options.protect, epsilon=options.epsilon,
        )  # fmt: skip
    if not in_checkout():
        parser.error("'test' needs a checkout of privlab. This is an installed copy without tests.")
    return run_tests(PACKAGE.parent, rest)


def lab(*, ip: str = LOOPBACK, port: int | None = None) -> int:
    """Open JupyterLab on the start notebook and serve it until interrupted.

    Parameters
    ----------
    ip, port
        Where to listen. By default only this machine is answered, on the first free port from 8888.
    """
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(lab_arguments(start_notebook(Path.cwd()), ip=ip, port=port))
    return 0


def demo(*, ip: str = LOOPBACK, port: int | None = None) -> int:
    """Serve the start notebook as a Voilà page, for those who hold its token.

    Voilà serves pictures that lie beside its notebook without asking for the token, so the page is
    made from a copy in a folder of its own.

    Parameters
    ----------
    ip, port
        Where to listen. By default only this machine is answered, on the first free port from 8866.
    """
    from voila.app import Voila

    with tempfile.TemporaryDirectory(prefix="privlab-") as folder:
        page = shutil.copy(start_notebook(Path.cwd()), folder)
        Voila.launch_instance(demo_arguments(Path(page), ip=ip, port=port))
    return 0


def federated(engine: str, patience: float | None, **chosen: Any) -> int:
    """Train on Adult with Flower on this machine, and compare with the simulator.

    Parameters
    ----------
    engine, patience, **chosen
        As for `deployment.train`.
    """
    from privlab import deployment

    if lacks := deployment.missing(engine):
        print(lacks, file=sys.stderr)
        return 1
    clients, rounds = chosen["clients"], chosen["rounds"]
    who = (
        f"a SuperLink and {clients} SuperNodes" if engine == "processes" else f"a simulation of {clients} nodes on Ray"
    )
    print(f"Starting {who} on {LOOPBACK}. It takes some seconds, on a busy machine a minute.", flush=True)
    shown = 0
    stage = ""

    def tell(found: dict[str, Any]) -> None:
        nonlocal shown, stage
        if not found.get("accuracy") and found["stage"] != stage:
            stage = found["stage"]
            print(stage, flush=True)
        for score, updates in list(zip(found.get("accuracy", []), found.get("reports", []), strict=True))[shown:]:
            shown += 1
            print(
                f"round {shown} of {rounds}: {100 * score:.1f} % right on unseen people, {updates} updates", flush=True
            )

    try:
        found = deployment.train(engine=engine, patience=patience, tell=tell, **chosen)
    except KeyboardInterrupt:
        print("Stopped. No process of the federation is left.", file=sys.stderr)
        return 130
    except (RuntimeError, TimeoutError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    idealised = "(idealised: coins and noise come from a seed)"
    print(f"ε over all rounds, for a whole client: {found['epsilon']:.3g} {idealised}")
    apart = deployment.difference(found, **chosen)
    print(f"The simulator comes to the same model: no weight differs by more than {apart:.0e}.")
    return 0


def run_tests(checkout: Path, arguments: Sequence[str]) -> int:
    """Check style and types, then run pytest; stop at the first that fails.

    Parameters
    ----------
    checkout : Path
        The folder that holds ``pyproject.toml`` and ``tests``.
    arguments : sequence of str
        Passed on to pytest.
    """
    for tool in (
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy"],
        ["pytest", "-n", "2", "--dist", "loadfile", *arguments],  # two at once; what a file shares is made once
    ):
        code = subprocess.run([sys.executable, "-m", *tool], cwd=checkout, check=False).returncode
        if code:
            return code
    return 0


def start_notebook(folder: Path) -> Path:
    """Find the notebook to open.

    In a checkout it is the one in ``notebooks``. An installed package holds its notebooks where
    they should not be edited, so they are copied to ``folder/privlab-notebooks``; those already
    there are somebody's work and stay as they are.

    Parameters
    ----------
    folder : Path
        Where an installed package puts its copies.
    """
    if in_checkout():
        return PACKAGE.parent / "notebooks" / START
    copies = folder / "privlab-notebooks"
    copies.mkdir(exist_ok=True)
    for notebook in (PACKAGE / "notebooks").iterdir():
        if not (copies / notebook.name).exists():
            shutil.copy(notebook, copies)
    return copies / START


def lab_arguments(notebook: Path, *, ip: str = LOOPBACK, port: int | None = None) -> list[str]:
    """JupyterLab's command line. It makes a random token and prints its address last.

    Parameters
    ----------
    notebook : Path
        The notebook to open; its folder is the one that JupyterLab shows.
    ip, port
        As for `lab`.
    """
    arguments = [
        f"--ServerApp.ip={ip}",
        f"--ServerApp.root_dir={notebook.parent}",
        f"--LabApp.default_url=/lab/tree/{notebook.name}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--ServerApp.log_level=WARN",
        "--LabApp.log_level=WARN",
    ]
    if port is not None:
        arguments.append(f"--ServerApp.port={port}")
    if is_root():
        arguments.append("--allow-root")
    if not has_display():
        arguments.append("--no-browser")
    return arguments


def demo_arguments(notebook: Path, *, ip: str = LOOPBACK, port: int | None = None) -> list[str]:
    """Voilà's command line. It makes a random token only when asked, and prints its address last.

    Parameters
    ----------
    notebook : Path
        The notebook to show; pictures in its folder are readable without the token.
    ip, port
        As for `demo`.
    """
    arguments = [str(notebook), f"--Voila.ip={ip}", "--Voila.auto_token=True", "--no-browser"]
    if port is not None:
        arguments.append(f"--Voila.port={port}")
    return arguments


def in_checkout() -> bool:
    """Whether this package runs from its source tree, not from an installed wheel."""
    return (PACKAGE.parent / "pyproject.toml").is_file()


def is_root() -> bool:
    """Whether this is a Unix superuser, whom Jupyter refuses unless told otherwise."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def has_display() -> bool:
    """Whether a browser can open a window here. Only Linux machines are commonly without."""
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m privlab", description="The privacy lab.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="lab|demo|federated|test")
    for name, text in (
        ("lab", "open JupyterLab on the start notebook"),
        ("demo", "serve the start notebook as a page, and print its address"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--ip", default=LOOPBACK, help="address to listen on (default: %(default)s)")
        command.add_argument("--port", type=_port, help="port to listen on (default: a free one)")
    text = "train with Flower, every client a process of its own on this machine"
    command = commands.add_parser("federated", help=text, description=text)
    engines = ("processes", "simulation")
    command.add_argument(
        "--engine", choices=engines, default="processes", help="SuperNodes, or Flower's simulation on Ray"
    )
    command.add_argument("--patience", type=float, help="seconds until it is given up (default: by rounds and clients)")
    command.add_argument("--clients", type=_count, default=4, help="SuperNodes (default: %(default)s)")
    command.add_argument("--rounds", type=_count, default=5, help="rounds (default: %(default)s)")
    command.add_argument("--protect", choices=("none", "central", "local"), default="none", help="where noise is added")
    command.add_argument("--epsilon", type=float, default=8.0, help="for a whole client (default: %(default)s)")
    commands.add_parser("test", help="check style and types, then run pytest with the arguments that follow")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 50:
        raise argparse.ArgumentTypeError(f"must be a whole number in [1, 50]. Got {text}.")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"'port' must be in [1, 65535]. Got {text}.")
    return int(text)
