"""Several receive coils: whitening their noise, and combining their images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nadenoise_core.errors import RawDataError

_SENSITIVITY_SMOOTHING = 4.0  # pixels; coil sensitivities vary slowly


def noise_covariance(samples: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Covariance of the coils' noise, (coils, coils), from noise samples (coils, n); its scale is E|n|^2."""
    samples = samples.astype(np.complex128)
    return samples @ samples.conj().T / samples.shape[1]


def whitening_matrix(covariance: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Matrix W that makes noise white: W C W^H = 2 I, so that real and imaginary part have unit variance.

    Args:
        covariance: (coils, coils), see `noise_covariance`.

    Raises:
        RawDataError: the covariance has no inverse, because a coil is silent or two coils are the same.
    """
    try:
        factor = np.linalg.cholesky(covariance / 2)
    except np.linalg.LinAlgError:
        raise RawDataError(
            "the noise scan cannot whiten the coils: a coil is silent or two coils are copies of one another"
        ) from None
    return np.linalg.inv(factor)


def combine(images: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """One complex image of the images of whitened coils, weighted by their smooth sensitivities.

    The relative sensitivities are the low-resolution images themselves (Bydder et al., Magn Reson Med 47:539, 2002),
    so that the noise keeps its standard deviation and there is no bias of a root of squares.

    Args:
        images: (coils, rows, columns).

    Returns:
        (rows, columns) complex64; a single coil's image unchanged.
    """
    if images.shape[0] == 1:
        return images[0].astype(np.complex64)
    smooth = np.stack(
        [
            gaussian_filter(image.real, _SENSITIVITY_SMOOTHING) + 1j * gaussian_filter(image.imag, _SENSITIVITY_SMOOTHING)
            for image in images
        ]
    )
    reference = np.exp(1j * np.angle(np.sum(smooth * np.abs(smooth), axis=0)))
    scale = np.sqrt(np.sum(np.abs(smooth) ** 2, axis=0))
    weights = smooth / np.maximum(scale, np.finfo(np.float32).tiny) * reference.conj()
    return np.asarray(np.sum(weights.conj() * images, axis=0), dtype=np.complex64)
