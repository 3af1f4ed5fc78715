"""Notebook 06: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import privlab
from privlab.experiments import linkage
from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def leaks() -> Iterator[Reader]:
    yield from read("06_what_models_leak.ipynb")


def test_every_panel_is_shown(leaks: Reader) -> None:
    assert {"open-linkage", "open-counts", "open-attack", "open-people", "open-hidden"} <= views(leaks)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("withhold", ["age"], ["sex", "race", "marital-status", "education-num", "occupation"]),
        ("questions", [200, 180, 220], [20, 100, 300, 20_000]),
        ("noise", ["grows"], ["fixed", "rounding"]),
        ("times", [5, 5.4, 5.9], [1, 2, 10, 58]),
        ("exposed", ["unexpected"], ["category", "number"]),
        ("people", [500, 600, 1000], [150, 300, 2000]),
        ("outsiders", ["no"], ["yes"]),
    ],
)
def test_answers_are_judged(name: str, right: list[object], wrong: list[object]) -> None:
    for given in right:
        assert privlab.answer(f"leaks.{name}", given), given
    for given in wrong:
        verdict = privlab.answer(f"leaks.{name}", given)
        assert not verdict, given
        assert str(right[0]) not in verdict.words.split()


def test_placeholders_are_wrong(leaks: Reader) -> None:
    for name in ("withhold", "questions", "noise", "times", "exposed", "people", "outsiders"):
        shown = leaks.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_own_models_are_attacked(leaks: Reader) -> None:
    (found,) = re.findall(r"in (\d+) of 100 pairs", printed(leaks.cells["own-models"]))
    assert 60 <= int(found) <= 90


def test_what_the_text_says_of_tables_is_true() -> None:
    found = privlab.run("linkage")
    assert found.share("alone").mean[-1] == pytest.approx(1 / 3, abs=0.02)
    assert found.share("alone").mean[-1] + found.share("few").mean[-1] == pytest.approx(0.6, abs=0.02)
    assert found.share("alone").mean[1] < 0.0005
    for name in linkage.COLUMNS:
        assert privlab.run("linkage", known=(name,), repeats=2).share("alone").mean[0] < 0.001, name
    coarse = privlab.run("linkage", age_width=20)
    assert round(100 * coarse.share("alone").mean[-1]) == 8
    every = privlab.run("linkage", known=tuple(linkage.COLUMNS), repeats=2)
    assert every.share("alone").mean[-1] == pytest.approx(0.75, abs=0.03)


def test_what_the_text_says_of_counts_is_true() -> None:
    found = privlab.run("reconstruction")
    assert found.estimate("exact").mean[found.held] == 1
    assert found.estimate("each").mean[-1] > 0.99
    assert found.spent > 10
    together = found.estimate("together")
    assert (together.mean < 0.6).all()
    assert (together.mean + together.band < found.limit).all()


def test_what_the_text_says_of_models_is_true() -> None:
    found = privlab.run("membership")
    plain, private = found.attacks["plain"], found.attacks["private"]
    assert found.simple.hits(0.01) < 0.013
    assert plain.hits(0.01) > 4 * found.simple.hits(0.01)
    assert private.interval(0.01)[0] < 0.01 < private.interval(0.01)[1]
    assert round(100 * plain.right.mean()) == 58
    _, rate = plain.exposed(found.share)
    assert round(10 * rate) == 8
    exposed, everybody, _ = found.unusual()
    assert exposed[0] == pytest.approx(0.9, abs=0.05)
    assert max(exposed[1:] - everybody[1:]) < exposed[0] - everybody[0]
    assert private.exposed(found.share)[1] < 0.55
    assert found.accuracy["private"] == pytest.approx(found.floor, abs=0.02)
    ten = privlab.run("membership", epsilon=10)
    assert ten.limit(0.01) > 0.99
    assert ten.attacks["private"].hits(0.01) < 0.03


def test_what_the_text_says_helps_does_and_nothing_else() -> None:
    def found(**values: object) -> float:
        return float(privlab.run("membership", **values).attacks["plain"].hits(0.01))

    opened, mild, strong = (privlab.run("membership", penalty=penalty) for penalty in (1e-4, 0.1, 1))
    as_opened = float(opened.attacks["plain"].hits(0.01))
    assert mild.attacks["plain"].hits(0.01) == pytest.approx(2 / 3 * as_opened, abs=0.005)
    assert mild.accuracy["plain"] > opened.accuracy["plain"]
    assert strong.attacks["plain"].hits(0.01) < 0.02
    assert strong.accuracy["plain"] == pytest.approx(strong.floor, abs=0.005)
    assert found(label_noise=20) > 0.9 * as_opened
    assert found(model="dp-sgd-mlp", shadows=64) > 1.3 * as_opened
    many = privlab.run("membership", size=2000, shadows=64)
    assert many.attacks["plain"].hits(0.01) < 0.02
    assert many.accuracy["plain"] - many.accuracy["private"] < 0.01


def test_what_the_text_says_of_hidden_columns_is_true() -> None:
    found = privlab.run("attributes")
    assert round(100 * found.alone) == 30
    member, outsider = found.gains["plain", "members"], found.gains["plain", "outsiders"]
    assert member.mean - member.half > 0
    assert 0.02 < member.mean < 0.06
    assert abs(outsider.mean) < outsider.half
    assert abs(found.gains["private", "members"].mean) < found.gains["private", "members"].half
    for values in ({"size": 200}, {"hidden": "sex"}, {"hidden": "race"}):
        other = privlab.run("attributes", shadows=256, **values).gains["plain", "members"]
        assert abs(other.mean) < other.half, values
