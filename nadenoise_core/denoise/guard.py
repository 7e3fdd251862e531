"""What a network took away, judged by what is known of the noise.

A denoised image is to be trusted as far as its residual, the plain image minus the denoised one, could be noise: it
has no more power than noise, no more at edges than elsewhere, is not smoother than gridding makes noise, and nowhere
has the shape of something small. Noise that was left in is no fault: the residual is then smaller, nothing is lost.

What was lost or invented is searched for by matched filters, discs and lines, in phase with the image. Of small
shapes noise has more chances than of large ones, so each has a limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_SIZE = 1.05
LARGEST_CORRELATION = 0.09  # of neighbours, above that of noise
LARGEST_AT_EDGES = 1.3
LARGEST_MEAN = 4.0

# Radius, mm, to a limit in standard deviations: what noise alone reaches in 3 of 1000 images of 80 x 80; for the
# largest in 5 of 100, as networks leave noise of that width in.
DISCS = {1.5: 4.94, 2.5: 4.87, 3.5: 4.74, 5.0: 4.0}
LINE, LINE_LIMIT, DIRECTIONS = (20.0, 2.0), 5.1, 6  # length and width, mm; as for discs; over half a turn

_ROUNDING = 1e-6  # of the power of noise
_PHASE = 4.0  # pixels over which the phase of an image is smooth
_STEEPEST = 10.0  # per cent of the pixels are edges


@dataclass(frozen=True)
class Residual:
    """The residual of a denoised image, within the disc of the field of view.

    Attributes:
        size: standard deviation of the real part, over that of the noise.
        correlation: of neighbouring pixels, minus what noise has.
        at_edges: power at the steepest edges of the denoised image over the power elsewhere.
        largest_mean: largest mean over a disc or line, in standard deviations of that of noise; scaled so that noise
            alone exceeds LARGEST_MEAN equally seldom for every shape.
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
        if self.size and self.correlation > LARGEST_CORRELATION:
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
    pixel: tuple[float, float] = (2.25, 2.25),
) -> Residual:
    """Judge a denoised complex image by its residual.

    Args:
        plain, denoised: (rows, columns) complex.
        noise_std: of the real part of a pixel of `plain`, above 0.
        k_max: radius of the measured disc of k-space, cycles/pixel: it gives noise its correlation.
        pixel: (row, column) spacing, mm.
    """
    from scipy.ndimage import gaussian_gradient_magnitude

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
    in_phase = np.real(left * np.exp(-1j * _smooth_phase(np.asarray(denoised, np.complex128))))
    return Residual(
        size=float(np.sqrt(power[disc].mean() / 2)),
        correlation=float((beside + below) / 2 / power[disc].mean() - _noise_correlation(k_max)),
        at_edges=float(power[edges].mean() / power[disc & ~edges].mean()),
        largest_mean=max(
            LARGEST_MEAN / limit * float(np.abs(means[disc]).max()) for means, limit in _matched(in_phase, k_max, pixel)
        ),
    )


def _smooth_phase(image: NDArray[Any]) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    return np.asarray(np.angle(gaussian_filter(image, _PHASE)))


def _matched(
    image: NDArray[np.float64], k_max: float, pixel: tuple[float, float]
) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Means of an image over every shape around every pixel, in standard deviations of noise's, and their limits."""
    spectrum = np.fft.rfft2(image)
    for passed, limit in _filters(image.shape[0], image.shape[1], k_max, pixel):
        yield np.fft.irfft2(spectrum * passed, s=image.shape), limit


@lru_cache(maxsize=4)
def _filters(
    rows: int, columns: int, k_max: float, pixel: tuple[float, float]
) -> tuple[tuple[NDArray[np.complex128], float], ...]:
    """Spectra of every shape, (rows, columns // 2 + 1), scaled so that noise comes out with 1; and its limit."""
    ky, kx = (np.fft.fftfreq(size) for size in (rows, columns))
    measured = np.hypot(ky[:, None], kx) <= k_max
    filters = []
    for shape, limit in _shapes(rows, columns, pixel):
        deviation = np.sqrt(np.mean(np.abs(np.fft.fft2(shape)[measured]) ** 2))
        filters.append((np.fft.rfft2(shape).conj() / deviation, limit))
    return tuple(filters)


def _shapes(rows: int, columns: int, pixel: tuple[float, float]) -> Iterator[tuple[NDArray[np.float64], float]]:
    """Discs and lines around pixel (0, 0), as shares of every pixel, with soft edges."""
    y = (np.fft.fftfreq(rows) * rows * pixel[0])[:, None]
    x = np.fft.fftfreq(columns) * columns * pixel[1]
    edge = np.sqrt(pixel[0] * pixel[1])
    for radius, limit in DISCS.items():
        yield np.clip((radius - np.hypot(y, x)) / edge + 0.5, 0, 1), limit
    for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        inside = (
            np.clip((size / 2 - np.abs(part)) / edge + 0.5, 0, 1)
            for size, part in zip(LINE, (along, across), strict=True)
        )
        yield np.prod(list(inside), axis=0), LINE_LIMIT


def _noise_correlation(k_max: float) -> float:
    """Correlation of neighbouring pixels of noise that fills a disc of k-space evenly."""
    from scipy.special import j1

    return float(2 * j1(2 * np.pi * k_max) / (2 * np.pi * k_max))
