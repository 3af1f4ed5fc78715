"""Consent: the last word counts, who withdraws is in nothing that comes after, and counts add up."""

import gc
import io
import pickle
import traceback
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest

from privlab import accounting, consent, datasets, dpsgd, flow, kept, models, schema
from privlab.consent import Register

SENTINEL = 0.7182818284590452  # an income like nobody else's
PLANTED = 41  # the row it stands in


def register(count=100):
    return Register.empty("care", "research").give(np.arange(count), "research", "2026-01-01")


def test_the_last_word_until_a_moment_counts():
    one = register(3).withdraw([1], "research", "2026-02-01").give([1], "research", "2026-03-01T12:00")
    for at, says in (
        ("2025-12-31", [False, False, False]),
        ("2026-01-01", [True, True, True]),
        ("2026-02-01", [True, False, True]),
        ("2026-03-01", [True, False, True]),
        ("2026-03-02", [True, True, True]),
    ):
        np.testing.assert_array_equal(one.allows([0, 1, 2], "research", at), says, at)
    np.testing.assert_array_equal(one.allows([0, 7], "care", "2026-06-01"), [False, False], "each purpose on its own")
    same = register(1).withdraw([0], "research", "2026-01-01")
    assert not same.allows([0], "research", "2026-01-01")[0]


def test_records_are_added_and_never_changed():
    one = register(2)
    two = one.withdraw([0], "research", "2026-02-01")
    assert (len(one), len(two)) == (2, 3)
    assert one.allows([0], "research", "2027-01-01")[0]
    with pytest.raises(ValueError, match="read-only"):
        two.given[0] = False
    with pytest.raises(AttributeError):
        two.given = np.zeros(3, bool)
    with pytest.raises(ValueError, match="'at' must not lie before the last record"):
        two.give([1], "care", "2026-01-31")
    frame = two.frame()
    assert frame["given"].tolist() == [True, True, False]
    assert frame["purpose"].tolist() == ["research"] * 3
    assert str(frame["at"].iloc[-1].date()) == "2026-02-01"


def test_people_may_go_by_pseudonyms():
    one = Register.empty("care").give(["q7", "x1"], "care", "2026-01-01").withdraw(["x1"], "care", "2026-01-02")
    np.testing.assert_array_equal(one.allows(["x1", "q7", "longer-one"], "care", "2026-02-01"), [False, True, False])
    longer = one.give(["longer-one"], "care", "2026-01-03")
    assert longer.allows(["longer-one"], "care", "2026-02-01")[0]
    with pytest.raises(TypeError, match="named as in the records before"):
        one.give([3], "care", "2026-03-01")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Register.empty, "'purposes' must be"),
        (lambda: Register.empty("a", "a"), "'purposes' must be"),
        (
            lambda: register().give([1], "adverts", "2026-02-01"),
            "'purpose' must be among care, research. Got 'adverts'",
        ),
        (lambda: register().allows([1], "research", "soon"), "'at' must be a date"),
        (lambda: register().give([1], "care", None), "'at' must be a date"),
        (lambda: register().give([1.5], "care", "2026-02-01"), "'people' must be whole numbers or texts"),
        (lambda: register().give([[1]], "care", "2026-02-01"), "'people' must be whole numbers or texts"),
    ],
)
def test_what_makes_no_sense_is_refused(bad, words):
    with pytest.raises((ValueError, TypeError), match=words):
        bad()


@pytest.fixture(scope="module")
def german():
    return datasets.load("german")


def test_only_those_who_agree_are_selected(german):
    whose = consent.people(german)
    agreed = whose[whose % 3 > 0]
    one = Register.empty("research").give(agreed, "research", "2026-01-01")
    chosen, way = consent.select(german, one, "research", "2026-06-01", n=600)
    assert set(chosen.raw.index) == set(range(len(agreed)))
    np.testing.assert_array_equal(chosen.raw["credit_amount"], german.raw["credit_amount"].iloc[agreed])
    X, y = chosen.schema.encode(chosen.raw)
    np.testing.assert_array_equal(X[chosen.train_rows], chosen.X_train)
    np.testing.assert_array_equal(y[chosen.is_test], chosen.y_test)
    assert (chosen.n, chosen.n_train, chosen.leaks) == (600, 450, ())
    assert way.kept == len(agreed) == 666
    assert str(way).startswith("collected 1,000 → agreed 666, 334 no consent → used 666 = ")
    counted, _ = consent.select(german, one, "research", "2026-06-01")
    assert (counted.n, counted.leaks) == (666, ("n",))
    with pytest.raises(ValueError, match="must be agreed to by people in test, and in training of two classes"):
        consent.select(german, one, "research", "2025-06-01")


def test_a_person_goes_with_all_their_rows():
    rand = datasets.load("rand")
    whose = consent.people(rand)
    one = Register.empty("research").give(np.unique(whose), "research", "2026-01-01")
    gone = np.unique(whose)[::5]
    chosen, _ = consent.select(rand, one.withdraw(gone, "research", "2026-02-01"), "research", "2026-03-01")
    assert not np.isin(consent.people(chosen), gone).any()
    assert chosen.n == len(np.unique(whose)) - len(gone)
    counts = np.bincount(chosen.people_train)
    assert counts.min() >= 1
    np.testing.assert_array_equal(
        consent.people(chosen)[chosen.train_rows], np.sort(consent.people(chosen)[chosen.train_rows])
    )


def planted():
    """Own data with one person whose income is like nobody else's."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"income": rng.integers(0, 100, 400) / 100, "age": rng.integers(18, 90, 400)})
    table["bought"] = np.where(table["income"] + rng.normal(0, 0.2, 400) > 0.5, "yes", "no")
    table.loc[PLANTED, ["income", "age"]] = [SENTINEL, 33]
    known = schema.Schema(
        (schema.Column("income", 0, 1), schema.Column("age", 18, 100)),
        schema.Column("bought", categories=("no", "yes")),
    )
    return table, known


def traces():
    """The planted income as it may stand in an artefact: as stored, as encoded, and as text."""
    encoded = schema.Column("income", 0, 1).scale(SENTINEL)
    return [np.float64(SENTINEL).tobytes(), np.float32(SENTINEL).tobytes(), encoded.tobytes(), repr(SENTINEL).encode()]


def train(dataset, seed=(0,)):
    data = dpsgd.prepare(dataset)
    sigma = accounting.noise_multiplier(epsilon=1, sampling_rate=0.67, steps=60, delta=1e-5)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(data, np.array([sigma, 0]), np.ones(2), 0.67, 60)
    return dpsgd.train(data, plan, seed)


def test_who_withdraws_is_in_no_later_artefact(monkeypatch, tmp_path):
    monkeypatch.setattr(kept.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    table, known = planted()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", schema.PrivacyLeakWarning)
        before = datasets.from_frame(table, target="bought", schema=known, name="shop")
    in_train = not before.is_test[PLANTED]
    assert in_train, "the planted person is one of those learned from"
    agreed = Register.empty("research").give(consent.people(before), "research", "2026-01-01")
    early, _ = consent.select(before, agreed, "research", "2026-01-02", n=400)
    first = train(early)
    assert any(trace in pickle.dumps((early.raw, early.X_train)) for trace in traces()), (
        "the search finds what is there"
    )
    held = [weakref.ref(thing) for thing in (early, early.X_train, before, before.X_train, dpsgd.prepare(early))]

    later = agreed.withdraw([PLANTED], "research", "2026-02-01")
    chosen, way = consent.select(before, later, "research", "2026-02-02", n=400)
    consent.forget(before)
    consent.forget(early)
    del early, before
    gc.collect()
    assert [one() for one in held] == [None] * len(held), "neither registry nor caches hold the old rows"

    weights = train(chosen)
    artefacts = pickle.dumps((chosen.card, chosen.raw, chosen.X_train, chosen.X_test, chosen.y_train, weights, way))
    artefacts += pickle.dumps(dpsgd.prepare(chosen))
    artefacts += b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out = io.StringIO()
    chosen.frame.to_csv(out)
    artefacts += out.getvalue().encode()
    for trace in traces():
        assert trace not in artefacts
    with pytest.raises(ValueError, match="'dataset' must be one of"):
        datasets.load("shop")

    # The new model is the one that would be there had the person never come.
    without = table.drop(PLANTED).reset_index(drop=True)
    X, y = known.encode(without)
    is_test = chosen.is_test
    never = train_on(X[~is_test], y[~is_test])
    np.testing.assert_array_equal(weights.first, never.first)
    assert not np.array_equal(weights.first, first.first)


def train_on(X, y):
    data = dpsgd.TrainingData.make(X, y, "logistic", units=300)
    sigma = accounting.noise_multiplier(epsilon=1, sampling_rate=0.67, steps=60, delta=1e-5)
    plan = models.CATALOGUE["dp-sgd-logistic"].plan(data, np.array([sigma, 0]), np.ones(2), 0.67, 60)
    return dpsgd.train(data, plan, (0,))


def test_forgetting_a_shipped_set_takes_its_encoded_rows_from_the_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(kept.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    datasets._load.cache_clear()
    data = datasets.load("german")
    assert list(tmp_path.iterdir())
    consent.forget(data)
    assert not list(tmp_path.iterdir())
    assert datasets.load("german") is not data
    consent.forget(data)


def test_counts_must_add_up():
    way = flow.Flow.start("collected", 10).then("agreed", 7, no_consent=2, withdrew=1).split("used", train=5, test=2)
    assert str(way) == "collected 10 → agreed 7, 2 no consent, 1 withdrew → used 7 = 5 train + 2 test"
    assert way.frame()["rows"].tolist() == [10, 2, 1, 7, 7, 5, 2]
    with pytest.raises(ValueError, match=r"Stage 'agreed' must account for the 10 rows of 'collected'. Got 9."):
        flow.Flow.start("collected", 10).then("agreed", 7, no_consent=2)
    with pytest.raises(ValueError, match=r"Stage 'used' must account for the 7 rows of 'agreed'. Got 8."):
        way.then("agreed", 7).split("used", train=5, test=3)
    with pytest.raises(ValueError, match=r"The parts of 'used' must add up to its 7 rows. Got 6."):
        flow.Stage("used", 7, {}, {"train": 6})
    for bad in (-1, 2.0, True):
        with pytest.raises(ValueError, match=r"The rows of 'collected' must be a whole number of at least 0"):
            flow.Flow.start("collected", bad)


@pytest.mark.parametrize("odds", [1, 3, 20])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9, 1])
def test_answers_follow_the_stated_model(share, odds):
    shares = np.array([0.5, 0.3, 0.2])
    groups = np.repeat([0, 1, 2], [100_000, 60_000, 40_000])
    yes, chances = consent.respond(groups, shares, share, odds, np.random.default_rng(0))
    assert chances @ shares == pytest.approx(share, abs=1e-9)
    if share < 1:
        of = chances / (1 - chances)
        assert of[0] / of[2] == pytest.approx(odds)
        assert of[0] / of[1] == pytest.approx(odds**0.5)
    found = np.bincount(groups, yes) / np.bincount(groups)
    assert np.all(np.abs(found - chances) <= 5 * np.sqrt(chances * (1 - chances) / np.bincount(groups)) + 1e-12)


@pytest.mark.parametrize(("share", "odds", "words"), [(0, 2, "'share'"), (1.1, 2, "'share'"), (0.5, 0.9, "'odds'")])
def test_a_model_out_of_range_is_refused(share, odds, words):
    with pytest.raises(ValueError, match=words):
        consent.respond(np.zeros(1, int), np.ones(1), share, odds, np.random.default_rng(0))


def test_one_margin_is_post_stratification():
    codes = np.repeat([0, 1], [80, 20])
    weights = consent.rake([codes], [np.array([0.5, 0.5])])
    np.testing.assert_allclose(weights, np.where(codes == 0, 0.625, 2.5))


def test_raking_sets_every_margin_right():
    rng = np.random.default_rng(0)
    codes = [rng.choice(3, 2000, p=[0.6, 0.3, 0.1]), rng.choice(2, 2000, p=[0.8, 0.2])]
    margins = [np.array([0.3, 0.3, 0.4]), np.array([0.45, 0.55])]
    weights = consent.rake(codes, margins, cap=20)
    for code, margin in zip(codes, margins, strict=True):
        np.testing.assert_allclose(np.bincount(code, weights) / weights.sum(), margin, atol=1e-6)
    assert weights.mean() == pytest.approx(1)
    capped = consent.rake(codes, margins, cap=2)
    assert capped.max() <= 2
    assert abs(np.bincount(codes[0], capped)[2] / capped.sum() - 0.4) > 0.02, "the cap bites, and the margin is missed"


def test_nobody_can_stand_for_those_who_are_all_missing():
    with pytest.raises(ValueError, match="Got nobody in group 1"):
        consent.rake([np.zeros(5, int)], [np.array([0.5, 0.5])])
    with pytest.raises(ValueError, match="'cap' must be above 1"):
        consent.rake([np.zeros(5, int)], [np.ones(1)], cap=1)


def test_thinning_keeps_people_as_often_as_they_weigh():
    weights = np.tile([0.5, 1.0, 2.0], 30_000)
    kept_ones = consent.thin(weights, np.random.default_rng(0))
    assert kept_ones[2::3].all()
    for place, chance in ((0, 0.25), (1, 0.5)):
        assert abs(kept_ones[place::3].mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / 30_000)


def test_the_heaviest_person_changes_nobody_else_s_chance_where_the_largest_weight_is_public():
    alone, along = np.full(1000, 0.5), np.append(np.full(1000, 0.5), 4.0)
    kept_ones = [consent.thin(one, np.random.default_rng(0), most=4) for one in (alone, along)]
    np.testing.assert_array_equal(kept_ones[0], kept_ones[1][:1000])
    assert kept_ones[1][1000]
    with pytest.raises(ValueError, match=r"'most' must be at least every weight. Got 3\."):
        consent.thin(along, np.random.default_rng(0), most=3)


def test_thinning_keeps_epsilon():
    """Who joins by chance is protected as well as who joins for sure: a counted Gaussian, one person more."""
    sigma, epsilon = 1.2, 1.0

    def delta(joins):
        x = np.linspace(-12, 14, 40_001)
        absent, present = (np.exp(-((x - mean) ** 2) / 2 / sigma**2) for mean in (0, 1))
        there = (1 - joins) * absent + joins * present
        sides = [np.maximum(a - np.exp(epsilon) * b, 0) for a, b in ((there, absent), (absent, there))]
        return max(np.trapezoid(side, x) for side in sides)

    found = [delta(joins) for joins in (0.1, 0.3, 0.7, 1.0)]
    assert found == sorted(found)


def test_weights_for_scikit_learn_and_thinning_lead_to_the_same_model():
    from sklearn.linear_model import LogisticRegression

    data = datasets.load("adult")
    X, y = data.X_train[:6000], data.y_train[:6000].astype(np.int64)
    weights = consent.rake([y], [np.array([0.5, 0.5])])
    rows = consent.thin(weights, np.random.default_rng(0))
    said = [
        LogisticRegression(max_iter=300)
        .fit(X[use], y[use], sample_weight=given)
        .predict_proba(data.X_test)[:, 1]
        .mean()
        for use, given in ((slice(None), weights), (rows, None))
    ]
    plain = LogisticRegression(max_iter=300).fit(X, y).predict_proba(data.X_test)[:, 1].mean()
    assert said[0] == pytest.approx(said[1], abs=0.02)
    assert said[0] > plain + 0.1


def chain(error):
    """Everything that a traceback could show of an error."""
    shown = "".join(traceback.format_exception(error))
    while error is not None:
        shown += repr(error) + repr(error.args)
        error = error.__cause__ or error.__context__
    return shown


@pytest.mark.parametrize("which", ["pandas", "pandas frame", "scikit-learn", "scikit-learn labels"])
def test_other_libraries_errors_show_nobodys_value(which):
    secret = "Jane-Roe-4711"

    def fail():
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import OneHotEncoder

        if which == "pandas":
            pd.to_numeric(pd.Series(["1", secret]))
        elif which == "pandas frame":
            pd.DataFrame({"name": ["1", secret]}).astype({"name": float})
        elif which == "scikit-learn":
            LogisticRegression().fit(np.array([["1"], [secret]], object), [0, 1])
        else:
            OneHotEncoder(handle_unknown="error").fit([["a"]]).transform([[secret]])

    with pytest.raises(Exception, match=secret):
        fail()
    with pytest.raises(ValueError, match=r"^Fitting failed with (ValueError|TypeError)\. Its message is") as caught:
        consent.quietly("Fitting", fail)
    assert secret not in chain(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_what_does_not_fail_comes_back():
    assert consent.quietly("Adding", lambda a, b=1: a + b, 2, b=3) == 5
