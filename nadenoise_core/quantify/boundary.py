"""What regions read when their outlines are drawn a little off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nadenoise_core.quantify.regions import Regions

_SMOOTHING = 1.0  # cells
_LEAST_LENGTH = 3.0  # mm of a common boundary that counts

Floats = NDArray[np.float64]


def boundary_errors(regions: Regions, amplitudes: Floats, sensitivity: Floats, uncertainty: float) -> Floats:
    """Change of values by each boundary that lies off by its uncertainty, to first order.

    A boundary of two regions that moves by d turns a strip of width d from one into the other. A boundary is taken to
    lie off along the whole of its length, as one hand or network draws it, and each on its own.

    Args:
        regions: of the slice.
        amplitudes: (regions,).
        sensitivity: (values, y, x) change of the values by a signal in a cell (`RegionColumns.sensitivity`).
        uncertainty: of a boundary, mm.

    Returns:
        (boundaries, values).
    """
    masks = np.concatenate([regions.fractions, 1 - regions.fractions.sum(axis=0, keepdims=True)])
    padded = np.pad(masks, ((0, 0), (3, 3), (3, 3)))
    padded[-1] = 1 - padded[:-1].sum(axis=0)
    smooth = np.stack([gaussian_filter(mask, _SMOOTHING) for mask in padded])
    slopes = np.stack(np.gradient(smooth, regions.cell, axis=(1, 2)))[:, :, 3:-3, 3:-3]
    levels = np.append(amplitudes, 0.0)
    cells = sensitivity.reshape(len(sensitivity), -1)
    errors = []
    for a in range(len(levels)):
        for b in range(a):
            # Of two regions that meet, one rises as the other falls; the density of their boundary is its slope.
            density = np.sqrt(np.maximum(-np.sum(slopes[:, a] * slopes[:, b], axis=0), 0))
            if density.sum() * regions.cell**2 >= _LEAST_LENGTH:
                errors.append(uncertainty * (levels[a] - levels[b]) * (cells @ density.reshape(-1)))
    return np.asarray(errors).reshape(-1, len(sensitivity))
