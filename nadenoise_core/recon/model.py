"""The signal model: how an image becomes the k-space of a spiral scan, and the two operators that undo it.

    s_c(k, t) = sum_r  S_c(r) image(r) exp(-2 pi i (k.r + f(r) t))

with coil sensitivities S and off-resonance f. What reconstruction needs of it is the weighted adjoint, which grids
k-space, and the normal operator `A^H W A`, which is a convolution: two FFTs on a padded grid instead of two NUFFTs
(Fessler et al., IEEE Trans Signal Process 53:3393, 2005).
"""

from __future__ import annotations

from functools import cached_property, reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from nadenoise_core.device import Device, DeviceArray
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling.density import Weights
from nadenoise_core.sampling.off_resonance import Segments

_KERNEL_ACCURACY = 1e-6


class SignalModel:
    """One trajectory with its weights, on one grid of pixels.

    Args:
        trajectory: (interleaves, samples, 2) in cycles/pixel of the grid.
        weights: (interleaves, samples) density compensation, areas in (cycles/pixel)^2.
        matrix: (rows, columns) of the grid.
        device: where it runs.
        off_resonance: of the grid and the readout; None: on resonance.
    """

    def __init__(
        self,
        trajectory: NDArray[np.floating],
        weights: Weights,
        matrix: tuple[int, int],
        device: Device,
        off_resonance: Segments | None = None,
    ) -> None:
        self.matrix = matrix
        self.device = device
        self._trajectory = trajectory
        self._weights = weights
        self._weights_there = device.put(weights, np.float32)
        self._nufft = Nufft(trajectory, matrix, device)
        self._segments = off_resonance

    def grid(self, kspace: NDArray[np.complexfloating]) -> DeviceArray:
        """The weighted adjoint: an object of uniform value c comes out as c.

        Args:
            kspace: (channels, interleaves, samples).

        Returns:
            (channels, rows, columns) complex64, on the device.
        """
        put = self.device.put
        weighted = put(kspace, np.complex64) * self._weights_there
        if self._segments is None:
            return self._nufft.adjoint(weighted.reshape(len(kspace), -1))
        weighted = weighted * put(self._segments.carrier, np.complex64)
        parts = (
            phase * self._nufft.adjoint((weighted * put(share, np.float32)).reshape(len(kspace), -1))
            for share, phase in zip(self._segments.shares, self._phases, strict=True)
        )
        return reduce(add, parts)

    def normal(self, images: DeviceArray, sensitivities: DeviceArray | None = None) -> DeviceArray:
        """`sum_c S_c^* A^H W A S_c` of images.

        Args:
            images: (..., rows, columns), on the device.
            sensitivities: (coils, rows, columns), on the device; None: one coil that sees all alike.

        Returns:
            (..., rows, columns) complex64.
        """
        if sensitivities is not None:
            seen = sensitivities.conj() * self.normal(images[..., None, :, :] * sensitivities)
            combined: DeviceArray = seen.sum(axis=-3)
            return combined
        if self._segments is None:
            return self._convolve(images, self._kernels[0])
        parts = (
            phase * self._convolve(phase.conj() * images, kernel)
            for phase, kernel in zip(self._phases, self._kernels, strict=True)
        )
        return reduce(add, parts)

    @cached_property
    def circulant(self) -> DeviceArray:
        """Eigenvalues (rows, columns) of the periodic convolution nearest to `normal` on resonance, in FFT order.

        T. Chan's optimal circulant (SIAM J Sci Stat Comput 9:766, 1988): the point spread function, weighted by how
        often each shift occurs in the image, and wrapped.
        """
        rows, columns = self.matrix
        often = [np.maximum(1 - np.abs(_shifts(2 * size)) / size, 0) for size in self.matrix]
        spread = self._point_spread((2 * rows, 2 * columns), self._weights) * np.outer(*often)
        wrapped = np.fft.ifftshift(spread).reshape(2, rows, 2, columns).sum(axis=(0, 2))
        return self.device.put(np.fft.fft2(wrapped).real, np.float32)

    @cached_property
    def _kernels(self) -> list[DeviceArray]:
        """Transfer functions of the convolutions, one a segment; real, because the weights are."""
        rows, columns = (next_fast_len(2 * size - 1) for size in self.matrix)
        shares = [1.0] if self._segments is None else list(self._segments.shares)
        spreads = [self._point_spread((rows, columns), self._weights * share) for share in shares]
        return [self.device.put(np.fft.fft2(np.fft.ifftshift(spread)).real, np.float32) for spread in spreads]

    @cached_property
    def _phases(self) -> list[DeviceArray]:
        assert self._segments is not None
        return [self.device.put(phase, np.complex64) for phase in self._segments.phases]

    def _point_spread(self, matrix: tuple[int, int], weights: NDArray[np.floating]) -> NDArray[np.complex64]:
        """What one point becomes by gridding, at every shift."""
        nufft = Nufft(self._trajectory, matrix, "cpu", _KERNEL_ACCURACY)
        return np.asarray(nufft.adjoint(weights.reshape(-1)))

    def _convolve(self, images: DeviceArray, kernel: DeviceArray) -> DeviceArray:
        fft = self.device.fft
        rows, columns = self.matrix
        padded_rows, padded_columns = kernel.shape
        # The padding is transformed along one axis only: a quarter less work than two-dimensional transforms.
        spectrum = fft.fft(images, padded_columns, axis=-1)
        spectrum = fft.fft(spectrum, padded_rows, axis=-2, overwrite_x=True)
        spectrum *= kernel
        result = fft.ifft(spectrum, axis=-2, overwrite_x=True)[..., :rows, :]
        convolved: DeviceArray = fft.ifft(result, axis=-1, overwrite_x=True)[..., :columns]
        return convolved


def image_noise_std(noise_std: NDArray[np.floating], weights: Weights) -> float:
    """Standard deviation of the real part of a pixel of a gridded image.

    The image is a sum of samples times weights times phases, so its variance is `sum(w^2 sigma^2)`, exactly.

    Args:
        noise_std: (interleaves,) of the real part of a sample.
        weights: (interleaves, samples).
    """
    variance = np.sum(np.asarray(weights, np.float64) ** 2, axis=-1) * np.asarray(noise_std, np.float64) ** 2
    return float(np.sqrt(np.sum(variance)))


def _shifts(size: int) -> NDArray[np.int64]:
    return np.arange(size) - size // 2
