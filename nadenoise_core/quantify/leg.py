"""The leg as a whole, where nobody has outlined a region: the median of what is no air and no tube."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf, isfinite, nan, pi

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.quantify.rois import distance_from

_LEAST = 6.0  # mmol/L; what is below is no tissue
_TUBE_MARGIN = 2.0  # of the radius that is measured: tubes are left out with their blurred edges
_INDEPENDENT = pi / 4  # of the pixels: a disc of k-space is measured, of the square that the matrix has
_OF_MEDIAN = pi / 2  # variance of a median over that of a mean, of normal noise


def read_leg(
    values: NDArray[np.floating],
    pixel: tuple[float, float],
    tubes: Sequence[Tube],
    line: Line,
    noise_std: float,
    method: RegionMethod,
) -> RegionReading | None:
    """Median aTSC of the leg, with its standard error by noise and by the scatter of the tubes about their line.

    Args:
        values: (rows, columns) aTSC, mmol/L.
        pixel: (row, column) spacing, mm.
        tubes: reference tubes, which are left out.
        line: that `values` come from.
        noise_std: of the real part of a pixel of the plain image, in its unit; NaN if it is not known.
        method: the pixels of which image these are.

    Returns:
        None where nothing is left.
    """
    tissue = values > _LEAST
    for tube in tubes:
        radius = _TUBE_MARGIN * np.sqrt(tube.pixels * pixel[0] * pixel[1] / pi)
        tissue &= distance_from(tube.centre, (values.shape[0], values.shape[1]), pixel) > radius
    pixels = int(tissue.sum())
    if not pixels:
        return None
    median = float(np.median(values[tissue]))
    by_noise = noise_std / line.slope * (_OF_MEDIAN / (_INDEPENDENT * pixels)) ** 0.5
    error = hypot(by_noise, median * _relative_slope_error(tubes, line))
    return RegionReading(
        label=0,
        atsc=median,
        method=method,
        std=float(values[tissue].std()),
        pixels=float(pixels),
        standard_error=error if isfinite(error) else nan,
        name="leg",
        area=pixels * pixel[0] * pixel[1],
    )


def _relative_slope_error(tubes: Sequence[Tube], line: Line) -> float:
    """Standard error of a slope through the tubes, over the slope."""
    if len(tubes) < 2:
        return inf
    c = np.array([tube.concentration for tube in tubes])
    scatter = np.array([tube.signal for tube in tubes]) - line.intercept - line.slope * c
    return float(np.sqrt(np.sum(scatter**2) / (len(c) - 1) / np.sum(c**2)) / line.slope)
