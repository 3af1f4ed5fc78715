"""The trade-off in private mode: a look releases one model, trained with exact noise, and one noised test score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, datasets, dpsgd, exact, explain, mechanisms, models
from privlab.experiments._tradeoff_picture import BOX, CLIP_LABEL, CLIP_TICKS, EPSILON_LABEL, EPSILON_TICKS, HALO
from privlab.experiments._waiting import for_the_accountant
from privlab.filters import Charge
from privlab.style import COLOURS, SMALL, TEXT, Drawing, axes
from privlab.tables import pd

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from privlab.dpsgd import Weights
    from privlab.experiments.tradeoff import Settings
    from privlab.private import Bill

UNUSED = ("wider", "seeds", "seed")  # settings that a look does not depend on
SCORE_SHARE = 0.25  # ε of the score's release, as a share of the model's


@dataclass(frozen=True)
class Look:
    """What a look released, and what it was asked for.

    Attributes
    ----------
    settings : Settings
    weights : Weights
        The model.
    score : float in [0, 1]
        Share of the test rows that it is right about, with noise.
    noise, people : float
        Half of the 95 % interval that the noise leaves, and that the choice of test people leaves.
    """

    settings: Settings
    weights: Weights
    score: float
    noise: float
    people: float

    @property
    def half(self) -> float:
        """Half of the 95 % interval of both together."""
        return math.hypot(self.noise, self.people)


@dataclass(frozen=True)
class Result:
    """All that was paid for so far.

    Attributes
    ----------
    settings : Settings
    looks : tuple of Look
    held : int
        Which of them is that of the settings.
    bill : Bill
    """

    settings: Settings
    looks: tuple[Look, ...]
    held: int
    bill: Bill
    progress: float = 1.0

    @property
    def count(self) -> int:
        """Models released."""
        return len(self.looks)

    @property
    def look(self) -> Look:
        """The one of the settings."""
        return self.looks[self.held]

    def frame(self) -> pd.DataFrame:
        """One row a look."""
        return pd.DataFrame(
            {
                "dataset": [look.settings.dataset for look in self.looks],
                "model": [look.settings.models[0] for look in self.looks],
                "epsilon": [look.settings.epsilon for look in self.looks],
                "clip_norm": [look.settings.clip_norm for look in self.looks],
                "score": [look.score for look in self.looks],
                "half of 95 %": [look.half for look in self.looks],
            }
        )

    def summary(self) -> pd.DataFrame:
        """The table itself: each row was paid for."""
        return self.frame()

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the charges rest on."""
        s = self.settings
        return (
            "Protected is one person, added to or taken from the training part or the test part. Whoever is taken out "
            "leaves an empty place: which places are in which part is fixed beforehand and public, and so is the "
            "number of test rows. How long a look takes is not hidden.",
            f"The model: {s.steps} steps of Poisson rate {s.sampling_rate:g}, pulls clipped to C = {s.clip_norm:g}, "
            f"exact noise of {s.noise_multiplier:.4g} × C from the system's entropy. It is charged at that noise.",
            f"The score: the number of test rows that the model is right about, which one person changes by at most "
            f"{_rows(s)}, with exact Gaussian noise of {_score_noise(s):.4g} times that. It is charged too. As nobody "
            "is in both parts, the dearer of the two would do (parallel composition); the ledger adds them up, which "
            "is on the safe side.",
            "The ledger's filter holds for looks chosen in the light of earlier ones, at its own "
            f"δ = {self.bill.delta:g}.",
            "The ceilings, the majority's share and the many trainings of teaching mode are raw looks: not shown here.",
        )

    @property
    def sentence(self) -> str:
        """What the look says, and what it cost."""
        s, look = self.settings, self.look
        who = "people" if datasets.card(s.dataset).unit == "person" else "rows"
        name = models.CATALOGUE[s.models[0]].label
        return (
            f"With ε = {s.epsilon:.3g} and clipping norm C = {s.clip_norm:.3g} (noise σ = {s.noise_multiplier:.3g}), "
            f"one {name} model on {datasets.card(s.dataset).short} was released. It is right about "
            f"{100 * look.score:.1f} % of the test {who}, give or take {100 * look.noise:.1f} points for the noise on "
            f"this score and {100 * look.people:.1f} for the choice of test {who}. {explain.odds(s.epsilon, s.delta)}"
        )


def check(settings: Settings) -> None:
    """Refuse what cannot be released with exact noise, and a promise to less than a person."""
    allowed = [name for name, model in models.CATALOGUE.items() if model.fit is None]
    if len(settings.models) > 1 or settings.models[0] not in allowed:
        raise ValueError(
            f"'models' must be one of {', '.join(allowed)} in private mode, for its noise must be exact. "
            f"Got {', '.join(settings.models)}."
        )
    if settings.unit == "row" and _rows(settings) > 1:
        raise ValueError("'unit' must be 'person' in private mode, for that is whom a ledger protects. Got 'row'.")
    if datasets.card(settings.dataset).schema.task == "regression":
        raise ValueError(
            f"'dataset' must have classes in private mode, for a score without bounds has no noise that covers it. "
            f"Got '{settings.dataset}'."
        )


def key(settings: Settings) -> tuple[Any, ...]:
    """All that the model depends on."""
    s = settings
    return s.dataset, s.models, s.unit, s.epsilon, s.clip_norm, s.sampling_rate, s.steps, s.delta


def prepare(settings: Settings) -> Iterator[None]:
    """Have dp-accounting at hand."""
    yield from for_the_accountant()


def releases(settings: Settings) -> tuple[Charge, ...]:
    """One model and one score."""
    s = settings
    name = f"{models.CATALOGUE[s.models[0]].label} on {s.dataset}"[:80]
    model = Charge(
        what=f"model: {name}", noise_multiplier=s.noise_multiplier, sampling_rate=s.sampling_rate, steps=s.steps
    )
    return model, Charge(what=f"test score: {name}", noise_multiplier=_score_noise(s))


def _score_noise(settings: Settings) -> float:
    """In units of what one person can change."""
    return accounting.gaussian_noise_multiplier(epsilon=SCORE_SHARE * settings.epsilon, delta=settings.delta)


def _rows(settings: Settings) -> int:
    """How many test rows one person can have."""
    return datasets.card(settings.dataset).max_rows_per_person


def look(settings: Settings) -> Iterator[Look | None]:
    """Train and score beside the notebook, which stays alive meanwhile."""
    with ThreadPoolExecutor(1) as beside:
        made = beside.submit(_release, settings)
        while not made.done():
            wait([made], dpsgd.PATIENCE)
            yield None
        yield made.result()


def _release(settings: Settings) -> Look:
    s, data = settings, datasets.load(settings.dataset)
    prepared, sigma = dpsgd.prepare(data, s.unit), s.noise_multiplier
    plan = models.CATALOGUE[s.models[0]].plan(
        prepared, np.array([sigma]), np.array([s.clip_norm]), s.sampling_rate, s.steps
    )
    weights = exact.train(prepared, plan, sigma)
    wrong = models.batched_losses(data, weights.decision(data.evaluation[0]))[0]
    right, rows = np.array([len(wrong) - int(wrong.sum())], np.int64), _rows(s)
    noise = _score_noise(s)
    told = int(mechanisms.discrete_gaussian(right, sensitivity=rows, noise_multiplier=noise)[0])
    score = min(1.0, max(0.0, told / len(wrong)))
    # A person's rows may all go the same way: then there are fewer people than rows by so much.
    spread = math.sqrt(max(score * (1 - score), 1 / len(wrong)) * rows / len(wrong))
    return Look(s, weights, score, 1.96 * noise * rows / len(wrong), 1.96 * spread)


def result(settings: Settings, looks: Sequence[Look], held: int, bill: Bill) -> Result:
    """Those of the looks that are on the same data, in the order in which they were paid for."""
    same = [i for i, one in enumerate(looks) if one.settings.dataset == settings.dataset]
    return Result(settings, tuple(looks[i] for i in same), same.index(held), bill)


class Picture(Drawing):
    """Draws a point and its interval for each look that was paid for."""

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)
        self.ax = axes(figure, BOX)
        self.ax.set_xscale("log")
        blue: dict[str, Any] = {"color": COLOURS["private"], "animated": True}
        self.bars = self.ax.vlines([1], [0], [0], linewidth=2, alpha=0.7, **blue)
        (self.dots,) = self.ax.plot([], [], "o", markersize=7, **blue)
        (self.point,) = self.ax.plot([1], [0], "o", color=COLOURS["held"], markersize=9, animated=True, zorder=6)
        self.bar = self.ax.vlines([1], [0], [0], color=COLOURS["held"], linewidth=2.4, animated=True, zorder=5)
        self.value = self.ax.annotate(
            "", (1, 0), xytext=(0, 5), textcoords="offset points", fontsize=TEXT, fontweight="bold", ha="center",
            animated=True, annotation_clip=False, zorder=7, bbox=HALO,
        )  # fmt: skip
        self.bill = self.ax.text(
            0.99, 1.035, "", transform=self.ax.transAxes, fontsize=SMALL, ha="right", va="bottom", animated=True,
            color=COLOURS["private"], fontweight="bold",
        )  # fmt: skip
        self.moving: list[Artist] = [self.bars, self.dots, self.bar, self.point, self.value, self.bill]
        self.still: tuple[str, str] | None = None

    def update(self, result: Result) -> bool:
        """Move the artists to a result; whether the background changed too."""
        s = result.settings
        changed = self.still != (s.view, s.dataset)
        if changed:
            self.still = (s.view, s.dataset)
            self._background(result)
        along = s.view
        x = np.array([getattr(look.settings, along) for look in result.looks])
        y = 100 * np.array([look.score for look in result.looks])
        half = 100 * np.array([look.half for look in result.looks])
        self.dots.set_data(x, y)
        self.bars.set_segments([[(a, b - h), (a, b + h)] for a, b, h in zip(x, y, half, strict=True)])
        at, score, off = float(x[result.held]), float(y[result.held]), float(half[result.held])
        low, high = self.ax.get_ylim()
        inside = min(max(score, low), high)
        self.point.set_data([at], [inside])
        self.bar.set_segments([[(at, score - off), (at, score + off)]])
        above = score + off < high - 0.07 * (high - low)  # else there is no room for the number
        self.value.xy = (at, max(inside, min(score + off, high)) if above else min(inside, max(score - off, low)))
        self.value.set_position((0, 5 if above else -5))
        self.value.set_verticalalignment("bottom" if above else "top")
        arrow = "↓ " if score < low else "↑ " if score > high else ""
        self.value.set_text(f"{arrow}{score:.1f} %")
        self.bill.set_text(f"spent: ε = {result.bill.spent:.3g} of {result.bill.epsilon:g}")
        return changed

    def _background(self, result: Result) -> None:
        s, card = result.settings, datasets.card(result.settings.dataset)
        self.title.set_text(f"What have we paid to see, on {card.short}?")
        self.key.set_text("dot: a released score · bar: its noise and other test people · black: now")
        low, high = card.score_range
        self.ax.set_ylim(100 * low, 100 * high)
        self.ax.set_ylabel("right on unseen people (%)", fontsize=TEXT)
        limits, ticks, label = (
            ((0.045, 11), EPSILON_TICKS[:-1], EPSILON_LABEL)
            if s.view == "epsilon"
            else ((0.09, 11), CLIP_TICKS, CLIP_LABEL)
        )
        self.ax.set_xlim(*limits)
        self.ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        self.ax.minorticks_off()
        self.ax.set_xlabel(label, fontsize=TEXT)
