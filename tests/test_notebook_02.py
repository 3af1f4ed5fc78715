"""The notebook on noise and bounds runs, and its questions tell right answers from wrong ones."""

from collections.abc import Iterator

import pytest

import privlab
from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def bounds() -> Iterator[Reader]:
    yield from read("02_noise_and_bounds.ipynb")


def test_every_panel_is_shown_and_the_release_to_take_home_runs(bounds: Reader) -> None:
    both = {"open-worlds", "open-attackers", "open-digits"}
    assert views(bounds) == {"panel", "errors", "people", "histogram", "median-panel"} | both
    assert printed(bounds.cells["home"]).startswith("bound ")


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("tenth", [10], [0, 1, 0.1, 100, 3]),
        ("part", ["bias"], ["noise"]),
        ("best", [46.4, 45, 50], [100, 10, 25, 80, 0]),
        ("rows", [5], [0, 1, 25, 2.2]),
        ("nearer", ["median"], ["mean"]),
    ],
)
def test_questions_tell_right_from_wrong(question: str, right: list[object], wrong: list[object]) -> None:
    for given in right:
        assert privlab.answer(f"bounds.{question}", given), given
    for given in wrong:
        assert not privlab.answer(f"bounds.{question}", given), given


def test_the_placeholders_are_wrong_and_the_panel_is_read(bounds: Reader) -> None:
    for cell in ("tenth", "part", "best-check", "rows-check", "median-check"):
        (output,) = bounds.cells[cell].outputs
        assert output["data"]["text/plain"].startswith("Not yet."), cell
    told = bounds.run("errors.set(upper=46.4)\nprint(privlab.answer('bounds.best', errors.settings.upper))")
    assert told.startswith("Yes.")


def test_the_prose_tells_what_is_seen() -> None:
    strict, loose = (privlab.run("statistics", epsilon=epsilon, releases=2000) for epsilon in (0.1, 1))
    assert (abs(strict.released - strict.truths) > 1000).mean() > 0.05
    assert 1000 / float(strict.truths) == pytest.approx(1 / 3, abs=0.03)
    assert loose.within < 0.05 * float(loose.truths)
    assert loose.curve.upper[loose.curve.best] > strict.curve.upper[strict.curve.best]
    assert strict.bounds == (0, 20000)
    one = privlab.run("statistics", dataset="rand", column="income", statistic="sum", upper=50, contributions=1)
    assert -one.parts[0] > float(one.truths) / 2


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("limit", [88, 88.1], [99, 50, 74, 95]),
        ("epsilon", [0.5, 0.54], [1, 0.6, 0.1, 0.3]),
        ("digits", ["numpy", "NumPy"], ["opendp", "both", "neither"]),
    ],
)
def test_questions_on_two_worlds_tell_right_from_wrong(question: str, right: list[object], wrong: list[object]) -> None:
    for given in right:
        assert privlab.answer(f"worlds.{question}", given), given
    for given in wrong:
        assert not privlab.answer(f"worlds.{question}", given), given


def test_placeholders_on_two_worlds_are_wrong(bounds: Reader) -> None:
    for name in ("limit", "epsilon", "digits"):
        assert bounds.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"].startswith("Not yet.")
