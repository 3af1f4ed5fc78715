"""Data sets, their cards, and the encoder that never learns from rows."""

import gzip
import hashlib
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privlab import cards, datasets
from privlab.columns import Column
from privlab.datasets import PrivacyLeakWarning, Schema, card, from_frame, load
from privlab.experiments import _choices

SECRET = "Zebulon-4711"

# name: rows, units, training units, training rows, features, task
SIZES = {
    "adult": (48_842, 48_842, 32_561, 32_561, 49, "binary"),
    "credit": (30_000, 30_000, 22_500, 22_500, 42, "binary"),
    "german": (1_000, 1_000, 750, 750, 63, "binary"),
    "rand": (20_190, 5_912, 4_434, 15_079, 31, "binary"),
    "votes": (944, 944, 708, 708, 14, "binary"),
    "breast_cancer": (569, 569, 427, 427, 30, "binary"),
    "digits": (1_797, 1_797, 1_348, 1_348, 64, "multiclass"),
    "diabetes": (442, 442, 332, 332, 11, "regression"),
}


@pytest.fixture(autouse=True)
def own_sets(monkeypatch):
    """Every test starts with no data set of its own."""
    monkeypatch.setattr(datasets, "_own", {})


def people(rows=40):
    """Return a table with a number, a category, a person and both kinds of target."""
    i = np.arange(rows)
    return pd.DataFrame(
        {
            "age": 20.0 + i % 50,
            "sex": np.where(i % 2, "Female", "Male"),
            "name": [f"{SECRET}-{k // 2}" for k in i],
            "label": np.where(i % 3, "no", "yes"),
            "income": 1000.0 * (i % 37),
        }
    )


def declared(**changed):
    columns = {
        "age": Column("age", 0, 100),
        "sex": Column("sex", categories=("Female", "Male")),
    } | changed
    return Schema(tuple(columns.values()), Column("label", categories=("no", "yes")))


# Shipped sets


def test_names_are_the_cards_in_the_folder():
    assert datasets.names() == tuple(SIZES)
    assert {path.stem for path in cards.folder().glob("*.toml")} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_shape_and_counts(name):
    rows, n, n_train, train_rows, d, task = SIZES[name]
    data = load(name)
    assert (data.n, data.n_train, data.n_train_rows) == (n, n_train, train_rows)
    assert data.X_train.shape == (train_rows, d)
    assert data.X_test.shape == (rows - train_rows, d)
    assert data.card.rows == rows == len(data.frame)
    assert (data.frame["split"] == "train").sum() == train_rows
    assert data.task == task
    assert len(data.feature_names) == len(set(data.feature_names)) == d
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        assert -1 <= X.min() < X.max() <= 1
        assert len(y) == len(X)
        if task == "regression":
            assert y.dtype == np.float32
            assert -1 < y.min() < y.max() < 1
        else:
            assert y.dtype == np.int32
            assert set(y) == set(range(len(data.classes)))
    assert not (data.X_train == 1).all(axis=0).any()


@pytest.mark.parametrize("name", SIZES)
def test_card_is_complete(name):
    known = card(name)
    for field in ("title", "source", "licence", "citation", "score"):
        assert getattr(known, field).strip(), field
    low, high = known.score_range
    assert -1 <= low < high <= 1
    assert known.unit == ("row" if name == "digits" else "person")
    assert set(known.sensitive) <= set(load(name).frame.columns)
    assert known.sensitive or name == "digits"
    assert known.leaks == load(name).leaks == ()
    assert known.max_rows_per_person == (5 if name == "rand" else 1)


@pytest.mark.parametrize("name", ["adult", "credit", "german", "rand", "votes"])
def test_checksum_on_the_card_is_that_of_the_text(name):
    packed = cards.folder() / f"{name}.csv.gz"
    text = gzip.decompress(packed.read_bytes()) if name != "votes" else packed.with_suffix("").read_bytes()
    on_card = tomllib.loads((cards.folder() / f"{name}.toml").read_text(encoding="utf-8"))
    assert hashlib.sha256(text).hexdigest() == on_card["file"]["sha256"]
    assert b"\r" not in text


def test_changed_file_is_refused(tmp_path):
    known = card("german")
    text = gzip.decompress(known.file.paths[0].read_bytes())
    changed = tmp_path / "german.csv.gz"
    changed.write_bytes(gzip.compress(text.replace(b"good", b"bad", 1)))
    with pytest.raises(ValueError, match="'german' must match the SHA-256"):
        cards.read_table(replace(known, file=replace(known.file, paths=(changed,))))


def test_line_ends_do_not_change_the_checksum(tmp_path):
    known = card("breast_cancer")
    windows = tmp_path / "breast_cancer.csv"
    text = known.file.paths[0].read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    windows.write_bytes(text)
    table = cards.read_table(replace(known, file=replace(known.file, paths=(windows,))))
    assert len(table) == 569


@pytest.mark.parametrize("name", SIZES)
def test_declared_bounds_and_categories_hold(name):
    data = load(name)
    for column in data.schema.columns:
        values = data.frame[column.name]
        if column.kind == "number":
            assert (~values.between(column.low, column.high) & values.notna()).mean() < 0.001
        else:
            assert set(values.dropna()) <= set(column.categories)


def test_classes_mean_what_the_documentation_says():
    counts = load("adult").frame.groupby(["split", "income"], observed=True).size()
    assert counts["train", ">50K"] == 7_841
    assert (load("german").frame["credit"] == "bad").sum() == 300
    assert (load("credit").frame["default"] == "yes").sum() == 6_636
    assert (load("credit").frame["SEX"] == "female").sum() == 18_112
    assert (load("breast_cancer").frame["diagnosis"] == "malignant").sum() == 212
    assert load("diabetes").frame["progression"].agg(["min", "max"]).tolist() == [25, 346]
    assert (load("rand").frame["visits"] == "3 or more").sum() == 7_268


def test_rand_people_stay_together():
    data = load("rand")
    frame = data.frame
    train = set(frame.loc[frame["split"] == "train", "person"])
    test = set(frame.loc[frame["split"] == "test", "person"])
    assert len(train) == 4_434
    assert len(test) == 1_478
    assert not train & test
    steps = np.diff(data.people_train)
    assert data.people_train.dtype == np.int32
    assert data.people_train[0] == 0
    assert data.people_train[-1] == 4_433
    assert set(steps) == {0, 1}
    assert np.bincount(data.people_train).max() == 5
    assert load("adult").people_train is None


def test_people_come_together_from_a_shuffled_table():
    frame = people(400)
    person, age = frame["name"].to_numpy(), frame["age"].to_numpy()
    schema = declared(age=Column("age", 0, 100))
    order = np.random.RandomState(1).permutation(len(frame))
    data = from_frame(
        frame.iloc[order],
        target="label",
        schema=schema,
        person="name",
        n=200,
        max_rows_per_person=2,
    )
    assert (data.unit, data.n, data.n_train, data.max_rows_per_person) == ("person", 200, 150, 2)
    assert set(np.diff(data.people_train)) == {0, 1}
    ages = np.rint((data.X_train[:, 0] + 1) * 50)
    for code in range(150):
        two = ages[data.people_train == code]
        assert sorted(two) in [sorted(age[person == f"{SECRET}-{k}"]) for k in range(200)]


def test_split_is_frozen():
    def mark(is_test):
        return hashlib.sha256(np.packbits(is_test).tobytes()).hexdigest()[:16]

    assert mark(load("credit").is_test) == "88a696d1eabcac81"
    assert mark(load("rand").is_test) == "c5e4864c0aac6436"


def test_evaluation_has_at_most_20_000_rows():
    data = load("adult")
    X, y = data.evaluation
    assert X is data.X_test
    assert y is data.y_test
    many = replace(data, X_test=np.tile(data.X_test, (2, 1)), y_test=np.tile(data.y_test, 2))
    X, y = many.evaluation
    assert X.shape == (20_000, 49)
    assert many.evaluation[0] is X
    assert abs(y.mean() - data.y_test.mean()) < 0.01


def test_load_returns_the_same_object_and_refuses_others():
    assert load("german") is load("german")
    with pytest.raises(ValueError, match=r"'dataset' must be one of adult, .*Got 'mnist'"):
        load("mnist")
    with pytest.raises(ValueError, match=r"'dataset' must be one of adult"):
        card("mnist")


def test_logistic_regression_does_well_on_adult():
    from sklearn.linear_model import LogisticRegression

    data = load("adult")
    model = LogisticRegression(C=10, max_iter=500).fit(data.X_train, data.y_train)
    assert 0.845 <= model.score(data.X_test, data.y_test) <= 0.855


def test_deployments_are_cited():
    table = datasets.deployments()
    assert list(table) == ["name", "label", "what", "epsilon", "delta", "unit", "year", "source"]
    assert table.drop(columns="label").notna().all().all()
    assert 4 <= table["label"].notna().sum() < len(table)
    assert table["epsilon"].is_monotonic_increasing
    assert table.set_index("name").loc["US Census 2020", "epsilon"] == 19.61
    assert table["delta"].between(0, 1e-4).all()


# The encoder


def test_encoding_by_hand():
    schema = declared(gain=Column("gain", 10, 10 + np.expm1(4), transform="log1p", fill=10))
    frame = pd.DataFrame(
        {
            "age": [0, 50, 150, -3],
            "sex": ["Male", "Female", "Male", "Male"],
            "gain": [10, 10 + np.expm1(2), 1e9, None],
            "label": ["yes", "no", "no", "yes"],
        }
    )
    X, y = schema.encode(frame)
    assert schema.feature_names == ("age", "sex=Female", "sex=Male", "gain")
    expected = [[-1, 0, 1, -1], [0, 1, 0, 0], [1, 0, 1, 1], [-1, 0, 1, -1]]
    np.testing.assert_allclose(X, expected, atol=1e-6)
    assert y.tolist() == [1, 0, 0, 1]


def test_regression_target_is_mapped_by_its_bounds():
    schema = Schema((Column("age", 0, 100),), Column("income", 0, 40_000))
    frame = pd.DataFrame({"age": [1, 2, 3], "income": [0, 30_000, 90_000]})
    assert schema.task == "regression"
    assert schema.encode(frame)[1].tolist() == [-1.0, 0.5, 1.0]
    assert schema.encode(frame)[1].dtype == np.float32


@pytest.mark.parametrize("name", SIZES)
def test_encoding_of_a_subset_is_the_subset_of_the_encoding(name):
    data = load(name)
    rows = np.flatnonzero(~data.is_test)[:: max(1, data.n_train_rows // 50)][:3]
    X, y = data.schema.encode(data.frame.iloc[rows])
    whole, labels = data.schema.encode(data.frame)
    np.testing.assert_array_equal(X, whole[rows])
    np.testing.assert_array_equal(y, labels[rows])


@pytest.mark.parametrize(
    "kind", ["object", "str", "category", "string", "numbers as text", "Int64", "other categories"]
)
def test_every_pandas_type_encodes_the_same(kind):
    frame = people()
    X, _ = declared().encode(frame)
    if kind == "numbers as text":
        frame["age"] = frame["age"].astype(str)
    elif kind == "Int64":
        frame["age"] = frame["age"].astype("Int64")
    elif kind == "other categories":
        frame["sex"] = pd.Categorical(frame["sex"], categories=["x", "Male", "y", "Female"])
        frame["age"] = frame["age"].astype("category")
    else:
        frame["sex"] = frame["sex"].astype(kind)
    np.testing.assert_array_equal(declared().encode(frame)[0], X)


def test_categories_need_not_be_text():
    frame = people().assign(truth=lambda table: table["label"] == "yes", code=np.arange(40) % 2.0)
    for name, categories in (("truth", (False, True)), ("code", (0, 1))):
        schema = Schema((Column("age", 0, 100),), Column(name, categories=categories))
        np.testing.assert_array_equal(schema.encode(frame)[1], frame[name].astype(int))


def test_missing_category_can_have_a_public_stand_in():
    schema = declared(sex=Column("sex", categories=("?", "Female", "Male"), fill="?"))
    frame = people()
    frame.loc[7, "sex"] = None
    assert schema.encode(frame)[0][7, 1:].tolist() == [1, 0, 0]


def with_entry(column, value, kind=object):
    frame = people()
    frame[column] = frame[column].astype(kind)
    frame.loc[7, column] = value
    return frame


BAD_ENTRIES = {
    "unknown category": (with_entry("sex", SECRET), "'sex' .*2 declared.* another value in row 7"),
    "unknown in categorical": (
        with_entry("sex", SECRET).astype({"sex": "category"}),
        "'sex' .* another value in row 7",
    ),
    "missing category": (with_entry("sex", None), "'sex' .* a missing value in row 7"),
    "missing in categorical": (
        with_entry("sex", None).astype({"sex": "category"}),
        "'sex' .* a missing value in row 7",
    ),
    "NaN": (with_entry("age", np.nan, float), "'age' .* a missing value in row 7"),
    "NA": (with_entry("age", pd.NA, "Int64"), "'age' .* a missing value in row 7"),
    "infinity": (with_entry("age", -np.inf, float), "'age' .* infinity in row 7"),
    "text": (with_entry("age", SECRET), "'age' must hold a finite number.* text in row 7"),
    "unknown class": (with_entry("label", SECRET), "'label' .* another value in row 7"),
}


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_bad_entry_is_named_but_never_told(case):
    frame, message = BAD_ENTRIES[case]
    frame.index = [f"{SECRET}-{i}" for i in range(len(frame))]
    with pytest.raises(ValueError, match=message) as error:
        from_frame(frame, target="label", schema=declared(), n=40)
    assert SECRET not in str(error.value)
    assert len(datasets.names()) == len(SIZES)


def test_column_that_cannot_be_a_number():
    for values in (pd.Timestamp("2020-01-01"), 1j):
        with pytest.raises(TypeError, match="'age' must hold numbers"):
            declared().encode(people().assign(age=values))


# Own tables


def test_declared_table_has_no_leak():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = from_frame(people(), target="label", schema=declared(), n=40)
    assert data.leaks == ()
    assert (data.name, data.unit, data.n_train, len(data.y_test)) == ("own-1", "row", 30, 10)
    assert load("own-1") is data
    assert card("own-1") is data.card
    assert datasets.names()[-1] == "own-1"
    assert data.frame.loc[data.is_test, "split"].eq("test").all()


def test_n_declared_is_n_used():
    data = from_frame(people(), target="label", schema=declared(), n=1_000)
    assert (data.n, data.n_train, data.n_train_rows) == (1_000, 750, 30)


def test_draft_leaks_until_confirmed():
    frame = people().drop(columns="name")
    draft = Schema.draft(frame, target="label")
    assert draft.columns[0] == Column("age", 20.0, 59.0)
    assert draft.columns[1].categories == ("Female", "Male")
    assert draft.classes == ("no", "yes")
    assert draft.leaks == (
        "bounds of 'age'",
        "categories of 'sex'",
        "bounds of 'income'",
        "categories of 'label'",
    )
    with pytest.warns(PrivacyLeakWarning, match="'own-1' reads .*bounds of 'age'"):
        assert from_frame(frame, target="label", schema=draft, n=40).leaks == draft.leaks
    part = draft.confirm("sex", age=(0, 120), label=["yes", "no", "unsure"])
    assert part.leaks == ("bounds of 'income'",)
    assert part.columns[0] == Column("age", 0, 120)
    assert part.task == "multiclass"
    done = part.confirm()
    assert done.leaks == ()
    assert from_frame(frame, target="label", schema=done, n=40).leaks == ()
    assert draft.leaks
    with pytest.raises(ValueError, match="'shoe' must be a column of the schema"):
        draft.confirm("shoe")
    with pytest.raises(ValueError, match=r"'age' must be declared as \(low, high\)"):
        draft.confirm(age=(1, 2, 3))


def test_no_schema_drafts_one_and_warns():
    with pytest.warns(PrivacyLeakWarning, match="bounds of 'age', .*, n, max_rows_per_person") as caught:
        data = from_frame(people(), target="label", person="name")
    assert Path(caught[0].filename) == Path(__file__)
    assert data.leaks[-2:] == ("n", "max_rows_per_person")
    assert (data.n, data.max_rows_per_person, data.unit) == (20, 2, "person")
    assert "name" not in {column.name for column in data.schema.columns}
    with pytest.warns(PrivacyLeakWarning, match=r"declare: n\.$"):
        assert from_frame(people(), target="label", schema=declared()).leaks == ("n",)


@pytest.mark.filterwarnings("ignore::privlab.datasets.PrivacyLeakWarning")
def test_drafted_target_of_many_numbers_is_a_regression():
    data = from_frame(people().drop(columns="name"), target="income")
    assert data.task == "regression"
    assert data.schema.target == Column("income", 0.0, 36_000.0)
    assert from_frame(people().assign(y=np.arange(40) % 3), target="y").classes == (0, 1, 2)


def test_schema_survives_a_dict():
    for name in SIZES:
        assert Schema.from_dict(card(name).schema.to_dict()) == card(name).schema
    draft = Schema.draft(people(), target="label")
    assert Schema.from_dict(draft.to_dict()) == draft


def test_column_names_in_html_are_kept():
    wild = "<img src=x onerror=alert(1)>"
    frame = people().rename(columns={"age": wild})
    data = from_frame(frame, target="label", schema=declared(age=Column(wild, 0, 100)), n=40)
    assert data.feature_names[0] == wild


def test_names_are_unique():
    for name in ("own-1", "own-2"):
        assert from_frame(people(), target="label", schema=declared(), n=40).name == name
    named = from_frame(people(), target="label", schema=declared(), n=40, name="mine")
    for taken in ("mine", "adult", "own-2"):
        with pytest.raises(ValueError, match=f"'name' must .* not taken. Got '{taken}'"):
            from_frame(people(), target="label", schema=declared(), n=40, name=taken)
    with pytest.raises(ValueError, match=r"'name' must not be taken\. Got 'mine'"):
        datasets.register(named)


def wide(columns):
    return (
        pd.DataFrame(np.zeros((4, columns)))
        .set_axis([f"c{i}" for i in range(columns)], axis=1)
        .assign(label=["no", "yes"] * 2)
    )


BAD_TABLES = {
    "not a table": ([1, 2], {}, TypeError, "'df' must be a pandas DataFrame. Got list"),
    "empty": (people(0), {}, ValueError, "'df' must hold at least one row"),
    "no target": (people(), {"target": "shoe"}, ValueError, "'target' must be .* Got 'shoe'"),
    "one class": (people().assign(label="no"), {}, ValueError, "'label' must .*2 classes.* Got 1"),
    "too wide": (wide(100_000), {"schema": None}, ValueError, "1 to 2000 features. Got 100000"),
    "only a target": (people()[["label"]], {"schema": None}, ValueError, "features. Got 0"),
    "too many categories": (
        people(2_500).assign(sex=lambda table: [f"{SECRET}{i}" for i in table.index]),
        {"schema": None},
        ValueError,
        "'sex' must have at most 2000 categories. Got 2500",
    ),
    "twice": (
        people().rename(columns={"sex": "age"}),
        {},
        ValueError,
        "Column names must be unique. Got 'age' twice",
    ),
    "number as name": (people().rename(columns={"age": 3}), {}, TypeError, "text as column names"),
    "no such column": (people().drop(columns="sex"), {}, ValueError, "the column 'sex'. Got none"),
    "split taken": (people().assign(split=1), {}, ValueError, "must not have a column 'split'"),
    "other target": (people(), {"target": "income"}, ValueError, "'schema' must describe"),
    "person a feature": (people(), {"person": "sex"}, ValueError, "'schema' must describe"),
    "no such person": (people(), {"person": "shoe"}, ValueError, "'person' must .* Got 'shoe'"),
    "person missing": (
        with_entry("name", None),
        {"person": "name"},
        ValueError,
        "'name' must hold .* a missing value in row 7",
    ),
    "person with more": (
        people(),
        {"person": "name", "max_rows_per_person": 1},
        ValueError,
        "'max_rows_per_person' must be at least .* Got 1",
    ),
    "n zero": (people(), {"n": 0}, ValueError, "'n' must be at least 1. Got 0"),
    "n not whole": (people(), {"n": 1.5}, TypeError, "'n' must be an integer. Got float"),
    "fraction": (people(), {"test_fraction": 1.0}, ValueError, r"must be in \(0, 1\). Got 1.0"),
    "no test row": (people(3), {}, ValueError, "at least 1 test row"),
    "draft missing": (
        with_entry("age", np.nan, float),
        {"schema": None},
        ValueError,
        "'age' must hold a value in every row. Got a missing value in row 7",
    ),
    "draft infinity": (
        with_entry("age", np.inf, float),
        {"schema": None},
        ValueError,
        "'age' must hold finite numbers. Got infinity in row 7",
    ),
    "draft date": (
        people().assign(age=pd.Timestamp("2020-01-01")),
        {"schema": None},
        TypeError,
        "'age' must hold numbers or categories. Got datetime64",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table_is_refused(case):
    frame, changed, error, message = BAD_TABLES[case]
    settings = {"target": "label", "schema": declared(), "n": 40} | changed
    with pytest.raises(error, match=message) as caught:
        from_frame(frame, **settings)
    assert SECRET not in str(caught.value)
    assert len(datasets.names()) == len(SIZES)


def test_training_rows_of_one_class_are_refused():
    frame = people()
    frame["label"] = "no"
    frame.loc[from_frame(people(), target="label", schema=declared(), n=40).is_test, "label"] = "yes"
    with pytest.raises(ValueError, match="at least 2 classes among its training rows"):
        from_frame(frame, target="label", schema=declared(), n=40)


BAD_COLUMNS = {
    "nothing": ({}, ValueError, "must have categories, or both"),
    "one bound": ({"low": 0}, ValueError, "must have categories, or both"),
    "order": ({"low": 1, "high": 1}, ValueError, "must have finite bounds, low < high"),
    "infinite": ({"low": 0, "high": np.inf}, ValueError, "must have finite bounds"),
    "NaN": ({"low": np.nan, "high": 1}, ValueError, "must have finite bounds"),
    "overflow": ({"low": -1.5e308, "high": 1.5e308}, ValueError, "must have finite bounds"),
    "text": ({"low": "0", "high": 1}, TypeError, "must have numbers as bounds. Got str"),
    "both": ({"low": 0, "high": 1, "categories": "ab"}, ValueError, "not both"),
    "one category": ({"categories": ["a"]}, ValueError, "at least 2 categories"),
    "same twice": ({"categories": ["a", "b", "a"]}, ValueError, "all different. Got 3, 2"),
    "transform": ({"low": 0, "high": 1, "transform": "sqrt"}, ValueError, "'' or 'log1p'"),
    "fill beyond": ({"low": 0, "high": 1, "fill": 2}, ValueError, "must lie within its bounds"),
    "fill unknown": ({"categories": ["a", "b"], "fill": "c"}, ValueError, "one of its categories"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_bad_column_is_refused(case):
    fields, error, message = BAD_COLUMNS[case]
    with pytest.raises(error, match=message):
        Column("x", **fields)


def test_schema_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match=r"unique\. Got 'label' twice"):
        declared(label=Column("label", 0, 1))
    with pytest.raises(ValueError, match=r"features\. Got 2101"):
        declared(town=Column("town", categories=range(2_098)))


def test_people_read_words_and_not_a_files_shorthand():
    for name in cards.SHIPPED:
        known = card(name)
        columns = [column.name for column in (*known.schema.columns, known.schema.target)]
        called = [known.call(column) for column in columns]
        assert len({*called}) == len(called), name
        assert not {column for column, _ in known.words} - {*columns}, name
        assert not any("_" in one or one.isupper() for one in called), name
    assert card("rand").call("xghindx") == "general health index"
    assert card("credit").call("PAY_0") == "delay in Sept."
    assert card("german").call("credit_amount") == "credit amount"


def test_ones_own_columns_keep_their_names():
    table = people()[["age", "sex", "label"]].rename(columns={"age": "xghindx"})
    assert _choices.called("xghindx") == "general health index"
    with pytest.warns(PrivacyLeakWarning):
        own = from_frame(table, target="label")
    assert own.card.call("xghindx") == _choices.called("xghindx") == "xghindx"
