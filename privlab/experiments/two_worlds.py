"""What can someone learn about one person from a noisy answer?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from privlab.experiments import _choices
from privlab.experiments import _two_worlds_noise as noises
from privlab.experiments._two_worlds_picture import Picture
from privlab.experiments._two_worlds_result import Result
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control

__all__ = ["FRESH", "Picture", "Result", "Settings", "prepare", "run"]

FRESH = ("seen_false_alarms", "seen_hits")  # counted on releases that nobody can repeat
BLOCK = 200  # releases at a time in each world: at most about 25 ms
REPAINT = 0.06  # seconds between two pictures
VIEWS = {
    "worlds": "the two worlds",
    "attackers": "what attackers get (ROC)",
    "low_bits": "the last digits of the noise",
}


class Settings(Controls):
    """Which noise hides the person, and how the attacker guesses."""

    epsilon: float = _choices.epsilon(
        "How much one person may change what is likely to come out. Smaller is more private.", high=10, slider=(0.1, 10)
    )
    threshold: float = control(
        default=0.5,
        label="attacker's threshold t",
        low=-100,
        high=100,
        slider=(-8, 9),
        places=35,
        ends=("cries wolf", "misses you"),
        hint="The attacker says that you are in the data whenever the answer is above t.",
    )
    mechanism: str = choice(
        default=noises.LAPLACE,
        label="noise",
        among=lambda: tuple(noises.LABELS),
        words=lambda name: noises.LABELS[name],
        offered=lambda settings, name: settings.view != "low_bits" or name == noises.LAPLACE,
        hint="What is added to the answer before anybody sees it.",
    )
    view: str = choice(
        default="worlds",
        label="show",
        among=lambda: tuple(VIEWS),
        words=lambda view: VIEWS[view],
        offered=lambda settings, view: view != "low_bits" or settings.mechanism == noises.LAPLACE,
        hint="Three ways to look at the same two worlds.",
    )
    delta: float = control(
        default=1e-5, label="δ", low=1e-12, high=0.1, slider=(1e-9, 1e-1), scale="log", places=17, advanced=True,
        hint="The chance left outside the promise; only the Gaussian kinds need one.",
    )  # fmt: skip
    releases: int = control(
        default=10_000, label="releases in each world", low=100, high=200_000, slider=(200, 100_000), scale="log",
        places=28, advanced=True, hint="Answers released by OpenDP, to see whether the theory holds.",
    )  # fmt: skip

    @property
    def noise(self) -> noises.Noise:
        """The mechanism, calibrated to ε and δ."""
        return noises.make(self.mechanism, self.epsilon, self.delta)

    def check(self) -> None:
        """Refuse to look for last digits in whole numbers."""
        if self.view == "low_bits" and self.mechanism != noises.LAPLACE:
            raise ValueError(f"'mechanism' must be '{noises.LAPLACE}' for the view 'low_bits'. Got {self.mechanism!r}.")


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what the Gaussian kinds need."""
    yield from for_the_accountant()


def run(settings: Settings) -> Iterator[Result | None]:
    """Compute both worlds, then release answers in both: a first Result after a few hundred, better ones after."""
    if settings.mechanism in noises.SLOW:
        yield from for_the_accountant()
    noise, naive = settings.noise, np.random.default_rng()
    seen: list[Any] = []
    digits: list[Any] = []
    count, painted = 0, 0.0
    while count < settings.releases:
        block = min(BLOCK, settings.releases - count)
        seen.append([noise.release(world, block) for world in (0, 1)])
        if settings.view == "low_bits":
            digits.append([world + naive.laplace(scale=noise.scale, size=block) for world in (0, 1)])
        count += block
        if time.perf_counter() - painted > REPAINT or count == settings.releases:
            nothing = np.empty((2, 0))
            yield Result(settings, np.concatenate(seen, 1), np.concatenate(digits, 1) if digits else nothing)
            painted = time.perf_counter()
        else:
            yield None
