"""Can a secret be put together from many harmless counts?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, cores, datasets, uncertainty
from privlab.experiments import _choices, _shadows
from privlab.experiments._reconstruction_picture import Picture
from privlab.experiments._waiting import for_the_accountant
from privlab.explain import guess_limit
from privlab.settings import Controls, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["NOISES", "Picture", "Result", "Settings", "prepare", "run"]

NOISES = {"exact": "exact", "each": "ε for each answer", "together": "ε for all answers"}
GRID = (10, 30, 100, 300, 1000, 3000)
EXACT = 1e-3  # the attacker allows for that much noise where there is none


class Settings(Controls):
    """Whose secrets, how many questions, and how noisy the answers."""

    epsilon: float = _choices.epsilon(
        "For each answer on one line, for all of them together on another.", ends=(_choices.PRIVATE, "more exact")
    )
    questions: int = control(
        default=300, label="questions m", low=1, high=10_000, slider=(10, 3000), scale="log",
        ends=("few", "many"), hint="Each asks how many of a random half of the people earn more than $50,000.",
    )  # fmt: skip
    people: int = control(
        default=200, label="people n", low=10, high=1000, slider=(20, 400), scale="log",
        ends=("few", "many"), hint="How many people the counts are about.",
    )  # fmt: skip
    seeds: int = control(
        default=12, label="repeats", low=2, high=200, slider=(2, 40), scale="log", places=20, advanced=True,
        hint="How often everything is done anew, with other people, questions and noise.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """Secrets put together from counts.

    Attributes
    ----------
    settings : Settings
    questions : int (K,)
        In rising order; `questions[held]` is that of the settings.
    right : dict of float (repeats, K)
        By kind of noise: the share of people whose secret comes out right.
    progress : float in [0, 1]
    """

    settings: Settings
    questions: Array
    held: int
    right: dict[str, Array]
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Attempts at all secrets."""
        return sum(found.size for found in self.right.values())

    @property
    def limit(self) -> float:
        """How often any attacker on answers of ε together can be right at most."""
        return guess_limit(self.settings.epsilon, _shadows.DELTA)

    @property
    def spent(self) -> float:
        """The ε of all answers together where each has its own: the least place of the slider that allows it, or ∞."""
        alone = _shadows.noise(self.settings.epsilon, 1)
        for epsilon in accounting.EPSILON_POSITIONS:
            if _shadows.noise(float(epsilon), self.settings.questions) <= alone:
                return float(epsilon)
        return math.inf

    def estimate(self, kind: str) -> uncertainty.Estimate:
        """Mean over repeats, and its bands."""
        return uncertainty.estimate(self.right[kind])

    def frame(self) -> pd.DataFrame:
        """One row an attempt: answers, questions, repeat, and the share of secrets that came out right."""
        parts = [
            pd.DataFrame(
                {
                    "answers": NOISES[kind],
                    "questions": np.tile(self.questions, len(found)),
                    "repeat": np.repeat(np.arange(len(found)), len(self.questions)),
                    "right": found.ravel(),
                }
            )
            for kind, found in self.right.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a kind of answers and number of questions."""
        parts = []
        for kind in self.right:
            e = self.estimate(kind)
            parts.append(pd.DataFrame({"answers": NOISES[kind], "questions": self.questions, "right": e.mean,
                                       "low": e.mean - e.band, "high": e.mean + e.band}))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the attacker does, and what the promise covers."""
        return (
            "Each question is about a random half of the people, and the attacker knows who is in it. Half of the "
            "people, drawn by coin, earn more; the attacker knows that and nothing else.",
            "The attack is the best linear guess from all answers, rounded (after Dinur & Nissim 2003). A cleverer one "
            "may do better on exact answers; no one gets past the limit on answers of ε together.",
            "ε is for one person's answer being a yes or a no, which changes each count by at most 1, "
            f"at δ = {_shadows.DELTA:g}: Gaussian noise, composed exactly. The noise drawn here is floating-point "
            "noise, so ε is idealised.",
            "With ε for each answer the noise stays the same however much is asked, and all answers together spend far "
            "more than ε.",
            "Bands are 95 % intervals of the mean over other people, questions and noise.",
        )

    @property
    def sentence(self) -> str:
        """How many secrets come out, at the settings."""
        s, k = self.settings, self.held
        found = {kind: 100 * float(self.estimate(kind).mean[k]) for kind in self.right}
        spent = "more than 10" if math.isinf(self.spent) else f"{self.spent:.3g}"
        return (
            f"From m = {s.questions:,} counts about n = {s.people:,} people, {found['exact']:.0f} of 100 secrets come "
            f"out right if the counts are exact, {found['each']:.0f} if each has noise for ε = {s.epsilon:.3g} of its "
            f"own (together that is {spent}), and {found['together']:.0f} if ε = {s.epsilon:.3g} is for all of them "
            f"together: at most {100 * self.limit:.0f} for any attacker. A coin is right for 50."
        )


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what an ε typed between the slider's positions needs."""
    yield from for_the_accountant()


@cache
def _secrets() -> tuple[Array, Array]:
    """Whether each person of Adult earns more than $50,000, and chances to be drawn that make both equally likely."""
    secrets = datasets.load("adult").y_train.astype(float)
    rate = secrets.mean()
    return secrets, np.where(secrets > 0, 0.5 / rate, 0.5 / (1 - rate)) / len(secrets)


def run(settings: Settings) -> Iterator[Result | None]:
    """Ask, add noise, and solve for the secrets, for all numbers of questions; a repeat at a time."""
    s = settings
    yield from _shadows.ready(s.epsilon)
    secrets, chances = _secrets()
    questions = np.unique([*GRID, s.questions])
    sigma = {"exact": 0 * questions, "each": np.full(len(questions), _shadows.noise(s.epsilon, 1)),
             "together": np.array([_shadows.noise(s.epsilon, int(m)) for m in questions])}  # fmt: skip
    gathered: dict[str, list[Array]] = {kind: [] for kind in NOISES}
    for repeat in range(s.seeds):
        rng = np.random.default_rng([s.seed, repeat])
        truth = rng.choice(secrets, s.people, replace=False, p=chances)
        asked = rng.integers(0, 2, (int(questions[-1]), s.people)).astype(np.float32)
        counts, noise = asked @ truth, rng.standard_normal(len(asked))
        right = {kind: np.empty(len(questions)) for kind in NOISES}
        gram, start = np.zeros((s.people, s.people)), 0
        for k, m in enumerate(questions.tolist()):
            yield None
            gram += asked[start:m].T @ asked[start:m]
            start = m
            with cores.shared().held():  # systems this small take longer on several threads
                for kind in NOISES:
                    answers = counts[:m] + sigma[kind][k] * noise[:m]
                    guess = solve(asked[:m], gram, answers, max(EXACT, float(sigma[kind][k])))
                    right[kind][k] = np.mean((guess > 0.5) == (truth > 0.5))
        for kind in NOISES:
            gathered[kind].append(right[kind])
        if repeat:
            stacked = {kind: np.stack(rows) for kind, rows in gathered.items()}
            held = int(np.searchsorted(questions, s.questions))
            yield Result(s, questions, held, stacked, (repeat + 1) / s.seeds)


def solve(asked: Array, gram: Array, answers: Array, sigma: float) -> Array:
    """The best linear guess of secrets (people,), 0 or 1 with even chances, from noisy counts of them.

    asked (m, people) holds who is in which count, gram is askedᵀ·asked. Minimises
    ‖asked·x − answers‖²/σ² + 4·‖x − ½‖².
    """
    missing = asked.T @ (answers - asked.sum(axis=1) / 2)
    return 0.5 + np.linalg.solve(gram + 4 * sigma**2 * np.eye(len(gram)), missing)
