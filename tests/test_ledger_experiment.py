"""The ledger's experiment: its books are the ledger's own, and nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, heads
from privlab.experiments import ledger as experiment
from privlab.experiments._ledger_chain import TAMPERINGS
from privlab.ledger import BudgetExceededError
from tests.charging import opened
from tests.test_ledger import MEMORY


def test_its_books_are_those_of_a_real_ledger() -> None:
    found = privlab.run("ledger", epsilon=2, look_epsilon=0.6, looks=25, seed=3)
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        real, seen = opened(place, epsilon=2, delta=experiment.DELTA), set()
        for epsilon, fate, read in zip(found.epsilons, found.fates, found.ledger, strict=True):
            if epsilon in seen:
                assert fate == "free"
            else:
                try:
                    real.charge_all(experiment._charge(epsilon))
                    assert fate == "charged"
                    seen.add(epsilon)
                except BudgetExceededError:
                    assert fate == "refused"
            assert read == real.spent()
    assert {"charged", "free", "refused"} == set(found.fates)


def test_totals_are_the_sum_and_the_tight_bound_of_what_was_charged() -> None:
    found = privlab.run("ledger", epsilon=3, look_epsilon=0.3, looks=12)
    charged = found.epsilons[np.array(found.fates) == "charged"]
    assert found.added[-1] == pytest.approx(charged.sum())
    one = privlab.run("ledger", epsilon=3, look_epsilon=0.3, looks=2)
    apart = {"sampling_rate": experiment.RATE, "delta": experiment.DELTA}
    alone = accounting.epsilon(noise_multiplier=experiment._noise(float(one.epsilons[0])), steps=60, **apart)
    assert one.tight[0] == pytest.approx(alone, rel=0.003), "a step less would be 0.5 % off"
    sigma = [experiment._noise(float(epsilon)) for epsilon in charged]
    least = accounting.epsilon(noise_multiplier=max(sigma), steps=60 * len(charged), **apart)
    most = accounting.epsilon(noise_multiplier=min(sigma), steps=60 * len(charged), **apart)
    assert least < found.tight[-1] < most
    assert found.tight[-1] < found.ledger[-1] < found.added[-1]
    assert np.all(np.diff(found.ledger) >= 0)
    assert found.ledger[-1] <= 3


def test_the_filter_never_passes_the_budget_and_refuses_what_would() -> None:
    for epsilon, look in ((0.5, 3), (1, 0.2), (10, 1), (0.1, 10)):
        found = privlab.run("ledger", epsilon=epsilon, look_epsilon=look, looks=15)
        assert found.ledger[-1] <= epsilon
        assert len(found.fates) == 15
    assert found.fates.count("refused") == 15
    assert found.count == 0
    assert "none" not in found.sentence
    assert found.sums_last == 0


@pytest.mark.parametrize(
    ("tampering", "kind"),
    [("edit", "edited"), ("delete", "deleted"), ("reorder", "reordered"), ("truncate", "truncated"),
     ("roll back", "rolled back")],
)  # fmt: skip
def test_each_way_of_meddling_is_called_by_its_name(tampering: str, kind: str) -> None:
    found = privlab.run("ledger", view="book", tampering=tampering)
    assert [problem.kind for problem in found.book.verification.problems] == [kind]
    assert found.book.found != found.book.written
    assert str(found.book.verification) in found.sentence


def test_an_honest_book_is_whole() -> None:
    found = privlab.run("ledger", view="book", epsilon=0.1, look_epsilon=10)
    assert found.book.verification
    assert found.book.found == found.book.written
    assert found.count == 8
    assert set(TAMPERINGS) == {"nothing", "edit", "delete", "reorder", "truncate", "roll back"}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "place").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "place"))
    monkeypatch.setattr(heads.platformdirs, "user_data_dir", lambda *_, **__: str(tmp_path / "own"))
    privlab.run("ledger", view="book", tampering="roll back")
    privlab.run("ledger", looks=3)
    assert [path.name for path in tmp_path.rglob("*")] == ["place"]


def test_the_picture_marks_every_move_and_every_bad_box() -> None:
    picture = experiment.Picture(Figure(figsize=experiment.Picture.size))
    found = privlab.run("ledger", looks=20)
    assert picture.update(found)
    budget, book = picture.scenes["budget"], picture.scenes["book"]
    for fate, mark in budget.marks.items():
        assert len(mark.get_xdata()) == found.fates.count(fate)
    assert budget.lines["ledger"].get_ydata()[-1] == pytest.approx(100 * found.ledger[-1] / 3)
    assert not picture.update(privlab.run("ledger", looks=20, epsilon=5)), "axes keep still"
    assert picture.update(privlab.run("ledger", view="book", tampering="delete"))
    assert not budget.ax.get_visible()
    texts = [box.get_text() for box in book.rows[1]]
    assert texts[2].startswith("4\n")
    assert texts[-1] == "–\ngone"
    assert "entry 3 is gone: it was deleted" in book.words.get_text().replace("\n", " ")
