"""What an audit of trained models found, in numbers and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import audit, datasets
from privlab.audit import Bound
from privlab.sandwich import rounded_down
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.audit import Settings

DELTA = 1e-5
CANARIES = {
    "odd": "one very unusual person",
    "typical": "one ordinary person",
    "rows": "one person with four rows",
}
FAMILIES = {
    "any": "whatever the noise",
    "gaussian": "if it is Gaussian",
    "pld": "if sampled Gaussian",
}
SAMPLED = ", “if sampled Gaussian” that of Gaussian noise in Poisson batches"


@dataclass(frozen=True)
class Guesses:
    """One run with many canaries, and what guessing about some of them proves.

    Attributes
    ----------
    canaries, guesses, right : int
    low, high : float
        "Out" was said of scores up to `low`, "in" of scores from `high`.
    bound, ceiling : float
        The lower bound on ε, and what as many guesses would have shown had all been right.
    """

    canaries: int
    guesses: int
    right: int
    low: float
    high: float
    bound: float
    ceiling: float

    @classmethod
    def make(cls, scores: Array, joined: Array, guesses: int, confidence: float) -> Guesses:
        """Guess about the canaries with the most extreme scores, half of them in, half out."""
        order, half = np.argsort(scores), guesses // 2
        right = int((~joined[order[:half]]).sum() + joined[order[-half:]].sum())
        low, high = float(scores[order[half - 1]]), float(scores[order[-half]])
        bound, ceiling = (
            audit.one_run(len(scores), guesses, count, delta=DELTA, confidence=confidence) for count in (right, guesses)
        )
        return cls(len(scores), guesses, right, low, high, bound, ceiling)


@dataclass(frozen=True)
class Result:
    """Scores of models trained without and with the person, and what they prove.

    Attributes
    ----------
    settings : Settings
    noise_multiplier : float
        σ, made for the promised ε.
    without, with_ : float (runs,)
        How much each run's weights speak for the person. Of a single run: the canaries that stayed out, and those that
        joined.
    bounds : dict of privlab.audit.Bound
        By family; empty for a single run.
    runs : tuple of Guesses
        Single runs, of which the first counts.
    progress : float in [0, 1]
    """

    settings: Settings
    noise_multiplier: float
    without: Array
    with_: Array
    bounds: dict[str, Bound]
    runs: tuple[Guesses, ...]
    progress: float

    @property
    def count(self) -> int:
        """Models trained."""
        return len(self.runs) or len(self.without) + len(self.with_)

    @property
    def covered(self) -> bool:
        """Whether the promise covers the person: it protects rows, and theirs is one."""
        return self.settings.canary != "rows"

    @property
    def lower_bound(self) -> float:
        """What is proven with no assumption on the noise."""
        return self.runs[0].bound if self.runs else self.bounds["any"].lower_bound

    def frame(self) -> pd.DataFrame:
        """One row a model (its world, run and score), or, of a single run, one a canary."""
        parts = [
            pd.DataFrame({"person": world, "run": np.arange(len(scores)), "score": scores})
            for world, scores in (("out", self.without), ("in", self.with_))
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a bound."""
        rows: list[dict[str, Any]]
        if self.runs:
            rows = [
                {"run": place + 1, "guesses": run.guesses, "right": run.right, "ε at least": run.bound,
                 "could show": run.ceiling, "promised": self.settings.epsilon}
                for place, run in enumerate(self.runs)
            ]  # fmt: skip
        else:
            rows = [
                {"bound": FAMILIES[name], "wrong alarms": f"{b.false_positives} of {b.without_trials}",
                 "missed": f"{b.false_negatives} of {b.with_trials}", "rates suggest ε": b.estimate,
                 "ε at least": b.lower_bound, "could show": b.ceiling, "promised": self.settings.epsilon}
                for name, b in self.bounds.items()
            ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the promise covers, and what each bound rests on."""
        s = self.settings
        sampled = s.sampling_rate < 1
        promise = (
            f"Promised: (ε, δ = {DELTA:g}) for adding or removing one row, by {s.steps} steps of DP-SGD"
            f"{f' with Poisson batches of rate {s.sampling_rate:g}' if sampled else ' with everybody in each'}, noise "
            f"{self.noise_multiplier:.4g} × the clipping norm; proven by dp-accounting."
        )
        shared = (
            promise,
            "The attacker sees the released weights and nothing else, and knows everything about the data but whether "
            "the person is in it.",
            "The noise is floating-point noise: the promise is idealised, and the attack does not look at last digits.",
            f"The number of runs is fixed beforehand. Bounds on the way hold at {100 * s.confidence:g} % each, for "
            "themselves; whoever stops at the best of them has fooled themselves.",
        )
        if self.runs:
            return (
                *shared,
                f"One run: {s.trials:,} made-up people, each with a feature of their own, joined by fair coins; the "
                "attacker guesses about the most extreme (Steinke et al. 2023). The first run is the audit; the others "
                "only show how much luck there is in it.",
            )
        return (
            *shared,
            "Each run has its own noise and its own batches. Thresholds are chosen on half of the runs and judged on "
            "the other half.",
            "“Whatever the noise” assumes nothing. “If it is Gaussian” assumes the shape that plain Gaussian noise "
            f"gives to the error rates{sampled * SAMPLED}; each is right "
            "only if the mechanism has this shape, as an audit of one's own code may assume and a stranger's may not.",
        )

    @property
    def sentence(self) -> str:
        """What was proven from below, beside what is promised from above."""
        s, least = self.settings, rounded_down(self.lower_bound)
        n = f"{s.trials:,}" if s.trials >= 1000 else f"{s.trials}"
        name = datasets.card(s.dataset).short
        sure = f"{100 * s.confidence:g} % confidence"
        if self.runs:
            run = self.runs[0]
            return (
                f"Promised ε = {s.epsilon:.3g}. One training on {name} with N = {n} made-up people, each in or out by "
                f"a coin: of {run.guesses} guesses {run.right} were right, so ε is at least {least}, at {sure}. Had "
                f"all been right, it would have been {run.ceiling:.3g}."
            )
        fitting = self.bounds.get("gaussian" if s.sampling_rate == 1 else "pld")  # the shape that this training has
        shaped = self.lower_bound if fitting is None else fitting.lower_bound
        extra = "" if fitting is None else f", and at least {rounded_down(shaped)} if it is Gaussian"
        proven = (
            f"Promised ε = {s.epsilon:.3g}. Models trained on {name}, N = {n} without {self._person} and as many with "
            f"them, show that ε is at least {least} whatever the noise{extra}, at {sure}. "
        )
        highest = max(self.lower_bound, shaped)
        if highest > s.epsilon:
            luck = f"or one of these bounds, each wrong up to {100 * (1 - s.confidence):.2g} times in 100, was unlucky"
            why = luck if self.covered else "it covers one row, and this person has four"
            return f"{proven}That is more than was promised: {why}."
        if self.bounds["any"].ceiling <= s.epsilon:
            shape = fitting is not None and fitting.ceiling > s.epsilon
            unless = " unless the noise may be taken for Gaussian" if shape else ", whatever they find"
            return f"{proven}So few runs cannot refute this promise{unless}."
        return f"{proven}The truth lies between that and what is promised."

    @property
    def _person(self) -> str:
        return {"odd": "one very unusual person", "typical": "one ordinary person", "rows": "one person of four rows"}[
            self.settings.canary
        ]

    def evidence(self) -> dict[str, Any]:
        """By family, or "run": lower bound, ceiling and estimate."""
        if self.runs:
            run = self.runs[0]
            return {"run": (run.bound, run.ceiling, _naive(run))}
        return {name: (b.lower_bound, b.ceiling, b.estimate) for name, b in self.bounds.items()}


def _naive(run: Guesses) -> float:
    """ε as the share of right guesses suggests it."""
    right = min(run.right, run.guesses - 0.5)
    return max(0.0, float(np.log(right / (run.guesses - right))))
