"""Measures of image quality, as the paper defines them (section 2.6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.rois import pixel_positions


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
    """Steepest fall of an aTSC map across the border of a tube, mmol/L per mm.

    The gradient is that between pixels (`numpy.gradient`: central differences), its part along the radius is averaged
    over all directions, and the largest such fall within two pixels of the border is taken.

    Args:
        concentration: (rows, columns) mmol/L.
        centre: (x, y) of the tube, mm from the centre of the FOV.
        radius: of the tube, mm.
        pixel: (row, column) spacing, mm.
    """
    x, y = pixel_positions((concentration.shape[0], concentration.shape[1]), pixel)
    along_x, along_y = x - centre[0], y - centre[1]
    distance = np.hypot(along_x, along_y)
    by_row, by_column = np.gradient(np.asarray(concentration, np.float64), *pixel)
    fall = -(by_row * along_y + by_column * along_x) / np.where(distance == 0, 1.0, distance)
    spacing = (pixel[0] * pixel[1]) ** 0.5
    radii = np.arange(max(radius - 2 * spacing, 0), radius + 2 * spacing, spacing / 8)
    ring = np.exp(-0.5 * ((distance - radii[:, None, None]) / (spacing / 2)) ** 2)
    return float(((ring * fall).sum(axis=(1, 2)) / ring.sum(axis=(1, 2))).max())
