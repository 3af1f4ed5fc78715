"""Collecting less: what is dropped is gone, what is kept is told as coarsely as said, and the order is a good one."""

import pickle

import numpy as np
import pandas as pd
import pytest

from privlab import anonymity, datasets, dpsgd, minimise, models


@pytest.fixture(scope="module")
def adult():
    return datasets.load("adult")


@pytest.mark.parametrize("name", sorted(anonymity.KNOWN))
def test_features_come_apart_as_they_were_put_together(name):
    data = datasets.load(name)
    parts = minimise.encoded(data, data.X_test)
    raw = data.raw.iloc[np.flatnonzero(data.is_test)]
    if data.card.person is not None:
        assert (raw[data.card.person].diff() != 0).any()
    for column in data.schema.columns:
        np.testing.assert_array_equal(parts[column.name], column.encode(raw[column.name]))


def test_the_order_begins_with_the_most_useful_and_holds_every_column(adult):
    order = minimise.order(adult)
    assert sorted(order) == sorted(column.name for column in adult.schema.columns)

    def unexplained(columns):
        X = np.column_stack([np.ones(8000), minimise.features(adult, adult.X_train[:8000], columns, 0)])
        fitted, *_ = np.linalg.lstsq(X, adult.y_train[:8000], rcond=None)
        return np.mean((adult.y_train[:8000] - X @ fitted) ** 2)

    first = [unexplained(order[:m]) for m in (1, 2, 4)]
    assert first == sorted(first, reverse=True)
    assert unexplained(order[-4:]) > first[1], "the last four are worth less than the first two"


def test_several_classes_have_an_order_too():
    digits = datasets.load("digits")
    assert len(minimise.order(digits)) == len(digits.schema.columns)


@pytest.mark.parametrize("name", ["adult", "german"])
def test_within_a_budget_columns_are_dropped_and_coarsened(name):
    data = datasets.load(name)

    def right(columns):
        X = np.column_stack([np.ones(len(data.X_train)), minimise.features(data, data.X_train, columns)])
        gram = X.T @ X + minimise.RIDGE * len(X) * np.eye(X.shape[1])
        return 100 * np.mean((X @ np.linalg.solve(gram, X.T @ (2.0 * data.y_train - 1)) > 0) == data.y_train)

    whole = right([column.name for column in data.schema.columns])
    widths = []
    for budget in (0, 1, 3):
        levels = minimise.within(data, budget)
        assert right(levels) >= whole - budget - 0.02
        widths.append(minimise.features(data, data.X_test, levels).shape[1])
        less = minimise.minimise(data, levels, name=f"{name}-within-{budget}")
        X, _ = less.schema.encode(less.raw)
        np.testing.assert_allclose(X[less.is_test], less.X_test, atol=1e-6)
        assert set(less.raw.columns) == {*levels, data.schema.target.name}
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0]
    steps = [minimise._step(levels, one) for one in levels]
    assert min(whole - right(one) for one in steps) > 0, "a budget is used up: what is left matters"


def test_a_budget_needs_two_classes():
    for name, budget in (("digits", 1), ("adult", -1), ("adult", 100)):
        with pytest.raises(ValueError, match="'dataset' must have two classes, and 'budget' be in"):
            minimise.within(datasets.load(name), budget)


def test_a_smaller_set_holds_nothing_else(adult):
    kept = ("age", "occupation", "capital-gain")
    less = minimise.minimise(adult, kept, 2)
    assert list(less.raw.columns) == [*(c.name for c in adult.schema.columns if c.name in kept), "income"]
    assert [column.name for column in less.schema.columns] == ["age", "occupation", "capital-gain"]
    assert less.X_train.shape == (len(adult.X_train), 1 + 4 + 1)
    assert less.sensitive == ("age",)
    assert set(np.unique(less.raw["age"])) == {18.5, 25, 35, 45, 55, 65, 75, 85}
    assert less.raw["occupation"].nunique() == 4
    X, y = less.schema.encode(less.raw)
    np.testing.assert_allclose(X[~less.is_test], less.X_train, atol=1e-6)
    np.testing.assert_array_equal(y[less.is_test], less.y_test)
    assert b"Never-married" in pickle.dumps(adult.raw)
    assert b"Never-married" not in pickle.dumps((less.card, less.raw, less.X_train))


def test_a_level_of_zero_changes_no_entry(adult):
    less = minimise.minimise(adult, ["sex", "age"], name="two")
    pd.testing.assert_frame_equal(less.raw, adult.raw[["age", "sex", "income"]], check_categorical=False)
    assert less.name == "two"
    assert less.card.file is None


def test_people_with_several_rows_stay_together():
    rand = datasets.load("rand")
    less = minimise.minimise(rand, ["disea", "female"], 1)
    assert list(less.raw.columns) == ["female", "disea", "visits", "person"]
    np.testing.assert_array_equal(less.people_train, rand.people_train)
    np.testing.assert_array_equal(less.train_rows, rand.train_rows)


def test_a_smaller_set_is_found_by_name_and_trained_on():
    german = datasets.load("german")
    less = datasets.register(minimise.minimise(german, minimise.order(german)[:3], 1, name="german-of-three"))
    assert datasets.load("german-of-three") is less
    data = dpsgd.prepare(less)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(data, np.zeros(1), np.ones(1), 0.67, 60)
    found = dpsgd.train(data, plan, (0,))
    accuracy = models.score(less, models.batched_losses(less, found.decision(less.evaluation[0])))
    assert 0.7 < accuracy[0] < 0.8


@pytest.mark.parametrize("columns", [[], ["no such"], ["age", "age"]])
def test_columns_are_checked(adult, columns):
    with pytest.raises(ValueError, match="'columns' must "):
        minimise.minimise(adult, columns)


def test_a_level_that_leaves_nothing_is_refused(adult):
    with pytest.raises(ValueError, match="'level' must leave something of at least one of the columns"):
        minimise.minimise(adult, ["race"], 3)
    assert not minimise.features(adult, adult.X_test, ["race"], 3).any()


def test_old_rows_go_by_the_sets_own_clock():
    rand = datasets.load("rand")
    years = rand.raw["year"].to_numpy()[rand.train_rows]
    for keep in range(1, 6):
        np.testing.assert_array_equal(minimise.young(rand, rand.X_train, keep), years > 5 - keep)
    with pytest.raises(ValueError, match=r"'years' must be a whole number in \[1, 5\]. Got 6."):
        minimise.young(rand, rand.X_train, 6)
    with pytest.raises(ValueError, match=r"'dataset' must tell how old its rows are: rand. Got 'adult'"):
        minimise.young(datasets.load("adult"), datasets.load("adult").X_train, 2)


def test_one_row_each_takes_everybody_once():
    people = np.array([0, 0, 1, 2, 2, 2])
    np.testing.assert_array_equal(minimise.one_row_each(people, 6), [1, 2, 5])
    np.testing.assert_array_equal(minimise.one_row_each(None, 3), [0, 1, 2])
