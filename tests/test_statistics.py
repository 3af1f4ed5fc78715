"""A private statistic: its noise upholds ε, its error is what the formulas say, its best bound is the best."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import datasets
from privlab.experiments import _statistics_data as data
from privlab.experiments import _statistics_release as release
from privlab.experiments import statistics
from privlab.experiments._statistics_result import Curve
from privlab.experiments.statistics import Picture

GERMAN = datasets.load("german").raw["credit_amount"].to_numpy(float)


def chain(lower, upper):
    import opendp.prelude as dp

    dp.enable_features("contrib")
    table = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.symmetric_distance()
    return table >> dp.t.then_clamp((lower, upper)) >> dp.t.then_sum()


def test_clamped_sums_are_those_of_the_clipped_column():
    rows = data.rows("german", "credit_amount", 5)
    assert rows.step == 1
    for lower, upper in ((0, 20000), (0, 2000), (1500, 4000), (3000, 3000)):
        assert rows.clamped_sum(lower, upper) == np.clip(GERMAN, lower, upper).sum()
    assert rows.counted(4000) == (GERMAN <= 4000).sum()


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_no_person_keeps_more_rows_than_allowed(kept):
    raw = datasets.load("rand").raw
    first = raw.groupby("person", sort=False).head(kept)["income"].to_numpy(float)
    rows = data.rows("rand", "income", kept)
    assert len(rows.values) == len(first)
    assert rows.totals[-1] * rows.step == pytest.approx(first.sum(), rel=1e-4)


@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
@pytest.mark.parametrize("kept", [1, 5])
def test_opendp_reckons_the_epsilon_that_is_shown_and_hardly_less(mechanism, kept):
    import opendp.prelude as dp

    epsilon, delta = 0.7, 1e-6
    noise = release.scale(mechanism, epsilon, delta, kept * 8000)
    if mechanism == "laplace":
        spent = (chain(0, 8000) >> dp.m.then_laplace(noise)).map(kept)
        assert noise == pytest.approx(kept * 8000 / epsilon)
    else:
        made = dp.c.make_zCDP_to_approxDP(chain(0, 8000) >> dp.m.then_gaussian(noise))
        spent = dp.c.make_fix_delta(made, delta).map(kept)[0]
    assert 0.999 * epsilon < spent <= epsilon
    release.check_sum(mechanism, epsilon, delta, 0, 8000, kept, noise)
    with pytest.raises(ValueError, match="'epsilon' must cover the release"):
        release.check_sum(mechanism, epsilon, delta, 0, 8000, kept, 0.99 * noise)


@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
@pytest.mark.parametrize(("statistic", "upper"), [("sum", 100), ("sum", 20), ("mean", 40), ("count", 20)])
def test_bias_and_noise_are_the_whole_error(mechanism, statistic, upper):
    result = privlab.run("statistics", statistic=statistic, upper=upper, mechanism=mechanism, releases=4000)
    squares = (result.released - result.truths) ** 2
    bias, noise = result.parts
    assert abs(squares.mean() - (bias**2 + noise**2)) < 4.5 * squares.std() / math.sqrt(len(squares))
    clipped = np.clip(GERMAN, 0, 200 * upper)
    truth = {"sum": GERMAN.sum(), "mean": GERMAN.mean(), "count": np.count_nonzero(GERMAN - 200 * upper <= 0)}[
        statistic
    ]
    meant = {"sum": clipped.sum(), "mean": clipped.mean(), "count": truth}[statistic]
    assert float(result.truths) == pytest.approx(truth)
    assert bias == pytest.approx(meant - truth)
    assert abs(np.median(result.released) - meant) < 4 * noise / math.sqrt(len(squares)) * 1.3
    if mechanism == "laplace" and statistic != "mean":
        assert noise == pytest.approx(math.sqrt(2) * (200 * upper if statistic == "sum" else 1) / 0.1)


@pytest.mark.parametrize("statistic", ["sum", "mean", "count"])
@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
def test_95_in_100_releases_are_as_close_as_told(statistic, mechanism):
    import opendp.prelude as dp

    result = privlab.run("statistics", statistic=statistic, mechanism=mechanism, upper=50, releases=4000)
    c = result.curve
    half = c.half[c.held]
    inside = np.mean(np.abs(result.released - c.expected[c.held]) <= half)
    assert abs(inside - 0.95) < 4.5 * math.sqrt(0.95 * 0.05 / 4000)
    accuracy = dp.discrete_laplacian_scale_to_accuracy if mechanism == "laplace" else dp.gaussian_scale_to_accuracy
    if statistic != "mean":
        told = accuracy(float(c.noise_sum[c.held]) if statistic == "sum" else c.noise_count, 0.05)
        assert half == pytest.approx(told, rel=0.03)


@pytest.mark.parametrize("epsilon", [0.02, 0.1, 1])
@pytest.mark.parametrize(
    ("dataset", "column"), [("german", "credit_amount"), ("adult", "capital-gain"), ("rand", "income")]
)
@pytest.mark.parametrize("statistic", ["sum", "mean"])
def test_the_best_bound_is_within_5_percent_of_the_best_of_all(dataset, column, epsilon, statistic):
    s = statistics.Settings.make(dataset=dataset, column=column, epsilon=epsilon, statistic=statistic)
    c = Curve.make(s, data.rows(dataset, column, s.kept))
    card = datasets.card(dataset)
    raw = np.sort(datasets.load(dataset).raw[column].to_numpy(float))
    one = next(found for found in card.schema.columns if found.name == column)
    bounds = np.linspace(one.low + (one.high - one.low) / 100, one.high, 3000)
    at = np.searchsorted(raw, bounds, "right")
    sums = np.append(0, np.cumsum(raw))[at] + bounds * (len(raw) - at)
    share, n = (2, len(raw)) if statistic == "mean" else (1, 1)
    of_sum = math.sqrt(2) * share * s.kept * bounds / epsilon / n
    of_count = math.sqrt(2) * share * s.kept / epsilon * sums / n**2 if statistic == "mean" else 0
    error = np.sqrt(((sums - raw.sum()) / n) ** 2 + of_sum**2 + of_count**2)
    assert c.error[c.best] <= 1.05 * error.min()
    assert c.error[c.best] >= 0.98 * error.min()


def test_private_quantiles_are_opendps_own():
    import opendp.prelude as dp

    dp.enable_features("contrib")
    candidates, epsilon = (2000, 2300, 2600), 0.02
    table = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.symmetric_distance()
    whole = dp.m.make_private_quantile(*table, dp.max_divergence(), list(candidates), 0.5, 1 / epsilon)
    assert whole.map(1) == pytest.approx(epsilon)
    values = data.rows("german", "credit_amount", 1).values
    own = np.bincount(release.quantiles("german", "credit_amount", 1, candidates, 0.5, epsilon, 2000), minlength=3)
    theirs = np.bincount([candidates.index(whole(values)) for _ in range(2000)], minlength=3)
    assert (np.abs(own - theirs) < 4.5 * np.sqrt(own + theirs + 1)).all()
    assert own.min() > 20


def test_a_median_lies_near_the_middle_and_a_histogram_near_its_bars():
    median = privlab.run("statistics", statistic="quantile", epsilon=1, releases=80)
    assert float(median.truths) == np.quantile(GERMAN, 0.5, method="inverted_cdf")
    assert abs(np.median(median.released) - median.truths) <= 200
    bars = privlab.run("statistics", statistic="histogram", epsilon=1, releases=100)
    assert bars.truths.tolist() == np.histogram(GERMAN, np.linspace(0, 20000, 11))[0].tolist()
    assert bars.released.shape == (100, 10)
    assert np.std(bars.released - bars.truths) == pytest.approx(math.sqrt(2), rel=0.15)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"column": "hours-per-week"}, "'column' must be among duration, credit_amount"),
        ({"mechanism": "gaussian", "delta": 0.01}, "'delta' must be in"),
        ({"statistic": "count", "view": "errors"}, "'view' must be 'releases'"),
        ({"statistic": "quantile", "mechanism": "gaussian"}, "'mechanism' must be 'laplace'"),
    ],
)
def test_what_does_not_fit_together_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        privlab.run("statistics", **values)


def test_the_first_result_holds_200_releases_or_40_quantiles():
    for statistic, least in (("mean", 200), ("quantile", 40)):
        first = next(one for one in statistics.run(statistics.Settings(statistic=statistic)) if one is not None)
        assert first.count >= least


def test_what_other_people_would_move_is_drawn_and_said():
    result = privlab.run("statistics", statistic="mean", view="errors")
    values = GERMAN
    spread = values.std() / len(values) ** 0.5
    assert result.curve.sampling == pytest.approx(spread, rel=0.01)
    assert f"would move the truth itself by about {spread:.3g}." in result.sentence
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(result)
    assert picture.people.get_visible()
    assert picture.people.get_ydata()[0] == pytest.approx(100 * spread / values.mean(), rel=0.01)
    picture.update(privlab.run("statistics", statistic="mean"))
    assert not picture.people.get_visible()


def test_the_name_of_the_noise_is_beside_its_line():
    picture = Picture(Figure(figsize=Picture.size))
    for epsilon in (0.1, 100):
        picture.update(privlab.run("statistics", statistic="mean", view="errors", epsilon=epsilon))
        (name,) = [one for one in picture.names if one.get_visible() and one.get_text() == "noise"]
        x, y = name.get_position()
        near = np.interp(np.log(x), np.log(picture.line.get_xdata()), np.log(picture.line.get_ydata()))
        assert abs(near - np.log(y)) < 0.5
        assert y > picture.ax.get_ylim()[0]


def test_a_column_is_called_in_words():
    found = privlab.run("statistics", dataset="rand", column="xghindx", releases=40)
    assert "mean of general health index (RAND" in found.sentence
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(found)
    assert picture.key.get_text().startswith("general health index, RAND")
    words = statistics.Settings.controls()["column"].words
    assert words("xghindx") == "general health index"  # a name that no other table has
