"""Notebook 09: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views


@pytest.fixture(scope="module")
def federated() -> Iterator[Reader]:
    yield from read("09_federated.ipynb")


def test_every_panel_is_shown(federated: Reader) -> None:
    assert views(federated) == {"open-together", "open-unlike", "open-view", "open-noise"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("federated.alone", [10, 20, 40], [200, 100, 50, 1]),
        ("federated.split", ["'labels'"], ["'employer'", "'age'"]),
        ("federated.noise", [10, 10.0], [3.16, 100, 1]),
        ("federated.rounds", [6, 6.0], [0.1, 0.77, 60]),
        ("federated.shared", [3], [1, 2, 10]),
        ("federated.collude", ["'others'"], ["'nobody'", "'thief'"]),
    ],
)
def test_answers_are_judged(federated: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert federated.run(f"print(privlab.answer('{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(federated: Reader) -> None:
    for name in ("alone", "split", "shared", "collude", "noise", "rounds"):
        shown = federated.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_a_record_is_read_to_the_last_digit_and_sums_are_exact(federated: Reader) -> None:
    error = float(printed(federated.cells["division"]).split()[-1])
    assert error < 1e-6
    assert printed(federated.cells["masked"]).endswith("True\n")
    assert "at least 3. Got 2." in printed(federated.cells["abort"])


def test_what_adds_the_missing_part_is_said(federated: Reader) -> None:
    assert "python -m privlab federated" in printed(federated.cells["engine-there"])
    without = "import sys\nsys.modules['flwr'] = None\ndeployment.importlib.util.find_spec = lambda name: None\n"
    assert ".[federated]" in federated.check("engine-there", without)


def test_what_the_text_says_of_learning_together_is_true(federated: Reader) -> None:
    said = federated.run(
        "def parts(**values):\n"
        "    r = privlab.run('federated', protect='none', seeds=2, **values)\n"
        "    return [100 * x for x in (r.references.pooled, r.curve.mean[-1], r.references.alone.mean())]\n"
        "print(*parts())\n"
        "print(*parts(clients=40), *parts(clients=50))\n"
        "print(*[parts(split=split, skew=1)[1] for split in ('employer', 'age', 'labels')])"
    )
    first, few, unlike = (list(map(float, line.split())) for line in said.splitlines())
    assert abs(first[0] - first[1]) < 0.5
    assert 2.5 < first[0] - first[2] < 3.8
    assert few[0] - few[2] < 1.1
    assert few[3] - few[5] > 1.0
    assert min(unlike[:2]) > first[0] - 0.5
    assert 1.5 < first[0] - unlike[2] < 3


def test_what_the_text_says_of_the_server_is_true(federated: Reader) -> None:
    said = federated.run(
        "for people in (1, 2, 3):\n"
        "    r = privlab.run('server_view', people=people)\n"
        "    print(*[100 * r.share(what) for what in ('none', 'guess')])"
    )
    one, two, three = (tuple(map(float, line.split())) for line in said.splitlines())
    assert one[0] > 99.9
    assert 60 < two[0] < 75
    assert three[0] < 60
    assert 50 < three[1] < 60


def test_what_the_text_says_of_noise_is_true(federated: Reader) -> None:
    said = federated.run(
        "def mean(**values):\n"
        "    return 100 * privlab.run('federated', **values).curve.mean[-1]\n"
        "print(mean(epsilon=1), mean(epsilon=1, clients=20), mean(epsilon=100))\n"
        "print(*[mean(protect='local', epsilon=e) for e in (1, 8)])"
    )
    central, local = (list(map(float, line.split())) for line in said.splitlines())
    assert central[2] - central[0] < 0.5
    assert 3 < central[0] - central[1] < 6
    assert local[0] < 78 < 81 < local[1]
