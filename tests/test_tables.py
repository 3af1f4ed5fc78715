"""What is saved for a spreadsheet is shown there and never run."""

import csv
import io

import pandas as pd
import pytest

from privlab.tables import to_csv

PAYLOADS = ['=HYPERLINK("http://x","y")', "+1+1", "-2+3|cmd", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_formulas_are_text(payload):
    table = pd.DataFrame({payload: [payload, "fine"], "n": [-1.5, 2.0]})
    head, *rows = csv.reader(io.StringIO(to_csv(table).decode(), newline=""))
    assert head == [f"'{payload}", "n"]
    assert rows == [[f"'{payload}", "-1.5"], ["fine", "2.0"]], "numbers stay numbers"


def test_categories_and_plain_text_stay():
    table = pd.DataFrame({"a": pd.Categorical(["x", "=1"]), "b": ["<b>", "it's"], "c": [True, False]})
    found = pd.read_csv(io.BytesIO(to_csv(table)))
    assert list(found["a"]) == ["x", "'=1"]
    assert list(found["b"]) == ["<b>", "it's"]
    assert list(found["c"]) == [True, False]
    assert list(table["a"]) == ["x", "=1"], "the table itself is left as it was"
