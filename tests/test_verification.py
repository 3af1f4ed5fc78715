"""`verify` tells broken promises from sound ones, says what it did, and refuses bad input before any work."""

import math

import numpy as np
import pytest

import privlab
from privlab import accounting, telling, verification
from privlab.sandwich import rounded_down

WITHOUT, WITH = np.zeros(10), np.append(np.zeros(10), 1.0)
DELTA = 1e-5


def laplace(scale, digits=9):
    """A sum with Laplace noise, rounded so that its last binary digits tell nothing."""
    return lambda data, rng: round(data.sum() + rng.laplace(scale=scale), digits)


def check(release, epsilon=1.0, **values):
    return privlab.verify(release, WITHOUT, WITH, epsilon=epsilon, **({"trials": 8000, "seed": 0} | values))


def test_a_sound_release_passes_and_the_report_says_what_that_is_worth():
    report = check(laplace(1.0), trials=None)
    assert report.ok
    assert report.trials == verification.TRIALS == 50_000
    assert report.bound.without_trials == report.bound.with_trials == 25_000
    assert 0.9 < report.lower_bound <= 1 < report.ceiling
    assert report.claimed == 1
    assert report.words.startswith(f"Nothing found against ε = 1: this attack shows ε ≥ {report.lower_bound:.2g}")
    assert "does not prove the promise" in report.words
    assert report.why.startswith("50,000 runs in each world; a pair of runs takes ")


def test_half_the_noise_is_flagged():
    report = check(laplace(0.5))
    assert not report.ok
    assert 1.7 < report.lower_bound <= 2
    assert report.words.startswith("The promise of ε = 1 is broken: ε is at least 1.")


@pytest.mark.parametrize(
    ("release", "looked_at"),
    [
        (lambda data, rng: np.zeros(len(data)), telling.KINDS),
        (lambda data, rng: [rng.normal(), math.nan if data.sum() and rng.random() < 0.05 else 1], telling.KINDS),
        (lambda data, rng: {"kept": None if data.sum() and rng.random() < 0.05 else 1.0}, telling.KINDS),
        (lambda data, rng: math.inf if data.sum() and rng.random() < 0.05 else rng.normal(), telling.KINDS),
        (lambda data, rng: data.sum() + rng.laplace(), telling.DIGITS),
        (lambda data, rng: [rng.normal(), data.sum() + rng.laplace()], telling.DIGITS),
        (lambda data, rng: 1.5 if data.sum() and rng.random() < 0.05 else round(rng.normal(), 6), "how often"),
        (lambda data, rng: data.sum() + np.random.default_rng(7).laplace(), "the number"),
        (lambda data, rng: round(rng.normal(scale=1 + data.sum()), 6), "how often"),
    ],
    ids=["length", "nan", "absent", "infinite", "float noise", "float noise in a vector", "point mass", "one seed",
         "noise by the data"],
)  # fmt: skip
def test_giveaways_are_found_without_being_told_where(release, looked_at):
    report = check(release, epsilon=3.0)
    assert not report.ok
    assert report.looked_at.startswith(looked_at)
    assert report.looked_at in report.words


def test_worlds_that_are_never_mistaken_show_the_ceiling():
    report = check(lambda data, rng: np.zeros(len(data)))
    assert report.lower_bound == report.ceiling
    assert "no ε may cover this at all" in report.words


def test_opendp_noise_has_no_telling_digits():
    from privlab import mechanisms

    def release(data, rng):
        return mechanisms.noisy(np.array([data.sum()]), "laplace", 1.0)

    report = check(release, trials=4000, confidence=1 - 1e-6)  # its noise is fresh at every run of the tests
    assert report.ok, report.words
    assert report.looked_at != telling.DIGITS


def correlated(noise):
    """Two numbers, each with loud noise, whose difference has little."""

    def release(data, rng):
        shared = 100 * rng.normal()
        return np.round([shared, shared + data.sum() + rng.laplace(scale=noise)], 8)

    return release


def test_a_vector_is_weighed_as_a_whole():
    assert check(correlated(1.0)).ok
    report = check(correlated(0.5))
    assert not report.ok
    assert "weighted sum" in report.looked_at


def spread_out(sigma):
    """The person moves 20 numbers a little each, with length 1 together."""
    return lambda data, rng: np.round(data.sum() / math.sqrt(20) + sigma * rng.normal(size=20), 9)


def test_a_declared_shape_sees_more():
    sigma = accounting.gaussian_noise_multiplier(epsilon=1, delta=DELTA)
    given = {"delta": DELTA, "family": "gaussian"}
    assert check(spread_out(sigma), **given).ok
    shaped, free = check(spread_out(0.6 * sigma), **given), check(spread_out(0.6 * sigma), delta=DELTA)
    assert not shaped.ok
    assert shaped.lower_bound > free.lower_bound
    assert not check(laplace(1.0), delta=DELTA, family="gaussian").ok, "which is why it must be declared"


@pytest.mark.parametrize(
    "release",
    [
        lambda data, rng: (data.sum() > 0) ^ (rng.random() < 1 / (1 + math.e)),
        laplace(1.0),
    ],
    ids=["randomised response", "Laplace"],
)
def test_sound_mechanisms_are_rarely_flagged(release):
    """Both spend their whole ε; 35 of 400 would be 8.75 %, where 5 % are allowed on average."""
    flagged = sum(not check(release, trials=200, seed=seed).ok for seed in range(400))
    assert flagged <= 35


def test_a_small_excess_is_called_what_it_may_be():
    report = check(laplace(0.92), trials=40_000)
    assert 1 < report.lower_bound < 1.1
    assert "up to 5 of 100 sound releases are flagged: test again with another seed" in report.words
    assert "bad luck" not in check(laplace(0.5)).words


def test_too_few_runs_give_no_verdict():
    report = check(lambda data, rng: np.zeros(len(data)), epsilon=5.0, trials=40)
    assert report.ok
    assert report.ceiling < 5
    assert report.words.startswith("No verdict: 40 runs in each world cannot show an ε above")


def test_slow_and_large_releases_run_less_often_and_the_report_says_so(monkeypatch):
    monkeypatch.setattr(verification, "SECONDS", 0.02)
    monkeypatch.setattr(verification, "LEAST", 50)
    report = check(lambda data, rng: np.sort(rng.laplace(size=20_000))[:3] * 0 + rng.integers(9, size=3), trials=None)
    assert report.trials == 50
    assert report.why.startswith("50 runs in each world instead of 50,000, for a pair of runs takes ")
    monkeypatch.setattr(verification, "NUMBERS", 6000)
    report = check(lambda data, rng: rng.integers(9, size=30), trials=None)
    assert report.trials == 100
    assert report.why == "100 runs in each world instead of 50,000, for each returns 30 numbers."


def test_a_seed_repeats_the_runs():
    assert check(laplace(1.0), trials=500).bound == check(laplace(1.0), trials=500).bound
    assert check(laplace(1.0), trials=500).bound != check(laplace(1.0), trials=500, seed=1).bound


class Watch:
    """Stops after so many looks."""

    def __init__(self, looks):
        self.left, self.seen, self.closed = looks, [], False

    def show(self, done, total):
        self.seen.append((done, total))

    @property
    def stopped(self):
        self.left -= 1
        return self.left < 0

    def close(self):
        self.closed = True


def test_stopping_judges_the_runs_made():
    watch = Watch(400)
    report = check(laplace(1.0), watch=watch)
    assert 400 < report.trials < 420
    assert report.why.startswith(f"Stopped after {report.trials} of 8,000 runs in each world.")
    assert watch.seen[0][1] == 8000
    assert watch.closed


def interrupted(at):
    """A release whose kernel is interrupted at a run."""
    runs = iter(range(10**6))

    def release(data, rng):
        if next(runs) == at:
            raise KeyboardInterrupt
        return laplace(1.0)(data, rng)

    return release


def test_interrupting_the_kernel_stops_where_a_bar_is_shown_and_ends_a_script():
    report = check(interrupted(1001), watch=Watch(10**6))
    assert report.trials == 500
    with pytest.raises(KeyboardInterrupt):
        check(interrupted(1001))
    with pytest.raises(ValueError, match=r"'trials' must be at least 16\. Stopped after 9"):
        check(laplace(1.0), watch=Watch(0))


def test_a_failing_release_is_not_swallowed_and_the_bar_goes_away():
    watch, runs = Watch(10**6), iter(range(10**6))
    with pytest.raises(ZeroDivisionError):
        check(lambda data, rng: 1 / (100 - next(runs)), watch=watch)
    assert watch.closed


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"release": 3}, TypeError, "'release' must be callable or have a fit method. Got int."),
        ({"neighbour": WITHOUT}, ValueError, "'neighbour' must differ from 'data'. Got the same object."),
        ({"epsilon": 0}, ValueError, "'epsilon' must be in (0, inf). Got 0."),
        ({"epsilon": "1"}, TypeError, "'epsilon' must be a number. Got str."),
        ({"delta": -0.1}, ValueError, "'delta' must be in [0, 1). Got -0.1."),
        ({"delta": 0, "family": "gaussian"}, ValueError, "'delta' must be in (0, 1). Got 0."),
        ({"confidence": 1}, ValueError, "'confidence' must be in (0, 1). Got 1."),
        ({"trials": 15}, ValueError, "'trials' must be at least 16. Got 15."),
        ({"trials": 100.0}, TypeError, "'trials' must be a whole number. Got float."),
        ({"seed": -1}, ValueError, "'seed' must be at least 0. Got -1."),
        ({"family": "pld"}, ValueError, "'family' must be among any, gaussian. Got 'pld'."),
    ],
)
def test_bad_input_is_refused_before_any_run(values, error, message):
    def never(data, rng):
        raise AssertionError

    given = {"release": never, "data": WITHOUT, "neighbour": WITH, "epsilon": 1.0} | values
    with pytest.raises(error) as caught:
        privlab.verify(given.pop("release"), given.pop("data"), given.pop("neighbour"), **given)
    assert str(caught.value) == message


def test_a_release_of_words_is_refused_and_not_shown():
    with pytest.raises(TypeError, match=r"^'release' must return numbers. Got str.$"):
        check(lambda data, rng: "a secret")


class Mean:
    """A small estimator in scikit-learn's manner: a private mean, with or without enough noise."""

    def __init__(self, noise=1.0, random_state=3):
        self.noise, self.random_state = noise, random_state

    def get_params(self, deep=True):
        return {"noise": self.noise, "random_state": self.random_state}

    def set_params(self, **values):
        self.__dict__.update(values)
        return self

    def fit(self, X, y):
        rng = np.random.default_rng(self.random_state)
        self.mean_ = round(float(np.sum(X[:, 0] * y)) + rng.laplace(scale=self.noise), 9)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def test_an_estimator_is_fitted_anew_each_time():
    X, y = np.ones((12, 1)), np.r_[np.zeros(11), 1]
    without, with_ = (X[:11], y[:11]), (X, y)
    given = {"epsilon": 1.0, "trials": 4000, "seed": 0}
    assert privlab.verify(Mean(), without, with_, **given).ok
    report = privlab.verify(Mean(0.5), without, with_, **given)
    assert not report.ok
    assert report.lower_bound < 2


def test_the_report_shows_itself_and_opens_no_figure():
    import matplotlib.pyplot as plt

    for report in (check(laplace(0.5), trials=400), check(lambda data, rng: np.zeros(len(data)), trials=400)):
        assert report._repr_png_().startswith(b"\x89PNG")
        page = report._repr_html_()
        assert "data:image/png;base64," in page
        assert report.words in page
        assert repr(report).startswith(report.words)
        sizes = [text.get_fontsize() for ax in report.figure.axes for text in ax.texts] + [
            text.get_fontsize() for text in report.figure.texts
        ]
        assert min(sizes) >= 12
    assert plt.get_fignums() == []


def test_the_bar_of_a_notebook_stops_and_leaves_no_widget_behind():
    from ipywidgets.widgets.widget import _instances

    from privlab.panel.progress import Progress

    before = set(_instances)
    bar = Progress("Testing <b>")
    bar.show(250, 1000)
    assert bar._bar.value == 0.25
    assert bar._words.value == "Testing &lt;b&gt;: 250 of 1,000"
    assert not bar.stopped
    bar._stop.click()
    assert bar.stopped
    bar.close()
    assert set(_instances) == before


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (1.2399, "1.23"), (1.0, "1"), (0.07777, "0.0777"), (12.39, "12.3")]
)
def test_lower_bounds_are_rounded_down(value, words):
    assert rounded_down(value) == words


def test_last_digits():
    values = np.array([1.0, 1.5, 3 * 2.0**-60, 0.0, -0.75, 6.0])
    np.testing.assert_array_equal(telling.last_digits(values), [0, -1, -60, telling.ZERO, -2, 1])


def test_a_table_gives_repeated_values_their_own_cells():
    rng = np.random.default_rng(0)
    without, with_ = rng.normal(size=1000), np.r_[rng.normal(size=900), np.full(100, 0.123)]
    table = telling.Table.learn(without, with_)
    assert 0.123 in table.atoms
    assert table(np.array([0.123]))[0] > 3
    assert abs(table(np.array([0.1230001]))[0]) < 1


def test_the_judged_runs_alone_decide():
    """What only the runs that are learned from and chosen by give away is no evidence."""
    made = {0: 0, 1: 0}

    def release(world, rng):
        made[world] += 1
        return 5.0 * world if made[world] % 2 else 0.0

    report = privlab.verify(release, 0, 1, epsilon=1, trials=2000)
    assert report.lower_bound == 0
    assert report.ok


def test_what_is_missing_is_part_of_an_output():
    given = [
        [1, 2],
        [math.nan, 2],
        [1, math.nan],
        [math.inf, 2],
        [-math.inf, 2],
        [1, None],
        [1],
        {"a": [1, 2]},
        [[1, 2]],
    ]
    assert len({telling.read(one).kind for one in given}) == len(given)
    assert telling.read([1, 2]).kind == telling.read([3, 4]).kind
    np.testing.assert_array_equal(telling.read([math.nan, 2.5]).values, [0, 2.5])
