"""The real part of a complex image in phase: signal without the noise floor that a magnitude has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

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
    smooth = gaussian_filter(image.real, width) + 1j * gaussian_filter(image.imag, width)
    return np.asarray((image * np.exp(-1j * np.angle(smooth))).real, dtype=np.float64)
