"""What a trade-off found: trained models along one axis, what they are held against, and how two of them compare."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import datasets, explain, models, uncertainty
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments.tradeoff import Settings


@dataclass(frozen=True)
class Curve:
    """One model's scores along the horizontal axis.

    Attributes
    ----------
    model : str
    scores : float (S, K)
        One row a seed, one column a point of `Result.x`.
    held : (S, rows)
        Losses on the evaluation rows at the point that is held: 0 or 1, or squared errors.
    """

    model: str
    scores: Array
    held: Array

    @cached_property
    def estimate(self) -> uncertainty.Estimate:
        return uncertainty.estimate(self.scores)


@dataclass(frozen=True)
class Result:
    """Trained models along one axis, and what to hold them against.

    Attributes
    ----------
    settings : Settings
    x : float (K,)
        The ε, or the clipping norms, in rising order; `x[held]` is the one of the settings.
    noise_multiplier : float (K,)
    curves : tuple of Curve
        In the order of `settings.models`, those with at least one seed.
    floor : float
        The score of knowing nothing of a person.
    ceilings : dict
        Scores of models without privacy, by label, as they arrive.
    loss_scale : float
        score = 1 − mean loss / loss_scale.
    progress : float in [0, 1]
    """

    settings: Settings
    x: Array
    held: int
    noise_multiplier: Array
    curves: tuple[Curve, ...]
    floor: float
    ceilings: dict[str, float] = field(default_factory=dict)
    loss_scale: float = 1.0
    progress: float = 0.0

    @property
    def dataset(self) -> datasets.Dataset:
        """The data that the models were trained on."""
        return datasets.load(self.settings.dataset)

    @property
    def count(self) -> int:
        """Trained models that the curves are made of."""
        return sum(curve.scores.size for curve in self.curves)

    @property
    def percent(self) -> bool:
        """Whether scores are shares of right answers; otherwise R²."""
        return self.dataset.task != "regression"

    def show(self, score: float, digits: int = 1) -> str:
        """A score as people read it: 84.7 %, or R² 0.41."""
        return f"{100 * score:.{digits}f} %" if self.percent else f"{score:.{digits + 1}f}"

    def frame(self) -> pd.DataFrame:
        """One row per trained model: model, epsilon, clip_norm, noise_multiplier, seed, score."""
        s, parts = self.settings, []
        for curve in self.curves:
            count = len(curve.scores)
            along = s.view == "epsilon"
            parts.append(
                pd.DataFrame(
                    {
                        "model": curve.model,
                        "epsilon": np.tile(self.x, count) if along else s.epsilon,
                        "clip_norm": s.clip_norm if along else np.tile(self.x, count),
                        "noise_multiplier": np.tile(self.noise_multiplier, count),
                        "seed": np.repeat(np.arange(count), len(self.x)),
                        "score": curve.scores.ravel(),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """One row a point of each curve: the mean, its 95 % interval, and that of one release."""
        parts = []
        for curve in self.curves:
            e = curve.estimate
            columns: dict[str, Any] = {
                "model": curve.model,
                "epsilon" if self.settings.view == "epsilon" else "clip_norm": self.x,
            }
            columns |= {"noise_multiplier": self.noise_multiplier, "trainings": len(curve.scores), "mean": e.mean}
            columns |= {"mean low": e.mean - e.band, "mean high": e.mean + e.band}
            release = e.release if len(curve.scores) >= uncertainty.ENOUGH else np.full_like(e.mean, np.nan)
            columns |= {"release low": e.mean - release, "release high": e.mean + release}
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    @property
    def readout(self) -> str:
        """The two settings in words, as the sentence repeats them."""
        s = self.settings
        return f"ε = {s.epsilon:.3g} and clipping norm C = {s.clip_norm:.3g}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε on screen rests on, and what it leaves out."""
        s, unit, sigma = self.settings, self.settings.unit, self.noise_multiplier[self.held]
        return (
            f"Protected is one {unit}: two data sets are neighbours if one has one {unit} more than the other.",
            f"Each {unit} joins each of {s.steps} steps with probability {s.sampling_rate:g} (Poisson sampling); "
            f"pulls are clipped to C = {s.clip_norm:g} and get Gaussian noise of {sigma:.3g} × C.",
            f"ε is dp-accounting's PLD upper bound at δ = {s.delta:g}, for the release of one trained model.",
            "The noise drawn here is floating-point noise: ε is idealised. A release needs exact noise.",
            "The models of one training share their batches and draw their own noise, a device of the picture.",
            "Looking at many settings, at test scores and at the ceilings costs privacy too, and nobody is charged "
            "for it here: explore on public data.",
            *(f"{models.CATALOGUE[name].label}: {models.CATALOGUE[name].promise}" for name in s.models),
        )

    @property
    def sentence(self) -> str:
        """What the curve says at the point that is held."""
        s, data = self.settings, self.dataset
        curve, k = self.curves[0], self.held
        e = curve.estimate
        does = (
            "is right about {} of unseen people"
            if self.percent
            else "explains {} of the variation (R²) in unseen people"
        )
        does = does.replace("people", "rows") if data.unit == "row" else does
        words = [
            f"With {self.readout} (noise σ = {self.noise_multiplier[k]:.3g}), {models.CATALOGUE[curve.model].label} on "
            f"{data.card.short} {does.format(self.show(float(e.mean[k])))}"
        ]
        seen = curve.scores[:, k]
        if len(seen) >= uncertainty.ENOUGH:
            low, high = e.mean[k] - e.release[k], min(1.0, e.mean[k] + e.release[k])
            words.append(f"; one release would fall between {self.show(low)} and {self.show(high)}")
        elif len(seen) > 1:
            words.append(
                f"; its {len(seen)} trainings lie between {self.show(seen.min())} and {self.show(seen.max())}, "
                "too few to say where one release would fall"
            )
        off = uncertainty.split_error(curve.held, self.loss_scale)
        shift = f"{100 * off:.1f} points" if self.percent else f"{off:.2f}"
        words.append(f" (other test {data.unit}s would move this by up to ±{shift}). ".replace("persons", "people"))
        against = [f"{label} {self.show(score)}" for label, score in self.ceilings.items()]
        words.append(f"For comparison: {', '.join([*against, f'always the same answer {self.show(self.floor)}'])}. ")
        words.append(explain.odds(s.epsilon, s.delta))
        return "".join(words)


def compare(a: Result, b: Result) -> str:
    """Whether two results can be told apart at the points they hold, and what makes it unsure."""
    first, second = a.curves[0], b.curves[0]
    if a.dataset is not b.dataset:
        return f"Pinned is {a.dataset.card.short}: other people, so the two scores cannot be compared person by person."
    d = uncertainty.difference(first.held, second.held, a.loss_scale)
    unit = "points" if a.percent else "R²"
    size = 100 if a.percent else 1
    amount = (
        f"{size * d.mean:+.2f} {unit}, 95 % interval {size * (d.mean - d.half):+.2f} to {size * (d.mean + d.half):+.2f}"
    )
    source = "which people are in the test split" if d.people > d.seeds else "the noise of training"
    if not math.isfinite(d.half):
        return "One training each cannot tell two settings apart. Choose more trainings."
    verdict = "can be told apart" if d.told_apart else "cannot be told apart"
    was = ", ".join(f"{name} {_word(v)}" for name, v in a.settings.as_dict().items() if v != getattr(b.settings, name))
    return (
        f"Now against pinned ({was or 'the same settings'}): the two {verdict} ({amount}; on average over trainings, "
        f"paired on the same people). What is left unsure comes mostly from {source}."
    )


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else ", ".join(value) if isinstance(value, tuple) else str(value)
