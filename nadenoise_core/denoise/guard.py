"""What a network took away, judged by what is known of the noise.

A denoised image is to be trusted as far as its residual, the plain image minus the denoised one, could be noise. In
units of the known noise level the residual of a good network has a standard deviation a little below 1, the
correlation that gridding gives to noise, no more power at edges than elsewhere, and no mean anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_SIZE, LARGEST_SIZE = 0.85, 1.05
LARGEST_CORRELATION = 0.09  # of neighbours, from that of noise
LARGEST_AT_EDGES = 1.3
LARGEST_MEAN = 4.0  # standard deviations; noise alone reaches 3.3 in an image of 80 x 80

_ROUNDING = 1e-6  # of the power of noise
_SMOOTHING = 2.0  # pixels
_STEEPEST = 10.0  # per cent of the pixels are edges


@dataclass(frozen=True)
class Residual:
    """The residual of a denoised image, within the disc of the field of view.

    Attributes:
        size: standard deviation of the real part, over that of the noise.
        correlation: of neighbouring pixels, minus what noise has.
        at_edges: power at the steepest edges of the denoised image over the power elsewhere.
        largest_mean: largest local mean (Gaussian of 2 pixels), over the standard deviation of that of noise.
    """

    size: float
    correlation: float
    at_edges: float
    largest_mean: float

    def faults(self) -> tuple[str, ...]:
        """What speaks against the denoised image, in words; nothing if the residual could be noise."""
        found = []
        if self.size > LARGEST_SIZE:
            found.append(f"more was taken away than noise ({self.size:.2f} of its level)")
        if self.size < LEAST_SIZE:
            found.append(f"noise was left in ({self.size:.2f} of its level was taken away)")
        if self.size and abs(self.correlation) > LARGEST_CORRELATION:
            found.append(f"what was taken away is not white ({self.correlation:+.2f} from noise's correlation)")
        if self.at_edges > LARGEST_AT_EDGES:
            found.append(f"edges were blurred ({self.at_edges:.2f} times the power elsewhere)")
        if self.largest_mean > LARGEST_MEAN:
            found.append(f"structure was changed ({self.largest_mean:.1f} standard deviations at one place)")
        return tuple(found)


def residual(
    plain: NDArray[Any],
    denoised: NDArray[Any],
    noise_std: float,
    k_max: float = 0.5,
) -> Residual:
    """Judge a denoised complex image by its residual.

    Args:
        plain, denoised: (rows, columns) complex.
        noise_std: of the real part of a pixel of `plain`, above 0.
        k_max: radius of the measured disc of k-space, cycles/pixel: it gives noise its correlation.
    """
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    rows, columns = plain.shape
    left = (np.asarray(plain, np.complex128) - denoised) / noise_std
    y = (np.arange(rows) - rows // 2) / (rows / 2)
    x = (np.arange(columns) - columns // 2) / (columns / 2)
    disc = np.hypot(y[:, None], x) < 1
    power = np.abs(left) ** 2
    if power[disc].mean() < _ROUNDING:
        return Residual(size=0.0, correlation=0.0, at_edges=1.0, largest_mean=0.0)
    beside = np.real(left[:, 1:] * left[:, :-1].conj())[disc[:, 1:] & disc[:, :-1]].mean()
    below = np.real(left[1:] * left[:-1].conj())[disc[1:] & disc[:-1]].mean()
    slope = gaussian_gradient_magnitude(np.abs(denoised).astype(np.float64), 1.0)
    edges = disc & (slope >= np.percentile(slope[disc], 100 - _STEEPEST))
    mean = np.hypot(gaussian_filter(left.real, _SMOOTHING), gaussian_filter(left.imag, _SMOOTHING))
    return Residual(
        size=float(np.sqrt(power[disc].mean() / 2)),
        correlation=float((beside + below) / 2 / power[disc].mean() - _noise_correlation(k_max)),
        at_edges=float(power[edges].mean() / power[disc & ~edges].mean()),
        largest_mean=float(mean[disc].max() / (np.sqrt(2) * _smoothed_noise(k_max, (rows, columns)))),
    )


def _noise_correlation(k_max: float) -> float:
    """Correlation of neighbouring pixels of noise that fills a disc of k-space evenly."""
    from scipy.special import j1

    return float(2 * j1(2 * np.pi * k_max) / (2 * np.pi * k_max))


def _smoothed_noise(k_max: float, matrix: tuple[int, int]) -> float:
    """Standard deviation of the real part of such noise after the Gaussian, before it 1."""
    ky, kx = (np.fft.fftfreq(size) for size in matrix)
    k = np.hypot(ky[:, None], kx)
    passed = np.exp(-4 * (np.pi * _SMOOTHING * k) ** 2)
    return float(np.sqrt(passed[k <= k_max].mean()))
