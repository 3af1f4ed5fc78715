"""What do many small steps cost together?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from privlab import composition, cores, dpsgd
from privlab.experiments._accounting_picture import NAMES, Picture, number
from privlab.experiments._waiting import for_the_accountant
from privlab.settings import Controls, choice, control
from privlab.tables import pd

if TYPE_CHECKING:
    from privlab.dpsgd import Array

__all__ = ["VIEWS", "Picture", "Result", "Settings", "run"]

STEPS = np.unique(np.round(np.geomspace(1, 20_000, 6))).astype(int)
DELTAS = np.geomspace(1e-10, 1e-2, 6)
NOISES = np.geomspace(0.4, 20, 8)
FINE_NOISES = np.geomspace(0.4, 20, 41)
QUICK = ("shuffled at least", "shuffled at most")  # asked at the finer places too
SOON, REPAINT = 0.02, 0.15  # seconds until a first picture, if the final one is not there by then; between two more

VIEWS = {
    "steps": "number of steps T",
    "delta": "δ",
    "sampling": "how batches are drawn",
    "neighbours": "what a neighbour is",
    "plan": "queries to plan for",
}


class Settings(Controls):
    """A training to account for."""

    noise_multiplier: float = control(
        default=1.0, label="noise multiplier σ", low=0.3, high=100, slider=(0.4, 20), scale="log",
        ends=("less noise", "more noise"), hint="Noise on each step, in units of the clipping norm.",
    )  # fmt: skip
    steps: int = control(
        default=1000, label="steps T", low=1, high=20000, slider=(1, 20000), scale="log",
        ends=("few", "many"), hint="How often the data are used; every use spends. In the plan: queries.",
    )  # fmt: skip
    sampling_rate: float = control(
        default=0.01, label="sampling rate q", low=1e-4, high=1, slider=(0.0005, 1), scale="log",
        ends=("few join", "all join"), hint="The chance that a person joins a step.",
    )  # fmt: skip
    view: str = choice(
        default="steps", label="show over", among=lambda: tuple(VIEWS), words=lambda view: VIEWS[view],
        hint="What the horizontal axis of the picture is.",
    )  # fmt: skip
    delta: float = control(
        default=1e-5, label="δ", low=1e-10, high=0.01, slider=(1e-9, 1e-3), scale="log", places=19, advanced=True,
        hint="The chance left outside the promise.",
    )  # fmt: skip
    epsilon: float = control(
        default=1.0, label="budget ε of the plan", low=0.01, high=100, slider=(0.05, 10), scale="log", advanced=True,
        offered=lambda settings, value: settings.view == "plan",
        hint="What all queries of the plan may spend together.",
    )  # fmt: skip

    @property
    def batches(self) -> int:
        """Batches of one epoch, if every person is in exactly one."""
        return max(1, round(1 / self.sampling_rate))


@dataclass(frozen=True)
class Result:
    """ε, or the noise a budget asks for, by several ways of keeping the books.

    Attributes
    ----------
    settings : Settings
    x : float (K,)
        The horizontal axis in rising order; `x[held]` is the place of the settings.
    curves : dict of float (K,)
        By accountant, where it is known already: ε, or in the plan the noise of each query. NaN: not computed.
    progress : float in [0, 1]
    """

    settings: Settings
    x: Array
    held: int
    curves: dict[str, Array] = field(default_factory=dict)
    progress: float = 0.0

    @property
    def count(self) -> int:
        """Numbers computed."""
        return int(sum(np.isfinite(curve).sum() for curve in self.curves.values()))

    def at(self, name: str) -> float:
        """An accountant's number at the settings."""
        return float(self.curves[name][self.held])

    def frame(self) -> pd.DataFrame:
        """One row per number: accountant, the axis, epsilon or noise_multiplier, and whether it is an upper bound."""
        across = {"steps": "steps", "neighbours": "steps", "delta": "delta", "sampling": "noise_multiplier"}
        planned = self.settings.view == "plan"
        parts = [
            pd.DataFrame(
                {
                    "accountant": name,
                    "queries" if planned else across[self.settings.view]: self.x,
                    "noise_multiplier" if planned else "epsilon": curve,
                    "upper_bound": name not in ("limit", "claim", "shuffled at least"),
                }
            )[~np.isnan(curve)]
            for name, curve in self.curves.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """What each accountant says at the settings."""
        what = "noise_multiplier" if self.settings.view == "plan" else "epsilon"
        return pd.DataFrame(
            [{"accountant": NAMES[name].replace("\n", " "), what: self.at(name)} for name in self.curves]
        )

    @property
    def readout(self) -> str:
        """The settings in words."""
        s = self.settings
        steps = f"{s.steps:,}" if s.steps >= 1000 else f"{s.steps}"
        return f"noise σ = {s.noise_multiplier:.3g}, T = {steps} steps and sampling rate q = {s.sampling_rate:.3g}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers rest on."""
        s = self.settings
        every = (
            f"Each person joins each step by their own coin, with probability q (Poisson sampling); δ = {s.delta:g}.",
            "Neighbours differ by adding or removing one person, unless it is said otherwise.",
            "Added up: basic composition with δ/T a step. Advanced: Kairouz, Oh & Viswanath (2015). Both start from "
            "the tight ε of one step.",
            "RDP and PLD are dp-accounting's; both are upper bounds, and PLD is tight to half a percent.",
            "The Gaussian limit (Bu et al. 2020) is an estimate and no bound: it may be below the truth.",
            "The number at the dot is computed for your settings. Lines join computed points, and may be off by a few "
            "percent in between.",
        )
        views = {
            "sampling": (
                f"One epoch of {s.batches:,} batches, each person in exactly one; the number of steps is not used.",
                "Shuffled, at least: Chua et al. (2024), a proven lower bound. At most: no gain from sampling at all.",
                "For both, a neighbour has one person blanked out in their place, so that batches stay as they are.",
                "Fixed size: random subsets, for replacing one person; RDP, so the truth may be lower.",
            ),
            "neighbours": ("Replacing one person is one removed and one added: a stronger promise at the same noise.",),
            "plan": ("Each query adds Gaussian noise once, about everybody; σ is in units of its sensitivity.",),
        }
        return every + views.get(s.view, ())

    @property
    def sentence(self) -> str:
        """What the books say at the settings."""
        s, start, at_delta = self.settings, f"With {self.readout}", f"at δ = {self.settings.delta:g}"
        if s.view == "plan":
            least, most = self.at("exact"), self.at("naive")
            return (
                f"To keep {s.steps:,} queries together within ε = {s.epsilon:.3g} {at_delta}, each needs noise "
                f"{number(least)} times its sensitivity; whoever just adds up takes {number(most)}, "
                f"{most / least:.1f} times as much. "
                f"(The other sliders: {self.readout}.)"
            )
        if s.view == "sampling":
            claim, least = self.at("claim"), self.at("shuffled at least")
            wrong = "so the claim is wrong" if least > claim else "so the claim is not refuted here"
            return (
                f"{start}, one epoch has {s.batches:,} batches. Accounted as if everyone joined by their own coin, it "
                f"costs ε = {number(claim)} {at_delta}. If the data were shuffled instead, it really costs at least "
                f"{number(least)}, {wrong}; at most {number(self.at('shuffled at most'))}."
            )
        if s.view == "neighbours":
            one, other = self.at("add or remove one"), self.at("replace one")
            return (
                f"{start}, the promise to someone who may be added or removed costs ε = {number(one)} {at_delta}. The "
                f"promise that nobody can tell one person from another in their place is stronger, and costs "
                f"{number(other)}."
            )
        words = f"{start}, the whole training costs ε = {number(self.at('pld'))} {at_delta}, by the tight books."
        words += (
            f" Just adding up would say {number(self.at('naive'))}; Rényi accounting says {number(self.at('rdp'))}."
        )
        estimate = self.at("limit")
        below = ", too low to be true" if estimate < 0.99 * self.at("pld") else ""
        return f"{words} The Gaussian limit, which proves nothing, says {number(estimate)}{below}."


def run(settings: Settings) -> Iterator[Result | None]:
    """Ask every accountant: first at the settings, then along the axis, quick ones before slow ones."""
    yield from for_the_accountant()
    x, everyone, cells = _cells(settings)
    held = int(np.flatnonzero(x == _own(settings))[0])
    curves = {name: np.full(len(x), np.nan) for name in cells}
    last = [(name, held) for name in cells if name == "fixed size at most"]
    first = [(name, held) for name in cells if (name, held) not in last]
    rest = [(name, k) for name, _ in first for k in range(len(x)) if k != held and (everyone[k] or name in QUICK)]
    order = [*first, *sorted(rest, key=lambda cell: cell[0] not in QUICK), *last]
    shown, patience = time.perf_counter(), SOON
    for done, (name, k) in enumerate(order):
        asked = cores.shared().threads.submit(cells[name], float(x[k]))
        while True:
            if done >= len(first) and time.perf_counter() - shown > patience:
                yield Result(settings, x, held, {key: curve.copy() for key, curve in curves.items()}, done / len(order))
                shown, patience = time.perf_counter(), REPAINT
            else:
                yield None
            if wait([asked], dpsgd.PATIENCE).done:
                break
        curves[name][k] = asked.result()
    yield Result(settings, x, held, curves, 1.0)


def _own(settings: Settings) -> float:
    """The place of the settings on the horizontal axis."""
    s = settings
    return {"delta": s.delta, "sampling": s.noise_multiplier}.get(s.view, float(s.steps))


def _cells(settings: Settings) -> tuple[Array, Array, dict[str, Callable[[float], float]]]:
    """The axis, the places on it where everyone is asked, and for each accountant its number at a place."""
    s, c = settings, composition
    sigma, rate, steps, delta = s.noise_multiplier, s.sampling_rate, s.steps, s.delta
    grid = {"delta": DELTAS, "sampling": NOISES}.get(s.view, STEPS)
    asked = np.append(np.asarray(grid, float), _own(s))
    x = np.unique(np.append(asked, FINE_NOISES)) if s.view == "sampling" else np.unique(asked)
    everyone = np.isin(x, asked)
    books: dict[str, composition.Account] = {
        "naive": c.naive, "advanced": c.advanced, "limit": c.limit, "rdp": c.rdp, "pld": c.pld,
    }  # fmt: skip
    if s.view == "steps":
        return x, everyone, {name: partial(_over_steps, book, s) for name, book in books.items()}
    if s.view == "delta":
        return x, everyone, {name: partial(book, sigma, rate, steps) for name, book in books.items()}
    if s.view == "neighbours":
        both: dict[str, composition.Account] = {"add or remove one": c.pld, "replace one": c.replace_one}
        return x, everyone, {name: partial(_over_steps, book, s) for name, book in both.items()}
    if s.view == "plan":
        return x, everyone, {name: partial(_planned, name, s) for name in ("naive", "advanced", "zCDP", "exact")}
    count = s.batches
    return (
        x,
        everyone,
        {
            "claim": lambda at: c.pld(at, 1 / count, count, delta),
            "shuffled at least": lambda at: c.shuffled_at_least(at, count, delta),
            "shuffled at most": lambda at: c.gaussian(1 / at, delta),
            "fixed size at most": lambda at: c.fixed_size(at, 1 / count, count, delta),
        },
    )


def _over_steps(book: composition.Account, settings: Settings, steps: float) -> float:
    return book(settings.noise_multiplier, settings.sampling_rate, round(steps), settings.delta)


def _planned(name: str, settings: Settings, queries: float) -> float:
    return composition.plan(settings.epsilon, settings.delta, round(queries))[name]
