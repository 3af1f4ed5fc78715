"""Everybody's pull on a model: per-unit gradients at fixed weights, their norms, and their clipped means.

A gradient is kept as one pair of factors a layer, what goes in and what comes back, so that no unit's gradient is ever
written out. `privlab.gradients` fuses the same sums with the clipping of many models; here one model is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from privlab import dpsgd
from privlab.gradients import residual

if TYPE_CHECKING:
    from privlab.dpsgd import Array, TrainingData, Weights

    Layers = list[tuple[Array, Array]]


def one_of(weights: Weights, k: int, count: int) -> Weights:
    """One of `count` models that were trained together."""
    width = weights.first.shape[1] // count
    second = None if weights.second is None else weights.second[k : k + 1]
    return dpsgd.Weights(weights.first[:, k * width : (k + 1) * width], second, weights.outputs)


def layers(data: TrainingData, weights: Weights) -> Layers:
    """For each layer what goes in (rows, a) and what comes back (rows, b): a row's gradient is their outer product.

    `weights` are those of one model; `rows` are all rows of `data.X` but the one of padding.
    """
    X, y = data.X[:-1], data.y[:-1]
    z = X @ weights.first
    if weights.second is None:
        return [(X, residual(z[:, None, :], y, data.loss)[:, 0])]
    (second,) = weights.second
    top = np.column_stack([np.maximum(z, 0), X[:, -1]])
    back = residual((top @ second)[:, None, :], y, data.loss)[:, 0]
    return [(X, (back @ second[:-1].T) * (z > 0)), (top, back)]


def norms(data: TrainingData, pulls: Layers) -> Array:
    """The length of every unit's gradient, all layers and the constants included: float32 (units,)."""
    total = np.zeros(data.n)
    for inside, back in pulls:
        if data.rows is None:
            total += np.einsum("na,na->n", inside, inside) * np.einsum("nb,nb->n", back, back)
            continue
        padded = [np.append(part, np.zeros((1, part.shape[1]), part.dtype), axis=0) for part in (inside, back)]
        a, b = (part[data.rows].astype(float) for part in padded)
        total += ((a @ a.transpose(0, 2, 1)) * (b @ b.transpose(0, 2, 1))).sum(axis=(1, 2))
    return np.sqrt(np.maximum(total, 0)).astype(np.float32)


def clipped_mean(data: TrainingData, pulls: Layers, lengths: Array, clip_norm: float) -> Array:
    """The mean over all units of their gradients cut to `clip_norm`, flat; infinity cuts nothing.

    It is what a step's expectation is before the noise: the sum, divided by the declared number of units.
    """
    keep = np.minimum(1, np.float32(clip_norm) / np.maximum(lengths, np.float32(1e-12)))
    if data.rows is not None:
        per_row = np.zeros(len(data.X), np.float32)
        per_row[data.rows] = keep[:, None]  # what padding gets is cut off below
        keep = per_row[:-1]
    parts = [(inside.T @ (keep[:, None] * back)).ravel() for inside, back in pulls]
    return np.asarray(np.concatenate(parts) / data.units)


def angle(a: Array, b: Array) -> float:
    """Degrees between two vectors; 0 where one of them has no length."""
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    if lengths == 0:
        return 0.0
    return float(np.degrees(np.arccos(np.clip(np.dot(a.astype(float), b) / lengths, -1, 1))))
