"""Which way to learn from people leaves whom to trust, and at what cost?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import hypot, isnan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from privlab import ckks, datasets, models, uncertainty
from privlab.experiments import _choices
from privlab.experiments import _encrypted_words as words
from privlab.experiments import _side_by_side_ways as ways
from privlab.experiments._side_by_side_picture import Picture
from privlab.experiments._side_by_side_ways import WAYS
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["WAYS", "Picture", "Result", "Settings", "run"]

TOGETHER = 4  # repeats between two results


class Settings(Controls):
    """How strict ε is, and among how many clients the people are spread."""

    epsilon: float = _choices.epsilon(
        "The same for the three ways that add noise.", default=2.0, low=0.05, slider=(0.1, 20)
    )
    clients: int = control(
        default=100, label="clients", low=5, high=10_000, slider=(5, 2000), scale="log", ends=("few", "many"),
        hint="Firms, clinics or phones that hold the people's records in the two federated ways.",
    )  # fmt: skip
    seeds: int = control(
        default=8, label="repeats", low=2, high=100, slider=(2, 20), scale="log", places=10, advanced=True,
        hint="How often each model is trained anew.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """The same task learned in five ways.

    Attributes
    ----------
    settings : Settings
    scores : dict of float (repeats,)
        By way: test accuracy; a way that is not there yet is left out.
    seconds, sent : dict of float
        By way: work and bytes of one training. NaN: not measured, for its library is not installed.
    floor : float
        The accuracy of always the same answer.
    progress : float in [0, 1]
    """

    settings: Settings
    scores: Mapping[str, Array]
    seconds: Mapping[str, float]
    sent: Mapping[str, float]
    floor: float
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models trained."""
        return sum(map(len, self.scores.values()))

    def interval(self, way: str) -> tuple[float, float, float]:
        """Mean accuracy and the 95 % interval for one fresh training on other test people like these."""
        e = uncertainty.estimate(self.scores[way][:, None])
        mean = float(e.mean[0])
        people = 1.96 * sqrt(mean * (1 - mean) / len(datasets.load("adult").evaluation[1]))
        half = hypot(float(e.release[0]), people)
        return mean, max(0.0, mean - half), min(1.0, mean + half)

    def cost(self, way: str) -> tuple[str, str]:
        """Work and bytes of one training, in words."""
        if isnan(self.seconds[way]):
            return "not", "installed"
        about = "≈ " if way == "encrypted" else ""
        return about + words.seconds(self.seconds[way]), about + words.size(self.sent[way])

    def frame(self) -> pd.DataFrame:
        """One row a training: way, repeat and accuracy."""
        parts = [
            pd.DataFrame({"way": way, "repeat": np.arange(len(scores)), "accuracy": scores})
            for way, scores in self.scores.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a way: accuracy, who could still see what, whom to trust, and the cost of one training."""
        rows = []
        for way in self.scores:
            one, (mean, low, high), cost = WAYS[way], self.interval(way), self.cost(way)
            rows.append(
                {"way": one.label.replace("\n", " "), "accuracy": mean, "low": low, "high": high,
                 "whoever runs it sees": one.server.replace("\n", " "), "the model tells": one.model.replace("\n", " "),
                 "protected by ε": one.unit, "must be trusted": one.trust, "work": cost[0], "sent": cost[1]}
            )  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What each way protects, from whom, and how its cost was found."""
        count = self.settings.clients
        missing: tuple[str, ...] = ()
        if isnan(self.seconds.get("encrypted", 0.0)):
            missing = (f"The cost of encryption is left out: CKKS is not installed. This adds it: {ckks.EXTRA}",)
        return (
            f"The three ε, at δ = {ways.DELTA:g} (noise at home: δ = 0), are not promises of one kind: for adding or "
            "removing one person in the office; for replacing a person's whole record at home; for adding or removing "
            f"one whole client, about {datasets.load('adult').n_train / count:,.0f} people, where updates are masked.",
            f"Federated: everybody in Adult dealt to {count:,} clients at random; {ways.ROUNDS} rounds, all clients "
            "in each. Without masks the server can compute records back from an update of few people.",
            f"Masked: updates are split into random shares for {ways.SERVERS} servers, one of them honest; every "
            "client adds its part of the noise, so that sums are noisy before anybody sees them, and none drops out. "
            f"A client knows its own part: against it, {count - 1:,} of {count:,} are left, and ε is a little larger. "
            "Noise here is floating-point noise: ε is idealised.",
            f"Encrypted: {ways.STEPS} steps on ciphertexts with a polynomial for the sigmoid; accuracy is that of the "
            "same steps in the clear, which decrypted ones match up to a stated bound. Its cost is reckoned from one "
            f"measured step on six columns of {ckks.Parameters(*ways.SEALED, 4).slots:,} people at N = 8,192.",
            "No noise is in the federated and the encrypted model: what they tell about their people nothing bounds.",
            "Work is one thread's or a few threads' on this machine, without the network.",
            *missing,
        )

    @property
    def sentence(self) -> str:
        """What each way achieves at the settings, and what it leaves to be seen."""
        s = self.settings
        found = ", ".join(f"{100 * self.interval(way)[0]:.1f} % {WAYS[way].name}" for way in self.scores)
        return (
            f"With ε = {s.epsilon:.3g} and clients = {s.clients:.3g}, the model is right about {found}; always the "
            f"same answer: {100 * self.floor:.1f} %. Encryption hides records on the way to the model, noise hides "
            "them in the model."
        )


def run(settings: Settings) -> Iterator[Result | None]:
    """Train in each way, some repeats at a time, and show each as it comes."""
    yield from for_the_accountant()
    floor = models.floor(datasets.load("adult"))
    scores: dict[str, Array] = {}
    seconds: dict[str, float] = {}
    sent: dict[str, float] = {}
    starts = range(0, settings.seeds, TOGETHER)
    for number, first in enumerate(starts):
        repeats = range(first, min(first + TOGETHER, settings.seeds))
        for place, (way, train) in enumerate(ways.TRAIN.items(), 1):
            if first and way == "encrypted":  # it draws nothing: once is enough
                given = np.repeat(scores[way][:1], len(repeats))
            else:
                given, seconds[way], sent[way] = yield from train(settings, repeats)
            scores[way] = np.append(scores.get(way, np.zeros(0)), given)
            progress = (number + place / len(WAYS)) / len(starts)
            yield Result(settings, dict(scores), dict(seconds), dict(sent), floor, progress)
