"""A panel of every experiment, from the notebooks, in JupyterLab: it opens, and repaints on its first control."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from privlab.cli import START
from tests.browser import panels, rooms
from tests.browser.rooms import View

# All notebooks share one kernel, which spares its start and imports: each is run whole, on its own, elsewhere.
OPEN = """async path => {
    const app = window.jupyterapp, kernel = window.privlabKernel;
    const widget = await app.commands.execute('docmanager:open', {path, factory: 'Notebook', kernel});
    window.privlabOpen = widget;
    await widget.revealed;
    await widget.sessionContext.ready;
    await widget.sessionContext.session.kernel.info;
    window.privlabKernel = {id: widget.sessionContext.session.kernel.id};
    app.shell.activateById(widget.id);
}"""
RUN = """async place => {
    window.privlabOpen.content.activeCellIndex = place;
    return await window.jupyterapp.commands.execute('notebook:run-cell');
}"""
CLOSE = """async () => {
    const code = "import ipywidgets\\nipywidgets.Widget.close_all()\\n%reset -f";
    await window.privlabOpen.sessionContext.session.kernel.requestExecute({code}).done;
    window.privlabOpen.dispose();
}"""

EXAMINED = panels.NOTEBOOKS[::3]  # by axe, their last panels; those of six experiments in Voilà
CELL = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell.jp-mod-active"
Lab = tuple[Page, list[str]]  # JupyterLab's one page, and the errors it has reported


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = Path(shutil.copytree(panels.NOTEBOOKS[0].parent, tmp_path_factory.mktemp("school") / "notebooks"))
    with rooms.jupyterlab(folder / START, tmp_path_factory.mktemp("home"), exposed=True) as address:
        page = browser.new_page(viewport=rooms.VIEWPORT)
        errors = rooms.listen(page)
        page.goto(address(folder / START))
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate("async () => await window.jupyterapp.restored")
        yield page, errors
        page.close()


@pytest.mark.parametrize("path", panels.chosen(), ids=lambda path: path.stem)
def test_panels_open_and_repaint(lab: Lab, path: Path) -> None:
    page, errors = lab
    page.evaluate(OPEN, path.name)
    try:
        for cell in panels.needed(path, panels.chosen()[path]):
            assert page.evaluate(RUN, cell.place), "the cell must run without an error"
            if cell.place in panels.chosen()[path]:
                panel = page.locator(f"{CELL} .privlab-panel")
                panel.locator("img.privlab-picture").wait_for(timeout=1000 * rooms.PATIENCE)
                view = View(page, panel)
                panels.first_control_repaints(view, cell.experiment)
                view.button("Stop").click()
        if path in EXAMINED:
            panels.open_all(view)
            assert panels.barriers(page, f"{CELL} .privlab-panel") == []
    finally:
        page.evaluate(CLOSE)
    assert errors == []
