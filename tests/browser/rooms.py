"""Where panels are seen: JupyterLab and Voilà servers of our own, and a page's view of a panel."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import ConsoleMessage, Locator, Page

from privlab import cli

PATIENCE = 30  # seconds for what takes one or two on a quiet machine
VIEWPORT = {"width": 1500, "height": 1150}
NO_SUBSHELLS = {"@jupyterlab/apputils-extension/kernels-settings": {"commsOverSubshells": "disabled"}}
HARMLESS = (
    # Voilà's page asks a CDN for icons, which no panel uses and an offline room does without.
    r"Failed to load resource: \S+ .*fontawesome",
    # The pages' own icon, which a server without a theme does not have.
    r"favicon",
    # JupyterLab asks for files that are made later: a workspace, a checkpoint, a page's settings.
    r"Failed to load resource: the server responded with a status of 404",
)


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [code | {"id": f"cell-{i}", "source": source} for i, source in enumerate(cells)],
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((cli.LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _serve(module: str, arguments: list[str], home: Path, address: str) -> Iterator[re.Match[str]]:
    """A server with settings of its own, once it has printed its address."""
    folders = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "IPYTHONDIR",
        "JUPYTERLAB_WORKSPACES_DIR",
    )
    place = {name: str(home / name.lower()) for name in folders}
    place["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    log = home / "server.log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=output, stderr=output, env=os.environ | place
        )
    try:
        end = time.monotonic() + 2 * PATIENCE
        while not (found := re.search(address, log.read_text(encoding="utf-8"))):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{module} did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.1)
        yield found
    finally:
        server.terminate()
        server.wait(PATIENCE)


@contextlib.contextmanager
def jupyterlab(
    notebook: Path, home: Path, settings: dict[str, Any] | None = None, *, exposed: bool = False
) -> Iterator[Callable[[Path], str]]:
    """JupyterLab as `privlab lab` starts it; gives the address of a notebook in the same folder.

    When `exposed`, its pages have ``window.jupyterapp``, which takes commands.
    """
    for name, values in (settings or {}).items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    arguments = [*cli.lab_arguments(notebook, port=_free_port()), "--no-browser"]
    if exposed:
        arguments.append("--LabApp.expose_app_in_browser=True")
    pattern = rf"(http://{re.escape(cli.LOOPBACK)}:\d+)/lab\S*\?token=(\w+)"
    with _serve("jupyterlab", arguments, home, pattern) as found:
        server, token = found.groups()
        yield lambda path: f"{server}/lab/tree/{path.name}?token={token}&reset"


@contextlib.contextmanager
def voila(notebook: Path, home: Path) -> Iterator[str]:
    """The page of a notebook as `privlab demo` serves it."""
    pattern = rf"http://{re.escape(cli.LOOPBACK)}:\d+/\?token=\w+"
    with _serve("voila", cli.demo_arguments(notebook, port=_free_port()), home, pattern) as found:
        yield found[0]


def listen(page: Page) -> list[str]:
    """Errors that the page reports from now on, without the harmless ones."""
    errors: list[str] = []

    def heard(words: str) -> None:
        if not any(re.search(known, words) for known in HARMLESS):
            errors.append(words)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            heard(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", on_console)
    page.on("pageerror", lambda error: heard(str(error)))
    return errors


def run_all(page: Page) -> None:
    """Run the notebook that JupyterLab shows, once its kernel listens."""
    page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for(timeout=1000 * PATIENCE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


@dataclass(frozen=True)
class Seen:
    """What a page shows of a panel at one moment."""

    settings: dict[str, Any]
    models: int
    source: str
    alt: str
    sentence: str

    @property
    def readout(self) -> str:
        """Both readouts, as the sentence must have them."""
        return f"With ε = {self.settings['epsilon']:.3g} and clipping norm C = {self.settings['clip_norm']:.3g} "

    @property
    def pixels(self) -> np.ndarray[Any, Any]:
        raw = base64.b64decode(self.source.removeprefix("data:image/png;base64,"), validate=True)
        return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))


SEEN = """panel => {
    const picture = panel.querySelector('img.privlab-picture');
    const sentence = panel.querySelector('.privlab-sentence');
    const {settings, models} = picture.dataset;
    const decoded = picture.complete && picture.naturalWidth > 0;
    return [settings, models, picture.src, picture.alt, sentence.textContent, decoded];
}"""

SHARP = """panel => {
    const picture = panel.querySelector('img.privlab-picture');
    return picture.naturalWidth === 2 * picture.getAttribute('width');
}"""


@dataclass(frozen=True)
class View:
    """A panel in a page."""

    page: Page
    panel: Locator

    @classmethod
    def first(cls, page: Page) -> View:
        panel = page.locator(".privlab-panel").first
        panel.locator("img.privlab-picture").wait_for(timeout=2000 * PATIENCE)
        return cls(page, panel)

    def see(self) -> Seen:
        settings, models, source, alt, sentence, decoded = self.panel.evaluate(SEEN)
        assert decoded, "the picture must be one that the browser can show"
        return Seen(json.loads(settings), int(models), source, alt, sentence)

    def wait(self, done: Callable[[Seen], bool], what: str) -> Seen:
        end = time.monotonic() + PATIENCE
        while not done(seen := self.see()):
            assert time.monotonic() < end, f"{what}; seen: {seen.settings}, {seen.sentence}"
            self.page.wait_for_timeout(20)
        return seen

    def settled(self) -> Seen:
        """Wait for the final picture, which has two pixels for one."""
        end = time.monotonic() + 2 * PATIENCE
        while not self.panel.evaluate(SHARP):
            assert time.monotonic() < end, "training must end"
            self.page.wait_for_timeout(50)
        return self.see()

    def handle(self, number: int) -> Locator:
        """The grip of a slider, counted from 0 in the panel's order."""
        return self.panel.locator(".privlab-slider .noUi-handle").nth(number)

    def readout(self, number: int) -> float:
        return float(self.panel.locator(".privlab-slider .widget-readout").nth(number).inner_text().replace(",", ""))

    def follow(self, number: int, value: float) -> None:
        """Wait until a slider that nobody touched reads a value, to three digits."""
        end = time.monotonic() + PATIENCE
        while not math.isclose(value, seen := self.readout(number), rel_tol=6e-3):
            assert time.monotonic() < end, f"slider {number} must read {value:.3g}; seen: {seen}"
            self.page.wait_for_timeout(20)

    def button(self, name: str) -> Locator:
        return self.panel.get_by_role("button", name=name, exact=True)

    def problem(self) -> str:
        shown = self.panel.locator(".privlab-problem")
        return shown.inner_text() if shown.count() else ""
