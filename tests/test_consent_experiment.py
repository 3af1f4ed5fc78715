"""The experiment on asking first: only who agrees is learned from, ε is upheld, and scores are a plain count."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import accounting, consent, datasets, dpsgd
from privlab.experiments import _consent_work as work
from privlab.experiments._consent_work import Asking
from privlab.experiments.consent import Picture, Settings


@pytest.fixture(scope="module")
def adult():
    return datasets.load("adult")


@pytest.fixture(scope="module")
def found():
    return privlab.run("consent", seeds=3)


def asking(**changed):
    given = {"share": 0.4, "odds": 8, "by": "answer", "purpose": "research", "repair": "none", "withdrawn": 0.0}
    return Asking(**(given | changed))


def test_the_yes_follows_the_stated_model(adult):
    asked = work.ask(adult, asking(), np.random.default_rng(0))
    share = [asked.agreed[adult.y_train == label].mean() for label in (0, 1)]
    odds = [one / (1 - one) for one in share]
    assert asked.agreed.mean() == pytest.approx(0.4, abs=0.012)
    assert odds[0] / odds[1] == pytest.approx(8, rel=0.15)
    service = work.ask(adult, asking(purpose="service", odds=1), np.random.default_rng(0))
    advertising = work.ask(adult, asking(purpose="advertising", odds=1), np.random.default_rng(0))
    assert service.agreed.mean() == pytest.approx(4 / 7, abs=0.014)
    assert advertising.agreed.mean() == pytest.approx(1 / 4, abs=0.013)


@pytest.mark.parametrize("repair", ["none", "margins", "all"])
@pytest.mark.parametrize("withdrawn", [0, 0.3])
def test_rows_reconcile_at_every_stage(adult, repair, withdrawn):
    asked = work.ask(adult, asking(repair=repair, withdrawn=withdrawn), np.random.default_rng(1))
    kept = [stage.kept for stage in asked.flow.stages]
    assert kept[0] == 32_561
    assert kept[2] == asked.agreed.sum()
    assert kept[-1] == asked.used.sum()
    assert kept[2] / kept[1] == pytest.approx(1 - withdrawn, abs=0.02)
    for before, after in zip(kept, asked.flow.stages[1:], strict=False):
        assert after.kept + sum(after.gone.values()) == before
    assert not (asked.used & ~asked.agreed).any(), "nobody is used who does not agree"


def test_only_those_who_agree_are_trained_on(adult, monkeypatch):
    seen, sweep = [], dpsgd.sweep

    def record(data, plan, *rest):
        seen.append((data, plan))
        return sweep(data, plan, *rest)

    monkeypatch.setattr(dpsgd, "sweep", record)
    work.remembered.cache_clear()
    result = privlab.run("consent", seeds=2, epsilon=0.5, repair="all", withdrawn=0.2)
    assert len(seen) == 4
    for asked, (data, plan), (whole, _) in zip(result.asked, seen[::2], seen[1::2], strict=True):
        np.testing.assert_array_equal(data.X[:-1, :-1], adult.X_train[asked.used])
        assert data.units == asked.used.sum()
        assert whole.units == 32_561
        spent = accounting.epsilon(
            noise_multiplier=float(plan.noise_multiplier[0]), sampling_rate=plan.sampling_rate, steps=plan.steps,
            delta=work.DELTA,
        )  # fmt: skip
        assert 0.49 < spent <= 0.5 * (1 + 1e-6)
        assert plan.noise_multiplier[1] == 0
        assert (plan.clip_norm == 1).all()
    seen.clear()
    for move in ({"groups": "race"}, {"view": "calibration"}):
        privlab.run("consent", seeds=2, epsilon=0.5, repair="all", withdrawn=0.2, **move)
    assert not seen, "who is looked at changes no training"


def test_batches_have_500_people_where_there_are_so_many():
    assert work.rate(32_561) == 0.02
    assert work.rate(25_000) == 0.02
    assert work.rate(24_999) == 0.022
    assert work.rate(3000) == 0.37
    assert work.rate(400) == 1
    assert all(accounting.is_shipped(sampling_rate=rate, steps=work.STEPS, delta=work.DELTA) for rate in work.RATES)


def test_weights_bring_shares_back(adult):
    asked = work.ask(adult, asking(by="sex", odds=5, repair="margins"), np.random.default_rng(0))
    for role in ("sex", "age", "race", "education"):
        of = work.groups(adult, role)
        used = np.bincount(of.train[asked.used], minlength=len(of.names)) / asked.used.sum()
        half = 4.5 * np.sqrt(of.shares * (1 - of.shares) / asked.used.sum())
        assert (np.abs(used - of.shares) <= half + 1e-3).all(), role
    sex = work.groups(adult, "sex")
    agreed = np.bincount(sex.train[asked.agreed]) / asked.agreed.sum()
    assert abs(agreed - sex.shares).max() > 0.1


def test_scores_are_a_plain_count(adult, found):
    y = adult.evaluation[1]
    female = adult.raw["sex"].to_numpy()[adult.is_test] == "Female"
    chances = found.some[:, 0]
    assert found.rows == ("all together", "Female", "Male", "income: >50K")
    right = found.score(chances, "accuracy")
    gap = found.score(chances, "calibration")
    for place, who in enumerate((np.ones(len(y), bool), female, ~female, y == 1)):
        assert right.mean[place] == pytest.approx(((chances > 0.5) == y)[:, who].mean(), abs=1e-6)
        assert gap.mean[place] == pytest.approx(chances[:, who].mean() - y[who].mean(), abs=1e-5)
        cost = ((found.some[:, 0] > 0.5) == y)[:, who].mean() - ((found.whole[:, 0] > 0.5) == y)[:, who].mean()
        assert found.cost("accuracy").mean[place] == pytest.approx(cost, abs=1e-5)
    assert found.cost("accuracy").mean[-1] < -0.3
    for interval in (right, gap, found.cost("accuracy")):
        assert (interval.half > 0).all()
    assert found.shares["everybody"].mean[1] == pytest.approx((adult.raw["sex"][~adult.is_test] == "Female").mean())
    assert found.agreeing[-1] == pytest.approx(np.mean([one.agreed[adult.y_train == 1].mean() for one in found.asked]))


def test_if_all_agree_nothing_is_lost():
    result = privlab.run("consent", share=1, seeds=2, dataset="german")
    np.testing.assert_array_equal(result.some, result.whole)
    assert (result.cost("accuracy").mean == 0).all()
    assert "cannot be told from none" in result.sentence
    assert result.flow.kept == 750


def test_forgetting_leads_to_the_same_numbers(found):
    before = found.some.copy()
    consent.forget(datasets.load("adult"))
    again = privlab.run("consent", seeds=3)
    np.testing.assert_array_equal(again.some, before)
    for a, b in zip(again.asked, found.asked, strict=True):
        np.testing.assert_array_equal(a.agreed, b.agreed)


def test_groups_that_a_set_does_not_tell_of_are_refused_or_led_back():
    for name in ("by", "groups"):
        with pytest.raises(ValueError, match=f"'{name}' must be among .*age, sex for 'german'. Got 'race'"):
            Settings(**{"dataset": "german", name: "race"})
    back = Settings.make(Settings(by="race", groups="education"), dataset="german")
    assert (back.by, back.groups) == ("answer", "sex")
    kept = Settings.make(Settings(by="age", groups="age"), dataset="german")
    assert (kept.by, kept.groups) == ("age", "age")


def test_nothing_is_said_of_a_handful():
    result = privlab.run("consent", dataset="german", groups="age", by="age", seeds=2)
    assert result.rows == ("all together", "age 18–24", "age 25–49", "age 50–74", "credit: bad")
    assert "fewer than 10 are not shown" in " ".join(result.assumptions)


def test_the_assumption_is_called_one(found):
    said = " ".join(found.assumptions)
    assert "is an assumption, not data" in said
    assert "Rows reconcile, in the first repeat: training people 32,561 → said yes" in said


def test_the_picture_shows_the_numbers(found):
    picture = Picture(Figure(figsize=Picture.size))
    assert picture.update(found)
    np.testing.assert_allclose(
        picture.some.marks.get_xdata(), 100 * found.score(found.some[:, 0], "accuracy").mean, rtol=1e-6
    )
    np.testing.assert_allclose(picture.agreed.marks.get_xdata(), 100 * found.shares["agreed"].mean[1:])
    assert not picture.used.marks.get_visible(), "nobody is weighed"
    assert not picture.update(found)
    shown = picture.some.sticks.get_segments()
    half = 100 * found.score(found.some[:, 0], "accuracy").half
    np.testing.assert_allclose([(b[0] - a[0]) / 2 for a, b in shown], half, rtol=1e-5)
    weighed = privlab.run("consent", repair="margins", view="calibration", seeds=2)
    assert picture.update(weighed)
    assert picture.used.marks.get_visible()
    assert len(picture.some.marks.get_xdata()) == 3, "calibration is said of no group made by the answer"
    assert "after weighing" in picture.note.get_text()
