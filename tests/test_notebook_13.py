"""Notebook 13: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def asked() -> Iterator[Reader]:
    yield from read("13_who_is_in_the_data.ipynb")


def test_every_panel_is_shown(asked: Reader) -> None:
    assert views(asked) == {"open-missing", "open-repair"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("register", [3], [2, 4, 5, 1]),
        ("lost", [41, 40, 39], [5, 18, 59, 22]),
        ("harmless", ["'rule'"], ["'noise'", "'many'"]),
        ("repair", ["'all'"], ["'margins'"]),
        ("price", [3375, 3400, 3300], [13_000, 32_561, 6000, 9700]),
        ("late", ["'retrain'"], ["'delete'", "'nothing'"]),
    ],
)
def test_answers_are_judged(asked: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert asked.run(f"print(privlab.answer('consent.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(asked: Reader) -> None:
    for name in ("register", "lost", "harmless", "repair", "price", "late"):
        shown = asked.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_the_register_answers_as_asked(asked: Reader) -> None:
    said = asked.run(
        "b = consent.Register.empty('care', 'research').give([1, 2, 3, 4], 'research', '2026-01-10')\n"
        "b = b.give([5], 'care', '2026-01-11').withdraw([2, 3], 'research', '2026-02-01')\n"
        "b = b.give([3], 'research', '2026-03-01')\n"
        "print(b.allows([1, 2, 3, 4, 5], 'research', '2026-03-15').sum())"
    )
    assert said == "3\n"


def test_who_withdraws_is_gone_and_counts_add_up(asked: Reader) -> None:
    assert printed(asked.cells["select"]).startswith("collected 1,000 → agreed 800, 200 no consent → used 800 = ")
    learned, privacy = printed(asked.cells["retrain"]).splitlines()
    assert learned.startswith("learned from 750, then from ")
    assert privacy.startswith(("(ε = 1, δ = 1e-05)", "(ε = 0.99"))
    told, withheld = printed(asked.cells["quietly"]).splitlines()
    assert "Jane Roe" in told
    assert "Jane Roe" not in withheld
    assert withheld.startswith("Reading column 'income' failed with ValueError.")


def test_what_the_text_says_is_true(asked: Reader) -> None:
    said = asked.run(
        "def look(**values):\n"
        "    r = privlab.run('consent', **values)\n"
        "    whole, some = (100 * r.score(one[:, 0], 'accuracy').mean for one in (r.whole, r.some))\n"
        "    plain = 100 * r.score(r.some[:, 1], 'accuracy').mean[0]\n"
        "    gap = 100 * r.score(r.some[:, 0], 'calibration').mean\n"
        "    shares = 100 * abs(r.shares['agreed'].mean - r.shares['everybody'].mean)\n"
        "    print(whole[0], some[0], whole[-1], some[-1], plain, gap[0], max(gap[1:-1]), shares[1], r.flow.kept)\n"
        "look()\nlook(by='race', groups='race')\nlook(repair='margins')\nlook(repair='all')\n"
        "look(repair='all', epsilon=0.1)"
    )
    answer, race, margins, everything, tight = (list(map(float, line.split())) for line in said.splitlines())
    assert (round(answer[0]), round(answer[1])) == (85, 80)
    assert answer[2] - answer[3] > 35
    assert answer[5] == pytest.approx(-16, abs=1)
    assert answer[6] < -5, "too rarely for men and for women"
    assert answer[7] < 5
    assert abs(race[0] - race[1]) < 0.3
    assert margins[0] - margins[1] > 4
    assert 0 < everything[0] - everything[1] < 1
    assert everything[8] == pytest.approx(3400, abs=100)
    assert tight[0] - tight[1] == pytest.approx(4, abs=0.7)
    assert tight[0] - tight[4] < 1, "the one without noise does not"


def test_what_the_text_says_of_race_and_age_is_true(asked: Reader) -> None:
    said = asked.run(
        "r = privlab.run('consent', by='race', groups='race')\n"
        "print(r.agreeing[-2], *r.cost('accuracy').mean)\n"
        "a = privlab.run('consent', by='age', groups='age')\n"
        "c = a.cost('accuracy')\n"
        "print(c.mean[-2], c.half[-2])"
    )
    (last, *changes), (oldest, half) = (list(map(float, line.split())) for line in said.splitlines())
    assert last < 0.15, "nearly all of the last group are missing"
    assert max(map(abs, changes)) < 0.015
    assert abs(oldest) < half
