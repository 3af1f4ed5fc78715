"""What is left of pseudonyms after an attack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from privlab import uncertainty
from privlab.experiments import _tokens_attacks as attacks
from privlab.experiments._two_worlds_result import interval
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.tokens import Settings

WAYS = {
    "reverse": {"hash": "plain hash", "salted": "hash with salt", "token": "keyed token"},
    "frequency": {"token": "one token a value", "fresh": "new token each row"},
    "link": {"same": "same key", "other": "different keys"},
}
FOUND = ("card", "iban", "email", "phone")  # kinds that the finder has a check for


@dataclass(frozen=True)
class Result:
    """One attack on pseudonyms; the keys it was tried against are nowhere in it.

    Attributes
    ----------
    settings : Settings
    x : (K,)
        Of "frequency" the people, of "link" the columns that both tables keep, else nothing.
    held : int
        Where on `x` the settings are.
    shares : dict of float (repeats, K)
        By way: share of people found, guessed right or linked; of "link" also "wrong", the share of wrong links.
    tried : dict of (tried (T,), people found (T,), seconds (T,))
        Of "reverse", by way: what came of hashes that were really made.
    searched : dict of (right, all)
        Of "text": by kind how many labels were covered; under "precision" how many finds were right.
    progress : float in [0, 1]
    """

    settings: Settings
    x: Array = field(default_factory=lambda: np.empty(0))
    held: int = 0
    shares: dict[str, Array] = field(default_factory=dict)
    tried: dict[str, tuple[Array, Array, Array]] = field(default_factory=dict)
    searched: dict[str, tuple[int, int]] = field(default_factory=dict)
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Hashes made, shares found or messages searched."""
        if self.tried:
            return int(sum(tried[-1] for tried, _, _ in self.tried.values()))
        return sum(share.size for share in self.shares.values()) or sum(n for _, n in self.searched.values())

    def estimate(self, way: str) -> uncertainty.Estimate:
        """Mean over the repeats, and its bands."""
        return uncertainty.estimate(self.shares[way])

    def speed(self, way: str) -> float:
        """Hashes a second, as measured here."""
        tried, _, seconds = self.tried[way]
        return float(tried[-1] / seconds[-1])

    def needed(self, way: str) -> float:
        """Seconds until all people are found, on average, at the measured speed; a salt makes each a search anew."""
        tries = 10.0**self.settings.digits
        return tries * (self.settings.people / 2 if way == "salted" else 1) / self.speed(way)

    def frame(self) -> pd.DataFrame:
        """One row for each number of tries, for each place and repeat, or for each kind."""
        s = self.settings
        if s.view == "text":
            rows = [{"kind": kind, "right": right, "of": of} for kind, (right, of) in self.searched.items()]
            return pd.DataFrame(rows)
        if s.view == "reverse":
            parts = [
                pd.DataFrame({"way": way, "tried": tried, "share": found / s.people, "seconds": seconds})
                for way, (tried, found, seconds) in self.tried.items()
            ]
            return pd.concat(parts, ignore_index=True)
        name = {"frequency": "people", "link": "columns"}[s.view]
        parts = [
            pd.DataFrame({
                "way": way, name: np.tile(self.x, len(share)),
                "repeat": np.repeat(np.arange(len(share)), len(self.x)), "share": share.ravel(),
            })
            for way, share in self.shares.items()
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a way, or a kind with its exact 95 % interval."""
        s = self.settings
        if s.view == "text":
            right, of = (np.array(part) for part in zip(*self.searched.values(), strict=True))
            low, high = interval(right, of)
            return pd.DataFrame(
                {"what": list(self.searched), "right": right, "of": of, "share": right / of, "low": low, "high": high}
            )
        if s.view == "reverse":
            rows = [
                {"way": WAYS["reverse"][way], "tried": int(tried[-1]), "share found": found[-1] / s.people}
                for way, (tried, found, _) in self.tried.items()
            ]
            return pd.DataFrame(rows)
        rows = []
        for way, name in WAYS[s.view].items():
            e = self.estimate(way)
            mean, band = e.mean[self.held], e.band[self.held]
            rows.append({"way": name, "share": mean, "low": max(0, mean - band), "high": min(1, mean + band)})
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the attack may use, and what is made up."""
        keys = "Keys are drawn for this picture, used and forgotten; nothing that is shown or kept holds one."
        return {
            "reverse": (
                "The telephone numbers are made up: the attacker knows all but their last digits.",
                "All hashes (SHA-256) and tokens (HMAC-SHA-256) are really made here, in Python, on one core. Programs "
                "made for it are a thousand times faster, and more.",
                "A salt stands beside its hash. The salted search and that for a key are broken off after "
                f"{30_000:,} tries; what is dotted is reckoned from the measured speed.",
                "Who tries keys at random has 2²⁵⁶ of them to try.",
                keys,
            ),
            "frequency": (
                "The people are real: random ones of Adult's training split, drawn anew in each repeat. The public "
                "frequencies are those of its test split.",
                "Tokens are matched to values by rank. For independent rows nothing is likelier; with several "
                "columns together an attacker does better.",
                keys,
            ),
            "link": (
                "Two tables of the same size, of real rows of Adult: half of the people of each are in the other.",
                "Linked by token, or where a combination of kept columns is alone in both tables. Columns come in the "
                f"order {', '.join(attacks.KEPT)}.",
                keys,
            ),
            "text": (
                "The messages are made up by a script, and so is the share of unusual spellings and mistypes, one in "
                "four: the figures compare kinds, they foretell nothing about your text.",
                "A label counts as found if one find covers all of it; a find is right if it touches a label.",
                "The bars' intervals are exact (Clopper and Pearson), each for itself.",
            ),
        }[self.settings.view]

    @property
    def sentence(self) -> str:
        """What the attack brings, at the settings."""
        s = self.settings
        return {"reverse": self._reversed, "frequency": self._counted, "link": self._linked, "text": self._cleaned}[
            s.view
        ]()

    def _reversed(self) -> str:
        s = self.settings
        found = {way: 100 * float(hits[-1]) / s.people for way, (_, hits, _) in self.tried.items()}
        start = (
            f"With n = {s.people:,} people whose phone number has d = {s.digits:.3g} unknown digits, trying "
            f"{self.tried['hash'][0][-1]:,.0f} numbers finds {found['hash']:.0f} % of the people behind plain hashes"
        )
        if len(self.tried) < 3:
            return f"{start} so far."
        return (
            f"{start}, {duration(self.needed('hash'))} for all of them. With a salt for each, all would take "
            f"{duration(self.needed('salted'))} on this one core. From keyed tokens {found['token']:.0f} % came back, "
            "and more tries do not help whoever has no key."
        )

    def _counted(self) -> str:
        s, k = self.settings, self.held
        right = {way: 100 * float(self.estimate(way).mean[k]) for way in WAYS["frequency"]}
        return (
            f"With n = {s.people:,} people, {attacks.COLUMNS[s.column]} as a keyed token, and public frequencies, an "
            f"attacker without the key guesses {right['token']:.0f} % of the people right: the most frequent token is "
            f"the most frequent value. With a new token in each row it would be {right['fresh']:.0f} %, always the "
            "commonest value."
        )

    def _linked(self) -> str:
        s = self.settings
        other = self.estimate("other").mean
        most, same = int(self.x[-1]), 100 * float(self.shares["same"].mean())
        return (
            f"With n = {s.people:,} people in each table and one key for both, {same:.0f} % of the people in both are "
            f"linked. With two keys no token is the same, but {most} columns in common still link "
            f"{100 * other[-1]:.0f} % of them, 4 columns {100 * other[4]:.0f} %, none {100 * other[0]:.0f} %."
        )

    def _cleaned(self) -> str:
        able = [self.searched[kind] for kind in FOUND]
        right, of = sum(r for r, _ in able), sum(n for _, n in able)
        every = [pair for kind, pair in self.searched.items() if kind != "precision"]
        good, finds = self.searched["precision"]
        return (
            f"Of {of} card numbers, IBANs, e-mail addresses and telephone numbers in made-up messages the finder "
            f"covers {100 * right / of:.0f} %; of all personal data, names, streets and PINs included, "
            f"{100 * sum(r for r, _ in every) / sum(n for _, n in every):.0f} %. {100 * good / finds:.0f} % of what it "
            "finds is personal data. What it misses stays in the text."
        )


def duration(seconds: float) -> str:
    """A length of time in plain words."""
    for unit, size in (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):,.1f}".removesuffix(".0") + f" {unit}"
    return f"{float(f'{seconds:.2g}'):g} seconds" if seconds >= 0.01 else "less than 0.01 seconds"
