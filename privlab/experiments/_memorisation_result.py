"""What a language model gives away of a secret: ranks, and the model's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from privlab import ngrams, texts, uncertainty
from privlab.experiments import _memorisation_secrets as secrets
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.memorisation import Settings

DELTA = 1e-6
WAYS = {"plain": "no protection", "tokens": "tokens", "private": "noise"}


@dataclass(frozen=True)
class Result:
    """Exposure of planted secrets, over the copies of a line or over ε.

    Attributes
    ----------
    settings : Settings
    x : (K,)
        Copies, or ε; `x[held]` is that of the settings.
    ranks : dict of int (repeats, K)
        By way of protection: the secret's rank among 10,000 candidates.
    limit : (K,)
        The mean exposure that the noise allows at most.
    completions : dict of str
        By way: what the model of the first repeat goes on with.
    first : int
        The made-up secret of the first repeat.
    accuracy : dict of float
        By way: share of letters in unseen lines guessed right; empty while it is not known yet.
    progress : float in [0, 1]
    """

    settings: Settings
    x: Array
    held: int
    ranks: dict[str, Array]
    limit: Array
    completions: dict[str, str]
    first: int
    accuracy: dict[str, float]
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Rankings of all candidates so far."""
        return sum(ranks.size for ranks in self.ranks.values())

    def estimate(self, way: str) -> uncertainty.Estimate:
        """Mean exposure over the repeats, and its bands."""
        return uncertainty.estimate(secrets.exposure(self.ranks[way]))

    @property
    def prompt(self) -> str:
        """What is typed into the model."""
        return secrets.prompt(self.settings.secret, self.first, self.settings.prompt)

    @property
    def missing(self) -> str:
        """How the first repeat's secret line goes on after the prompt."""
        return secrets.line(self.settings.secret, self.first).removeprefix(self.prompt)

    def frame(self) -> pd.DataFrame:
        """One row a way, a place on the axis and a repeat: rank and exposure."""
        parts = [
            pd.DataFrame(
                {
                    "way": way,
                    self.settings.view: np.tile(self.x, len(ranks)),
                    "repeat": np.repeat(np.arange(len(ranks)), len(self.x)),
                    "rank": ranks.ravel(),
                    "exposure": secrets.exposure(ranks).ravel(),
                }
            )
            for way, ranks in self.ranks.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a way, at the settings: exposure, the share ranked first, and what the model says."""
        rows = []
        for way, ranks in self.ranks.items():
            e, k = self.estimate(way), self.held
            low, high = np.clip([e.mean[k] - e.band[k], e.mean[k] + e.band[k]], 0, np.log2(secrets.POSSIBLE))
            rows.append(
                {"way": WAYS[way], "exposure": e.mean[k], "low": low, "high": high,
                 "guessed at once": float((ranks[:, k] == 1).mean()), "goes on with": self.completions[way]}
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε covers, and what all this rests on."""
        s = self.settings
        return (
            f"Protected is one line of text: ε holds for adding or removing one line, at δ = {DELTA:g}. A line that "
            "stands there k times is k lines, and a person's ten lines are ten.",
            f"Each line is cut to {s.length} letters and says of each combination of letters once whether it holds it, "
            f"for {' and '.join(map(str, ngrams.BEFORE))} letters before the next; every one of the "
            f"{ngrams.SIZE**3 + ngrams.SIZE**5:,} counts gets Gaussian noise (analytic Gaussian, dp-accounting). The "
            "alphabet is public.",
            "The noise drawn here is floating-point noise: ε is idealised.",
            "The attacker sees all counts, knows all other lines, the wording and the number of copies, and ranks the "
            "10,000 possible secrets by likelihood. That is at least as strong as ranking by the model's own surprise.",
            "The line 'most that noise allows' is proven for the mean over secrets drawn at random (group privacy of "
            "the Gaussian mechanism). It allows for a line all of whose letters are secret, so it lies higher.",
            "Secrets are made up and drawn anew in each repeat. The plays are real: "
            f"{texts.card('plays').n:,} lines, one in twenty-five kept aside to test on.",
            "Tokens stand for what the finder finds, by check digits and formats. They carry no ε.",
        )

    @property
    def sentence(self) -> str:
        """What the attacker gets, at the settings."""
        s, k = self.settings, self.held
        bits = {way: float(self.estimate(way).mean[k]) for way in self.ranks}
        at_once = 100 * float((self.ranks["private"][:, k] == 1).mean())
        seen = "is found and replaced" if s.secret == "card" else "has no check digit, so no finder sees it"
        times = "time" if s.copies == 1 else "times"
        said = (
            f"With {secrets.KINDS[s.secret]} told k = {s.copies:,} {times} and noise of ε = {s.epsilon:.3g} "
            f"for a line, {bits['private']:.1f} of its {np.log2(secrets.POSSIBLE):.1f} bits are out, and an attacker "
            f"names it at once {at_once:.0f} times in 100; the noise allows {_up(float(self.limit[k]))} bits at most. "
            f"Without protection {bits['plain']:.1f} bits are out. With tokens {bits['tokens']:.1f}, for it {seen}; "
            f"blind guessing gives {secrets.guessing():.1f}."
        )
        if self.accuracy:
            right = {way: 100 * share for way, share in self.accuracy.items()}
            said += (
                f" Of unseen letters the model guesses {right['plain']:.0f} % without protection, "
                f"{right['tokens']:.0f} % with tokens, {right['private']:.0f} % with noise."
            )
        return said


def _up(bits: float) -> str:
    return f"{np.ceil(10 * bits - 1e-9) / 10:.1f}"
