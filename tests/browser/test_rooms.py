"""The panel under a person's hands, in JupyterLab with and without subshells, and in Voilà."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from privlab.cli import START
from privlab.experiments import tradeoff
from tests.browser import panels, rooms
from tests.browser.rooms import Seen, View

CELL = "import privlab\n\nprivlab.explore('tradeoff', seeds=8)"
TWO = ["jupyterlab", "voila"]  # rooms for what subshells do not touch
DEFAULTS = {"epsilon": 1.0, "clip_norm": 1.0, "dataset": "adult"}


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


@pytest.mark.parametrize("opened", TWO, indirect=True)
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


@pytest.mark.parametrize("opened", TWO, indirect=True)
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


SPOKEN = """async handle => {
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true}));
    await new Promise(requestAnimationFrame);
    const shown = handle.closest('.privlab-slider').querySelector('.widget-readout').textContent;
    return [handle.getAttribute('aria-valuetext'), shown];
}"""
STOP = """() => {
    const at = document.activeElement, ring = getComputedStyle(at);
    const name = at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent;
    return [name.trim(), ring.outlineStyle === 'solid' && parseFloat(ring.outlineWidth) >= 2];
}"""


def walk(page: Page, last: str) -> list[str]:
    """Names of what Tab leads to from here, up to the last; each shows that it has the focus."""
    names = []
    while not names or (names[-1] != last and len(names) < 40):
        page.keyboard.press("Tab")
        name, ringed = page.evaluate(STOP)
        assert ringed, f"{name} must show the focus"
        names.append(name)
    return names


@pytest.mark.parametrize("opened", TWO, indirect=True)
def test_keyboard_alone_works_everything(room: Room) -> None:
    view, keyboard = room.view, room.view.page.keyboard
    view.settled()
    panels.named(view)
    first, old = view.handle(0), view.readout(0)
    first.focus()
    keyboard.press("ArrowRight")
    view.wait(lambda seen: seen.settings["epsilon"] > old, "an arrow must repaint")
    view.settled()
    assert view.page.evaluate(STOP)[0] == "privacy budget ε", "the focus stays"
    assert float(first.get_attribute("aria-valuetext") or 0) == view.readout(0) > old
    assert first.get_attribute("aria-description") == tradeoff.Settings.controls()["epsilon"].hint
    spoken, shown = first.evaluate(SPOKEN)
    assert spoken == shown != f"{old:g}", "a value is spoken at once"
    view.settled()
    models = [
        box.strip()
        for box in view.panel.get_by_role("group", name="models").locator("label:visible").all_inner_texts()
        if box.strip()
    ]
    assert "DP-SGD network" in models
    assert walk(view.page, "More settings") == [
        "clipping norm C", "noise multiplier σ", "data", *models, "show score over", "More settings",
    ]  # fmt: skip
    more = view.panel.get_by_role("button", name="More settings")
    for key, opened in (("Enter", "true"), (" ", "false"), ("Enter", "true")):
        keyboard.press(key)
        assert more.get_attribute("aria-expanded") == opened
    assert walk(view.page, "settings") == [
        "sampling rate q", "steps T", "δ", "trainings", "seed", "settings",
    ]  # fmt: skip
    for _ in range(6):
        keyboard.press("Shift+Tab")
    keyboard.press("Enter")  # which folds them away again
    assert walk(view.page, "Pin") == ["settings", "Stop", "Pin"]
    keyboard.press("Enter")
    view.button("Unpin").wait_for()
    keyboard.press(" ")
    view.button("Pin").wait_for()
    for name, opened in (("Table", "Table"), ("Export", "Files")):
        walk(view.page, name)
        keyboard.press("Enter")
        view.panel.get_by_role("group", name=opened, exact=True).wait_for()
        view.panel.get_by_role("button", name=name, exact=True, expanded=True).wait_for()
    assert walk(view.page, "SVG")[-4:] == ["Files", "CSV", "PNG", "SVG"]
    view.button("Export").press("Enter")
    view.panel.locator(".privlab-details").wait_for(state="detached")


HEAR = """heard => {
    window.privlabHeard = [];
    new MutationObserver(() => privlabHeard.push(heard.textContent)).observe(heard, {childList: true});
}"""
RUSH = """handle => {
    for (let i = 0; i < 10; i++) handle.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
}"""


@pytest.mark.parametrize("opened", TWO, indirect=True)
def test_only_the_final_sentence_is_told(room: Room) -> None:
    view = room.view
    view.settled()
    panels.named(view)
    heard = view.panel.get_by_role("status")
    heard.evaluate(HEAR)
    view.handle(1).evaluate(RUSH)
    stop = view.readout(1)
    view.wait(lambda seen: close_to(seen.settings["clip_norm"], stop), "the last press must be drawn")
    after = view.settled()
    heard.get_by_text(after.sentence).wait_for(state="attached")
    assert view.page.evaluate("() => privlabHeard") == [after.sentence]


# What sticks out of a panel, and which of its words and controls lie on each other.
SQUEEZED = """panel => {
    const box = node => node.getBoundingClientRect(), edge = box(panel).right + 1;
    const aside = '.privlab-details, .privlab-panel > :nth-child(3)';  // scrolls by itself; is heard, not seen
    const shown = [...panel.querySelectorAll('*')].filter(
        node => node.offsetParent && box(node).width && !node.closest(aside));
    const out = shown.filter(node => box(node).right > edge || box(node).left < box(panel).left - 1);
    const solid = shown.filter(node => node.matches(
        'label.widget-label, .widget-readout, .slider-container, select, button, input, img, .privlab-ends span, p'));
    const clash = [];
    solid.forEach((one, i) => solid.slice(i + 1).forEach(other => {
        const [a, b] = [box(one), box(other)];
        const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (width > 2 && height > 2) clash.push([one.className, other.className]);
    }));
    return [out.map(node => node.className), clash, panel.scrollWidth - panel.clientWidth];
}"""


@pytest.mark.parametrize("opened", TWO, indirect=True)
def test_nothing_is_cut_off_at_twice_the_size_and_more(room: Room) -> None:
    """A window of 1,280 pixels has 640 at 200 % zoom, and 320 at 400 %, where JupyterLab's own bars leave no room."""
    page, in_lab = room.view.page, room.name != "voila"
    panels.named(room.view)
    if in_lab:
        page.keyboard.press("Control+b")  # away with the list of files
    try:
        for width, height in ((640, 512),) if in_lab else ((640, 512), (320, 640)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_function("width => document.body.clientWidth <= width", arg=width)
            assert room.view.panel.evaluate(SQUEEZED) == [[], [], 0]
            assert page.evaluate("() => document.documentElement.scrollWidth") == width
    finally:
        page.set_viewport_size(rooms.VIEWPORT)
        if in_lab:
            page.keyboard.press("Control+b")
