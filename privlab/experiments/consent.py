"""Who is missing when everybody is asked first, and what does that do to the model?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from privlab import accounting, datasets
from privlab.experiments import _choices
from privlab.experiments import _consent_work as work
from privlab.experiments._consent_picture import Picture
from privlab.experiments._consent_result import Result
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control

__all__ = ["Picture", "Result", "Settings", "run"]

ROLES = ("answer", "age", "sex", "race", "education")
REPAIRS = {"none": "no", "margins": "to the known margins", "all": "to the margins and the answer's share"}


def _offered() -> tuple[str, ...]:
    return tuple(work.ROLES)


def _has(settings: Any, role: str) -> bool:
    return role == "answer" or role in work.ROLES[settings.dataset]


class Settings(Controls):
    """Who is asked for what, how readily they say yes, and what is made of it."""

    share: float = control(
        default=0.4, label="share who say yes", low=0.01, high=1, slider=(0.05, 1), places=96,
        ends=("few", "everybody"), hint="To research. An assumption about people, not data on them.",
    )  # fmt: skip
    odds: float = control(
        default=8.0, label="how unevenly (odds)", low=1, high=1000,
        slider=(1, 30), scale="log", ends=("all alike", "very unevenly"),
        hint="How many times higher the odds of a yes are in the first group than in the last. An assumption.",
    )  # fmt: skip
    epsilon: float = _choices.epsilon(
        "How much one person's data may change the model.", label="privacy budget ε of the model"
    )
    by: str = choice(
        default="answer", label="the yes depends on", among=lambda: ROLES, offered=_has,
        words=lambda role: {"answer": "the answer itself"}.get(role, role),
        hint="In the order of the data's card, the last group is the least ready.",
    )  # fmt: skip
    groups: str = choice(
        default="sex", label="look at groups of", among=lambda: ROLES[1:], offered=_has,
        hint="Whose shares and scores the picture shows.",
    )  # fmt: skip
    purpose: str = choice(
        default="research", label="purpose", among=lambda: tuple(work.PURPOSES),
        hint="Each purpose is asked for on its own: odds of a yes are double for service, half for advertising.",
    )  # fmt: skip
    repair: str = choice(
        default="none", label="weigh those who agree", among=lambda: tuple(REPAIRS), words=lambda one: REPAIRS[one],
        hint="Until their shares are those of everybody. Heavy people are kept, light ones only by chance.",
    )  # fmt: skip
    view: str = choice(
        default="accuracy", label="show", among=lambda: ("accuracy", "calibration"),
        words=lambda view: {"accuracy": "how often it is right", "calibration": "whom it expects too much of"}[view],
        hint="Accuracy, or predicted minus true share of class 1.",
    )  # fmt: skip
    dataset: str = _choices.data("adult", _offered)
    withdrawn: float = control(
        default=0.0, label="share of the yes withdrawn later", low=0, high=0.99, slider=(0, 0.9), places=91,
        advanced=True, hint="Before the training: who withdraws is in no later model.",
    )  # fmt: skip
    seeds: int = control(
        default=10, label="repeats", low=2, high=200, slider=(2, 40), scale="log", places=20, advanced=True,
        hint="How often everybody is asked anew and a model trained.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse groups that the data do not tell of."""
        for name in ("by", "groups"):
            if not _has(self, getattr(self, name)):
                known = ", ".join(("answer", *work.ROLES[self.dataset])[name == "groups" :])
                raise ValueError(f"'{name}' must be among {known} for '{self.dataset}'. Got {getattr(self, name)!r}.")

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Look at sex, and let the answer drive, where a chosen data set does not tell of what was chosen before."""
        values, before = dict(values), base or cls()
        if values.get("dataset") in work.ROLES:
            for name, instead in (("by", "answer"), ("groups", "sex")):
                if name not in values and getattr(before, name) not in ("answer", *work.ROLES[values["dataset"]]):
                    values[name] = instead
        return values

    @property
    def asking(self) -> work.Asking:
        """What people are asked."""
        return work.Asking(self.share, self.odds, self.by, self.purpose, self.repair, self.withdrawn)


def run(settings: Settings) -> Iterator[Result | None]:
    """Ask everybody, train on those who agree and on everybody, and compare; again and again."""
    s, data = settings, datasets.load(settings.dataset)
    if s.epsilon not in accounting.EPSILON_POSITIONS:
        yield from for_the_accountant()
    asked: list[work.Asked] = []
    learned: list[tuple[np.ndarray[Any, Any], ...]] = []
    for number in range(s.seeds):
        pair = []
        for asking in (s.asking, None):
            for item in work.learn(data, asking, s.epsilon, s.seed, number):
                if item is None:
                    yield None
                    continue
                pair.append(item[1])
                if item[0] is not None:
                    asked.append(item[0])
        learned.append(tuple(pair))
        if number and (number % 2 or number == s.seeds - 1):
            some, whole = (np.stack(models) for models in zip(*learned, strict=True))
            yield Result(s, tuple(asked), some, whole, (number + 1) / s.seeds)
