"""What a search for ε found: scores over ε, the answer and how it was proven, or what stands in its way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from privlab import datasets, explain, models
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.solve import Settings

LOWEST, HIGHEST = 0.01, 10.0  # where ε is looked for
SURE = 0.99  # of the answer's own confidence


def reached_by(scores: Array, confidence: float) -> Array:
    """What one fresh release reaches with that chance, from scores (S, K): a prediction limit for normal scores."""
    from scipy.special import stdtrit

    count = len(scores)
    if count < 2:
        return np.full(scores.shape[1], np.nan)
    width = stdtrit(count - 1, confidence) * math.sqrt(1 + 1 / count)
    return np.asarray(scores.mean(axis=0) - width * scores.std(axis=0, ddof=1))


def sure_of(hits: int, trials: int, number: int = 0) -> float:
    """The chance of a hit that is exceeded for sure enough (Clopper & Pearson 1934).

    `number` counts the proofs that were tried before this one. Each may err with its own share of the 1 % that is
    allowed, 1/2, 1/6, 1/12, …, so that with 99 % confidence none does, however many are tried.
    """
    from scipy.special import betaincinv

    error = (1 - SURE) / ((number + 1) * (number + 2))
    return float(betaincinv(hits, trials - hits + 1, error)) if hits else 0.0


@dataclass(frozen=True)
class Help:
    """What would bring the score at the greatest ε allowed.

    Attributes
    ----------
    people : float
        About how many people would do, the noise of whose crowd is that much smaller; infinity where none would.
    without_noise : float
        What a training without noise reaches.
    clip_norm, by_clip_norm : float
        The best clipping norm at that ε, and what it reaches.
    """

    people: float
    without_noise: float
    clip_norm: float
    by_clip_norm: float


@dataclass(frozen=True)
class Result:
    """Scores over ε, and the answer.

    Attributes
    ----------
    settings : Settings
    epsilons : float (K,)
    scores : float (S, K)
        One row a training.
    floor : float
        The score of knowing nothing of a person.
    progress : float in [0, 1]
    found : float or None
        The smallest ε that is enough, or the greatest that is allowed; None: not found, or not yet.
    hits, trials : int
        Fresh trainings that reached the score, of so many: at `found`, or at the greatest ε where none was enough.
    help : Help or None
        Where there is no answer: what would make one.
    """

    settings: Settings
    epsilons: Array
    scores: Array
    floor: float
    progress: float
    found: float | None = None
    hits: int = 0
    trials: int = 0
    help: Help | None = None

    @property
    def epsilon(self) -> float | None:
        """The answer."""
        return self.found

    @property
    def reachable(self) -> bool:
        """Whether there is an answer."""
        return self.found is not None

    @property
    def count(self) -> int:
        """Trained models."""
        return self.scores.size + self.trials

    @property
    def dataset(self) -> datasets.Dataset:
        """The data that the models were trained on."""
        return datasets.load(self.settings.dataset)

    @cached_property
    def reached(self) -> Array:
        """(K,) what one fresh release reaches with the confidence asked for."""
        return reached_by(self.scores, self.settings.confidence)

    def frame(self) -> pd.DataFrame:
        """One row per trained model: epsilon, seed, score, enough."""
        count = len(self.scores)
        return pd.DataFrame(
            {
                "epsilon": np.tile(self.epsilons, count),
                "seed": np.repeat(np.arange(count), len(self.epsilons)),
                "score": self.scores.ravel(),
                "enough": self.scores.ravel() >= self.settings.min_score,
            }
        )

    def summary(self) -> pd.DataFrame:
        """One row an ε: the mean, what a release reaches, and the share that is enough."""
        return pd.DataFrame(
            {
                "epsilon": self.epsilons,
                "mean": self.scores.mean(axis=0),
                f"reached by {100 * self.settings.confidence:.3g} in 100": self.reached,
                "share enough": (self.scores >= self.settings.min_score).mean(axis=0),
                "attacker's gain at most": [
                    explain.guess_limit(float(e), self.settings.delta) - 0.5 for e in self.epsilons
                ],
            }
        )

    def show(self, score: float) -> str:
        """A score as people read it."""
        return f"{score:.2f}" if self.dataset.task == "regression" else f"{100 * score:.1f} %"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the answer rests on, and what it leaves out."""
        s = self.settings
        return (
            f"Enough means: at least {100 * s.confidence:.3g} of 100 fresh releases reach the score on this test "
            f"split, at a confidence of {SURE:.0%} from 1,000 trainings of their own, the chance of passing by luck "
            "shared out over all ε that were put to this proof. A smaller ε that nearly passed may do, too. Other test "
            "people would shift all scores together.",
            f"The attacker's gain is for guessing whether one {s.unit} is in the data, from even odds, against any "
            f"(ε, δ) release: (e^ε + δ)/(1 + e^ε) − ½, at δ = {s.delta:g}.",
            f"Protected is one {s.unit}, added or removed; {s.steps} steps, sampling rate {s.sampling_rate:g}, "
            f"clipping norm {s.clip_norm:g}; ε is dp-accounting's PLD upper bound.",
            "Searching looks at the test scores of many trainings, which costs privacy and is not charged here: "
            "search on public data of the same kind.",
            "More people: the same people's pulls, with the noise of a crowd that many times as large. An estimate.",
            models.CATALOGUE[s.model].promise,
        )

    @property
    def sentence(self) -> str:
        """The answer in words."""
        s = self.settings
        asked = (
            f"With score needed = {s.min_score:.3g} and attacker's gain at most = {s.max_attacker_gain:.3g} "
            f"({'no limit on ε' if math.isinf(s.limit) else f'ε up to {max(0.0, s.limit):.3g}'}), "
        )
        model = f"{models.CATALOGUE[s.model].label} on {self.dataset.card.short}"
        if self.found is not None and s.goal == "gain":
            k = int(np.searchsorted(self.epsilons, self.found))
            more = "" if math.isinf(s.limit) or s.limit <= HIGHEST else " (the lab goes no further)"
            return (
                f"{asked}the greatest ε allowed is {self.found:.3g}{more}: there {100 * s.confidence:.3g} in 100 "
                f"releases of {model} reach {self.show(float(self.reached[k]))}."
            )
        if self.found is not None:
            gain = 100 * explain.guess_limit(self.found, s.delta)
            less = " or less" if self.found <= LOWEST else ""
            return (
                f"{asked}ε = {self.found:.3g}{less} is enough for {model}: {self.hits:,} of {self.trials:,} fresh "
                f"trainings reached {self.show(s.min_score)}. An attacker who sees one of them is right at most "
                f"{gain:.1f} times in 100; a coin, 50."
            )
        if self.progress < 1:
            now = np.flatnonzero((self.reached >= s.min_score) & (self.epsilons <= s.limit))
            looks = f"about ε = {self.epsilons[now[0]]:.2g} looks enough" if len(now) else "no ε looks enough"
            return f"{asked}{looks} for {model} so far; still looking."
        return f"{asked}{self._refusal(model)}"

    def _refusal(self, model: str) -> str:
        s, helped = self.settings, self.help
        if helped is None:
            return f"it can't be done: so little gain asks for an ε below {LOWEST:g}. Allow the attacker a little more."
        k = int(np.flatnonzero(self.epsilons <= s.limit)[-1])
        reach = (
            f"only {self.hits:,} of {self.trials:,} fresh trainings reached it"
            if self.trials
            else f"{100 * s.confidence:.3g} in 100 releases reach only {self.show(float(self.reached[k]))}"
        )
        start = f"it can't be done with {model}: at ε = {self.epsilons[k]:.3g}, the greatest allowed, {reach}."
        if helped.by_clip_norm >= s.min_score:
            return f"{start} Clipping at C = {helped.clip_norm:.2g} would do: {self.show(helped.by_clip_norm)}."
        if math.isfinite(helped.people):
            return (
                f"{start} About {helped.people:,.0f} people in training instead of {self.dataset.n_train:,} would do."
            )
        return (
            f"{start} More people of this kind would not help: without any noise it reaches "
            f"{self.show(helped.without_noise)}."
        )
