"""The demo as a stakeholder sees it: on a projector and on a phone, by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from privlab import cli
from privlab.scenes import SCENES
from tests.browser import rooms

FITS = """() => {
    const story = document.querySelector('.privlab-story'), shown = [...story.querySelectorAll('*')].filter(
        one => one.offsetParent && one.tagName !== 'OPTION').map(one => one.getBoundingClientRect());
    const picture = story.querySelector('img.privlab-poster');
    return {sideways: document.documentElement.scrollWidth - innerWidth,
            right: Math.max(...shown.map(box => box.right)), bottom: Math.max(...shown.map(box => box.bottom)),
            scale: picture.getBoundingClientRect().width / (picture.naturalWidth / 2),
            drawn: picture.naturalWidth / 2, code: document.querySelectorAll('.cm-editor, .jp-InputArea').length};
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page that `privlab demo` serves."""
    folder: Path = tmp_path_factory.mktemp("story")
    with rooms.voila(cli.write_story(folder), folder) as address:
        shown = browser.new_page(viewport={"width": 1280, "height": 720})
        errors = rooms.listen(shown)
        shown.goto(address)
        yield shown
        assert errors == []
        shown.close()


def settled(page: Page, scene: int, preset: int) -> None:
    shown = f"img.privlab-poster[data-scene='{scene}'][data-preset='{preset}'][data-final='True']"
    page.locator(shown).wait_for(timeout=2000 * rooms.PATIENCE)
    page.wait_for_function("() => document.querySelector('img.privlab-poster').complete")


def test_every_scene_fits_a_projector_and_is_reached_by_keyboard(page: Page) -> None:
    for number, scene in enumerate(SCENES):
        settled(page, number, scene.start)
        assert page.locator("h1").inner_text() == scene.question
        fit = page.evaluate(FITS)
        assert fit["sideways"] <= 0
        assert fit["right"] <= 1280
        assert fit["bottom"] <= 720
        assert (fit["scale"], fit["drawn"], fit["code"]) == (1, 800, 0)
        if number + 1 < len(SCENES):
            page.get_by_role("button", name="Next").focus() if number == 0 else None
            page.keyboard.press("Enter")
    page.locator("select").focus()
    page.keyboard.press("Home")
    settled(page, 0, 2)
    page.keyboard.press("Shift+Tab")  # Back sleeps on the first scene: this is the last preset
    assert page.evaluate("() => document.activeElement.textContent") == "ε = 0.1"
    page.keyboard.press("Space")
    settled(page, 0, 3)
    words = page.locator(".privlab-words").inner_text()
    without, within = map(int, re.findall(r"(\d+) times in 100 with", words))
    assert 0 < within - without < 10


def test_a_phone_gets_pictures_of_its_own(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for number in (2, 5, 6):
        page.locator("select").select_option(index=number)
        settled(page, number, SCENES[number].start)
        fit = page.evaluate(FITS)
        assert fit["sideways"] <= 0
        assert fit["right"] <= 390
        assert fit["drawn"] == 350
        assert fit["scale"] == 1  # so type of 12 points is more than 16 CSS pixels high
