"""What attacks on membership found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets
from privlab.attacks import FALSE_ALARMS, Attack
from privlab.experiments._shadows import DELTA, KINDS
from privlab.explain import hit_limit, odds
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array
    from privlab.experiments._shadows import Pool

ALARM = 0.01  # the share of false alarms that is told of
RARE = 0.02
MOST_EXPOSED, LEAST_TOLD = 0.1, 20  # the share of people called exposed, and how few are never described
TRAITS = ("an unexpected outcome", "the rarer outcome", "a rare category", "an extreme number", "a wrong label")


def traits(data: Dataset, pool: Pool, unexpected: Array) -> Array:
    """Which of `TRAITS` each of the pool's people has, bool (people, 5): coarse, so that they describe no one."""
    common = np.bincount(data.y_train, minlength=2).argmax()
    category = extreme = np.zeros(len(pool.rows), bool)
    start = 0
    for column in data.schema.columns:
        values = data.X_train[:, start : start + len(column.features)]
        start += len(column.features)
        if column.categories:
            rare = np.mean(values > 0, axis=0) < RARE
            category = category | rare[values[pool.rows].argmax(axis=1)]
        else:
            low, high = np.quantile(values, (RARE / 2, 1 - RARE / 2))
            extreme = extreme | (values[pool.rows, 0] < low) | (values[pool.rows, 0] > high)
    return np.column_stack([unexpected, pool.y != common, category, extreme, pool.flipped])


@dataclass(frozen=True)
class Result:
    """Shadow models attacked with each other's help.

    Attributes
    ----------
    settings : Settings
    attacks : dict of Attack
        The likelihood ratio on models trained without privacy ("plain") and with it ("private"), on the same halves.
    simple : Attack
        The loss threshold on the plain ones.
    accuracy : dict of float
        The share of unseen people that such models are right about.
    floor : float
        That of always the same answer.
    traits : bool (people, 5)
        What is unusual about people, in the order of `TRAITS`.
    progress : float in [0, 1]
    """

    settings: Any
    attacks: dict[str, Attack]
    simple: Attack
    accuracy: dict[str, float]
    floor: float
    traits: Array
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models trained."""
        return sum(len(attack.scores) for attack in self.attacks.values())

    @property
    def share(self) -> float:
        """The share of people who are called the most exposed: never so few that they could be told apart."""
        return max(MOST_EXPOSED, LEAST_TOLD / self.traits.shape[0])

    def limit(self, false_alarms: Array | float) -> Array:
        """The most that (ε, δ) lets any attacker on the private models find."""
        return hit_limit(false_alarms, self.settings.epsilon, DELTA)

    @property
    def most(self) -> str:
        """That limit at `ALARM`, of 100 members, rounded up."""
        return f"{math.ceil(1000 * float(self.limit(ALARM)) - 1e-9) / 10:g}"

    def frame(self) -> pd.DataFrame:
        """ROC curves: the share of members found at each share of false alarms, with its 95 % interval."""
        parts = []
        for model, kind, attack in self._all():
            hits = attack.hits(FALSE_ALARMS)
            low, high = (end[:-1] for end in attack.intervals)
            table = {"models": model, "attack": kind, "false alarms": FALSE_ALARMS, "hits": hits, "low": low,
                     "high": high}  # fmt: skip
            parts.append(pd.DataFrame(table)[~np.isnan(hits)])
        return pd.concat(parts, ignore_index=True)

    def _all(self) -> list[tuple[str, str, Attack]]:
        ratio = [(KINDS[kind], "likelihood ratio", attack) for kind, attack in self.attacks.items()]
        return [*ratio, (KINDS["plain"], "loss threshold", self.simple)]

    def summary(self) -> pd.DataFrame:
        """A row an attack: AUC, advantage and hits with 95 % intervals, of 100; empty where too few say anything."""
        rows = []
        for model, kind, attack in self._all():
            row = {"models": model, "attack": kind, "AUC": f"{attack.auc:.3f} ({_span(attack.auc_interval, 3, 1)})",
                   "advantage": f"{attack.advantage:.3f}"}  # fmt: skip
            for alarm in (0.001, ALARM):
                name, found = f"found at {100 * alarm:g} % false alarms", float(attack.hits(alarm))
                told = f"{100 * found:.1f} % ({_span(attack.interval(alarm))})"
                row[name] = "" if np.isnan(found) else told
            private = model == KINDS["private"]
            row["allowed at 1 %"] = f"{self.most} %" if private else "100 %"
            rows.append(row)
        return pd.DataFrame(rows)

    def unusual(self) -> tuple[Array, Array, int]:
        """Shares with each trait, of those most exposed to the plain models and of all; how many the former are."""
        chosen, _ = self.attacks["plain"].exposed(self.share)
        return self.traits[chosen].mean(axis=0), self.traits.mean(axis=0), len(chosen)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the attack knows, what the promise covers, and what the bands allow for."""
        s = self.settings
        return (
            "The attacker knows everything about the person they ask about, how the models were trained and people "
            "like those they learned from, and sees the finished model. Someone who knows less finds less.",
            f"ε is for adding or removing one person, at δ = {DELTA:g}: every step takes all members, cuts their pulls "
            f"to C = {s.clip_norm:.3g} and adds Gaussian noise, T = {s.steps:,} times (exact composition). The noise "
            "here is floating-point noise, so ε is idealised. Regularisation costs no privacy.",
            odds(s.epsilon, DELTA),
            "Each person is in each model by a coin of their own. Each model is attacked with all others as shadows, "
            "itself left out (LiRA, Carlini et al. 2022, online).",
            "Bands are 95 % intervals for other people and other models; that the shadow models are what they are is "
            "not in them.",
            "What one attack does not find, another might: only the limit of ε holds for all attacks. Models without "
            "privacy have no such limit.",
            f"The most exposed ({round(100 * self.share)} in 100) are chosen by half of the models, and how often the "
            "attacker is right about them is counted on the other half.",
            "Labels made wrong are wrong in all models alike, and the attacker knows the labels as the models do.",
        )

    @property
    def sentence(self) -> str:
        """How many members are found, at the settings."""
        s, plain, private = self.settings, self.attacks["plain"], self.attacks["private"]
        name = datasets.card(s.dataset).short
        start = (
            f"Learning from n = {s.size:,} people of {name} with λ = {s.penalty:.3g} and wrong labels = "
            f"{s.label_noise:.3g} in 100, models without privacy "
        )
        private_too = f"with ε = {s.epsilon:.3g} and C = {s.clip_norm:.3g}"
        if s.view == "people":
            rates = [attack.exposed(self.share)[1] for attack in (plain, private)]
            middle = [attack.right.mean() for attack in (plain, private)]
            of = f"the {round(100 * self.share)} in 100 most exposed people"
            return (
                f"{start}let an attacker be right about {of} {100 * rates[0]:.0f} times in 100, though only "
                f"{100 * middle[0]:.0f} on average over all; {private_too}, "
                f"{100 * rates[1]:.0f} and {100 * middle[1]:.0f}. A coin: 50."
            )
        most = f"With that ε no attacker at all could find more than {self.most}."
        worth = [100 * self.accuracy[kind] for kind in ("plain", "private")]
        return (
            f"{start}let an attacker who accuses 1 in 100 wrongly find {_hits(plain)}; {private_too}, "
            f"{_hits(private)}. {most} The models are right about "
            f"{worth[0]:.0f} and {worth[1]:.0f} % of unseen people; always the same answer, {100 * self.floor:.0f} %."
        )


def _hits(attack: Attack) -> str:
    return f"{100 * float(attack.hits(ALARM)):.1f} of 100 members ({_span(attack.interval(ALARM))})"


def _span(ends: tuple[float, float], digits: int = 1, times: float = 100) -> str:
    return f"{times * ends[0]:.{digits}f} to {times * ends[1]:.{digits}f}"
