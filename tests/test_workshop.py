"""Each check of a room's machine can fail, and says what to do."""

from __future__ import annotations

import socket
import subprocess
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from privlab import cli, workshop
from privlab.workshop import Check

LOCK = Path(cli.PACKAGE).parent / "requirements.lock"


def test_other_pythons_are_refused() -> None:
    assert [workshop.python(version).ok for version in ((3, 10), (3, 11), (3, 13), (3, 14))] == [
        False,
        True,
        True,
        False,
    ]
    assert workshop.python((3, 10)).remedy == "Install Python 3.11 to 3.13."


def test_packages_are_held_against_ranges_and_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert workshop.packages(LOCK).ok
    assert "no lock" in workshop.packages(tmp_path / "none").found
    other = tmp_path / "requirements.lock"
    other.write_text("# a comment\nnumpy==0.1\nwin-only==1 ; sys_platform == 'nowhere'\n")
    found = workshop.packages(other)
    assert not found.ok
    assert found.found == f"numpy is {metadata.version('numpy')}, the lock says ==0.1"
    assert found.remedy.endswith("python -m pip install -c requirements.lock -e .")
    real = metadata.version

    def version(name: str) -> str:
        if name == "voila":
            raise metadata.PackageNotFoundError
        return "9.9" if name == "scikit-learn" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "scikit-learn is 9.9, not <1.8,>=1.6; voila is missing" in workshop.packages(tmp_path / "none").found


def test_extras_are_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = workshop.importlib.util.find_spec
    monkeypatch.setattr(workshop.importlib.util, "find_spec", lambda name: None if name == "phe" else real(name))
    found = workshop.extras()
    assert found.ok
    assert found.found == "encrypted: left out, federated: there"
    assert found.remedy.endswith('-c requirements.lock -e ".[encrypted]"')


def test_notebooks_must_be_there_and_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not workshop.copies(tmp_path).ok
    (tmp_path / "00_start.ipynb").write_text("{}")
    assert workshop.copies(tmp_path) == Check("notebooks", True, "1, writable")
    monkeypatch.setattr(workshop.os, "access", lambda *_: False)
    found = workshop.copies(tmp_path)
    assert not found.ok
    assert "Copy the folder" in found.remedy
    monkeypatch.undo()
    monkeypatch.setattr(workshop.tempfile, "TemporaryFile", lambda **_: (_ for _ in ()).throw(OSError("full")))
    assert not workshop.copies(tmp_path).ok


def test_memory_and_cores_are_held_against_people(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 10 * workshop.KERNEL_MB + workshop.SERVER_MB + workshop.SPARE_MB
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=needed * 2**20))
    assert workshop.memory(10).ok
    short = workshop.memory(11)
    assert not short.ok
    assert "machines of at most 10 each" in short.remedy
    monkeypatch.setattr(workshop.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    most = 2 * workshop.PEOPLE_PER_CORE
    assert workshop.cores(most).ok
    assert "over 2 such machines" in workshop.cores(most + 1).remedy


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
        assert not workshop.port(range(number, number + 1)).ok
        assert f"none free from {number}" in workshop.port(range(number, number + 1)).found
    assert workshop.port(range(number, number + 1)).ok


def test_a_kernel_that_fails_or_lags_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (broken,) = workshop.first_panel("import no_such_module")
    assert not broken.ok
    assert broken.found == "ModuleNotFoundError: No module named 'no_such_module'"
    monkeypatch.setattr(workshop, "_in_a_kernel", lambda _: (1.0, "noise 0.7 1.5\n"))
    start, first, speed = workshop.first_panel()
    assert start.ok
    assert first.ok
    assert speed == Check("speed", False, "512 models trained in 1.5 s (made for 1)", speed.remedy)
    assert speed.remedy


def test_wheels_are_tried_by_pip(tmp_path: Path) -> None:
    assert workshop.wheels(tmp_path).found == f"no wheels in {tmp_path}"
    (tmp_path / "privlab-0.1.0-py3-none-any.whl").write_text("")
    asked = []

    def ask(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, int(len(asked) > 1), "", "warning\nERROR: No numpy\n")

    assert workshop.wheels(tmp_path, ask).found == "complete, 1 wheels"
    short = workshop.wheels(tmp_path, ask)
    assert not short.ok
    assert short.found == "ERROR: No numpy"
    assert {"--dry-run", "--no-index", str(tmp_path), "privlab"} <= set(asked[0])
    assert not workshop.wheels(tmp_path).ok  # pip itself, on a wheel that is none


@pytest.mark.parametrize(("speed", "code"), [(0.5, 0), (1.5, 1)])
def test_the_table_tells_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], speed: float, code: int
) -> None:
    monkeypatch.setattr(workshop, "_in_a_kernel", lambda _: (1.0, f"0.7 {speed}"))
    assert cli.main(["workshop", "--people", "1"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Is this machine ready for 1?"
    assert "ok       kernel       starts in 1 s (made for 5)" in lines
    assert [line.startswith("not yet  speed") for line in lines].count(True) == code
    assert [line.strip().startswith("→ Close other programs") for line in lines].count(True) == code
    assert lines[-1].startswith("Not yet ready" if code else "Ready.")
