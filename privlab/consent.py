"""Who agreed to what: consent per person and purpose, its withdrawal, and models of those alone who agreed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt

from privlab.columns import Array
from privlab.flow import Flow
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.datasets import Dataset

DATALESS = ("privlab.accounting", "privlab.composition")  # what these remember holds nothing of anybody's
P = ParamSpec("P")
R = TypeVar("R")
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Register:
    """Who said yes or no to which purpose, and when: records are added, never changed or removed.

    Attributes
    ----------
    purposes : tuple of str
        What may be asked for.
    person : array (records,)
        Whose record it is: the numbers or pseudonyms that the data set uses.
    purpose : int8 (records,)
        The purpose's place in `purposes`.
    given : bool (records,)
        Yes, or a withdrawal.
    at : datetime64[s] (records,)
        Since when it holds; never earlier than the record before it.
    """

    purposes: tuple[str, ...]
    person: Array
    purpose: npt.NDArray[np.int8]
    given: npt.NDArray[np.bool_]
    at: Times

    @classmethod
    def empty(cls, *purposes: str) -> Self:
        """A register for these purposes, without any record."""
        if not purposes or len(set(purposes)) < len(purposes) or len(purposes) > 127:
            raise ValueError("'purposes' must be 1 to 127 names, all different.")
        none = np.zeros(0)
        return cls(purposes, none.astype(np.int64), none.astype(np.int8), none.astype(bool), none.astype("M8[s]"))

    def __len__(self) -> int:
        return len(self.at)

    def give(self, people: npt.ArrayLike, purpose: str, at: object) -> Self:
        """Return a register in which these people also say yes to a purpose, from a moment on."""
        return self._add(people, purpose, at, given=True)

    def withdraw(self, people: npt.ArrayLike, purpose: str, at: object) -> Self:
        """Return a register in which these people's yes to a purpose ends at a moment; a no needs no yes before it."""
        return self._add(people, purpose, at, given=False)

    def _add(self, people: npt.ArrayLike, purpose: str, at: object, *, given: bool) -> Self:
        new, when = np.atleast_1d(np.asarray(people)), _moment(at)
        if new.ndim != 1 or new.dtype.kind not in "iuU":
            raise TypeError("'people' must be whole numbers or texts, one for each person.")
        if len(self) and new.dtype.kind != self.person.dtype.kind and "U" in (new.dtype.kind, self.person.dtype.kind):
            raise TypeError("'people' must be named as in the records before: all numbers or all texts.")
        if len(self) and when < self.at[-1]:
            raise ValueError(f"'at' must not lie before the last record ({self.at[-1]}). Got {when}.")
        known = new if not len(self) else np.concatenate([self.person, new])
        parts = {
            "person": known,
            "purpose": np.append(self.purpose, np.full(len(new), self._place(purpose), np.int8)),
            "given": np.append(self.given, np.full(len(new), given)),
            "at": np.append(self.at, np.full(len(new), when)),
        }
        for part in parts.values():
            part.flags.writeable = False
        return type(self)(self.purposes, **parts)

    def _place(self, purpose: str) -> int:
        if purpose not in self.purposes:
            raise ValueError(f"'purpose' must be among {', '.join(self.purposes)}. Got {purpose!r}.")
        return self.purposes.index(purpose)

    def allows(self, people: npt.ArrayLike, purpose: str, at: object) -> npt.NDArray[np.bool_]:
        """Whether each of these people agrees to a purpose at a moment: by their last record until then.

        Without a record the answer is no, and a yes to one purpose says nothing about another.
        """
        until = np.flatnonzero((self.purpose == self._place(purpose)) & (self.at <= _moment(at)))[::-1]
        who, last = np.unique(self.person[until], return_index=True)
        return np.isin(np.asarray(people), who[self.given[until][last]])

    def frame(self) -> pd.DataFrame:
        """One row a record, in their order: person, purpose, given and at."""
        names = pd.Categorical.from_codes(self.purpose, pd.Index(self.purposes))
        return pd.DataFrame({"person": self.person, "purpose": names, "given": self.given, "at": self.at})


def _moment(at: object) -> np.datetime64:
    try:
        when = np.datetime64(at, "s")  # type: ignore[call-overload]
    except (ValueError, TypeError):
        when = np.datetime64("NaT")
    if np.isnat(when):
        raise ValueError("'at' must be a date or a time, such as '2026-01-31'. Got something else.")
    return when


def people(dataset: Dataset) -> Array:
    """Whose each row of the raw table is, as a register names them: the person's column, or the row's number.

    Rows of a selection are numbered anew: without a person's column, select from the whole set each time.
    """
    person = dataset.card.person
    return np.arange(len(dataset.is_test)) if person is None else dataset.raw[person].to_numpy()


def select(
    dataset: Dataset, register: Register, purpose: str, at: object, *, n: int | None = None
) -> tuple[Dataset, Flow]:
    """Return only the people who agree to a purpose at a moment, and where the others went.

    Parameters
    ----------
    dataset : Dataset
    register : Register
        Names people as `people(dataset)` does.
    purpose : str
    at : date, datetime or text
    n : int, optional
        The public number of people left. Default: counted, and then `Dataset.leaks` says so.

    Returns
    -------
    Dataset
        Nobody else is in its table, its rows or its card.
    Flow
        Rows collected, agreed, and in training and test.

    Raises
    ------
    ValueError
        For an unknown purpose, a moment that is none, or if training or test is left with nobody, or with one class.
    """
    whose = people(dataset)
    agrees = register.allows(whose, purpose, at)
    train, test = dataset.train_rows, np.flatnonzero(dataset.is_test)
    in_train, in_test = agrees[train], agrees[test]
    y = dataset.y_train[in_train]
    if not in_test.any() or len(y) == 0 or (dataset.classes and len(np.unique(y)) < 2):
        raise ValueError(f"'purpose' {purpose!r} must be agreed to by people in test, and in training of two classes.")
    units = None
    if dataset.people_train is not None:
        units = np.unique(dataset.people_train[in_train], return_inverse=True)[1].astype(np.int32)
    left = len(np.unique(whose[agrees]))
    known = dataset.card
    card = replace(
        known,
        name=f"{known.name}-{purpose}",
        n=n or left,
        n_train=max(1, (n or left) * known.n_train // known.n),
        rows=int(agrees.sum()),
        file=None,
        leaks=known.leaks if n else tuple(dict.fromkeys((*known.leaks, "n"))),
    )
    chosen = replace(
        dataset,
        card=card,
        X_train=dataset.X_train[in_train],
        X_test=dataset.X_test[in_test],
        y_train=y,
        y_test=dataset.y_test[in_test],
        people_train=units,
        table=dataset.raw[agrees].reset_index(drop=True),
        is_test=dataset.is_test[agrees],
    )
    flow = Flow.start("collected", len(agrees)).then("agreed", card.rows, no_consent=len(agrees) - card.rows)
    return chosen, flow.split("used", train=len(chosen.X_train), test=len(chosen.X_test))


def forget(dataset: Dataset) -> None:
    """Drop what the lab remembers of a data set, so that the next training cannot come from old rows.

    Takes its name out of `privlab.load` if it is one's own, and empties every memory of the session that may hold
    something of people: layouts, batches, finished fits, and looks at it that were paid for. Nothing of one's own data
    is ever kept on disk; of a shipped set the encoded rows are, in the user's cache folder, and this deletes that file.
    What the caller still holds (variables, open panels) is the caller's.
    """
    from privlab import datasets, kept, private, workers

    datasets._own.pop(dataset.name, None)
    workers._remembered.clear()
    private.forget(dataset.name)
    for name, module in list(sys.modules.items()):
        if name.startswith("privlab.") and name not in DATALESS:
            for thing in vars(module).values():
                made = getattr(thing, "__wrapped__", None)
                if hasattr(thing, "cache_clear") and not isinstance(made, type):  # a class's one object is no memory
                    thing.cache_clear()
    if dataset.card.file is not None:
        kept.remove(dataset.card)


def respond(
    groups: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], share: float, odds: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Let people say yes or no, by an assumption: this is a stated model, no data on who agrees.

    The odds of a yes fall from the first group to the last by the same factor each, `odds` in all, and on average
    `share` of the reference population say yes.

    Parameters
    ----------
    groups : int (rows,)
        Each person's group.
    shares : float (groups,)
        The groups' shares of the reference population.
    share : float in (0, 1]
    odds : float of at least 1
        How many times higher the odds of a yes are in the first group than in the last. 1: all alike.
    rng : Generator

    Returns
    -------
    yes : bool (rows,)
    chances : float (groups,)
        Of a yes.
    """
    if not 0 < share <= 1:
        raise ValueError(f"'share' must be in (0, 1]. Got {share:g}.")
    if not 1 <= odds < np.inf:
        raise ValueError(f"'odds' must be a finite number of at least 1. Got {odds:g}.")
    chances = np.ones(len(shares))
    if share < 1:
        tilt = -np.log(odds) * np.linspace(0, 1, len(shares))
        low, high = -50.0, 50.0 + np.log(odds)
        for _ in range(80):
            middle = (low + high) / 2
            chances = 1 / (1 + np.exp(-(middle + tilt)))
            low, high = (middle, high) if chances @ shares < share else (low, middle)
    return rng.random(len(groups)) < chances[groups], chances


def rake(
    codes: Sequence[npt.NDArray[np.int64]], margins: Sequence[npt.NDArray[np.float64]], *, cap: float = 10.0
) -> npt.NDArray[np.float64]:
    """Weigh people so that each margin's shares are those of a reference population (Deming and Stephan 1940).

    With one margin this is post-stratification; with several each is set right in turn until all are.

    Parameters
    ----------
    codes : sequence of int (rows,)
        Each person's group in each margin.
    margins : sequence of float (groups,)
        The public share of each group.
    cap : float
        The largest weight, where 1 is the mean: a public number, for a weight is how often one person counts. Where it
        bites, the margins are missed.

    Returns
    -------
    float (rows,)
        Of mean 1, or less where the cap bites.

    Raises
    ------
    ValueError
        If a group of the reference has nobody: no weight brings back who is missing altogether.
    """
    if not cap > 1:
        raise ValueError(f"'cap' must be above 1. Got {cap:g}.")
    rows = len(codes[0])
    for place, (code, margin) in enumerate(zip(codes, margins, strict=True)):
        absent = (np.bincount(code, minlength=len(margin)) == 0) & (margin > 0)
        if absent.any():
            raise ValueError(
                f"Every group of margin {place} must have somebody. Got nobody in group {int(absent.argmax())}."
            )
    weights = np.ones(rows)
    for _ in range(200):
        before = weights
        for code, margin in zip(codes, margins, strict=True):
            there = np.bincount(code, weights, len(margin)) / weights.sum()
            weights = weights * np.divide(margin, there, out=np.zeros(len(margin)), where=there > 0)[code]
        weights = weights / weights.mean()
        if np.abs(weights - before).max() < 1e-9:
            break
    return np.minimum(weights, cap)


def thin(
    weights: npt.NDArray[np.float64], rng: np.random.Generator, *, most: float | None = None
) -> npt.NDArray[np.bool_]:
    """Keep each person with a chance in proportion to their weight, the heaviest for sure.

    This is how to weigh without touching a private trainer. Nobody counts more than once, so clipping and noise are as
    before; and who joins only by chance is protected at least as well as who joins for sure (the trade-off is jointly
    convex), provided that the weights are public: made of published shares, not counted among the people themselves.
    So must `most` be, the largest weight that anybody can have: the default is the largest among those who are here,
    and if only one person has it, they change everybody's chance.

    Raises
    ------
    ValueError
        If somebody weighs more than `most`.
    """
    top = weights.max() if most is None else most
    if (weights > top).any():
        raise ValueError(f"'most' must be at least every weight. Got {top:g}.")
    return np.asarray(rng.random(len(weights)) * top < weights)


def quietly(what: str, function: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """Call another library; if it raises, say what failed and withhold its message, which may show a person's value.

    The new error has neither cause nor context, so that no traceback brings the old one back.

    Raises
    ------
    ValueError
        In place of whatever was raised.
    """
    try:
        return function(*given, **named)
    except Exception as error:  # noqa: BLE001, for what it says must not go on
        kind = type(error).__name__
    raise ValueError(f"{what} failed with {kind}. Its message is withheld: it may show a person's value.") from None
