"""From a slice as a scanner gives it to an image on the network's matrix, and what pairs need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt, gaussian_filter, label

from training.data.kspace import crop_kspace
from training.errors import DataError
from training.sources.base import Slice

Image = NDArray[np.float32]

# Tames rare outliers before they ring over the whole image, in units of the level of the anatomy.
OUTLIER_CAP = 12.0
# Signal belongs to the body from this part of the image's bright end.
FOREGROUND_SHARE = 0.1


@dataclass(frozen=True)
class PreparedImage:
    """A slice on the final matrix; all (matrix, matrix) float32.

    Attributes:
        image: signal, of level 1: of muscle where that is known, else the median of the foreground.
        clearance: pixels from the skin, 0 inside the body.
        muscle: share of each pixel that is muscle; None where nobody knows.
    """

    image: Image
    clearance: Image
    muscle: Image | None


def prepare_image(given: Slice, matrix: int) -> PreparedImage:
    """Pad to a square by reflection, bring to the matrix by cropping k-space, normalise.

    Raises:
        DataError: the slice is smaller than the matrix, not finite, or empty.
    """
    if not np.isfinite(given.image).all():
        raise DataError("it holds values that are not finite")
    square = pad_square(given.image, given.spacing)
    if min(square.shape) < matrix:
        rows, columns = given.image.shape
        raise DataError(f"it has {columns} x {rows} pixels, fewer than the matrix of {matrix} x {matrix}")
    small = crop_kspace(square, matrix)
    if given.outline is not None:
        body = crop_kspace(pad_square(given.outline, given.spacing), matrix) >= 0.5
    else:
        body = foreground(small)
    level = given.level or (float(np.median(small[body])) if body.any() else 0.0)
    if not level > 0:
        raise DataError("it is empty: no signal stands out from the background")
    image = crop_kspace(soft_cap(square / np.float32(level), OUTLIER_CAP), matrix)
    muscle = None
    if given.muscle is not None:
        muscle = np.clip(crop_kspace(pad_square(given.muscle, given.spacing), matrix), 0, 1)
    return PreparedImage(image, distance_transform_edt(~body).astype(np.float32), muscle)


def pad_square(image: Image, spacing: tuple[float, float] = (1.0, 1.0)) -> Image:
    """Pad the shorter side by reflection until the field of view is square.

    Args:
        image: (rows, columns).
        spacing: between rows and between columns, any unit.

    Returns:
        (rows, columns), which differ where the spacings do.
    """
    side = max(size * step for size, step in zip(image.shape, spacing, strict=True))
    missing = [max(round(side / step) - size, 0) for size, step in zip(image.shape, spacing, strict=True)]
    padded: Image = np.pad(image, [(gap // 2, gap - gap // 2) for gap in missing], mode="reflect")
    return padded


def foreground(image: Image) -> NDArray[np.bool_]:
    """The body in a magnitude image: the largest bright region, its holes filled."""
    smooth = gaussian_filter(image, 1.0)
    bright = smooth > FOREGROUND_SHARE * np.percentile(smooth, 99)
    # Padding keeps what touches the border from being eroded there.
    closed = binary_closing(np.pad(bright, 4, mode="edge"), iterations=3)[4:-4, 4:-4]
    regions, count = label(closed)
    if not count:
        return np.zeros(image.shape, np.bool_)
    largest = 1 + int(np.argmax(np.bincount(regions.ravel())[1:]))
    filled: NDArray[np.bool_] = binary_fill_holes(regions == largest)
    return filled


def soft_cap(image: Image, cap: float) -> Image:
    """Values far above `cap` pressed to it, values far below left alone."""
    return (image * (1 + (np.maximum(image, 0) / cap) ** 4) ** -0.25).astype(np.float32)
