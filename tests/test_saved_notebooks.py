"""A saved notebook, widget state and all, holds no person's value: planted ones are looked for in every column."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NUMBER, WORD = "71.73591", "zqxsentinel"
TABLE = f"""
import numpy as np, pandas as pd, privlab
rng = np.random.default_rng(0)
kinds = {{"job": rng.choice(["a", "b"], 400), "y": rng.choice(["no", "yes"], 400)}}
table = pd.DataFrame({{"age": rng.integers(20, 80, 400).astype(float)}} | kinds)
table.loc[3, "age"], table.loc[4, "job"] = {NUMBER}, "{WORD}"
schema = privlab.Schema.draft(table, target="y").confirm(age=(0, 100))
"""
PANEL = """
mine = privlab.from_frame(table, target="y", schema=schema, n=400)
panel = privlab.explore("tradeoff", dataset=mine, delta=1e-4, seeds=2).wait()
panel._buttons["{button}"].click()
panel
"""


def saved(tmp_path: Path, button: str) -> str:
    """All that is saved beside the sources, with what lies in it as base64."""
    cells = [nbformat.v4.new_code_cell(source) for source in (TABLE, PANEL.format(button=button))]
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=cells), timeout=100, kernel_name="python3", store_widget_state=True,
        resources={"metadata": {"path": tmp_path}},
    )  # fmt: skip
    with client.setup_kernel():
        for index, cell in enumerate(client.nb.cells):
            client.execute_cell(cell, index)
        client.set_widgets_metadata()
    kept = json.dumps([[cell.outputs for cell in client.nb.cells], client.nb.metadata], ensure_ascii=False)
    assert "widgets" in client.nb.metadata
    packed = re.findall(r"base64,([A-Za-z0-9+/=]+)", kept)
    return "\n".join([kept, *(base64.b64decode(one).decode("latin-1") for one in packed)])


def test_no_planted_value_is_saved(tmp_path: Path) -> None:
    for button, shown in (("Export", "noise_multiplier"), ("Table", "release low")):
        kept = saved(tmp_path, button)
        assert shown in kept, "what is opened below the picture is saved, and looked through"
        for value in (NUMBER, WORD):
            assert value not in kept
            assert base64.b64encode(value.encode()).decode().rstrip("=") not in kept
            assert value.encode().hex() not in kept
