"""From a key press to 200 fresh OpenDP releases on the screen, beside a label that only repeats its slider."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from privlab.experiments.statistics import Settings
from tests.benchmarks import table
from tests.benchmarks.bench_panel import FLOOR, LABEL_READY, PICTURE_READY, Hand
from tests.browser import rooms
from tests.browser.conftest import FLAGS, chromium

PRESSES, RELEASES = 64, 200
PANEL = "import privlab\nprivlab.explore('statistics', upper=10)"


def measure() -> list[table.Row]:
    """Milliseconds, and ratios to the label in the same session."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        notebook = rooms.write_notebook(Path(folder) / "bench.ipynb", FLOOR, PANEL)
        with rooms.jupyterlab(notebook, Path(folder)) as address:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport=rooms.VIEWPORT | {"height": 1500})
            page.goto(address(notebook))
            rooms.run_all(page)
            rows = _measure(page)
            browser.close()
    return rows


def _measure(page: Page) -> list[table.Row]:
    view = rooms.View.first(page)
    controls, grip = Settings.controls(), ".privlab-slider .noUi-handle"
    floor = Hand(page, ".floor .noUi-handle", 0, list(range(121)), 60)
    hands = {
        "epsilon": Hand(page, grip, 0, list(controls["epsilon"].positions()), 0.1),
        "upper": Hand(page, grip, 1, list(controls["upper"].positions()), 10.0),
    }
    label: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in hands}
    for _ in range(PRESSES):
        for name, hand in hands.items():
            view.settled()
            page.wait_for_timeout(150)
            label.append(floor.press(LABEL_READY))
            taken[name].append(hand.press(PICTURE_READY, name, RELEASES))
    rows = [table.only_told(f"label-only floor, {len(label)} presses: median", median(label), "ms")]
    for name, times in taken.items():
        what = f"{controls[name].label}: ≥ {RELEASES} fresh releases painted, {len(times)} presses: median"
        rows.append(table.only_told(what, median(times), "ms"))
        rows.append(table.at_most("… against the floor's median", median(times) / median(label), "×", 1.6))
    return rows
