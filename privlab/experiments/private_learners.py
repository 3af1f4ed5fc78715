"""What do other private learners see: clusters, directions, trees, lines?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import cards, datasets, uncertainty, workers
from privlab.experiments import _choices
from privlab.experiments import _learners_fits as fits
from privlab.experiments._learners_picture import Picture
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["LEARNERS", "Picture", "Result", "Settings", "run"]

LEARNERS = {
    "clusters": "groups (k-means)",
    "components": "main direction (PCA)",
    "tree": "decision tree",
    "forest": "forest of trees",
    "bayes": "bell curves (naive Bayes)",
    "line": "straight line",
}
SHARE = {"clusters": "of the spread explained", "components": "of the spread kept", "line": "of the spread explained"}
RIGHT = "right on unseen people"
REPLACED = "Pure ε for replacing one row, where the number of rows is public. "
FLOATING = "The noise is floating-point noise, so ε is idealised. "
PROMISES = {
    "clusters": "diffprivlib's KMeans, given ½ ε, for a replaced row can count in two groups; one made-up row on each "
    "centre hides whether a group is empty.",
    "components": "diffprivlib's PCA: half of ε on the mean, half on the direction.",
    "tree": "diffprivlib's tree, given ½ ε, for a replaced row changes two leaves. Its splits are drawn blindly.",
    "forest": "diffprivlib's forest, given ½ ε, for a replaced row changes two leaves. Its splits are drawn blindly.",
    "bayes": "diffprivlib's naive Bayes, given 3/5 of ε, for a changed label counts twice in counts and variances.",
    "line": "OpenDP's LinearRegression (Theil–Sen), its noise set by its own account of ε for two changed rows. "
    "That noise never comes twice: no seed brings a line back.",
}


def _suitable() -> tuple[str, ...]:
    def fit_for(card: cards.Card) -> bool:
        enough = len(fits.numbers(card.schema.columns)) > 1
        return card.schema.task == "binary" and card.max_rows_per_person == 1 and enough

    return tuple(name for name in datasets.names() if fit_for(datasets.card(name)))


class Settings(Controls):
    """What to learn, from whom, and how privately."""

    epsilon: float = _choices.epsilon("Smaller is more private.", default=5.0, slider=(0.05, 50))
    learner: str = choice(
        default="clusters", label="what is learned", among=lambda: tuple(LEARNERS), words=lambda name: LEARNERS[name],
        hint="Each has a picture of its own.",
    )  # fmt: skip
    dataset: str = _choices.data("breast_cancer", _suitable)
    clusters: int = control(
        default=3, label="groups k", low=2, high=12, slider=(2, 8), places=7, advanced=True,
        offered=lambda settings, value: settings.learner == "clusters", hint="Of k-means alone.",
    )  # fmt: skip
    depth: int = control(
        default=3, label="depth", low=1, high=3, slider=(1, 3), places=3, advanced=True,
        offered=lambda settings, value: settings.learner in ("tree", "forest"),
        hint="Questions from the root to a leaf; of the tree and the forest.",
    )  # fmt: skip
    seeds: int = control(
        default=20, label="repeats", low=1, high=200, slider=(2, 60), scale="log", places=20, advanced=True,
        hint="How often it is learned anew from the same people.",
    )  # fmt: skip
    seed: int = _choices.seed()

    @property
    def size(self) -> int:
        """Groups, or depth; what the other learners have none of is 0."""
        return {"clusters": self.clusters, "tree": self.depth, "forest": self.depth}.get(self.learner, 0)


@dataclass(frozen=True)
class Result:
    """One learner, fitted many times.

    Attributes
    ----------
    settings : Settings
    fitted : tuple of dict
        Of each repeat, as `_learners_fits.fit` returns it.
    plain : dict
        The same learner by scikit-learn, without privacy.
    floor : float
        The score of knowing nothing.
    progress : float in [0, 1]
    """

    settings: Settings
    fitted: tuple[dict[str, Any], ...]
    plain: dict[str, Any]
    floor: float
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Models learned."""
        return len(self.fitted)

    @property
    def scores(self) -> Array:
        """Score of each repeat on unseen people (repeats,): a share, below 0 if worse than one point for all."""
        return np.array([one["score"] for one in self.fitted])

    @property
    def wrong(self) -> Array:
        """Of the tree: in each repeat, leaves that got another label than most of their people have (repeats,)."""
        found = [one["votes"][np.arange(len(one["label"])), one["label"]] < one["votes"].max(1) for one in self.fitted]
        return np.array([leaves.sum() for leaves in found])

    def frame(self) -> pd.DataFrame:
        """One row a repeat: its score, the score without privacy and that of knowing nothing."""
        s = self.settings
        return pd.DataFrame(
            {"learner": s.learner, "epsilon": s.epsilon, "repeat": np.arange(self.count), "score": self.scores,
             "without privacy": self.plain["score"], "knowing nothing": self.floor}
        )  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """The mean over the repeats with its band, and what it stands between."""
        found = uncertainty.estimate(self.scores[:, None])
        mean, band = float(found.mean[0]), float(found.band[0])
        return pd.DataFrame(
            {"learner": [LEARNERS[self.settings.learner]], "mean": [mean], "mean low": [mean - band],
             "mean high": [mean + band], "without privacy": [self.plain["score"]], "knowing nothing": [self.floor]}
        )  # fmt: skip

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε covers, and what is left out."""
        learner = self.settings.learner
        used = fits.numbers(datasets.card(self.settings.dataset).schema.columns)[: fits.width(learner)]
        return (
            REPLACED + PROMISES[learner] + " " + FLOATING,
            f"It looks at {len(used)} columns with declared bounds: {', '.join(column.name for column in used)}.",
            "The people are the same in each repeat; only the noise, and what is drawn blindly, is new.",
            "Each repeat spends ε once: all of them together would spend it as many times.",
            "The dots of people, the tree's crosses and all that is drawn for 'no privacy' are not private: "
            "they are here to compare.",
        )

    @property
    def sentence(self) -> str:
        """What the learner sees at the settings."""
        s, scores = self.settings, 100 * self.scores
        what = SHARE.get(s.learner, RIGHT)
        card = datasets.card(s.dataset)
        start = (
            f"With ε = {s.epsilon:.3g} and {card.n_train:,} people of {card.short}, "
            f"{_found(self)}: {scores.mean():.1f} % {what} on average over {len(scores)} repeats"
        )
        if s.learner == "components":
            start += f" (a direction at random: {100 * self.floor:.1f} %)"
        if s.learner in ("tree", "forest", "bayes"):
            start += f" (always the same answer: {100 * self.floor:.1f} %)"
        if scores.mean() < 0:
            start += " (below 0: worse than one answer for all)"
        return f"{start}. Without privacy: {100 * self.plain['score']:.1f} %."


def _found(result: Result) -> str:
    """What the learner found, in a few words."""
    s = result.settings
    if s.learner == "clusters":
        return f"private k-means finds {s.clusters} groups"
    if s.learner == "components":
        angles = [abs(float(one["direction"] @ result.plain["direction"])) for one in result.fitted]
        off = math.degrees(float(np.mean(np.arccos(np.clip(angles, 0, 1)))))
        return f"the private direction is turned by {off:.0f}° (90° would be none of the true one)"
    if s.learner == "tree":
        return f"{result.wrong.mean():.1f} of a tree's {2**s.depth} leaves get the wrong label by noise"
    if s.learner == "line":
        x = np.linspace(-1, 1, 21)
        lines = [one["line"] for one in (*result.fitted, result.plain)]
        ys = np.array([np.clip(slope * x + start, -1, 1) for slope, start in lines])
        off = 50 * float(np.abs(ys[:-1] - ys[-1]).mean())
        return f"the private line is {off:.1f} % of the scale away from the true one"
    return {"forest": f"{fits.TREES} trees vote", "bayes": "two noisy bell curves decide"}[s.learner]


def run(settings: Settings) -> Iterator[Result | None]:
    """Fit in worker processes; a better Result whenever something came back."""
    data, s = datasets.load(settings.dataset), settings
    name = data.name
    plain = (name, "learner", s.learner, math.inf, s.size, 0)
    repeats = [(name, "learner", s.learner, s.epsilon, s.size, _number(s.seed, k)) for k in range(s.seeds)]
    source = name if name in cards.SHIPPED else data
    queue = workers.Queue(fits.fit, {key: (source, *key[2:]) for key in (plain, *repeats)})
    floor, shown = fits.floor(data, s.learner), 0
    try:
        while not queue.finished:
            queue.advance()
            found = _returned(repeats)
            if len(found) > shown and len(found) < s.seeds and workers.recall(plain) is not None:
                shown = len(found)
                yield Result(s, found, workers.recall(plain), floor, shown / s.seeds)
            else:
                yield None
        yield Result(s, _returned(repeats), workers.recall(plain), floor, 1.0)
    finally:
        queue.cancel()


def _number(seed: int, repeat: int) -> int:
    return int(np.random.SeedSequence((seed, repeat)).generate_state(1)[0])


def _returned(repeats: list[workers.Key]) -> tuple[dict[str, Any], ...]:
    """The repeats, from the first on, that have come back."""
    found = []
    for key in repeats:
        if (one := workers.recall(key)) is None:
            break
        found.append(one)
    return tuple(found)
