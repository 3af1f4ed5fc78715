"""Notebook 10: the panels are shown, right answers are told from wrong ones, and its numbers are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.test_notebooks import Reader, printed, read, views

QUESTIONS = ("shares", "packed", "bits", "room", "helps", "bounded")


@pytest.fixture(scope="module")
def sealed() -> Iterator[Reader]:
    yield from read("10_encrypted.ipynb")


def test_every_panel_is_shown(sealed: Reader) -> None:
    assert views(sealed) == {"open-sum", "open-predict", "open-train", "open-side"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("shares", ["'nothing'"], ["'roughly'", "'half'"]),
        ("packed", [2048, 2048.0], [100, 4096, 1000, 2000]),
        ("bits", [27], [26, 28, 22, 50]),
        ("room", ["'products'"], ["'people'", "'memory'"]),
        ("helps", ["'noise'"], ["'bits'", "'ring'"]),
        ("bounded", [2], [5, 3, 1, 0]),
    ],
)
def test_answers_are_judged(sealed: Reader, name: str, right: list[object], wrong: list[object]) -> None:
    for answers, word in ((right, "Yes."), (wrong, "Not yet.")):
        for given in answers:
            assert sealed.run(f"print(privlab.answer('encrypted.{name}', {given}))").startswith(word), given


def test_placeholders_are_wrong(sealed: Reader) -> None:
    for name in QUESTIONS:
        shown = sealed.cells[f"answer-{name}"].outputs[-1]["data"]["text/plain"]
        assert shown.startswith("Not yet."), name


def test_the_pieces_make_the_whole(sealed: Reader) -> None:
    *pieces, whole = (int(line.split()[-1]) for line in printed(sealed.cells["tear"]).splitlines())
    assert whole == 42 == sum(pieces) % 2**64
    assert len(set(pieces)) == 3


def test_the_attack_finds_as_much_behind_encryption_and_little_behind_noise(sealed: Reader) -> None:
    plain, opened, noisy = (
        tuple(map(float, re.findall(r"0\.\d+", printed(sealed.cells[name]))))
        for name in ("in-the-clear", "sealed", "with-noise")
    )
    assert plain == opened
    assert plain[1] > 0.6
    assert plain[0] - noisy[0] > 0.1
    assert noisy[0] < 0.56
    apart = sealed.run("print(np.abs(scores - models(0, np.inf) @ rows.T).max())")
    assert 0 < float(apart) < 1e-4, "sealed scores are not those in the clear, but near"


def test_what_the_text_says_of_cost_is_true(sealed: Reader) -> None:
    said = sealed.run(
        "found = total.wait().result\n"
        "sent = {way: costs[0].sent for way, costs in found.rows.items()}\n"
        "spent = {way: costs[0].seconds for way, costs in found.rows.items()}\n"
        "print(sent['shares', 0] / sent['plain', 0], sent['ckks', 4096] / sent['plain', 0])\n"
        "print(1e3 * spent['shares', 0] / 20, spent['paillier', 0] == max(spent.values()))\n"
        "print(found.rows['shares', 0][0].error == found.rows['paillier', 0][0].error)"
    )
    bytes_said, times, same = said.splitlines()
    shares, sealed_up = map(float, bytes_said.split())
    assert shares == pytest.approx(3, rel=0.01)
    assert 60 < sealed_up < 80
    assert float(times.split()[0]) < 1
    assert times.split()[1] == same == "True"


def test_what_the_text_says_of_predictions_is_true(sealed: Reader) -> None:
    said = sealed.run(
        "few, many = (privlab.run('encrypted', count=count, seeds=1) for count in (10, 1000))\n"
        "print(many.held[0].sent / few.held[0].sent)\n"
        "print(*(few.rows['ckks', 2 * N][0].sent / few.rows['ckks', N][0].sent for N in (4096, 8192)))"
    )
    crowd, *doubled = map(float, said.split())
    assert crowd == pytest.approx(1, rel=0.02)
    assert doubled == pytest.approx([2, 2], rel=0.05)


def test_what_the_text_says_of_training_is_true(sealed: Reader) -> None:
    said = sealed.run(
        "found = training.wait().result\n"
        "quickest = [min(one.seconds for one in costs) for costs in (found.held, found.rows['plain', 0])]\n"
        "print(quickest[0] / quickest[1], found.held[0].error)\n"
        "print(found.why_not('ckks', 4096))"
    )
    numbers, why = said.splitlines()
    slower, error = map(float, numbers.split())
    assert slower > 700
    assert error < 2e-5
    assert why.startswith("no room")


def test_what_the_text_says_side_by_side_is_true(sealed: Reader) -> None:
    said = sealed.run(
        "many, few = side.wait().result, privlab.run('side_by_side', clients=10)\n"
        "print(*[100 * (many.scores[way].mean() - few.scores[way].mean()) for way in many.scores])\n"
        "print(100 * (many.scores['central'].mean() - many.scores['encrypted'].mean()), many.seconds['encrypted'])"
    )
    fallen, cost = said.splitlines()
    central, local, federated, masked, encrypted = map(float, fallen.split())
    assert central == local == encrypted == 0
    assert abs(federated) < 0.5
    assert masked > 2
    lost, seconds = map(float, cost.split())
    assert 1.5 < lost < 3.5
    assert seconds > 300
