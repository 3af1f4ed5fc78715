"""Private mode: what is shown was charged first, what was seen is free, and what does not fit is refused."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import consent, datasets, exact, experiments, kept, mechanisms, private
from privlab.experiments import _tradeoff_private, tradeoff
from privlab.filters import Charge
from privlab.ledger import BudgetExceededError, Ledger
from privlab.panel import Panel
from tests.charging import opened
from tests.test_ledger import MEMORY
from tests.test_panel import every_html, one, press, within

SMALL: dict[str, Any] = {"dataset": "breast_cancer"}


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield opened(place, epsilon=6, delta=1e-4)


def look(ledger: Ledger, **values: Any) -> Any:
    return privlab.run("tradeoff", ledger=ledger, **(SMALL | values))


def test_a_look_releases_one_model_and_one_score_and_both_are_charged(ledger: Ledger) -> None:
    found = look(ledger, epsilon=2)
    assert isinstance(found, experiments.Result)
    settings = found.settings
    model, score = ledger.entries()
    assert model.what == "model: DP-SGD logistic on breast_cancer"
    assert model.charge == {
        "noise_multiplier": settings.noise_multiplier, "sampling_rate": settings.sampling_rate, "steps": settings.steps,
    }  # fmt: skip
    assert score.what == "test score: DP-SGD logistic on breast_cancer"
    at_quarter = privlab.accounting.gaussian_noise_multiplier(epsilon=0.5, delta=settings.delta)
    assert score.charge == {"noise_multiplier": at_quarter, "sampling_rate": 1.0, "steps": 1}
    assert found.bill.charged == pytest.approx(ledger.spent())
    assert found.count == 1
    assert 0.7 < found.look.score <= 1
    rows = len(datasets.load("breast_cancer").evaluation[1])
    assert found.look.noise == pytest.approx(1.96 * at_quarter / rows)
    assert "With ε = 2 and clipping norm C = 1 " in found.sentence
    assert list(found.frame()["score"]) == [found.look.score]


def test_what_was_seen_is_free_and_what_the_look_does_not_depend_on_too(ledger: Ledger) -> None:
    first = look(ledger, epsilon=1)
    spent = ledger.spent()
    for again in ({}, {"view": "clip_norm"}, {"seed": 7, "seeds": 3}):
        found = look(ledger, epsilon=1, **again)
        assert found.look is first.look
        assert (found.bill.charged, found.bill.spent) == (0, spent)
        assert "it spent nothing" in str(found.bill)
    second = look(ledger, epsilon=0.5)
    assert second.bill.charged > 0
    assert [one.settings.epsilon for one in second.looks] == [1, 0.5]
    assert second.held == 1
    assert len(ledger.entries()) == 4
    assert look(ledger, epsilon=0.5, clip_norm=2).bill.charged > 0
    other = look(ledger, dataset="german", epsilon=0.5)
    assert [one.settings.dataset for one in other.looks] == ["german"]
    assert look(Ledger(ledger.path, key=ledger._head.path.parent / "key", head=ledger._head.path), epsilon=1).looks


def test_what_does_not_fit_is_refused_and_nothing_is_charged_or_lost(ledger: Ledger) -> None:
    look(ledger, epsilon=1)
    before = ledger.entries()
    with pytest.raises(BudgetExceededError, match="'model: DP-SGD logistic on breast_cancer'"):
        look(ledger, epsilon=10)
    assert ledger.entries() == before
    assert look(ledger, epsilon=1).bill.charged == 0


def test_it_is_charged_before_anything_is_trained_and_only_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert len(ledger.entries()) == 2
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(exact, "train", fail)
        with contextlib.suppress(KeyboardInterrupt):
            look(ledger, epsilon=1)
    spent = ledger.spent()
    assert spent > 0
    assert look(ledger, epsilon=1).bill.spent == spent
    assert len(ledger.entries()) == 2


def test_one_charge_pays_for_one_release_even_if_two_panels_wait_for_it(ledger: Ledger) -> None:
    runs = [private.Private(tradeoff, ledger).run(tradeoff.Settings.make(**SMALL)) for _ in range(2)]
    charged = next(True for made in runs[0] if made is None and ledger.spent())
    assert charged
    second = [result for result in runs[1] if result is not None][-1]
    first = [result for result in runs[0] if result is not None][-1]
    assert len(ledger.entries()) == 2
    assert first.look is second.look, "the other was made and thrown away"


def test_a_data_set_that_is_forgotten_takes_its_looks_along(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "remove", lambda card: None)
    first, other = look(ledger, epsilon=0.5), look(ledger, dataset="german", epsilon=0.5)
    consent.forget(datasets.load("breast_cancer"))
    assert look(ledger, dataset="german", epsilon=0.5).look is other.look
    again = look(ledger, epsilon=0.5)
    assert again.look is not first.look
    assert again.bill.charged > 0
    assert again.looks == (again.look,)


def test_noise_is_exact_fresh_and_scaled_to_a_whole_person(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def spy(values: Any, *, sensitivity: int, noise_multiplier: float) -> Any:
        if len(values) == 1:
            asked.append((sensitivity, noise_multiplier))
        return discrete_gaussian(values, sensitivity=sensitivity, noise_multiplier=noise_multiplier)

    discrete_gaussian = mechanisms.discrete_gaussian
    monkeypatch.setattr(mechanisms, "discrete_gaussian", spy)
    settings = tradeoff.Settings.make(dataset="rand", epsilon=1, steps=2)
    most = datasets.card("rand").max_rows_per_person
    *_, first = _tradeoff_private.look(settings)
    *_, second = _tradeoff_private.look(settings)
    noise = _tradeoff_private.releases(settings)[1].noise_multiplier
    assert asked == [(most, noise), (most, noise)]
    assert most == 5
    assert first.noise == pytest.approx(1.96 * noise * 5 / len(datasets.load("rand").evaluation[1]))
    rows, p = len(datasets.load("rand").evaluation[1]), first.score
    assert first.people == pytest.approx(1.96 * np.sqrt(5 * p * (1 - p) / rows)), "five rows may all go one way"
    assert not np.array_equal(first.weights.first, second.weights.first)


def test_scores_are_spread_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tradeoff.Settings.make(dataset="german", epsilon=1, steps=1)
    *_, model = _tradeoff_private.look(settings)
    monkeypatch.setattr(exact, "train", lambda *_: model.weights)
    scores = [_tradeoff_private._release(settings).score for _ in range(400)]
    assert np.std(scores) * 1.96 == pytest.approx(model.noise, rel=0.2)


@pytest.mark.parametrize("name", [name for name in experiments.names() if name not in ("tradeoff", "own_data")])
def test_what_declares_no_releases_is_refused_and_a_stand_in_named(ledger: Ledger, name: str) -> None:
    for attempt in (privlab.run, privlab.explore):
        with pytest.raises(ValueError, match=f"'ledger' must be left out for '{name}': .* dataset='adult'"):
            attempt(name, ledger=ledger)
    assert ledger.spent() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": ("dp-sgd-logistic", "dp-sgd-mlp")}, "'models' must be one of dp-sgd-logistic, .* in private mode"),
        ({"models": "diffprivlib-logistic", "unit": "row"}, "Got diffprivlib-logistic"),
        ({"dataset": "diabetes"}, "'dataset' must have classes in private mode"),
        ({"dataset": "rand", "unit": "row"}, "'unit' must be 'person' in private mode"),
    ],
)
def test_what_cannot_be_released_is_refused(ledger: Ledger, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        look(ledger, **values)
    assert ledger.spent() == 0


def test_a_table_read_from_the_data_and_a_large_delta_are_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_own", {})
    table = pd.DataFrame({"x": np.arange(40.0), "y": ["a", "b"] * 20})
    with pytest.warns(privlab.PrivacyLeakWarning):
        own = privlab.from_frame(table, target="y", name="undeclared")
    with pytest.raises(ValueError, match=r"'dataset' must be declared in full for private mode. Read from"):
        look(ledger, dataset=own)
    with pytest.raises(ValueError, match=r"'delta' of the ledger must be below 1/n = 2.05e-05 for 48,842 in 'adult'"):
        look(ledger, dataset="adult")
    with pytest.raises(TypeError, match=r"'ledger' must be a privlab.Ledger. Got str."):
        privlab.run("tradeoff", ledger="a.ledger")
    assert ledger.spent() == 0


def test_results_hold_releases_and_nothing_raw(ledger: Ledger) -> None:
    found = look(ledger, epsilon=1)
    data = datasets.load("breast_cancer")
    lengths = {len(data.evaluation[1]), data.n_train, len(data.X_train)}
    arrays = [value for value in vars(found.look.weights).values() if isinstance(value, np.ndarray)]
    assert arrays
    assert not lengths & {size for array in arrays for size in array.shape}
    assert set(vars(found)) == {"settings", "looks", "held", "bill", "progress"}
    assert set(vars(found.look)) == {"settings", "weights", "score", "noise", "people"}


def test_its_picture_shows_every_look_and_keeps_the_result(ledger: Ledger) -> None:
    for epsilon in (2, 0.5, 0.05):
        found = look(ledger, epsilon=epsilon)
    picture = tradeoff.private.Picture(Figure(figsize=tradeoff.private.Picture.size))
    before = repr(found.frame())
    assert picture.update(found)
    assert list(picture.dots.get_xdata()) == [2, 0.5, 0.05]
    assert list(picture.point.get_xdata()) == [0.05]
    assert not picture.update(look(ledger, epsilon=2))
    assert list(picture.point.get_xdata()) == [2]
    assert picture.bill.get_text() == f"spent: ε = {ledger.spent():.3g} of 6"
    assert picture.update(look(ledger, epsilon=2, view="clip_norm"))
    assert list(picture.dots.get_xdata()) == [1, 1, 1]
    assert repr(found.frame()) == before


def mode(panel: Panel) -> str:
    (found,) = [words for words in every_html(panel) if "privlab-mode" in words and "<style" not in words]
    return found


@pytest.fixture
def panel(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    monkeypatch.setattr("privlab.panel.panel.REST", 0.05)
    made = privlab.explore("tradeoff", ledger=ledger, epsilon=1, **SMALL)
    yield made
    made.close()


def test_teaching_mode_says_so() -> None:
    panel = privlab.explore("ledger", view="book")
    assert "Teaching mode: the truth is shown, and nothing is charged." in mode(panel)
    panel.close()


def test_the_panel_tells_what_a_move_spent(panel: Panel, ledger: Ledger) -> None:
    panel.wait()
    first = ledger.spent()
    assert f"moving this slider spent ε = {first:.3g}." in mode(panel)
    panel.set(epsilon=0.5)
    panel.wait()
    spent = ledger.spent()
    assert f"spent ε = {spent - first:.3g}. {spent:.3g} of the budget ε = 6 is spent, {6 - spent:.3g} left." in mode(
        panel
    )
    panel.set(epsilon=1)
    panel.wait()
    assert "paid for before, so it spent nothing" in mode(panel)
    assert ledger.spent() == spent
    assert "Pin" not in [widget.description for widget in within(panel) if isinstance(widget, ipywidgets.Button)]


def test_a_refusal_keeps_the_last_good_picture(panel: Panel, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    panel.wait()
    shown, result, spent = panel._picture.value, panel.result, ledger.spent()
    panel.set(epsilon=10)
    with pytest.raises(BudgetExceededError):
        panel.wait()
    assert (panel._picture.value, panel.result, ledger.spent()) == (shown, result, spent)
    assert "The budget of ε = 6 at δ = 0.0001 does not allow this" in panel._problem.value
    assert caplog.records == []
    panel.set(epsilon=1)
    panel.wait()
    assert panel._problem.value == ""


def test_a_hand_that_moves_on_pays_for_where_it_rests(panel: Panel, ledger: Ledger) -> None:
    panel.wait()
    before = len(ledger.entries())
    for epsilon in (0.9, 0.8, 0.7, 0.6):
        panel.set(epsilon=epsilon)
        panel._runner.step()
    panel.wait()
    assert len(ledger.entries()) == before + 2
    assert panel.result.look.settings.epsilon == 0.6


def test_its_script_runs_at_the_expense_of_the_ledger(panel: Panel, ledger: Ledger) -> None:
    panel.wait()
    press(panel, "Code")
    code = one(panel, ipywidgets.HTML, value=panel._details.value).value
    assert f"ledger=privlab.Ledger(&#x27;{ledger.path}&#x27;)" in code
    assert "ledger" not in experiments.script("tradeoff", panel.settings)


def test_no_persons_value_is_in_the_ledger_the_result_or_the_widgets(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(datasets, "_own", {})
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=600), "who": [f"person{i}" for i in range(600)], "y": ["a", "b"] * 300})
    table.loc[5, ["x", "who"]] = 0.7654321987, "QxSentinelPerson"
    schema = privlab.Schema.draft(table.drop(columns="who"), target="y").confirm(x=(-9, 9)).confirm("y")
    own = privlab.from_frame(
        table, target="y", schema=schema, person="who", n=600, max_rows_per_person=1, name="sentinels"
    )
    panel = privlab.explore("tradeoff", ledger=ledger, dataset=own)
    panel.wait()
    for button in ("Code", "Promise", "Table", "Export"):
        press(panel, button)
    panel.set(epsilon=10)
    with pytest.raises(BudgetExceededError) as refused:
        panel.wait()
    states = "".join(str(widget.get_state()) for widget in within(panel))
    files = b"".join(path.read_bytes() for path in ledger.path.parent.parent.rglob("*") if path.is_file())
    everything = (
        states.encode() + files + repr(panel.result).encode() + str(refused.value).encode() + caplog.text.encode()
    )
    panel.close()
    for secret in (b"7654321987", b"QxSentinelPerson"):
        for hidden in (secret, secret.hex().encode(), *(base64.b64encode(b"x" * i + secret)[4:-4] for i in range(3))):
            assert hidden not in everything
    assert b"sentinels" in everything, "the data set's own name is"


def test_a_first_look_that_does_not_fit_opens_no_panel(ledger: Ledger) -> None:
    ledger.charge_all(Charge(what="most of it", epsilon=5.9))
    with pytest.raises(BudgetExceededError):
        privlab.explore("tradeoff", ledger=ledger, epsilon=1, **SMALL)
