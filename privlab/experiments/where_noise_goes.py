"""Where should the noise go: into the model, into each answer, or into the data?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, datasets, dpsgd, models, uncertainty
from privlab.experiments import _choices
from privlab.experiments import _places_learners as learners
from privlab.experiments._places_picture import Picture
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["PLACES", "Picture", "Result", "Settings", "run"]

PLACES = {
    "central": "in the model",
    "local": "in each answer",
    "input": "in each record",
    "none": "nowhere",
}
STEPS = 60  # of the central training, everybody in each
GRID = (300, 1000, 3000, 10_000, 30_000)
TOGETHER = 2  # repeats between two results
DELTA = 1e-6


class Settings(Controls):
    """Whom to protect, and how many take part."""

    epsilon: float = _choices.epsilon(
        "The same for every place of the noise. Smaller is more private.", default=2.0, low=0.05, slider=(0.1, 20)
    )
    people: int = control(
        default=10_000, label="people n", low=100, high=1_000_000, slider=(100, 30_000), scale="log",
        ends=("few", "many"), hint="How many take part.",
    )  # fmt: skip
    dataset: str = _choices.data("adult", _choices.two_classes)
    view: str = choice(
        default="model", label="what is asked", among=lambda: ("model", "share"),
        words=lambda view: {"model": "a model that predicts", "share": "one yes-or-no question"}[view],
        hint="A whole model, or only the share of people who say yes.",
    )  # fmt: skip
    seeds: int = control(
        default=12, label="repeats", low=1, high=200, slider=(2, 40), scale="log", places=20, advanced=True,
        hint="How often everything is done anew: more repeats narrow the dark band.",
    )  # fmt: skip
    seed: int = _choices.seed()

    def check(self) -> None:
        """Refuse more people than there are."""
        most = datasets.card(self.dataset).n_train
        if self.people > most:
            raise ValueError(
                f"'people' must be at most {most:,}, the people to learn from in '{self.dataset}'. Got {self.people:,}."
            )

    @classmethod
    def resolve(cls, values: dict[str, Any], base: Settings | None) -> dict[str, Any]:
        """Take all there are where a chosen data set has fewer people."""
        values = dict(values)
        before, name = base or cls(), values.get("dataset")
        if isinstance(name, str) and name in _choices.two_classes() and "people" not in values:
            values["people"] = min(before.people, datasets.card(name).n_train)
        return values


@dataclass(frozen=True)
class Result:
    """The same task with the noise at different places, over the number of people.

    Attributes
    ----------
    settings : Settings
    people : int (K,)
        In rising order; `people[held]` is that of the settings.
    scores : dict of float (repeats, K)
        By place: test accuracy, or how far the share of yes is off, in points.
    floor : float
        The accuracy of always the same answer.
    expected : dict of float (K,)
        Of the share: the root mean square error, in points, in closed form.
    progress : float in [0, 1]
    """

    settings: Settings
    people: Array
    held: int
    scores: dict[str, Array]
    floor: float
    expected: dict[str, Array]
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models learned, or shares released."""
        return sum(scores.size for scores in self.scores.values())

    def estimate(self, place: str) -> uncertainty.Estimate:
        """Mean over repeats, and its bands."""
        return uncertainty.estimate(self.scores[place])

    def typical(self, place: str) -> Array:
        """Of the share: the root mean square error over the repeats, in points (K,)."""
        squares: Array = np.sqrt(np.mean(self.scores[place] ** 2, axis=0))
        return squares

    def frame(self) -> pd.DataFrame:
        """One row per model or share: place, people, repeat and score (accuracy, or error in points)."""
        parts = [
            pd.DataFrame(
                {
                    "place": place,
                    "people": np.tile(self.people, len(scores)),
                    "repeat": np.repeat(np.arange(len(scores)), len(self.people)),
                    "score" if self.settings.view == "model" else "error": scores.ravel(),
                }
            )
            for place, scores in self.scores.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a place and number of people."""
        if self.settings.view == "share":
            parts = [
                {"noise": PLACES[place], "people": self.people, "expected error": self.expected[place],
                 "measured": self.typical(place)}
                for place in self.scores
            ]  # fmt: skip
        else:
            parts = []
            for place in self.scores:
                e = self.estimate(place)
                parts.append(
                    {"noise": PLACES[place], "people": self.people, "mean": e.mean, "mean low": e.mean - e.band,
                     "mean high": e.mean + e.band}
                )  # fmt: skip
        return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What each ε covers, and what all this leaves out."""
        s = self.settings
        shared = (
            "In the model: whoever collects sees everything in the clear and is trusted; protected is what comes out, "
            f"for adding or removing one person{'' if s.view == 'share' else f', at δ = {DELTA:g}'}.",
            "In each answer: nobody is trusted; a person's answer says almost the same whatever their record is "
            "(local privacy, for replacing the whole record), with δ = 0.",
            f"In each record: nobody is trusted; Gaussian noise on all of it, at δ = {DELTA:g}, for replacing the "
            "whole record. The noisy records serve any later question, and that is what makes them so dear.",
            "The noise drawn here is floating-point noise: ε is idealised. A release needs exact noise.",
            "The people are the same in each repeat; only the noise is new. Other people would add to the spread.",
        )
        if s.view == "share":
            return shared
        return (
            *shared,
            f"In the model: {STEPS} steps of clipped gradients with everybody in each (σ from the analytic Gaussian).",
            "In each answer: every person answers about one column drawn at random, with the label, by randomised "
            "response or unary encoding (Wang et al. 2017), and a naive Bayes model is built from the counts.",
            "In each record: least squares on the noisy rows, with the known noise taken off their covariance.",
            "Nowhere: the central training with clipping and without noise.",
        )

    @property
    def sentence(self) -> str:
        """What the place of the noise costs, at the settings."""
        s, k = self.settings, self.held
        n = f"{s.people:,}" if s.people >= 1000 else f"{s.people}"
        start = f"With ε = {s.epsilon:.3g} and n = {n} people, "
        if s.view == "share":
            central, local, noisy = (float(self.expected[p][k]) for p in ("central", "local", "input"))
            return (
                f"{start}the share of people with a yes is off by {central:.2g} points if a trusted office adds the "
                f"noise, by {local:.2g} if everyone answers by their own coin, and by {noisy:.3g} if everyone adds "
                f"Gaussian noise. To match the office, the coins would need {self._needed():,.0f} people."
            )
        found = {place: 100 * float(self.estimate(place).mean[k]) for place in self.scores}
        name = datasets.card(s.dataset).short
        return (
            f"{start}a model on {name} is right about {found['central']:.1f} % of unseen people if the noise goes into "
            f"the model, {found['local']:.1f} % if it goes into each person's answer, and {found['input']:.1f} % if it "
            f"goes into each person's record; without noise {found['none']:.1f} %. "
            f"Always the same answer: {100 * self.floor:.1f} %."
        )

    def _needed(self) -> float:
        """People for whom local answers are as exact as the office's are for n."""
        central, local = self.expected["central"][self.held], self.expected["local"][self.held]
        return float(self.people[self.held] * (local / central) ** 2)


def run(settings: Settings) -> Iterator[Result | None]:
    """Do the task with the noise at each place, two repeats at a time, over all numbers of people."""
    data = datasets.load(settings.dataset)
    most = data.n_train
    sizes = np.unique([*(n for n in GRID if n <= most), settings.people])
    held = int(np.flatnonzero(sizes == settings.people)[0])
    yield from for_the_accountant()
    gathered: dict[str, list[Array]] = {place: [] for place in PLACES if settings.view == "model" or place != "none"}
    expected = {} if settings.view == "model" else _expected(settings.epsilon, sizes)
    for first in range(0, settings.seeds, TOGETHER):
        repeats = range(first, min(first + TOGETHER, settings.seeds))
        shape = len(repeats), len(sizes)
        for place in gathered:
            scores = np.empty(shape)
            for k, n in enumerate(sizes.tolist()):
                if settings.view == "share":
                    scores[:, k] = [_share(data, place, n, settings, repeat) for repeat in repeats]
                    continue
                for given in learn(data, place, n, settings, repeats):
                    if given is None:
                        yield None
                    else:
                        scores[:, k] = given
            gathered[place].append(scores)
        stacked = {place: np.concatenate(parts) for place, parts in gathered.items()}
        done = repeats.stop / settings.seeds
        yield Result(settings, sizes, held, stacked, models.floor(data), expected, done)


def _rng(settings: Settings, repeat: int, n: int, place: str) -> np.random.Generator:
    return np.random.default_rng([settings.seed, repeat, n, list(PLACES).index(place)])


@cache
def _training(dataset: datasets.Dataset, n: int) -> dpsgd.TrainingData:
    return dpsgd.TrainingData.make(dataset.X_train[:n], dataset.y_train[:n], "logistic")


@cache
def _layouts(dataset: datasets.Dataset) -> tuple[learners.Layout, learners.Layout]:
    return learners.layout(dataset, dataset.X_train), learners.layout(dataset, dataset.evaluation[0])


def learn(data: datasets.Dataset, place: str, n: int, settings: Settings, repeats: range) -> Iterator[Array | None]:
    """Learn from the first n people; yields None while it takes time, then accuracies (repeats,)."""
    X, y = data.evaluation
    if place in ("central", "none"):
        sigma = 0.0
        if place == "central":
            once = accounting.gaussian_noise_multiplier(epsilon=settings.epsilon, delta=DELTA)
            sigma = once * math.sqrt(STEPS)
        train, width = _training(data, n), len(repeats)
        plan = models.CATALOGUE["dp-sgd-logistic"].plan(train, np.full(width, sigma), np.ones(width), 1.0, STEPS)
        seed = (settings.seed, repeats.start)
        found = dpsgd.sweep(
            train, plan, [seed], lambda w: models.score(data, models.batched_losses(data, w.decision(X)))
        )
        yield from (None if item is None else item[1] for item in found)
        return
    train_layout, test_layout = _layouts(data)
    scores = []
    for repeat in repeats:
        rng = _rng(settings, repeat, n, place)
        if place == "local":
            codes, labels = train_layout.codes[:n], data.y_train[:n]
            evidence = learners.learn_local(codes, train_layout.sizes, labels, settings.epsilon, rng)
            right = learners.predict_local(evidence, test_layout.codes) == y
        else:
            wide = train_layout.diameter
            noisy = learners.perturb(data.X_train[:n], data.y_train[:n], wide, settings.epsilon, DELTA, rng)
            weights = learners.learn_input(noisy, learners.noise_on_rows(wide, settings.epsilon, DELTA))
            right = (X @ weights[:-1] + weights[-1] > 0) == y
        scores.append(right.mean())
        yield None
    yield np.array(scores)


def _expected(epsilon: float, people: Array) -> dict[str, Array]:
    """Root mean square error of a share, in points, for a share near one half (the worst for coins)."""
    keep, other = learners.response_chances(2, epsilon)
    gauss = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=DELTA)
    return {
        "central": 100 * math.sqrt(2) / (epsilon * people),
        "local": 100 * math.sqrt(keep * other) / (keep - other) / np.sqrt(people),
        "input": 100 * gauss / np.sqrt(people),
    }


def _share(data: datasets.Dataset, place: str, n: int, settings: Settings, repeat: int) -> float:
    """How far a released share of class 1 among the first n people is off, in points."""
    bits, rng, epsilon = data.y_train[:n].astype(np.int64), _rng(settings, repeat, n, place), settings.epsilon
    if place == "central":
        return 100 * float(rng.laplace(scale=1 / epsilon)) / n
    if place == "local":
        told = learners.randomised_response(bits, 2, epsilon, rng).sum()
        return 100 * float(learners.debias(told, n, learners.response_chances(2, epsilon)) - bits.sum()) / n
    noise = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=DELTA)
    return 100 * noise * float(rng.standard_normal(n).mean())
