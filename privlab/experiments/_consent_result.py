"""What asking first did: who is missing, and how a model learned from the others does by groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from privlab import datasets, uncertainty
from privlab.experiments import _consent_work as work
from privlab.flow import Flow
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array
    from privlab.experiments.consent import Settings

PRIVATE, PLAIN = 0, 1
FEWEST = 10  # test people of a group that something is said of


class Interval(NamedTuple):
    """Means and half their 95 % intervals, (rows,) each."""

    mean: Array
    half: Array


@dataclass(frozen=True)
class Result:
    """A model of those who agreed beside a model of everybody.

    Attributes
    ----------
    settings : Settings
    asked : tuple of Asked
        Who agreed, for each repeat.
    some, whole : float (repeats, 2, test rows)
        Chances of class 1 by models of those who agreed, and of everybody; with noise and without.
    progress : float in [0, 1]
    """

    settings: Settings
    asked: tuple[work.Asked, ...]
    some: Array
    whole: Array
    progress: float

    @property
    def count(self) -> int:
        """Models trained."""
        return 4 * len(self.asked)

    @property
    def _data(self) -> Dataset:
        return datasets.load(self.settings.dataset)

    @cached_property
    def _members(self) -> list[tuple[str, Array, Array]]:
        """The picture's rows: name, and who is in it of training and of test people; without tiny groups."""
        data, of, answer = self._data, work.groups(self._data, self.settings.groups), work.groups(self._data, "answer")
        rows = [("all together", np.ones(len(of.train), bool), np.ones(len(of.test), bool))]
        rows += [(name, of.train == code, of.test == code) for code, name in enumerate(of.names)]
        rows.append((f"{data.schema.target.name}: {answer.names[1]}", answer.train == 1, answer.test == 1))
        return [row for row in rows if row[1].any() and row[2].sum() >= FEWEST]

    @property
    def rows(self) -> tuple[str, ...]:
        """Everybody, the groups, and those of class 1."""
        return tuple(name for name, _, _ in self._members)

    @cached_property
    def shares(self) -> dict[str, Interval]:
        """Each row's share of everybody, of those who agree, and of those who are trained on."""
        parts = {}
        inside = np.array([train for _, train, _ in self._members], float)
        for name in ("agreed", "used"):
            who = np.array([getattr(one, name) for one in self.asked], float)
            found = uncertainty.estimate((who / np.maximum(who.sum(axis=1, keepdims=True), 1)) @ inside.T)
            parts[name] = Interval(found.mean, found.band)
        reference = inside.mean(axis=1)
        return {"everybody": Interval(reference, np.zeros(len(reference)))} | parts

    @cached_property
    def agreeing(self) -> Array:
        """The share of each row that agrees, mean over repeats (rows,)."""
        who = np.mean([one.agreed for one in self.asked], axis=0)
        return np.array([who[train].mean() for _, train, _ in self._members])

    def _per_person(self, chances: Array, what: str) -> Array:
        """Right or not, or chance minus truth: (repeats, test rows)."""
        y = self._data.evaluation[1]
        return (chances > 0.5) == (y == 1) if what == "accuracy" else chances - y

    def score(self, chances: Array, what: str) -> Interval:
        """Of chances (repeats, test rows) the accuracy or the calibration gap of every row, with its interval.

        Other askings and trainings, and other test people, each add to the interval.
        """
        values = self._per_person(chances, what).astype(np.float32)
        means, halves = [], []
        for _, _, test in self._members:
            found = uncertainty.estimate(values[:, test].mean(axis=1)[:, None])
            n, spread = int(test.sum()), float(values[:, test].mean(axis=0).std())
            people = 1.96 * math.sqrt(spread**2 / n + (1.96 / 2 / n) ** 2)  # as Wilson's: never nothing
            means.append(found.mean[0])
            halves.append(math.hypot(found.band[0], people))
        return Interval(np.array(means), np.array(halves))

    def cost(self, what: str) -> Interval:
        """What asking changed, private against private, on the same test people: (rows,)."""
        values = [self._per_person(one[:, PRIVATE], what).astype(np.float32) for one in (self.some, self.whole)]
        found = [uncertainty.difference(values[0][:, test], values[1][:, test]) for _, _, test in self._members]
        return Interval(np.array([one.mean for one in found]), np.array([one.half for one in found]))

    @property
    def flow(self) -> Flow:
        """Where the people of the first repeat went."""
        return self.asked[0].flow

    def frame(self) -> pd.DataFrame:
        """One row for each group, measure and model: its value and half of its 95 % interval, in percent."""
        parts = [(f"share of {name}", "", one) for name, one in self.shares.items()]
        for people, chances in (("everybody", self.whole), ("who agree", self.some)):
            for noise, words in ((PRIVATE, "private"), (PLAIN, "without noise")):
                for what in ("accuracy", "calibration"):
                    parts.append((what, f"{words}, of {people}", self.score(chances[:, noise], what)))
        tables = [
            pd.DataFrame(
                {
                    "group": self.rows,
                    "measure": measure,
                    "model": model,
                    "value": 100 * one.mean,
                    "half": 100 * one.half,
                }
            )
            for measure, model, one in parts
        ]
        return pd.concat(tables, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row for each group, in percent."""
        shares, view = self.shares, self.settings.view
        before, after, cost = (self.score(self.whole[:, PRIVATE], view), self.score(self.some[:, PRIVATE], view),
                               self.cost(view))  # fmt: skip
        return pd.DataFrame(
            {
                "group": self.rows,
                "of everybody": 100 * shares["everybody"].mean,
                "of those who agree": 100 * shares["agreed"].mean,
                "of those used": 100 * shares["used"].mean,
                "say yes": 100 * self.agreeing,
                f"{view}, everybody": 100 * before.mean,
                f"{view}, who agree": 100 * after.mean,
                "change": 100 * cost.mean,
                "change ±": 100 * cost.half,
            }
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the finding rests on."""
        s = self.settings
        least = work.groups(self._data, s.by).names[-1]
        return (
            f"Who says yes is an assumption, not data: a stated model in which the odds fall by the same factor from "
            f"group to group, {s.odds:g} in all, and '{least}' are the least ready. The people are real, their answers "
            "are drawn.",
            "Each purpose is asked for on its own; the odds of a yes are taken to be double for service and half for "
            "advertising. No answer is a no, and a withdrawal ends a yes.",
            "Everybody in the training split is the reference population, as if a census told its margins; scores are "
            f"on the test people, whether or not they would have agreed. Groups of fewer than {FEWEST} are not shown.",
            "Weighing keeps each person with a chance in proportion to their weight (at most 10 times the mean), the "
            "heaviest for sure, so nobody counts twice and clipping and noise are as before. ε then covers the "
            "training if the weights are public; here they are counted, and so is the number of people left.",
            f"{work.STEPS} steps of DP-SGD, (ε, δ = {work.DELTA:g}) for adding or removing one person who agrees; "
            "floating-point noise, so ε is idealised. ε does not hide who agreed.",
            f"Rows reconcile, in the first repeat: {self.flow}.",
        )

    @property
    def sentence(self) -> str:
        """The finding in words."""
        s, data = self.settings, self._data
        last, view = len(self.rows) - 1, s.view
        before = 100 * self.score(self.whole[:, PRIVATE], "accuracy").mean[0]
        after = 100 * self.score(self.some[:, PRIVATE], "accuracy").mean[0]
        gap = 100 * self.score(self.some[:, PRIVATE], "calibration").mean
        cost = self.cost(view)
        worst = 1 + int(np.abs(cost.mean[1 : last + (view == "accuracy")]).argmax())
        apart = "" if abs(cost.mean[worst]) > cost.half[worst] else ", which cannot be told from none"
        return (
            f"With share = {s.share:.3g}, odds = {s.odds:.3g} and ε = {s.epsilon:.3g}, "
            f"{100 * self.agreeing[0]:.0f} % of the people in {data.card.short} agree to {s.purpose}, and of those "
            f"with {self.rows[last]} {100 * self.agreeing[last]:.0f} %. A private model of those who agree is right "
            f"about {after:.1f} % of everybody ({before:.1f} % if all had agreed), and says "
            f"'{data.classes[1]}' too {'often' if gap[0] > 0 else 'rarely'}, by {abs(gap[0]):.1f} points. "
            f"{'Accuracy' if view == 'accuracy' else 'Calibration'} changes most for {self.rows[worst]}, by "
            f"{100 * cost.mean[worst]:+.1f} ± {100 * cost.half[worst]:.1f} points{apart}."
        ).replace("by -", "by −")
