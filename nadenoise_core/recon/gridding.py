"""The image of averaged k-space: one adjoint NUFFT of the density-compensated samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling.density import Weights


def grid(kspace: NDArray[np.complexfloating], weights: Weights, nufft: Nufft) -> Any:
    """Reconstruct by gridding; an object of uniform value c comes out as c.

    Args:
        kspace: (coils, interleaves, samples).
        weights: (interleaves, samples) areas in (cycles/pixel)^2.
        nufft: of the same trajectory.

    Returns:
        (coils, rows, columns) complex64, on the device of `nufft`.
    """
    device = nufft.device
    weighted = device.put(kspace, np.complex64) * device.put(weights, np.float32)
    return nufft.adjoint(weighted.reshape(kspace.shape[0], -1))


def image_noise_std(noise_std: NDArray[np.floating], weights: Weights) -> float:
    """Standard deviation of the real part of a pixel of `grid`'s image.

    The image is a sum of samples times weights times phases, so its variance is `sum(w^2 sigma^2)`, exactly.

    Args:
        noise_std: (interleaves,) of the real part of a sample.
        weights: (interleaves, samples).
    """
    variance = np.sum(np.asarray(weights, np.float64) ** 2, axis=-1) * np.asarray(noise_std, np.float64) ** 2
    return float(np.sqrt(np.sum(variance)))
