"""A test of a promise that is stopped by hand while its cell runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser import rooms

CELL = """import time, privlab

def slow(data, rng):
    time.sleep(0.002)
    return round(data + rng.laplace(), 6)

privlab.verify(slow, 0.0, 1.0, epsilon=1, trials=100_000)"""


def test_stop_is_heard_while_the_cell_runs(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    notebook = rooms.write_notebook(tmp_path_factory.mktemp("room") / "slow.ipynb", CELL)
    with rooms.jupyterlab(notebook, tmp_path_factory.mktemp("home")) as address:
        page = browser.new_page(viewport=rooms.VIEWPORT)
        errors = rooms.listen(page)
        page.goto(address(notebook))
        rooms.run_all(page)
        page.get_by_text("Putting the promise to the test: ").wait_for(timeout=2000 * rooms.PATIENCE)
        stop = page.get_by_role("button", name="Stop", exact=True)
        stop.click()
        page.get_by_text("Stopped after").wait_for(timeout=1000 * rooms.PATIENCE)
        assert (
            page.get_by_role("img", name="Nothing found against ε = 1")
            .or_(page.get_by_role("img", name="No verdict"))
            .is_visible()
        )
        assert stop.count() == 0, "the bar is gone"
        assert errors == []
        page.close()
