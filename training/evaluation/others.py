"""Test objects that are no legs: knee cartilage, a brain, points, bars, a real sodium head."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.phantom.shapes import Ellipse
from nadenoise_core.recon.nufft import Nufft
from training.evaluation.independent import Box, Shape

HEAD_LEVEL = 23.0  # mmol/L given to the median of a real head, whose unit is arbitrary


def cartilage() -> tuple[Shape, ...]:
    """A knee: muscle and fat around two condyles with rims of cartilage 2.5 mm thick."""
    parts: list[Shape] = [Ellipse((0, 0), (62, 58), 0, 9.0)]
    for x in (-26.0, 26.0):
        parts += [Ellipse((x, 4), (22.5, 26.5), 0, 250.0 - 9.0), Ellipse((x, 4), (20, 24), 0, 6.0 - 250.0)]
    parts += [Ellipse((0, -42), (17, 9), 0.1, 200.0 - 9.0), Ellipse((0, -42), (14.5, 6.5), 0.1, 6.0 - 200.0)]
    parts += [Ellipse((0, 44), (30, 9), 0, 20.0 - 9.0)]
    return tuple(parts)


def brain() -> tuple[Shape, ...]:
    """A head: scalp, skull, fluid, grey and white matter, ventricles."""
    return (
        Ellipse((0, 0), (76, 84), 0, 20.0),
        Ellipse((0, 0), (72, 80), 0, 8.0 - 20.0),
        Ellipse((0, 0), (66, 74), 0, 120.0 - 8.0),
        Ellipse((0, 0), (64, 72), 0, 45.0 - 120.0),
        Ellipse((-28, 2), (22, 48), 0.15, 32.0 - 45.0),
        Ellipse((28, 2), (22, 48), -0.15, 32.0 - 45.0),
        Ellipse((-7, -4), (4.5, 18), 0.25, 135.0 - 45.0),
        Ellipse((7, -4), (4.5, 18), -0.25, 135.0 - 45.0),
        Ellipse((0, 34), (1.6, 6), 0, 90.0),
    )


def points() -> tuple[Shape, ...]:
    """Points of radius 1.5 mm and 40 to 640 mmol/L in a weak body."""
    levels = (40.0, 80.0, 160.0, 320.0, 640.0)
    rows = [Ellipse((0, 0), (64, 64), 0, 8.0)]
    for row, level in enumerate(levels):
        rows += [Ellipse((-40 + 20 * column, -40 + 20 * row), (1.5, 1.5), 0, level) for column in range(5)]
    return tuple(rows)


def bars() -> tuple[Shape, ...]:
    """Bars of 3 to 6 mm at equal distances in a body of muscle's level."""
    made: list[Shape] = [Ellipse((0, 0), (64, 64), 0, 20.0)]
    for row, width in enumerate((3.0, 4.0, 5.0, 6.0)):
        for column in range(5):
            made.append(Box((-4 * width + 2 * width * column, -36 + 24 * row), (width / 2, 9.0), 0.0, 30.0))
    return tuple(made)


def head_kspace(path: Path, trajectory: NDArray[np.floating], matrix: int) -> NDArray[np.complex128]:
    """k-space of a magnitude image of twice the matrix, its pixels taken as points of the object.

    Args:
        path: NIfTI.
        trajectory: (..., 2) cycles/pixel of the matrix.
        matrix: pixels a side over the same field of view.

    Returns:
        (samples,) mmol/L pixel.
    """
    image = np.asarray(nibabel.load(path).dataobj, np.float64).squeeze()
    image = image * HEAD_LEVEL / np.median(image[image > 0.1 * image.max()])
    ratio = image.shape[0] / matrix
    nufft = Nufft(trajectory / ratio, (image.shape[0], image.shape[1]))
    return np.asarray(nufft.forward(image.astype(np.complex64)) / ratio**2, np.complex128)
