"""The whole way: rows reconcile, only those who agree and stand in a group are learned from, and ε is upheld."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, anonymity, datasets, dossiers, dpsgd, explain, minimise, pseudonyms
from privlab.experiments import _lifecycle_work as work
from privlab.experiments.lifecycle import Picture, Settings
from privlab.panel import Panel

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def adult() -> Any:
    return datasets.load("adult")


@pytest.fixture(scope="module")
def found() -> Any:
    return privlab.run("lifecycle", seeds=4)


def measure(result: Any, name: str) -> Any:
    (one,) = (one for one in result.measures if one.name == name)
    return one


def test_rows_reconcile_at_every_step(found: Any) -> None:
    for one in found.repeats:
        asked, yes, agree, used = one.flow.stages
        assert asked.kept == 32_561
        assert yes.kept + yes.gone["said_no"] == asked.kept
        assert agree.kept + agree.gone["withdrew"] == yes.kept
        assert used.kept + used.gone["too_few_alike"] == agree.kept
        assert agree.kept == one.agreed.sum()
        assert used.kept == one.used.sum() == one.table.rows
        assert not (one.used & ~one.agreed).any()
    np.testing.assert_allclose([value.mean for value in found.kept][1:3], [0.4, 0.36], atol=0.01)


def test_whoever_is_used_looks_like_k_others_who_agree(adult: Any, found: Any) -> None:
    known = [column for column in found.columns if column in anonymity.KNOWN["adult"]]
    parts = minimise.encoded(adult, adult.X_train)
    codes = np.column_stack([one.codes(parts[one.column.name]) for one in minimise.coarse(adult, known, 1)])
    for one in found.repeats[:2]:
        _, of, sizes = np.unique(codes[one.agreed], axis=0, return_inverse=True, return_counts=True)
        np.testing.assert_array_equal(one.used[one.agreed], sizes[of.ravel()] >= 10)
        assert one.table.k >= 10


def test_only_they_and_only_those_columns_are_trained_on_with_the_noise_of_epsilon(
    adult: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, sweep = [], dpsgd.sweep

    def record(data: Any, plan: Any, *rest: Any) -> Any:
        seen.append((data, plan))
        return sweep(data, plan, *rest)

    monkeypatch.setattr(dpsgd, "sweep", record)
    work._remembered.cache_clear()
    work._audits.cache_clear()
    result = privlab.run("lifecycle", seeds=2, columns=3, coarseness=2, k=20)
    assert result.columns == minimise.order(adult)[:3]
    models = [(data, plan) for data, plan in seen if plan.width == 1]
    audits = [(data, plan) for data, plan in seen if plan.width > 1]
    assert (len(models), len(audits)) == (4, 4)
    for one, (data, plan), (raw, plain) in zip(result.repeats, models[::2], models[1::2], strict=True):
        np.testing.assert_array_equal(
            data.X[:-1, :-1], minimise.features(adult, adult.X_train[one.used], result.columns, 2)
        )
        assert data.units == one.used.sum()
        spent = accounting.epsilon(
            noise_multiplier=float(plan.noise_multiplier[0]), sampling_rate=plan.sampling_rate, steps=plan.steps,
            delta=1e-5,
        )  # fmt: skip
        assert 0.99 < spent <= 1 + 1e-6
        np.testing.assert_array_equal(raw.X[:-1, :-1], adult.X_train)
        assert plain.noise_multiplier[0] == 0
    for _, plan in audits[:2]:
        spent = accounting.epsilon(
            noise_multiplier=float(plan.noise_multiplier[0]), sampling_rate=1.0, steps=plan.steps, delta=1e-5
        )
        assert 0.99 < spent <= 1 + 1e-6
    assert [len(data.X) - 1 for data, _ in audits] == [200, 201, 200, 201]
    assert [plan.noise_multiplier.max() for _, plan in audits[2:]] == [0, 0]
    seen.clear()
    privlab.run("lifecycle", seeds=2, columns=3, coarseness=2, k=20, identifier="hash")
    assert not seen, "another pseudonym needs no training"


def test_measures_are_plain_counts(adult: Any, found: Any) -> None:
    right = np.stack([one.right for one in found.repeats])
    assert measure(found, "the model is right").now.mean == pytest.approx(right.mean())
    rich = np.mean([np.mean(adult.y_train[one.used] == 1) for one in found.repeats])
    assert measure(found, ">50K among them").now.mean == pytest.approx(rich)
    assert measure(found, ">50K among them").raw.mean == pytest.approx(np.mean(adult.y_train == 1))
    records, answers = [], []
    for one in found.repeats:
        sizes, table = one.table.sizes, one.table.table
        records.append(len(sizes) / 32_561)  # one of each group is picked rightly
        answers.append(sizes[(table == 0).any(axis=1)].sum() / 32_561)
    assert measure(found, "record found in the table").now.mean == pytest.approx(np.mean(records))
    assert measure(found, "answer told for sure").now.mean == pytest.approx(np.mean(answers))
    for one in found.measures:
        for value in (one.raw, one.now):
            assert 0 <= value.low <= value.mean <= value.high <= 1
    noticed = measure(found, "noticed in the model")
    assert noticed.limit == explain.guess_limit(1, 1e-5)
    assert noticed.raw.mean == 1
    assert noticed.now.low < noticed.limit
    assert found.bound.lower_bound <= 1


def test_tokens_are_really_made_and_really_attacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonyms.Key, "token", lambda key, kind, value: pseudonyms.plain_hash(value))
    assert work.reversed_share.__wrapped__("token") == 1


def test_a_name_that_can_be_read_back_finds_all_who_are_in_the_table() -> None:
    assert [work.reversed_share(way) for way in ("kept", "hash", "token")] == [1, 1, 0]
    for way in ("kept", "hash"):
        result = privlab.run("lifecycle", seeds=4, identifier=way)
        for name in ("record found in the table", "answer told for sure"):
            assert measure(result, name).now.mean == pytest.approx(result.kept[-1].mean)


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, ()),
        ({"epsilon": 5.0}, ("epsilon",)),
        ({"columns": 11}, ("columns",)),
        ({"k": 5}, ("groups",)),
        ({"columns": 11, "k": 5, "epsilon": 5.0}, ("epsilon", "columns", "groups")),
    ],
)
def test_breaking_a_control_fails_its_own_rule(change: dict[str, Any], rules: tuple[str, ...]) -> None:
    result = privlab.run("lifecycle", **({"seeds": 2} | change))
    assert result.blocks == rules
    assert len(result.checks) == 9
    told = f"stops it: {', '.join(rules)}." if rules else "lets it pass."
    assert result.sentence.endswith(told)


def test_an_audit_that_refutes_the_promise_stops_the_model(found: Any) -> None:
    shown = replace(found.audits[0], bound=replace(found.audits[0].bound, lower_bound=1.5))
    assert replace(found, audits=(shown, found.audits[1])).blocks == ("audit",)
    assert "before the audit" in replace(found, audits=()).sentence


def test_nobody_left_is_said_and_breaks_nothing() -> None:
    result = privlab.run("lifecycle", seeds=2, share=0.01, columns=11, k=1000)
    assert result.flow.kept == 0
    assert measure(result, "the model is right").now.mean == pytest.approx(0.7638, abs=1e-4), "always the same answer"
    assert measure(result, "record found in the table").now.mean == 0
    assert "groups" in result.blocks
    assert "0 of 32,561 people" in result.sentence
    Picture(Figure(figsize=Picture.size)).update(result)


def test_the_picture_shows_what_was_found(found: Any) -> None:
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(found)
    assert picture.counts[0].get_text() == "asked  32,561"
    assert picture.bars[3].get_width() == pytest.approx(100 * found.flow.kept / 32_561)
    for one, (raw, now) in zip(found.measures, picture.marks, strict=True):
        assert raw.get_xdata()[0] == 100 * one.raw.mean
        assert now.get_xdata()[0] == 100 * one.now.mean
    assert picture.limits.get_xdata()[0] == pytest.approx(100 * explain.guess_limit(1, 1e-5))
    assert picture.note.get_text() == "✓ policy lets it pass: all 9 rules"
    stopped = privlab.run("lifecycle", seeds=2, columns=11, k=5)
    picture.update(stopped)
    assert picture.note.get_text() == "✗ policy stops it: columns, groups"
    first = next(result for result in privlab.experiments.get("lifecycle").run(Settings(seeds=3)) if result)
    picture.update(first)
    assert not picture.names[5].get_visible(), "not before it is measured"
    assert picture.note.get_text() == "… policy: waiting for the audit"


def test_the_button_makes_the_dossier_of_what_is_shown() -> None:
    panel = Panel("lifecycle", seeds=2)
    panel.wait()
    panel._buttons["Dossier"].click()
    links = re.findall(r"download='([^']+)' href='data:[^;]+;base64,([^']+)'", panel._details.value)
    assert [name for name, _ in links] == ["privlab-lifecycle.html", "privlab-lifecycle.md"]
    for _, told in links:
        assert dossiers.result_hash(panel.result) in base64.b64decode(told).decode()
    panel.close()
    plain = Panel("linkage")
    assert "Dossier" not in plain._buttons
    plain.close()
