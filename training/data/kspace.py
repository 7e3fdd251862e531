"""Images as the scanner's k-space allows them: cropped to a matrix, within the disc of a spiral; exact discs, noise.

Images are centred at pixel N // 2 on both axes, as in `nadenoise_core.recon.nufft`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1

from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling import PAPER_SPIRAL, SpiralDesign, sample_weights

MATRIX = 80


def centred_fft(image: NDArray[Any]) -> NDArray[np.complexfloating]:
    """(..., N, N) image to k-space with k = 0 at N // 2."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=axes)), axes=axes)


def centred_ifft(kspace: NDArray[Any]) -> NDArray[np.complexfloating]:
    """Inverse of `centred_fft`."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes)), axes=axes)


def crop_kspace(image: NDArray[np.floating], matrix: int = MATRIX) -> NDArray[np.float32]:
    """(..., rows, columns) to (..., matrix, matrix): the central k-space of a finer image, intensities kept."""
    rows, columns = image.shape[-2:]
    top, left = rows // 2 - matrix // 2, columns // 2 - matrix // 2
    kspace = centred_fft(image)[..., top : top + matrix, left : left + matrix]
    cropped: NDArray[np.float32] = (centred_ifft(kspace).real * (matrix**2 / (rows * columns))).astype(np.float32)
    return cropped


def limit_to_disc(image: NDArray[Any], edge: float) -> NDArray[np.complex64]:
    """The part of (..., N, N) images within |k| <= edge, cycles/pixel."""
    frequency = np.fft.fftfreq(image.shape[-1])
    disc = np.hypot(frequency[:, None], frequency[None, :]) <= edge
    return np.fft.ifft2(np.fft.fft2(image) * disc).astype(np.complex64)


def draw_discs(
    centres: NDArray[np.floating],
    radii: NDArray[np.floating],
    levels: NDArray[np.floating],
    matrix: int = MATRIX,
) -> NDArray[np.float32]:
    """Sum of uniform discs as their exact, band-limited transform shows them: `R J1(2 pi R |k|) / |k|`.

    Args:
        centres: (discs, 2) rows and columns, pixels from the image centre.
        radii: (discs,) pixels.
        levels: (discs,).

    Returns:
        (matrix, matrix) with the ringing of a sharp object.
    """
    k = (np.arange(matrix) - matrix // 2) / matrix
    radius = np.hypot(k[:, None], k[None, :])
    radius[matrix // 2, matrix // 2] = 1e-9
    kspace = np.zeros((matrix, matrix), np.complex128)
    for (row, column), size, level in zip(centres, radii, levels, strict=True):
        shift = np.exp(-2j * np.pi * k * row)[:, None] * np.exp(-2j * np.pi * k * column)[None, :]
        kspace += level * size * j1(2 * np.pi * size * radius) / radius * shift
    return centred_ifft(kspace).real.astype(np.float32)


class SpiralNoise:
    """Noise of a gridded spiral scan: white in k-space, coloured in the image.

    Args:
        design: the spiral; its matrix is that of the images.
    """

    def __init__(self, design: SpiralDesign = PAPER_SPIRAL) -> None:
        self.design = design
        self.matrix = design.matrix
        self.trajectory = design.trajectory() * (design.field_of_view / design.matrix)  # cycles/pixel
        self.weights = sample_weights(self.trajectory, (design.matrix, design.matrix)).ravel()
        self.edge = float(np.linalg.norm(self.trajectory, axis=-1).max())
        self.nufft = Nufft(self.trajectory, (design.matrix, design.matrix))

    def __reduce__(self) -> tuple[type[SpiralNoise], tuple[SpiralDesign]]:
        """Another process plans its own NUFFT."""
        return SpiralNoise, (self.design,)

    @property
    def pixel(self) -> float:
        """Side of a pixel, mm."""
        return self.design.field_of_view / self.design.matrix

    @property
    def gain(self) -> float:
        """Standard deviation in the image over that in k-space, of the real or the imaginary part."""
        return float(np.sqrt(np.sum(self.weights.astype(np.float64) ** 2)))

    def samples(self, rng: np.random.Generator, sigma: float) -> NDArray[np.complex64]:
        """White k-space noise, (samples,), whose real and imaginary part have standard deviation `sigma`."""
        parts = rng.standard_normal((2, self.nufft.samples), dtype=np.float32)
        return np.asarray(sigma * (parts[0] + 1j * parts[1]), dtype=np.complex64)

    def image(self, samples: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
        """Gridded image (matrix, matrix) of k-space (samples,)."""
        image: NDArray[np.complex64] = self.nufft.adjoint(samples * self.weights)
        return image

    def draw(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Noise image (matrix, matrix), of standard deviation 1 of the real and of the imaginary part."""
        return self.image(self.samples(rng, 1 / self.gain))
