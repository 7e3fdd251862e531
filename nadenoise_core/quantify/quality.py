"""Measures of image quality, as the paper defines them (section 2.6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.rois import distance_from


def estimated_snr(magnitude: NDArray[np.floating], signal: NDArray[np.bool_], background: NDArray[np.bool_]) -> float:
    """Mean signal in a muscle region over the standard deviation in a background region.

    Args:
        magnitude: (rows, columns).
        signal, background: (rows, columns) masks.
    """
    return float(magnitude[signal].mean() / magnitude[background].std())


def edge_sharpness(
    concentration: NDArray[np.floating],
    centre: tuple[float, float],
    radius: float,
    pixel: tuple[float, float],
) -> float:
    """Steepest fall of an aTSC map across the border of a tube, mmol/L per mm, of the mean over all directions.

    Args:
        concentration: (rows, columns) mmol/L.
        centre: (x, y) of the tube, mm from the centre of the FOV.
        radius: of the tube, mm.
        pixel: (row, column) spacing, mm.
    """
    matrix = (concentration.shape[0], concentration.shape[1])
    distance = distance_from(centre, matrix, pixel)
    spacing = (pixel[0] * pixel[1]) ** 0.5
    steps = np.arange(0, radius + 2 * spacing, spacing / 2)
    kernel = np.exp(-0.5 * ((distance[None] - steps[:, None, None]) / (spacing / 2)) ** 2)
    profile = (kernel * concentration).sum(axis=(1, 2)) / kernel.sum(axis=(1, 2))
    return float(np.max(-np.diff(profile)) / (spacing / 2))
