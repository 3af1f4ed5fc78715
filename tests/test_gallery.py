"""The gallery: every bug is caught, every sound twin passes, and what is told of libraries is true."""

from __future__ import annotations

import math
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import ndtr

import privlab
from privlab import checks, mechanisms
from privlab.experiments import _gallery_bugs as bugs
from privlab.experiments import _gallery_exhibits as exhibits
from privlab.experiments import gallery
from privlab.experiments._gallery_exhibits import CATALOGUE, Claim

CAUGHT_BY = {
    "no_clipping": {"sensitivity"},
    "clip_late": {"sensitivity"},
    "clip_layers": {"sensitivity"},
    "unscaled_noise": {"noise"},
    "divided_twice": {"noise"},
    "microbatches": {"sensitivity"},
    "sampled_divisor": {"sensitivity", "replay"},
    "one_key": {"noise"},
    "shuffled": {"sampling", "account"},
    "rounds": {"account"},
    "data_bounds": {"replay"},
    "empty_groups": {"two worlds"},
    "low_digits": {"two worlds"},
    "linear_regression": {"noise"},
    "logistic_regression": {"two worlds"},
}
QUICK = [name for name in CATALOGUE if CATALOGUE[name].step is not None]


def examined(name, broken, epsilon=1.0, clip_norm=4.0, trials=10_000, seed=0):
    *_, last = (one for one in exhibits.examine(name, broken, Claim(epsilon, clip_norm, trials, seed)) if one)
    return last


def caught_by(exhibit):
    return {finding.check for finding in exhibit.findings if not finding.passed}


def test_every_bug_has_its_words():
    assert list(CAUGHT_BY) == list(CATALOGUE)
    for bug in CATALOGUE.values():
        assert all((bug.label, bug.promise, bug.slip, bug.who))
        assert len(bug.label) <= 26, "it must fit beside the grid"


@pytest.fixture(scope="module")
def every():
    return privlab.run("gallery", view="all", trials=6000)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_bug_is_caught_and_its_sound_twin_passes(name, every):
    broken, sound = every.of(name, True), every.of(name, False)
    assert CAUGHT_BY[name] <= caught_by(broken) <= CAUGHT_BY[name] | {"noise"}
    assert caught_by(sound) == set()
    assert not sound.caught
    assert broken.caught
    assert broken.progress == sound.progress == 1
    assert [f.check for f in broken.findings] == [f.check for f in sound.findings]
    assert CATALOGUE[name].shows in broken.drawn


@pytest.mark.parametrize(("epsilon", "clip_norm"), [(0.1, 0.77), (10, 0.1), (0.5, 10)])
def test_it_does_so_at_other_settings_too(epsilon, clip_norm):
    for name in QUICK:
        assert not examined(name, False, epsilon, clip_norm, 3000, seed=7).caught, name
        harmless = name == "unscaled_noise" and clip_norm < 1
        assert examined(name, True, epsilon, clip_norm, 3000, seed=7).caught is not harmless, name


def test_no_noise_is_always_caught():
    silent = bugs.Plan(clip_norm=4.0, noise_multiplier=0.0, divisor=8.0)
    rows = np.random.default_rng(0).standard_normal((8, 31))
    draws = checks.step_noise(
        lambda gradients, rng: bugs.sound(silent, gradients, rng), rows, np.random.default_rng(0), draws=500, divisor=8
    )
    assert not checks.noise(draws, scale=1e-6).passed


def test_bugs_do_what_is_said_of_them():
    def pull(name):
        return examined(name, True).findings[0].statistic

    assert pull("no_clipping") == pytest.approx(1e6)
    assert pull("clip_late") == pytest.approx(2 * bugs.RATE * exhibits.people(), rel=1e-3), "twice the batch size"
    assert pull("clip_layers") == pytest.approx(math.sqrt(2))
    assert pull("microbatches") == pytest.approx(2)
    assert examined("unscaled_noise", True).findings[1].statistic == pytest.approx(1 / 4, rel=0.05)
    share = 1 / (bugs.RATE * exhibits.people())
    assert examined("divided_twice", True).findings[1].statistic == pytest.approx(share, rel=0.05)


@pytest.mark.parametrize(("name", "clip_norm"), [("unscaled_noise", 1.0), ("logistic_regression", 0.1)])
def test_a_bug_hides_where_it_is_said_to(name, clip_norm):
    assert not examined(name, True, clip_norm=clip_norm).caught
    assert CATALOGUE[name].hides
    assert examined(name, True, clip_norm=1.2 if name == "unscaled_noise" else 3).caught


@pytest.mark.parametrize(("batches", "noise"), [(100, 1.0), (2, 3.0)])
def test_shuffling_costs_what_was_published(batches, noise):
    spent = bugs.spent_by_shuffling(noise, batches, 1e-5)
    c = np.linspace(-2, 15, 40_000)
    without, within = (1 - ndtr((c - at) / noise) * ndtr(c / noise) ** (batches - 1) for at in (1, 2))
    worth = (within > 1e-5) & (without > 1e-9)
    assert spent == pytest.approx(np.log((within[worth] - 1e-5) / without[worth]).max(), rel=1e-3)
    if batches == 100:
        assert spent == pytest.approx(4.06, abs=0.01), "where Poisson sampling would cost 0.72"


def test_shuffled_people_join_once_an_epoch():
    batches = bugs.shuffled(430, np.random.default_rng(0))
    assert len(batches) == bugs.STEPS
    assert sorted(np.concatenate(batches[:50])) == list(range(430))


def test_the_library_is_the_one_that_was_read():
    import inspect

    from diffprivlib.models import linear_regression

    assert metadata.version("diffprivlib") == "0.6.6"
    line = Path(inspect.getfile(linear_regression)).read_text("utf-8").splitlines()[143]
    assert "bounds_X[0][i], bounds_X[0][i]" in line


def test_the_librarys_line_has_no_noise_on_one_sum_and_fits_give_it_away():
    from diffprivlib import BudgetAccountant
    from diffprivlib.models import LinearRegression

    assert np.abs(examined("linear_regression", True, trials=2000).drawn["noise"]).max() < 1e-12
    # With everybody at 0 the sum is 0 and the slope unbounded; one person at 1 makes it finite.
    slopes = []
    for top in (0.0, 1.0):
        rows = np.append(np.zeros(9), top)[:, None]
        model = LinearRegression(
            epsilon=0.01, bounds_X=(0, 1), bounds_y=(0, 1), fit_intercept=False, random_state=0,
            accountant=BudgetAccountant(),
        )  # fmt: skip
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", DeprecationWarning)
            slopes.append(abs(float(model.fit(rows, rows[:, 0]).coef_[0])))
    assert slopes[0] > 1e100
    assert slopes[1] < 1e5


@pytest.mark.parametrize("world", [0, 1])
def test_the_classifier_is_the_librarys_own(world):
    from diffprivlib import BudgetAccountant
    from diffprivlib.mechanisms import Vector
    from diffprivlib.models import LogisticRegression

    from privlab.models import strictly

    made, told = exhibits.objective(Claim(1.0, 0.4, 2000, 0), broken=True)
    rows = np.append(np.full(50, made.length / 50), made.length * world)[:, None]
    labels = np.append(np.zeros(50), 1)
    for seed in range(4):
        with strictly():
            model = LogisticRegression(
                epsilon=1.0, data_norm=made.length, C=1 / made.strength, fit_intercept=False, tol=1e-10,
                max_iter=1000, random_state=seed, accountant=BudgetAccountant(),
            ).fit(rows, labels)  # fmt: skip
        mechanism = Vector(dimension=1, n=51, random_state=np.random.RandomState(seed), **told)
        noise = 51 * float(mechanism.randomise(exhibits._nothing)(np.ones(1)))
        ours = made.solve(np.array([noise]), world)[0]
        assert ours == pytest.approx(float(model.coef_[0, 0]), rel=1e-4, abs=1e-6)


def test_evidence_on_the_classifier_is_the_ratio_of_its_densities():
    made, _ = exhibits.objective(Claim(1.0, 0.4, 2000, 0), broken=True)
    w = np.linspace(-3, 3, 41)
    heights = []
    for world in (0, 1):
        slope = (made.pulls(w + 1e-6, world) - made.pulls(w - 1e-6, world)) / 2e-6
        heights.append(np.exp(-np.abs(made.pulls(w, world)) / made.scale) * slope)
    np.testing.assert_allclose(made.evidence(w), np.log(heights[1] / heights[0]), atol=1e-6)
    sound, _ = exhibits.objective(Claim(1.0, 4.0, 2000, 0), broken=False)
    assert np.abs(sound.evidence(np.linspace(-1e3, 1e3, 100_001))).max() <= 1
    broken, _ = exhibits.objective(Claim(1.0, 4.0, 2000, 0), broken=True)
    assert np.abs(broken.evidence(np.linspace(-1, 1, 100_001))).max() > 2.5, "really ε > 2.5 where 1 is claimed"


def test_opendps_noise_tells_less_by_its_last_digits_than_epsilon_allows():
    finer = 2.0**-53
    seen = []
    for truth in (0.0, 1.0):
        said = mechanisms.noisy(np.full(20_000, truth), "laplace", 1.0)
        seen.append(np.mean((np.abs(said) < 0.5) & (np.fmod(said, finer) != 0)))
    assert seen[1] > 0.05
    assert seen[0] < seen[1] * math.e * 1.2


def test_the_last_digits_of_the_librarys_noise_come_only_from_0():
    without, within = examined("low_digits", True).drawn["digits"][0]
    assert without > 0.2
    assert within == 0


def test_all_bugs_are_caught_and_no_twin_is_blamed(every):
    assert every.sentence.endswith("15 of 15 bugs are caught, and 0 of 15 sound twins are wrongly blamed.")
    assert every.progress == 1
    frame = every.frame()
    assert set(frame["bug"]) == set(CATALOGUE)
    assert every.count == len(frame)
    assert (every.summary()["caught by"] == "nothing").sum() == 15
    missed = frame[~frame["passed"]].groupby("check").size().sort_values(ascending=False)
    assert set(missed.index[:2]) == {"sensitivity", "noise"}, "the columns with most crosses"


def test_the_grid_shows_where(every):
    picture = gallery.Picture(Figure(figsize=gallery.Picture.size))
    assert picture.update(every)
    assert not picture.update(every)
    marks = {name: set(zip(*getattr(picture.grid, name).get_data(), strict=True)) for name in ("caught", "blind")}
    rows, columns = list(CATALOGUE), list(checks.CHECKS)
    for name, wanted in CAUGHT_BY.items():
        there = {columns[int(x)] for x, y in marks["caught"] if y == rows.index(name)}
        assert wanted <= there <= wanted | {"noise"}, name
    assert (columns.index("noise"), rows.index("no_clipping")) in marks["blind"]
    assert len(picture.grid.sound.get_xdata()) == 15


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_picture_tells_broken_from_sound(name, every):
    picture = gallery.Picture(Figure(figsize=gallery.Picture.size))
    found = tuple(one for one in every.exhibits if one.bug == name)
    result = gallery.Result(gallery.Settings(bug=name), found, 1.0)
    picture.update(result)
    said = {kind: side.verdict.get_text() for kind, side in picture.sides.items()}
    assert said == {True: "✖ Broken: caught", False: "✔ Sound twin: passes"}
    for kind, side in picture.sides.items():
        assert side.says.get_text()
        assert " …" not in f"{side.does.get_text()} {side.says.get_text()}", "words are cut off"
        assert any(artist.get_visible() for artist in side.drawn), kind
    assert CATALOGUE[name].who in result.sentence


def test_the_picture_says_where_nothing_is_caught():
    picture = gallery.Picture(Figure(figsize=gallery.Picture.size))
    result = privlab.run("gallery", bug="unscaled_noise", clip_norm=1.0)
    picture.update(result)
    assert picture.sides[True].verdict.get_text() == "? Broken: not caught here"
    assert "is not caught. With C at 1 or less there is noise enough." in result.sentence


def test_more_trials_prove_more():
    few, many = (examined("logistic_regression", True, trials=n).findings[-1].statistic for n in (2000, 20_000))
    assert many > few + 0.2
