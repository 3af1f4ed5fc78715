"""Noise before anybody collects: what each person lets out of their hands, and the model learned from it.

Local: each person answers about one column of their record, drawn at random and known to all: the pair (value, label)
goes through k-ary randomised response or, where that noises less, optimised unary encoding (Wang, Blocki, Li & Jha
2017, "Locally differentially private protocols for frequency estimation"). Nothing else leaves the person, so the whole
record is protected by all of ε. The reports give debiased tables of value × label, and those a naive Bayes classifier.

Input: each person's whole record, label included, gets Gaussian noise and is handed over. Least squares is fitted to
the noisy rows, with the noise's known share taken out of their moments (errors in variables).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np

from privlab import accounting

if TYPE_CHECKING:
    from privlab.datasets import Dataset
    from privlab.dpsgd import Array

BINS = 4  # equal parts of a number's declared range that a local answer tells apart
PSEUDOCOUNT = 1.0  # in standard deviations of a cell's noise


def randomised_response(codes: Array, categories: int, epsilon: float, rng: np.random.Generator) -> Array:
    """Keep each code with probability e^ε / (e^ε + k − 1), else tell one of the k − 1 others: ε-local DP.

    Parameters
    ----------
    codes : int array (n,), from 0 to categories − 1
    categories : int, k ≥ 2
    epsilon : float

    Returns
    -------
    int array (n,)
    """
    keep = rng.random(len(codes)) < response_chances(categories, epsilon)[0]
    return np.where(keep, codes, (codes + rng.integers(1, categories, len(codes))) % categories)


def unary_response(codes: Array, categories: int, epsilon: float, rng: np.random.Generator) -> Array:
    """Answer "is it this one?" for each of the k categories: yes with probability 1/2 for the true one, q for others.

    Optimised unary encoding, q = 1 / (e^ε + 1): ε-local DP for all k answers together. Returns bool (n, k).
    """
    chances = np.full((len(codes), categories), unary_chances(epsilon)[1])
    chances[np.arange(len(codes)), codes] = unary_chances(epsilon)[0]
    answers: Array = rng.random(chances.shape) < chances
    return answers


def response_chances(categories: int, epsilon: float) -> tuple[float, float]:
    """How likely randomised response tells the true code, and each other one."""
    others = exp(epsilon) + categories - 1
    return exp(epsilon) / others, 1 / others


def unary_chances(epsilon: float) -> tuple[float, float]:
    """How likely unary encoding says yes to the true category, and to another."""
    return 0.5, 1 / (exp(epsilon) + 1)


def debias(reports: Array, n: int, chances: tuple[float, float]) -> Array:
    """Unbiased counts from the reports' counts: each of n people adds to a cell with one of two chances."""
    true, other = chances
    counts: Array = (reports - n * other) / (true - other)
    return counts


def count_noise(n: int, chances: tuple[float, float]) -> float:
    """Standard deviation of a debiased count of a rare category."""
    true, other = chances
    return sqrt(n * other * (1 - other)) / (true - other)


def local_counts(codes: Array, categories: int, epsilon: float, rng: np.random.Generator) -> tuple[Array, float]:
    """Debiased counts (k,) of the categories among people who each report by ε-local DP, and the noise in a count.

    By the protocol with less noise for that k and ε.
    """
    n, plain, unary = len(codes), response_chances(categories, epsilon), unary_chances(epsilon)
    if count_noise(n, plain) <= count_noise(n, unary):
        told = np.bincount(randomised_response(codes, categories, epsilon, rng), minlength=categories)
        return debias(told, n, plain), count_noise(n, plain)
    return debias(unary_response(codes, categories, epsilon, rng).sum(axis=0), n, unary), count_noise(n, unary)


@dataclass(frozen=True)
class Layout:
    """How a data set's records are cut into answers, by its public card alone.

    Attributes
    ----------
    codes : int array (rows, columns)
        Each column's category, or part of its range.
    sizes : tuple of int
        Categories of each column.
    diameter : float
        The greatest distance of two encoded records, label included.
    """

    codes: Array
    sizes: tuple[int, ...]
    diameter: float


def layout(dataset: Dataset, X: Array) -> Layout:
    """Cut encoded features (rows, d) into one code a column."""
    parts, sizes, start, squared = [], [], 0, 4.0  # the label is −1 or 1
    for column in dataset.schema.columns:
        values = X[:, start : start + len(column.features)]
        start += len(column.features)
        if column.categories:
            parts.append(values.argmax(axis=1))
            squared += 2
        else:
            parts.append(np.minimum((values[:, 0] + 1) / 2 * BINS, BINS - 1).astype(np.int64))
            squared += 4
        sizes.append(len(column.categories) or BINS)
    return Layout(np.column_stack(parts), tuple(sizes), sqrt(squared))


def learn_local(
    codes: Array, sizes: tuple[int, ...], y: Array, epsilon: float, rng: np.random.Generator
) -> list[Array]:
    """Evidence (size,) of each column's categories for class 1, learned from ε-locally private answers.

    Each person answers about one column. Evidence is a log ratio of the two debiased counts, drawn towards 0 by as
    many made-up people as the noise is worth. The last entry, (1,), is the log ratio of the classes themselves.
    """
    asked = rng.integers(len(sizes), size=len(y))
    tables, noises = [], []
    for column, size in enumerate(sizes):
        who = asked == column
        counts, noise = local_counts(2 * codes[who, column] + y[who], 2 * size, epsilon, rng)
        tables.append(counts.reshape(size, 2))
        noises.append(noise)
    ones = sum(table[:, 1].sum() for table in tables)
    share = float(np.clip(ones / len(y), 0.02, 0.98))
    prior = np.array([1 - share, share])
    evidence = []
    for table, noise in zip(tables, noises, strict=True):
        made_up = PSEUDOCOUNT * noise
        ratio = np.log((np.maximum(table, 0) + made_up * prior) / prior)
        evidence.append(ratio[:, 1] - ratio[:, 0])
    return [*evidence, np.log(prior[1:] / prior[:1])]


def predict_local(evidence: list[Array], codes: Array) -> Array:
    """Predicted classes of records (rows, columns): the sign of the evidence added up."""
    total = evidence[-1] + sum(one[codes[:, column]] for column, one in enumerate(evidence[:-1]))
    predicted: Array = total > 0
    return predicted


def perturb(X: Array, y: Array, diameter: float, epsilon: float, delta: float, rng: np.random.Generator) -> Array:
    """Every record [x, ±1] with Gaussian noise on every entry: (ε, δ)-local DP for the whole record.

    A record may be replaced by any other, so the noise is calibrated to the diameter of all records
    (Balle & Wang 2018). Returns (rows, d + 1).
    """
    rows = np.column_stack([X, 2.0 * y - 1])
    return rows + noise_on_rows(diameter, epsilon, delta) * rng.standard_normal(rows.shape)


def noise_on_rows(diameter: float, epsilon: float, delta: float) -> float:
    """Standard deviation of the noise on each entry of a record."""
    return diameter * accounting.gaussian_noise_multiplier(epsilon=epsilon, delta=delta)


def learn_input(noisy: Array, noise: float) -> Array:
    """Least squares (d + 1,) weights, the constant last, from noisy rows: noise² is taken off their covariance.

    The ridge is the size of what noise is left in the covariance, of public numbers only.
    """
    n, width = noisy.shape
    mean = noisy.mean(axis=0)
    covariance = noisy.T @ noisy / n - np.outer(mean, mean)
    d = width - 1
    scales, axes = np.linalg.eigh(covariance[:d, :d])
    ridge = 2 * sqrt(d / n) * noise * (noise + 1) + 1e-3
    weights = axes @ (axes.T @ covariance[:d, d] / (np.maximum(scales - noise**2, 0) + ridge))
    return np.append(weights, mean[d] - mean[:d] @ weights)
