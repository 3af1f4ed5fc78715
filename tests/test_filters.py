"""The privacy filter: what a charge costs, what passes, and that it never falls short."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant, compute_epsilon
from hypothesis import given
from hypothesis import strategies as st

from privlab import accounting, composition, filters
from privlab.filters import Charge, Filter

BUDGET = Filter(3, 1e-5)
TRAINING = Charge(what="a model", noise_multiplier=1.1, sampling_rate=0.02, steps=60)


def reading(budget: Filter, *charges: Charge) -> float:
    spent = budget.nothing
    for one in charges:
        spent = budget.add(spent, budget.cost(one))
    return budget.reading(spent)


def by_hand(budget: Filter, charges: list[Charge]) -> float:
    """The reading in floating point, from dp-accounting's parts and a formula written another way."""
    found = [sum(math.inf if one.epsilon is None else one.epsilon for one in charges)]
    shares = 1 / (np.array(budget.orders) - 1)
    for order, share in zip(budget.orders, 0.75 * budget.delta * shares / shares.sum(), strict=True):
        loss = 0.0
        for one in charges:
            if one.epsilon is not None:
                p = 1 / (1 + math.exp(-one.epsilon))
                q = 1 - p
                loss += math.log(p * (p / q) ** (order - 1) + q * (q / p) ** (order - 1)) / (order - 1)
            else:
                noise = GaussianDpEvent(one.noise_multiplier)
                event = PoissonSampledDpEvent(one.sampling_rate, noise)
                loss += float(RdpAccountant([order]).compose(event, one.steps).rdp[0])
        found.append(float(compute_epsilon([order], [loss], share)[0]))
    return min(found)


@pytest.mark.parametrize(
    "charges",
    [
        [TRAINING],
        [TRAINING] * 5,
        [Charge(what="q", epsilon=0.3)] * 7,
        [Charge(what="q", epsilon=0.01)] * 300,
        [TRAINING, Charge(what="q", epsilon=0.2), Charge(what="g", noise_multiplier=20)],
    ],
)
def test_the_reading_is_what_the_parts_say(charges: list[Charge]) -> None:
    assert reading(BUDGET, *charges) == pytest.approx(by_hand(BUDGET, charges), rel=1e-6)


def test_pure_losses_are_those_of_randomised_response_and_never_above_epsilon() -> None:
    for epsilon in (1e-6, 0.1, 1, 5, 40):
        losses = filters.pure_losses(epsilon, filters.ORDERS)
        assert list(losses) == sorted(losses)
        assert max(losses) <= epsilon
    (at_two,) = filters.pure_losses(math.log(3), (2,))
    assert at_two == pytest.approx(math.log(0.75**2 / 0.25 + 0.25**2 / 0.75))


def test_the_filter_claims_no_less_than_the_truth() -> None:
    """Of Gaussians alone the exact ε is known; the filter must not be below it, nor far above."""
    for sigma, times in ((3.73, 1), (3.73, 5), (20, 50), (1.5, 1)):
        read = reading(Filter(20, 1e-5), *[Charge(what="g", noise_multiplier=sigma)] * times)
        exact = composition.gaussian(math.sqrt(times) / sigma, 1e-5)
        assert exact < read < 1.45 * exact
    spent = {"sampling_rate": 0.02, "steps": 60}
    tight = accounting.epsilon(noise_multiplier=1.1, delta=1e-5, **spent)
    assert tight < reading(BUDGET, TRAINING)


def test_orders_share_delta() -> None:
    """What each conversion takes of δ, worked out from what it adds, comes to three quarters of it in all."""
    taken = [
        math.exp((order - 1) * (math.log1p(-1 / order) - more)) / order
        for order, more in zip(BUDGET.orders, BUDGET.surcharges, strict=False)
    ]
    assert sum(taken) == pytest.approx(0.75e-5)
    assert all(more < 3 for more in BUDGET.surcharges)
    assert Filter(0.1, 1e-5).orders == (128, 256, 512)


def test_a_pure_budget_takes_pure_releases_alone_and_adds_them_up() -> None:
    budget = Filter(1, 0)
    quarter = Charge(what="q", epsilon=0.25 / (1 + 1e-8))
    assert reading(budget, *[quarter] * 4) == pytest.approx(1)
    assert budget.allows(tuple(4 * part for part in budget.cost(quarter)))
    assert not budget.allows(tuple(5 * part for part in budget.cost(quarter)))
    assert not budget.allows(budget.cost(Charge(what="g", noise_multiplier=1000)))


def test_delta_of_releases_is_counted_apart_up_to_a_quarter() -> None:
    fourth = Charge(what="q", epsilon=0.01, delta=0.6249e-6)
    assert reading(BUDGET, *[fourth] * 4) == pytest.approx(reading(BUDGET, *[Charge(what="q", epsilon=0.01)] * 4))
    assert reading(BUDGET, *[fourth] * 5) == math.inf
    cost = BUDGET.cost(fourth)
    assert BUDGET.allows(tuple(4 * part for part in cost))
    assert not BUDGET.allows(tuple(5 * part for part in cost))


@given(st.lists(st.floats(0.001, 1), max_size=30), st.sampled_from([0.5, 3, 20]))
def test_what_is_allowed_reads_within_the_budget(parts: list[float], epsilon: float) -> None:
    budget, spent = Filter(epsilon, 1e-5), Filter(epsilon, 1e-5).nothing
    for part in parts:
        new = budget.add(spent, budget.cost(Charge(what="q", epsilon=part)))
        assert budget.allows(new) == (budget.reading(new) <= epsilon)
        assert budget.reading(new) >= budget.reading(spent)
        spent = new if budget.allows(new) else spent
    assert budget.reading(spent) <= epsilon


def test_costs_are_rounded_up_and_stay_within_64_bits() -> None:
    cost = BUDGET.cost(Charge(what="q", epsilon=0.1, delta=1e-7))
    assert cost[-2] * filters.UNIT >= 0.1
    assert cost[-1] * filters.DELTA_UNIT >= 1e-7
    huge = BUDGET.cost(Charge(what="g", noise_multiplier=1e-3, steps=1_000_000))
    assert set(huge[:-1]) == {filters.TOO_MUCH}
    twice = BUDGET.add(huge, huge)
    assert twice == huge
    assert 2 * np.int64(filters.TOO_MUCH) > 0
    assert BUDGET.reading(twice) == math.inf


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "A charge must have 'epsilon' or 'noise_multiplier'. Got neither."),
        ({"epsilon": 1, "noise_multiplier": 1}, "Got both."),
        ({"epsilon": -1}, r"'epsilon' must be a number in \[0, 1000\]. Got -1."),
        ({"epsilon": math.nan}, "'epsilon' must be a number in"),
        ({"epsilon": 1, "delta": 1}, r"'delta' must be in \[0, 1\). Got 1."),
        ({"epsilon": 1, "steps": 2}, "'steps' must come with 'noise_multiplier'."),
        ({"noise_multiplier": 1, "delta": 1e-6}, "'delta' must come with 'epsilon'."),
        ({"noise_multiplier": 0}, "'noise_multiplier' must be a number in"),
        ({"noise_multiplier": 1, "sampling_rate": 2}, "'sampling_rate' must be a number in"),
        ({"noise_multiplier": 1, "steps": 0}, "'steps' must be a whole number in"),
        ({"epsilon": 1, "what": "two\nlines"}, "'what' must be 1 to 120 printable letters on one line. Got 9."),
        ({"epsilon": 1, "what": ""}, "Got 0."),
    ],
)
def test_a_charge_is_checked(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Charge(**{"what": "a", **values})


def test_a_budget_is_checked() -> None:
    for epsilon, delta, name in ((0, 1e-5, "epsilon"), (math.inf, 0, "epsilon"), (1, 1, "delta"), (1, -1, "delta")):
        with pytest.raises(ValueError, match=f"'{name}' must be"):
            Filter(epsilon, delta)
