"""Ways of keeping the books: golden values, and none below the truth but the one that says so."""

import math

import numpy as np
import pytest
from dp_accounting import NeighboringRelation, get_epsilon_gaussian
from dp_accounting.pld import privacy_loss_distribution
from matplotlib.figure import Figure
from scipy import integrate, stats

from privlab import accounting, composition
from privlab.experiments import accounting as experiment

GOLDEN = [  # rate, σ, steps, δ, RDP, PLD: see the accountants' own tests
    (0.01, 4.0, 10_000, 1e-5, 1.0355, 0.9470),
    (256 / 60_000, 1.1, 60 * 60_000 // 256, 1e-5, 2.5967, 2.3818),
    (0.004, 0.7, 11_250, 1e-5, 6.0937, 5.4312),
    (0.04, 1.5, 2_250, 1e-5, 7.3293, 6.7688),
    (0.01, 1.0, 1000, 1e-5, 2.101, 1.828),
    (0.001, 0.6, 5000, 1e-6, 3.627, 2.748),
]


@pytest.mark.parametrize(("rate", "sigma", "steps", "delta", "rdp", "pld"), GOLDEN)
def test_golden_values(rate, sigma, steps, delta, rdp, pld):
    assert composition.rdp(sigma, rate, steps, delta) == pytest.approx(rdp, rel=2e-3)
    assert composition.pld(sigma, rate, steps, delta) == pytest.approx(pld, rel=0.005)


@pytest.mark.parametrize(("rate", "sigma", "steps", "delta"), [(0.013, 0.83, 640, 1e-6), (0.27, 6.1, 3100, 3e-8)])
def test_other_settings_against_dp_accounting_itself(rate, sigma, steps, delta):
    def fine(relation):
        interval = accounting.rounding_interval(sigma, rate, steps) / 5
        step = privacy_loss_distribution.from_gaussian_mechanism(
            sigma, sampling_prob=rate, value_discretization_interval=interval, neighboring_relation=relation
        )
        return step.self_compose(steps).get_epsilon_for_delta(delta)

    exact = fine(NeighboringRelation.ADD_OR_REMOVE_ONE)
    assert exact <= composition.pld(sigma, rate, steps, delta) <= 1.01 * exact
    exact = fine(NeighboringRelation.REPLACE_ONE)
    assert exact <= composition.replace_one(sigma, rate, steps, delta) <= 1.01 * exact


def test_rdp_is_that_of_the_accountant():
    for rate, sigma, steps, delta in ((0.02, 1.3, 777, 1e-6), (1.0, 7.0, 12, 1e-4)):
        whole = accounting.epsilon(
            noise_multiplier=sigma, sampling_rate=rate, steps=steps, delta=delta, accountant="rdp"
        )
        assert composition.rdp(sigma, rate, steps, delta) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(("rate", "sigma", "delta", "limit"), [(0.01, 1.0, 1e-5, 1.618), (0.001, 0.6, 1e-6, 1.174)])
def test_the_limit_is_the_published_estimate_and_below_the_truth(rate, sigma, delta, limit):
    steps = 1000 if rate == 0.01 else 5000
    assert composition.limit(sigma, rate, steps, delta) == pytest.approx(limit, rel=1e-3)
    assert limit < composition.pld(sigma, rate, steps, delta)


@pytest.mark.parametrize("rate", [0.003, 0.05, 1.0])
@pytest.mark.parametrize("sigma", [0.7, 2.0, 9.0])
def test_looser_books_never_say_less(rate, sigma):
    for steps in (1, 30, 900):
        tight = composition.pld(sigma, rate, steps, 1e-6)
        for book in (composition.naive, composition.advanced, composition.rdp):
            assert book(sigma, rate, steps, 1e-6) >= tight * (1 - 0.006), book.__name__
        assert composition.advanced(sigma, rate, steps, 1e-6) <= composition.naive(sigma, rate, steps, 1e-6)
        assert composition.replace_one(sigma, rate, steps, 1e-6) >= tight * (1 - 0.006)


def beyond(epsilon, first, second):
    """δ(ε) of telling two densities apart, by integration."""

    def gap(x):
        return max(0.0, first(x) - math.exp(epsilon) * second(x))

    return integrate.quad(gap, -10, 11, limit=500, epsabs=1e-13)[0]


def sampled(sigma, rate, mean):
    """The density of one step if a unit pulls it by `mean` and joins with probability `rate`."""
    return lambda x: (1 - rate) * stats.norm.pdf(x, 0, sigma) + rate * stats.norm.pdf(x, mean, sigma)


def test_one_step_against_its_definition():
    sigma, rate, delta = 0.9, 0.05, 1e-6
    out, with_it, instead = (sampled(sigma, rate, mean) for mean in (0, 1, -1))
    epsilon = composition.one_step(sigma, rate, delta)
    assert max(beyond(epsilon, with_it, out), beyond(epsilon, out, with_it)) <= delta
    assert beyond(0.99 * epsilon, with_it, out) > delta, "tight to a percent"
    epsilon = composition.replace_one(sigma, rate, 1, delta)
    assert beyond(epsilon, with_it, instead) <= delta < beyond(0.99 * epsilon, with_it, instead)


def test_gaussian_is_the_analytic_one():
    assert composition.gaussian(1 / 3.73063, 1e-5) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("delta", [1e-10, 1e-9, 1e-5, 1e-2])
def test_gaussian_is_never_below_the_truth(delta):
    # Between 1.5 and 4 lie the tails that differences of Φ get wrong: 15 % too little at 3.6647 and 1e-9.
    for mean in (1e-3, 0.05, *np.linspace(0.3, 6, 58), 3.6646619482772147, 20.0, 471.0):
        exact = get_epsilon_gaussian(1 / mean, delta)
        assert exact * (1 - 1e-9) - 1e-12 <= composition.gaussian(mean, delta) <= exact * (1 + 1e-8) + 1e-12
        assert composition.pld(1 / mean, 1.0, 1, delta) == pytest.approx(exact, rel=1e-8, abs=1e-12)
    assert composition.pld(30.0, 1.0, 900, delta) == pytest.approx(get_epsilon_gaussian(1.0, delta), rel=1e-8)


def test_replacing_one_unsampled_is_twice_the_distance():
    assert composition.replace_one(4.0, 1.0, 1, 1e-5) == pytest.approx(composition.gaussian(0.5, 1e-5), rel=0.01)
    assert composition.fixed_size(4.0, 1.0, 1, 1e-5) >= composition.gaussian(0.5, 1e-5)


def test_shuffled_batches_cost_more_than_is_claimed():
    assert composition.shuffled_at_least(1.0, 100, 1e-5) == pytest.approx(4.063, abs=0.005)
    assert composition.pld(1.0, 0.01, 100, 1e-5) == pytest.approx(0.72, abs=0.005)
    for sigma in (0.4, 1.0, 3.0, 20.0):
        at_most = composition.gaussian(1 / sigma, 1e-5)
        assert composition.shuffled_at_least(sigma, 100, 1e-5) <= at_most
    assert composition.shuffled_at_least(1.0, 1, 1e-5) == pytest.approx(composition.gaussian(1.0, 1e-5), rel=0.001)


def test_a_plan_keeps_its_budget_and_the_exact_one_wastes_none():
    for epsilon, delta, queries in ((1.0, 1e-5, 50), (0.3, 1e-6, 7), (5.0, 1e-5, 1)):
        plan = composition.plan(epsilon, delta, queries)
        assert plan["exact"] <= plan["zCDP"]
        assert plan["exact"] <= plan["advanced"] <= plan["naive"] * (1 + 1e-9)
        for name, sigma in plan.items():
            spent = composition.gaussian(math.sqrt(queries) / sigma, delta)
            assert spent <= epsilon * (1 + 1e-6), name
        assert composition.gaussian(math.sqrt(queries) / plan["exact"], delta) == pytest.approx(epsilon, rel=1e-6)
    rho = 50 / (2 * composition.plan(1.0, 1e-5, 50)["zCDP"] ** 2)
    assert rho + 2 * math.sqrt(rho * math.log(1e5)) == pytest.approx(1.0)


def test_a_plan_is_the_reader_s_own():
    composition.plan(1.0, 1e-5, 3)["exact"] = 0.0
    assert composition.plan(1.0, 1e-5, 3)["exact"] > 1


@pytest.mark.parametrize(
    ("queries", "error", "words"),
    [
        (0, ValueError, "'queries' must be a whole number of at least 1. Got 0."),
        (2.5, TypeError, "'queries' must be a whole number of at least 1. Got float."),
        (True, TypeError, "'queries' must be a whole number of at least 1. Got bool."),
    ],
)
def test_a_bad_plan_is_refused(queries, error, words):
    with pytest.raises(error, match=f"^{words.replace('.', '[.]')}$"):
        composition.plan(1.0, 1e-5, queries)


@pytest.mark.parametrize("view", list(experiment.VIEWS))
def test_a_result_holds_what_the_books_say(view):
    settings = experiment.Settings.make(view=view, noise_multiplier=1.5, steps=200, sampling_rate=0.05)
    results = [item for item in experiment.run(settings) if item is not None]
    first, last = results[0], results[-1]
    assert last.progress == 1
    assert all(np.isfinite(curve).sum() >= 1 for curve in last.curves.values())
    for name, curve in first.curves.items():
        known = np.isfinite(curve)
        np.testing.assert_array_equal(curve[known], last.curves[name][known])
        assert known[first.held] or name == "fixed size at most"
    held = {
        "steps": ("pld", composition.pld(1.5, 0.05, 200, 1e-5)),
        "delta": ("rdp", composition.rdp(1.5, 0.05, 200, 1e-5)),
        "neighbours": ("replace one", composition.replace_one(1.5, 0.05, 200, 1e-5)),
        "sampling": ("shuffled at least", composition.shuffled_at_least(1.5, 20, 1e-5)),
        "plan": ("exact", composition.plan(1.0, 1e-5, 200)["exact"]),
    }
    name, value = held[view]
    assert last.at(name) == value
    assert f"{value:.3g}" in last.sentence
    for curve in last.curves.values():
        known = curve[np.isfinite(curve)]
        rising = view in ("steps", "neighbours", "plan")
        assert (np.diff(known) >= -1e-9 if rising else np.diff(known) <= 1e-9).all()
    bounds = last.frame().groupby("accountant")["upper_bound"].first()
    assert not bounds.reindex(["limit", "claim", "shuffled at least"]).dropna().any()
    assert bounds.drop(["limit", "claim", "shuffled at least"], errors="ignore").all()


def strong(each, steps, slack):
    """Kairouz, Oh & Viswanath (2015), Theorem 3.4, the second of its bounds."""
    drift = each * steps * (math.exp(each) - 1) / (math.exp(each) + 1)
    return drift + each * math.sqrt(2 * steps * math.log(1 / slack))


def test_adding_up_shares_out_delta():
    # Unsampled, so that one step has a closed form; δ itself for each of 400 steps would be no bound.
    sigma, steps, delta = 60.0, 400, 1e-5
    each = get_epsilon_gaussian(sigma, delta / steps)
    assert steps * each <= composition.naive(sigma, 1.0, steps, delta) <= 1.01 * steps * each


def test_advanced_composition_is_the_published_formula_and_shares_out_delta():
    sigma, steps, delta = 60.0, 400, 1e-5
    each = composition.gaussian(1 / sigma, delta / 2 / steps)
    found = composition.advanced(sigma, 1.0, steps, delta)
    assert found <= strong(each, steps, delta / 2) * 1.001
    assert found == pytest.approx(strong(each, steps, delta / 2), rel=0.03)
    sigma = composition.plan(1.0, delta, steps)["advanced"]
    each = composition.gaussian(1 / sigma, delta / 2 / steps)
    assert strong(each, steps, delta / 2) == pytest.approx(1.0, rel=1e-4)


def test_the_claim_is_that_of_coins_in_one_epoch():
    last = final(view="sampling", sampling_rate=0.05)
    assert last.at("claim") == composition.pld(1.0, 0.05, 20, 1e-5)
    assert last.at("fixed size at most") == composition.fixed_size(1.0, 0.05, 20, 1e-5)


def final(**values):
    *_, last = (r for r in experiment.run(experiment.Settings.make(**values)) if r)
    return last


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_the_drawn_lower_bound_is_one_between_its_points_too(rate):
    found = final(view="sampling", sampling_rate=rate)
    curve = found.curves["shuffled at least"]
    known = np.isfinite(curve) & (curve > 0.02)  # what the picture shows
    middles = np.sqrt(found.x[known][1:] * found.x[known][:-1])
    for sigma, drawn in zip(middles, np.sqrt(curve[known][1:] * curve[known][:-1]), strict=True):
        assert drawn <= 1.01 * composition.shuffled_at_least(float(sigma), round(1 / rate), 1e-5)


@pytest.mark.parametrize("view", list(experiment.VIEWS))
def test_the_sentence_says_which_delta(view):
    assert "δ = 1e-07" in final(view=view, delta=1e-7, steps=10).sentence


def test_the_dot_tells_where_it_is_outside_the_picture():
    picture = experiment.Picture(Figure(figsize=experiment.Picture.size))
    for values, said in (
        ({"noise_multiplier": 0.4, "steps": 20_000, "sampling_rate": 1}, "↑ ε = 64,000"),
        ({"noise_multiplier": 20, "steps": 1, "sampling_rate": 0.0005}, "↓ ε = 0"),
        ({}, "ε = 1.83"),
    ):
        picture.update(final(**values))
        assert picture.value.get_text() == said
    low, high = picture.ax.get_ylim()
    assert low <= picture.point.get_ydata()[0] <= high


def test_names_stand_in_the_order_of_their_lines():
    picture = experiment.Picture(Figure(figsize=experiment.Picture.size))
    found = final()
    picture.update(found)
    heights = {name: picture.names[name].xy[1] for name in found.curves}
    assert sorted(heights, key=heights.get) == sorted(found.curves, key=lambda name: found.curves[name][-1])


def test_what_is_known_is_drawn_once():
    settings = experiment.Settings.make(steps=321)
    list(experiment.run(settings))
    assert sum(result is not None for result in experiment.run(settings)) == 1
