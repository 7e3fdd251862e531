"""The normal equations of a least-squares fit of regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RegionError

Floats = NDArray[np.float64]


def solve(matrix: Floats, right: Floats) -> Floats:
    """Unknowns of normal equations; RegionError where they are not told apart."""
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        raise RegionError("the regions cannot be told apart by this scan; merge labels that overlap") from None


def inverse(matrix: Floats) -> Floats:
    """Covariance of the unknowns; RegionError where they are not told apart."""
    scale = np.sqrt(np.diagonal(matrix))
    if not np.all(scale > 0) or np.linalg.cond(matrix / np.outer(scale, scale)) > 1e10:
        raise RegionError("the regions cannot be told apart by this scan; merge labels that overlap")
    return np.asarray(np.linalg.inv(matrix / np.outer(scale, scale)) / np.outer(scale, scale))
