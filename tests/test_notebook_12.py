"""Notebook 12: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def names() -> Iterator[Reader]:
    yield from read("12_tokens.ipynb")


def test_every_panel_is_shown(names: Reader) -> None:
    assert views(names) == {"open-reverse", "open-frequency", "open-link", "open-text"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("tokens.digits", [1000, 1000.0], [3, 30, 100, 10_000]),
        ("tokens.salt", ["'slower'"], ["'safe'", "'same'"]),
        ("tokens.counting", ["'tokens'"], ["'key'", "'hash'"]),
        ("tokens.columns", [5], [3, 4, 6, 8]),
        ("tokens.deleted", ["'columns'"], ["'nothing'", "'tokens'"]),
        ("tokens.recall", [16], [0, 5, 49, 65]),
    ],
)
def test_answers_are_judged(names: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert names.run(f"print(privlab.answer('{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(names: Reader) -> None:
    for name in ("digits", "salt", "counting", "columns", "deleted", "recall"):
        shown = names.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_keys_and_vaults_do_as_told(names: Reader) -> None:
    shown, first, second, other = printed(names.cells["key-see"]).splitlines()
    assert shown == "Key(hidden) 0o600"
    assert second.startswith(first)
    assert other[:16] != first
    brought, mute = printed(names.cells["rotate"]).splitlines()
    (old, new), said = eval(brought).popitem(), mute.rsplit(maxsplit=1)[1]
    assert old == first
    assert len({old, new, said}) == 3
    assert mute.startswith("None ·")
    back, empty = printed(names.cells["vault-see"]).splitlines()
    assert "→ 9021465738212340 Vault(1 values)" in back
    assert empty == "Vault(0 values)"


def test_the_finder_replaces_what_it_can(names: Reader) -> None:
    found, order, words = printed(names.cells["text-see"]).splitlines()
    assert found.startswith("Ring <phone:")
    assert " or write to <email:" in found
    assert order == "Order 902146, three seats in row 7"
    assert words.endswith("one two three")


def test_what_the_text_says_is_true(names: Reader) -> None:
    said = names.run(
        "r = reverse.wait().result\n"
        "print(r.needed('hash'), r.needed('salted'), r.tried['hash'][1][-1])\n"
        "f = privlab.run('tokens', view='frequency')\n"
        "print(f.estimate('token').mean[f.held], f.estimate('token').mean[-1])\n"
        "k = privlab.run('tokens', view='link')\n"
        "print(*k.estimate('other').mean, *k.estimate('wrong').mean[[3, 4, 8]])\n"
        "t = privlab.run('tokens', view='text').searched\n"
        "print(*t['phone'], *t['precision'], *t['card'])"
    )
    times, counted, linked, text = (list(map(float, line.split())) for line in said.splitlines())
    assert times[0] < 5
    assert 10 < times[1] < 1500
    assert times[2] == 1000
    assert 0.8 < counted[0] < 0.9
    assert counted[1] > 0.97
    assert linked[4] < 0.1
    assert 0.4 < linked[5] < 0.5
    assert linked[6] > 0.6, "six link most of them"
    assert min(linked[9:11]) > 0.1
    assert linked[11] < 0.05
    right, of, good, finds, cards, all_cards = text
    assert of - right == 16
    assert of == 65
    assert good / finds > 0.9
    assert 0.6 < cards / all_cards < 0.7
