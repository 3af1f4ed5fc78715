"""The panel under a person's hands, in JupyterLab with and without subshells, and in Voilà."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from privlab.cli import START, start_notebook
from tests.browser import rooms
from tests.browser.rooms import Seen, View

CELL = "import privlab\n\nprivlab.explore('tradeoff', seeds=8)"
DEFAULTS = {"epsilon": 1.0, "clip_norm": 1.0, "dataset": "adult"}
NOTEBOOKS = sorted(start_notebook(Path.cwd()).parent.glob("*.ipynb"))


@contextlib.contextmanager
def page_of(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    page = browser.new_page(viewport=rooms.VIEWPORT)
    errors = rooms.listen(page)
    page.goto(address)
    yield page, errors
    page.close()


@dataclass(frozen=True)
class Room:
    name: str
    view: View
    errors: list[str]


@pytest.fixture(scope="module", params=["jupyterlab", "jupyterlab without subshells", "voila"])
def opened(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Room]:
    home = tmp_path_factory.mktemp("home")
    notebook = rooms.write_notebook(tmp_path_factory.mktemp("room") / START, CELL)
    with contextlib.ExitStack() as stack:
        if request.param == "voila":
            address = stack.enter_context(rooms.voila(notebook, home))
        else:
            settings = None if request.param == "jupyterlab" else rooms.NO_SUBSHELLS
            address = stack.enter_context(rooms.jupyterlab(notebook, home, settings))(notebook)
        page, errors = stack.enter_context(page_of(browser, address))
        if request.param != "voila":
            rooms.run_all(page)
        yield Room(request.param, View.first(page), errors)


@pytest.fixture
def room(opened: Room) -> Iterator[Room]:
    """A panel with its default settings and no complaint; and no complaint of the page after the test."""
    yield opened
    opened.view.button("Reset").click()
    opened.view.wait(lambda seen: DEFAULTS.items() <= seen.settings.items(), "a reset must repaint")
    assert opened.errors == []


def close_to(value: float, readout: float) -> bool:
    """Whether a readout of three digits can be of that value."""
    return math.isclose(value, readout, rel_tol=6e-3)


def moved(before: Seen, after: Seen) -> bool:
    return not np.array_equal(before.pixels, after.pixels)


def test_opens_with_a_picture_of_its_settings(room: Room) -> None:
    seen = room.view.see()
    assert seen.models >= 32
    assert seen.pixels.std() > 10
    assert seen.alt == seen.sentence
    assert seen.sentence.startswith(seen.readout)
    assert DEFAULTS.items() <= seen.settings.items()
    for number, name in enumerate(("epsilon", "clip_norm")):
        assert float(room.view.handle(number).get_attribute("aria-valuemax") or 0) >= 99
        assert room.view.readout(number) == seen.settings[name]


@pytest.mark.parametrize(("number", "name"), [(0, "epsilon"), (1, "clip_norm")])
def test_key_press_repaints(room: Room, number: int, name: str) -> None:
    before, old = room.view.see(), room.view.readout(number)
    room.view.handle(number).press("ArrowRight")
    after = room.view.wait(lambda seen: seen.settings[name] > old, "a press must repaint")
    assert close_to(after.settings[name], room.view.readout(number))
    assert {k: v for k, v in after.settings.items() if k != name} == {
        k: v for k, v in before.settings.items() if k != name
    }
    assert moved(before, after)
    assert after.sentence.startswith(after.readout)


def test_noise_moves_epsilon(room: Room) -> None:
    before, noise = room.view.see(), room.view.readout(2)
    room.view.handle(2).press("ArrowRight")
    after = room.view.wait(lambda seen: seen.settings["epsilon"] < 1, "more noise must mean less ε")
    assert room.view.readout(2) > noise
    room.view.follow(0, after.settings["epsilon"])
    assert f"(noise σ = {room.view.readout(2):.3g})" in after.sentence
    assert moved(before, after)


WATCH = """panel => {
    const frames = window.privlabFrames = [];
    const look = () => {
        const picture = panel.querySelector('img.privlab-picture'), sentence = panel.querySelector('.privlab-sentence');
        frames.push([picture.dataset.settings, sentence.textContent]);
        window.privlabWatch = requestAnimationFrame(look);
    };
    look();
}"""


def test_long_drag_never_shows_a_stale_picture(room: Room) -> None:
    view = room.view
    before = view.settled()
    box = view.handle(1).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    view.panel.evaluate(WATCH)
    view.page.mouse.move(x, y)
    view.page.mouse.down()
    for step in range(50):
        view.page.mouse.move(x + 1.5 * step, y)
        view.page.wait_for_timeout(50)
    view.page.mouse.up()
    stop = view.readout(1)
    after = view.wait(lambda seen: close_to(seen.settings["clip_norm"], stop), "the drag must be followed to its end")
    frames: list[tuple[str, str]] = view.page.evaluate("() => (cancelAnimationFrame(privlabWatch), privlabFrames)")
    assert stop > 2
    assert moved(before, after)
    pictures = list(dict.fromkeys(settings for settings, _ in frames))
    assert len(pictures) >= 3
    for settings, sentence in frames:
        assert sentence.startswith(Seen(json.loads(settings), 0, "", "", "").readout)


def test_bad_code_is_told_and_the_picture_kept(room: Room) -> None:
    view = room.view
    before = view.settled()
    box = view.panel.locator("input[type=text]").first
    box.fill("epsilon=1000")
    box.press("Enter")
    view.panel.locator(".privlab-problem").wait_for()
    assert view.problem() == "'epsilon' must be a number in [0.01, 100]. Got 1000."
    assert view.see() == before
    box.fill("epsilon=0.2&clip_norm=3")
    box.press("Enter")
    after = view.wait(lambda seen: seen.settings["epsilon"] == 0.2, "a good code must be followed")
    assert after.settings["clip_norm"] == 3
    assert (view.readout(0), view.readout(1)) == (0.2, 3)
    assert view.problem() == ""


def test_another_data_set_repaints(room: Room) -> None:
    before = room.view.see()
    room.view.panel.locator("select").first.select_option("Breast cancer")
    after = room.view.wait(lambda seen: seen.settings["dataset"] == "breast_cancer", "another data set must be drawn")
    assert moved(before, after)
    assert "on Breast cancer" in after.sentence


def test_pin_compares(room: Room) -> None:
    view = room.view
    view.settled()
    view.button("Pin").click()
    view.button("Unpin").wait_for()
    view.handle(0).press("Home")
    note = view.panel.locator(".privlab-note")
    note.filter(has_text="the two can be told apart (-").wait_for(timeout=1000 * rooms.PATIENCE)
    assert note.inner_text().startswith("Now against pinned (")
    view.button("Unpin").click()
    note.wait_for(state="detached")


def first_control_repaints(view: View) -> None:
    """A press on the first control of the first panel redraws it."""
    before = view.see()
    view.handle(0).press("ArrowLeft")
    after = view.wait(lambda seen: seen.settings != before.settings and moved(before, seen), "a press must repaint")
    (name,) = (key for key, value in after.settings.items() if value != before.settings[key])
    value = after.settings[name]
    assert value < before.settings[name]
    assert close_to(value, view.readout(0))
    assert f"= {value:.3g}" in after.sentence or f"= {value:,.0f}" in after.sentence


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """JupyterLab on a copy of the notebooks."""
    folder = Path(shutil.copytree(NOTEBOOKS[0].parent, tmp_path_factory.mktemp("school") / "notebooks"))
    for path in folder.glob("*.ipynb"):  # up to the first panel: whole notebooks are run elsewhere, without a browser
        notebook = json.loads(path.read_text("utf-8"))
        first = next(
            i
            for i, cell in enumerate(notebook["cells"])
            if "explore(" in "".join(cell["source"]) and cell["cell_type"] == "code"
        )
        path.write_text(json.dumps(notebook | {"cells": notebook["cells"][: first + 1]}), "utf-8")
    with rooms.jupyterlab(folder / START, tmp_path_factory.mktemp("home")) as address:
        yield lambda name: address(folder / name)


@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_notebook_runs_in_jupyterlab(browser: Browser, school: Any, name: str) -> None:
    with page_of(browser, school(name)) as (page, errors):
        rooms.run_all(page)
        first_control_repaints(View.first(page))
        assert errors == []
    rooms.stop_kernels(school(name))
