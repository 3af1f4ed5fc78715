"""What became of one population: who is left, how good the model is, and what attackers get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import audit, datasets, explain, policy, uncertainty
from privlab.experiments import _consent_work as asking
from privlab.experiments import _lifecycle_work as work
from privlab.policy import Check, Facts, Policy
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.anonymity import Grouped
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array
    from privlab.flow import Flow

IDENTIFIERS = {"kept": "stays", "hash": "becomes a plain hash", "token": "becomes a keyed token"}
NOT_CHECKED = ("ledger", "retention")  # teaching mode charges nothing, and Adult's rows have no dates
STEPS = ("asked", "said yes", "still agree", "used")


@dataclass(frozen=True)
class Value:
    """A share and its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def counted(cls, mean: float, n: float, half: float = 0.0) -> Value:
        """A share among n people or runs, by Wilson's interval, widened by another half interval."""
        z = 1.96
        centre, spread = mean + z**2 / 2 / n, z * math.sqrt(mean * (1 - mean) / n + (z / 2 / n) ** 2)
        low, high = ((centre + side * spread) / (1 + z**2 / n) for side in (-1, 1))
        return cls(mean, max(0.0, mean - math.hypot(mean - low, half)), min(1.0, mean + math.hypot(high - mean, half)))


@dataclass(frozen=True)
class Measure:
    """One thing that the way changes.

    Attributes
    ----------
    name : str
    kind : {"model", "people", "attacker"}
    raw, now : Value
        At the start, with everything as it was collected, and at the settings.
    line : float, optional
        What to compare with: always the same answer, a coin; NaN: nothing.
    limit : float
        The most that ε allows any attacker; NaN: nothing is proven.
    """

    name: str
    kind: str
    raw: Value
    now: Value
    line: float = math.nan
    limit: float = math.nan


@dataclass(frozen=True)
class Result:
    """A population on its way, again and again.

    Attributes
    ----------
    settings : Settings
    columns : tuple of str
        The columns kept.
    repeats : tuple of Repeat
    raw : bool (repeats, test people)
        Whom models of everything are right about.
    audits : tuple of Audit
        Of the private trainer and of one without noise; empty until they are made.
    progress : float in [0, 1]
    """

    settings: Any
    columns: tuple[str, ...]
    repeats: tuple[work.Repeat, ...]
    raw: Array
    audits: tuple[work.Audit, ...]
    progress: float

    @property
    def count(self) -> int:
        """Models trained."""
        return 2 * len(self.repeats) + sum(2 * one.trials for one in self.audits)

    @property
    def _data(self) -> Dataset:
        return datasets.load(work.DATASET)

    @property
    def flow(self) -> Flow:
        """Where the people of the first repeat went."""
        return self.repeats[0].flow

    @cached_property
    def kept(self) -> tuple[Value, ...]:
        """The share of everybody at each of `STEPS`; the intervals are where one asking falls."""
        counts = np.array([[stage.kept for stage in one.flow.stages] for one in self.repeats], float)
        found = uncertainty.estimate(counts / counts[:, :1])
        return tuple(
            Value(m, max(0.0, m - h), min(1.0, m + h))
            for m, h in zip(found.mean.tolist(), found.release.tolist(), strict=True)
        )

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What the way changes, in the picture's order."""
        right = np.stack([one.right for one in self.repeats])
        floor = float(max(np.mean(self._data.evaluation[1] == 1), np.mean(self._data.evaluation[1] != 1)))
        back = work.reversed_share(self.settings.identifier)
        found = [
            Measure("the model is right", "model", self._accuracy(self.raw), self._accuracy(right), floor),
            *(self._represented(*one) for one in (("sex", 0), ("answer", 1))),
            Measure("record found in the table", "attacker", Value(1, 1, 1), self._found(back, "found")),
            Measure("answer told for sure", "attacker", Value(1, 1, 1), self._found(back, "certain")),
        ]
        if self.audits:
            now, raw = (Value.counted(one.right / one.trials, one.trials) for one in self.audits)
            most = explain.guess_limit(self.settings.epsilon, asking.DELTA)
            found.append(Measure("noticed in the model", "attacker", raw, now, 0.5, most))
        return tuple(found)

    def _accuracy(self, right: Array) -> Value:
        each = right.mean(axis=1)
        return Value.counted(float(each.mean()), right.shape[1], float(uncertainty.estimate(each[:, None]).band[0]))

    def _represented(self, role: str, code: int) -> Measure:
        of = asking.groups(self._data, role)
        start = float(np.mean(of.train == code))
        shares = np.array([[np.mean((of.train == code)[one.used]) if one.used.any() else 0.0] for one in self.repeats])
        found = uncertainty.estimate(shares)
        mean, half = float(found.mean[0]), float(found.band[0])
        now = Value(mean, max(0.0, mean - half), min(1.0, mean + half))
        name = {"sex": "women among them", "answer": f"{of.names[code]} among them"}[role]
        return Measure(name, "people", Value(start, start, start), now)

    def _found(self, back: float, what: str) -> Value:
        """Of everybody who was asked, the share that an attacker with the table finds, or knows the answer of."""
        kept, parts = [], []
        for one in self.repeats:
            if one.table.rows:
                told = one.table.share(_per_group(one.table, what))
                kept.append(one.table.rows / len(one.used))
                parts.append(back + (1 - back) * np.array(told))
        if not kept:
            return Value(0, 0, 0)
        each = np.array([share * part[0] for share, part in zip(kept, parts, strict=True)])
        half = float(uncertainty.estimate(each[:, None]).band[0]) if len(each) > 1 else 0.0
        low, high = (
            float(np.mean([share * abs(part[end] - part[0]) for share, part in zip(kept, parts, strict=True)]))
            for end in (1, 2)
        )
        mean = float(each.mean())
        return Value(mean, max(0.0, mean - math.hypot(low, half)), min(1.0, mean + math.hypot(high, half)))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What the policy says, of the first repeat: before release, or before training while no audit is there."""
        rules = {name: value for name, value in Policy.read().rules.items() if name not in NOT_CHECKED}
        one, s, schema = self.repeats[0], self.settings, self._data.schema
        facts = Facts(
            epsilon=s.epsilon, delta=asking.DELTA, people=max(1, one.table.rows), purpose=work.PURPOSE,
            without_consent=int(np.sum(one.used & ~one.agreed)), withdrawn=int(np.sum(one.used & ~one.agreed)),
            columns=(*self.columns, schema.target.name), leaks=(), smallest_group=one.table.k,
            audited=self.audits[0].bound.lower_bound if self.audits else None, promised=s.epsilon,
        )  # fmt: skip
        return tuple(Policy(rules).check(facts, "release" if self.audits else "training"))

    @property
    def blocks(self) -> tuple[str, ...]:
        """The rules that stop the model."""
        return tuple(one.rule for one in self.checks if not one.passed)

    def frame(self) -> pd.DataFrame:
        """One row a stage or measure: shares of 100 at the start and at the settings, with 95 % intervals."""
        start = Value(1, 1, 1)
        rows = [(name, "people kept", start, now) for name, now in zip(STEPS, self.kept, strict=True)]
        rows += [(one.name, one.kind, one.raw, one.now) for one in self.measures]
        return pd.DataFrame(
            [
                {"what": name, "kind": kind}
                | {f"{at}{end}": 100 * getattr(value, part) for at, value in (("raw", raw), ("now", now))
                   for end, part in (("", "mean"), (" low", "low"), (" high", "high"))}
                for name, kind, raw, now in rows
            ]
        )  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """The same in words, and what the policy says."""
        table = self.frame()
        told = pd.DataFrame(
            {
                "what": table["what"],
                "raw start": table["raw"].map("{:.1f} %".format),
                "at the settings": [f"{m:.1f} % ({low:.1f}–{high:.1f})" for m, low, high in
                                    zip(table["now"], table["now low"], table["now high"], strict=True)],
            }
        )  # fmt: skip
        checks = pd.DataFrame(
            {
                "what": [f"policy: {one.rule}" for one in self.checks],
                "raw start": "",
                "at the settings": [f"{'passed' if one.passed else 'BLOCKS'}: {one.evidence}" for one in self.checks],
            }
        )
        return pd.concat([told, checks], ignore_index=True)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the finding rests on."""
        s = self.settings
        stranger = ", ".join(work.known(self._data, self.columns)) or "none of the columns kept"
        return (
            "The people and their answers are real (Adult); who says yes is an assumption: the odds fall from group to "
            f"group, {s.odds:g} times in all. Adult has no names: customer numbers are made up, and tokens really made "
            f"and really attacked, by whoever has the list of all numbers, {work.PROBED:,} of them.",
            f"An attacker with the table knows of a person: {stranger}; picks one of those who look alike by chance, "
            "and does not know whether the person is in the table. Of 100 people who were asked. A name or number that "
            "stays, or can be read back, finds every record.",
            "Columns are kept in the order of their use, read from the training people without privacy: a look that ε "
            "does not cover. Leaving out small groups depends on the people, too. A release must choose both by public "
            "knowledge, or pay.",
            f"The model: {asking.STEPS} steps of DP-SGD, (ε, δ = {asking.DELTA:g}) for adding or removing one person "
            "of the table; floating-point noise, so ε is idealised; the number of people left is taken as public. ε "
            "covers the model, and not the table that it is learned from.",
            f"Noticed in the model: a made-up person with a feature of their own is planted among {work.AROUND}, in "
            "half of the trainings by the same trainer, which takes everybody in every step here. The attacker sees "
            "the weights; 50 of 100 is a coin.",
            f"The policy is the one that comes with privlab, less the rules {' and '.join(NOT_CHECKED)}: teaching mode "
            "charges nothing, and Adult's rows have no dates. It gives evidence and judges nothing.",
            f"Intervals: other askings, trainings, test people and groups. Rows reconcile, in the first repeat: "
            f"{self.flow}.",
        )

    @property
    def sentence(self) -> str:
        """The finding in words."""
        s, (model, _, rich, found, told, *noticed) = self.settings, self.measures
        start = (
            f"With ε = {s.epsilon:.3g}, share = {s.share:.3g}, columns = {s.columns}, coarseness = {s.coarseness} and "
            f"k = {s.k}, the model learns from {self.flow.kept:,} of {self.flow.stages[0].kept:,} people, "
            f"{100 * rich.now.mean:.0f} % of them {rich.name.split()[0]} earners instead of {100 * rich.raw.mean:.0f} "
            f"%, and is right about {100 * model.now.mean:.1f} % of unseen ones ({100 * model.raw.mean:.1f} % from "
            f"everything, without noise). Of 100 people asked, the table tells the record of {_few(found.now.mean)} "
            f"and the income of {_few(told.now.mean)}"
        )
        if noticed:
            (one,) = noticed
            start += (
                f"; the model tells whether a planted person was in it {100 * one.now.mean:.0f} times in 100 "
                f"({math.ceil(100 * one.limit - 1e-9)} at most)"
            )
        verdict = f"stops it: {', '.join(self.blocks)}" if self.blocks else "lets it pass"
        return f"{start}. The policy {verdict}{'' if self.audits else ', before the audit'}."

    @property
    def privacy(self) -> str:
        """What the model's ε is and assumes."""
        return (
            f"(ε = {self.settings.epsilon:g}, δ = {asking.DELTA:g}) for adding or removing one person, {asking.STEPS} "
            "steps of DP-SGD, Poisson batches, clipping norm 1, floating-point noise: idealised."
        )

    @property
    def bound(self) -> audit.Bound | None:
        """What the audit of the private trainer found."""
        return self.audits[0].bound if self.audits else None


def _per_group(table: Grouped, what: str) -> Array:
    per_group: Array = table.found if what == "found" else table.certain()
    return per_group


def _few(share: float) -> str:
    """Of 100, finer where there are few."""
    times = 100 * share
    return f"{times:.0f}" if times >= 9.95 else f"{times:.2g}" if times >= 0.095 else f"{times:.1g}"


def evidence(result: Result) -> dict[str, Any]:
    """What a dossier says of a result, beside its settings, table and assumptions."""
    s, data = result.settings, datasets.load(work.DATASET)
    dropped = [column.name for column in data.schema.columns if column.name not in result.columns]
    attack: Sequence[Measure] = [one for one in result.measures if one.kind == "attacker"]
    return {
        "dataset": data,
        "purpose": work.PURPOSE,
        "flow": result.flow,
        "minimisation": {
            "columns kept": ", ".join(result.columns),
            "columns left out": ", ".join(dropped) or "none",
            "coarseness": f"{s.coarseness} of 4",
            "fewest people who look alike": f"{result.repeats[0].table.k} (at least {s.k} asked for)",
            "customer number": IDENTIFIERS[s.identifier],
        },
        "privacy": result.privacy,
        "audit": result.bound,
        "attack": {
            one.name: f"{100 * one.now.mean:.2g} of 100 ({100 * one.now.low:.2g} to {100 * one.now.high:.2g}); "
            f"at the raw start {100 * one.raw.mean:.3g}"
            + ("" if math.isnan(one.limit) else f"; ε allows at most {math.ceil(1000 * one.limit - 1e-9) / 10:g}")
            for one in attack
        },
        "checks": result.checks,
        "artefacts": {"policy": policy.DEFAULT},
    }
