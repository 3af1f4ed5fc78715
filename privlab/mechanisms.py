"""Noisy releases, by OpenDP."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt


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
