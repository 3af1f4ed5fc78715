"""Notebook 14: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def audit() -> Iterator[Reader]:
    yield from read("14_audit_trail.ipynb")


def test_every_panel_is_shown(audit: Reader) -> None:
    assert views(audit) == {"open-budget", "open-book", "open-private"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("frugal", [0.3, 0.32, 0.35], [0.5, 1, 0.25, 0.1, 5]),
        ("books", ["'ledger'"], ["'tight'", "'added'"]),
        ("head", ["'back'"], ["'edit'", "'delete'", "'reorder'"]),
        ("again", [0, 0.0], [0.5, 0.1]),
        ("blocks", ["'columns'"], ["'epsilon'", "'purpose'", "'consent'"]),
    ],
)
def test_answers_are_judged(audit: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert audit.run(f"print(privlab.answer('ledger.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(audit: Reader) -> None:
    for name in ("frugal", "books", "head", "again", "blocks"):
        shown = audit.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_what_the_text_says_of_the_budget_is_true(audit: Reader) -> None:
    said = audit.run(
        "found = privlab.run('ledger')\n"
        "print(*[found.fates.count(fate) for fate in ('charged', 'free', 'refused')])\n"
        "print(found.ledger[0], found.epsilons[0], found.ledger[-1], found.added[-1])"
    ).splitlines()
    charged, free, refused = map(int, said[0].split())
    assert (charged, free) == (15, 9)
    assert refused == 40 - 15 - 9
    first, epsilon, spent, added = map(float, said[1].split())
    assert first > epsilon, "the entrance fee"
    assert spent <= 3 < added


def test_what_the_text_says_of_meddling_is_true(audit: Reader) -> None:
    said = audit.run(
        "for way in ('edit', 'delete', 'reorder', 'truncate', 'roll back'):\n"
        "    found = privlab.run('ledger', view='book', tampering=way).book.verification\n"
        "    print(*[problem.kind for problem in found.problems], sep='; ')"
    )
    assert said.splitlines() == ["edited", "deleted", "reordered", "truncated", "rolled back"]


def test_the_book_refuses_and_tells(audit: Reader) -> None:
    spent, left = (float(word.strip(",")) for word in printed(audit.cells["make"]).split()[1::2])
    assert spent + left == pytest.approx(3, abs=0.011)
    assert "does not allow this" in printed(audit.cells["refuse"])
    lines = printed(audit.cells["entries"]).splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["1", "2", "3", "4"]
    assert "test score: DP-SGD logistic on adult" in lines[3]
    assert lines[-1].startswith("Whole: 4 charges")


def test_the_panel_charges_what_the_text_says(audit: Reader) -> None:
    told = audit.run(
        "before = ledger.spent()\n"
        "panel.set(epsilon=0.2); panel.wait(); there = ledger.spent()\n"
        "panel.set(epsilon=0.5); panel.wait()\n"
        "print(there - before, ledger.spent() - there)"
    )
    there, back = map(float, told.split())
    assert 0 < there < 0.1
    assert back == 0
    refused = audit.run(
        "panel.set(epsilon=10)\n"
        "try:\n    panel.wait()\nexcept Exception as error:\n    print(type(error).__name__)\n"
        "print(panel.result.settings.epsilon)"
    )
    assert refused.split() == ["BudgetExceededError", "0.5"]
    again = audit.run(
        "try:\n    privlab.explore('two_worlds', ledger=ledger)\nexcept ValueError as error:\n    print(error)"
    )
    assert again.startswith("'ledger' must be left out for 'two_worlds'")


def test_one_rule_blocks(audit: Reader) -> None:
    lines = printed(audit.cells["check"]).splitlines()
    assert [line for line in lines if not line.startswith("passed")] == [
        line for line in lines if line.startswith("BLOCKS · columns: forbidden columns used: race")
    ]
    assert "The policy stops this before training. BLOCKS · columns" in printed(audit.cells["gated"])
