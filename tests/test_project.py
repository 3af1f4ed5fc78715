"""The set-up files agree with each other, and the tree keeps the project's own rules."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEFAULT = [Requirement(line) for line in PROJECT["dependencies"]]
TEST = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"]]
MODULES = sorted((ROOT / "privlab").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SYSTEMS = [("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt")]


def tracked() -> list[Path]:
    """Every file that is or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text."""
    for path in tracked():
        try:
            yield path, path.read_text("utf-8")
        except UnicodeDecodeError:
            assert path.suffix in {".gz", ".png"}, f"{path.name} is neither text nor known as data"


def conda() -> tuple[dict[str, SpecifierSet], list[str]]:
    """The packages environment.yml asks conda and pip for, and pip's other lines."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    names = [entry for entry in listed if isinstance(entry, str)]
    requirements = [Requirement(line) for line in names + pip if not line.startswith("-")]
    others = [line for line in pip if line.startswith("-")]
    return {canonicalize_name(r.name): r.specifier for r in requirements}, others


def pins() -> list[Requirement]:
    """The lock's lines."""
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.strip().startswith("#")]


def imports(path: Path) -> set[str]:
    """The dotted names of everything that a module imports, lazily or not."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_environment_asks_for_what_pyproject_asks_for() -> None:
    packages, others = conda()
    python = packages.pop("python")
    assert packages.pop("pip") == SpecifierSet()
    assert packages == {canonicalize_name(r.name): r.specifier for r in DEFAULT}
    assert others == ["-e ."]
    needed = SpecifierSet(PROJECT["requires-python"])
    for minor in range(8, 20):
        if f"3.{minor}" in python:
            assert f"3.{minor}" in needed
    assert "3.11" in python
    assert "3.13" in python


@pytest.mark.parametrize("python", ["3.11.7", "3.12.4", "3.13.1"])
@pytest.mark.parametrize(("platform", "system", "os_name"), SYSTEMS)
def test_lock_pins_every_dependency_once_and_within_its_range(
    python: str, platform: str, system: str, os_name: str
) -> None:
    machine = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": platform,
        "platform_system": system,
        "os_name": os_name,
    }
    pinned: dict[str, str] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(machine):
            name = canonicalize_name(pin.name)
            assert name not in pinned, f"{name} is pinned twice on {platform}, Python {python}"
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            pinned[name] = specifier.version
    for requirement in DEFAULT + TEST:
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_diffprivlib_holds_back_scikit_learn_and_scipy() -> None:
    ranges = {requirement.name: requirement.specifier for requirement in DEFAULT}
    assert "1.8.0" not in ranges["scikit-learn"]
    assert "1.18.0" not in ranges["scipy"]


def test_default_install_has_no_torch() -> None:
    assert "torch" not in {canonicalize_name(pin.name) for pin in pins()}


def test_no_tracked_file_names_a_registry_or_a_place_on_a_machine() -> None:
    registry = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.]|debian[.]org|anaconda[.]org|pytorch[.]org/whl")
    place = re.compile(r"(?<![\w.])/(?:home|root|work|opt|tmp|Users|mnt|var)/|[A-Z]:\\Users")
    for path, text in texts():
        for pattern in (registry, place):
            found = pattern.search(text)
            assert not found, f"{path.relative_to(ROOT)} names {found and found.group()}"


def test_there_are_notebooks() -> None:
    assert (ROOT / "notebooks" / "00_start_here.ipynb") in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stripped_and_its_cells_short(path: Path) -> None:
    notebook: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    assert notebook["metadata"].get("language_info", {}).keys() <= {"name"}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
            assert len(lines) <= 10, f"cell {cell['id']} has {len(lines)} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_and_keeps_to_its_room(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    assert lines <= 400
    names = imports(path)
    assert not {name for name in names if re.match(r"(matplotlib\.pyplot|pylab)\b", name)}
    if (ROOT / "privlab" / "panel") not in path.parents:
        assert not {name for name in names if name.split(".")[0] == "ipywidgets"}


@pytest.mark.parametrize(
    "words",
    [
        "make lab",
        "make demo",
        "make test",
        "make bench",
        "make wheelhouse",
        "python -m privlab lab",
        "conda env create -f environment.yml",
        "pip install -c requirements.lock -e .",
        "--no-index --find-links wheelhouse",
    ],
)
def test_readme_names_the_command(words: str) -> None:
    assert words in (ROOT / "README.md").read_text("utf-8")


def test_readme_tells_of_every_notebook_and_experiment() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for notebook in NOTEBOOKS:
        assert f"| `{notebook.name}` | " in text
    for experiment in sorted((ROOT / "privlab" / "experiments").glob("[a-z]*.py")):
        assert f"| `{experiment.stem}` | " in text


def test_contributing_has_a_line_for_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for module in sorted((ROOT / "privlab").glob("[a-z]*.py")):
        assert re.search(rf"\b{re.escape(module.name)}\b", text), module.name


def test_readme_says_what_every_dependency_saves() -> None:
    table = (ROOT / "README.md").read_text("utf-8").partition("| Dependency |")[2].partition("\n\n")[0]
    for name in {r.name for group in (DEFAULT, TEST) for r in group}:
        assert name in table, name
