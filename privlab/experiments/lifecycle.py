"""What is left of people, accuracy and attacks once data has gone the whole way from collection to release?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting, datasets, minimise
from privlab.experiments import _choices, _consent_work
from privlab.experiments import _lifecycle_work as work
from privlab.experiments._lifecycle_picture import Picture
from privlab.experiments._lifecycle_result import IDENTIFIERS, Result, evidence
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["Picture", "Result", "Settings", "evidence", "prepare", "run"]

ROLES = ("answer", *_consent_work.ROLES[work.DATASET])


class Settings(Controls):
    """What is done at each step of the way."""

    epsilon: float = _choices.epsilon(
        "Train: how much one person's data may change the model.", label="privacy budget ε of the model"
    )
    share: float = control(
        default=0.4, label="share who say yes", low=0.01, high=1, slider=(0.05, 1), places=96,
        ends=("few", "everybody"), hint="Ask: an assumption about people, not data on them.",
    )  # fmt: skip
    columns: int = control(
        default=6, label="columns kept", low=1, high=11, slider=(1, 11), ends=("collects less", "more accurate"),
        hint="Collect less: in the order of their use to the model, the most useful first.",
    )  # fmt: skip
    coarseness: int = control(
        default=1, label="coarseness", low=0, high=4, slider=(0, 4), ends=("as collected", "coarsest"),
        hint="Tell less: numbers in steps and categories in groups, both from the card.",
    )  # fmt: skip
    k: int = control(
        default=10, label="smallest group k", low=1, high=1000, slider=(1, 100), scale="log",
        ends=("finds more", "leaves out more"), hint="Leave out: who looks like fewer than k - 1 others.",
    )  # fmt: skip
    identifier: str = choice(
        default="token", label="the customer number", among=lambda: tuple(IDENTIFIERS),
        words=lambda one: IDENTIFIERS[one], hint="Take names away: in the table that is kept.",
    )  # fmt: skip
    by: str = choice(
        default="answer", label="the yes depends on", among=lambda: ROLES,
        words=lambda role: {"answer": "the answer itself"}.get(role, role),
        hint="In the order of the data's card, the last group is the least ready.", advanced=True,
    )  # fmt: skip
    odds: float = control(
        default=8.0, label="how unevenly (odds)", low=1, high=1000, slider=(1, 30), scale="log", advanced=True,
        ends=("all alike", "very unevenly"), hint="Of a yes, first group against last. An assumption.",
    )  # fmt: skip
    withdrawn: float = control(
        default=0.1, label="share of the yes withdrawn later", low=0, high=0.99, slider=(0, 0.9), places=91,
        advanced=True, hint="Before the training: who withdraws is in no later model.",
    )  # fmt: skip
    seeds: int = control(
        default=8, label="repeats", low=2, high=200, slider=(2, 40), scale="log", places=20, advanced=True,
        hint="How often everybody is asked anew and a model trained.",
    )  # fmt: skip
    seed: int = _choices.seed()


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what an ε typed between the slider's positions needs."""
    yield from for_the_accountant()


def run(settings: Settings) -> Iterator[Result | None]:
    """Ask, collect less, leave out, train and check, again and again; audit the trainer in between."""
    s, data = settings, datasets.load(work.DATASET)
    columns = minimise.order(data)[: s.columns]
    yield None
    if s.epsilon not in accounting.EPSILON_POSITIONS:
        yield from for_the_accountant()
    way = work.Way(s.share, s.odds, s.withdrawn, s.by, columns, s.coarseness, s.k)
    repeats: list[work.Repeat] = []
    raw: list[Array] = []
    audits: tuple[work.Audit, ...] = ()
    for number in range(s.seeds):
        for one in work.learn(data, way, s.epsilon, s.seed, number):
            if one is None:
                yield None
            else:
                repeats.append(one)
        for right in work.learn_raw(data, s.seed, number):
            if right is None:
                yield None
            else:
                raw.append(right)
        if number == 1:
            yield Result(s, columns, tuple(repeats), np.stack(raw), audits, 1 / s.seeds)
            for epsilon in (s.epsilon, np.inf):
                for item in work.audited(data, epsilon, s.seed):
                    if item is None:
                        yield None
                    else:
                        audits = (*audits, item)
        if number % 2 or number == s.seeds - 1:
            yield Result(s, columns, tuple(repeats), np.stack(raw), audits, (number + 1) / s.seeds)
