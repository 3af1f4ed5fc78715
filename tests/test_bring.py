"""The form for a table of one's own: problems beside their field, nothing of the rows shown, hostile names inert."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np
import pandas as pd
import pytest
from ipywidgets.widgets.widget import _instances

import privlab
from privlab import dossiers, experiments
from privlab.ledger import Ledger
from privlab.panel.bring import Bring

NUMBER, ID = "73519", "id-zqxsentinel"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HTML, FORMULA = "<img src=x onerror=alert(1)>", "=HYPERLINK(1)"

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    (tmp_path / "book").mkdir()
    apart = tmp_path / "apart"
    return Ledger(tmp_path / "book" / "own.ledger", epsilon=5, delta=1e-3, key=apart / "key", head=apart / "head")


@pytest.fixture
def form(ledger: Ledger) -> Iterator[Bring]:
    made = privlab.bring(ledger=ledger)
    yield made
    made.close()


def csv(**columns: Any) -> bytes:
    rng = np.random.default_rng(0)
    made = {"who": [f"p{i}" for i in range(300)], "pay": rng.integers(0, 90, 300), "job": ["a", "b", "c"] * 100}
    table = pd.DataFrame(made | {"vote": rng.choice(["no", "yes"], 300)} | columns)
    return bytes(table.to_csv(index=False).encode())


def upload(form: Bring, raw: bytes, name: str = "mine.csv") -> None:
    form._upload.value = (
        {"name": name, "type": "", "size": len(raw), "content": memoryview(raw), "last_modified": NOW},
    )


def declare(form: Bring, n: str = "300", first: str = "1", **public: str) -> None:
    form._first.value = first
    for row in form._rows:
        words = public.get(row.name, "")
        row.kind.value = "leave out" if not words else "number" if " to " in words else "categories"
        row.public.value = words
    form._target.value, form._n.value = form._rows[-1].name, n
    press(form, "Register, and pay for a first look")


def press(form: Bring, name: str) -> None:
    (button,) = (one for one in everything(form) if isinstance(one, w.Button) and one.description == name)
    button.click()


def everything(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def state(widget: Any) -> str:
    """All that a page or a saved notebook gets of a widget and its children, unpacked."""
    kept = "\n".join(json.dumps(one.get_state(), default=lambda raw: repr(bytes(raw)) if isinstance(raw, memoryview)
                                else repr(raw), ensure_ascii=False) for one in everything(widget))  # fmt: skip
    packed = re.findall(r"base64,([A-Za-z0-9+/=]+)", kept)
    return "\n".join([kept, *(base64.b64decode(one).decode("latin-1") for one in packed)])


def problems(form: Bring) -> list[str]:
    places = [form._source_problem, *(row.problem for row in form._rows), form._problem]
    return [html.unescape(re.sub("<.*?>", "", one.value)) for one in places if one.value]


PUBLIC = {"pay": "0 to 90", "job": "a, b, c", "vote": "no, yes"}


def test_from_upload_to_a_paid_picture(form: Bring, ledger: Ledger) -> None:
    upload(form, csv())
    assert form._upload.value == (), "a saved notebook would hold its bytes"
    declare(form, **PUBLIC)
    assert problems(form) == []
    assert form.dataset is not None
    assert form.dataset.leaks == ()
    assert form.panel is not None
    assert form.panel.result.count == 1
    assert form.panel.result.bill.spent == ledger.spent() > 1
    press(form, "Register, and pay for a first look")
    assert problems(form) == [f"Nothing has changed since '{form.dataset.name}' was registered."]
    assert ledger.spent() == form.panel.result.bill.spent
    (again,) = re.findall("<pre>(.*)</pre>", state(form).replace("\\n", "\n"), re.DOTALL)[:1]
    program = html.unescape(again).replace("'mine.csv'", "raw")
    known: dict[str, Any] = {"raw": csv()}
    exec(compile(program, "script", "exec"), known)
    assert known["mine"].schema == form.dataset.schema
    assert known["mine"].n == 300
    with pytest.raises(ValueError, match="'dataset' must be among"):
        experiments.run("audit", dataset=form.dataset)  # it needs more people
    assert [entry.what.partition(":")[0] for entry in ledger.entries()] == ["model", "test score"]


def test_without_a_ledger_the_form_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    form = privlab.bring()
    upload(form, csv())
    form._epsilon.value = "2"
    declare(form, **PUBLIC)
    assert problems(form) == []
    assert form.ledger is not None
    assert (form.ledger.epsilon, form.ledger.delta) == (2, 1e-4)
    assert form.ledger.path == tmp_path / "work" / "own-data.ledger"
    assert str(form.ledger.path) in state(form)
    form.close()


def test_a_problem_stands_beside_its_field_and_the_last_good_state_stays(form: Bring, ledger: Ledger) -> None:
    upload(form, csv())
    declare(form, **PUBLIC)
    picture, spent, good = form.panel, ledger.spent(), form.dataset
    for changed, words in (
        ({"pay": "90 to 0"}, "'pay' must have finite bounds, low < high."),
        ({"job": "a, b"}, "'job' must hold one of its 2 declared categories in every row. Got another value in row 2"),
        ({"first": "50"}, "does not allow this"),
        ({"n": "many"}, "'number of people n' must be a whole number of at least 1. Got many."),
        ({"vote": ""}, "'target' must be one of the declared columns. Got 'vote'."),
    ):
        declare(form, **(PUBLIC | changed))
        assert any(words in said for said in problems(form)), words
        for row in form._rows:
            assert bool(row.problem.value) == (row.name in changed and row.name != "vote"), row.name
    for raw in (b"a,b\n1\n", csv()[:-1] + b",x\n", b""):
        upload(form, raw)
        assert problems(form)[0].startswith("'file' must")
    assert [row.name for row in form._rows] == ["who", "pay", "job", "vote"]
    assert (form.panel, form.dataset, ledger.spent()) == (picture, good, spent)


def test_a_draft_is_a_leak_until_each_line_is_confirmed(form: Bring) -> None:
    upload(form, csv())
    declare(form, **(PUBLIC | {"pay": "0 to 90"}))
    who, pay, job, vote = form._rows
    pay.public.value, job.public.value = "", ""
    press(form, "Draft from the rows (leaks)")
    assert (pay.public.value, job.public.value, vote.public.value) == ("0 to 89", "a, b, c", "no, yes")
    assert (who.public.value, who.problem.value) == ("", "")
    press(form, "Register, and pay for a first look")
    assert problems(form)[:2] == ["Read from the rows: a leak until you confirm it, or type what is public."] * 2
    pay.confirmed.value, job.public.value = True, "a, b, c, d"
    press(form, "Register, and pay for a first look")
    assert problems(form) == []
    who.kind.value = "categories"
    press(form, "Draft from the rows (leaks)")
    assert who.public.value == "", "three hundred of them are likely names"
    assert "Got more: leave it out, or type them." in problems(form)[0]


def test_no_planted_value_is_shown_logged_or_told(form: Bring, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    raw = csv().replace(b"p3,", f"{ID},".encode(), 1).replace(b",1,", f",{NUMBER},".encode(), 1)
    assert NUMBER.encode() in raw
    upload(form, raw)
    form._person.value, form._most.value = "who", "1"
    declare(form, **PUBLIC)
    assert problems(form) == []
    kept = state(form)
    for bad in (PUBLIC | {"who": "0 to 1"}, PUBLIC | {"job": "x, y"}, PUBLIC | {"n": "0"}):
        declare(form, **bad)
        kept += state(form)
        assert problems(form)
    assert form.panel is not None
    for name in ("Table", "Promise", "Code", "Export"):
        form.panel._buttons[name].click()
        kept += state(form)
    for value in (NUMBER, ID):
        assert value not in kept + caplog.text
        assert value.encode().hex() not in kept
    assert "one DP-SGD logistic model" in kept


def test_hostile_names_and_categories_are_inert_everywhere(form: Bring, tmp_path: Path) -> None:
    table = pd.concat([pd.read_csv(io.BytesIO(csv()))] * 2).rename(columns={"pay": FORMULA, "job": HTML})
    table[HTML] = table[HTML].map({"a": f"a {HTML}", "b": FORMULA, "c": "$\\frac{$"})
    upload(form, table.to_csv(index=False).encode(), name=f"{HTML}.csv")
    declare(form, **{FORMULA: "0 to 90", HTML: f"a {HTML}, {FORMULA}, $\\frac{{$", "vote": "no, yes"}, n="600")
    assert problems(form) == []
    assert form.dataset is not None
    panel = privlab.explore("own_data", dataset=form.dataset, seeds=2, delta=1e-4).wait()
    for name in ("Table", "Export"):
        panel._buttons[name].click()
        for one in (*everything(form), *everything(panel)):
            if isinstance(one, w.HTML):
                assert "<img src=x" not in one.value
        assert FORMULA in state(panel)
    (link,) = re.findall(r"text/csv;base64,([A-Za-z0-9+/=]+)", panel._details.value)
    cells = pd.read_csv(io.BytesIO(base64.b64decode(link)))["declaration"]
    assert f"'{FORMULA}" in set(cells)
    assert not cells.str.startswith("=").any()
    page = privlab.share(
        "own_data", path=tmp_path / "p.html", dataset=form.dataset, positions=(2, 2), seeds=2, delta=1e-4
    )
    assert "<img src=x" not in page.read_text("utf-8")
    record = dossiers.make(experiments.run("audit", dataset=form.dataset, trials=100))
    assert "<img src=x" not in record.html()
    panel.close()


def test_a_closed_form_leaves_no_widget(ledger: Ledger) -> None:
    before = set(_instances)
    form = privlab.bring(ledger=ledger)
    for raw in (csv(pay=[1] * 300), csv(), b"\x80\x04 a pickle"):
        upload(form, raw)
    declare(form, **PUBLIC)
    declare(form, **PUBLIC, first="0.5")
    assert form.panel is not None
    form.close()
    assert [repr(_instances[one])[:60] for one in set(_instances) - before] == []
