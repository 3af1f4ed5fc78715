"""The panels of the shipped notebooks, and a hand on the first control of each."""

from __future__ import annotations

import ast
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from privlab import experiments
from privlab.cli import start_notebook
from tests.browser.rooms import PATIENCE, View

NOTEBOOKS = sorted(start_notebook(Path.cwd()).parent.glob("*.ipynb"))
OPENS = re.compile(r"^(?:\w+ = )?privlab\.explore\(\s*\"(\w+)\"", re.MULTILINE)  # not within try, where one is refused


@dataclass(frozen=True)
class Cell:
    """A code cell of a notebook, by its place there."""

    place: int
    source: str

    @property
    def experiment(self) -> str | None:
        """The experiment whose panel the cell opens."""
        found = OPENS.search(self.source)
        return found and found[1]

    def names(self) -> tuple[set[str], set[str]]:
        """What the cell binds and what it reads."""
        binds: set[str] = set()
        reads: set[str] = set()
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Name):
                (reads if isinstance(node.ctx, ast.Load) else binds).add(node.id)
            elif isinstance(node, ast.alias):
                binds.add((node.asname or node.name).partition(".")[0])
        return binds, reads


def cells(path: Path) -> list[Cell]:
    """A notebook's code cells."""
    return [Cell(i, "".join(c["source"])) for i, c in enumerate(_read(path)["cells"]) if c["cell_type"] == "code"]


def chosen() -> dict[Path, set[int]]:
    """For each notebook the panels whose experiment no earlier one has shown, by place; all of them with PANELS=all."""
    if os.environ.get("PANELS") == "all":
        return {path: {cell.place for cell in cells(path) if cell.experiment} for path in NOTEBOOKS}
    seen: set[str] = set()
    found: dict[Path, set[int]] = {}
    for path in NOTEBOOKS:
        for cell in cells(path):
            if cell.experiment and cell.experiment not in seen:
                seen.add(cell.experiment)
                found.setdefault(path, set()).add(cell.place)
    return found


def needed(path: Path, places: set[int] | None = None) -> list[Cell]:
    """The cells that open panels, all or some by place, and what binds what they read; the rest runs elsewhere."""
    kept: list[Cell] = []
    wanted: set[str] = set()
    for cell in reversed(cells(path)):
        binds, reads = cell.names()
        opens = cell.experiment and (places is None or cell.place in places)
        if opens or binds & wanted:
            kept.append(cell)
            wanted = wanted - binds | reads
    return kept[::-1]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def first_control_repaints(view: View, experiment: str) -> None:
    """A press on the first control that a panel shows, a slider or a list, redraws it."""
    before, first = view.see(), view.panel.locator(".noUi-handle:visible, select:visible").first
    labels = {one.label: name for name, one in experiments.get(experiment).Settings.controls().items()}
    name = labels[first.locator("xpath=ancestor::*[label][1]/label").inner_text()]
    slides = first.get_attribute("role") == "slider"
    down = float(first.get_attribute("aria-valuenow") or 0) > 0
    if slides:
        first.press("ArrowLeft" if down else "ArrowRight")
    else:
        first.select_option(index=0 if first.evaluate("list => list.selectedIndex") else 1)
    after = view.wait(
        lambda seen: seen.settings[name] != before.settings[name] and not np.array_equal(seen.pixels, before.pixels),
        f"a press must repaint {experiment} with another {name}",
    )
    if slides:
        assert (after.settings[name] < before.settings[name]) == down
        readout = view.panel.locator(".widget-readout:visible").first.inner_text().replace(",", "")
        assert math.isclose(after.settings[name], float(readout), rel_tol=6e-3)  # a readout has three digits


def named(view: View) -> None:
    """Wait until a panel is named for those who do not see it."""
    view.panel.locator(".noUi-handle[aria-label]").first.wait_for(state="attached", timeout=1000 * PATIENCE)


def open_all(view: View) -> None:
    """Open what a panel has folded away."""
    named(view)
    view.panel.get_by_role("button", name="More settings").click()
    view.button("Table").click()
    view.panel.get_by_role("group", name="Table").wait_for(timeout=1000 * PATIENCE)


def barriers(page: Page, to: str = ".privlab-panel") -> list[str]:
    """What axe finds serious or critical in the panels that a page shows; the rest is printed."""
    found: list[str] = []
    for violation in Axe().run(page, context={"include": [[to]]}).response["violations"]:
        told = f"{violation['impact']}: {violation['id']} in {[node['html'][:200] for node in violation['nodes'][:3]]}"
        if violation["impact"] in ("serious", "critical"):
            found.append(told)
        else:
            print(told)
    return found
