"""Compressed sensing by total variation: the piecewise smooth image that agrees with the k-space measured.

    minimise  1/2 |A x - s|^2_W + weight * TV(x),      TV(x) = sum over pixels of u |D x|

with D the differences to the next pixel down and to the right, periodic. |.| is the length of the pair (isotropic), or
the sum of its parts (anisotropic). The data term is exact: it meets the image through `A^H W A` alone. u is 1, or less
where an earlier image has an edge (`edge_weights`): reweighting (Candes et al., J Fourier Anal Appl 14:877, 2008).

TV takes contrast away. One refinement gives it back (Osher et al., Multiscale Model Simul 4:460, 2005): what the image
leaves unexplained is added to the data, and the problem solved again. Refinements serve large pieces, reweighting what
is thin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nadenoise_core.device import Device, DeviceArray

_RELAXATION = 1.8
_EDGE_WIDTH = 0.7  # pixels over which the slopes of an earlier image are averaged
_LEAST_WEIGHT = 0.02
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class TotalVariation:
    """A solution, and where a similar problem may start from.

    Attributes:
        image: (rows, columns) complex64, on the device.
        iterations: that were taken, all refinements together.
        change: relative change of the image in the last iteration.
        starts: for each refinement the image and the dual variable divided by the weight, (2, rows, columns).
        pilot: the solution that told where edges are, if one did.
    """

    image: DeviceArray
    iterations: int
    change: float
    starts: tuple[tuple[DeviceArray, DeviceArray], ...]
    pilot: TotalVariation | None = None


def total_variation(
    gridded: DeviceArray,
    normal: Callable[[DeviceArray], DeviceArray],
    circulant: DeviceArray,
    weight: float,
    penalty: float,
    device: Device,
    isotropic: bool = True,
    refinements: int = 1,
    tolerance: float = 2.5e-5,
    iterations: int = 500,
    start: TotalVariation | None = None,
    relative: DeviceArray | None = None,
) -> TotalVariation:
    """Minimise by the alternating direction method of multipliers (Boyd et al., Found Trends Mach Learn 3:1, 2011).

    The image is updated by one step of conjugate gradients, preconditioned by a circulant, and over-relaxed.

    Args:
        gridded: (rows, columns), `A^H W s`.
        normal: `A^H W A`.
        circulant: (rows, columns) eigenvalues of a periodic convolution near to `normal`, in FFT order.
        weight: of TV, in the unit of the image.
        penalty: of the method; it changes the way, not the solution.
        device: where all arrays are.
        isotropic: which TV.
        refinements: how often unexplained data are added back.
        tolerance: iterations end when the image changes by less than this, relative.
        iterations: at most so many, for each refinement.
        start: the solution of a similar problem with as many refinements, such as that of fewer averages.
        relative: (rows, columns) u, above 0; None: 1.
    """
    weight, penalty = float(weight), float(penalty)  # a numpy scalar would turn single precision into double
    data, image, taken, change = gridded, None, 0, 0.0
    starts: list[tuple[DeviceArray, DeviceArray]] = []
    for refinement in range(refinements + 1):
        first = starts[-1] if starts else None
        if start is not None:
            first = start.starts[refinement]
        if image is not None:
            data = data + gridded - normal(image)
        image, dual, steps, change = _minimise(
            data, normal, circulant, weight, penalty, device, isotropic, tolerance, iterations, first, relative
        )
        starts.append((image, dual / weight))
        taken += steps
    assert image is not None  # there is a step at least
    return TotalVariation(image, taken, change, tuple(starts))


def _minimise(
    data: DeviceArray,
    normal: Callable[[DeviceArray], DeviceArray],
    circulant: DeviceArray,
    weight: float,
    penalty: float,
    device: Device,
    isotropic: bool,
    tolerance: float,
    iterations: int,
    start: tuple[DeviceArray, DeviceArray] | None,
    relative: DeviceArray | None,
) -> tuple[DeviceArray, DeviceArray, int, float]:
    """Image, dual variable, iterations and last relative change of one problem."""
    xp, fft = device.array_module, device.fft
    roughness = device.put(_roughness(data.shape), np.float32)
    inverse = 1 / (circulant + penalty * roughness)
    both = xp.stack([inverse, penalty * roughness * inverse])
    scale = weight / penalty
    threshold = scale if relative is None else scale * relative
    image = data if start is None else start[0]
    slopes = _differences(image, xp)
    # `mixed` is the split variable plus the scaled dual; shrinking tells them apart.
    mixed = slopes if start is None else slopes + start[1] * scale
    split = slopes if start is None else _shrink(mixed, threshold, isotropic, xp)
    imaged, rough = normal(image), _adjoint_differences(slopes, xp)
    taken, change = 0, float("inf")
    while taken < iterations and change >= tolerance:
        residual = data - imaged - penalty * (rough - _adjoint_differences(2 * split - mixed, xp))
        step, step_rough = fft.ifft2(fft.fft2(residual) * both)
        step_imaged = normal(step)
        curvature = float(xp.vdot(step, step_imaged + step_rough).real)
        length = float(xp.vdot(step, residual).real) / curvature if curvature > 0 else 0.0
        image = image + length * step
        imaged = imaged + length * step_imaged
        rough = rough + (length / penalty) * step_rough
        mixed = mixed + _RELAXATION * (_differences(image, xp) - split)
        split = _shrink(mixed, threshold, isotropic, xp)
        change = abs(length) * float(xp.linalg.norm(step)) / max(float(xp.linalg.norm(image)), _TINY)
        taken += 1
    return image, (mixed - split) * penalty, taken, change


def edge_weights(image: DeviceArray, edge: float, device: Device) -> DeviceArray:
    """Weights u of total variation that spare the edges of an image: 1 / (1 + (slope / edge)^2), 0.02 at least.

    Args:
        image: (rows, columns), such as the solution with u = 1.
        edge: slope at which the weight is half, in the unit of the image a pixel.
        device: where the image is.

    Returns:
        (rows, columns) float32, on the device.
    """
    xp, fft = device.array_module, device.fft
    slope = xp.sqrt((xp.abs(_differences(image, xp)) ** 2).sum(axis=0))
    rows, columns = (np.fft.fftfreq(size) for size in image.shape)
    blur = np.exp(-2 * (np.pi * _EDGE_WIDTH) ** 2 * (rows[:, None] ** 2 + columns**2))
    slope = fft.ifft2(fft.fft2(slope.astype(np.complex64)) * device.put(blur, np.float32)).real
    weights: DeviceArray = xp.maximum(1 / (1 + (slope / np.float32(edge)) ** 2), np.float32(_LEAST_WEIGHT))
    return weights.astype(np.float32)


def _differences(image: DeviceArray, xp: Any) -> DeviceArray:
    """(2, rows, columns): to the pixel below, and to the pixel to the right."""
    slopes: DeviceArray = xp.empty((2, *image.shape), image.dtype)
    xp.subtract(image[1:], image[:-1], out=slopes[0, :-1])
    xp.subtract(image[:1], image[-1:], out=slopes[0, -1:])
    xp.subtract(image[:, 1:], image[:, :-1], out=slopes[1, :, :-1])
    xp.subtract(image[:, :1], image[:, -1:], out=slopes[1, :, -1:])
    return slopes


def _adjoint_differences(slopes: DeviceArray, xp: Any) -> DeviceArray:
    image: DeviceArray = -(slopes[0] + slopes[1])
    image[1:] += slopes[0, :-1]
    image[:1] += slopes[0, -1:]
    image[:, 1:] += slopes[1, :, :-1]
    image[:, :1] += slopes[1, :, -1:]
    return image


def _roughness(matrix: tuple[int, int]) -> DeviceArray:
    """Eigenvalues of `D^H D`, in FFT order."""
    rows, columns = (2 - 2 * np.cos(2 * np.pi * np.arange(size) / size) for size in matrix)
    return np.asarray(rows[:, None] + columns)


def _shrink(slopes: DeviceArray, threshold: float | DeviceArray, isotropic: bool, xp: Any) -> DeviceArray:
    """The proximal step of TV: every slope shortened by `threshold` (a number or (rows, columns)), to 0 at least."""
    squared = slopes.real**2 + slopes.imag**2
    if isotropic:
        squared = squared.sum(axis=0)
    shrunk: DeviceArray = slopes * (1 - threshold / xp.sqrt(xp.maximum(squared, threshold**2)))
    return shrunk
