"""The other private learners: what they are given, what they find, and their pictures."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import privlab
from privlab import cards, datasets, models
from privlab.experiments import _learners_fits as fits
from privlab.experiments import _learners_picture as pictures
from privlab.experiments import private_learners
from privlab.experiments.private_learners import LEARNERS, Picture, Settings

pytestmark = pytest.mark.usefixtures("in_this_process")
EVERY = pytest.mark.parametrize("learner", LEARNERS)


@pytest.fixture(scope="module")
def found(in_this_process):
    """A result of every learner, by name."""
    return {name: privlab.run("private_learners", learner=name, epsilon=3, seeds=6) for name in LEARNERS}


@pytest.mark.parametrize(
    ("learner", "share"), [("clusters", 0.5), ("components", 1), ("tree", 0.5), ("forest", 0.5), ("bayes", 0.6)]
)
def test_each_is_given_what_replacing_a_row_leaves(monkeypatch, learner, share):
    given, real = [], fits._settings

    def record(epsilon, seed):
        given.append(epsilon)
        return real(epsilon, seed)

    monkeypatch.setattr(fits, "_settings", record)
    fits.fit("breast_cancer", learner, 2.0, 3, 0)
    assert given == [pytest.approx(2 * share)]


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 20.0])
def test_the_line_spends_epsilon_for_two_changed_rows(epsilon):
    spent = fits.theil_sen(epsilon).map(2)
    assert 0.999 * epsilon < spent <= epsilon


def test_no_group_is_left_empty_for_all_to_see():
    from diffprivlib import BudgetAccountant
    from diffprivlib.models import KMeans
    from sklearn.utils import check_random_state

    corner = np.full((50, 2), -0.9)
    shared = {"epsilon": 1.0, "bounds": (-1, 1), "random_state": 3}

    def untouched(kind):
        model = kind(5, accountant=BudgetAccountant(), **shared)
        model.bounds = model._check_bounds((-1, 1), 2)
        begun = model._init_centers(2, random_state=check_random_state(3))
        ended = kind(5, accountant=BudgetAccountant(), **shared).fit(corner).cluster_centers_
        return int((begun == ended).all(axis=1).sum())

    assert untouched(KMeans) == 4, "diffprivlib tells which groups are empty"
    assert untouched(fits.filled()) == 0


def test_a_warning_that_the_promise_is_lost_is_an_error():
    from diffprivlib import BudgetAccountant
    from diffprivlib.models import KMeans
    from diffprivlib.utils import PrivacyLeakWarning

    with models.strictly(), pytest.raises(PrivacyLeakWarning):
        KMeans(2, accountant=BudgetAccountant()).fit(np.zeros((9, 2)))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        KMeans(2, accountant=BudgetAccountant()).fit(np.ones((9, 2)))
    assert any(one.category is PrivacyLeakWarning for one in seen), "the warning still exists"


@pytest.mark.parametrize(("learner", "off"), [("clusters", 0.09), ("components", 0.02), ("bayes", 0.01)])
def test_many_people_and_a_large_epsilon_give_nearly_all_back(learner, off):
    loose = privlab.run("private_learners", dataset="adult", learner=learner, epsilon=50, seeds=4)
    assert loose.scores.mean() == pytest.approx(loose.plain["score"], abs=off)


@pytest.mark.parametrize("learner", ["clusters", "components", "bayes", "line"])
def test_a_smaller_epsilon_sees_less(learner):
    strict, loose = (
        privlab.run("private_learners", learner=learner, epsilon=epsilon, seeds=12) for epsilon in (0.1, 30)
    )
    assert strict.scores.mean() < loose.scores.mean() - 0.05


def test_noise_turns_leaves_only_when_it_is_loud():
    strict, loose = (privlab.run("private_learners", learner="tree", epsilon=e, seeds=20) for e in (0.05, 50))
    assert strict.wrong.mean() > 0.3
    assert loose.wrong.sum() == 0
    assert loose.scores.mean() < loose.plain["score"] - 0.05, "the blind splits remain"


def test_a_drawn_tree_is_the_tree_that_decides(found):
    one = found["tree"].fitted[0]
    sample = fits.Sample(datasets.load("breast_cancer"), 2)
    for X, truth, check in ((sample.unseen, sample.truth, "score"), (sample.X, sample.y, "votes")):
        at = np.zeros(len(X), int)
        for _ in range(3):
            right = X[np.arange(len(X)), one["feature"][at]] > one["threshold"][at]
            at = 2 * at + 1 + right
        leaf = at - 7
        if check == "score":
            assert np.mean(one["label"][leaf] == truth) == pytest.approx(one["score"])
        else:
            assert one["votes"].tolist() == [np.bincount(truth[leaf == k], minlength=2).tolist() for k in range(8)]


def test_scores_are_of_unseen_people(found):
    sample = fits.Sample(datasets.load("breast_cancer"), 2)
    x = sample.unseen
    centres = found["clusters"].fitted[0]["centres"]
    near = np.min([((x - c) ** 2).sum(axis=1) for c in centres], axis=0)
    assert found["clusters"].scores[0] == pytest.approx(1 - near.sum() / ((x - x.mean(axis=0)) ** 2).sum())
    slope, start = found["line"].fitted[0]["line"]
    miss = (np.clip(slope * x[:, 0] + start, -1, 1) - x[:, 1]) ** 2
    assert found["line"].scores[0] == pytest.approx(1 - miss.mean() / x[:, 1].var())
    wide = fits.Sample(datasets.load("breast_cancer"), 8).unseen
    direction = found["components"].fitted[0]["direction"]
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert found["components"].scores[0] == pytest.approx((wide @ direction).var() / wide.var(axis=0).sum())


@EVERY
def test_the_sentence_says_what_was_found(found, learner):
    result, said = found[learner], found[learner].sentence
    assert said.startswith("With ε = 3 and 427 people of Breast cancer, ")
    assert f": {100 * result.scores.mean():.1f} % " in said
    assert said.endswith(f"Without privacy: {100 * result.plain['score']:.1f} %.")
    assert len(result.frame()) == 6
    low, mean, high = result.summary().loc[0, ["mean low", "mean", "mean high"]]
    assert low < mean < high


def test_a_score_below_zero_is_put_in_words():
    said = privlab.run("private_learners", epsilon=0.05, seeds=6).sentence
    assert "worse than one answer for all" in said


@EVERY
def test_the_picture_shows_what_was_found(found, learner):
    result, picture = found[learner], Picture(Figure(figsize=Picture.size))
    assert picture.update(result)
    assert not picture.update(result), "nothing of the background changed"
    shown = {artist for artist in picture.moving if artist.get_visible()}
    assert picture.scores in shown
    assert shown - {picture.scores, picture.mean} <= set(picture.own[learner])
    low, high = picture.strip.get_ylim()
    assert low < 100 * result.plain["score"] < high
    assert np.asarray(picture.scores.get_ydata()) == pytest.approx(np.clip(100 * result.scores, low, high))
    if learner == "clusters":
        assert len(picture.dots.get_xdata()) == 6 * 3
    elif learner == "components":
        assert len(picture.dots.get_xdata()) == 6 * 8
    elif learner == "tree":
        assert len(picture.crosses.get_xdata()) == result.wrong[0]
        assert sum(node.get_visible() for node in picture.nodes) == 7
        assert len(picture.leaves.get_offsets()) == 8
    elif learner == "forest":
        assert np.array_equal(picture.map.get_array(), result.fitted[0]["map"])
    elif learner == "bayes":
        assert len(picture.lines.get_segments()) == 12
    else:
        assert len(picture.lines.get_segments()) == 6


def test_directions_are_turned_like_the_true_one():
    result = privlab.run("private_learners", learner="components", epsilon=0.5, seeds=12)
    plain, directions = result.plain["direction"], [one["direction"] for one in result.fitted]
    assert len({float(np.sign(one @ plain)) for one in directions}) == 2
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(result)
    drawn = np.asarray(picture.dots.get_xdata()).reshape(12, 8)
    assert (drawn @ plain > 0).all()
    assert np.abs(drawn) == pytest.approx(np.abs(directions))


def test_a_smaller_tree_has_fewer_nodes_and_the_next_picture_none():
    picture = Picture(Figure(figsize=Picture.size))
    picture.update(privlab.run("private_learners", learner="tree", depth=3, seeds=2))
    picture.update(privlab.run("private_learners", learner="tree", depth=1, seeds=2))
    assert [node.get_visible() for node in picture.nodes].count(True) == 1
    picture.update(privlab.run("private_learners", learner="line", seeds=2))
    assert not any(node.get_visible() for node in picture.nodes)


def test_ticks_are_in_declared_units():
    for name in ("adult", "credit", "german", "breast_cancer"):
        for column in fits.numbers(datasets.card(name).schema.columns):
            ticks = pictures._ticks(column)
            assert ticks
            assert min(ticks) >= column.low
            assert max(ticks) <= column.high
            for value in ticks:
                scaled = pictures._scaled(column, value)
                assert -1 - 1e-9 <= scaled <= 1 + 1e-9
                assert pictures._declared(column, scaled) == pytest.approx(value, abs=1e-6 * (column.high - column.low))


def test_noise_is_new_in_every_repeat_and_a_seed_brings_it_back():
    first = privlab.run("private_learners", learner="bayes", seeds=5, seed=1)
    assert len(set(first.scores)) > 1
    other = privlab.run("private_learners", learner="bayes", seeds=5, seed=2)
    assert not np.array_equal(first.scores, other.scores)


def test_only_suitable_data_is_offered():
    offered = set(Settings.controls()["dataset"].among())
    assert offered & set(cards.SHIPPED) == {"adult", "credit", "german", "votes", "breast_cancer"}
    for values in ({"dataset": "rand"}, {"dataset": "diabetes"}, {"learner": "knn"}, {"depth": 4}, {"clusters": 1}):
        with pytest.raises(ValueError, match=f"^'{next(iter(values))}' must be "):
            privlab.run("private_learners", **values)


def test_assumptions_name_the_share_of_epsilon(found):
    assert "½ ε" in found["clusters"].assumptions[0]
    assert "OpenDP" in found["line"].assumptions[0]
    assert "mean_radius, mean_texture" in found["tree"].assumptions[1]
    assert private_learners.fits.floor(datasets.load("breast_cancer"), "components") == 1 / 8
