"""What became of a model when one declaration was off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from privlab import datasets, explain, models, uncertainty
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.own_data import Settings

# No column can have these names, which hold a line break.
PLAIN, DECLARED, ALL, PEOPLE = "without\nprivacy", "as\ndeclared", "all\nbounds", "n declared\ntwice as high"


@dataclass(frozen=True)
class Result:
    """Trainings as declared, and with each declaration off.

    Attributes
    ----------
    settings : Settings
    losses : dict of bool (S, rows)
        By declaration: 1 where a test row is taken for another class. Otherwise the name of a column whose upper bound
        is too far off.
    floor : float
        The score of knowing nothing of a person.
    progress : float in [0, 1]
    """

    settings: Settings
    losses: dict[str, Array]
    floor: float
    progress: float

    @property
    def dataset(self) -> datasets.Dataset:
        """The data that the models were trained on."""
        return datasets.load(self.settings.dataset)

    @property
    def count(self) -> int:
        """Trained models."""
        return sum(map(len, self.losses.values()))

    @cached_property
    def estimates(self) -> dict[str, uncertainty.Estimate]:
        """Scores by declaration, with their bands (1,)."""
        return {name: uncertainty.estimate(1 - loss.mean(axis=1, keepdims=True)) for name, loss in self.losses.items()}

    @cached_property
    def lost(self) -> dict[str, uncertainty.Difference]:
        """By declaration that is off: what that changes, on the same people and from the same seeds."""
        declared = self.losses[DECLARED]
        return {
            name: uncertainty.difference(declared, loss)
            for name, loss in self.losses.items()
            if name not in (PLAIN, DECLARED)
        }

    def frame(self) -> pd.DataFrame:
        """One row per trained model: declaration, seed, score."""
        return pd.DataFrame(
            [
                {"declaration": plain(name), "seed": seed, "score": 1 - float(row.mean())}
                for name, loss in self.losses.items()
                for seed, row in enumerate(loss)
            ]
        )

    def summary(self) -> pd.DataFrame:
        """One row a declaration: the mean score, its intervals, and the change with its 95 % interval."""
        rows = []
        for name, e in self.estimates.items():
            mean, band, release = (float(v[0]) for v in (e.mean, e.band, e.release))
            change = self.lost.get(name)
            rows.append(
                {
                    "declaration": plain(name), "mean": mean, "mean low": mean - band, "mean high": mean + band,
                    "release low": mean - release, "release high": mean + release,
                    "change": change.mean if change else 0.0, "half of 95 %": change.half if change else 0.0,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the finding rests on."""
        s = self.settings
        return (
            f"Protected is one {s.unit}, added or taken away; ε holds at δ = {s.delta:g} for one released model.",
            f"Too wide means: the upper bound of a column lies w = {s.wider:.3g} times as far from its lower bound as "
            "declared. Entries beyond the declared bounds stay cut, so that only the width differs.",
            "ε holds whatever the bounds and however wrong they are: they cost accuracy, never the promise.",
            "A wrong n changes what sums are divided by, and so how fast a model learns. The promise needs n only for "
            "δ, which must be below 1/n.",
            "The noise drawn here is floating-point noise: ε is idealised. A release needs exact noise.",
            "This is a look at raw test scores, and nobody is charged for it: for public data, or in private mode.",
            f"{models.CATALOGUE[s.model].label}: {models.CATALOGUE[s.model].promise}",
        )

    @property
    def sentence(self) -> str:
        """What the trainings say of the declarations."""
        s, e = self.settings, self.estimates
        who = "people" if self.dataset.unit == "person" else "rows"
        words = [
            f"With ε = {s.epsilon:.3g} and clipping norm C = {s.clip_norm:.3g}, "
            f"{models.CATALOGUE[s.model].label} on {self.dataset.card.short} is right about "
            f"{_percent(e[DECLARED].mean[0])} of unseen {who} as declared"
        ]
        if len(self.losses[DECLARED]) > 1:
            mean, release = float(e[DECLARED].mean[0]), float(e[DECLARED].release[0])
            words.append(f"; one release would fall between {_percent(mean - release)} and {_percent(mean + release)}")
        words.append(
            f". Without privacy: {_percent(e[PLAIN].mean[0])}; always the same answer: {_percent(self.floor)}. "
        )
        if ALL in self.lost:
            words.append(f"With bounds w = {s.wider:.3g} times too wide: {_points(self.lost[ALL])} if all are. ")
        columns = {name: d for name, d in self.lost.items() if name not in (ALL, PEOPLE) and d.told_apart}
        if columns:
            most = max(columns, key=lambda name: abs(columns[name].mean))
            words.append(f"The single column that matters most is {most!r}: {_points(columns[most])}. ")
        words.append(f"Declaring twice the people: {_points(self.lost[PEOPLE])}. {explain.odds(s.epsilon, s.delta)}")
        return "".join(words)


def plain(name: str) -> str:
    """A declaration's name in one line."""
    return name.replace("\n", " ")


def _percent(score: float) -> str:
    return f"{100 * min(1.0, score):.1f} %"


def _points(change: uncertainty.Difference) -> str:
    sure = "" if change.told_apart else ", which cannot be told from chance"
    return f"{100 * change.mean:+.1f} points{sure}"
