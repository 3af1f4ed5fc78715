"""Notebook 11: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def less() -> Iterator[Reader]:
    yield from read("11_collect_less.ipynb")


def test_every_panel_is_shown(less: Reader) -> None:
    assert views(less) == {"open-columns", "open-groups", "open-age"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("fewest", [4], [3, 5, 11]),
        ("jump", ["'age'"], ["'race'", "'occupation'", "'relationship'", "'education-num'"]),
        ("coarse", [3], [0, 1, 2, 4]),
        ("sure", [26, 26.4, 27], [0, 20, 36, 15]),
        ("promise", ["'same'"], ["'found'", "'noise'"]),
        ("store", [29, 28.7], [17, 40, 50, 95]),
    ],
)
def test_answers_are_judged(less: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert less.run(f"print(privlab.answer('minimise.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(less: Reader) -> None:
    for name in ("fewest", "jump", "coarse", "sure", "promise", "store"):
        shown = less.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_six_people_and_the_smaller_table(less: Reader) -> None:
    assert printed(less.cells["small"]) == "k = 3, l = 1, t = 0.33\ntold for sure, by street: [ True False]\n"
    plan, first, second = printed(less.cells["less"]).splitlines()
    assert plan.startswith("columns and their coarseness: {'education-num': 4, 'occupation': 1, 'relationship': 4")
    assert first.startswith(
        "49 features became 21, from ['education-num', 'occupation', 'relationship', 'capital-gain'"
    )
    assert second == "the ages are gone"


def test_what_the_text_says_of_columns_is_true(less: Reader) -> None:
    said = less.run(
        "def look(level, **more):\n"
        "    r = privlab.run('minimise', columns=11, coarseness=level, **more)\n"
        "    return 100 * r.above['without noise'].mean, 100 * r.linked.found.mean, r.linked\n"
        "model, found, linked = look(0)\n"
        "print(model[-1], model[5], found[5], found[6], found[-1])\n"
        "print(abs(linked.own.mean - linked.others.mean)[:5].max(), (linked.own.mean - linked.others.mean)[-1])\n"
        "for level in (1, 2, 4):\n"
        "    print(*[part[-1] for part in look(level)[:2]])"
    )
    first, gaps, *levels = [list(map(float, line.split())) for line in said.splitlines()]
    best, six, before, after, everybody = first
    assert best - six < 1
    assert before < 5 < 30 < after, "a leap"
    assert gaps[0] < 0.01, "with few columns, no more is guessed of one's own people than of strangers"
    assert gaps[1] > 0.1
    (fine, fine_found), (tens, tens_found), (coarsest, coarsest_found) = levels
    assert abs(best - fine) < 0.2
    assert 0.6 < fine_found / everybody < 0.72, "a third fewer are found"
    assert 0.3 < best - tens < 0.8
    assert 100 / tens_found == pytest.approx(8, abs=1)
    assert 1.2 < best - coarsest < 1.8
    assert coarsest_found < 2


def test_what_the_text_says_of_groups_is_true(less: Reader) -> None:
    said = less.run(
        "r = privlab.run('minimise', view='groups', columns=11, coarseness=2)\n"
        "at = list(r.left.ks).index(5)\n"
        "print(100 * r.left.gone.mean[at], 100 * r.left.certain.mean[at], 100 * r.left.certain.mean[-1])\n"
        "o = privlab.run('minimise', view='groups', columns=11, coarseness=2, secret='other').left\n"
        "print(o.groups[0].table.shape[1], o.certain.mean[at] / o.nearly.mean[at])"
    )
    (out, sure, largest), (jobs, ratio) = (list(map(float, line.split())) for line in said.splitlines())
    assert 100 / out == pytest.approx(7, abs=0.7)
    assert sure == pytest.approx(26, abs=1.5)
    assert largest > 10
    assert jobs == 15
    assert ratio < 0.8


def test_what_the_text_says_of_age_is_true(less: Reader) -> None:
    said = less.run(
        "r = privlab.run('minimise', dataset='rand', view='age', columns=18, seeds=12)\n"
        "store = r.below\n"
        "print(*(100 * store['people in store'].mean))\n"
        "print(*(100 * store['rows in store'].mean))\n"
        "for line in r.above.values():\n"
        "    print(100 * (line.mean[-1] - line.mean[1]), 100 * (line.high[1] - line.low[1]))\n"
        "from privlab.experiments import _minimise_work as work\n"
        "print(work.tested(privlab.load('rand')))"
    )
    people, rows, private, plain, tested = (list(map(float, line.split())) for line in said.splitlines())
    assert people[1] == pytest.approx(29, abs=1)
    assert people[2] > 90
    assert max(b - a for a, b in pairwise(rows)) < 35
    assert 0 < plain[0] < private[0] < 2
    assert private[0] < private[1], "less than the band is wide"
    assert tested == [1478]
