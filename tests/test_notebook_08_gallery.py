"""Notebook 08, the gallery: panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    yield from read("08_gallery_part.ipynb")


def test_every_panel_is_shown(reader: Reader) -> None:
    assert {"open-gallery", "open-grid"} <= views(reader)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("microbatches", [0.5, 1 / 2], [1, 2, 0.25, 0.7]),
        ("hides", [1, 0.5, 0.1], [1.1, 4, 0]),
        ("finds", ["'noise'"], ["'sensitivity'", "'sampling'", "'replay'"]),
        ("passed", ["'nothing'"], ["'true'", "'false'"]),
    ],
)
def test_answers_are_judged(reader: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert reader.run(f"print(privlab.answer('gallery.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(reader: Reader) -> None:
    for name in ("microbatches", "hides", "finds", "passed"):
        shown = reader.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_the_panel_that_hides_the_bug_gives_the_answer(reader: Reader) -> None:
    move = "gallery.set(bug='unscaled_noise', clip_norm={})\nprint(gallery.wait().sentence)"
    assert "is not caught" in reader.run(move.format(1.0))
    assert reader.run("print(privlab.answer('gallery.hides', gallery.settings.clip_norm))").startswith("Yes.")
    assert "is caught by “noise”" in reader.run(move.format(1.5))


def test_what_the_text_says_is_true(reader: Reader) -> None:
    slopes = [float(line.split()[-1]) for line in printed(reader.cells["fit-line"]).splitlines()]
    assert slopes[0] > 1e100
    assert slopes[1] < 1e6
    told = printed(reader.cells["libraries"])
    assert told.count("is caught by") == 3
    assert told.count("Its sound twin passes every check.") == 3
    far = reader.run(
        "found = privlab.run('gallery', bug='clip_late')\nprint(found.of('clip_late', True).findings[0].statistic)"
    )
    assert float(far) == pytest.approx(17, abs=0.5)
