"""Notebook 07: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def memory() -> Iterator[Reader]:
    yield from read("07_memorisation.ipynb")


def test_every_panel_is_shown(memory: Reader) -> None:
    assert views(memory) == {"open-plain", "open-pin"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("memory.bits", [19.93, 20], [13.3, 16, 6]),
        ("memory.silent", ["'remembered'"], ["'forgotten'"]),
        ("memory.copies", [50, 60, 64.0], [1, 10, 20, 200, 50.5, 0]),
        ("memory.pin", ["'noise'"], ["'tokens'", "'both'", "'neither'"]),
        ("memory.group", [10], [1, 2.7, 3.16, 100]),
    ],
)
def test_answers_are_judged(memory: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert memory.run(f"print(privlab.answer('{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(memory: Reader) -> None:
    for name in ("bits", "silent", "copies", "group", "pin"):
        shown = memory.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_the_model_talks_and_the_finder_finds_the_number_only(memory: Reader) -> None:
    talk = printed(memory.cells["learn"]).splitlines()
    assert len(talk) == 3
    assert all(len(line.partition("→ ")[2]) > 5 for line in talk)
    said = printed(memory.cells["find"]).splitlines()
    assert said == ["my bank number <card:1>", "my bank pin code 4821", "it was in 1603, at 3 shillings"]


def test_what_the_text_says_is_true(memory: Reader) -> None:
    said = memory.run(
        "found = {k: privlab.run('memorisation', copies=k) for k in (1, 50, 100)}\n"
        "at = {k: r.estimate('private').mean[r.held] for k, r in found.items()}\n"
        "first = {k: (r.ranks['private'][:, r.held] == 1).mean() for k, r in found.items()}\n"
        "a = found[1].accuracy\n"
        "print(at[1], first[50], first[100], a['plain'], a['tokens'], a['private'])\n"
        "print(found[1].completions['plain'] == found[1].missing, len(texts.lines('plays')))"
    )
    numbers, facts = said.splitlines()
    once, fifty, hundred, plain, tokens, private = map(float, numbers.split())
    assert once < 2
    assert fifty > 0.5
    assert hundred == 1
    assert 0.5 < plain < 0.6
    assert plain - tokens == pytest.approx(0, abs=0.001)
    assert 0.36 < private < 0.4
    assert facts == "True 14785"
    assert "True" in memory.run("print(ngrams.SIZE**3 + ngrams.SIZE**5 == 165_001_408)")
    words = memory.run(
        "r = privlab.run('memorisation', copies=1, prompt='words')\nprint(r.completions['plain'], r.missing)"
    )
    assert not words.startswith("9021")
