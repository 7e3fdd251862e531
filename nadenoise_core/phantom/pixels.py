"""Where the pixels of an image lie."""

from __future__ import annotations

import math

import numpy as np

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.shapes import Floats


def pixel_axis(matrix: int, field_of_view: float, oversampling: int = 1) -> Floats:
    """Positions of pixel centres along one side of an image, mm.

    Args:
        matrix: pixels along the side; pixel matrix // 2 lies at the FOV centre.
        field_of_view: mm.
        oversampling: points in each pixel, evenly spread.

    Returns:
        (matrix * oversampling,) mm, ascending.
    """
    within = (np.arange(oversampling) + 0.5) / oversampling - 0.5
    pixels = np.arange(matrix)[:, None] - matrix // 2 + within
    return pixels.reshape(-1) * (field_of_view / matrix)


def pixel_grid(matrix: int, field_of_view: float) -> Floats:
    """Pixel centres (matrix, matrix, 2): (x, y) in mm at [row, column]."""
    axis = pixel_axis(matrix, field_of_view)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def check_grid(matrix: int, field_of_view: float) -> None:
    """Refuse an image without pixels or extent.

    Raises:
        BadInputError: matrix is below 1, or field_of_view is not a positive number.
    """
    if matrix < 1 or not (math.isfinite(field_of_view) and field_of_view > 0):
        raise BadInputError(f"matrix and field of view must be positive, not {matrix} and {field_of_view} mm")
