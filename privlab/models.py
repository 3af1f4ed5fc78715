"""The catalogue of models: each is one entry, used only where its guarantee holds.

A *batched* model is trained by `privlab.dpsgd`, a whole ε × seed grid at once. A *fitted* one is a function, mostly
around another library's estimator, that is called one fit at a time in a worker process.

What diffprivlib's models uphold was read from their source, and what they miss is made good here. All three take the
number of rows as public, so they protect against *replacing* one row; two of them must then be given less than ε:

- LogisticRegression (objective perturbation, Chaudhuri et al. 2011) is sound for rows of norm 1 at most, the constant
  among them, and at the exact optimum. Several classes are fitted one against the rest with ε shared out between them.
- GaussianNB spends ε/3 each on class counts, means and variances. A row whose label changes leaves one class and enters
  another: that counts twice in counts and variances (in the means once, since with bounds [-1, 1] diffprivlib's
  sensitivity is double what leaving takes), so it spends 5/3 of what it is given.
- RandomForestClassifier draws its trees without looking and lets each row vote in one leaf of one tree. A replaced row
  leaves one leaf and enters another, so it spends twice what it is given. An added row would shift all others between
  trees: it upholds nothing for adding or removing.

The classes of the first two are those in the data; one made-up blank row of each class keeps an absent one from
showing. Its LinearRegression breaks its own ε; "sufficient-statistics" stands in its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from privlab import accounting, dpsgd

if TYPE_CHECKING:
    from privlab.cards import Card
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array, Plan, Seed, TrainingData

TASKS = frozenset({"binary", "multiclass", "regression"})
CLASSIFY = frozenset({"binary", "multiclass"})
Fit = Callable[["Dataset", float, float, "Seed"], "Array"]


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue.

    Attributes
    ----------
    name, label : str
        As in settings and tables; as on a curve.
    tasks : frozenset of {"binary", "multiclass", "regression"}
    promise : str
        What its ε covers and assumes, in a sentence. Empty: not private.
    whole_people : bool
        Whether it can protect a person who has several rows; otherwise it protects rows.
    fit : callable or None
        (dataset, epsilon, delta, seed) -> predictions for `dataset.evaluation`: class codes, or the scaled target.
        None: a batched model.
    hidden, fastest, pace : int, float, float
        Of a batched model; see `dpsgd.Plan` and `dpsgd.steady_rate`.
    """

    name: str
    label: str
    tasks: frozenset[str]
    promise: str = ""
    whole_people: bool = False
    fit: Fit | None = None
    hidden: int = 0
    fastest: float = 2.0
    pace: float = 0.12

    def plan(
        self, data: TrainingData, noise_multiplier: Array, clip_norm: Array, sampling_rate: float, steps: int
    ) -> Plan:
        """How to train it, batched, at each noise multiplier and clipping norm (K,)."""
        inputs, outputs = data.X.shape[1], data.outputs
        size = inputs * self.hidden + (self.hidden + 1) * outputs if self.hidden else inputs * outputs
        rate = dpsgd.steady_rate(noise_multiplier, size, sampling_rate * data.units, self.fastest, self.pace)
        sigma, clips = np.asarray(noise_multiplier, np.float32), np.asarray(clip_norm, np.float32)
        return dpsgd.Plan(sigma, clips, sampling_rate, steps, self.hidden, rate)

    def unfit_for(self, card: Card, unit: str) -> str:
        """Why it cannot be used there, in words; empty if it can."""
        task = card.schema.task
        if task not in self.tasks:
            return f"'{self.name}' is for {' and '.join(sorted(self.tasks))} tasks; '{card.name}' is {task}."
        if unit == "person" and card.max_rows_per_person > 1 and not self.whole_people:
            return f"'{self.name}' protects rows; in '{card.name}' a person has several. Choose unit='row'."
        return ""


def _decide(dataset: Dataset, decision: Array) -> Array:
    """Class codes or clamped targets (K, rows) from raw predictions (K, outputs, rows)."""
    if dataset.task == "binary":
        return decision[:, 0] > 0
    if dataset.task == "multiclass":
        return decision.argmax(axis=1)
    return np.clip(decision[:, 0], -1, 1)


def losses(dataset: Dataset, predictions: Array) -> Array:
    """Loss of each evaluation row: 0 or 1 for classes, the squared error for a regression, in the shape given."""
    y = dataset.evaluation[1]
    return (predictions - y) ** 2 if dataset.task == "regression" else predictions != y


def batched_losses(dataset: Dataset, decision: Array) -> Array:
    """`losses` of a batched model's raw predictions: (K, rows)."""
    return losses(dataset, _decide(dataset, decision))


def score(dataset: Dataset, loss: Array) -> Array:
    """Accuracy, or R² for a regression, over the last axis of `loss`."""
    mean = loss.mean(axis=-1)
    return 1 - mean / np.var(dataset.evaluation[1]) if dataset.task == "regression" else 1 - mean


def floor(dataset: Dataset) -> float:
    """The score of knowing nothing of a person: the most common class, or the mean."""
    if dataset.task == "regression":
        return 0.0
    common = np.bincount(dataset.y_train, minlength=len(dataset.classes)).argmax()
    return float(np.mean(dataset.evaluation[1] == common))


def _scikit(make: Callable[[str, int], Any]) -> Fit:
    def fit(dataset: Dataset, epsilon: float, delta: float, seed: Seed) -> Array:
        estimator = make(dataset.task, sum(seed)).fit(dataset.X_train, dataset.y_train)
        return np.asarray(estimator.predict(dataset.evaluation[0]))

    return fit


def _linear(task: str, seed: int) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    return LinearRegression() if task == "regression" else LogisticRegression(max_iter=1000)


def _boosting(task: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return kind(random_state=seed)


@contextmanager
def strictly() -> Iterator[None]:
    """Turn diffprivlib's warnings that a guarantee is lost into errors."""
    from diffprivlib.utils import PrivacyLeakWarning
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        warnings.simplefilter("error", ConvergenceWarning)  # short of the optimum the guarantee is gone
        # diffprivlib passes SciPy an option that has no effect any more and goes in SciPy 1.18.
        warnings.filterwarnings("ignore", ".*`disp` and `iprint`", DeprecationWarning)
        yield


def _diffprivlib(
    make: Callable[[Dataset, float, Any], Any], prepare: Callable[[Dataset, Array], Array], blank: bool = True
) -> Fit:
    """A fit by one of diffprivlib's classifiers, which `make` makes of (dataset, epsilon, shared arguments).

    `prepare` turns encoded features into the model's own, row by row and from the card alone; `blank` adds a made-up
    row of each class.
    """

    def fit(dataset: Dataset, epsilon: float, delta: float, seed: Seed) -> Array:
        from diffprivlib import BudgetAccountant

        X, y = prepare(dataset, dataset.X_train), dataset.y_train
        if blank:
            codes = np.arange(len(dataset.classes), dtype=y.dtype)
            X = np.concatenate([X, np.zeros((len(codes), X.shape[1]))])
            y = np.concatenate([y, codes])
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        shared = {"random_state": number, "accountant": BudgetAccountant()}
        with strictly():
            estimator = make(dataset, epsilon, shared).fit(X, y)
        return np.asarray(estimator.predict(prepare(dataset, dataset.evaluation[0])))

    return fit


def _unit_rows(dataset: Dataset, X: Array) -> Array:
    """Features and a constant, divided by the greatest norm that the card allows: a column adds 1 to its square."""
    rows = np.ones((len(X), X.shape[1] + 1))
    rows[:, :-1] = X
    rows /= np.sqrt(len(dataset.schema.columns) + 1)
    return rows


def _codes(dataset: Dataset, X: Array) -> Array:
    """One number in [0, 1] a column; of a category its place among the declared ones."""
    parts, start = [], 0
    for column in dataset.schema.columns:
        values = X[:, start : start + len(column.features)]
        start += len(column.features)
        parts.append(values.argmax(axis=1) / (values.shape[1] - 1) if column.categories else (values[:, 0] + 1) / 2)
    return np.column_stack(parts)


def _logistic(dataset: Dataset, epsilon: float, shared: Any) -> Any:
    from diffprivlib.models import LogisticRegression

    fits = 1 if dataset.task == "binary" else len(dataset.classes)
    return LogisticRegression(
        epsilon=epsilon,
        data_norm=1.0,
        C=0.1 * epsilon / fits,  # tuned once on Adult: the louder the noise, the stronger the regularisation
        fit_intercept=False,
        tol=1e-7,
        max_iter=1000,
        **shared,
    )


def _naive_bayes(dataset: Dataset, epsilon: float, shared: Any) -> Any:
    from diffprivlib.models import GaussianNB

    return GaussianNB(epsilon=epsilon * 3 / 5, bounds=(-1, 1), var_smoothing=0.03, **shared)


def _forest(dataset: Dataset, epsilon: float, shared: Any) -> Any:
    from diffprivlib.models import RandomForestClassifier

    classes = np.arange(len(dataset.classes))
    return RandomForestClassifier(10, epsilon=epsilon / 2, bounds=(0, 1), classes=classes, max_depth=8, **shared)


def _sufficient_statistics(dataset: Dataset, epsilon: float, delta: float, seed: Seed) -> Array:
    """Ridge regression from one noisy moment matrix Σ v vᵀ of the rows v = [x, 1, y], each shrunk to norm 1 at most.

    Adding or removing a row moves the matrix by ‖v‖² ≤ 1 in Frobenius norm, so symmetric noise of standard deviation σ
    on the diagonal and σ/√2 beside it is the Gaussian mechanism (Balle & Wang 2018). Shrinking a row only weighs it
    down. The ridge is the noise's own spectral norm, about σ√(2d): public, and enough to keep the solution from
    following it.
    """
    sigma = accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=delta)
    rows = np.column_stack([dataset.X_train, np.ones(len(dataset.X_train)), dataset.y_train]).astype(float)
    rows /= np.maximum(1, np.linalg.norm(rows, axis=1, keepdims=True))
    noise = sigma * np.random.default_rng(seed).standard_normal((rows.shape[1],) * 2)
    moments = rows.T @ rows + (noise + noise.T) / 2
    scales, axes = np.linalg.eigh(moments[:-1, :-1])
    ridge = sigma * np.sqrt(2 * len(scales))
    weights = axes @ ((axes.T @ moments[:-1, -1]) / (np.maximum(scales, 0) + ridge))
    X = dataset.evaluation[0]
    return np.asarray(np.clip(X @ weights[:-1] + weights[-1], -1, 1))


_DP_SGD = (
    "(ε, δ) for adding or removing one person, or one row if you choose so, from Poisson batches, clipping and "
    "Gaussian noise; the noise on screen is floating-point, so ε is idealised."
)
_REPLACED = (
    "Pure ε for replacing one row, where the number of rows is public; floating-point noise, so ε is idealised. "
)
_LOGISTIC = (
    "Noise is added to the objective: rows are scaled to norm 1 at most with the constant inside, and the optimum is "
    "taken as exact. "
)
_BLANK = "A made-up row of each class keeps an absent class from showing."

CATALOGUE: dict[str, Model] = {
    model.name: model
    for model in (
        Model("dp-sgd-logistic", "DP-SGD logistic", CLASSIFY, _DP_SGD, whole_people=True),
        Model("dp-sgd-linear", "DP-SGD linear", frozenset({"regression"}), _DP_SGD, whole_people=True, pace=0.01),
        Model("dp-sgd-mlp", "DP-SGD network", TASKS, _DP_SGD, whole_people=True, hidden=32, pace=0.25),
        Model(
            "diffprivlib-logistic",
            "diffprivlib logistic",
            CLASSIFY,
            _REPLACED + _LOGISTIC + _BLANK,
            fit=_diffprivlib(_logistic, _unit_rows),
        ),
        Model(
            "diffprivlib-naive-bayes",
            "diffprivlib Bayes",
            CLASSIFY,
            f"{_REPLACED}It is given 3/5 of ε, for a changed label counts twice in its counts and variances. {_BLANK}",
            fit=_diffprivlib(_naive_bayes, lambda dataset, X: X),
        ),
        Model(
            "diffprivlib-forest",
            "diffprivlib forest",
            CLASSIFY,
            f"{_REPLACED}It is given half of ε, for a replaced row changes the votes of two leaves.",
            fit=_diffprivlib(_forest, _codes, blank=False),
        ),
        Model(
            "sufficient-statistics",
            "noisy least squares",
            frozenset({"regression"}),
            "(ε, δ) for adding or removing one row: one release of the data's noisy moments by the Gaussian mechanism; "
            "the noise is floating-point, so ε is idealised.",
            fit=_sufficient_statistics,
        ),
    )
}
REFERENCES: dict[str, Model] = {
    model.name: model
    for model in (
        Model("linear", "linear, no privacy", TASKS, fit=_scikit(_linear)),
        Model("boosting", "boosting, no privacy", TASKS, fit=_scikit(_boosting)),
    )
}


def names() -> tuple[str, ...]:
    """The private models, in the catalogue's order."""
    return tuple(CATALOGUE)


def fitting(card: Card, unit: str) -> tuple[str, ...]:
    """The private models that can be used on a data set."""
    return tuple(model.name for model in CATALOGUE.values() if not model.unfit_for(card, unit))


def fit(dataset: str | Dataset, name: str, epsilon: float, delta: float, seed: Seed) -> Array:
    """Losses (rows,) of one fitted model on the evaluation rows; what a worker process runs."""
    from privlab import datasets

    known = datasets.load(dataset) if isinstance(dataset, str) else dataset
    made = (CATALOGUE | REFERENCES)[name].fit
    if made is None:
        raise ValueError(f"'{name}' must be a fitted model. Got a batched one.")
    return losses(known, made(known, epsilon, delta, seed))
