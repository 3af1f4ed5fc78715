"""Is a broken promise noticed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from privlab import accounting, checks
from privlab.experiments import _choices
from privlab.experiments import _gallery_exhibits as exhibits
from privlab.experiments._gallery_bugs import CATALOGUE, DELTA, RATE, STEPS
from privlab.experiments._gallery_exhibits import Claim, Exhibit
from privlab.experiments._gallery_picture import Picture
from privlab.experiments._waiting import for_import, for_the_accountant
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.experiments._gallery_bugs import Bug

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

VIEWS = {"one": "one bug and its sound twin", "all": "all bugs, all checks"}
VARIANTS = {True: "broken", False: "sound"}


class Settings(Controls):
    """What is claimed, and which bug makes it false."""

    epsilon: float = _choices.epsilon(
        "What the broken code and its sound twin both claim to uphold.",
        label="claimed ε",
        low=0.05,
        high=10,
    )
    clip_norm: float = control(
        default=4.0, label="limit of one person's pull, C", low=0.1, high=10, scale="log", places=81,
        ends=("short", "long"), hint="How long a gradient may be; of a count or a sum, how far one person moves it.",
    )  # fmt: skip
    bug: str = choice(
        default="no_clipping", label="bug", among=lambda: tuple(CATALOGUE), words=lambda name: CATALOGUE[name].label,
        offered=lambda settings, name: settings.view == "one" or name == settings.bug,
        hint="Each was published; the last five run diffprivlib as it is installed.",
    )  # fmt: skip
    view: str = choice(
        default="one", label="show", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        hint="The evidence on one bug, or which check catches which bug.",
    )  # fmt: skip
    trials: int = control(
        default=10_000, label="trials", low=2000, high=200_000, slider=(2000, 100_000), scale="log", places=18,
        advanced=True, hint="Draws of noise, and releases in each of two worlds, that the checks may use.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """What the checks found.

    Attributes
    ----------
    settings : Settings
    exhibits : tuple of Exhibit
        Broken variants and their sound twins, as far as they were looked at.
    progress : float in [0, 1]
    """

    settings: Settings
    exhibits: tuple[Exhibit, ...]
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Checks done."""
        return sum(len(one.findings) for one in self.exhibits)

    def of(self, bug: str, broken: bool) -> Exhibit | None:
        """One exhibit, if it is there by now."""
        return next((one for one in self.exhibits if (one.bug, one.broken) == (bug, broken)), None)

    def frame(self) -> pd.DataFrame:
        """One row per bug, variant and check: whether it passed, what was measured, its limit, and words."""
        return pd.DataFrame(
            [
                {"bug": one.bug, "variant": VARIANTS[one.broken], "check": f.check, "passed": f.passed,
                 "statistic": f.statistic, "limit": f.limit, "finding": f.words}
                for one in self.exhibits for f in one.findings
            ]
        )  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """One row per bug and variant: which checks caught it, and who got it wrong."""
        return pd.DataFrame(
            [
                {"bug": CATALOGUE[one.bug].label, "variant": VARIANTS[one.broken],
                 "caught by": ", ".join(f.check for f in one.findings if not f.passed) or "nothing",
                 "who got it wrong": CATALOGUE[one.bug].who if one.broken else ""}
                for one in self.exhibits
            ]
        )  # fmt: skip

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What was promised, what is done instead, who did so, and what the checks assume."""
        bug = CATALOGUE[self.settings.bug]
        shown = () if self.settings.view == "all" else (
            f"Promised: {bug.promise}", f"Done: {bug.slip} {bug.hides}".strip(), f"Who got it wrong: {bug.who}",
        )  # fmt: skip
        return (
            *shown,
            f"Training steps and batches: ε for adding or removing one person, δ = {DELTA:g}, {STEPS} Poisson batches "
            f"at rate {RATE:g} of {exhibits.people()} people; gradients of real people and of made-up ones who could "
            "be among them. Libraries and last digits: one row added or replaced, δ = 0.",
            f"A sound mechanism fails a statistical check with a chance of {checks.ALARM:g} at most; the attacker's "
            f"lower bound on ε has a confidence of {100 * (1 - checks.ALARM):.4f} %.",
            "What passes a check is not proven: each check looks at one promise.",
        )

    @property
    def sentence(self) -> str:
        """What was caught at the settings."""
        s = self.settings
        start = f"With ε = {s.epsilon:.3g} claimed and C = {s.clip_norm:.3g}, "
        if s.view == "all":
            tally = [
                (sum(one.caught for one in part), len(part))
                for part in ([one for one in self.exhibits if one.broken == kind] for kind in (True, False))
            ]
            return (
                f"{start}{tally[0][0]} of {tally[0][1]} bugs are caught, and {tally[1][0]} of {tally[1][1]} sound "
                "twins are wrongly blamed."
            )
        bug, broken, sound = CATALOGUE[s.bug], self.of(s.bug, True), self.of(s.bug, False)
        words = f"“{bug.label}” is {_verdict(bug, broken)}" if broken else f"“{bug.label}” is being looked at."
        if sound is not None:
            words += " Its sound twin passes every check." if not sound.caught else " Its sound twin is blamed too."
        return f"{start}{words} Who got it wrong: {bug.who}"


def _verdict(bug: Bug, broken: Exhibit) -> str:
    failed = [finding for finding in broken.findings if not finding.passed]
    if failed:
        return f"caught by {_listed([f'“{finding.check}”' for finding in failed])}: {failed[0].words}"
    return f"not caught. {bug.hides or 'The checks that were tried do not see it here; more trials may.'}"


def _listed(words: list[str]) -> str:
    """Words with commas and an "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what other bugs need."""
    yield from for_the_accountant()
    yield from for_import("diffprivlib.models")


def run(settings: Settings) -> Iterator[Result | None]:
    """Let the checks loose on one bug and its sound twin, or on all of them, the quickest first."""
    s, found = settings, dict[tuple[str, bool], Exhibit]()
    claim = Claim(s.epsilon, s.clip_norm, s.trials, s.seed)
    yield from for_import("scipy.special")
    if not (accounting.is_shipped(sampling_rate=RATE, steps=STEPS, delta=DELTA) and s.epsilon in _positions()):
        yield from for_the_accountant()
    todo = [(name, broken) for name in (CATALOGUE if s.view == "all" else [s.bug]) for broken in (True, False)]
    for done, (name, broken) in enumerate(todo):
        for exhibit in exhibits.examine(name, broken, claim):
            if exhibit is None:
                yield None
                continue
            found[name, broken] = exhibit
            progress = (done + exhibit.progress) / len(todo)
            yield Result(s, tuple(found.values()), progress if (name, broken) != todo[-1] else exhibit.progress)


def _positions() -> tuple[float, ...]:
    return Settings.controls()["epsilon"].positions()
