"""How many looks does a privacy budget pay for, and who notices when the book is cooked?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting
from privlab.experiments import _choices
from privlab.experiments._ledger_chain import TAMPERINGS, Chain, tamper
from privlab.experiments._ledger_picture import Picture
from privlab.experiments._waiting import for_the_accountant
from privlab.filters import Charge, Filter
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["Chain", "Picture", "Result", "Settings", "run"]

RATE, STEPS, DELTA = 0.02, 60, 1e-5  # of each look: the usual training of the trade-off on Adult
AGAIN = 0.25  # how often the hand goes back to where it was before
SPREAD = 25  # positions of the ε slider around the usual look
CHARGED, FREE, REFUSED = "charged", "free", "refused"


class Settings(Controls):
    """A budget, and what is bought with it."""

    epsilon: float = _choices.epsilon(
        "What all looks together may cost. It is fixed beforehand, for good.",
        default=3.0,
        label="budget ε",
        low=0.1,
        slider=(0.5, 10),
        ends=(_choices.PRIVATE, "more looks"),
    )
    look_epsilon: float = control(
        default=0.5, label="ε of a usual look", low=0.05, high=10, slider=(0.05, 3), scale="log",
        ends=("blurred looks", "sharp looks"), hint="Each look trains a private model anew; its ε is about this.",
    )  # fmt: skip
    view: str = choice(
        default="budget", label="what is shown", among=lambda: ("budget", "book"),
        words=lambda view: {"budget": "the budget being spent", "book": "the book, and meddling with it"}[view],
        hint="The budget over the moves of a slider, or the entries of the ledger's file.",
    )  # fmt: skip
    tampering: str = choice(
        default="nothing", label="what is done to the book", among=lambda: tuple(TAMPERINGS),
        words=lambda name: TAMPERINGS[name][0],
        offered=lambda settings, name: settings.view == "book",
        hint="Somebody changes the ledger's file behind its back. Will it be noticed, and called by its name?",
    )  # fmt: skip
    looks: int = control(
        default=40, label="moves of the slider", low=2, high=200, slider=(10, 80), places=71, advanced=True,
        offered=lambda settings, value: settings.view == "budget",
        hint="How often the simulated hand moves the slider.",
    )  # fmt: skip
    seed: int = _choices.seed()


@dataclass(frozen=True)
class Result:
    """A budget over the moves of a slider, or a book and what its inspection found.

    Attributes
    ----------
    settings : Settings
    epsilons : float (N,)
        Of the models that each move asks for.
    fates : tuple of str, N
        "charged", "free" (seen before) or "refused".
    ledger, added, tight : float (N,)
        What has been spent after each move: the ledger's reading; each look's ε added up; the tight total of the
        looks that were charged, which holds for plans fixed beforehand.
    book : Chain, optional
        Instead of the moves.
    progress : float in [0, 1]
    """

    settings: Settings
    epsilons: Array
    fates: tuple[str, ...]
    ledger: Array
    added: Array
    tight: Array
    book: Chain | None = None
    progress: float = 1.0

    @property
    def count(self) -> int:
        """Releases that were charged."""
        return len(self.book.written) if self.book else self.fates.count(CHARGED)

    @property
    def sums_last(self) -> int:
        """For how many charged looks plain adding up would have stayed within the budget."""
        charged = np.array(self.fates) == CHARGED
        return int((self.added[charged] <= self.settings.epsilon).sum())

    def frame(self) -> pd.DataFrame:
        """One row a move (its ε, its fate and the three totals), or one row an entry as found in the book."""
        if self.book is not None:
            bad = {number for problem in self.book.verification.problems for number in problem.entries}
            rows = [(number, float(words), number in bad) for number, words in self.book.found]
            return pd.DataFrame(rows, columns=["entry", "epsilon", "objected to"])
        return pd.DataFrame(
            {
                "move": np.arange(1, len(self.fates) + 1),
                "epsilon": self.epsilons,
                "fate": self.fates,
                "ledger": self.ledger,
                "added up": self.added,
                "tight, plan fixed beforehand": self.tight,
            }
        )

    def summary(self) -> pd.DataFrame:
        """The table itself: it is short."""
        return self.frame()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the books rest on."""
        return (
            "The hand on the slider is simulated, and nothing is trained here: only the books are real.",
            f"A look is a training of {STEPS} steps at Poisson rate {RATE:g}; protected is one person, added or "
            "removed.",
            f"The ledger's filter at δ = {DELTA:g} adds up Rényi losses at fixed orders and holds even if each look is "
            "chosen in the light of all before it (Feldman & Zrnic 2021; Lécuyer 2021). The orders share three "
            "quarters of δ; the rest is set aside for releases with a δ of their own.",
            "The tight total (privacy loss distributions) is proven only if all looks were planned beforehand. A hand "
            "that follows what it sees plans nothing, so a ledger must not go by it.",
            "Adding up each look's ε is valid too, if δ is added up as well: the most expensive way.",
            "The book is a real ledger in a folder that is thrown away. Whoever holds its key can write it anew.",
        )

    @property
    def sentence(self) -> str:
        """How far the budget went, or what the inspection says."""
        s = self.settings
        begin = f"With a budget of ε = {s.epsilon:.3g} and looks of about ε = {s.look_epsilon:.3g}, "
        if self.book is not None:
            done = TAMPERINGS[s.tampering][0]
            start = f"{begin}{len(self.book.written)} answers were written into the book. Then {done}"
            start += " is done to it" if s.tampering == "nothing" else ""
            return f"{start}. The inspection says: “{self.book.verification}”"
        charged, free, refused = (self.fates.count(fate) for fate in (CHARGED, FREE, REFUSED))
        words = [f"{begin}{len(self.fates)} moves of the slider came to {charged} paid looks and {free} free ones"]
        words.append(f"; {refused} were refused. " if refused else "; none was refused. ")
        words.append(
            f"The ledger reads ε = {self.ledger[-1]:.2f}. Added up, these looks would cost {self.added[-1]:.2f}; "
            f"had they been planned beforehand, {self.tight[-1]:.2f}."
        )
        return "".join(words)


def run(settings: Settings) -> Iterator[Result | None]:
    """Move the slider and charge each look; or write a book, meddle with it and inspect it."""
    none = np.zeros(0)
    if settings.view == "book":
        rng = np.random.default_rng(settings.seed)
        most = min(settings.look_epsilon, settings.epsilon / 10)
        yield Result(settings, none, (), none, none, none, tamper(settings.tampering, settings.epsilon, most, rng))
        return
    yield from for_the_accountant()
    budget, interval = Filter(settings.epsilon, DELTA), _interval(settings.look_epsilon)
    spent, added, total = budget.nothing, 0.0, None
    seen: set[float] = set()
    rows: list[tuple[float, str, float, float, float]] = []
    for epsilon in _walk(settings):
        fate = FREE if epsilon in seen else CHARGED
        if fate == CHARGED:
            more = budget.add(spent, budget.cost(_charge(epsilon)))
            fate = CHARGED if budget.allows(more) else REFUSED
        if fate == CHARGED:
            spent, added = more, added + epsilon
            seen.add(epsilon)
            yield None
            look = _look(epsilon, interval)
            total = look if total is None else total.compose(look)
        tight = 0.0 if total is None else float(total.get_epsilon_for_delta(DELTA))
        rows.append((epsilon, fate, budget.reading(spent), added, tight))
        epsilons, fates, *_ = zip(*rows, strict=True)
        read, sums, tights = np.array([row[2:] for row in rows]).T
        yield Result(settings, np.array(epsilons), fates, read, sums, tights, progress=len(rows) / settings.looks)


def _walk(settings: Settings) -> list[float]:
    """The positions of the trade-off's ε slider that a hand comes to: mostly new ones, now and then one seen before."""
    rng, places = np.random.default_rng(settings.seed), accounting.EPSILON_POSITIONS
    middle = int(np.argmin(np.abs(np.log(places / settings.look_epsilon))))
    path: list[float] = []
    for _ in range(settings.looks):
        if path and rng.random() < AGAIN:
            path.append(float(rng.choice(path)))
        else:
            off = int(np.clip(middle + rng.integers(-SPREAD, SPREAD + 1), 0, len(places) - 1))
            path.append(float(places[off]))
    return path


def _charge(epsilon: float) -> Charge:
    return Charge(what="a look", noise_multiplier=_noise(epsilon), sampling_rate=RATE, steps=STEPS)


def _noise(epsilon: float) -> float:
    return accounting.noise_multiplier(epsilon=epsilon, sampling_rate=RATE, steps=STEPS, delta=DELTA)


def _interval(epsilon: float) -> float:
    """One rounding of losses for all looks, fine enough for the smallest of them."""
    return accounting.rounding_interval(_noise(max(0.05, epsilon / 2)), RATE, STEPS)


@lru_cache(maxsize=512)
def _look(epsilon: float, interval: float) -> Any:
    """The privacy loss distribution of one look, rounded up."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    step = pld.from_gaussian_mechanism(_noise(epsilon), sampling_prob=RATE, value_discretization_interval=interval)
    return step.self_compose(STEPS)
