"""Notebook 15: the panel is shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def design() -> Iterator[Reader]:
    yield from read("15_privacy_by_design.ipynb")


def test_every_panel_is_shown(design: Reader) -> None:
    assert views(design) == {"open-way"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("dearest", ["'ask'"], ["'columns'", "'groups'", "'noise'"]),
        ("women", [20, 19, 21], [33, 27, 36]),
        ("hash", [30, 30.5, 31], [1, 100, 12]),
        ("noticed", ["'epsilon'"], ["'columns'", "'k'", "'identifier'"]),
        ("repair", ["'odds'"], ["'epsilon'", "'columns'", "'k'"]),
        ("seal", ["'again'"], ["'lawful'", "'private'"]),
    ],
)
def test_answers_are_judged(design: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert design.run(f"print(privlab.answer('lifecycle.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(design: Reader) -> None:
    for name in ("dearest", "women", "hash", "noticed", "repair", "seal"):
        shown = design.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_what_the_text_says_is_true(design: Reader) -> None:
    said = design.run(
        "def look(**values):\n"
        "    r = privlab.run('lifecycle', **values)\n"
        "    m = [100 * one.now.mean for one in r.measures]\n"
        "    print(100 * r.measures[0].raw.mean, *m, r.flow.kept, 100 * r.measures[5].limit, *r.blocks, sep=';')\n"
        "look()\nlook(share=1)\nlook(columns=11)\nlook(k=1)\nlook(epsilon=10)\n"
        "look(share=1, columns=11)\nlook(share=1)\nlook(odds=1)\nlook(columns=11, k=5, epsilon=5)\n"
        "look(k=100)\nlook(columns=10)"
    ).splitlines()
    rows = [line.split(";") for line in said]
    start, asked, columns, groups, noise, out, kept, odds, three, large, most = (
        list(map(float, row[:9])) for row in rows
    )
    accuracy, women, rich, found, told, noticed, left = range(1, 8)
    assert (round(start[0]), round(start[accuracy]), round(start[rich])) == (85, 80, 7)
    gains = [one[accuracy] - start[accuracy] for one in (asked, columns, groups, noise)]
    assert gains[0] > 4
    assert max(gains[1:]) < 0.5
    assert start[found] < 1
    assert (round(start[told]), math.ceil(start[8])) == (12, 74)
    assert start[noticed] > 50
    assert out[left] < 32_561 / 3 * 1.05
    assert (round(out[women]), round(out[accuracy])) == (20, 84)
    assert kept[left] / 32_561 > 0.8, "nearly nobody: 10 in 100 have withdrawn"
    assert odds[accuracy] >= 84
    assert odds[found] < 1
    assert rows[7][9:] == []
    assert rows[8][9:] == ["epsilon", "columns", "groups"]
    assert large[told] < start[told]
    assert large[left] < start[left]
    for one in (noise, columns, groups, most, three):
        assert one[accuracy] < 84, "no other single change does it"


def test_the_record_is_of_what_was_done(design: Reader) -> None:
    assert printed(design.cells["collect"]).strip() == (
        "education-num, occupation, relationship, capital-gain, capital-loss, hours-per-week, income"
    )
    assert printed(design.cells["consent"]).startswith("collected 48,842 → agreed 26,318, 22,524 no consent → used")
    assert "9 rules passed" in printed(design.cells["ledger"])
    told = printed(design.cells["train"])
    assert float(re.search(r"ledger at (\d\.\d+)", told)[1]) < 3  # type: ignore[index]
    assert int(re.search(r"right about (\d+)", told)[1]) in (83, 84, 85)  # type: ignore[index]
    assert printed(design.cells["check"]).count("passed · ") == 11
    assert printed(design.cells["write"]).strip() == "income.html, income.md"
    first, second = printed(design.cells["read"]).split()
    assert first == second
    assert re.fullmatch("[0-9a-f]{64}", first)
    shown = design.cells["show"].outputs[-1]["data"]["text/markdown"]
    assert first in shown
    assert "All 11 rules passed." in shown
    assert "Not measured." not in shown
