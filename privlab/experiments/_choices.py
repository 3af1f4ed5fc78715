"""Settings that several experiments share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from privlab import datasets
from privlab.settings import choice


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


def two_classes() -> tuple[str, ...]:
    """The data sets with two classes and one row a person."""
    return tuple(
        name
        for name in datasets.names()
        if datasets.card(name).schema.task == "binary" and datasets.card(name).max_rows_per_person == 1
    )
