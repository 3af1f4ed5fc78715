"""Noisy releases, by OpenDP."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Mechanism = Literal["laplace", "gaussian"]


def discrete_gaussian(
    values: npt.NDArray[np.int64], *, sensitivity: int, noise_multiplier: float
) -> npt.NDArray[np.int64]:
    """Add discrete Gaussian noise to whole numbers: exact, with no floating-point arithmetic in it.

    OpenDP's `make_gaussian` (Canonne, Kamath & Steinke 2020) with the system's entropy. OpenDP keeps it behind the
    feature "contrib" (contributed, its proof not yet vetted), which this call switches on for the whole process.

    Parameters
    ----------
    values : int64 array of shape (d,)
    sensitivity : int
        How far, in L2 norm, `values` can be from a neighbour's.
    noise_multiplier : float
        Standard deviation of the noise in units of the sensitivity.

    Returns
    -------
    int64 array of shape (d,)

    Raises
    ------
    ValueError
        If OpenDP's own account of the release is not that of the noise multiplier.
    """
    measure = _gaussian(sensitivity, noise_multiplier)
    return np.array(measure(values.tolist()), np.int64)


@lru_cache(maxsize=16)
def _gaussian(sensitivity: int, noise_multiplier: float) -> Any:
    """OpenDP's measurement, after a check that it spends ρ = 1 / 2σ² (zCDP), as Gaussian noise of σ does."""
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    space = vector_domain(atom_domain(T="i64")), l2_distance(T="i64")
    measure = make_gaussian(*space, scale=noise_multiplier * sensitivity)
    spent, meant = measure.map(sensitivity), 1 / (2 * noise_multiplier**2)
    if not spent <= meant * (1 + 1e-9):
        raise ValueError(f"The noise must spend ρ = {meant:.6g} at most. OpenDP reckons {spent:.6g}.")
    return measure


def noisy(values: npt.NDArray[Any], mechanism: Mechanism, scale: float) -> npt.NDArray[Any]:
    """Add fresh noise to every number: one OpenDP release each, with the system's entropy.

    Parameters
    ----------
    values : int64 or float64 array of any shape
        Whole numbers get discrete noise, others noise on OpenDP's fine grid of floating-point numbers.
    mechanism : {"laplace", "gaussian"}
        Laplace noise of that scale (standard deviation √2·scale), or Gaussian noise of that standard deviation.
    scale : float, positive

    Returns
    -------
    array of the same shape and type
    """
    flat = np.ascontiguousarray(values).ravel()
    released = _adder(mechanism, "i64" if flat.dtype.kind == "i" else "f64", scale)(flat)
    return np.array(released, values.dtype).reshape(values.shape)


@lru_cache(maxsize=256)
def _adder(mechanism: Mechanism, kind: str, scale: float) -> Any:
    from opendp.domains import atom_domain, vector_domain
    from opendp.measurements import make_gaussian, make_laplace
    from opendp.metrics import l1_distance, l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    domain = vector_domain(atom_domain(T="i64") if kind == "i64" else atom_domain(T="f64", nan=False))
    if mechanism == "laplace":
        return make_laplace(domain, l1_distance(T=kind), scale=scale)
    return make_gaussian(domain, l2_distance(T="f64"), scale=scale)
