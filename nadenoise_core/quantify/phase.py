"""The real part of a complex image in phase: signal without the noise floor that a magnitude has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, gaussian_filter

SMOOTHING = 10.0  # mm; coil and off-resonance phase vary slowly, and some 60 pixels share one estimate


def in_phase(image: NDArray[np.generic], pixel: tuple[float, float]) -> NDArray[np.float64]:
    """Turn a complex image by its smooth phase and take the real part.

    Noise then stays Gaussian with zero mean, where a magnitude would read 10 mmol/L about 10 % high at two minutes.

    Args:
        image: (rows, columns), complex; a real image is returned as it is.
        pixel: (row, column) spacing in mm.
    """
    if not np.iscomplexobj(image):
        return image.astype(np.float64)
    width = [SMOOTHING / spacing for spacing in pixel]
    phase = np.arctan2(_around(image.imag, width), _around(image.real, width))
    return np.asarray((image * np.exp(-1j * phase)).real, dtype=np.float64)


def _around(part: NDArray[np.floating], width: list[float]) -> NDArray[np.float64]:
    """Gaussian mean of the neighbourhood without the pixel and its nearest neighbours.

    Else the noise of a pixel would turn its own phase towards itself, and air would read above 0.
    """
    core: NDArray[np.float64] = np.asarray(part, np.float64)
    for axis, sigma in enumerate(width):
        taps = np.exp(-0.5 * (np.arange(-1, 2) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        core = convolve1d(core, taps, axis=axis)
    return np.asarray(gaussian_filter(np.asarray(part, np.float64), width) - core)
