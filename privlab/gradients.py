"""Sums of clipped gradients for many models at once: what a step of `privlab.dpsgd` adds its noise to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from privlab.dpsgd import Array, Loss, Plan, TrainingData


def residual(z: Array, y: Array, loss: Loss) -> Array:
    """Loss gradient in the prediction, in place: z (b, K, outputs), y (b,)."""
    if loss == "squared":
        z -= y[:, None, None]
    elif loss == "logistic":
        z *= np.float32(0.5)  # 1 / (1 + exp(-z)) by tanh, which is quicker and never overflows
        np.tanh(z, out=z)
        z *= np.float32(0.5)
        z += (np.float32(0.5) - y)[:, None, None]
    else:
        z -= z.max(axis=2, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=2, keepdims=True)
        z[np.arange(len(y)), :, y.astype(np.intp)] -= 1
    return z


def _factor(norm2: Array, clip_norm: Array) -> Array:
    """min(1, C / norm), with no division by zero."""
    return np.minimum(1, clip_norm / np.sqrt(np.maximum(norm2, 1e-30)))


def _gram(X: Array, m: int) -> Array:
    """Inner products of each unit's rows (units, m, m); double, lest rows that nearly cancel seem too short."""
    rows = X.reshape(-1, m, X.shape[1]).astype(float)
    return rows @ rows.transpose(0, 2, 1)


def _weights(plan: Plan) -> Array | None:
    """What each unit's gradient counts in each model: 1 or 0 (K, n); None: 1 everywhere."""
    return None if plan.members is None else plan.members.astype(np.float32)


class Scratch:
    """Arrays kept from step to step: new ones of this size cost more in page faults than the arithmetic on them."""

    def __init__(self) -> None:
        self.kept: dict[str, Array] = {}

    def __call__(self, name: str, rows: int, columns: int) -> Array:
        """The array of that name, (rows, columns), holding anything."""
        kept = self.kept.get(name)
        if kept is None or len(kept) < rows:
            kept = self.kept[name] = np.empty((rows + rows // 4, columns), np.float32)
        return kept[:rows]


class Linear:
    """Generalised linear models: a unit's gradient is Σ over its rows of residual × features."""

    def __init__(self, data: TrainingData, plan: Plan) -> None:
        self.data, self.plan = data, plan
        self.shape = (data.X.shape[1], plan.width * data.outputs)
        clip = np.asarray(plan.clip_norm, np.float32)
        self.clip = clip[:1] if (clip == clip[0]).all() else clip
        self.members = _weights(plan)
        self.scratch = Scratch()

    def start(self, rng: np.random.Generator) -> Array:
        """Parameters to begin with, flat; the same for every model."""
        return np.zeros(self.shape[0] * self.shape[1], np.float32)

    def gradient(self, theta: Array, X: Array, y: Array, norm2: Array, m: int) -> Array:
        """Sums of clipped gradients, for several trainings side by side.

        theta and the sums are (trainings, parameters). X (trainings, units·m, d + 1) holds each unit's m rows one
        after another; y and norm2 (trainings, units·m). Rows of zeros are padding.
        """
        outputs, models = self.data.outputs, self.plan.width
        trainings, length, inputs = X.shape
        z = self.scratch("z", trainings * length, self.shape[1]).reshape(trainings, length, self.shape[1])
        np.matmul(X, theta.reshape(trainings, *self.shape), out=z)
        r = residual(z.reshape(-1, models, outputs), y.ravel(), self.data.loss)
        if m == 1 and outputs == 1:
            bound = self.clip / np.sqrt(np.maximum(norm2, 1e-12))[..., None]
            np.minimum(z, bound, out=z)
            np.maximum(z, -bound, out=z)
        else:
            flat = r.reshape(-1, m, models * outputs)
            gram = _gram(X.reshape(-1, inputs), m)
            total2 = ((gram @ flat) * flat).reshape(len(flat), m, models, outputs).sum(axis=(1, 3))
            r.reshape(-1, m, models, outputs)[...] *= _factor(total2, self.clip)[:, None, :, None]
        if self.members is not None:
            z.reshape(trainings, length, models, outputs)[...] *= self.members.T[:, :, None]
        return np.matmul(X.transpose(0, 2, 1), z).reshape(trainings, -1)

    def spread(self, per_model: Array) -> Array:
        """One number for each model, laid out like the parameters."""
        return np.tile(np.repeat(per_model.astype(np.float32), self.data.outputs), self.shape[0])

    def weights(self, theta: Array) -> tuple[Array, Array | None]:
        """Parameters (trainings, parameters) as `dpsgd.Weights` wants them: first and second layer."""
        return theta.reshape(-1, *self.shape).transpose(1, 0, 2).reshape(self.shape[0], -1), None


class Hidden:
    """One hidden ReLU layer: norms factorise by layer, so no per-example gradient is ever stored."""

    def __init__(self, data: TrainingData, plan: Plan) -> None:
        self.data, self.plan = data, plan
        self.first = (plan.width, data.X.shape[1], plan.hidden)
        self.second = (plan.width, plan.hidden + 1, data.outputs)
        self.cut = int(np.prod(self.first))
        self.members = _weights(plan)
        self.clip = np.asarray(plan.clip_norm, np.float32)
        self.scratch = Scratch()

    def start(self, rng: np.random.Generator) -> Array:
        """Parameters to begin with, flat; the same for every model."""
        theta = np.zeros(self.cut + int(np.prod(self.second)), np.float32)
        first, second = self._split(theta)
        first[:] = rng.standard_normal(self.first[1:], np.float32) / np.sqrt(self.first[1])
        second[:, :-1] = rng.standard_normal(self.second[1:], np.float32)[:-1] / np.sqrt(self.second[1])
        return theta

    def _split(self, theta: Array) -> tuple[Array, Array]:
        return theta[: self.cut].reshape(self.first), theta[self.cut :].reshape(self.second)

    def gradient(self, theta: Array, X: Array, y: Array, norm2: Array, m: int) -> Array:
        """As for a linear model."""
        return np.stack([self._one(*given, m) for given in zip(theta, X, y, norm2, strict=True)])

    def _one(self, theta: Array, X: Array, y: Array, norm2: Array, m: int) -> Array:
        first, second = self._split(theta)
        out = np.empty_like(theta)
        g_first, g_second = self._split(out)
        gram = None if m == 1 else _gram(X, m)
        real = X[:, -1:]  # the constant: 0 on padding rows, whose second layer must stay silent too
        for k in range(self.plan.width):  # one model's activations fit the cache, all models' do not
            h = np.matmul(X, first[k], out=self.scratch("h", len(X), self.plan.hidden))
            np.maximum(h, 0, out=h)
            z = h @ second[k, :-1] + second[k, -1]
            d2 = residual(z[:, None, :], y, self.data.loss)[:, 0, :]
            d2 *= real if self.members is None else self.members[k][:, None]
            back, d1 = second[k, :-1].T, self.scratch("d1", len(X), self.plan.hidden)
            if gram is None and len(back) == 1:  # d1 is d2 times a slope: half the passes over it
                np.multiply(h > 0, back, out=d1)
                total2 = np.einsum("bh,bh->b", h, h) + 1 + np.einsum("bh,bh->b", d1, d1) * norm2
                d2 *= _factor(total2 * d2[:, 0] ** 2, self.clip[k])[:, None]
                d1 *= d2
            else:
                np.matmul(d2, back, out=d1)
                d1 *= h > 0
                factor = self._factors(X, h, d1, d2, norm2, gram, m, k)
                d1 *= factor
                d2 *= factor
            np.matmul(X.T, d1, out=g_first[k])
            np.matmul(h.T, d2, out=g_second[k, :-1])
            g_second[k, -1] = d2.sum(axis=0)
        return out

    def _factors(
        self, X: Array, h: Array, d1: Array, d2: Array, norm2: Array, gram: Array | None, m: int, k: int
    ) -> Array:
        """How much of each row's gradient model k keeps (units·m, 1)."""
        if gram is None:
            total2 = np.einsum("bo,bo->b", d2, d2) * (np.einsum("bh,bh->b", h, h) + 1)
            total2 += np.einsum("bh,bh->b", d1, d1) * norm2
            return _factor(total2, self.clip[k])[:, None]
        units = d1.reshape(-1, m, d1.shape[1])
        top = np.concatenate([h, X[:, -1:]], axis=1).reshape(-1, m, h.shape[1] + 1)
        per_unit = top.transpose(0, 2, 1) @ d2.reshape(-1, m, d2.shape[1])
        total2 = ((gram @ units) * units).sum(axis=(1, 2)) + (per_unit**2).sum(axis=(1, 2))
        return np.repeat(_factor(total2, self.clip[k]), m)[:, None]

    def spread(self, per_model: Array) -> Array:
        """One number for each model, laid out like the parameters."""
        per_model = per_model.astype(np.float32)
        return np.concatenate(
            [np.repeat(per_model, self.first[1] * self.first[2]), np.repeat(per_model, int(np.prod(self.second[1:])))]
        )

    def weights(self, theta: Array) -> tuple[Array, Array | None]:
        """As for a linear model."""
        first, second = (np.concatenate(layers) for layers in zip(*map(self._split, theta), strict=True))
        flat = np.ascontiguousarray(first.transpose(1, 0, 2)).reshape(self.first[1], -1)
        return flat, second
