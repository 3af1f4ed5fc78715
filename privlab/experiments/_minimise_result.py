"""What was found about collecting less: lines with their intervals, a table and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from privlab import anonymity, datasets, minimise, models
from privlab.experiments import _minimise_work as work
from privlab.experiments._minimise_work import Band, Left, Linked
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.minimise import Settings


@dataclass(frozen=True)
class Result:
    """A model and an attacker, over the number of columns, the size of groups, or the age of rows.

    Attributes
    ----------
    settings : Settings
    order : tuple of str
        All columns, the most useful first.
    linked : Linked
        What an attacker finds, over the number of columns kept.
    left : Left
        What groups of k still tell, with the columns of the settings.
    scores : float (trainings, 2, K)
        Accuracies with noise and without; nothing in the view of groups.
    progress : float in [0, 1]
    """

    settings: Settings
    order: tuple[str, ...]
    linked: Linked
    left: Left
    scores: Array
    progress: float

    @property
    def count(self) -> int:
        """Models trained, or groupings made."""
        return self.scores.size or len(self.left.ks)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of the settings."""
        return self.order[: self.settings.columns]

    @property
    def known(self) -> tuple[str, ...]:
        """Those of them that a stranger may know of a person."""
        return tuple(name for name in self.kept if name in anonymity.known(datasets.load(self.settings.dataset)))

    @property
    def x(self) -> Array:
        """What the lines go over (K,): columns kept, k, or years."""
        if self.settings.view == "groups":
            return self.left.ks
        return np.arange(1, self.scores.shape[2] + 1)

    @property
    def held(self) -> int:
        """The place of the settings in `x`."""
        s = self.settings
        return int(np.flatnonzero(self.x == {"columns": s.columns, "groups": s.k, "age": s.years}[s.view])[0])

    @property
    def floor(self) -> float:
        """The accuracy of always the same answer."""
        return models.floor(datasets.load(self.settings.dataset))

    @property
    def above(self) -> dict[str, Band]:
        """The lines of what minimising costs."""
        if self.settings.view == "groups":
            return {"left out": self.left.gone}
        data = datasets.load(self.settings.dataset)
        return {
            "private": work.accuracy(data, self.scores[:, 0]),
            "without noise": work.accuracy(data, self.scores[:, 1]),
        }

    @property
    def below(self) -> dict[str, Band]:
        """The lines of what an attacker gets; of the view of ages, of what is left in store."""
        if self.settings.view == "columns":
            of = self.linked
            return {"record found": of.found, "secret guessed": of.own, "secret of a stranger": of.others}
        if self.settings.view == "groups":
            found = {"told for sure": self.left.certain}
            if self.left.groups[0].table.shape[1] > 2:
                found["one ruled out"] = self.left.nearly
            return found | {"guessed": self.left.guessed}
        return {name: Band(share, share, share) for name, share in self._stored().items()}

    def _stored(self) -> dict[str, Array]:
        data = datasets.load(self.settings.dataset)
        people = data.people_train
        assert people is not None
        stay = [minimise.young(data, data.X_train, int(years)) for years in self.x]
        return {
            "people in store": np.array([len(np.unique(people[one])) / data.n_train for one in stay]),
            "rows in store": np.array([one.mean() for one in stay]),
        }

    @property
    def fewest(self) -> int:
        """The least number of columns with which the private model loses no more than the budget."""
        mean = self.scores[:, 0].mean(axis=0)
        return int(np.argmax(mean >= mean[-1] - self.settings.budget / 100)) + 1

    def frame(self) -> pd.DataFrame:
        """One row for each line and point: line, x, mean, low and high, in percent; of groups k, l and t too."""
        name = {"columns": "columns kept", "groups": "k", "age": "years kept"}[self.settings.view]
        parts = [
            pd.DataFrame({"line": line, name: self.x, "mean": 100 * b.mean, "low": 100 * b.low, "high": 100 * b.high})
            for line, b in (self.above | self.below).items()
        ]
        if self.settings.view == "groups":
            groups = self.left.groups
            for line, values in (
                ("smallest group", [one.k for one in groups]),
                ("distinct l", [one.distinct for one in groups]),
                ("entropy l", [one.entropy for one in groups]),
                ("t", [one.t for one in groups]),
            ):
                parts.append(pd.DataFrame({"line": line, name: self.x, "mean": values, "low": values, "high": values}))
        return pd.concat(parts, ignore_index=True).dropna().reset_index(drop=True)

    def summary(self) -> pd.DataFrame:
        """One row for each point, one column a line."""
        table = self.frame()
        wide = table.pivot_table(index=table.columns[1], columns="line", values="mean", sort=False).reset_index()
        if self.settings.view == "columns":
            wide.insert(1, "added", list(self.order))
        return wide

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the finding rests on."""
        s = self.settings
        stranger = ", ".join(anonymity.known(datasets.load(s.dataset)))
        shared = (
            f"What a stranger may know of a person is a judgement: {stranger}. Somebody who knows more finds more.",
            "Steps and groups come from the card. The attacker knows that the person is in the table, and picks one of "
            "those who look alike by chance; intervals let the groups vary as other people would.",
            "The order of the columns is read from the training people by least squares, without privacy: that look is "
            "not in ε. A release must choose its columns by public knowledge, or pay for the choice.",
        )
        if s.view == "groups":
            return (
                *shared[:2],
                "k-anonymity by leaving out groups smaller than k: which are small depends on the people, so whether "
                "somebody was left out is itself not private. No ε covers such a table.",
            )
        model = (
            f"The private model: {work.STEPS} steps of DP-SGD, (ε, δ = {work.DELTA:g}) for adding or removing one "
            "person; floating-point noise, so ε is idealised. ε covers the model, not the table that it learns from.",
            "Intervals of accuracies: other trainings and other test people. Test people are the same at every point, "
            "so differences are surer than they look.",
        )
        if s.view == "age":
            return (
                *shared[2:],
                *model,
                "A row's age is counted in years of the study, to its fifth: RAND has no calendar dates. The people "
                "left are counted, and the model takes their number as public. The year itself is not a feature.",
            )
        return (*shared, *model)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        s, k = self.settings, self.held
        name = datasets.card(s.dataset).short
        start = f"With columns kept = {s.columns} of {len(self.order)}, coarseness = {s.coarseness}"
        if s.view == "groups":
            left, group = self.left, self.left.groups[k]
            out = f"{start} and k = {s.k}, {100 * left.gone.mean[k]:.1f} % of the people in {name} are left out"
            if not group.rows:
                return f"{out}: nobody remains."
            return (
                f"{out}. Of the others, {100 * left.certain.mean[k]:.1f} % still have their {left.secret} told for "
                f"sure, for everybody in their group has the same; l = {group.distinct}, t = {group.t:.2f}."
            )
        found = {line: 100 * band.mean for line, band in self.above.items()}
        start += f", k = {s.k}, ε = {s.epsilon:.3g} and budget = {s.budget:.3g} points"
        if s.view == "age":
            stored = self._stored()
            return (
                f"{start}, rows no older than years = {s.years} teach a private model to be right about "
                f"{found['private'][k]:.1f} % of unseen person-years in {name} ({found['private'][-1]:.1f} % with all "
                f"rows), and {100 * stored['people in store'][k]:.0f} % of the people are in store."
            )
        of, knows = self.linked, len(self.known)
        return (
            f"{start}, a private model on {name} is right about {found['private'][k]:.1f} % of unseen people (with all "
            f"columns {found['private'][-1]:.1f} %; {self.fewest} are enough). An outsider, who may know "
            f"{knows} of the columns kept, picks a person's record in {_few(100 * of.found.mean[k])} of 100 tries and "
            f"guesses their secret in {100 * of.own.mean[k]:.0f} (a stranger's in {100 * of.others.mean[k]:.0f}); "
            f"{100 * of.small(s.k)[k]:.0f} % stand in groups below k."
        )


def _few(percent: float) -> str:
    """A percentage in two digits; in words where it is next to nothing."""
    return "next to none" if percent < 0.1 else f"{percent:.2g}"
