"""How much can be left out before a model misses it, and what does an attacker find in what is left?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from privlab import accounting, anonymity, cards, datasets, dpsgd, minimise
from privlab.experiments import _choices
from privlab.experiments import _minimise_work as work
from privlab.experiments._minimise_picture import Picture
from privlab.experiments._minimise_result import Result
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control

__all__ = ["Picture", "Result", "Settings", "run"]

VIEWS = {"columns": "fewer columns", "groups": "groups of k", "age": "younger rows"}


def _offered() -> tuple[str, ...]:
    own = (name for name in datasets.names() if name not in cards.SHIPPED)
    return (*anonymity.KNOWN, *(name for name in own if datasets.card(name).schema.task == "binary"))


def _width(dataset: str) -> int:
    return len(datasets.card(dataset).schema.columns)


class Settings(Controls):
    """What to keep, and what to look at."""

    columns: int = control(
        default=8, label="columns kept", low=1, high=100, slider=(1, 23), ends=("collects less", "more accurate"),
        hint="In the order of their use to the model, the most useful first.",
    )  # fmt: skip
    coarseness: int = control(
        default=0, label="coarseness", low=0, high=4, slider=(0, 4), ends=("as collected", "coarsest"),
        hint="Numbers are told in steps and categories in groups, both from the card and never from the data.",
    )  # fmt: skip
    k: int = control(
        default=5, label="smallest group k", low=1, high=1000, slider=(1, 100), scale="log",
        ends=("finds more", "leaves out more"), hint="People who look like fewer than k - 1 others are left out.",
    )  # fmt: skip
    budget: float = control(
        default=1.0, label="accuracy you may lose (points)", low=0, high=50, slider=(0, 10), places=101,
        offered=lambda settings, value: settings.view != "groups",
        hint="With how few columns does the model stay within it?",
    )  # fmt: skip
    epsilon: float = _choices.epsilon(
        "One model is trained with noise for it, one without noise.",
        label="privacy budget ε of the model",
        offered=lambda settings, value: settings.view != "groups",
    )
    dataset: str = _choices.data("adult", _offered)
    view: str = choice(
        default="columns", label="show", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        offered=lambda settings, view: view != "age" or settings.dataset in minimise.AGES,
        hint="Fewer columns; what k-anonymity still tells; or rows no older than some years.",
    )  # fmt: skip
    secret: str = choice(
        default="answer", label="secret in the groups", among=lambda: ("answer", "other"),
        words=lambda secret: {"answer": "what the model predicts", "other": "another column"}[secret],
        offered=lambda settings, secret: settings.view == "groups" or secret == settings.secret,
        hint="What an attacker wants to know of a person in a group of k.",
    )  # fmt: skip
    years: int = control(
        default=3, label="years a row is kept", low=1, high=5, slider=(1, 5), advanced=True,
        offered=lambda settings, value: settings.view == "age",
        hint="Older rows are deleted. Of these data only RAND's rows have an age, in years of its study.",
    )  # fmt: skip
    seeds: int = control(
        default=8, label="trainings", low=2, high=200, slider=(2, 40), scale="log", places=20, advanced=True,
        offered=lambda settings, value: settings.view != "groups",
        hint="Independent trainings at every point: more of them narrow the bands.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse more columns than there are, and an age that no row has."""
        if self.columns > _width(self.dataset):
            raise ValueError(
                f"'columns' must be at most {_width(self.dataset)}, the columns of '{self.dataset}'. "
                f"Got {self.columns}."
            )
        if self.view == "age" and self.dataset not in minimise.AGES:
            raise ValueError(f"'view' must be 'columns' or 'groups' for '{self.dataset}': its rows have no age.")

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Take all columns where a chosen data set has fewer, and leave a view that it cannot show."""
        values, before = dict(values), base or cls()
        name = values.get("dataset")
        if name in _offered():
            if "columns" not in values:
                values["columns"] = min(before.columns, _width(name))
            if "view" not in values and before.view == "age" and name not in minimise.AGES:
                values["view"] = "columns"
        return values


def run(settings: Settings) -> Iterator[Result | None]:
    """Train on ever more of the columns, or of the rows; group people who look alike at once."""
    s, data = settings, datasets.load(settings.dataset)
    order = minimise.order(data)
    yield None
    kept = order[: s.columns]
    linked = work.linked(data, order, s.coarseness)
    yield None
    left = work.left(data, kept, s.coarseness, s.k, s.secret)
    if s.view == "groups":
        yield Result(s, order, linked, left, np.zeros((0, 2, 0)), 1.0)
        return
    shipped = accounting.is_shipped(sampling_rate=dpsgd.usual_rate(data.n_train), steps=work.STEPS, delta=work.DELTA)
    if not (shipped and s.epsilon in accounting.EPSILON_POSITIONS):
        yield from for_the_accountant()
    if s.view == "age":
        clock, newest = minimise.AGES[s.dataset]
        kept = tuple(name for name in kept if name != clock)
        tasks = tuple((kept, s.coarseness, years) for years in range(1, newest + 1))
    else:
        tasks = tuple((order[:m], s.coarseness, 0) for m in range(1, len(order) + 1))
    for scores in work.train(data, tasks, s.epsilon, s.seed, s.seeds):
        yield None if scores is None else Result(s, order, linked, left, scores, len(scores) / s.seeds)
