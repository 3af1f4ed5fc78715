"""Settings that several experiments share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from privlab import datasets
from privlab.settings import choice, control

PRIVATE, ACCURATE = "more private", "more accurate"


def data(default: str, among: Callable[[], Sequence[str]] = datasets.names) -> Any:
    """The data set; it may be given as an object, too."""
    return choice(
        default=default,
        label="data",
        among=among,
        words=lambda name: datasets.card(name).short,
        reads=lambda given: given.name if isinstance(given, datasets.Dataset) else given,
        hint="Real people, with a card for each set.",
    )


def epsilon(hint: str, **other: Any) -> Any:
    """The budget; `other` is what its control has otherwise."""
    usual: dict[str, Any] = {
        "default": 1.0,
        "label": "privacy budget ε",
        "low": 0.01,
        "high": 100,
        "slider": (0.05, 10),
    }
    return control(**(usual | {"scale": "log", "ends": (PRIVATE, ACCURATE), "hint": hint} | other))


def seed() -> Any:
    """What chance begins with."""
    return control(default=0, label="seed", low=0, high=2**31 - 1, slider=(0, 20), places=21, advanced=True)


def called(column: str) -> str:
    """A column as people read it, whatever data set it is of; a name that one's own data have too stays."""
    known = [datasets.card(name) for name in datasets.names()]
    having = [card for card in known if column in {one.name for one in card.schema.columns}]
    return column if not having or having[-1].file is None else having[0].call(column)


def two_classes() -> tuple[str, ...]:
    """The data sets with two classes and one row a person."""
    return tuple(
        name
        for name in datasets.names()
        if datasets.card(name).schema.task == "binary" and datasets.card(name).max_rows_per_person == 1
    )
