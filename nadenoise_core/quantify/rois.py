"""Regions of interest: discs given in millimetres, and what an image reads in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError


@dataclass(frozen=True)
class Region:
    """Mean of an image over a region.

    Attributes:
        mean, std: of the pixels, weighted by how much of each belongs to the region.
        pixels: size of the region, in pixels.
    """

    mean: float
    std: float
    pixels: float


def pixel_positions(
    matrix: tuple[int, int], pixel: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (x, y) of pixel centres, (rows, columns) in mm from the centre of the FOV (pixel N//2)."""
    rows, columns = matrix
    y = (np.arange(rows) - rows // 2) * pixel[0]
    x = (np.arange(columns) - columns // 2) * pixel[1]
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    return grid_x, grid_y


def distance_from(
    centre: tuple[float, float], matrix: tuple[int, int], pixel: tuple[float, float]
) -> NDArray[np.float64]:
    """Distance of every pixel from a point (x, y) in mm, (rows, columns)."""
    x, y = pixel_positions(matrix, pixel)
    return np.asarray(np.hypot(x - centre[0], y - centre[1]))


def disc_weights(distance: NDArray[np.floating], radius: float, pixel: tuple[float, float]) -> NDArray[np.float64]:
    """How much of each pixel lies in a disc: 1 inside, 0 outside, a linear edge one pixel wide."""
    spacing = (pixel[0] * pixel[1]) ** 0.5
    return np.asarray(np.clip((radius - distance) / spacing + 0.5, 0, 1))


def measure(image: NDArray[np.floating], weights: NDArray[np.floating]) -> Region:
    """Weighted mean and standard deviation of an image over a region; weights (rows, columns), 0 to 1."""
    total = float(weights.sum())
    if not total > 0:
        raise BadInputError("the region holds no pixel of the image; check its position against the field of view")
    mean = float((weights * image).sum() / total)
    variance = float((weights * (image - mean) ** 2).sum() / total)
    return Region(mean=mean, std=variance**0.5, pixels=total)
