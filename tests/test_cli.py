"""``python -m privlab``: what it starts, whom it answers, and what it says to a wrong word."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privlab import cli
from tests.browser.conftest import chromium

NOTEBOOK = Path("somewhere") / cli.START


@pytest.mark.parametrize("root", [True, False])
def test_lab_listens_on_loopback_and_allows_root_only_to_root(monkeypatch: pytest.MonkeyPatch, root: bool) -> None:
    monkeypatch.setattr(cli, "is_root", lambda: root)
    arguments = cli.lab_arguments(NOTEBOOK)
    assert "--ServerApp.ip=127.0.0.1" in arguments
    assert "--ServerApp.root_dir=somewhere" in arguments
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in arguments
    assert ("--allow-root" in arguments) is root
    assert not [argument for argument in arguments if "token" in argument.lower()]


@pytest.mark.parametrize(
    ("platform", "display", "opens"),
    [("linux", "", False), ("linux", ":0", True), ("win32", "", True), ("darwin", "", True)],
)
def test_lab_opens_a_browser_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch, platform: str, display: str, opens: bool
) -> None:
    monkeypatch.setattr(cli.sys, "platform", platform)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert ("--no-browser" not in cli.lab_arguments(NOTEBOOK)) is opens


def test_demo_listens_on_loopback_with_a_token_of_its_own() -> None:
    arguments = cli.demo_arguments(NOTEBOOK, port=9000)
    assert arguments[0] == str(NOTEBOOK)
    assert {"--Voila.ip=127.0.0.1", "--Voila.auto_token=True", "--Voila.port=9000"} <= set(arguments)


@pytest.mark.parametrize(("words", "cell"), [(["demo"], "privlab.story()"), (["demo", "02"], "privlab.explore(")])
def test_demo_shows_the_story_or_a_notebook_from_a_copy(
    monkeypatch: pytest.MonkeyPatch, words: list[str], cell: str
) -> None:
    pages = []
    monkeypatch.setattr("voila.app.Voila.launch_instance", lambda argv: pages.append((argv, Path(argv[0]).read_text())))
    assert cli.main(words) == 0
    ((arguments, page),) = pages
    assert cell in page
    assert Path(arguments[0]).parent != cli.start_notebook(Path.cwd()).parent
    assert not Path(arguments[0]).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "arguments are required: lab|demo|workshop|federated|test"),
        (["explore"], "invalid choice: 'explore'"),
        (["lab", "--port", "0"], "'port' must be in [1, 65535]. Got 0."),
        (["demo", "--port", "http"], "'port' must be in [1, 65535]. Got http."),
        (["lab", "--colour"], "unrecognized arguments: --colour"),
        (["demo", "99"], "'notebook' must be the beginning of one name among 00_start_here, 01_what"),
        (["demo", "0"], "15_privacy_by_design, 16_your_own_data. Got '0'."),
        (["workshop", "--people", "0"], "'people' must be a whole number in [1, 1000]. Got 0."),
    ],
)
def test_a_wrong_word_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_installed_copy_says_that_it_has_no_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "PACKAGE", tmp_path / "privlab")
    with pytest.raises(SystemExit):
        cli.main(["test"])
    assert "'test' needs a checkout of privlab." in capsys.readouterr().err


def test_an_installed_copy_hands_out_its_notebooks_and_keeps_those_at_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = tmp_path / "site" / "privlab" / "notebooks"
    shipped.mkdir(parents=True)
    (shipped / cli.START).write_text("shipped")
    (shipped / "01_next.ipynb").write_text("shipped")
    at_work = tmp_path / "privlab-notebooks"
    at_work.mkdir()
    (at_work / "01_next.ipynb").write_text("mine")
    monkeypatch.setattr(cli, "PACKAGE", shipped.parent)
    start = cli.start_notebook(tmp_path)
    assert start == at_work / cli.START
    assert start.read_text() == "shipped"
    assert (at_work / "01_next.ipynb").read_text() == "mine"


PYTEST = "pytest -n 2 --dist loadfile --no-loadscope-reorder"


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest", None])
def test_test_runs_all_checks_and_stops_at_the_first_that_fails(
    monkeypatch: pytest.MonkeyPatch, failing: str | None
) -> None:
    ran = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(" ".join(command[2:]))
        return subprocess.CompletedProcess(command, 3 if command[2] == failing else 0)

    monkeypatch.setattr(cli.subprocess, "run", run)
    everything = ["ruff check", "ruff format --check", "mypy", f"{PYTEST} -k accounting"]
    until = {"ruff": 1, "mypy": 3, "pytest": 4, None: 4}[failing]
    assert cli.main(["test", "-k", "accounting"]) == (3 if failing else 0)
    assert ran == everything[:until]


def test_a_missing_browser_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    with pytest.raises(FileNotFoundError, match=r"no-such-browser.*apt-get install chromium"):
        chromium()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], tuple[int, str]]]:
    """Start a command on a free port and give its port and its token, the last thing it prints."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: str) -> tuple[int, str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {key: os.environ[key] for key in os.environ if key != "JUPYTER_TOKEN"}
        for folder in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            environment[folder] = str(tmp_path / folder)
        environment |= {"IPYTHONDIR": str(tmp_path / "ipython"), "DISPLAY": ""}
        log = tmp_path / f"{command}.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "privlab", command, "--port", str(port)],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        running.append(server)
        address = re.compile(rf"http://127\.0\.0\.1:{port}/\S*\?token=(\w+)\s*$", re.MULTILINE)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            if found := address.search(log.read_text("utf-8")):
                return port, found.group(1)
            time.sleep(0.1)
        raise AssertionError(f"{command} closed with no address and token:\n{log.read_text()}")

    yield start
    for server in running:
        server.terminate()
        assert server.wait(30) in (0, -15)


def fetch(port: int, path: str) -> tuple[int, str, str]:
    """Status, redirect and text of one request that carries no cookie."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.getheader("Location", ""), text


@pytest.mark.parametrize(("command", "path"), [("lab", "/lab/tree/00_start_here.ipynb"), ("demo", "/")])
def test_server_answers_only_this_machine_and_only_with_its_token(
    serve: Callable[[str], tuple[int, str]], command: str, path: str
) -> None:
    port, token = serve(command)
    assert len(token) >= 32
    for wrong in ("", "?token=", "?token=" + "0" * len(token)):
        status, location, text = fetch(port, path + wrong)
        assert status == 302
        assert location.startswith("/login")
        assert token not in text
    status, _, text = fetch(port, f"{path}?token={token}")
    assert status == 200
    assert "jupyter-config-data" in text
    with socket.socket() as elsewhere:
        elsewhere.settimeout(5)
        assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
