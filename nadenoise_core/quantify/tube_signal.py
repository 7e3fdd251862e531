"""The signal of a reference tube whose place is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.quantify.disc import blurred_disc
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.rois import disc_weights, distance_from, measure

ROI_FRACTION = 0.7  # of the tube's radius: its centre


def measure_tube(
    image: NDArray[np.floating],
    pixel: tuple[float, float],
    concentration: float,
    centre: tuple[float, float],
    diameter: float,
    k_max: float,
) -> Tube:
    """Signal in the centre of a tube whose place is known.

    The mean over the central region is divided by what the region would read of a disc of value 1: a tube of 20 mm
    in pixels of 2.25 mm reads up to 2 % wrong by Gibbs ringing alone.

    Args:
        image: (rows, columns), real.
        pixel: (row, column) spacing, mm.
        centre: (x, y), mm from the centre of the field of view.
        diameter: mm.
        k_max: radius of the sampled k-space, cycles/mm.
    """
    matrix = (image.shape[0], image.shape[1])
    distance = distance_from(centre, matrix, pixel)
    weights = disc_weights(distance, ROI_FRACTION * diameter / 2, pixel)
    region = measure(image, weights)
    recovery = measure(blurred_disc(distance, diameter, k_max), weights).mean
    # Ringing is part of the tube's image, not of its noise: the scatter is taken about the blurred disc.
    residual = image - region.mean / recovery * blurred_disc(distance, diameter, k_max)
    return Tube(
        concentration=concentration,
        centre=centre,
        diameter=diameter,
        signal=region.mean / recovery,
        std=measure(residual, weights).std,
        pixels=region.pixels,
    )
