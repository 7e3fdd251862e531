"""Several receive coils: whitening their noise, and combining their images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nadenoise_core.errors import RawDataError

_LEAST_INDEPENDENCE = 1e-6  # smallest eigenvalue of the coils' noise correlation
_SENSITIVITY_SMOOTHING = 4.0  # pixels; coil sensitivities vary slowly


def noise_covariance(samples: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Covariance of the coils' noise, (coils, coils), from noise samples (coils, n); its scale is E|n|^2."""
    samples = samples.astype(np.complex128)
    return np.asarray(samples @ samples.conj().T / samples.shape[1], dtype=np.complex128)


def whitening_matrix(covariance: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """Matrix W that makes noise white: W C W^H = 2 I, so that real and imaginary part have unit variance.

    Args:
        covariance: (coils, coils), see `noise_covariance`.

    Raises:
        RawDataError: the covariance has no inverse, because a coil is silent or two coils are the same.
    """
    # Rounding lets the covariance of copied coils pass for one that has an inverse; that of the correlation tells.
    power = np.diagonal(covariance).real
    if np.all(power > 0) and np.isfinite(covariance).all():
        correlation = covariance / np.sqrt(np.outer(power, power))
        if np.linalg.eigvalsh(correlation)[0] > _LEAST_INDEPENDENCE:
            return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance / 2)), dtype=np.complex128)
    raise RawDataError("the noise scan cannot whiten the coils: a coil is silent, or a copy of another")


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
        return np.asarray(images[0], dtype=np.complex64)
    smooth = np.stack(
        [
            gaussian_filter(image.real, _SENSITIVITY_SMOOTHING)
            + 1j * gaussian_filter(image.imag, _SENSITIVITY_SMOOTHING)
            for image in images
        ]
    )
    reference = np.exp(1j * np.angle(np.tensordot(_leading_mode(smooth).conj(), smooth, axes=1)))
    scale = np.sqrt(np.sum(np.abs(smooth) ** 2, axis=0))
    weights = smooth / np.maximum(scale, np.finfo(np.float32).tiny) * reference.conj()
    return np.asarray(np.sum(weights.conj() * images, axis=0), dtype=np.complex64)


def _leading_mode(images: NDArray[np.complexfloating]) -> NDArray[np.complex128]:
    """The combination of coils that sees most of the image, (coils,), in phase with the first coil.

    The phases of coils around a leg wind once; their plain sum would vanish somewhere, and its phase turn about that
    point.
    """
    flat = images.reshape(images.shape[0], -1).astype(np.complex128)
    mode = np.linalg.eigh(flat @ flat.conj().T)[1][:, -1]
    return np.asarray(mode * np.exp(-1j * np.angle(mode[0])))
