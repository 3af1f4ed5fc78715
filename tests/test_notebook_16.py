"""Notebook 16: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def own() -> Iterator[Reader]:
    yield from read("16_your_own_data.ipynb")


def test_every_panel_is_shown(own: Reader) -> None:
    assert views(own) == {"open-declared", "form", "open-private", "open-spare"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("matters", ["'own'"], ["'place'", "'dole'", "'age'"]),
        ("wide", [2, 3.16], [1.5, 10]),
        ("models", [1], [320, 2]),
        ("people", [1.1, 1.07], [11, 3.5, 110]),
        ("fewest", [2], [1, 3, 4]),
    ],
)
def test_answers_are_judged(own: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert own.run(f"print(privlab.answer('own.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(own: Reader) -> None:
    for name in ("matters", "wide", "models", "people", "fewest"):
        shown = own.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name
    assert printed(own.cells["check-form"]).startswith("Not yet. Fill in the form")


def test_what_the_text_says_of_declarations_is_true(own: Reader) -> None:
    said = own.run(
        "found = privlab.run('own_data').estimates\n"
        "print(*[round(100 * float(one.mean[0]), 1) for one in found.values()])"
    )
    plain, declared, place, _, own_place, _, _, _, everything, people = map(float, said.split())
    assert round(declared) == 86
    assert 0 < plain - declared < 3
    assert abs(place - declared) < 1
    assert round(own_place) == 74
    assert round(everything) == 58
    assert people == declared


def test_private_looks_cost_and_show_what_the_text_says(own: Reader) -> None:
    sentence = own.run("print(panel.wait().sentence, panel.result.count)")
    noise = re.search(r"give or take ([\d.]+) points for the noise", sentence)
    assert noise is not None
    assert round(float(noise[1])) == 11
    assert sentence.split()[-1] == "1"
    assert printed(own.cells["refused"]).startswith("'ledger' must be left out for 'membership'")
    shown = own.run("print({one.name: one.widget.layout.display for one in panel._plain})")
    assert "'wider': 'none'" in shown
    assert "'epsilon': None" in shown


def test_a_forgotten_category_is_told_by_its_row(own: Reader) -> None:
    said = printed(own.cells["forgotten"])
    assert said.startswith(
        "'Vote' must hold one of its 2 declared categories in every row. Got another value in row 0 "
    )
    assert "Dole" not in said


def test_an_outsider_finds_what_the_text_says(own: Reader) -> None:
    found = re.findall(
        r"right about ([\d.]+) % .* \(with all columns ([\d.]+) %; (\d) are enough.* record in ([\d.]+) of 100",
        own.run("print(spare.wait().sentence)\nspare.set(columns=2)\nprint(spare.wait().sentence)"),
    )
    (full, whole, enough, many), (kept, _, _, few) = (map(float, one) for one in found)
    assert full == whole
    assert enough == 2
    assert abs(kept - full) < 1
    assert round(many) == 91
    assert round(few) == 6


def test_files_that_are_none_are_refused(own: Reader) -> None:
    pickled, packed, twice, headless, mean = printed(own.cells["mean"]).splitlines()
    assert "a pickle, which would run code" in pickled
    assert "a ZIP archive or a spreadsheet" in packed
    assert "Got column 2 like an earlier one" in twice
    assert "must begin with a line of names" in headless
    assert mean == "['age', '<b>vote</b>']"


FILL = """
for row in form._rows:
    if row.name in public:
        row.kind.value = "number" if " to " in public[row.name] else "categories"
        row.public.value = public[row.name]
form._n.value = N
form._target.value = "Vote"
form._try(form._register, form._problem)
"""


def test_the_form_is_checked(own: Reader) -> None:
    told = own.run(FILL.replace("= N", "= 'many'") + "print(form.dataset, form._problem.value)")
    assert told.startswith("None")
    assert "number of people n" in told
    assert own.check("check-form", FILL.replace("= N", "= '500'")).startswith("Not yet. The question is the vote")
    done = own.check("check-form", FILL.replace("= N", "= '944'"))
    assert done.startswith("Yes. It is 'own-")
    assert float(done.split()[-5]) <= 3
