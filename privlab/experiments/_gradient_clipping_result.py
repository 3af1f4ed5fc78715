"""What a look at clipping found: who is cut, what that trades, and which group pays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from privlab import datasets, uncertainty
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array
    from privlab.experiments._gradient_clipping_groups import Groups
    from privlab.experiments.gradient_clipping import Settings

VIEWS = {"norms": "whose pulls are cut", "direction": "what C trades", "groups": "who pays as ε falls"}
FEW = 50  # test rows: of a smaller group little can be said
Z = NormalDist().inv_cdf(0.5 + uncertainty.LEVEL / 2)


def wilson(hits: Array, n: Array) -> tuple[Array, Array]:
    """The 95 % interval of a share after `hits` in `n` (Wilson 1927), by elements; (0, 1) where n is 0."""
    n = np.asarray(n, float)
    share = np.divide(hits, n, out=np.full(n.shape, 0.5), where=n > 0)
    middle = (share * n + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * np.sqrt(n * share * (1 - share) + Z**2 / 4)
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


@dataclass(frozen=True)
class Cut:
    """Everybody's pull at one step of one private training.

    Attributes
    ----------
    norms : float32 (units,)
        Lengths of the gradients. Private data themselves.
    clip_norm : float
    groups : tuple of Groups
        By outcome, then by the chosen column; of the units in the order of `norms`.
    """

    norms: Array
    clip_norm: float
    groups: tuple[Groups, ...]

    @property
    def share(self) -> float:
        """The share of units whose pull is longer than C."""
        return float(np.mean(self.norms > self.clip_norm))

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a group with anybody in it: column, group, people, cut, share, low, high, median norm."""
        parts, cut = [], self.norms > self.clip_norm
        for groups in self.groups:
            sizes, hits = groups.sizes, cut.astype(float) @ groups.members
            low, high = wilson(hits, sizes)
            rows = {"group": groups.names, "people": sizes, "cut": hits.astype(int), "low": low, "high": high}
            part = pd.DataFrame({"column": groups.column} | rows)[sizes > 0]
            here = [np.median(self.norms[groups.codes == code]) for code in np.flatnonzero(sizes)]
            parts.append(part.assign(share=part["cut"] / part["people"], median=here))
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Trade:
    """What each clipping norm would do to the mean pull at one step of S trainings.

    Attributes
    ----------
    clip_norm : float (K,)
        In rising order; `clip_norm[held]` is the one of the settings, with which the models were trained.
    degrees : float (S, K)
        The angle between the mean of the clipped pulls and that of the whole pulls.
    signal : float (S, K)
        The clipped mean's root mean square over the weights: what a typical weight would move by.
    noise : float (K,)
        Standard deviation of the noise on each weight of that mean, σC / (q n).
    """

    clip_norm: Array
    held: int
    degrees: Array
    signal: Array
    noise: Array


@dataclass(frozen=True)
class Loser:
    """The group that loses most: how everybody else fares, how much less they lose, and half of that interval."""

    group: int
    rest: uncertainty.Difference
    more: float
    half: float

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.more > self.half


@dataclass(frozen=True)
class Payers:
    """Accuracy by group over ε.

    Attributes
    ----------
    epsilon : float (K,)
        In rising order; `epsilon[held]` is the one of the settings.
    groups : Groups
        Of the evaluation rows.
    accuracy : float (S, K + 1, G)
        By training, ε and group; last without privacy: the same training with neither clipping nor noise.
    row_loss : float32 (K + 1, rows)
        Mean over trainings of each row's loss.
    free, private : bool (S, rows)
        Losses without privacy, and at the held ε.
    """

    epsilon: Array
    held: int
    groups: Groups
    accuracy: Array
    row_loss: Array
    free: Array
    private: Array

    @cached_property
    def mean(self) -> Array:
        """(K + 1, G)."""
        return np.asarray(self.accuracy.mean(axis=0))

    @cached_property
    def half(self) -> Array:
        """Half of the 95 % interval (K + 1, G): other trainings and other people, whose variances add up."""
        count, sizes = len(self.accuracy), np.maximum(self.groups.sizes, 1)
        share = self.row_loss @ self.groups.members / sizes
        people = np.maximum(self.row_loss**2 @ self.groups.members / sizes - share**2, 0) / sizes
        half2 = Z**2 * people
        if count > 1:
            half2 += uncertainty.t_quantile(count - 1) ** 2 * self.accuracy.var(axis=0, ddof=1) / count
        return np.asarray(np.sqrt(half2))

    @property
    def present(self) -> list[int]:
        """Groups with two test rows or more."""
        return [int(g) for g in np.flatnonzero(self.groups.sizes > 1)]

    @cached_property
    def changes(self) -> dict[int, uncertainty.Difference]:
        """By group, accuracy at the held ε minus that without privacy, paired on people and trainings."""
        here = {g: self.groups.codes == g for g in self.present}
        return {g: uncertainty.difference(self.free[:, one], self.private[:, one]) for g, one in here.items()}

    @cached_property
    def most(self) -> Loser:
        """The group that loses most, against everybody else.

        It is picked after looking, so its interval is widened to hold for all groups at once (Bonferroni).
        """
        most = min(self.changes, key=lambda g: self.changes[g].mean)
        inside = self.groups.codes == most
        rest = uncertainty.difference(self.free[:, ~inside], self.private[:, ~inside])
        mine, count = self.changes[most], len(self.free)
        more = rest.mean - mine.mean
        if count < 2:
            return Loser(most, rest, more, math.inf)
        tests = 1 if len(self.present) == 2 else len(self.present)
        widen = NormalDist().inv_cdf(1 - (1 - uncertainty.LEVEL) / 2 / tests)
        lost = self.private.astype(np.float32) - self.free
        seeds2 = float((lost[:, inside].mean(axis=1) - lost[:, ~inside].mean(axis=1)).var(ddof=1)) / count
        people2 = mine.people**2 + rest.people**2
        return Loser(
            most, rest, more, widen * math.sqrt(people2 + (uncertainty.t_quantile(count - 1) / Z) ** 2 * seeds2)
        )


@dataclass(frozen=True)
class Result:
    """Private trainings at one ε and C, and what the chosen view sees in them.

    Attributes
    ----------
    settings : Settings
    noise_multiplier : float
    scores : float (S,)
        Accuracy of each finished model on the evaluation rows, at the held ε and C.
    row_loss : float (rows,)
        Mean over trainings of each evaluation row's loss.
    floor : float
        The score of always giving the same answer.
    count : int
        Models trained.
    progress : float in [0, 1]
    cut, trade, payers
        One of them, by `settings.view`.
    """

    settings: Settings
    noise_multiplier: float
    scores: Array
    row_loss: Array
    floor: float
    count: int
    progress: float
    cut: Cut | None = None
    trade: Trade | None = None
    payers: Payers | None = None

    @property
    def dataset(self) -> datasets.Dataset:
        """The data that the models were trained on."""
        return datasets.load(self.settings.dataset)

    @cached_property
    def accuracy(self) -> tuple[float, float, float]:
        """The mean over trainings, half of its 95 % interval (NaN for one), and of that of other test people."""
        mean = uncertainty.estimate(self.scores[:, None])
        return float(mean.mean[0]), float(mean.band[0]), uncertainty.split_error(self.row_loss[None])

    def frame(self) -> pd.DataFrame:
        """The numbers of the view, tidy: one row a group, a clipping norm, or a group at an ε. Shares, from 0 to 1."""
        s, (mean, _, _) = self.settings, self.accuracy
        same = {"epsilon": s.epsilon, "clip_norm": s.clip_norm, "noise_multiplier": self.noise_multiplier}
        if self.cut is not None:
            return self.cut.table.assign(**same, step=s.step, accuracy=mean)
        if self.trade is not None:
            t = self.trade
            angles, signal = t.degrees.mean(axis=0), t.signal.mean(axis=0)
            turned = 1 - np.cos(np.radians(angles))
            columns = {"clip_norm": t.clip_norm, "degrees": angles, "one_minus_cos": turned, "signal": signal}
            return pd.DataFrame(columns | {"noise": t.noise}).assign(
                epsilon=s.epsilon, noise_multiplier=self.noise_multiplier, step=s.step
            )
        assert self.payers is not None
        p = self.payers
        epsilons, parts = [*p.epsilon, math.inf], []
        for g in p.present:
            low, high = p.mean[:, g] - p.half[:, g], p.mean[:, g] + p.half[:, g]
            rows = {"group": p.groups.names[g], "people": p.groups.sizes[g], "epsilon": epsilons}
            parts.append(pd.DataFrame(rows | {"accuracy": p.mean[:, g], "low": low, "high": high}))
        return pd.concat(parts, ignore_index=True).assign(clip_norm=s.clip_norm)

    def summary(self) -> pd.DataFrame:
        """The table's digest: by groups, their change against no privacy at the held ε."""
        if self.payers is None:
            return self.frame()
        p = self.payers
        rows = [
            {
                "group": p.groups.names[g], "people": p.groups.sizes[g], "accuracy": p.mean[p.held, g],
                "without privacy": p.mean[-1, g], "change": d.mean, "low": d.mean - d.half, "high": d.mean + d.half,
            }
            for g, d in p.changes.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the ε on screen rests on, and what it leaves out."""
        s = self.settings
        several = s.unit == "person" and self.dataset.max_rows_per_person > 1
        looked = {
            "norms": "Lengths of pulls and shares cut are exact and private: a teaching view that ε does not cover. On "
            "private data each such look would have to be charged. Intervals of shares (Wilson) are for "
            "other people like these, at the weights of one training.",
            "direction": "The pulls' means are exact and private: a teaching view that ε does not cover. Models are "
            "trained at your C; the curve asks what another C would do to the very same pulls.",
            "groups": "Accuracies are those of unseen people, and looking at them is not covered by ε. Intervals hold "
            "both other trainings and other test people; those of changes pair the same people and batches.",
        }  # fmt: skip
        first = ("Someone with several rows stands in the group of the first of them.",) if several else ()
        return (
            f"Protected is one {s.unit}: two data sets are neighbours if one has one {s.unit} more than the other.",
            f"Each {s.unit} joins each of {s.steps} steps with probability {s.sampling_rate:g} (Poisson sampling); "
            f"pulls are clipped to C = {s.clip_norm:g} and get Gaussian noise of {self.noise_multiplier:.3g} × C.",
            f"ε is dp-accounting's PLD upper bound at δ = {s.delta:g}, for the release of one finished model.",
            "The noise drawn here is floating-point noise: ε is idealised. A release needs exact noise.",
            looked[s.view],
            *first,
            "Without privacy: the same training, with neither clipping nor noise.",
        )

    @property
    def who(self) -> str:
        """What is counted: people or rows."""
        return "people" if self.settings.unit == "person" else "rows"

    @property
    def accuracy_words(self) -> str:
        """The finished model's accuracy with both of its uncertainties."""
        mean, band, split = self.accuracy
        over = "one training" if math.isnan(band) else f"±{100 * band:.2f} over {len(self.scores)} trainings"
        return (
            f"The finished model is right about {100 * mean:.1f} % of unseen {self.who} ({over}; "
            f"other test {self.who}: ±{100 * split:.1f})."
        )

    @property
    def sentence(self) -> str:
        """What the view shows, in words."""
        s = self.settings
        at = f"With ε = {s.epsilon:.3g} and clipping norm C = {s.clip_norm:.3g} (noise σ = {self.noise_multiplier:.3g})"
        if self.payers is not None:
            return f"{at} {self._pay(self.payers)} {self.accuracy_words}"
        when = f"training done = {s.done:.3g} % (step {s.step} of {s.steps})"
        seen = self._who_is_cut(self.cut) if self.cut is not None else self._traded()
        return f"{at}, {when}: {seen} {self.accuracy_words}"

    def _who_is_cut(self, cut: Cut) -> str:
        words = []
        for column, part in cut.table.groupby("column", sort=False):
            ends = part.sort_values("share", ascending=False).iloc[[0, -1]] if len(part) > 2 else part
            told = ", ".join(
                f"“{name}” {100 * share:.0f} %" for name, share in zip(ends["group"], ends["share"], strict=True)
            )
            words.append(
                f"by {self.dataset.card.call(str(column))}{' (most and least)' if len(part) > 2 else ''}: {told}"
            )
        n, name = len(cut.norms), self.dataset.card.short
        return (
            f"{100 * cut.share:.0f} % of the {n:,} {self.who} in {name} pull further than C and are cut. "
            f"Cut {'; '.join(words)}."
        )

    def _traded(self) -> str:
        t = self.trade
        assert t is not None
        k = t.held
        degrees, signal, noise = float(t.degrees[:, k].mean()), float(t.signal[:, k].mean()), float(t.noise[k])
        louder = noise > signal
        times = noise / signal if louder else signal / noise
        return (
            f"cutting turns the mean pull by {degrees:.1f}° (1 − cos = {1 - math.cos(math.radians(degrees)):.2g}). "
            f"Each weight gets noise of {noise:.2g} in this step, "
            f"{times:.1f} times as {'large' if louder else 'small'} as the typical signal of {signal:.2g}."
        )

    def _pay(self, p: Payers) -> str:
        d = p.changes[p.most.group]
        verdict = (
            f"That is more than the others pay, by {100 * p.most.more:.1f} ± {100 * p.most.half:.1f}."
            if p.most.told_apart
            else "Whether they pay more than the others cannot be told."
        )
        few = [p.groups.names[g] for g in p.present if p.groups.sizes[g] < FEW]
        small = f" Fewer than {FEW} test {self.who}: {', '.join(few)}." if few else ""
        return (
            f"“{p.groups.names[p.most.group]}” fares worst against no privacy: {points(d)} of accuracy; "
            f"all others together: {points(p.most.rest)}. {verdict}{small}"
        )


def points(change: uncertainty.Difference) -> str:
    """A change of accuracy in points, with half of its 95 % interval; ± ? after one training."""
    half = f"{100 * change.half:.1f}" if math.isfinite(change.half) else "?"
    mean = f"{100 * change.mean:+.1f}".replace("-", "−")
    return f"{'0.0' if mean[1:] == '0.0' else mean} ± {half} points"
