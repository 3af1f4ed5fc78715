"""A panel of every experiment, from the notebooks, in Voilà: it opens, and repaints on its first control."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from privlab.cli import START
from tests.browser import panels, rooms
from tests.browser.rooms import View

EXAMINED = ("tradeoff", "statistics", "two_worlds", "federated", "ledger", "solve")  # one panel of each, by axe
PAGES = max(3, sum(map(len, panels.chosen().values())) // 10)  # very long ones were seen to hang
# Voilà shows a page when all its cells have run. A hand presses Stop after each, lest all panels compute at once.
STOP_EACH = """
def stop_each(result):
    from ipywidgets.widgets.widget import _instances
    from privlab.panel import Panel

    for widget in [*_instances.values()]:
        if isinstance(widget, Panel):
            widget._buttons["Stop"].click()

get_ipython().events.register("post_run_cell", stop_each)
"""


@pytest.mark.parametrize("number", range(PAGES))
def test_panels_open_and_repaint(browser: Browser, tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    chosen = [*panels.chosen().items()][number::PAGES]
    cells = [cell for path, places in chosen for cell in panels.needed(path, places)]
    opened = [cell.experiment for cell in cells if cell.experiment]
    notebook = rooms.write_notebook(tmp_path_factory.mktemp("room") / START, *[cell.source for cell in cells])
    home = tmp_path_factory.mktemp("home")
    startup = home / "ipythondir" / "profile_default" / "startup" / "stop_each.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(STOP_EACH, "utf-8")
    with rooms.voila(notebook, home) as address:
        page = browser.new_page(viewport=rooms.VIEWPORT)
        errors = rooms.listen(page)
        page.goto(address, timeout=5000 * rooms.PATIENCE)
        shown = page.locator(".privlab-panel")
        shown.nth(len(opened) - 1).locator("img.privlab-picture").wait_for(timeout=5000 * rooms.PATIENCE)
        assert shown.count() == len(opened)
        views = [View(page, shown.nth(place)) for place in range(len(opened))]
        for view, experiment in zip(views, opened, strict=True):
            panels.first_control_repaints(view, experiment)
            view.button("Stop").click()
        for experiment in {*opened} & {*EXAMINED}:
            view = views[opened.index(experiment)]
            panels.open_all(view)
            view.panel.evaluate("panel => panel.classList.add('privlab-examined')")
        if {*opened} & {*EXAMINED}:
            assert panels.barriers(page, ".privlab-examined") == []
        assert errors == []
        page.close()
