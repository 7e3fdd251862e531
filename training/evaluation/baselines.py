"""What a user could have for nothing: classical denoisers of complex images, each at its best known setting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

Images = NDArray[np.complex64]
Denoise = Callable[[Images, float], Images]

GAUSSIAN = 0.8  # pixels


def plain(images: Images, std: float) -> Images:
    """As measured."""
    return images


def gaussian(images: Images, std: float) -> Images:
    """A Gaussian of 0.8 pixel."""
    return _parts(images, lambda part: gaussian_filter(part, GAUSSIAN))


def total_variation(images: Images, std: float, weight: float = 0.5) -> Images:
    """Total variation of the image (Chambolle), weight in noise standard deviations."""
    return _parts(images, lambda part: denoise_tv_chambolle(part / std, weight=weight) * std)


def non_local_means(images: Images, std: float, strength: float = 0.8) -> Images:
    """Non-local means of patches of 5 pixels (Buades)."""
    return _parts(
        images,
        lambda part: (
            denoise_nl_means(part / std, patch_size=5, patch_distance=8, h=strength, sigma=1.0, fast_mode=True) * std
        ),
    )


def _parts(images: Images, denoise: Callable[[NDArray[np.floating]], NDArray[np.floating]]) -> Images:
    """Real and imaginary part, each for itself."""
    return np.stack([denoise(image.real) + 1j * denoise(image.imag) for image in images]).astype(np.complex64)
