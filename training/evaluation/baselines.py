"""What a user could have for nothing: classical denoisers of complex images.

Each has the setting of the least error in independent legs at 30 and 10 averages (seeds 2000 to 2005, weights in
steps of 0.15 or more); the Gaussian, which takes most of what is thin, is a little narrower. The noise that each is
given is the standard deviation of a pixel's real part, as if the noise were white: neighbours correlate by +0.18.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from training.evaluation.block_matching import bm3d

Images = NDArray[np.complex64]

GAUSSIAN = 0.8  # pixels


def plain(images: Images, std: float) -> Images:
    """As measured."""
    return images


def gaussian(images: Images, std: float) -> Images:
    """A Gaussian of 0.8 pixel."""
    return _parts(images, lambda part: gaussian_filter(part, GAUSSIAN))


def total_variation(images: Images, std: float, weight: float = 0.7) -> Images:
    """Total variation of the image (Chambolle), weight in noise standard deviations."""
    return _parts(images, lambda part: denoise_tv_chambolle(part / std, weight=weight) * std)


def non_local_means(images: Images, std: float, strength: float = 0.5) -> Images:
    """Non-local means of patches of 5 pixels (Buades)."""
    return _parts(
        images,
        lambda part: (
            denoise_nl_means(part / std, patch_size=5, patch_distance=8, h=strength, sigma=1.0, fast_mode=True) * std
        ),
    )


def wavelets(images: Images, std: float, strength: float = 1.0) -> Images:
    """Soft thresholds of Daubechies' wavelets by Bayes' rule (Chang), mean over shifts (cycle spinning)."""
    shifts = [(row, column) for row in range(0, 8, 2) for column in range(0, 8, 2)]

    def denoise(part: NDArray[np.floating]) -> NDArray[np.floating]:
        total = np.zeros(part.shape)
        for shift in shifts:
            moved = np.roll(part / std, shift, (0, 1))
            moved = denoise_wavelet(moved, sigma=strength, wavelet="db2", mode="soft", method="BayesShrink")
            total += np.roll(moved, (-shift[0], -shift[1]), (0, 1))
        return std * total / len(shifts)

    return _parts(images, denoise)


def block_matching(images: Images, std: float, strength: float = 1.0) -> Images:
    """Block matching and 3D filtering (Dabov), strength in noise standard deviations."""
    return _parts(images, lambda part: bm3d(part, strength * std))


def _parts(images: Images, denoise: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Images:
    """Real and imaginary part, each for itself."""
    return np.stack([denoise(image.real) + 1j * denoise(image.imag) for image in images]).astype(np.complex64)
