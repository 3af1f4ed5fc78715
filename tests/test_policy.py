"""Policy checks: each control, once broken, fails its own rule and no other, and what is not known blocks."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import privlab
from privlab import policy
from privlab.ledger import Charge, Ledger
from privlab.policy import Check, Facts, Gate, Policy, PolicyError
from tests.charging import opened
from tests.test_ledger import MEMORY

GOOD = Facts(
    epsilon=2.0, delta=1e-6, people=10_000, ledger_problems=(), purpose="research", without_consent=0,
    columns=("age", "education"), leaks=(), smallest_group=12, oldest_days=100, withdrawn=0, audited=1.2, promised=2.0,
)  # fmt: skip

BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("epsilon", {"epsilon": 3.01}, "ε = 3.01, at most 3"),
    ("epsilon", {"epsilon": float("nan")}, "ε = nan"),
    ("delta", {"delta": 1e-4}, "δ × 10,000 people = 1, below 1"),
    ("ledger", {"ledger_problems": ("entry 3 is gone: it was deleted",)}, "the ledger is not whole: entry 3 is gone"),
    ("purpose", {"purpose": "marketing"}, "purpose 'marketing', allowed: teaching, research"),
    ("consent", {"without_consent": 3}, "3 people have not agreed to the purpose"),
    ("columns", {"columns": ("age", "Race")}, "forbidden columns used: race"),
    ("bounds", {"leaks": ("bounds of age",)}, "read from the data: bounds of age"),
    ("groups", {"smallest_group": 9}, "smallest group: 9, at least 10"),
    ("retention", {"oldest_days": 1096}, "oldest record: 1,096 days, at most 1,095"),
    ("erasure", {"withdrawn": 1}, "1 people who have withdrawn are still in the data"),
    ("audit", {"audited": 2.5}, "an audit found ε ≥ 2.5, promised is 2"),
]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield opened(place, epsilon=6, delta=1e-5)


def failed(checks: list[Check]) -> list[str]:
    return [one.rule for one in checks if not one.passed]


def test_all_pass_when_all_is_well() -> None:
    checks = Policy.read().check(GOOD)
    assert [one.rule for one in checks] == list(Policy.read().rules)
    assert set(Policy.read().rules) == set(policy.RULES)
    assert failed(checks) == []


@pytest.mark.parametrize(("rule", "change", "evidence"), BROKEN)
def test_a_broken_control_fails_its_own_rule_and_no_other(rule: str, change: dict[str, Any], evidence: str) -> None:
    checks = Policy.read().check(replace(GOOD, **change))
    assert failed(checks) == [rule]
    (one,) = [one for one in checks if not one.passed]
    assert evidence in one.evidence
    with pytest.raises(PolicyError) as error:
        Gate(**vars(replace(GOOD, **change))).require("release")
    for words in (f"BLOCKS · {rule}:", evidence, policy.RULES[rule].remedy):
        assert words in str(error.value)


def test_every_rule_has_a_control_that_is_broken_above() -> None:
    assert {rule for rule, *_ in BROKEN} == set(policy.RULES)


@pytest.mark.parametrize("name", [field.name for field in fields(Facts)])
def test_what_is_not_known_blocks(name: str) -> None:
    checks = Policy.read().check(replace(GOOD, **{name: None}))
    assert failed(checks) == [rule for rule, one in policy.RULES.items() if name in one.needs]
    assert all(f"not known: {name}" in one.evidence for one in checks if not one.passed)


def test_before_training_only_what_can_be_known_then_is_checked() -> None:
    early = [one.rule for one in Policy.read().check(GOOD, "training")]
    assert set(policy.RULES) - set(early) == {"groups", "audit"}
    with pytest.raises(ValueError, match=r"'before' must be one of training, release. Got 'later'"):
        privlab.check(before="later")


def test_every_article_is_given_evidence_and_no_text_claims_a_law_is_kept() -> None:
    articles = {article for rule in policy.RULES.values() for article in rule.articles}
    assert articles == {"5(1)(b)", "5(1)(c)", "5(1)(e)", "5(2)", "6", "7", "9", "17", "25", "32", "35", "89"}
    assert policy.RULES["ledger"].articles == ("5(2)", "32")
    texts = [str(one) for facts in (GOOD, Facts()) for one in Policy.read().check(facts)]
    texts += [policy.__doc__ or "", policy.DEFAULT.read_text("utf-8")]
    for text in texts:
        assert not {"compliant", "compliance", "complies", "lawful", "legal"} & set(text.lower().split())
    assert all("evidence for GDPR Art. " in text for text in texts[:-2])
    assert "does not\nsay that a law is kept" in (policy.__doc__ or "")


def test_facts_come_from_the_card_and_the_ledger(ledger: Ledger) -> None:
    ledger.charge(epsilon=1, what="a")
    planned = [Charge(what="b", epsilon=1.5)]
    facts = policy.gather(Facts(), dataset="german", ledger=ledger, charges=planned)
    assert facts.epsilon == pytest.approx(2.5)
    assert (facts.delta, facts.people, facts.leaks, facts.ledger_problems) == (1e-5, 1000, (), ())
    assert facts.columns is not None
    assert {"age", "credit"} <= set(facts.columns)
    assert policy.gather(GOOD, dataset="german", people=5).people == 5
    found = {one.rule: one for one in privlab.check(dataset="german", ledger=ledger, charges=planned)}
    assert "ε = 2.5, at most 3" in str(found["epsilon"])
    assert found["delta"].passed
    assert str(found["delta"]).startswith("passed · delta: δ × 1,000 people = 0.01, below 1")
    assert (
        failed(privlab.check(ledger=ledger, charges=[Charge(what="b", epsilon=2.5)], before="training"))[0] == "epsilon"
    )
    with pytest.raises(TypeError, match=r"Facts must be among audited, .*. Got 'audit'"):
        privlab.check(audit=1)


def test_a_meddled_ledger_fails_its_own_rule(ledger: Ledger) -> None:
    for number in range(3):
        ledger.charge(epsilon=0.1, what=f"release {number}")
    with sqlite3.connect(ledger.path) as file:
        file.execute("DELETE FROM entries WHERE number = 2")
    file.close()
    known = {name: value for name, value in vars(GOOD).items() if name not in ("epsilon", "delta", "ledger_problems")}
    assert failed(privlab.check(ledger=ledger, **known)) == ["ledger"]
    with sqlite3.connect(ledger.path) as file:
        file.execute("DELETE FROM entries WHERE number = 3")
    file.close()
    assert failed(privlab.check(ledger=ledger, **known)) == ["epsilon", "ledger"], "what was spent is not known"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[epsilom]\nmax = 3", ValueError, "A policy's rules must be among epsilon, .* Got 'epsilom'"),
        ("[epsilon]\nmaximum = 3", ValueError, r"Rule \[epsilon\] of a policy must have one setting, 'max'"),
        ("[epsilon]", ValueError, "one setting, 'max'"),
        ("[audit]\nmax = 3", ValueError, "must have no setting"),
        ("epsilon = 3", ValueError, "one setting, 'max'"),
        ("[epsilon]\nmax = 'much'", TypeError, r"'max' of rule \[epsilon\] must be a number of at least 0"),
        ("[groups]\nmin = nan", TypeError, "must be a number of at least 0"),
        ("[purpose]\nallowed = 'all'", TypeError, "'allowed' of rule .* must be a list of texts"),
    ],
)
def test_a_slip_in_the_file_is_an_error(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(error, match=message):
        Policy.read(path)


def test_a_file_of_ones_own_says_what_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[epsilon]\nmax = 1\n[audit]\n", "utf-8")
    assert [one.rule for one in privlab.check(path, **vars(GOOD))] == ["epsilon", "audit"]
    assert failed(privlab.check(path, **vars(GOOD))) == ["epsilon"]


def test_private_mode_passes_the_gate_before_training_and_before_release(ledger: Ledger) -> None:
    known = {
        name: getattr(GOOD, name)
        for name in ("purpose", "without_consent", "oldest_days", "withdrawn", "smallest_group", "audited", "promised")
    }
    asked: dict[str, Any] = {"ledger": ledger, "dataset": "breast_cancer", "delta": 1e-4, "epsilon": 0.5}
    with pytest.raises(PolicyError, match=r"before training\. BLOCKS · purpose: purpose 'marketing'"):
        privlab.run("tradeoff", gate=Gate(**known | {"purpose": "marketing"}), **asked)
    assert ledger.spent() == 0
    with pytest.raises(PolicyError, match=r"before training\. BLOCKS · epsilon: ε = [4-9]"):
        privlab.run("tradeoff", gate=Gate(**known), **asked | {"epsilon": 3})
    assert ledger.spent() == 0
    with pytest.raises(PolicyError, match=r"before release\. BLOCKS · audit: an audit found ε ≥ 9"):
        privlab.run("tradeoff", gate=Gate(**known | {"audited": 9}), **asked)
    spent = ledger.spent()
    assert spent > 0, "trained, and not shown"
    found = privlab.run("tradeoff", gate=Gate(**known), **asked)
    assert found.count == 1
    assert ledger.spent() == spent, "it was paid for"


def test_a_gate_without_a_ledger_is_refused() -> None:
    for attempt in (privlab.run, privlab.explore):
        with pytest.raises(ValueError, match="'gate' must come with 'ledger'"):
            attempt("ledger", gate=Gate())


def test_a_panel_says_which_rule_blocks(ledger: Ledger) -> None:
    gate = Gate(Policy({"epsilon": 1.5}))
    panel = privlab.explore("tradeoff", ledger=ledger, gate=gate, dataset="breast_cancer", epsilon=0.5)
    panel.wait()
    shown = panel._picture.value
    panel.set(epsilon=2)
    with pytest.raises(PolicyError):
        panel.wait()
    assert "BLOCKS · epsilon" in panel._problem.value
    assert panel._picture.value == shown
    panel.close()
