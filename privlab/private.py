"""Private mode: what is shown of private data is charged to a ledger before it is shown.

*Teaching mode*, the usual one, shows the truth beside what would be released and charges nothing: it is for public
data. In *private mode* an experiment shows its releases and nothing else. Each new look is charged; a look that was
paid for is drawn again for free; one that the budget does not allow is refused, and what was shown last stays.

An experiment that can be used so has a module `private` beside its `run`; the others look at raw data and are refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from privlab import datasets
from privlab.ledger import Charge, Ledger
from privlab.policy import Gate, Moment
from privlab.settings import Controls

STAND_IN = "adult"  # the public data set to explore on instead


class Mode(Protocol):
    """What an experiment's module `private` holds."""

    Picture: type[Any]
    UNUSED: tuple[str, ...]  # settings that a look does not depend on: a panel does not offer them

    def check(self, settings: Any) -> None:
        """Raise ValueError for settings that would show more than releases."""

    def key(self, settings: Any) -> tuple[Any, ...]:
        """The settings that make a look, the data set's name among them: with the same ones it is the same look."""

    def prepare(self, settings: Any) -> Iterator[None]:
        """Do what takes long and needs no data, before anything is charged."""

    def releases(self, settings: Any) -> tuple[Charge, ...]:
        """All that a look releases."""

    def look(self, settings: Any) -> Iterator[Any]:
        """Make those releases: None while it takes time, last what was released."""

    def result(self, settings: Any, looks: Sequence[Any], held: int, bill: Bill) -> Any:
        """A Result of the looks that were paid for so far."""


@dataclass(frozen=True)
class Bill:
    """What the last move cost.

    Attributes
    ----------
    charged : float
        By how much it raised the ledger's reading; 0 for a look that was paid for before.
    spent, epsilon, delta : float
        The reading after it, and the budget.
    """

    charged: float
    spent: float
    epsilon: float
    delta: float

    def __str__(self) -> str:
        rest = max(0.0, self.epsilon - self.spent)
        left = f"{self.spent:.3g} of the budget ε = {self.epsilon:g} is spent, {rest:.3g} left"
        if self.charged:
            return f"Private mode: moving this slider spent ε = {self.charged:.3g}. {left}."
        return f"Private mode: paid for before, so it spent nothing. {left}."


_looks: dict[tuple[str, str], dict[tuple[Any, ...], Any]] = {}  # by ledger and experiment; None: paid, not yet shown
_one = threading.Lock()


def forget(dataset: str) -> None:
    """Drop all looks at a data set: they were made of people who may since have been taken out."""
    for paid in _looks.values():
        for key in [key for key in paid if dataset in key]:
            del paid[key]


class Private:
    """An experiment in private mode; has what the experiment's own module has, but for what looks at raw data.

    Parameters
    ----------
    module : module
        The experiment's.
    ledger : Ledger
        Of the people whose data is looked at.
    gate : Gate, optional
        A policy to pass before each training and before each release.
    rest : float
        Seconds to wait before a new look is paid for: whoever moves on in the meantime pays nothing.

    Raises
    ------
    ValueError
        If the experiment has no private mode.
    TypeError
        If `ledger` is no ledger.
    """

    def __init__(self, module: Any, ledger: Ledger, gate: Gate | None = None, rest: float = 0.0) -> None:
        if not isinstance(ledger, Ledger):
            raise TypeError(f"'ledger' must be a privlab.Ledger. Got {type(ledger).__name__}.")
        name = module.__name__.rpartition(".")[2]
        if not hasattr(module, "private"):
            raise ValueError(
                f"'ledger' must be left out for '{name}': it has no private mode, and may look at raw data, which no "
                f"charge covers. Explore it in teaching mode on a public data set, such as dataset='{STAND_IN}'."
            )
        self.__name__, self.Settings = module.__name__, module.Settings
        self.ledger, self._gate, self._rest, self._mode = ledger, gate, rest, module.private
        self.Picture = self._mode.Picture
        self.unused: tuple[str, ...] = self._mode.UNUSED
        if hasattr(module, "prepare"):  # for idle moments; of an experiment with a private mode it looks at no data
            self.prepare = module.prepare
        self._paid = _looks.setdefault((ledger.name, name), {})

    def run(self, settings: Controls) -> Iterator[Any]:
        """Charge a look and show it with those before it; None while that takes time.

        Raises
        ------
        ValueError
            For settings or data that private mode does not allow.
        BudgetExceededError
            If the budget does not allow the look; nothing is charged then.
        PolicyError
            If a rule of the gate's policy blocks: before anything is charged, or, trained but not shown, after it.
        """
        card = datasets.card(getattr(settings, "dataset", STAND_IN))
        if card.leaks:
            raise ValueError(
                f"'dataset' must be declared in full for private mode. Read from the data: {', '.join(card.leaks)}."
            )
        if self.ledger.delta >= 1 / card.n:
            raise ValueError(
                f"'delta' of the ledger must be below 1/n = {1 / card.n:.3g} for {card.n:,} in '{card.name}'. "
                f"Got {self.ledger.delta:g}."
            )
        self._mode.check(settings)
        key, charged = self._mode.key(settings), 0.0
        if key not in self._paid:
            until = time.monotonic() + self._rest
            while time.monotonic() < until:
                time.sleep(0.01)
                yield None
            yield from self._mode.prepare(settings)
            charges = self._mode.releases(settings)
            self._require("training", card.name, charges)
            charged = sum(entry.epsilon for entry in self.ledger.charge_all(*charges))
            self._paid.setdefault(key)  # if somebody moves on now, coming back costs nothing
        if self._paid[key] is None:
            for made in self._mode.look(settings):
                if made is None:
                    yield None
            self._require("release", card.name)
            with _one:  # two panels may both be here, but a charge pays for one release: the first holds for both
                if self._paid.get(key) is None:
                    self._paid[key] = made
        shown = {one: look for one, look in self._paid.items() if look is not None}
        bill = Bill(charged, self.ledger.spent(), self.ledger.epsilon, self.ledger.delta)
        yield self._mode.result(settings, list(shown.values()), list(shown).index(key), bill)

    def _require(self, before: Moment, dataset: str, charges: Sequence[Charge] = ()) -> None:
        if self._gate is not None:
            self._gate.require(before, dataset=dataset, ledger=self.ledger, charges=charges)
