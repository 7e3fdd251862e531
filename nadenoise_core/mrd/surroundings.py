"""Pixels around the field of view, folded so that they travel with an image as further channels of its own matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def widest(matrix: tuple[int, int]) -> int:
    """How many pixels around an image of this matrix fold into one channel."""
    width = 0
    while (matrix[0] + 2 * width + 2) * (matrix[1] + 2 * width + 2) <= 2 * matrix[0] * matrix[1]:
        width += 1
    return width


def folded(wide: NDArray[Any], width: int) -> NDArray[Any]:
    """What lies within `width` pixels of the edges of wide images, row by row, the rest 0.

    Args:
        wide: (..., rows + 2 width, columns + 2 width).

    Returns:
        (..., rows, columns).
    """
    around = _around((wide.shape[-2], wide.shape[-1]), width)
    rows, columns = (size - 2 * width for size in wide.shape[-2:])
    plane = np.zeros((*wide.shape[:-2], rows * columns), wide.dtype)
    plane[..., : around.sum()] = wide[..., around]
    return plane.reshape(*wide.shape[:-2], rows, columns)


def unfolded(images: NDArray[Any], planes: NDArray[Any], width: int) -> NDArray[Any]:
    """Images (..., rows, columns) with the pixels around them that `folded` gave: `width` more on every side."""
    shape = (images.shape[-2] + 2 * width, images.shape[-1] + 2 * width)
    around = _around(shape, width)
    wide = np.empty((*images.shape[:-2], *shape), images.dtype)
    wide[..., around] = planes.reshape(*planes.shape[:-2], -1)[..., : around.sum()]
    wide[..., width : shape[0] - width, width : shape[1] - width] = images
    return wide


def _around(shape: tuple[int, int], width: int) -> NDArray[np.bool_]:
    around = np.ones(shape, np.bool_)
    around[width : shape[0] - width, width : shape[1] - width] = False
    return around
