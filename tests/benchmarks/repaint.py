"""From a key press on a panel's slider to the picture of that very setting, beside a label that repeats its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

from privlab import experiments
from tests.benchmarks import table
from tests.benchmarks.bench_panel import FLOOR, LABEL_READY, PICTURE_READY, REST, Hand
from tests.browser import rooms
from tests.browser.conftest import FLAGS, chromium

PRESSES = 64
WARM_UP = 4000  # milliseconds: idle work of the first minute, such as dp-accounting's import


def measure(
    panel: str, experiment: str, sliders: dict[str, tuple[int, float]], count: int, what: str
) -> list[table.Row]:
    """Medians of each slider, and their ratios to the label in the same session.

    Parameters
    ----------
    panel : str
        The code of its cell.
    experiment : str
    sliders : dict
        Setting -> its slider's number in the panel, and where it stands.
    count : int
        What the picture must hold at least.
    what : str
        The same in words.
    """
    controls = experiments.read(experiment, {})[0].Settings.controls()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        notebook = rooms.write_notebook(Path(folder) / "bench.ipynb", FLOOR, panel)
        with rooms.jupyterlab(notebook, Path(folder)) as address:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport=rooms.VIEWPORT | {"height": 1500})
            page.goto(address(notebook))
            rooms.run_all(page)
            view = rooms.View.first(page)
            floor = Hand(page, ".floor .noUi-handle", 0, list(range(121)), 60)
            hands = {
                name: Hand(page, ".privlab-slider .noUi-handle", number, list(controls[name].positions()), start)
                for name, (number, start) in sliders.items()
            }
            label: list[float] = []
            taken: dict[str, list[float]] = {name: [] for name in hands}
            view.settled()
            page.wait_for_timeout(WARM_UP)
            for _ in range(PRESSES):
                for name, hand in hands.items():
                    view.settled()
                    page.wait_for_timeout(REST)
                    label.append(floor.press(LABEL_READY))
                    page.wait_for_timeout(REST)  # what a press leaves to do is not the next one's
                    taken[name].append(hand.press(PICTURE_READY, name, count))
            browser.close()
    rows = [table.only_told(f"label-only floor, {len(label)} presses: median", median(label), "ms")]
    for name, times in taken.items():
        told = f"{controls[name].label}: {what} painted, {len(times)} presses: median"
        rows.append(table.only_told(told, median(times), "ms"))
        rows.append(table.at_most("… against the floor's median", median(times) / median(label), "×", 1.6))
    return rows
