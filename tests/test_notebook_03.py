"""Notebook 03: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, read, views


@pytest.fixture(scope="module")
def clipping() -> Iterator[Reader]:
    yield from read("03_clipping_and_noise.ipynb")


def test_every_panel_is_shown(clipping: Reader) -> None:
    assert views(clipping) == {"open-norms", "open-direction", "open-groups"}


def test_answers_are_judged(clipping: Reader) -> None:
    for question, right, wrong in (
        ("times", ["2.3", "2.4"], ["1", "0.4", "4", "22"]),
        ("turn", ["2", "2.5"], ["1", "10", "0.1", "5"]),
        ("pays", ["'untold'"], ["'yes'", "'no'"]),
    ):
        for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
            for given in answers:
                assert clipping.run(f"print(privlab.answer('clipping.{question}', {given}))").startswith(word), given


def test_placeholders_are_wrong(clipping: Reader) -> None:
    for name in ("times", "turn", "pays"):
        assert clipping.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"].startswith("Not yet.")


def test_what_the_text_says_is_true(clipping: Reader) -> None:
    said = clipping.run(
        "cut = privlab.run('gradient_clipping').cut\n"
        "print(*cut.table['share'], *cut.table['group'][2:])\n"
        "hard = privlab.run('gradient_clipping', view='direction', clip_norm=0.1)\n"
        "print(hard.trade.degrees.mean(axis=0)[hard.trade.held], hard.scores.mean())\n"
        "strict = privlab.run('gradient_clipping', view='groups', epsilon=0.1, group='race').payers\n"
        "for label, size in zip(strict.groups.names, strict.groups.sizes):\n"
        "    print(label, size)"
    ).splitlines()
    low, high, women, men, *labels = said[0].split()
    assert labels == ["Female", "Male"]
    assert float(high) > 2 * float(low)
    assert float(men) > 1.3 * float(women)
    degrees, score = map(float, said[1].split())
    assert 60 < degrees < 80
    assert score > 0.842
    sizes = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in said[2:]}
    assert sizes["Amer-Indian-Eskimo"] == pytest.approx(159)
