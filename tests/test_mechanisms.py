"""Noisy releases by OpenDP: the right noise is accepted, five percent more or less is not."""

import math

import numpy as np
import pytest
from scipy import stats

from privlab import mechanisms

SCALE, DRAWS = 7.0, 40_000
DEVIATION = {"laplace": math.sqrt(2) * SCALE, "gaussian": SCALE}


def z(sample, deviation):
    """How far a sample's second moment is from its expectation, in standard errors."""
    squares = sample.astype(float) ** 2
    return (squares.mean() - deviation**2) / (squares.std() / math.sqrt(len(squares)))


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
def test_noise_has_the_scale_that_is_asked_for(mechanism, dtype):
    values = np.full((2, DRAWS // 2), 1000, dtype)
    released = mechanisms.noisy(values, mechanism, SCALE)
    assert released.shape == values.shape
    assert released.dtype == dtype
    noise = (released - values).ravel()
    assert abs(z(noise, DEVIATION[mechanism])) < 4.5
    assert abs(z(noise, 0.95 * DEVIATION[mechanism])) > 4.5
    assert abs(z(noise, 1.05 * DEVIATION[mechanism])) > 4.5
    assert abs(noise.mean()) < 4.5 * DEVIATION[mechanism] / math.sqrt(DRAWS)
    shape = {"laplace": stats.laplace(scale=SCALE), "gaussian": stats.norm(scale=SCALE)}[mechanism]
    smooth = noise + np.random.default_rng(0).uniform(-0.5, 0.5, DRAWS) if dtype is np.int64 else noise
    assert stats.kstest(smooth, shape.cdf).pvalue > 1e-6


def test_noise_is_fresh():
    values = np.zeros(50)
    assert not np.array_equal(mechanisms.noisy(values, "laplace", 1.0), mechanisms.noisy(values, "laplace", 1.0))
    assert len(np.unique(mechanisms.noisy(values, "gaussian", 1.0))) == 50
