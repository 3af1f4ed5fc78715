"""A file of one's own, from the upload to the first private picture, by mouse and keyboard in JupyterLab."""

from __future__ import annotations

import base64
import time
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

from privlab import cards
from tests.browser import panels, rooms
from tests.browser.rooms import View

SENTINEL = "7173591827"  # what one person of the file has for the size of their place
SAVED = {"@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True}}  # with what the widgets hold
CELL = """
import privlab
ledger = privlab.Ledger("book/own.ledger", epsilon=3, delta=1e-4, key="apart/key", head="apart/head")
privlab.bring(ledger=ledger)
"""


def choose(page: Page, form: Locator, path: Path) -> None:
    """Upload a file as a person does."""
    with page.expect_file_chooser() as opened:
        form.get_by_role("button", name="Upload").click()
    opened.value.set_files(path)


def test_an_uploaded_file_is_declared_and_looked_at(browser: Browser, tmp_path: Path) -> None:
    room = tmp_path / "room"
    (room / "book").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    planted = (cards.folder() / "votes.csv").read_text("utf-8").replace("\n190,", f"\n{SENTINEL},", 1)
    (tmp_path / "my votes.csv").write_text(planted, "utf-8")
    notebook = rooms.write_notebook(room / "own.ipynb", CELL)
    with rooms.jupyterlab(notebook, tmp_path / "home", SAVED) as address:
        page = browser.new_page(viewport=rooms.VIEWPORT)
        errors = rooms.listen(page)
        page.goto(address(notebook))
        rooms.run_all(page)
        form = page.locator(".privlab-bring")
        form.get_by_role("button", name="Upload").wait_for(timeout=1000 * rooms.PATIENCE)

        choose(page, form, Path(__file__))
        form.locator(".privlab-problem").filter(has_text="in every line, as in its first").wait_for()
        choose(page, form, tmp_path / "my votes.csv")
        form.get_by_text("my votes.csv, 9 columns").wait_for()
        assert form.locator(".privlab-problem").count() == 0

        declared = [("Age", "number", "18 to 100"), ("Own place (1 left to 7 right)", "number", "1 to 7"),
                    ("Clinton's place (1-7)", "number", "1 to 7"), ("Vote", "categories", "Clinton, Dole")]  # fmt: skip
        for name, kind, public in declared:
            form.get_by_label(f"{name}: what it is").select_option(kind)
            form.get_by_label(f"{name}: what is public").fill(public)
        form.get_by_label("number of people n").fill("944")
        form.get_by_label("number of people n").press("Enter")
        assert panels.barriers(page, ".privlab-bring") == []
        register = form.get_by_role("button", name="Register, and pay for a first look")
        register.focus()
        register.press("Enter")
        view = View.first(page)
        seen = view.settled()
        assert seen.settings["dataset"] == "own-1"
        assert "one DP-SGD logistic model on Your data was released" in seen.sentence
        assert "of the budget ε = 3 is spent" in form.inner_text()
        assert not form.get_by_text("bounds too wide").is_visible(), "a setting that no look depends on"

        page.keyboard.press("Control+s")
        until = time.monotonic() + rooms.PATIENCE
        while "widget-state+json" not in (kept := notebook.read_text("utf-8")):
            assert time.monotonic() < until, "the notebook must be saved, with its widgets"
            page.wait_for_timeout(100)
        for told in (page.content(), kept):
            assert SENTINEL not in told
            assert base64.b64encode(SENTINEL.encode()).decode()[:12] not in told
        assert "18 to 100" in kept
        assert errors == []
        page.close()
