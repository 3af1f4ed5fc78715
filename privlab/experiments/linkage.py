"""Who can be found in a table without names?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import anonymity, datasets, uncertainty
from privlab.experiments import _choices
from privlab.experiments._linkage_picture import Picture
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["COLUMNS", "Picture", "Result", "Settings", "run"]

COLUMNS = {
    "age": "age",
    "sex": "sex",
    "race": "race",
    "native-country": "country of birth",
    "marital-status": "marital status",
    "education-num": "education",
    "occupation": "occupation",
    "workclass": "kind of employer",
    "hours-per-week": "weekly hours",
}
ALL = datasets.card("adult").n
FEW = 5  # rows in a group that hides nobody well


class Settings(Controls):
    """What is published, and what somebody knows already."""

    people: int = control(
        default=30_000, label="people n in the table", low=50, high=ALL, slider=(100, 48_800), scale="log",
        ends=("few", "many"), hint="Rows drawn from the 48,842 of Adult and published without names.",
    )  # fmt: skip
    age_width: int = control(
        default=1, label="years in a published age group", low=1, high=80, slider=(1, 40), places=40,
        ends=("exact age", "coarse"), hint="Publishing ages in groups is what many call anonymising.",
    )  # fmt: skip
    known: tuple[str, ...] = choice(
        default=("age", "sex", "race", "marital-status", "education-num", "occupation"), label="the attacker knows",
        among=lambda: tuple(COLUMNS), words=lambda name: COLUMNS[name], many=True,
        hint="What a colleague, a neighbour or a social network knows of a person.",
    )  # fmt: skip
    repeats: int = control(
        default=10, label="repeats", low=2, high=100, slider=(2, 40), places=39, advanced=True,
        hint="How often other people are drawn to be published.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """How far each known column narrows a person down.

    Attributes
    ----------
    settings : Settings
    alone, few, found, told : float (repeats, known columns)
        Shares of people, as one column after another is known: whose row is the only one that fits; whose row is among
        2 to 4 that fit; who are found by taking one of the fitting rows at random; and whose income all fitting rows
        agree on.
    progress : float in [0, 1]
    """

    settings: Settings
    alone: Array
    few: Array
    found: Array
    told: Array
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Tables published."""
        return len(self.alone)

    def share(self, what: str) -> uncertainty.Estimate:
        """Mean over repeats of "alone", "few", "found" or "told", and its bands (known columns,)."""
        return uncertainty.estimate(getattr(self, what))

    @property
    def steps(self) -> tuple[str, ...]:
        """The known columns in words, each beside those before it."""
        names = [COLUMNS[name] for name in self.settings.known]
        return (names[0], *(f"+ {name}" for name in names[1:]))

    def frame(self) -> pd.DataFrame:
        """One row a repeat and known column: shares of people."""
        repeats, width = self.alone.shape
        return pd.DataFrame(
            {
                "known": np.tile(self.steps, repeats),
                "repeat": np.repeat(np.arange(repeats), width),
                "only row": self.alone.ravel(),
                "2 to 4 rows": self.few.ravel(),
                "found": self.found.ravel(),
                "income told": self.told.ravel(),
            }
        )

    def summary(self) -> pd.DataFrame:
        """One row a known column: means over repeats."""
        alone = self.share("alone")
        return pd.DataFrame(
            {
                "known": self.steps,
                "only row": alone.mean,
                "low": alone.mean - alone.band,
                "high": alone.mean + alone.band,
                "2 to 4 rows": self.share("few").mean,
                "found": self.share("found").mean,
                "income told": self.share("told").mean,
            }
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the attacker knows, and what the numbers leave out."""
        return (
            "The attacker knows that the person is in the table and knows these columns of them exactly; errors in "
            "either would help to hide.",
            "A row that is the only one to fit is the person's. With several, the attacker takes one at random.",
            "“Income told” means that all fitting rows have the same income, so that nobody needs to be found.",
            f"Bands are 95 % intervals over which of the {ALL:,} people of Adult are published; if it is all of them, "
            "nothing is left to chance.",
            "No ε covers any of this: the rows are published as they are. Groups of ages are no protection that could "
            "be proven against someone who knows more.",
        )

    @property
    def sentence(self) -> str:
        """How many are found, at the settings."""
        s = self.settings
        alone, found, told = (100 * self.share(what).mean[-1] for what in ("alone", "found", "told"))
        half = 100 * self.share("alone").band[-1]
        names = [COLUMNS[name] for name in s.known]
        known = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        return (
            f"In a table of n = {s.people:,} people without names, with ages in groups of width = {s.age_width} "
            f"(years), whoever knows somebody's {known} finds only one fitting row for {alone:.1f} of 100 people "
            f"(± {half:.1f}), picks the right row for {found:.0f}, and is certain of the income of {told:.0f}, as all "
            "rows that fit agree."
        )


@cache
def _codes() -> tuple[dict[str, Array], Array]:
    """Each column's entries as whole numbers from 0, and who earns more: all people of Adult."""
    table = datasets.load("adult").raw
    codes = {name: pd.factorize(table[name], sort=True)[0].astype(np.int64) for name in COLUMNS}
    codes["age"] = table["age"].to_numpy(np.int64)
    return codes, pd.factorize(table["income"], sort=True)[0].astype(bool)


def run(settings: Settings) -> Iterator[Result | None]:
    """Publish a table again and again, and count the rows that fit each person."""
    s = settings
    codes, rich = _codes()
    rows: list[Array] = []
    for repeat in range(s.repeats):
        drawn = np.random.default_rng([s.seed, repeat]).choice(ALL, s.people, replace=False)
        key, shares = np.zeros(s.people, np.int64), []
        for name in s.known:
            code = codes[name][drawn]
            key = anonymity.alike([key, (code - 17) // s.age_width if name == "age" else code], s.people)
            size = np.bincount(key)
            own, yes = size[key], np.bincount(key, weights=rich[drawn])[key]
            agree = (yes == 0) | (yes == own)
            few = (own > 1) & (own < FEW)
            shares.append([np.mean(own == 1), np.mean(few), len(size) / s.people, np.mean(agree)])
            yield None
        rows.append(np.transpose(shares))
        if repeat:
            alone, few, found, told = np.stack(rows, axis=1)
            yield Result(s, alone, few, found, told, (repeat + 1) / s.repeats)
