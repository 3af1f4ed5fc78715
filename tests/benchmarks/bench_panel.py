"""From a key press to painted pixels, in JupyterLab, beside a label that only repeats its slider."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

from privlab.experiments.tradeoff import Settings
from tests.benchmarks import table
from tests.browser import rooms
from tests.browser.conftest import FLAGS, chromium

PRESSES, FEW, TURN = 64, 12, 8
REST = 150  # milliseconds before each press, for what the last one has left to do
ENOUGH, MANY = 32, 512  # models in the curve

FLOOR = """
import ipywidgets
slider = ipywidgets.SelectionSlider(options=[(str(i), i) for i in range(121)], value=60)
label = ipywidgets.HTML("<p class='floor-label'>60</p>")
slider.observe(lambda change: setattr(label, "value", f"<p class='floor-label'>{change['new']}</p>"), "value")
floor = ipywidgets.VBox([slider, label])
floor.add_class("floor")
floor
"""
PANEL = "import privlab\nprivlab.explore('tradeoff')"
INTERACT = """
import matplotlib.pyplot as plt
from privlab.experiments.tradeoff import Settings
places = Settings.controls()["clip_norm"].positions()
def draw(clip_norm):
    result = privlab.run("tradeoff", clip_norm=clip_norm, seeds=2)
    figure, ax = plt.subplots(figsize=(7.8, 4.9))
    for curve in result.curves:
        ax.semilogx(result.x, curve.scores.mean(axis=0))
        ax.semilogx(result.x, curve.scores.T, "o")
    ax.set_ylim(0.7, 0.9)
    print(f"C = {clip_norm}")
    plt.show()
box = ipywidgets.interactive(draw, clip_norm=ipywidgets.SelectionSlider(options=places, value=1.0))
box.add_class("interact")
box
"""

# Presses a key on a slider and resolves with the milliseconds until `ready` holds in a painted frame.
PRESS = """([grip, number, key, ready, wanted]) => new Promise((resolve, reject) => {
    const handle = document.querySelectorAll(grip)[number], done = eval(ready);
    handle.focus();
    let start = null, found = false;
    const look = async () => {
        if (start === null || found || !done(wanted)) return;
        found = true;
        watch.disconnect();
        for (const image of document.querySelectorAll('img.privlab-picture, .interact img')) await image.decode();
        requestAnimationFrame(() => {
            const painted = new MessageChannel();
            painted.port1.onmessage = () => resolve(performance.now() - start);
            painted.port2.postMessage(0);
        });
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
    handle.addEventListener('keydown', () => { start = performance.now(); }, {once: true, capture: true});
    handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
    setTimeout(() => reject(new Error(`nothing painted for ${JSON.stringify(wanted)}`)), 20000);
})"""
LABEL_READY = "wanted => document.querySelector('.floor-label').textContent === String(wanted)"
PICTURE_READY = """([name, value, models]) => {
    const picture = document.querySelector('img.privlab-picture');
    return JSON.parse(picture.dataset.settings)[name] === value && Number(picture.dataset.models) >= models;
}"""
INTERACT_READY = """wanted => {
    const said = document.querySelector('.interact pre'), image = document.querySelector('.interact img');
    return Boolean(image) && said.textContent.trim() === wanted;
}"""


class Hand:
    """Presses arrow keys: a few to the right, as many to the left, and so on; or page keys, for five steps each."""

    def __init__(
        self, page: Page, grip: str, number: int, places: list[float], start: float, pages: bool = False
    ) -> None:
        self.page, self.grip, self.number, self.places = page, grip, number, places
        self.at, self.presses = places.index(start), 0
        self.stride, self.keys = (5, ("PageUp", "PageDown")) if pages else (1, ("ArrowRight", "ArrowLeft"))

    def press(self, ready: str, form: str = "", models: int = 0) -> float:
        """Milliseconds of one press; what is awaited depends on `form`: a number, a setting's name, or "C = "."""
        right = (self.presses // TURN) % 2 == 0
        self.presses += 1
        self.at += self.stride if right else -self.stride
        value = self.places[self.at]
        wanted: object = [form, value, models] if models else f"{form}{value}" if form else value
        key = self.keys[0 if right else 1]
        return float(self.page.evaluate(PRESS, [self.grip, self.number, key, ready, wanted]))


def measure() -> list[table.Row]:
    """Milliseconds, and ratios to the label in the same session."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        notebook = rooms.write_notebook(Path(folder) / "bench.ipynb", FLOOR, PANEL, INTERACT)
        with rooms.jupyterlab(notebook, Path(folder)) as address:
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            page = browser.new_page(viewport=rooms.VIEWPORT | {"height": 2600})
            page.goto(address(notebook))
            rooms.run_all(page)
            page.locator(".interact img").wait_for(timeout=60_000)
            rows = _measure(page)
            browser.close()
    return rows


def _measure(page: Page) -> list[table.Row]:
    view = rooms.View.first(page)
    controls = Settings.controls()
    epsilons, clips = (list(controls[name].positions()) for name in ("epsilon", "clip_norm"))
    grip = ".privlab-slider .noUi-handle"
    floor = Hand(page, ".floor .noUi-handle", 0, list(range(121)), 60)
    clip = Hand(page, grip, 1, clips, 1.0)
    noise = Hand(page, grip, 2, epsilons[::-1], 1.0)
    interact = Hand(page, ".interact .noUi-handle", 0, clips, 1.0)

    def rest() -> None:
        view.settled()
        page.wait_for_timeout(REST)

    rest()
    page.wait_for_timeout(4000)  # idle work of the first minute: dp-accounting's import
    label, by_clip, by_noise = [], [], []
    for _ in range(PRESSES):
        label.append(floor.press(LABEL_READY))
        rest()
        by_clip.append(clip.press(PICTURE_READY, "clip_norm", ENOUGH))
        rest()
        label.append(floor.press(LABEL_READY))
        rest()
        by_noise.append(noise.press(PICTURE_READY, "epsilon", ENOUGH))
        rest()
    jump, by_jump = Hand(page, grip, 1, clips, 1.0, pages=True), []
    for _ in range(PRESSES):
        label.append(floor.press(LABEL_READY))
        rest()
        by_jump.append(jump.press(PICTURE_READY, "clip_norm", ENOUGH))
        rest()
    many, by_interact = [], []
    for _ in range(FEW):
        many.append(clip.press(PICTURE_READY, "clip_norm", MANY))
        rest()
        by_interact.append(interact.press(INTERACT_READY, "C = "))
        rest()
    rows = [table.only_told(f"label-only floor, {len(label)} presses: median", median(label), "ms")]
    rows.append(table.only_told("label-only floor: 95th percentile", _p95(label), "ms"))
    for name, taken in (
        ("clipping norm, one step: trained ahead", by_clip),
        ("noise, one step: trained ahead", by_noise),
        ("clipping norm, five steps: trained now", by_jump),
    ):
        what = f"{name}; ≥ {ENOUGH} models painted, {len(taken)} presses"
        rows.append(table.only_told(f"{what}: median", median(taken), "ms"))
        rows.append(table.at_most("… against the floor's median", median(taken) / median(label), "×", 1.6))
        rows.append(table.only_told("… 95th percentile", _p95(taken), "ms"))
        rows.append(table.at_most("… against the floor's 95th percentile", _p95(taken) / _p95(label), "×", 2))
    rows.append(table.at_most(f"the same, until {MANY} models, {FEW} presses: median", median(many), "ms", 1000))
    rows.append(
        table.only_told(f"ipywidgets.interactive doing the same, {FEW} presses: median", median(by_interact), "ms")
    )
    return rows


def _p95(taken: list[float]) -> float:
    return float(np.quantile(taken, 0.95))
