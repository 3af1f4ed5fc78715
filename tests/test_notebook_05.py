"""Notebook 05: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def places() -> Iterator[Reader]:
    yield from read("05_central_local_input.ipynb")


def test_every_panel_is_shown(places: Reader) -> None:
    assert {"open-share", "open-model", "open-learners"} <= views(places)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("places.coin", [1.0986, 1.1], [0.75, 3, 0.69, 1.39]),
        ("places.growth", [10, 9.9], [100, 1, 3]),
        ("places.trust", ["'local'"], ["'central'"]),
        ("places.needed", [100, 200, 300, 500], [10_000, 3000, 30_000]),
        ("learners.tree", ["'splits'"], ["'noise'", "'people'"]),
        ("learners.total", [30, 30.0], [5, 6, 25, 12]),
    ],
)
def test_answers_are_judged(places: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert places.run(f"print(privlab.answer('{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(places: Reader) -> None:
    for name in ("coin", "growth", "trust", "needed", "tree", "total"):
        shown = places.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_coins_are_put_right(places: Reader) -> None:
    truth, _, found = map(float, re.findall(r"\d\.\d+", printed(places.cells["opendp"])))
    assert 0.2 < truth < 0.3
    assert abs(found - truth) < 4.5 * (0.75 * 0.25) ** 0.5 / 0.5 / 5000**0.5


def test_what_the_text_says_is_true(places: Reader) -> None:
    said = places.run(
        "found = privlab.run('where_noise_goes', people=30_000)\n"
        "means = {place: 100 * found.estimate(place).mean for place in found.scores}\n"
        "print(100 * found.floor, means['local'][-1], means['input'][-1], means['central'][-1], means['central'][0])"
    )
    floor, local, noisy, central, few = map(float, said.split())
    assert floor + 2 < local < central - 2
    assert noisy < floor + 0.5
    assert few == pytest.approx(local, abs=2), "300 with an office, 30,000 without"
    better = places.run(
        "wide = privlab.run('where_noise_goes', epsilon=8, people=30_000)\n"
        "print(*[100 * wide.estimate(place).mean[-1] for place in ('local', 'input')])"
    )
    answers, records = map(float, better.split())
    assert answers > local + 0.5
    assert records < noisy + 2


def test_what_the_text_says_of_other_learners_is_true(places: Reader) -> None:
    said = places.run(
        "one = {(name, data): privlab.run('private_learners', learner=name, dataset=data, seeds=10)\n"
        "       for name in ('clusters', 'components', 'bayes', 'line') for data in ('breast_cancer', 'adult')}\n"
        "share = {key: (r.scores.mean() - r.floor) / (r.plain['score'] - r.floor) for key, r in one.items()}\n"
        "print(*[share[name, 'breast_cancer'] for name in ('clusters', 'components', 'bayes', 'line')])\n"
        "print(*[share[name, 'adult'] for name in ('clusters', 'components')])"
    )
    few, many = (list(map(float, line.split())) for line in said.splitlines())
    assert max(few[:2]) < 0.7 < min(few[2:]), "groups and directions suffer most"
    assert min(many) > 0.85
