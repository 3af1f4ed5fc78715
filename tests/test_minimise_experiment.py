"""The experiment on collecting less: numbers by a plain count, only kept columns in training, ε upheld."""

import collections

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, anonymity, consent, datasets, dpsgd, minimise, models
from privlab.experiments import _minimise_work as work
from privlab.experiments import minimise as experiment
from privlab.experiments.minimise import Picture, Settings


@pytest.fixture(scope="module")
def german():
    return datasets.load("german")


@pytest.fixture(scope="module")
def found():
    return privlab.run("minimise", dataset="german", columns=14, coarseness=1, seeds=2)


def test_accuracies_are_those_of_a_table_without_the_other_columns(german, found):
    less = minimise.minimise(german, found.kept, 1)
    data, rate = dpsgd.prepare(less), dpsgd.usual_rate(german.n_train)
    sigma = accounting.noise_multiplier(epsilon=1, sampling_rate=rate, steps=work.STEPS, delta=work.DELTA)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(data, np.array([sigma, 0]), np.ones(2), rate, work.STEPS)
    for number in range(2):
        weights = dpsgd.train(data, plan, (0, number))
        right = models.score(less, models.batched_losses(less, weights.decision(less.evaluation[0])))
        np.testing.assert_allclose(found.scores[number, :, 13], right, atol=1e-6)


def test_epsilon_is_upheld_and_nobody_counts_without_clipping(monkeypatch):
    plans, sweep = [], dpsgd.sweep

    def record(data, plan, *rest):
        plans.append((data, plan))
        return sweep(data, plan, *rest)

    monkeypatch.setattr(dpsgd, "sweep", record)
    work.remembered.cache_clear()
    privlab.run("minimise", dataset="german", epsilon=0.5, seeds=2)
    assert len(plans) == 20
    for data, plan in plans:
        spent = accounting.epsilon(
            noise_multiplier=float(plan.noise_multiplier[0]), sampling_rate=plan.sampling_rate, steps=plan.steps,
            delta=work.DELTA,
        )  # fmt: skip
        assert spent <= 0.5 * (1 + 1e-6)
        assert spent > 0.49
        assert plan.noise_multiplier[1] == 0
        assert (plan.clip_norm == 1).all()
        assert data.units == 750
    plans.clear()
    for move in ({"columns": 3}, {"k": 9}, {"budget": 4}):
        privlab.run("minimise", dataset="german", epsilon=0.5, seeds=2, **move)
    assert not plans, "these sliders move only what is looked at"


def test_two_panels_of_the_same_settings_do_not_disturb_each_other():
    work.remembered.cache_clear()
    settings = Settings.make(dataset="german", seeds=4)
    first = experiment.run(settings)
    begun = next(result for result in first if result is not None)
    assert begun.progress == 0.5
    whole = privlab.run("minimise", **settings.as_dict())
    *_, last = (result for result in first if result is not None)
    np.testing.assert_array_equal(last.scores, whole.scores)


def test_forgetting_leads_to_the_same_numbers(found):
    consent.forget(datasets.load("adult"))
    work.remembered.cache_clear()
    again = privlab.run("minimise", **found.settings.as_dict())
    np.testing.assert_array_equal(again.scores, found.scores)


@pytest.mark.parametrize("m", [1, 12, 15, 20])
def test_what_an_outsider_finds_is_a_plain_count(german, found, m):
    known = [name for name in found.order[:m] if name in anonymity.KNOWN["german"]]
    raw = {part: german.raw[german.is_test == (part == "test")] for part in ("train", "test")}

    def key(row):
        out = []
        for name in known:
            column = next(one for one in german.schema.columns if one.name == name)
            if column.kind == "number":
                out.append(sum(row[name] >= cut for cut in anonymity.edges(column, 1)))
            else:
                out.append(row[name])
        return tuple(out)

    groups = collections.defaultdict(list)
    for _, row in raw["train"].iterrows():
        groups[key(row)].append(row["credit"])
    n = len(raw["train"])
    of = found.linked
    assert of.found.mean[m - 1] == pytest.approx(len(groups) / n)
    assert of.unique.mean[m - 1] == pytest.approx(sum(len(one) == 1 for one in groups.values()) / n)
    own = sum(max(collections.Counter(one).values()) for one in groups.values()) / n
    assert of.own.mean[m - 1] == pytest.approx(own)
    assert of.small(5)[m - 1] == pytest.approx(sum(len(one) for one in groups.values() if len(one) < 5) / n)

    def guess(row):
        count = collections.Counter(groups.get(key(row), ["good"]))
        return "good" if count["good"] >= count["bad"] else "bad"

    strangers = np.mean([guess(row) == row["credit"] for _, row in raw["test"].iterrows()])
    assert of.others.mean[m - 1] == pytest.approx(strangers)


def test_more_columns_never_hide_anybody(found):
    assert (np.diff(found.linked.found.mean) >= -1e-12).all()
    assert (np.diff(found.linked.own.mean) >= -1e-12).all()
    for band in (found.linked.found, found.linked.own, found.linked.others, *found.above.values()):
        assert (band.low <= band.mean).all()
        assert (band.mean <= band.high).all()
        assert (band.high > band.low).all(), "nothing is without its interval"


def test_the_budget_finds_the_fewest_columns(found):
    mean = 100 * found.scores[:, 0].mean(axis=0)
    for budget in (0, 1, 3, 50):
        fewest = privlab.run("minimise", **(found.settings.as_dict() | {"budget": budget})).fewest
        assert mean[fewest - 1] >= mean[-1] - budget - 1e-9
        assert (mean[: fewest - 1] < mean[-1] - budget).all()
    assert fewest == 1


@pytest.mark.parametrize(("secret", "column"), [("answer", "income"), ("other", "occupation")])
def test_groups_of_k_are_those_of_the_table(secret, column):
    data = datasets.load("adult")
    result = privlab.run("minimise", view="groups", columns=11, coarseness=2, secret=secret, k=7)
    left = result.left
    assert left.secret == column
    less = minimise.minimise(data, [name for name in anonymity.KNOWN["adult"] if name != column], 2)
    table = less.raw[~less.is_test].assign(secret=data.raw[column][~data.is_test].astype(str))
    known = [name for name in less.raw.columns if name not in ("secret", "income")]
    told = table.groupby(known, observed=True)["secret"].agg(["size", "nunique"])
    for place, k in enumerate(left.ks):
        stay = told[told["size"] >= k]
        rows = stay["size"].sum()
        assert left.gone.mean[place] == pytest.approx(1 - rows / len(table))
        assert left.certain.mean[place] == pytest.approx(stay["size"][stay["nunique"] == 1].sum() / rows)
        assert left.nearly.mean[place] == pytest.approx(stay["size"][stay["nunique"] <= 2].sum() / rows)
        assert left.groups[place].distinct == stay["nunique"].min()
        assert left.groups[place].k == stay["size"].min()
    assert 7 in left.ks
    assert "l = 1" in result.sentence


def test_rows_go_by_age_and_no_person_is_counted_twice():
    rand = datasets.load("rand")
    result = privlab.run("minimise", dataset="rand", view="age", years=2, seeds=2, columns=3)
    raw = rand.raw.iloc[rand.train_rows]
    for years, people, rows in zip(result.x, *(band.mean for band in result.below.values()), strict=True):
        stay = raw[raw["year"] > 5 - years]
        assert rows == pytest.approx(len(stay) / len(raw))
        assert people == pytest.approx(stay["person"].nunique() / rand.n_train)
    train, _ = work.layout(rand, (result.kept, 0, 2))
    assert train.units == len(train.rows) == raw[raw["year"] > 3]["person"].nunique()
    assert train.X.shape == (len(raw[raw["year"] > 3]) + 1, 3 + 1)
    linked = work.linked(rand, result.order, 0)
    assert linked.sizes[-1].sum() == rand.n_train, "each person once"


def test_settings_that_fit_no_data_are_refused_or_led_back():
    with pytest.raises(ValueError, match=r"'columns' must be at most 11, the columns of 'adult'\. Got 12\."):
        Settings(columns=12)
    with pytest.raises(ValueError, match="'view' must be 'columns' or 'groups' for 'adult': its rows have no age"):
        Settings(view="age")
    wide = Settings.make(dataset="rand", view="age", columns=19)
    back = Settings.make(wide, dataset="adult")
    assert (back.columns, back.view) == (11, "columns")
    assert Settings.make(dataset="german").columns == 8


def test_a_group_of_nobody_is_told_in_words():
    result = privlab.run("minimise", view="groups", dataset="german", columns=20, k=1000)
    assert result.sentence.endswith("100.0 % of the people in German credit are left out: nobody remains.")
    assert not result.frame().isna().any().any()
    Picture(Figure(figsize=Picture.size)).update(result)


def test_the_picture_shows_the_numbers(found):
    picture = Picture(Figure(figsize=Picture.size))
    assert picture.update(found)
    model = picture.lines[0]["private"].line.get_ydata()
    np.testing.assert_allclose(model, 100 * found.scores[:, 0].mean(axis=0))
    np.testing.assert_allclose(picture.lines[1]["record found"].line.get_ydata(), 100 * found.linked.found.mean)
    assert picture.hairs[0].get_xdata()[0] == 14
    assert picture.limit.get_ydata()[0] == pytest.approx(model[-1] - 1)
    shown = [line.name.xy[1] for line in picture.lines[1].values() if line.name.get_visible()]
    assert min(np.diff(sorted(shown))) > 0.1, "no name over another"
    assert not picture.update(found), "the background stays while nothing but lines moves"
    groups = privlab.run("minimise", view="groups", dataset="german")
    assert picture.update(groups)
    assert not picture.lines[0]["private"].line.get_visible()
    assert picture.lines[0]["left out"].line.get_visible()
    assert "l = " in picture.note.get_text()


def test_every_view_of_every_set_is_offered_and_runs():
    for name in anonymity.KNOWN:
        width = len(datasets.card(name).schema.columns)
        assert work.OTHER[name][0] in [column.name for column in datasets.card(name).schema.columns]
        result = privlab.run("minimise", dataset=name, view="groups", secret="other", columns=width)
        assert result.sentence
        views = [view for view in experiment.VIEWS if Settings.controls()["view"].offered(result.settings, view)]
        assert ("age" in views) == (name == "rand")
