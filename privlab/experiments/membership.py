"""Can someone tell from a model who was in its training data?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import attacks, datasets, models
from privlab.experiments import _choices, _shadows
from privlab.experiments._membership_picture import Picture
from privlab.experiments._membership_result import Result, traits
from privlab.experiments._waiting import for_all, for_the_accountant
from privlab.settings import Controls, choice, control

if TYPE_CHECKING:
    from privlab.dpsgd import Array, Weights

__all__ = ["Picture", "Result", "Settings", "prepare", "run"]

TOGETHER = {"dp-sgd-logistic": 256, "dp-sgd-mlp": 64}  # shadow models between two results
TESTED = 1000  # unseen people that the models' own worth is told by
VIEWS = {"attack": "how many members are found", "people": "who is exposed"}


class Settings(Controls):
    """What the attacked models learn from, and how privately."""

    epsilon: float = _choices.epsilon("Of the private models; the others are trained without any privacy.")
    size: int = control(
        default=150, label="people n in each model's training", low=20, high=20_000, slider=(25, 2000), scale="log",
        ends=("few", "many"), hint="Each model learns from a random half of a pool of twice as many people.",
    )  # fmt: skip
    penalty: float = control(
        default=1e-4, label="regularisation λ", low=0, high=1, slider=(1e-4, 1), scale="log",
        ends=("learns by heart", "kept small"), hint="Keeps a model's weights small, so that it follows nobody far.",
    )  # fmt: skip
    label_noise: float = control(
        default=0.0, label="wrong labels (of 100)", low=0, high=50, slider=(0, 40), places=41,
        ends=("none", "many"), hint="So many people, drawn at random, have the contrary of their true label.",
    )  # fmt: skip
    model: str = choice(
        default="dp-sgd-logistic", label="model", among=lambda: tuple(TOGETHER),
        words=lambda name: {"dp-sgd-logistic": "logistic", "dp-sgd-mlp": "network"}[name],
        hint="What is trained, hundreds of times.",
    )  # fmt: skip
    view: str = choice(
        default="attack", label="show", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        hint="The attack over all people, or how it spreads over them.",
    )  # fmt: skip
    dataset: str = _choices.data("adult", _choices.two_classes)
    clip_norm: float = control(
        default=1.0, label="clipping norm C", low=0.01, high=100, slider=(0.1, 10), scale="log", advanced=True,
        ends=("clips more", "clips less"), hint="Of the private models: how far one person may pull a step.",
    )  # fmt: skip
    steps: int = control(
        default=60, label="training steps T", low=1, high=5000, slider=(2, 400), scale="log",
        ends=("stops early", "trains long"), advanced=True,
        hint="Stopping early is a kind of regularisation, too: the longer a model trains, the closer it fits.",
    )  # fmt: skip
    shadows: int = control(
        default=256, label="shadow models", low=64, high=4096, slider=(64, 1000), scale="log", places=13, advanced=True,
        hint="Each is attacked with all others as shadows. More of them make a better attack and narrower bands.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse more people than there are."""
        _shadows.check_size(self.size, self.dataset)

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Take as many people as there are where a chosen data set has fewer."""
        name = values.get("dataset")
        if isinstance(name, str) and name in _choices.two_classes() and "size" not in values:
            values = values | {"size": min((base or cls()).size, datasets.card(name).n_train // 2)}
        return values


def prepare(settings: Settings) -> Iterator[None]:
    """In idle time, import what an ε typed between the slider's positions needs."""
    yield from for_the_accountant()


def run(settings: Settings) -> Iterator[Result | None]:
    """Train shadow models without and with privacy on the same halves, and attack them all."""
    s, data = settings, datasets.load(settings.dataset)
    yield from _shadows.ready(s.epsilon)
    pool = _shadows.Pool.draw(data, s.size, s.label_noise, s.seed)
    members = pool.members(s.shadows, s.seed)
    X, y = (part[:TESTED] for part in data.evaluation)

    def score(weights: Weights) -> Array:
        """The log-odds of the pool's people, and, last, the share of unseen people it is right about."""
        right = np.mean((weights.decision(X)[:, 0] > 0) == y, axis=1)
        return np.column_stack([pool.signed(weights.decision(pool.X)[:, 0]), right])

    budgets = {"plain": None, "private": (s.epsilon, s.clip_norm)}
    gathered: dict[str, list[Array]] = {kind: [] for kind in budgets}
    for first in range(0, s.shadows, TOGETHER[s.model]):
        some = members[first : first + TOGETHER[s.model]]
        for kind, budget in budgets.items():
            for scores in _shadows.train(pool, s.model, some, budget, s.steps, (s.seed, 2, first), score, s.penalty):
                yield None
                if scores is not None:
                    gathered[kind].append(scores)
        done, joined = first + len(some), members[: first + len(some)]
        fits = {kind: np.concatenate(parts) for kind, parts in gathered.items()}
        plain, private, simple = yield from for_all(
            *(partial(_attack, fits[kind][:, :-1], joined, "likelihood-ratio") for kind in budgets),
            partial(_attack, fits["plain"][:, :-1], joined, "loss"),
        )
        accuracy = {kind: float(scores[:, -1].mean()) for kind, scores in fits.items()}
        unexpected = np.mean(fits["plain"][:, :-1], axis=0, where=~joined) < 0
        unusual = traits(data, pool, unexpected)
        attacked = {"plain": plain, "private": private}
        yield Result(s, attacked, simple, accuracy, models.floor(data), unusual, done / s.shadows)


def _attack(log_odds: Array, joined: Array, kind: attacks.Kind) -> attacks.Attack:
    """An attack whose intervals are ready."""
    if kind == "loss":
        attack = attacks.membership(np.logaddexp(0, -log_odds.astype(float)), joined, kind=kind)
    else:
        attack = attacks.likelihood_ratio(log_odds, joined)
    attack.intervals  # noqa: B018 - kept
    return attack
