"""The trade-off experiment: its settings, its numbers, and how it comes and goes."""

import math
import time
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import privlab
from privlab import accounting, consent, cores, datasets, dpsgd, models, uncertainty, workers
from privlab.columns import Column
from privlab.experiments import tradeoff
from privlab.experiments.tradeoff import Picture, Settings
from privlab.panel.figure import Canvas
from privlab.schema import Schema

GRID = accounting.EPSILON_GRID
SMALL = {"dataset": "german", "seeds": 2}

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def adult(in_this_process):
    return privlab.run("tradeoff", dataset="adult", models=("dp-sgd-logistic",), epsilon=0.5, seeds=4)


def small(**values):
    return privlab.run("tradeoff", **(SMALL | values))


# Settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epsilon": 0}, r"'epsilon' must be a number in \[0.01, 100\]. Got 0"),
        ({"epsilon": -1}, r"'epsilon' must be a number in \[0.01, 100\]. Got -1"),
        ({"epsilon": math.nan}, r"'epsilon' must be a number in \[0.01, 100\]. Got nan"),
        ({"epsilon": math.inf}, r"'epsilon' must be a number in \[0.01, 100\]. Got inf"),
        ({"clip_norm": 0}, r"'clip_norm' must be a number in \[0.01, 100\]. Got 0"),
        ({"clip_norm": math.inf}, r"'clip_norm' must be a number in \[0.01, 100\]. Got inf"),
        ({"sampling_rate": 0}, r"'sampling_rate' must be a number in \[1e-06, 1\]. Got 0"),
        ({"sampling_rate": 1.01}, r"'sampling_rate' must be a number in \[1e-06, 1\]. Got 1.01"),
        ({"delta": 0}, r"'delta' must be a number in \[1e-12, 0.1\]. Got 0"),
        ({"delta": 1 / 48_842}, r"'delta' must be in \(0, 1/n\) = \(0, 2.05e-05\) for 48,842"),
        ({"dataset": "german", "delta": 0.001}, r"'delta' must be in \(0, 1/n\) = \(0, 0.001\)"),
        ({"steps": 0}, r"'steps' must be a whole number in \[1, 20000\]. Got 0"),
        ({"seeds": 0}, r"'seeds' must be a whole number in \[1, 1000\]. Got 0"),
        ({"dataset": "titanic"}, "'dataset' must be among adult, credit, .*. Got 'titanic'"),
        ({"models": ("gpt",)}, "'models' must be among dp-sgd-logistic, .*. Got 'gpt'"),
        ({"models": "gpt"}, "'models' must be among dp-sgd-logistic, .*. Got 'gpt'"),
        ({"models": ()}, "'models' must be among dp-sgd-logistic, .*. Got none"),
        ({"models": ("dp-sgd-linear",)}, "'models' must fit the data: 'dp-sgd-linear' is for reg"),
        ({"dataset": "diabetes", "models": "dp-sgd-logistic"}, "'models' must fit the data"),
        ({"view": "time"}, "'view' must be among epsilon, clip_norm. Got 'time'"),
        ({"unit": "city"}, "'unit' must be among person, row. Got 'city'"),
        ({"noise_multiplier": 0}, r"'noise_multiplier' must be in \(0, inf\). Got 0"),
        ({"noise_multiplier": math.nan}, r"'noise_multiplier' must be in \(0, inf\). Got nan"),
        ({"noise_multiplier": 1, "epsilon": 1}, "'epsilon' and 'noise_multiplier' are two handles"),
    ],
)
def test_bad_values_are_clear_errors_before_work_starts(values, message, monkeypatch):
    monkeypatch.setattr(tradeoff, "run", None)
    with pytest.raises(ValueError, match=message):
        privlab.run("tradeoff", **values)


@pytest.mark.parametrize("values", [{"epsilon": "1"}, {"epsilon": True}, {"steps": None}])
def test_wrong_types_name_the_field(values):
    (name,) = values
    with pytest.raises(TypeError, match=f"^'{name}' must be a"):
        privlab.run("tradeoff", **values)


def test_a_table_given_as_data_set_is_refused_without_showing_it():
    frame = pd.DataFrame({"name": ["Zebulon-4711"]})
    with pytest.raises(TypeError, match=r"^'dataset' must be among .* Got DataFrame") as error:
        privlab.run("tradeoff", dataset=frame)
    assert "Zebulon" not in str(error.value)


def test_unknown_settings_are_refused():
    with pytest.raises(TypeError, match=r"Settings must be among epsilon, .*\. Got 'epsilno'"):
        privlab.run("tradeoff", epsilno=1.0)


def test_delta_just_below_one_in_n_is_allowed():
    assert Settings.make(delta=0.999 / 48_842).delta == 0.999 / 48_842


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5, 12.0])
def test_noise_and_epsilon_are_two_handles_on_one_thing(sigma):
    made = Settings.make(noise_multiplier=sigma)
    assert made.noise_multiplier == pytest.approx(sigma, rel=0.01)
    assert accounting.epsilon(noise_multiplier=sigma, **made.mechanism) == made.epsilon
    moved = Settings.make(Settings.make(clip_norm=3.0, steps=100), noise_multiplier=sigma)
    assert (moved.clip_norm, moved.steps) == (3.0, 100)
    assert moved.noise_multiplier == pytest.approx(sigma, rel=0.01)
    assert moved.epsilon > made.epsilon


@effort(max_examples=20, deadline=None)
@given(st.sampled_from(accounting.EPSILON_POSITIONS))
def test_noise_upholds_epsilon_there_and_back(epsilon):
    settings = Settings.make(epsilon=epsilon)
    sigma = settings.noise_multiplier
    again = Settings.make(noise_multiplier=sigma)
    assert 0.99 * epsilon <= again.epsilon <= epsilon


def test_labels_of_the_noise_handle_fall_as_epsilon_rises():
    handle = Settings.handles["noise_multiplier"]
    places = Settings.controls()["epsilon"].positions()
    read = np.asarray(handle.read(Settings(), places))
    assert (np.diff(read) < 0).all()
    exact = Settings.make(epsilon=places[60]).noise_multiplier
    assert read[60] == pytest.approx(exact, rel=0.01)
    other = Settings(steps=61)
    assert len(handle.read(other, [0.07, 1.0, 3.3])) == 0, "labels must not wait for the accountant"
    assert not any(tradeoff.calibrate(other, GRID.tolist()))
    read = np.asarray(handle.read(other, [0.07, 1.0, 3.3]))
    exact = accounting.noise_multipliers([0.07, 1.0, 3.3], **other.mechanism)
    np.testing.assert_allclose(read, exact, rtol=0.02)


@pytest.mark.parametrize(
    ("dataset", "chosen"),
    [
        ("adult", "dp-sgd-logistic"),
        ("digits", "dp-sgd-logistic"),
        ("rand", "dp-sgd-logistic"),
        ("diabetes", None),
    ],
)
def test_models_left_out_are_chosen_by_the_task(dataset, chosen):
    (name,) = Settings.make(dataset=dataset).models
    if chosen:
        assert name == chosen
    assert datasets.card(dataset).schema.task in models.CATALOGUE[name].tasks
    back = Settings.make(Settings.make(dataset=dataset), dataset="adult")
    assert "binary" in models.CATALOGUE[back.models[0]].tasks


def declared(rows, columns=("a", "b"), target="y", seed=0):
    """A table of one's own, and a schema that declares all of it."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, 2))
    label = np.where(X @ [3.0, -2.0] + rng.normal(0, 0.5, rows) > 0, "yes", "no")
    df = pd.DataFrame({columns[0]: X[:, 0], columns[1]: X[:, 1], target: label})
    numbers = tuple(Column(name, -1, 1) for name in columns)
    return df, Schema(numbers, Column(target, categories=("no", "yes")))


def own(name, rows=600, n=None, **kwargs):
    df, schema = declared(rows, **kwargs)
    return privlab.from_frame(df, target=schema.target.name, schema=schema, name=name, n=n or rows)


def test_a_data_set_object_is_accepted_and_delta_fits_its_size():
    many = own("tradeoff-many", n=3_000_000)
    settings = Settings.make(dataset=many)
    assert settings.dataset == "tradeoff-many"
    assert settings.delta == pytest.approx(1e-7)
    assert Settings.make(dataset=many, delta=2e-7).delta == 2e-7
    with pytest.raises(ValueError, match=r"'delta' must be in \(0, 1/n\) = \(0, 3.33e-07\)"):
        Settings.make(dataset=many, delta=1e-5)
    assert Settings.make(dataset="german").delta == 1e-5


@pytest.mark.parametrize("dataset", datasets.cards.SHIPPED)
def test_settings_of_every_data_set_survive_json_and_code(dataset):
    settings = Settings.make(dataset=dataset, epsilon=0.3, unit="row")
    assert Settings.from_json(settings.to_json()) == settings
    assert Settings.from_code(settings.code()) == settings


# Results


def test_the_table_has_a_row_for_every_trained_model(adult):
    frame = adult.frame()
    assert {"model", "epsilon", "clip_norm", "seed", "score"} <= set(frame.columns)
    assert len(frame) == 17 * 4
    assert set(frame["model"]) == {"dp-sgd-logistic"}
    assert set(frame["clip_norm"]) == {1.0}
    for seed in range(4):
        epsilons = frame.loc[frame["seed"] == seed, "epsilon"]
        np.testing.assert_array_equal(epsilons, np.sort(np.append(GRID, 0.5)))
    assert frame["score"].between(0.5, 0.9).all()
    assert adult.progress == 1.0


def test_an_epsilon_on_the_grid_is_not_trained_twice():
    frame = small(epsilon=float(GRID[5])).frame()
    assert len(frame) == 16 * 2
    np.testing.assert_array_equal(frame["epsilon"].unique(), GRID)


def test_noise_falls_with_epsilon_and_upholds_it(adult):
    assert (np.diff(adult.noise_multiplier) < 0).all()
    for k in (0, adult.held, 16):
        spent = accounting.epsilon(noise_multiplier=float(adult.noise_multiplier[k]), **adult.settings.mechanism)
        assert 0.99 * adult.x[k] <= spent <= adult.x[k]
    assert adult.x[adult.held] == 0.5


def test_scores_on_adult_are_those_of_a_careful_practitioner(adult):
    means = adult.frame().groupby("epsilon")["score"].mean()
    assert means[means.index >= 0.9].min() >= 0.83
    assert means.max() <= 0.86
    assert means.iloc[-1] > means.iloc[0] > adult.floor
    assert adult.floor == pytest.approx(0.764, abs=0.001)
    assert adult.ceilings["linear, no privacy"] == pytest.approx(0.848, abs=0.006)
    assert adult.ceilings["boosting, no privacy"] == pytest.approx(0.87, abs=0.01)


def test_the_point_that_is_held_keeps_its_losses(adult):
    for result in (adult, small(epsilon=float(GRID[5])), small(dataset="diabetes")):
        for curve in result.curves:
            score = models.score(result.dataset, curve.held)
            np.testing.assert_allclose(score, curve.scores[:, result.held], rtol=1e-5)


def test_the_same_seed_gives_the_same_table_and_another_seed_another():
    one = small()
    pd.testing.assert_frame_equal(one.frame(), small().frame())
    assert one.sentence == small().sentence
    other = small(seed=1)
    assert (other.frame()["epsilon"] == one.frame()["epsilon"]).all()
    assert not np.allclose(other.frame()["score"], one.frame()["score"])
    first = one.frame().query("seed == 0")["score"].to_numpy()
    second = one.frame().query("seed == 1")["score"].to_numpy()
    assert not np.allclose(first, second)


def test_more_seeds_keep_those_that_were_there():
    few, more = (small(seeds=seeds).frame() for seeds in (2, 4))
    pd.testing.assert_frame_equal(more[more["seed"] < 2].reset_index(drop=True), few)


def test_the_rest_of_the_curve_stays_while_epsilon_moves():
    one, other = (small(epsilon=epsilon).frame() for epsilon in (0.5, 0.7))
    one, other = (f[f["epsilon"].isin(GRID)]["score"].to_numpy() for f in (one, other))
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("dataset", datasets.cards.SHIPPED)
def test_every_data_set_runs_with_defaults(dataset):
    result = small(dataset=dataset)
    frame = result.frame()
    assert len(frame) == 17 * 2
    assert np.isfinite(frame["score"]).all()
    low, high = result.dataset.score_range
    best = frame.groupby("epsilon")["score"].mean().iloc[-1]
    assert result.floor < best <= max(result.ceilings.values()) + 0.05
    assert low <= best <= high
    assert set(result.ceilings) == {model.label for model in models.REFERENCES.values()}


@pytest.mark.parametrize("name", [m for m, one in models.CATALOGUE.items() if one.fit is None])
def test_every_batched_model_learns(name):
    dataset = "breast_cancer" if "binary" in models.CATALOGUE[name].tasks else "diabetes"
    result = small(dataset=dataset, models=name, epsilon=9.0, sampling_rate=0.2, steps=100)
    assert result.curves[0].estimate.mean[result.held] > result.floor + 0.05


def test_protecting_people_takes_more_noise_for_the_same_score_than_protecting_rows():
    people, rows = (small(dataset="rand", unit=unit, seeds=4) for unit in ("person", "row"))
    assert people.settings.n == 5912
    assert rows.settings.n == 20_190
    assert people.frame()["score"].mean() < rows.frame()["score"].mean()


def test_the_second_view_goes_along_the_clipping_norm():
    result = small(view="clip_norm", epsilon=0.73, clip_norm=1.7)
    frame = result.frame()
    assert len(frame) == 17 * 2
    assert set(frame["epsilon"]) == {0.73}
    expected = np.sort(np.append(np.geomspace(0.1, 10, 16), 1.7))
    np.testing.assert_allclose(frame["clip_norm"].unique(), expected)
    assert result.x[result.held] == 1.7
    assert set(frame["noise_multiplier"]) == {result.settings.noise_multiplier}
    assert "ε = 0.73" in result.sentence
    assert "C = 1.7" in result.sentence


@pytest.mark.parametrize("view", ["epsilon", "clip_norm"])
def test_what_is_trained_is_what_the_table_says(view, monkeypatch):
    plans, really = [], dpsgd.sweep

    def record(data, plan, seeds, score):
        plans.append(plan)
        return really(data, plan, seeds, score)

    monkeypatch.setattr(dpsgd, "sweep", record)
    frame = small(view=view, epsilon=0.73, clip_norm=1.7, sampling_rate=0.05, steps=70).frame()
    for plan in plans:
        assert (plan.sampling_rate, plan.steps) == (0.05, 70)
        trained = sorted(zip(plan.noise_multiplier, plan.clip_norm, strict=True))
        told = frame.loc[frame["seed"] == 0, ["noise_multiplier", "clip_norm"]]
        np.testing.assert_allclose(trained, sorted(told.to_numpy().tolist()), rtol=1e-6)


def test_the_clipping_norm_matters():
    one, other = (small(clip_norm=clip).frame()["score"] for clip in (0.1, 5.0))
    assert not np.allclose(one, other)


def test_the_sentence_names_its_settings_and_what_was_found(adult):
    text, e = adult.sentence, adult.curves[0].estimate
    sigma = adult.noise_multiplier[adult.held]
    mean, release = 100 * e.mean[adult.held], 100 * e.release[adult.held]
    off = 100 * uncertainty.split_error(adult.curves[0].held)
    for words in (
        "ε = 0.5 and clipping norm C = 1 ",
        f"σ = {sigma:.3g}",
        "DP-SGD logistic",
        f"right about {mean:.1f} % of unseen people",
        f"between {mean - release:.1f} % and {mean + release:.1f} %",
        f"±{off:.1f}",
        f"linear, no privacy {100 * adult.ceilings['linear, no privacy']:.1f} %",
        f"always the same answer {100 * adult.floor:.1f} %",
        "right at most 63 times in 100",
    ):
        assert words in text
    assert "C = 2.25" in small(clip_norm=2.25).sentence


def test_a_single_release_is_told_of_only_with_enough_trainings():
    for seeds in (2, 3):
        found = small(seeds=seeds)
        scores = 100 * found.curves[0].scores[:, found.held]
        words = f"its {seeds} trainings lie between {scores.min():.1f} % and {scores.max():.1f} %, too few to say where"
        assert words in found.sentence
        assert "release would fall between" not in found.sentence
        assert found.summary()["release low"].isna().all()
    assert "trainings lie" not in small(seeds=1).sentence
    enough = small(seeds=4)
    assert "; one release would fall between" in enough.sentence
    assert enough.summary()["release low"].notna().all()


def test_a_regression_is_told_in_explained_variation():
    result = small(dataset="diabetes", epsilon=10.0)
    mean = result.curves[0].estimate.mean[result.held]
    assert f"explains {mean:.2f} of the variation (R²)" in result.sentence
    assert "%" not in result.sentence
    losses, y = result.curves[0].held, result.dataset.evaluation[1]
    np.testing.assert_allclose(1 - losses.mean(axis=1) / np.var(y), result.curves[0].scores[:, -1])


def test_comparing_tells_whether_two_settings_differ():
    low, high = (small(epsilon=epsilon, seeds=12) for epsilon in (0.05, 10.0))
    assert "can be told apart" in tradeoff.compare(low, high)
    assert "(epsilon 0.05)" in tradeoff.compare(low, high)
    d = uncertainty.difference(low.curves[0].held, high.curves[0].held)
    assert d.mean > 0
    assert f"{100 * d.mean:+.2f}" in tradeoff.compare(low, high)
    assert "cannot be told apart" in tradeoff.compare(high, small(epsilon=9.9, seeds=12))
    assert "cannot be compared" in tradeoff.compare(low, small(dataset="breast_cancer"))
    alone = small(seeds=1)
    assert "cannot tell two settings apart" in tradeoff.compare(alone, alone)


def test_data_of_ones_own_with_markup_in_its_names(in_this_process):
    marked = own("tradeoff-own", columns=("<script>alert(1)</script>", "$\\frac{$"), target="<b>y")
    workers.use(None)  # with the worker processes that people have
    try:
        result = privlab.run("tradeoff", dataset=marked, epsilon=8.0, seeds=2, sampling_rate=0.2)
    finally:
        workers.use(in_this_process)
    assert len(result.frame()) == 17 * 2
    assert result.curves[0].estimate.mean[result.held] > result.floor + 0.1
    assert result.ceilings["linear, no privacy"] > 0.85
    figure = Figure(figsize=Picture.size)
    picture = Picture(figure)
    picture.update(result)
    for artist in picture.moving:
        artist.set_animated(False)
    FigureCanvasAgg(figure).draw()


# The picture


def snapshot(value):
    """Everything a result holds, arrays as bytes."""
    if is_dataclass(value):
        return tuple(snapshot(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(map(snapshot, value)) if isinstance(value, tuple) else value


def test_a_picture_never_changes_its_result_and_opens_no_figure(adult):
    import matplotlib.pyplot as plt

    before = snapshot(adult)
    picture = Picture(Figure(figsize=Picture.size))
    for result in (adult, small(), adult):
        picture.update(result)
    assert snapshot(adult) == before
    assert plt.get_fignums() == []


def test_the_picture_shows_the_means_and_the_point_that_is_held(adult):
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(adult)
    line = picture.lines["dp-sgd-logistic"].line
    np.testing.assert_allclose(line.get_xdata(), adult.x)
    mean = 100 * adult.curves[0].estimate.mean
    np.testing.assert_allclose(line.get_ydata(), mean)
    assert picture.point.get_xdata()[0] == 0.5
    assert picture.point.get_ydata()[0] == pytest.approx(mean[adult.held])
    assert picture.value.get_text() == f"{mean[adult.held]:.1f} %"


# How it comes and goes


class Never(Executor):
    """Takes fits and never does them."""

    def __init__(self):
        self.futures = []

    def submit(self, *args, **kwargs):
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def never(monkeypatch):
    executor = Never()
    monkeypatch.setattr(workers, "get", lambda: executor)
    monkeypatch.setattr(workers, "_remembered", {})
    return executor


def test_the_first_result_comes_early_with_at_least_32_models(adult):
    results = tradeoff.run(Settings.make(epsilon=0.6, seeds=200))
    before = time.perf_counter()
    first = next(result for result in results if result is not None)
    took = time.perf_counter() - before
    results.close()
    assert len(first.frame()) >= 32
    assert first.settings.epsilon == 0.6
    assert 0 < first.progress < 0.1
    assert took < 1.0


def test_results_only_get_better(never):
    results = []
    steps = tradeoff.run(Settings.make(dataset="adult", seeds=40))
    while not results or results[-1].progress < 1:
        item = next(steps)
        results += [] if item is None else [item]
        if never.futures:
            break
    steps.close()
    counts = [len(result.curves[0].scores) for result in results]
    assert counts == sorted(counts)
    assert len(counts) >= 2
    for result in results:
        seen = len(result.curves[0].scores)
        np.testing.assert_array_equal(result.curves[0].scores, results[-1].curves[0].scores[:seen])


def test_closing_early_stops_the_training(monkeypatch):
    running, started = [], []
    really = dpsgd.train_together

    def counted(*args):
        started.append(1)
        running.append(1)
        try:
            return really(*args)
        finally:
            running.pop()

    monkeypatch.setattr(dpsgd, "train_together", counted)
    gaps = []
    with closing(tradeoff.run(Settings.make(models="dp-sgd-mlp", seeds=1000, steps=2000))) as steps:
        while not running:
            next(steps)
        for _ in range(15):
            before = time.perf_counter()
            next(steps)
            gaps.append(time.perf_counter() - before)
        assert np.median(gaps) < 0.03
        assert running
    assert not running
    assert len(started) < 100
    assert cores.shared().users == 0


def test_closing_early_calls_off_the_slow_fits(never):
    steps = tradeoff.run(Settings.make(**SMALL))
    gaps = []
    while len(gaps) < 10:
        before = time.perf_counter()
        next(steps)
        gaps += [time.perf_counter() - before] if never.futures else []
    assert np.median(gaps) < 0.03
    assert not any(future.cancelled() for future in never.futures)
    steps.close()
    assert len(never.futures) == len(models.REFERENCES)
    assert all(future.cancelled() for future in never.futures)


def test_a_failing_fit_is_not_swallowed(never):
    steps = tradeoff.run(Settings.make(**SMALL))
    with pytest.raises(RuntimeError, match="a fit failed"):  # noqa: PT012
        while True:
            next(steps)
            for future in never.futures:
                if not future.done():
                    future.set_exception(RuntimeError("a fit failed"))


def test_fitted_models_are_fitted_once_for_every_point(monkeypatch):
    calls = []

    def fit(dataset, epsilon, delta, seed):
        calls.append((epsilon, delta, seed))
        right = dataset.evaluation[1].copy()
        right[int(10 * epsilon) + sum(seed) :] = 0
        return right

    fake = models.Model("fake", "Fake", models.CLASSIFY, "a promise", fit=fit)
    monkeypatch.setitem(models.CATALOGUE, "fake", fake)
    monkeypatch.setattr(workers, "_remembered", {})
    result = small(models=("dp-sgd-logistic", "fake"), epsilon=0.5)
    frame = result.frame()
    assert len(frame) == 2 * 17 * 2
    assert [curve.model for curve in result.curves] == ["dp-sgd-logistic", "fake"]
    points = np.append(GRID, 0.5)
    assert sorted(calls) == sorted((e, 1e-5, (0, seed)) for e in points for seed in range(2))
    one = frame.query("model == 'fake' and epsilon == 0.5 and seed == 1")["score"].item()
    right = fit(result.dataset, 0.5, 1e-5, (0, 1))
    assert one == np.mean(right == result.dataset.evaluation[1])
    calls.clear()
    again = small(models=("dp-sgd-logistic", "fake"), epsilon=0.5, clip_norm=2.0)
    assert calls == []
    assert (
        again.frame().query("model == 'fake'")["score"].to_numpy() == frame.query("model == 'fake'")["score"].to_numpy()
    ).all()
    with pytest.raises(ValueError, match="'view' must be 'epsilon' for models that have no clip"):
        Settings.make(dataset="german", models="fake", view="clip_norm")


def test_idle_moments_calibrate_the_slider(monkeypatch):
    asked = []
    monkeypatch.setattr(accounting, "noise_multiplier", lambda **given: asked.append(given))
    monkeypatch.setattr(tradeoff, "_calibrated", {})
    gaps, before = [], time.perf_counter()
    for _ in tradeoff.calibrate_slider(Settings.make(epsilon=2.0, steps=61)):
        gaps.append(time.perf_counter() - before)
        before = time.perf_counter()
    epsilons = [given["epsilon"] for given in asked]
    assert sorted(epsilons) == sorted(accounting.EPSILON_POSITIONS)
    assert abs(math.log(epsilons[0] / 2)) < 0.05
    assert max(gaps) < 0.5
    asked.clear()
    list(tradeoff.calibrate_slider(Settings()))
    assert asked == [], "what is shipped need not be computed"


@pytest.fixture
def trained(monkeypatch):
    """The seeds that are trained, a list for each training; nothing was trained ahead."""
    asked, sweep = [], dpsgd.sweep
    tradeoff._ahead.cache_clear()
    monkeypatch.setattr(
        dpsgd, "sweep", lambda data, plan, seeds, score: asked.append(list(seeds)) or sweep(data, plan, seeds, score)
    )
    return asked


def first(settings):
    with closing(tradeoff.run(settings)) as results:
        return next(one for one in results if one)


@pytest.mark.parametrize("view", ["epsilon", "clip_norm"])
@pytest.mark.parametrize(("name", "way"), [("epsilon", 1), ("epsilon", -1), ("clip_norm", 1), ("clip_norm", -1)])
def test_what_was_trained_ahead_is_what_the_press_would_train(trained, name, way, view):
    settings = Settings.make(**SMALL, view=view, epsilon=1.0, clip_norm=1.0)
    places = Settings.controls()[name].positions()
    moved = Settings.make(settings, **{name: places[places.index(1.0) + way]}, seeds=3)
    fresh = first(moved)
    assert len(trained) == 1
    list(tradeoff.prepare(settings))
    trained.clear()
    ahead = first(moved)
    assert trained == []
    assert ahead.count == fresh.count >= 32
    np.testing.assert_array_equal(ahead.curves[0].scores, fresh.curves[0].scores)
    np.testing.assert_array_equal(ahead.curves[0].held, fresh.curves[0].held)
    *_, last = tradeoff.run(moved)
    assert trained == [[(0, 2)]], "the other trainings are made now"
    assert last.count == 3 * len(last.x)


@pytest.mark.parametrize(
    "other",
    [
        {"steps": 61},
        {"seed": 1},
        {"sampling_rate": 0.7},
        {"delta": 1e-4},
        {"clip_norm": 2.0},
        {"seeds": 1},
        {"view": "clip_norm"},
    ],
)
def test_nothing_else_was_trained_ahead(trained, other):
    settings = Settings.make(**SMALL)
    list(tradeoff.prepare(settings))
    trained.clear()
    places = Settings.controls()["epsilon"].positions()
    first(Settings.make(settings, epsilon=places[places.index(1.0) + 1], **other))
    assert len(trained) == 1


def test_what_was_trained_ahead_on_people_taken_out_is_gone(trained):
    settings = Settings.make(**SMALL)
    under_way = tradeoff.prepare(settings)
    while len(trained) < 2:
        next(under_way)
    assert len(tradeoff._ahead()) == 1
    consent.forget(datasets.load(settings.dataset))
    assert not tradeoff._ahead()
    list(under_way)
    trained.clear()
    places = Settings.controls()["epsilon"].positions()
    for way in (-1, 1):  # the second was still being trained
        first(Settings.make(settings, epsilon=places[places.index(1.0) + way]))
    assert len(trained) == 2


def test_only_what_takes_a_moment_is_trained_ahead(trained):
    list(tradeoff.prepare(Settings.make(**SMALL, models=("dp-sgd-mlp", "dp-sgd-logistic", "diffprivlib-logistic"))))
    assert len(trained) == 4
    assert {one.models[0] for _, one in tradeoff._ahead()} == {"dp-sgd-logistic"}


@pytest.mark.parametrize("view", ["epsilon", "clip_norm"])
def test_the_longest_title_fits(view):
    found = first(Settings.make(dataset="rand", view=view, seeds=2))
    canvas = Canvas(tradeoff.Picture)
    canvas.draw(found)
    title = canvas.picture.title
    assert "RAND health insurance" in title.get_text()
    assert title.get_window_extent(canvas.agg.get_renderer()).x1 < canvas.size[0]
