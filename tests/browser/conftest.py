"""A real browser for the tests in this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """The browser to drive: what ``CHROMIUM`` names, else the first found on the path."""
    wanted = os.environ.get("CHROMIUM")
    names = [wanted] if wanted else ["chromium", "chromium-browser", "google-chrome"]
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError(
        f"The browser tests need Chromium, and none of {', '.join(names)} was found. Install it "
        "(Debian, Ubuntu: apt-get install chromium) or name its binary: CHROMIUM=PATH make test."
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for a file's tests; without one they fail and say what to do.

    Not for the session: Playwright keeps an event loop running, which other tests would take for a notebook's.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(autouse=True)
def place_for_screenshots(tmp_path: Path) -> Path:
    """Every test has a folder, so that its failure can be looked at."""
    return tmp_path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a picture of each page that is open when a test fails."""
    report = yield
    given = getattr(item, "funcargs", {})
    if report.failed and "browser" in given and "place_for_screenshots" in given:
        for i, page in enumerate(page for context in given["browser"].contexts for page in context.pages):
            path = given["place_for_screenshots"] / f"{report.when}-{i}.png"
            page.screenshot(path=path)
            report.sections.append(("screenshot", str(path)))
    return report
