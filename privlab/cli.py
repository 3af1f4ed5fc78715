"""What ``python -m privlab COMMAND`` does: opens the lab, shows it, looks at a room, learns without gathering, tests.

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
STORY = "import privlab\n\nprivlab.story()"
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
        try:
            page = notebook_named(options.notebook)
        except ValueError as error:
            parser.error(str(error))
        return demo(page, ip=options.ip, port=options.port)
    if options.command == "workshop":
        return workshop(options.people, options.wheelhouse)
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


def demo(notebook: Path | None = None, *, ip: str = LOOPBACK, port: int | None = None) -> int:
    """Serve the story, or a notebook, as a Voilà page without code, for those who hold its token.

    Voilà serves pictures that lie beside its notebook without asking for the token, so the page is
    made from a copy in a folder of its own.

    Parameters
    ----------
    notebook : Path, optional
        By default the story for stakeholders, `privlab.story`.
    ip, port
        Where to listen. By default only this machine is answered, on the first free port from 8866.
    """
    from voila.app import Voila

    with tempfile.TemporaryDirectory(prefix="privlab-") as folder:
        page = Path(shutil.copy(notebook, folder)) if notebook else write_story(Path(folder))
        Voila.launch_instance(demo_arguments(page, ip=ip, port=port))
    return 0


def workshop(people: int, wheelhouse: Path | None = None) -> int:
    """Look whether this machine is ready for a room, and print what is not, with its remedy.

    Parameters
    ----------
    people : int
        How many will use it at once.
    wheelhouse : Path, optional
        A folder of wheels that must be complete.
    """
    from privlab import workshop as room

    print(f"Is this machine ready for {people}?", flush=True)
    ready = True
    for check in room.inspect(people, start_notebook(Path.cwd()).parent, package=PACKAGE, wheelhouse=wheelhouse):
        ready = ready and check.ok
        print(f"{'ok' if check.ok else 'not yet':<8} {check.name:<12} {check.found}", flush=True)
        if check.remedy:
            print(f"{'':<8} {'':<12} → {check.remedy}", flush=True)
    print("Ready." if ready else "Not yet ready: do what the arrows say, and look again.")
    return 0 if ready else 1


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
        # two at once, what a file shares made once; in order, for the browser's long files come first
        ["pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *arguments],
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


def write_story(folder: Path) -> Path:
    """Write the notebook that the demo serves: one cell, which opens the story."""
    import nbformat.v4 as nbformat

    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    page = nbformat.new_notebook(cells=[nbformat.new_code_cell(STORY)], metadata={"kernelspec": kernel})
    path = folder / "privlab.ipynb"
    path.write_text(nbformat.writes(page), encoding="utf-8")
    return path


def notebook_named(start: str | None) -> Path | None:
    """The notebook whose name begins so, such as "00"; None for none.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    if start is None:
        return None
    notebooks = sorted(start_notebook(Path.cwd()).parent.glob("*.ipynb"))
    found = [path for path in notebooks if path.name.startswith(start)]
    if len(found) != 1:
        names = ", ".join(path.stem for path in notebooks)
        raise ValueError(f"'notebook' must be the beginning of one name among {names}. Got {start!r}.")
    return found[0]


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

    One kernel runs the notebook beforehand, so that whoever opens the page sees it at once.

    Parameters
    ----------
    notebook : Path
        The notebook to show; pictures in its folder are readable without the token.
    ip, port
        As for `demo`.
    """
    arguments = [str(notebook), f"--Voila.ip={ip}", "--Voila.auto_token=True", "--no-browser"]
    arguments.append("--VoilaConfiguration.preheat_kernel=True")
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="lab|demo|workshop|federated|test")
    for name, text in (
        ("lab", "open JupyterLab on the start notebook"),
        ("demo", "serve the story, or a notebook, as a page without code, and print its address"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--ip", default=LOOPBACK, help="address to listen on (default: %(default)s)")
        command.add_argument("--port", type=_port, help="port to listen on (default: a free one)")
    command.add_argument(
        "notebook", nargs="?", help="the beginning of a notebook's name, such as 00; default: the story"
    )
    text = "look whether this machine is ready for a room"
    command = commands.add_parser("workshop", help=text, description=text)
    command.add_argument(
        "--people", type=_people, default=1, help="how many will use it at once (default: %(default)s)"
    )
    command.add_argument("--wheelhouse", type=Path, help="a folder of wheels, to see whether it is complete")
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


def _people(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'people' must be a whole number in [1, 1000]. Got {text}.")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"'port' must be in [1, 65535]. Got {text}.")
    return int(text)
