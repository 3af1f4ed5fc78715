"""A promise put to the test: a release runs in two worlds, with one person and without, and is told apart or not.

The runs fall into three parts. On the first, several scores learn to tell the worlds apart; on the second, the best
score, its threshold and direction are chosen; on the third, half of all, they are judged, once. So nothing that was
found by searching is counted as evidence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import audit, telling, watching
from privlab.audit import Bound
from privlab.error_rates import Family
from privlab.sandwich import draw_report, rounded_down
from privlab.watching import Silent, Watch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from privlab.dpsgd import Array

TRIALS = 50_000  # runs in each world, where they are cheap
SECONDS = 40.0  # that the runs may take where their number is not given
LEAST = 200  # runs in each world that are made however long they take
STOPPED = "Nothing about the outcome is shown before the end, so stopping cannot favour any."
FEWEST = 16  # that may be asked for
NUMBERS = 20_000_000  # numbers kept of all runs
TIMED = 8  # runs in each world by which their pace is measured
PARTS = slice(0, None, 4), slice(2, None, 4), slice(1, None, 2)  # to learn, to choose, to judge
AS_GOOD = 0.97  # of the best score's promise, to be taken for as good
CLOSE = 1.1  # times the claim: what may be luck
LOOK = 0.1  # seconds between two looks at the bar
PROBES = 32  # rows on which a fitted estimator is asked for predictions

Release = Callable[[Any, np.random.Generator], Any]


@dataclass(frozen=True)
class Report:
    """What the test of a promise found.

    Attributes
    ----------
    bound : privlab.audit.Bound
        The lower bound, and the counts that it rests on.
    claimed : float
        The ε that was claimed, at `bound.delta`.
    looked_at : str
        What of the output told the worlds apart best.
    trials : int
        Runs made in each world; half of them judged.
    why : str
        Why there were so many.
    seconds : float
    scores : (array, array)
        The judged runs' scores, without and with the person.
    """

    bound: Bound
    claimed: float
    looked_at: str
    trials: int
    why: str
    seconds: float
    scores: tuple[Array, Array]

    @property
    def lower_bound(self) -> float:
        """With the confidence asked for, ε is at least this."""
        return self.bound.lower_bound

    @property
    def ceiling(self) -> float:
        """What so many runs could have shown at most."""
        return self.bound.ceiling

    @property
    def ok(self) -> bool:
        """Whether nothing was found against the claim; see `words` for what that is worth."""
        return self.lower_bound <= self.claimed

    @property
    def words(self) -> str:
        """The finding, and what it is worth."""
        b = self.bound
        promise = f"ε = {self.claimed:.3g}" + (f", δ = {b.delta:g}" if b.delta else "")
        rates = (
            f"Of {b.without_trials:,} judged runs without the person {b.false_positives:,} were taken for runs with "
            f"them, and of {b.with_trials:,} with them {b.with_trials - b.false_negatives:,} were, "
            f"by {self.looked_at}."
        )
        sure = f"at {100 * b.confidence:g} % confidence"
        if not self.ok:
            never = b.false_positives == b.false_negatives == 0
            tail = " The two worlds were never mistaken for each other: no ε may cover this at all." if never else ""
            if self.looked_at == telling.DIGITS:
                tail += (
                    " Its noise may be loud enough; but it is floating-point noise, whose last digits tell what it was "
                    "added to. Exact noise does not, and rounding hides most of it."
                )
            elif b.lower_bound < CLOSE * self.claimed:
                tail += (
                    f" So small an excess may be bad luck, for up to {100 * (1 - b.confidence):.2g} of 100 sound "
                    "releases are flagged: test again with another seed."
                )
            least = rounded_down(b.lower_bound)
            return f"The promise of {promise} is broken: ε is at least {least}, {sure}. {rates}{tail}"
        if self.ceiling <= self.claimed:
            return (
                f"No verdict: {self.trials:,} runs in each world cannot show an ε above {self.ceiling:.3g}, whatever "
                f"they find, and {promise} is claimed. More runs can."
            )
        return (
            f"Nothing found against {promise}: this attack shows ε ≥ {rounded_down(b.lower_bound)}, {sure}. {rates} "
            f"So many runs could have shown an ε of up to {self.ceiling:.3g}. This does not prove the promise; "
            "another attack, or another pair of data sets, may see more."
        )

    @cached_property
    def figure(self) -> Figure:
        """The picture: bounds and claim on one axis, and both worlds' scores."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.2, 4.3))
        draw_report(figure, self)
        return figure

    def __repr__(self) -> str:
        return f"{self.words} {self.why}"

    def _repr_png_(self) -> bytes:
        import io

        from matplotlib.backends.backend_agg import FigureCanvasAgg

        file = io.BytesIO()
        FigureCanvasAgg(self.figure)
        self.figure.savefig(file, format="png", dpi=150)
        return file.getvalue()

    def _repr_html_(self) -> str:
        import base64
        from html import escape

        picture, words = base64.b64encode(self._repr_png_()).decode(), escape(self.words)
        return (
            f"<img alt='{words}' style='width:820px;max-width:100%' src='data:image/png;base64,{picture}'>"
            f"<p style='font-size:16px;line-height:1.45;max-width:780px'>{words}</p>"
            f"<p style='font-size:14px;color:#555;max-width:780px'>{escape(self.why)}</p>"
        )


def verify(
    release: Release | Any,
    data: Any,
    neighbour: Any,
    *,
    epsilon: float,
    delta: float = 0.0,
    confidence: float = 0.95,
    trials: int | None = None,
    family: Family = "any",
    seed: int | None = None,
    watch: Watch | None = None,
) -> Report:
    """Put a promise of (ε, δ) to the test: can two data sets be told apart better than it allows?

    Parameters
    ----------
    release : callable or scikit-learn estimator
        ``release(data, rng)`` returns numbers: one, an array, or a nesting of them, and leaves the data as they were.
        `rng` is a NumPy generator; noise may also come from elsewhere, fresh at every call. Of an estimator, a clone
        is fitted on ``(X, y)`` each time; its fitted numbers and its predictions are looked at. An integer
        `random_state` is replaced by a fresh one.
    data, neighbour : any
        Two data sets that the promise says can hardly be told apart: `neighbour` has one person more, or another one,
        as the promise has it. Choose a person who sticks out.
    epsilon : float
        The ε claimed, positive.
    delta : float in [0, 1)
    confidence : float in (0, 1)
        How rarely a sound release may be flagged: at 0.95 in one of twenty tests at most.
    trials : int, optional
        Runs in each world, at least 16. Default: 50,000, or as many as take some 40 seconds, but no less than 200.
    family : {"any", "gaussian"}
        "any" holds for every release. "gaussian" sees more, and only for noise that is Gaussian throughout; it flags
        sound Laplace noise.
    seed : int, optional
        Makes the runs repeatable, as far as their noise comes from `rng`.
    watch : Watch, optional
        Default: in a notebook a progress bar with Stop. Stopping, or interrupting the kernel, judges the runs made.

    Returns
    -------
    Report
        With `.ok`, `.lower_bound`, `.ceiling`, `.claimed`, `.words` and `.figure`; shown as picture and words.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range, or a release returns anything but numbers.
    """
    _check(release, data, neighbour, epsilon, delta, confidence, trials, family, seed)
    run = release if callable(release) else _of_estimator(release, (data, neighbour))
    start = time.perf_counter()
    worlds, why = _collect(run, (data, neighbour), trials, seed, watch)
    first, second, judged = ([world[part] for world in worlds] for part in PARTS)
    settings: dict[str, Any] = {"delta": delta, "confidence": confidence, "family": family}
    found = {}
    for name, score in telling.learn(*first).items():
        found[name] = score, audit.choose(*map(score, second), **settings)
    best = max(rule.promise for _, rule in found.values())
    enough = min(best, AS_GOOD * best)
    name = next(name for name, (_, rule) in found.items() if rule.promise >= enough)  # the simplest comes first
    score, rule = found[name]
    scores = score(judged[0]), score(judged[1])
    return Report(rule.judge(*scores), float(epsilon), name, len(worlds[0]), why, time.perf_counter() - start, scores)


def _check(
    release: Any, data: Any, neighbour: Any, epsilon: Any, delta: Any, confidence: Any, trials: Any, family: Any,
    seed: Any,
) -> None:  # fmt: skip
    if not callable(release) and not hasattr(release, "fit"):
        raise TypeError(f"'release' must be callable or have a fit method. Got {type(release).__name__}.")
    if data is neighbour:
        raise ValueError("'neighbour' must differ from 'data'. Got the same object.")
    if family not in ("any", "gaussian"):
        raise ValueError(f"'family' must be among any, gaussian. Got {family!r}.")
    for name, value, low, high in (
        ("epsilon", epsilon, 0, math.inf), ("delta", delta, 0, 1), ("confidence", confidence, 0, 1),
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"'{name}' must be a number. Got {type(value).__name__}.")
        closed = name == "delta" and family == "any"
        if not (low < value < high or (closed and value == low)):
            raise ValueError(f"'{name}' must be in {'[' if closed else '('}{low}, {high}). Got {value}.")
    for name, value, least in (("trials", trials, FEWEST), ("seed", seed, 0)):
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"'{name}' must be a whole number. Got {type(value).__name__}.")
            if value < least:
                raise ValueError(f"'{name}' must be at least {least}. Got {value}.")


def _collect(
    run: Release, data: tuple[Any, Any], trials: int | None, seed: int | None, watch: Watch | None
) -> tuple[list[list[telling.Output]], str]:
    """Outputs of both worlds, as many of each, and why that many."""
    rngs = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2)]
    worlds: list[list[telling.Output]] = [[], []]

    def once() -> None:
        for world in (0, 1):  # by turns, so that whatever drifts drifts in both
            worlds[world].append(telling.read(run(data[world], rngs[world])))

    once()  # what is made at the first call does not count for the pace
    start = time.perf_counter()
    for _ in range(TIMED):
        once()
    pace = (time.perf_counter() - start) / TIMED
    total, why = _how_many(trials, pace, worlds[0][0].values.size)
    looked = 0.0
    with closing(watch or watching.bar("Putting the promise to the test")) as bar:
        try:
            while len(worlds[0]) < total and not bar.stopped:
                once()
                if time.perf_counter() - looked > LOOK:
                    looked = time.perf_counter()
                    bar.show(len(worlds[0]), total)
        except KeyboardInterrupt:
            if isinstance(bar, Silent):
                raise
            # else a person's Stop, where a busy kernel does not hear buttons
    made = min(map(len, worlds))
    if made < total:
        why = f"Stopped after {made:,} of {total:,} runs in each world. {STOPPED}"
    if made < FEWEST:
        raise ValueError(f"'trials' must be at least {FEWEST}. Stopped after {made}.")
    return [world[:made] for world in worlds], why


def _how_many(trials: int | None, pace: float, size: int) -> tuple[int, str]:
    """How many runs in each world, and why, at a pace of seconds for a pair of runs of `size` numbers."""
    most = max(LEAST, NUMBERS // (2 * max(size, 1)))
    if trials is not None:
        return trials, f"{trials:,} runs in each world, as asked for."
    affordable = int(SECONDS / max(pace, 1e-9))
    total = min(TRIALS, max(LEAST, affordable), most)
    each = f"a pair of runs takes {1000 * pace:.2g} ms"
    if total == TRIALS:
        return total, f"{total:,} runs in each world; {each}."
    if total == most:
        return total, f"{total:,} runs in each world instead of {TRIALS:,}, for each returns {size:,} numbers."
    return total, f"{total:,} runs in each world instead of {TRIALS:,}, for {each}. More can show more: see 'trials'."


def _of_estimator(estimator: Any, data: tuple[Any, Any]) -> Release:
    """A release that fits a clone and returns its fitted numbers and predictions on rows of both data sets."""
    from sklearn.base import clone

    (X, *_), (other, *_) = data
    probes = X[: PROBES // 2], X[-PROBES // 4 :], other[-PROBES // 4 :]  # a person who was added often stands last

    def release(given: Any, rng: np.random.Generator) -> list[Any]:
        fitted = clone(estimator)
        if isinstance(getattr(fitted, "random_state", None), int | np.integer):
            fitted.set_params(random_state=int(rng.integers(2**31)))
        fitted.fit(*given)
        return [*_fitted_numbers(fitted), *(_predictions(fitted, rows) for rows in probes)]

    return release


def _fitted_numbers(fitted: Any) -> Iterator[Array]:
    """What a fitted estimator keeps by scikit-learn's naming: public names that end in an underscore."""
    kept = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    for name in sorted(kept | {"coef_", "intercept_"}):
        value = np.asarray(getattr(fitted, name, None))
        if value.dtype.kind in "biuf":
            yield value


def _predictions(fitted: Any, rows: Any) -> Array:
    for name in ("decision_function", "predict_proba", "predict"):
        if hasattr(fitted, name):
            values = np.asarray(getattr(fitted, name)(rows))
            return values if values.dtype.kind in "biuf" else np.searchsorted(fitted.classes_, values)
    return np.empty(0)
