"""A shared page in a real browser, opened from disk with the network off."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

import privlab
from tests.browser import rooms


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sent") / "page.html"
    return privlab.share("statistics", path=path, positions=(5, 3))


def test_sliders_move_over_computed_results(browser: Browser, sent: Path) -> None:
    context = browser.new_context(viewport=rooms.VIEWPORT, offline=True)
    page = context.new_page()
    errors = rooms.listen(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(sent.as_uri())
    sentence, picture = page.locator("#sentence"), page.locator("#picture")
    sentence.get_by_text("With ε = ").wait_for()
    before, source = sentence.inner_text(), picture.get_attribute("src")
    first = page.locator("input[type=range]").first
    value = float(first.get_attribute("aria-valuetext") or 0)
    first.press("ArrowRight")
    after = sentence.inner_text()
    assert float(first.get_attribute("aria-valuetext") or 0) > value
    assert after.startswith(f"With ε = {first.get_attribute('aria-valuetext')}")
    assert after != before
    assert picture.get_attribute("src") != source
    assert picture.get_attribute("alt") == after
    page.wait_for_function("() => document.getElementById('picture').naturalWidth > 300")
    page.get_by_text("The numbers").click()
    assert page.locator("#table tbody tr").count() > 0
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []
    context.close()
