"""Notebook 08: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.test_notebooks import VIEW, Reader, printed, read, views


@pytest.fixture(scope="module")
def trust() -> Iterator[Reader]:
    yield from read("08_trust_but_verify.ipynb")


def report(trust: Reader, cell: str) -> str:
    return str(trust.cells[cell].outputs[-1]["data"]["text/plain"])


def test_every_panel_is_shown(trust: Reader) -> None:
    assert {"open-sandwich", "open-one", "open-gallery", "open-grid"} <= views(trust)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("hand", [2, 1.97], [1, 0.5, 4]),
        ("digits", ["'digits'"], ["'scale'", "'luck'"]),
        ("fewest", [260, 300], [40, 150, 1000, 10_000]),
        ("ordinary", ["'attack'"], ["'noise'", "'proof'"]),
        ("one", [98, 98.2], [50, 75, 100]),
    ],
)
def test_answers_are_judged(trust: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert trust.run(f"print(privlab.answer('audit.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(trust: Reader) -> None:
    for name in ("hand", "digits", "fewest", "ordinary", "one"):
        assert report(trust, f"answer-{name}").startswith("Not yet."), name


def test_the_slider_has_a_place_for_the_right_answer(trust: Reader) -> None:
    said = trust.run(
        "places = type(sandwich.settings).controls()['trials'].positions()\n"
        "print(*[n for n in places if privlab.answer('audit.fewest', n)])"
    )
    assert len(said.split()) >= 2


def test_shares_by_hand_show_epsilon(trust: Reader) -> None:
    low, high, epsilon = map(float, re.findall(r"\d\.\d+", printed(trust.cells["by-hand"])))
    assert low == pytest.approx(0.184, abs=0.015)
    assert high == pytest.approx(0.5, abs=0.02)
    assert epsilon == pytest.approx(1, abs=0.1)


def test_reports_say_what_the_text_says(trust: Reader) -> None:
    sound = report(trust, "sound")
    assert sound.startswith("Nothing found against ε = 1: this attack shows ε ≥ 0.9")
    broken = report(trust, "broken")
    assert broken.startswith("The promise of ε = 1 is broken: ε is at least 1.8") or "at least 1.9" in broken
    unrounded = report(trust, "unrounded")
    assert unrounded.startswith("The promise of ε = 1 is broken")
    assert "by the last binary digits" in unrounded
    assert "50,000 runs in each world" in sound + broken + unrounded
    rounded = trust.run("print(privlab.verify(count, rare, rare_with_you, epsilon=1, seed=0).ok)")
    assert rounded.strip() == "True", "it is the rounding that matters"
    for cell in ("sound", "broken", "unrounded"):
        page = trust.cells[cell].outputs[-1]["data"]["text/html"]
        assert "<img alt=" in page
        assert VIEW not in str(trust.cells[cell].outputs), "the progress bar is gone"


def test_what_the_text_says_of_the_sandwich_is_true(trust: Reader) -> None:
    said = trust.run(
        "def bars(**given):\n"
        "    found = privlab.run('audit', **given).bounds\n"
        "    print(*[f(found[name]) for name in ('any', 'gaussian') for f in (lambda b: b.lower_bound, "
        "lambda b: b.estimate)])\n"
        "bars()\nbars(trials=10_000)\nbars(canary='typical')\nbars(canary='rows')"
    )
    usual, many, ordinary, rows = (list(map(float, line.split())) for line in said.splitlines())
    assert 0.7 < usual[0] < 1.5, "about a quarter of 4, whatever the noise"
    assert usual[2] > 2, "more than half, if Gaussian"
    assert many[0] > usual[0] + 0.2
    assert many[2] > usual[2] + 0.3
    assert abs(many[3] - usual[3]) < 0.6
    assert max(ordinary[0], ordinary[2]) < 1.2
    assert rows[2] > 6


def test_what_the_text_says_of_one_run_is_true(trust: Reader) -> None:
    said = trust.run(
        "found = privlab.run('audit', view='one_run').runs\n"
        "print(found[0].guesses, found[0].right, found[0].bound, found[0].ceiling)\n"
        "print(*[one.bound for one in found])"
    )
    first, others = (list(map(float, line.split())) for line in said.splitlines())
    assert first[0] == 100
    assert 68 <= first[1] <= 82
    assert first[2] < 1.6
    assert first[3] < 4
    assert max(others) > 1.5 * min(others)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("microbatches", [0.5, 1 / 2], [1, 2, 0.25, 0.7]),
        ("hides", [1, 0.5, 0.1], [1.1, 4, 0]),
        ("finds", ["'noise'"], ["'sensitivity'", "'sampling'", "'replay'"]),
        ("passed", ["'nothing'"], ["'true'", "'false'"]),
    ],
)
def test_answers_are_judged_in_the_gallery(trust: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert trust.run(f"print(privlab.answer('gallery.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong_in_the_gallery(trust: Reader) -> None:
    for name in ("microbatches", "hides", "finds", "passed"):
        shown = trust.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_the_panel_that_hides_the_bug_gives_the_answer(trust: Reader) -> None:
    move = "gallery.set(bug='unscaled_noise', clip_norm={})\nprint(gallery.wait().sentence)"
    assert "is not caught" in trust.run(move.format(1.0))
    assert trust.run("print(privlab.answer('gallery.hides', gallery.settings.clip_norm))").startswith("Yes.")
    assert "is caught by “noise”" in trust.run(move.format(1.5))


def test_what_the_text_says_is_true_in_the_gallery(trust: Reader) -> None:
    slopes = [float(line.split()[-1]) for line in printed(trust.cells["fit-line"]).splitlines()]
    assert slopes[0] > 1e100
    assert slopes[1] < 1e6
    told = printed(trust.cells["libraries"])
    assert told.count("is caught by") == 3
    assert told.count("Its sound twin passes every check.") == 3
    far = trust.run(
        "found = privlab.run('gallery', bug='clip_late')\nprint(found.of('clip_late', True).findings[0].statistic)"
    )
    assert float(far) == pytest.approx(17, abs=0.5)
