"""Does a model betray what its people did not tell?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from privlab import datasets
from privlab.experiments import _choices, _shadows
from privlab.experiments._attributes_guess import Difference, Guesser, gain
from privlab.experiments._attributes_picture import Picture
from privlab.experiments._waiting import for_all, for_the_accountant
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["HIDDEN", "Picture", "Result", "Settings", "prepare", "run"]

HIDDEN = {
    "occupation": "occupation",
    "workclass": "kind of employer",
    "marital-status": "marital status",
    "relationship": "place in the family",
    "race": "race",
    "sex": "sex",
}
SIDES = {"members": True, "outsiders": False}
MODEL = "dp-sgd-logistic"
TOGETHER = 256  # models between two results


class Settings(Controls):
    """What is hidden, and what the model learned from."""

    epsilon: float = _choices.epsilon("Of the private models; the others are trained without any privacy.")
    size: int = control(
        default=50, label="people n in each model's training", low=20, high=10_000, slider=(25, 1000), scale="log",
        ends=("few", "many"), hint="Each model learns from a random half of a pool of twice as many people.",
    )  # fmt: skip
    hidden: str = choice(
        default="occupation", label="the attacker does not know", among=lambda: tuple(HIDDEN),
        words=lambda name: HIDDEN[name], hint="Everything else about the person is known, income included.",
    )  # fmt: skip
    steps: int = control(
        default=60, label="training steps T", low=1, high=5000, slider=(2, 400), scale="log", advanced=True,
        hint="The longer a model trains, the closer it fits its people.",
    )  # fmt: skip
    clip_norm: float = control(
        default=1.0, label="clipping norm C", low=0.01, high=100, slider=(0.1, 10), scale="log", advanced=True,
        ends=("clips more", "clips less"), hint="Of the private models: how far one person may pull a step.",
    )  # fmt: skip
    shadows: int = control(
        default=512, label="models", low=64, high=4096, slider=(64, 2000), scale="log", places=16, advanced=True,
        hint="Each is attacked, with the others to compare it with.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """How well a hidden column is guessed, with and without models.

    Attributes
    ----------
    settings : Settings
    alone : float
        The share of people guessed right from other people's data, without any model.
    common : float
        The share guessed right by always saying the most common value.
    gains : dict of Difference
        By (kind of model, side): what seeing the model adds, for "members" and for "outsiders".
    models : int
        Of each kind.
    progress : float in [0, 1]
    """

    settings: Settings
    alone: float
    common: float
    gains: dict[tuple[str, str], Difference]
    models: int
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models trained."""
        return 2 * self.models

    def frame(self) -> pd.DataFrame:
        """One row a kind of model and side: shares guessed right, and what the model adds, in points."""
        rows = [
            {
                "models": _shadows.KINDS[kind],
                "people": side,
                "right without the model": 100 * self.alone,
                "added": 100 * found.mean,
                "low": 100 * (found.mean - found.half),
                "high": 100 * (found.mean + found.half),
            }
            for (kind, side), found in self.gains.items()
        ]
        return pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """The table itself: it is short."""
        return self.frame()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the attacker knows and does, and what the intervals allow for."""
        s = self.settings
        return (
            "The attacker knows every other column of a person, their income included, and has the data of all people "
            f"outside the pool. Without a model they guess {HIDDEN[s.hidden]} from those, by linear discriminant. That "
            "is possible whether or not the person ever took part, and no ε is against it.",
            "With a model they also ask, for each possible value, how well the model fits the person with it, compared "
            "with models that did not learn from them, and weigh both (a likelihood ratio with one spread).",
            "For outsiders the model can add nothing about themselves; it is the check that the attack is fair. What "
            "it adds for members is what taking part gave away.",
            f"ε is for adding or removing one person, at δ = {_shadows.DELTA:g}; every step takes all members, with "
            f"C = {s.clip_norm:.3g} and T = {s.steps} (exact composition). The noise is floating-point noise, so ε is "
            "idealised.",
            "Intervals are 95 %, for other people and other models. Another attack may find more.",
        )

    @property
    def sentence(self) -> str:
        """What the model adds, at the settings."""
        s = self.settings
        told = {
            key: f"{100 * one.mean:+.1f} points (± {100 * one.half:.1f})".replace("-", "−")
            for key, one in self.gains.items()
        }
        return (
            f"Knowing all of a person but {HIDDEN[s.hidden]}, an attacker guesses it right for "
            f"{100 * self.alone:.0f} of 100 from other people's data alone. Seeing a model that learned from n = "
            f"{s.size:,} people without privacy adds {told['plain', 'members']} for those people and "
            f"{told['plain', 'outsiders']} for others; with ε = {s.epsilon:.3g} it adds {told['private', 'members']} "
            "for its people."
        )


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what an ε typed between the slider's positions needs."""
    yield from for_the_accountant()


def run(settings: Settings) -> Iterator[Result | None]:
    """Train models without and with privacy on the same halves, and guess the hidden column from each."""
    s, data = settings, datasets.load("adult")
    yield from _shadows.ready(s.epsilon)
    pool = _shadows.Pool.draw(data, s.size, 0, s.seed)
    members = pool.members(s.shadows, s.seed)
    (guesser,) = yield from for_all(lambda: Guesser.make(data, pool, s.hidden))
    budgets = {"plain": None, "private": (s.epsilon, s.clip_norm)}
    fits: dict[str, list[Array]] = {kind: [] for kind in budgets}
    for first in range(0, s.shadows, TOGETHER):
        some = members[first : first + TOGETHER]
        gains = {}
        for kind, budget in budgets.items():
            for fit in _shadows.train(pool, MODEL, some, budget, s.steps, (s.seed, 2, first), guesser.fit):
                yield None
                if fit is not None:
                    fits[kind].append(fit)
            joined = members[: first + len(some)]
            (right,) = yield from for_all(partial(guesser.right, np.concatenate(fits[kind]), joined))
            for side, inside in SIDES.items():
                gains[kind, side] = gain(right, guesser.alone, joined == inside)
        yield Result(s, float(guesser.alone.mean()), guesser.common, gains, len(joined), len(joined) / s.shadows)
