"""Policy checks: rules in a file, checked before training and before release, each with its evidence and its remedy.

A rule names the articles of the GDPR (Regulation (EU) 2016/679) that it gives evidence for. Passing them all does not
say that a law is kept: that is for people to judge, and the checks give them something to judge by.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from privlab import datasets
from privlab.ledger import BrokenLedgerError, Charge, Ledger

__all__ = ["DEFAULT", "RULES", "Check", "Facts", "Gate", "Policy", "PolicyError", "check"]

DEFAULT = Path(__file__).with_name("policy.toml")
Moment = Literal["training", "release"]
MOMENTS: tuple[Moment, ...] = ("training", "release")


class PolicyError(RuntimeError):
    """A rule of the policy blocks; the message names each with its value and its remedy."""

    refuses = True  # told to a person in its own words: it is no fault


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when a policy is checked: counts and names, never a person's value. None: not known, so not shown.

    Attributes
    ----------
    epsilon, delta : float
        What all releases together cost, those that are planned included.
    people : int
        How many people there are.
    ledger_problems : tuple of str
        What an inspection of the ledger found; empty: it is whole.
    purpose : str
        What the data is used for.
    without_consent : int
        People in the data who have not agreed to that purpose.
    columns : tuple of str
        Names of the columns used.
    leaks : tuple of str
        Bounds, categories or counts that were read from the data instead of declared.
    smallest_group : int
        The fewest people that anything published is about.
    oldest_days : float
        Age of the oldest record.
    withdrawn : int
        People in the data who have withdrawn.
    audited : float
        A lower bound on ε that an audit has found.
    promised : float
        The ε that the audited release promises.
    """

    epsilon: float | None = None
    delta: float | None = None
    people: int | None = None
    ledger_problems: tuple[str, ...] | None = None
    purpose: str | None = None
    without_consent: int | None = None
    columns: tuple[str, ...] | None = None
    leaks: tuple[str, ...] | None = None
    smallest_group: int | None = None
    oldest_days: float | None = None
    withdrawn: int | None = None
    audited: float | None = None
    promised: float | None = None


Judgement = tuple[bool, str]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    needs : tuple of str
        The facts without which it fails.
    setting : str
        What the policy's file must say about it; empty: nothing.
    judge : callable
        (facts, value of the setting) -> whether it passes, and the evidence.
    remedy : str
    articles : tuple of str
        Of the GDPR, that it gives evidence for.
    early : bool
        Whether it is checked before training too; before release all are.
    """

    needs: tuple[str, ...]
    setting: str
    judge: Callable[[Any, Any], Judgement]
    remedy: str
    articles: tuple[str, ...]
    early: bool = True


def _columns(facts: Any, forbidden: Iterable[str]) -> Judgement:
    bad = sorted({name.lower() for name in forbidden} & {name.lower() for name in facts.columns})
    if bad:
        return False, f"forbidden columns used: {', '.join(bad)}"
    return True, f"{len(facts.columns)} columns, none forbidden"


def _none(name: str, what: str) -> Callable[[Any, Any], Judgement]:
    return lambda facts, _: (getattr(facts, name) == 0, f"{getattr(facts, name):,} {what}")


def _listed(name: str, good: str, bad: str) -> Callable[[Any, Any], Judgement]:
    def judge(facts: Any, _: Any) -> Judgement:
        found = getattr(facts, name)
        return not found, f"{bad}{'; '.join(found)}" if found else good

    return judge


RULES: Mapping[str, Rule] = {
    "epsilon": Rule(
        ("epsilon",), "max", lambda f, most: (f.epsilon <= most, f"ε = {f.epsilon:.3g}, at most {most:g}"),
        "Add noise, release less, or let the people who answer for the data decide on another budget.",
        ("5(1)(c)", "25", "32"),
    ),
    "delta": Rule(
        ("delta", "people"), "times_people_below",
        lambda f, below: (
            f.delta * f.people < below, f"δ × {f.people:,} people = {f.delta * f.people:.3g}, below {below:g}"
        ),
        "Choose a smaller δ: below 1/n, so that giving one person away whole is not covered by it.",
        ("25", "32"),
    ),
    "ledger": Rule(
        ("ledger_problems",), "", _listed("ledger_problems", "the ledger is whole", "the ledger is not whole: "),
        "Charge every release to a ledger, and find out who changed the file.",
        ("5(2)", "32"),  # accountability; Art. 30 asks for a record of processing, which a ledger is not
    ),
    "purpose": Rule(
        ("purpose",), "allowed",
        lambda f, allowed: (f.purpose in allowed, f"purpose '{f.purpose}', allowed: {', '.join(allowed)}"),
        "Use the data for what it was collected for, or ask for a new purpose.",
        ("5(1)(b)", "6"),
    ),
    "consent": Rule(
        ("without_consent",), "", _none("without_consent", "people have not agreed to the purpose"),
        "Leave out whoever has not agreed.",
        ("6", "7"),
    ),
    "columns": Rule(
        ("columns",), "forbidden", _columns,
        "Leave these columns out before anything is trained.",
        ("5(1)(c)", "9"),
    ),
    "bounds": Rule(
        ("leaks",), "", _listed("leaks", "all bounds are declared", "read from the data: "),
        "Declare them from public knowledge: privlab.Schema.confirm.",
        ("25",),
    ),
    "retention": Rule(
        ("oldest_days",), "max_days",
        lambda f, most: (f.oldest_days <= most, f"oldest record: {f.oldest_days:,.0f} days, at most {most:,}"),
        "Delete what is older.",
        ("5(1)(e)",),
    ),
    "erasure": Rule(
        ("withdrawn",), "", _none("withdrawn", "people who have withdrawn are still in the data"),
        "Take them out and train anew.",
        ("17",),
    ),
    "groups": Rule(
        ("smallest_group",), "min",
        lambda f, least: (f.smallest_group >= least, f"smallest group: {f.smallest_group:,}, at least {least:,}"),
        "Merge or leave out groups that are smaller.",
        ("25", "89"), early=False,
    ),
    "audit": Rule(
        ("audited", "promised"), "",
        lambda f, _: (f.audited <= f.promised, f"an audit found ε ≥ {f.audited:.3g}, promised is {f.promised:.3g}"),
        "Run an audit; if it refutes the promise, the training has a fault: find it before anything is released.",
        ("32", "35"), early=False,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """What became of one rule.

    Attributes
    ----------
    rule : str
    passed : bool
    evidence, remedy : str
        What was found; what to do about it.
    articles : tuple of str
        Of the GDPR, that the evidence is for.
    """

    rule: str
    passed: bool
    evidence: str
    remedy: str
    articles: tuple[str, ...]

    def __str__(self) -> str:
        start = f"{self.rule}: {self.evidence} (evidence for GDPR Art. {', '.join(self.articles)})"
        return f"passed · {start}" if self.passed else f"BLOCKS · {start}. {self.remedy}"

    __repr__ = __str__


@dataclass(frozen=True)
class Policy:
    """Rules and their settings.

    Attributes
    ----------
    rules : mapping
        By rule, the value of its setting; None for a rule without one.
    """

    rules: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | os.PathLike[str] = DEFAULT) -> Policy:
        """Read a policy's TOML file; what it does not know in it is an error, so that no rule is off by a slip.

        Raises
        ------
        ValueError, TypeError
            For an unknown rule or setting, or a missing one.
        """
        found = {}
        for name, table in tomllib.loads(Path(path).read_text("utf-8")).items():
            if name not in RULES:
                raise ValueError(f"A policy's rules must be among {', '.join(RULES)}. Got {name!r}.")
            setting = RULES[name].setting
            if not isinstance(table, dict) or set(table) != ({setting} if setting else set()):
                wanted = f"one setting, {setting!r}" if setting else "no setting"
                raise ValueError(f"Rule [{name}] of a policy must have {wanted}. Got something else.")
            found[name] = _checked(name, setting, table[setting]) if setting else None
        return cls(found)

    def check(self, facts: Facts, before: Moment = "release") -> list[Check]:
        """Check every rule that is due at that moment."""
        if before not in MOMENTS:
            raise ValueError(f"'before' must be one of {', '.join(MOMENTS)}. Got {before!r}.")
        due = (name for name in self.rules if RULES[name].early or before == "release")
        return [_check(name, self.rules[name], facts) for name in due]


def _checked(name: str, setting: str, value: Any) -> Any:
    words = setting in ("allowed", "forbidden")
    right = (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
        if words
        else isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    )
    if not right:
        kind = "a list of texts" if words else "a number of at least 0"
        raise TypeError(f"'{setting}' of rule [{name}] must be {kind}. Got another value.")
    return tuple(value) if words else value


def _check(name: str, value: Any, facts: Facts) -> Check:
    rule = RULES[name]
    unknown = [need for need in rule.needs if getattr(facts, need) is None]
    passed, evidence = (False, f"not known: {', '.join(unknown)}") if unknown else rule.judge(facts, value)
    return Check(name, bool(passed), evidence, rule.remedy, rule.articles)


def gather(
    facts: Facts,
    *,
    dataset: str | datasets.Dataset | None = None,
    ledger: Ledger | None = None,
    charges: Iterable[Charge] = (),
    **more: Any,
) -> Facts:
    """Facts, with what a data set's card and a ledger say where they are given; see `check`."""
    found: dict[str, Any] = {}
    if dataset is not None:
        card = dataset.card if isinstance(dataset, datasets.Dataset) else datasets.card(dataset)
        columns = tuple(column.name for column in (*card.schema.columns, card.schema.target))
        found = {"people": card.n, "leaks": card.leaks, "columns": columns}
    if ledger is not None:
        problems = tuple(problem.words for problem in ledger.verify().problems)
        found |= {"delta": ledger.delta, "ledger_problems": problems}
        with suppress(BrokenLedgerError):  # whose end is spoilt does not know what was spent
            found["epsilon"] = ledger.would_spend(*charges)
    known = {field.name for field in fields(Facts)}
    for name in more:
        if name not in known:
            raise TypeError(f"Facts must be among {', '.join(sorted(known))}. Got {name!r}.")
    return replace(facts, **(found | more))


def check(
    policy: Policy | str | os.PathLike[str] | None = None,
    *,
    before: Moment = "release",
    dataset: str | datasets.Dataset | None = None,
    ledger: Ledger | None = None,
    charges: Iterable[Charge] = (),
    **facts: Any,
) -> list[Check]:
    """Check a policy.

    Parameters
    ----------
    policy : Policy or path, optional
        Default: the one that comes with privlab, `policy.DEFAULT`.
    before : {"release", "training"}
        Before training, what can only be known afterwards is left out.
    dataset : str or Dataset, optional
        Whose card tells the number of people, the columns, and what was read from the data.
    ledger : Ledger, optional
        Tells what was spent, δ, and whether it is whole.
    charges : iterable of Charge
        Planned: added to what was spent.
    **facts
        Fields of `Facts`; they go before what the card and the ledger say.

    Returns
    -------
    list of Check
        One a rule. A rule whose facts are not known fails: what nobody looked at is no evidence.

    Examples
    --------
    ``privlab.check(dataset="adult", ledger=ledger, purpose="teaching", without_consent=0)``
    """
    known = policy if isinstance(policy, Policy) else Policy.read(DEFAULT if policy is None else policy)
    return known.check(gather(Facts(), dataset=dataset, ledger=ledger, charges=charges, **facts), before)


class Gate:
    """A policy with what is known beforehand, to be passed before each training and each release.

    Parameters
    ----------
    policy : Policy or path, optional
        As in `check`.
    **facts
        Fields of `Facts` that stay the same.
    """

    def __init__(self, policy: Policy | str | os.PathLike[str] | None = None, **facts: Any) -> None:
        self.policy = policy if isinstance(policy, Policy) else Policy.read(DEFAULT if policy is None else policy)
        self.facts = gather(Facts(), **facts)

    def require(self, before: Moment, **more: Any) -> list[Check]:
        """The checks, if all have passed; `more` as in `check`.

        Raises
        ------
        PolicyError
            If a rule blocks: names each with its value and its remedy.
        """
        checks = self.policy.check(gather(self.facts, **more), before)
        if blocks := [str(one) for one in checks if not one.passed]:
            raise PolicyError(f"The policy stops this before {before}. " + " ".join(blocks))
        return checks
