"""What two worlds look like to an attacker: the theory, and counts of real releases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from privlab.experiments._two_worlds_noise import GAUSSIAN, LABELS, RESPONSE, Array, Noise
from privlab.explain import guess_limit
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.experiments.two_worlds import Settings

STEPS = np.arange(-3, 3.1, 0.5)  # thresholds at which hits and false alarms are counted, in scales of the noise
GRID = 2.0**-53  # the spacing of floating-point numbers from 1/2 to 1


def interval(count: Array, total: Array | int) -> tuple[Array, Array]:
    """The exact 95 % interval (Clopper and Pearson 1934) for the chance behind `count` of `total`."""
    from scipy.special import betaincinv

    k, n = np.asarray(count, float), np.asarray(total, float)
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1, 0.025), 0.0)
    high = np.where(k < n, betaincinv(k + 1, np.maximum(n - k, 1), 0.975), 1.0)
    return low, high


def betrayed(answers: Array) -> Array:
    """Whether an answer has digits that NumPy's noise leaves only on a true value of 0 (after Mironov 2012).

    Below 1/2, numbers are finer than 2⁻⁵³. But to bring 1 there, noise must be at least as large as 1/2, so coarser,
    and the sum lies on the coarse grid.
    """
    return (np.abs(answers) < 0.5) & (answers % GRID != 0)


@dataclass(frozen=True)
class Attack:
    """A way to guess, tried on releases of one kind.

    Attributes
    ----------
    looks_at : str
    made_by : str
    right, spoken : int
        How often the attacker spoke, and was right, when both worlds were equally likely.
    """

    looks_at: str
    made_by: str
    right: int
    spoken: int

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of being right."""
        low, high = interval(np.array(self.right), self.spoken) if self.spoken else (0.0, 1.0)
        return float(low), float(high)


@dataclass(frozen=True)
class Result:
    """Two worlds under one noise.

    Attributes
    ----------
    settings : Settings
    released : array of shape (2, n)
        Answers released by OpenDP, without and with the person.
    naive : array of shape (2, n), or (2, 0)
        The same with NumPy's floating-point noise, which is not private; for the view "low_bits" only.
    """

    settings: Settings
    released: Array
    naive: Array

    @property
    def noise(self) -> Noise:
        """The mechanism."""
        return self.settings.noise

    @property
    def count(self) -> int:
        """Releases so far, in both worlds together."""
        return int(self.released.size)

    @property
    def progress(self) -> float:
        """The share of the releases asked for."""
        return self.released.shape[1] / self.settings.releases

    @cached_property
    def thresholds(self) -> Array:
        """Where hits and false alarms are counted; the attacker's own threshold is one of them."""
        noise, own = self.noise, self.settings.threshold
        if noise.mechanism == RESPONSE:
            return np.unique([0.5, own])
        t = 0.5 + noise.scale * STEPS
        return np.unique(np.append(np.floor(t) + 0.5 if noise.whole else t, own))

    @property
    def held(self) -> int:
        """Where the attacker's own threshold stands among `thresholds`."""
        return int(np.searchsorted(self.thresholds, self.settings.threshold))

    def above(self, world: int) -> Array:
        """How many releases were above each threshold."""
        ranked = np.sort(self.released[world])
        return (len(ranked) - np.searchsorted(ranked, self.thresholds, side="right")).astype(float)

    @cached_property
    def attacks(self) -> tuple[Attack, ...]:
        """By size and by last digits, on NumPy's and OpenDP's noise: how often each is right when it speaks."""
        t, found = self.settings.threshold, []
        for look in ("size", "last digits"):
            for made_by, answers in (("NumPy", self.naive), ("OpenDP", self.released)):
                without, within = ((answers > t) if look == "size" else betrayed(answers)).sum(axis=1)
                right = within if look == "size" else without
                found.append(Attack(look, made_by, int(right), int(without + within)))
        return tuple(found)

    def frame(self) -> pd.DataFrame:
        """One row for each threshold, or, for the view "low_bits", for each attack."""
        if self.settings.view == "low_bits":
            rows = [
                {"looks_at": a.looks_at, "noise": a.made_by, "spoken": a.spoken, "right": a.right / max(a.spoken, 1),
                 "low": a.interval[0], "high": a.interval[1], "limit": guess_limit(self.settings.epsilon)}
                for a in self.attacks
            ]  # fmt: skip
            return pd.DataFrame(rows)
        t, n = self.thresholds, self.released.shape[1]
        alarms = self.noise.above(t, 0)
        return pd.DataFrame({
            "threshold": t, "false_alarms": alarms, "hits": self.noise.above(t, 1), "limit": self.noise.limit(alarms),
            "releases": n, "seen_false_alarms": self.above(0) / n, "seen_hits": self.above(1) / n,
        })  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """The table is short enough as it is."""
        return self.frame()

    @property
    def best(self) -> float:
        """How often the best attacker is right from even odds, with this noise."""
        alarms, hits = self.noise.roc()
        return float((1 + (hits - alarms).max()) / 2)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε on screen rests on, and what it leaves out."""
        n, s = self.noise, self.settings
        if n.mechanism == RESPONSE:
            how = f"Protected is one person's yes or no: the truth is told with probability {n.scale:.4g}."
        else:
            how = (
                "Protected is one person: two data sets are neighbours if one has one person more. A count changes by "
                f"at most 1 and gets noise of scale {n.scale:.4g}."
            )
        why = f"ε = {s.epsilon:.3g} is pure (δ = 0), and OpenDP's own reckoning."
        if n.delta:
            by = "analytic Gaussian, dp-accounting" if n.mechanism == GAUSSIAN else "the exact sum over whole numbers"
            why = f"ε = {s.epsilon:.3g} holds with δ = {n.delta:g}: σ is the least that upholds both ({by})."
        return (
            how,
            why,
            "The curves are exact formulas. The dots are answers released by OpenDP with fresh noise; the bars on them "
            "are exact 95 % intervals, each for itself.",
            "The attacker knows everything but whether this one person is in, and starts from even odds.",
            "ε is for one answer. A second look at the same people adds to it.",
            *(("NumPy's noise is shown as a warning. It upholds no ε.",) if s.view == "low_bits" else ()),
        )

    @property
    def sentence(self) -> str:
        """What the attacker learns."""
        s, n = self.settings, self.noise
        if s.view == "low_bits":
            return self._digits()
        without, within = (float(n.above(s.threshold, world)) for world in (0, 1))
        yes = n.mechanism == RESPONSE
        worlds = ("if your truth is no", "if it is yes") if yes else ("without you", "with you")
        says = "your truth is yes" if yes else "you are in the data"
        kind = LABELS[n.mechanism] + ("" if yes else " noise")
        head = (
            f"At ε = {s.epsilon:.3g}, with {kind}, an attacker who says “{says}” when the answer is above "
            f"t = {s.threshold:.3g} says so {hundredths(without)} times in 100 {worlds[0]} and "
            f"{hundredths(within)} times in 100 {worlds[1]}. "
        )
        if s.view == "attackers":
            seen = [float(self.above(world)[self.held]) / self.released.shape[1] for world in (0, 1)]
            most = float(n.limit(without))
            return (
                f"{head}With that many false alarms, nobody can go beyond {hundredths(most)}. Counted on "
                f"{self.count:,} answers that OpenDP released: {hundredths(seen[0])} and {hundredths(seen[1])}."
            )
        right = (1 + within - without) / 2
        factor = f"{math.exp(s.epsilon):.3g}"
        bound = f"No answer is more than {factor} times likelier in one world than in the other"
        if n.delta:
            bound = (
                f"Apart from a chance of δ = {n.delta:g}, no answer is more than {factor} times likelier in one world "
                "than in the other"
            )
        return (
            f"{head}{bound}. From a coin flip, this attacker is right {hundredths(right)} times in 100, the best "
            f"{hundredths(self.best)}; ε allows nobody more than "
            f"{hundredths(guess_limit(s.epsilon, n.delta), up=True)}."
        )

    def _digits(self) -> str:
        s = self.settings
        _, _, naive, exact = self.attacks
        limit = guess_limit(s.epsilon)
        low = naive.interval[0]
        verdict = "more than ε allows: NumPy's noise is not private" if low > limit else "too few to be sure"
        if not naive.spoken:
            return (
                f"At ε = {s.epsilon:.3g} the last digits have not spoken yet: none of {self.count:,} answers had them."
            )
        return (
            f"At ε = {s.epsilon:.3g} an attacker may be right {hundredths(limit, up=True)} times in 100. One who looks "
            f"at the last digits of NumPy's noise is right {naive.right:,} of {naive.spoken:,} times, {verdict}. On "
            f"OpenDP's noise the same trick is right {hundredths(exact.right / max(exact.spoken, 1))} times in 100. "
            f"Size alone (above t = {s.threshold:.3g}) betrays nothing of this."
        )


def hundredths(chance: float, *, up: bool = False) -> str:
    """A chance in hundredths, finer near 0 and 100; a limit is rounded up."""
    places = 0 if 0.05 <= chance <= 0.95 else 1 if 0.005 <= chance <= 0.995 else 3
    value = 100 * chance
    if up:
        value = math.ceil(value * 10**places - 1e-9) / 10**places
    return f"{value:.{places}f}".rstrip("0").rstrip(".") if places else f"{value:.0f}"
