"""What is true of a virtual calf: its k-space, its image at any resolution, its concentration in any region."""

from __future__ import annotations

import math

import finufft
import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import Calf
from nadenoise_core.phantom.labels import Label, labels
from nadenoise_core.phantom.pixels import check_grid, pixel_axis
from nadenoise_core.phantom.shapes import Complexes, Floats, fourier, inside

_SPARE_RADII = 40
_SPARE_ANGLES = 64


def kspace(calf: Calf, k: ArrayLike, pixel: float) -> Complexes:
    """Exact k-space of a calf.

    Args:
        calf: the individual.
        k: (..., 2) spatial frequencies (kx, ky) in cycles/mm.
        pixel: size of an image pixel, mm.

    Returns:
        (...) in mmol/L pixel: integrated over k-space in (cycles/pixel)^2, it gives the image in mmol/L.

    Raises:
        BadInputError: the pixel size is not positive, or k is not made of pairs.
    """
    if not (math.isfinite(pixel) and pixel > 0):
        raise BadInputError(f"the pixel size must be a positive number of mm, not {pixel}")
    return fourier_of(calf, k) / pixel**2


def fourier_of(calf: Calf, k: ArrayLike) -> Complexes:
    """Fourier transform of what the slice holds of a calf, exact: (...) mmol/L mm^2 at (..., 2) cycles/mm."""
    frequencies: Floats = np.asarray(k, np.float64)
    upright = [ellipse for ellipse, lean in calf.leaning if lean == (0, 0)]
    total = fourier(upright, frequencies)
    for ellipse, lean in calf.leaning:
        if lean != (0, 0):
            total += fourier([ellipse], frequencies) * calf.profile.transform(frequencies @ np.asarray(lean))
    return total


def concentration(calf: Calf, matrix: int, field_of_view: float, oversampling: int = 1) -> Floats:
    """Mean concentration in every pixel and over the slice, without any limit of resolution but the pixel.

    Args:
        calf: the individual.
        matrix: pixels along each side.
        field_of_view: mm, square.
        oversampling: points along each side of a pixel over which the mean is taken; 1: its centre.

    Returns:
        (matrix, matrix) mmol/L.

    Raises:
        BadInputError: a number is out of range.
    """
    check_grid(matrix, field_of_view)
    if oversampling < 1:
        raise BadInputError(f"oversampling must be 1 or more, not {oversampling}")
    fine = pixel_axis(matrix, field_of_view, oversampling)
    image = np.zeros((fine.size, fine.size))
    for ellipse, lean in calf.leaning:
        depths, shares = calf.profile.layers() if lean != (0, 0) else (np.zeros(1), np.ones(1))
        reach = max(ellipse.semi_axes) + float(np.abs(depths).max()) * math.hypot(*lean)
        columns, rows = (slice(*np.searchsorted(fine, [centre - reach, centre + reach])) for centre in ellipse.centre)
        points = np.stack(np.meshgrid(fine[columns], fine[rows]), axis=-1)
        for depth, share in zip(depths, shares, strict=True):
            image[rows, columns] += ellipse.value * share * inside(ellipse, points - depth * np.asarray(lean))
    mean: Floats = image.reshape(matrix, oversampling, matrix, oversampling).mean(axis=(1, 3))
    return mean


def mean_concentration(calf: Calf, region: NDArray[np.bool_], field_of_view: float, oversampling: int = 16) -> float:
    """True mean concentration in a region of pixels, partial volume included, mmol/L.

    Args:
        calf: the individual.
        region: (matrix, matrix) bool.
        field_of_view: mm, square.
        oversampling: points along each side of a pixel.

    Raises:
        BadInputError: the region is empty or not square.
    """
    if region.ndim != 2 or region.shape[0] != region.shape[1]:
        raise BadInputError(f"the region must be a square image, not of shape {region.shape}")
    if not region.any():
        raise BadInputError("the region has no pixel: use a smaller margin or a larger matrix")
    return float(concentration(calf, region.shape[0], field_of_view, oversampling)[region].mean())


def true_muscle(calf: Calf, matrix: int, field_of_view: float, margin: float = 0.0) -> float:
    """True mean concentration in the muscle of `labels`, mmol/L.

    It is near `calf.muscle` but not equal: compartments differ, and the label leaves out their edges towards bone,
    vessels and fat.

    Args:
        calf: the individual.
        matrix: pixels along each side.
        field_of_view: mm, square.
        margin: as for `labels`, mm.

    Raises:
        BadInputError: a number is out of range, or no pixel lies wholly in muscle.
    """
    region = labels(calf, matrix, field_of_view, margin) == Label.MUSCLE
    return mean_concentration(calf, region, field_of_view)


def band_limited(
    calf: Calf, matrix: int, field_of_view: float, k_max: float | None = None, *, refine: int = 1
) -> Floats:
    """The image that a perfect reconstruction of the k-space disc |k| <= k_max gives.

    The inverse Fourier integral of the closed form, by Gauss-Legendre quadrature along the radius and the
    trapezoidal rule over the angle. Both converge exponentially once the nodes outnumber the oscillations over
    the disc, 2 pi k_max times the largest distance between a pixel and a part of the object.

    Args:
        calf: the individual.
        matrix: pixels along each side.
        field_of_view: mm, square.
        k_max: radius of the disc, cycles/mm; None: that of the matrix, matrix / field_of_view / 2.
        refine: multiplies the number of nodes in both directions, to check the convergence.

    Returns:
        (matrix, matrix) mmol/L, to better than 1e-6 of the maximum.

    Raises:
        BadInputError: a number is out of range.
    """
    check_grid(matrix, field_of_view)
    k_max = matrix / field_of_view / 2 if k_max is None else k_max
    if not (math.isfinite(k_max) and k_max > 0) or refine < 1:
        raise BadInputError(f"k_max must be positive and refine 1 or more, not {k_max} cycles/mm and {refine}")
    object_radius = max(
        (math.hypot(*e.centre) + max(e.semi_axes) + calf.profile.reach * math.hypot(*lean) for e, lean in calf.leaning),
        default=0.0,
    )
    oscillation = 2 * math.pi * k_max * (field_of_view / math.sqrt(2) + object_radius)
    k, area = _half_disc(
        k_max,
        radii=refine * (math.ceil(oscillation / 2) + _SPARE_RADII),
        angles=refine * (math.ceil(oscillation / 2) + _SPARE_ANGLES),
    )
    step = 2 * math.pi * field_of_view / matrix
    image = finufft.nufft2d1(
        k[:, 1] * step, k[:, 0] * step, fourier_of(calf, k) * area, (matrix, matrix),
        eps=1e-12, isign=1, nthreads=1,
    )  # fmt: skip
    # The object is real, so the other half of the disc is the complex conjugate of this one.
    real: Floats = 2 * image.real
    return real


def _half_disc(k_max: float, radii: int, angles: int) -> tuple[Floats, Floats]:
    """Quadrature nodes (nodes, 2) in cycles/mm and areas (nodes,) of the upper half of a k-space disc."""
    nodes, weights = leggauss(radii)
    radius = (nodes + 1) * k_max / 2
    area = np.repeat(radius * weights * k_max / 2 * (np.pi / angles), angles)
    angle = np.pi * np.arange(angles) / angles
    k = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return k.reshape(-1, 2), area
