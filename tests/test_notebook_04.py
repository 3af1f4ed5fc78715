"""Notebook 04: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def budgets() -> Iterator[Reader]:
    yield from read("04_budgets.ipynb")


def test_every_panel_is_shown(budgets: Reader) -> None:
    assert views(budgets) == {"open", "open-sampling", "open-neighbours", "open-plan"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("estimate", ["'below'"], ["'above'"]),
        ("growth", [2, 2.2], [4, 1, 1.5, 16]),
        ("sampling", [0.005, 0.0051], [0.01, 0.003, 0.02, 5]),
        ("claim", [0.95, 1, 1.1], [0.8, 1.3, 4, 0.4]),
        ("plan", [7.07, 7], [50, 2, 25]),
    ],
)
def test_answers_are_judged(budgets: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert budgets.run(f"print(privlab.answer('budgets.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(budgets: Reader) -> None:
    for name in ("estimate", "growth", "sampling", "claim", "plan"):
        shown = budgets.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_what_the_text_says_is_true(budgets: Reader) -> None:
    said = budgets.run(
        "found = privlab.run('accounting').curves\n"
        "print(found['pld'][-1] / found['naive'][-1])\n"
        "low = privlab.run('accounting', noise_multiplier=0.6, sampling_rate=0.001, steps=5000)\n"
        "print(low.at('limit') / low.at('pld'))\n"
        "first = deck.wait().result\n"
        "print(first.at('claim') / first.at('shuffled at least'))"
    )
    share, limit, _ = map(float, said.split())
    assert share < 0.01
    assert limit < 0.6


def test_the_budget_is_refused_once_spent(budgets: Reader) -> None:
    counts = eval(printed(budgets.cells["context"]))
    assert len(counts) == 3
    assert all(abs(count - 48_842) < 100 for count in counts)
    assert "exhausted" in printed(budgets.cells["fourth"])
