"""Whether one more release still fits a privacy budget, when each is chosen in the light of all that came before.

A privacy filter for an (ε, δ) budget fixed beforehand, valid for adaptively chosen releases (Rogers et al. 2016):

- Every release is bounded at fixed Rényi orders α, and its bounds are added up. While a sum stays below a limit B_α
  fixed beforehand, everything together is (α, B_α)-RDP, however the releases were chosen (Feldman & Zrnic 2021,
  "Individual Privacy Accounting via a Rényi Filter"; Lécuyer 2021, "Practical Privacy Filters and Odometers").
- A release passes if *some* order's sum stays below its limit. Which order that is may depend on what was released, so
  the orders share δ: each is converted at its share, and the chances add up to δ. (Taking the best order at the whole
  δ, as is often done, has no such proof.) A small share costs low orders most, so shares go by 1/(α − 1). The
  conversion is Proposition 12 of Canonne, Kamath & Steinke 2020.
- The order ∞ is pure differential privacy: its sum is the plain sum of ε, it needs no δ and hence no share.
- A pure ε counts as randomised response does, the worst case at every order. An (ε, δ) release is such a pure one but
  for a chance of δ (Kairouz, Oh & Viswanath 2015); these chances are added up apart, up to a quarter of the
  budget's δ, which is set aside for them (as in Whitehouse et al. 2023). The rest is what the orders share.

Sums are kept in whole numbers, each charge rounded up: they do not depend on the order of adding, and never fall short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from privlab import accounting
from privlab.settings import Control

__all__ = ["ORDERS", "Charge", "Filter", "Spent"]

ORDERS: tuple[float, ...] = (1.5, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 256, 512)
"""Rényi orders, about a factor of √2 apart where budgets are usual; a budget keeps those that could ever pass it."""

UNIT = 2.0**-40  # of a Rényi loss: 10⁻¹², so a million charges are rounded up by 10⁻⁶ at most
DELTA_UNIT = 2.0**-60
SET_ASIDE = 0.25  # of a budget's δ, for releases with a δ of their own
TOO_MUCH = 2**61  # stands for an infinite loss, here and above; two of them still fit 64 bits
WIDER = 1 + 1e-9  # covers the floating-point arithmetic of a bound
WHAT = 120  # letters

Spent = tuple[int, ...]
"""Losses in whole units: one a finite order, then the plain sum of ε, then δ (in its own unit)."""

_CHECKS = {
    "epsilon": Control("", low=0, high=1000),
    "noise_multiplier": Control("", low=1e-3, high=1e12),
    "sampling_rate": Control("", low=1e-12, high=1),
    "steps": Control("", low=1, high=1_000_000, whole=True),
}


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What one release costs, and what it is: either an (ε, δ), or steps of sampled Gaussian noise.

    Attributes
    ----------
    what : str
        What is released, in at most 120 letters on one line. It is written down for good: no person's value belongs
        in it.
    epsilon : float in [0, 1000]
    delta : float in [0, 1)
        Of the release alone; for an (ε, δ) only.
    noise_multiplier : float
        Standard deviation σ of Gaussian noise, in units of what one person can change.
    sampling_rate : float in (0, 1]
        With which probability a person is in a step (Poisson sampling).
    steps : int

    Raises
    ------
    ValueError, TypeError
        For values out of range, or if both or neither of `epsilon` and `noise_multiplier` are given.
    """

    what: str
    epsilon: float | None = None
    delta: float = 0.0
    noise_multiplier: float | None = None
    sampling_rate: float = 1.0
    steps: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.what, str):
            raise TypeError(f"'what' must be text. Got {type(self.what).__name__}.")
        if not (0 < len(self.what) <= WHAT and self.what.isprintable()):
            raise ValueError(f"'what' must be 1 to {WHAT} printable letters on one line. Got {len(self.what)}.")
        if (self.epsilon is None) == (self.noise_multiplier is None):
            got = "neither" if self.epsilon is None else "both"
            raise ValueError(f"A charge must have 'epsilon' or 'noise_multiplier'. Got {got}.")
        unused = ("sampling_rate", "steps") if self.noise_multiplier is None else ("delta",)
        for name in unused:
            if getattr(self, name) != Charge.__dataclass_fields__[name].default:
                other = "noise_multiplier" if self.noise_multiplier is None else "epsilon"
                raise ValueError(f"'{name}' must come with '{other}'. Got it without.")
        for name in self.numbers():
            if name != "delta":
                object.__setattr__(self, name, _CHECKS[name].check(name, getattr(self, name)))
        object.__setattr__(self, "delta", check_delta(self.delta))

    def numbers(self) -> dict[str, Any]:
        """The numbers that the cost follows from, by name."""
        if self.noise_multiplier is None:
            return {"epsilon": self.epsilon, "delta": self.delta}
        return {
            "noise_multiplier": self.noise_multiplier, "sampling_rate": self.sampling_rate, "steps": self.steps,
        }  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """A budget and the arithmetic that keeps to it; holds no state.

    Attributes
    ----------
    epsilon : float in (0, 1000]
    delta : float in [0, 1)
        0 admits pure releases only.
    orders : tuple of float
        The finite Rényi orders in use. Default: those of `ORDERS` whose conversion alone does not exceed ε already.
    """

    epsilon: float
    delta: float
    orders: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", Control("", low=1e-6, high=1000).check("epsilon", self.epsilon))
        object.__setattr__(self, "delta", check_delta(self.delta))
        if not self.orders:
            object.__setattr__(self, "orders", self._useful())

    def _useful(self) -> tuple[float, ...]:
        orders = ORDERS if self.delta > 0 else ()
        while True:  # whoever leaves makes room, but nobody comes back, so that it ends
            added = self._added(orders)
            kept = tuple(order for order, more in zip(orders, added, strict=True) if more < self.epsilon)
            if kept == orders:
                return kept
            orders = kept

    def _added(self, orders: tuple[float, ...]) -> tuple[float, ...]:
        """What the conversion from a Rényi loss of each order to ε adds, when these orders share δ."""
        weight = (1 - SET_ASIDE) * self.delta / sum(1 / (order - 1) for order in orders) if orders else 0.0
        return tuple(math.log1p(-1 / order) - math.log(order * weight / (order - 1)) / (order - 1) for order in orders)

    @cached_property
    def surcharges(self) -> tuple[float, ...]:
        """What converting each order's sum to ε adds; nothing for the plain sum, which comes last."""
        return (*self._added(self.orders), 0.0)

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """How far each order's sum, and last the plain one, may go."""
        return tuple(math.floor((self.epsilon - surcharge) / UNIT) for surcharge in self.surcharges)

    @property
    def _set_aside(self) -> float:
        return SET_ASIDE * self.delta / DELTA_UNIT

    @property
    def nothing(self) -> Spent:
        """Before the first charge."""
        return (0,) * (len(self.orders) + 2)

    def cost(self, charge: Charge) -> Spent:
        """What a charge adds at each order, to the plain sum and to δ, rounded up."""
        if charge.noise_multiplier is None:
            assert charge.epsilon is not None
            losses, pure = pure_losses(charge.epsilon, self.orders), charge.epsilon
        else:
            sigma, rate, steps = charge.noise_multiplier, charge.sampling_rate, charge.steps
            among = ORDERS if set(self.orders) <= set(ORDERS) else self.orders  # so that budgets share what is known
            known = dict(zip(among, gaussian_losses(sigma, rate, among), strict=True)) if self.orders else {}
            losses, pure = tuple(steps * known[order] for order in self.orders), math.inf
        return (*map(_rounded_up, (*losses, pure)), math.ceil(charge.delta / DELTA_UNIT))

    def add(self, spent: Spent, cost: Spent) -> Spent:
        """Both together."""
        return tuple(min(a + b, TOO_MUCH) for a, b in zip(spent, cost, strict=True))

    def allows(self, spent: Spent) -> bool:
        """Whether this much is within the budget."""
        return spent[-1] <= self._set_aside and any(a <= b for a, b in zip(spent[:-1], self.limits, strict=True))

    def reading(self, spent: Spent) -> float:
        """The smallest budget ε, at the same orders and δ, that this much would have passed; infinite past all."""
        if not any(spent):
            return 0.0
        if spent[-1] > self._set_aside:
            return math.inf
        sums = zip(spent[:-1], self.surcharges, strict=True)
        return max(0.0, min(math.inf if used >= TOO_MUCH else used * UNIT + more for used, more in sums))


def check_delta(value: float) -> float:
    """A δ in [0, 1), or an error."""
    number: float = Control("", low=0, high=1).check("delta", value)
    if number == 1:
        raise ValueError("'delta' must be in [0, 1). Got 1.")
    return number


def _rounded_up(loss: float) -> int:
    return TOO_MUCH if loss * WIDER / UNIT >= TOO_MUCH else math.ceil(loss * WIDER / UNIT)


def pure_losses(epsilon: float, orders: tuple[float, ...]) -> tuple[float, ...]:
    """Rényi losses of randomised response at ε, the most that a pure release can have.

    ln(p^α (1−p)^(1−α) + (1−p)^α p^(1−α)) / (α−1) with p = e^ε / (1 + e^ε) (Mironov 2017, Proposition 5).
    """
    yes, no = -math.log1p(math.exp(-epsilon)), -epsilon - math.log1p(math.exp(-epsilon))
    return tuple(
        min(epsilon, max(0.0, float(np.logaddexp(a * yes + (1 - a) * no, a * no + (1 - a) * yes)) / (a - 1)))
        for a in orders
    )


@lru_cache(maxsize=4096)
def gaussian_losses(noise_multiplier: float, sampling_rate: float, orders: tuple[float, ...]) -> tuple[float, ...]:
    """Rényi losses of one step at each order.

    α/2σ² if everybody is in the step, else dp-accounting's (Mironov, Talwar & Zhang 2019).
    """
    if sampling_rate == 1:
        return tuple(order / (2 * noise_multiplier**2) for order in orders)
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    event = dp_accounting.PoissonSampledDpEvent(sampling_rate, dp_accounting.GaussianDpEvent(noise_multiplier))
    with accounting.quiet_absl():
        found = RdpAccountant(orders).compose(event).rdp
    return tuple(map(float, found))
