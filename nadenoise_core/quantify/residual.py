"""Whether the regions explain the scan: what they leave, as an image in units of the noise."""

from __future__ import annotations

from dataclasses import dataclass

import finufft
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.special import chdtri

from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.readouts import Readouts
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.tube_columns import TubeDiscs
from nadenoise_core.sampling.arms import echo

RESOLUTION = 4.0  # mm, standard deviation of the Gaussian that the residual is smoothed by
_CHANCE = 1e-3  # of a region that is right to be called wrong
_CLEAR = 5.0  # standard errors of a spot outside of all labels that is no noise

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ResidualCheck:
    """What the model leaves.

    Attributes:
        image: (rows, columns) residual in standard deviations of its noise.
        of_regions: (regions,) root mean square of it; 1 is noise.
        limits: (regions,) which a right model exceeds once in a thousand scans.
        outside: (x, y) mm of the strongest signal outside of labels and tubes, and its strength; None if it is noise.
    """

    image: Floats
    of_regions: Floats
    limits: Floats
    outside: tuple[float, float, float] | None


def check_residual(
    readouts: Readouts,
    regions: Regions,
    middle: Floats,
    residual: NDArray[np.complexfloating],
    noise_std: Floats,
    pose: Pose,
    tubes: TubeDiscs,
) -> ResidualCheck:
    """Look at what is left of the samples.

    Args:
        middle: (x, y) about which the pose turns, mm.
        residual: (coils * interleaves * samples,).
        noise_std: (interleaves,) of the real part of a sample.
    """
    rows, columns = readouts.matrix
    x, y = np.meshgrid(
        (np.arange(columns) - columns // 2) * readouts.pixel[1], (np.arange(rows) - rows // 2) * readouts.pixel[0]
    )
    image = _image(readouts, residual, noise_std, x, y)
    masks = _at_pixels(regions, middle, pose, x, y)
    weights = masks.sum(axis=(1, 2))
    mean_square = np.sum(masks * image**2, axis=(1, 2)) / np.maximum(weights, 1e-12)
    # Pixels closer than the smoothing tell the same: how many values a region really has.
    width = [RESOLUTION / spacing for spacing in readouts.pixel]
    shared = [gaussian_filter(mask, width) * (2 * np.pi * width[0] * width[1]) for mask in masks]
    cells = weights**2 / np.maximum(
        [float(np.sum(mask * near)) for mask, near in zip(masks, shared, strict=True)], 1e-12
    )
    cells = np.maximum(cells, 1.0)
    return ResidualCheck(
        image=image,
        of_regions=np.sqrt(mean_square),
        limits=np.sqrt(chdtri(cells, _CHANCE) / cells),
        outside=_outside(image, masks.sum(axis=0), tubes, x, y),
    )


def _image(
    readouts: Readouts, residual: NDArray[np.complexfloating], noise_std: Floats, x: Floats, y: Floats
) -> Floats:
    """(rows, columns) smoothed residual in phase with the object, over its standard deviation."""
    k = readouts.trajectory
    weights = readouts.density * np.exp(-2 * (np.pi * RESOLUTION) ** 2 * np.sum(k**2, axis=-1))
    level = float(np.sqrt(np.sum((weights * noise_std[:, None]) ** 2)))
    points = [
        np.ascontiguousarray(2 * np.pi * readouts.pixel[a] * k[..., 1 - a], np.float32).reshape(-1) for a in (0, 1)
    ]
    left = residual.reshape(readouts.kspace.shape) * weights
    # In phase with the object at the echo, which the smoothed residual is of.
    fields = np.tensordot(readouts.shares[:, echo(k)], readouts.fields_at(x, y), axes=1)
    image = np.zeros(readouts.matrix)
    for coil in range(len(left)):
        samples = np.ascontiguousarray(left[coil].reshape(-1), np.complex64)
        gridded = finufft.nufft2d1(*points, samples, readouts.matrix, eps=1e-4, isign=1, nthreads=1)
        image += np.real(np.conj(fields[coil]) * gridded)
    return image / level


def _at_pixels(regions: Regions, middle: Floats, pose: Pose, x: Floats, y: Floats) -> Floats:
    """(regions, rows, columns) share of each pixel's neighbourhood that belongs to a region, with the pose."""
    back = np.linalg.inv(pose.matrix)
    u, v = x - middle[0] - pose.shift[0], y - middle[1] - pose.shift[1]
    place_x = middle[0] + back[0, 0] * u + back[0, 1] * v
    place_y = middle[1] + back[1, 0] * u + back[1, 1] * v
    index = np.stack([place_y - regions.corner[1], place_x - regions.corner[0]]) / regions.cell
    return np.stack(
        [map_coordinates(gaussian_filter(mask, 1.5), index, order=1, mode="constant") for mask in regions.fractions]
    ).astype(np.float64)


def _outside(
    image: Floats, inside: Floats, tubes: TubeDiscs, x: Floats, y: Floats
) -> tuple[float, float, float] | None:
    """Strongest signal where neither label nor tube is."""
    margin = 2 * RESOLUTION
    spacing = abs(x[0, 1] - x[0, 0]), abs(y[1, 0] - y[0, 0])
    near = gaussian_filter(inside, [RESOLUTION / spacing[1], RESOLUTION / spacing[0]]) > 0.02
    for centre in tubes.centres:
        near |= np.hypot(x - centre[0], y - centre[1]) < tubes.diameter / 2 + margin
    near |= np.hypot(x / np.abs(x).max(), y / np.abs(y).max()) > 1  # beyond the disc that a spiral supports
    strength = np.where(near, -np.inf, image)
    place = np.unravel_index(int(np.argmax(strength)), strength.shape)
    if not strength[place] > _CLEAR:
        return None
    return float(x[place]), float(y[place]), float(strength[place])
