"""Least squares: the image whose k-space comes closest to what was measured.

Three things make it better than gridding, and not noisier. Pixels are a quarter smaller than the image's, so that
k-space does not wrap at its edge; what lies beyond the measured disc of k-space is cut away at the end. Signal is
expected within the disc of the field of view that a spiral supports, so that the aliases in the corners do not come
back into it; if the data disagree, it is looked for everywhere. And the iterations end before they raise the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nadenoise_core.device import Device, DeviceArray, to_host
from nadenoise_core.recon.conjugate_gradients import conjugate_gradients
from nadenoise_core.recon.model import SignalModel

FINER = 1.25  # pixels of the grid within one of the image
ITERATIONS = 10
NOISE_GAIN = 1.02  # how much noisier than gridding the image may become

_BEYOND = 0.01  # variance expected beyond the disc of the field of view, relative
_SMOOTHING = 2.0  # pixels of the image
_NOISE_BEYOND = 8.0  # standard deviations of noise that signal beyond the disc must have
_LEAST_BEYOND = 0.02  # of the peak


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """A least-squares image.

    Attributes:
        image: (rows, columns) complex64, on the device.
        noise_gain: how much stronger its noise is than that of gridding.
        iterations: that were taken.
        beyond: whether there is signal beyond the disc of the field of view.
    """

    image: DeviceArray
    noise_gain: float
    iterations: int
    beyond: bool


def finer_matrix(matrix: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the grid of smaller pixels, even."""
    return 2 * round(FINER * matrix[0] / 2), 2 * round(FINER * matrix[1] / 2)


def least_squares(
    gridded: DeviceArray,
    model: SignalModel,
    matrix: tuple[int, int],
    reach: tuple[float, float],
    noise_std: float,
    sensitivities: DeviceArray | None = None,
    iterations: int = ITERATIONS,
) -> LeastSquares:
    """Solve the normal equations by conjugate gradients (Pruessmann et al., Magn Reson Med 46:638, 2001).

    Args:
        gridded: (2, rows, columns) on the finer grid, coils combined (see `model.grid`): the image, and noise alone.
        model: on the finer grid.
        matrix: (rows, columns) of the image.
        reach: half-axes (ky, kx) of the measured disc of k-space, cycles/pixel of the image.
        noise_std: what the noise alone is to be multiplied by to be as strong as that of the image; 0: unknown.
        sensitivities: (coils, rows, columns) on the finer grid; None: one coil.
        iterations: at most so many; fewer if noise would rise by more than NOISE_GAIN.
    """
    device = model.device
    inside = field_of_view_disc(model.matrix)
    seen = device.put(field_of_view_disc(matrix), np.float32)

    def noise_of(images: DeviceArray) -> float:
        return math.sqrt((abs(band_limit(images[1], matrix, reach, device)) ** 2 * seen).sum())

    gridding_noise = noise_of(gridded)

    def solve(expected: NDArray[np.float32]) -> tuple[DeviceArray, DeviceArray, float, int]:
        best: tuple[DeviceArray, DeviceArray, float, int] | None = None
        steps = conjugate_gradients(
            lambda images: model.normal(images, sensitivities), gridded, device.put(expected), device.array_module
        )
        for number, (images, residuals) in enumerate(islice(steps, iterations), start=1):
            gain = noise_of(images) / gridding_noise
            if best is not None and gain > NOISE_GAIN:
                break
            best = images, residuals, gain, number
        if best is None:  # an image of zeros is its own solution
            return gridded, gridded, 1.0, 0
        return best

    images, residuals, gain, taken = solve(np.where(inside, 1, _BEYOND).astype(np.float32))
    beyond = _is_signal_beyond(to_host(images), to_host(residuals), ~inside, noise_std)
    if beyond:
        images, residuals, gain, taken = solve(np.ones(model.matrix, np.float32))
    return LeastSquares(band_limit(images[0], matrix, reach, device), gain, taken, beyond)


def band_limit(images: DeviceArray, matrix: tuple[int, int], reach: tuple[float, float], device: Device) -> DeviceArray:
    """Images of one field of view on a coarser grid, with the k-space that was measured and nothing beyond.

    Args:
        images: (..., rows, columns) on a finer grid.
        matrix: (rows, columns) of the result.
        reach: half-axes (ky, kx) of the measured disc, cycles/pixel of the result.
        device: where the images are.

    Returns:
        (..., *matrix) complex64; uniform values keep their value.
    """
    fft, axes = device.fft, (-2, -1)
    finer = images.shape[-2:]
    spectrum = fft.fftshift(fft.fft2(fft.ifftshift(images, axes=axes)), axes=axes)
    first = [fine // 2 - coarse // 2 for fine, coarse in zip(finer, matrix, strict=True)]
    spectrum = spectrum[..., first[0] : first[0] + matrix[0], first[1] : first[1] + matrix[1]]
    ky, kx = ((np.arange(size) - size // 2) / size for size in matrix)
    # Frequencies are spread 1/size apart: one belongs to the disc if the middle of its cell's inner half does.
    spare = 0.25 / max(matrix)
    measured = np.hypot(ky[:, None] / (reach[0] + spare), kx / (reach[1] + spare)) <= 1
    scale = matrix[0] * matrix[1] / (finer[0] * finer[1])
    spectrum = spectrum * device.put(scale * measured, np.float32)
    coarser: DeviceArray = fft.fftshift(fft.ifft2(fft.ifftshift(spectrum, axes=axes)), axes=axes)
    return coarser


def field_of_view_disc(matrix: tuple[int, int]) -> NDArray[np.bool_]:
    """(rows, columns) of the pixels within the disc (ellipse) inscribed in the field of view."""
    rows, columns = matrix
    y = (np.arange(rows) - rows // 2) / (rows / 2)
    x = (np.arange(columns) - columns // 2) / (columns / 2)
    return np.asarray(np.hypot(y[:, None], x) <= 1)


def _is_signal_beyond(
    images: NDArray[np.complex64], residuals: NDArray[np.complex64], outside: NDArray[np.bool_], noise_std: float
) -> bool:
    """Whether what the disc cannot explain stands out from noise, and is more than rounding."""
    width = _SMOOTHING * FINER

    def smooth(image: NDArray[np.complex64]) -> NDArray[np.float64]:
        return np.asarray(np.abs(gaussian_filter(image, width)))

    noise = noise_std * float(np.sqrt(np.mean(smooth(residuals[1])[outside] ** 2)))
    threshold = max(_NOISE_BEYOND * noise, _LEAST_BEYOND * float(smooth(images[0]).max()))
    return bool(smooth(residuals[0])[outside].max() > threshold)
