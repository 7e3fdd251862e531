"""The data that all libraries get: one virtual calf on the paper's spiral, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.phantom import VirtualScan, band_limited
from nadenoise_core.recon.least_squares import field_of_view_disc
from nadenoise_core.recon.model import image_noise_std
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights
from nadenoise_core.simulate.measurement import VirtualMeasurement

AVERAGES = 30
COILS = 8
_SEED = 7
_NOISE_SEED = 11
_EXACT = 1e-12  # accuracy of the transform that judges


@dataclass(frozen=True, eq=False)
class Samples:
    """K-space, and where it comes from.

    Attributes:
        kspace: (coils, interleaves, samples) complex64, mmol/L pixel.
        maps: (coils, rows, columns) complex64, the true sensitivities.
        noise_std: of the real part of a sample.
    """

    kspace: NDArray[np.complex64]
    maps: NDArray[np.complex64]
    noise_std: float


@dataclass(frozen=True)
class Problem:
    """One individual; lengths are pixels, frequencies cycles/pixel, images mmol/L."""

    matrix: tuple[int, int] = (PAPER_SPIRAL.matrix, PAPER_SPIRAL.matrix)

    @cached_property
    def trajectory(self) -> NDArray[np.float64]:
        """(interleaves, samples, 2) as (read, phase)."""
        return PAPER_SPIRAL.trajectory() * self._pixel

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(interleaves, samples): nadenoise's density compensation, areas in (cycles/pixel)^2."""
        return sample_weights(self.trajectory, self.matrix)

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """(rows, columns): what the disc of k-space |k| < 1/2 holds, exactly."""
        return band_limited(self._scan(1).calf, PAPER_SPIRAL.matrix, PAPER_SPIRAL.field_of_view)

    @cached_property
    def disc(self) -> NDArray[np.bool_]:
        """(rows, columns): the disc of the field of view, in which images are compared."""
        return field_of_view_disc(self.matrix)

    @cached_property
    def clean(self) -> Samples:
        """One coil, without noise."""
        return self._sample(1, 0.0)

    @cached_property
    def noisy(self) -> Samples:
        """One coil, the mean of AVERAGES averages."""
        return self._sample(1, self._noise_std)

    @cached_property
    def coils(self) -> Samples:
        """COILS coils, each with the noise of `noisy`."""
        return self._sample(COILS, self._noise_std)

    @cached_property
    def image_noise(self) -> float:
        """Standard deviation of the real part of a pixel of the gridded `noisy` image."""
        return image_noise_std(np.full(len(self.trajectory), self._noise_std), self.weights)

    @cached_property
    def exact(self) -> Any:
        """A transform of double precision to judge by."""
        return ExactTransform(self.trajectory, self.matrix)

    def difference(self, image: NDArray[np.complexfloating], other: NDArray[Any]) -> float:
        """Root mean square of the difference to another image within the disc, relative to that image."""
        inside = other[..., self.disc]
        return float(np.linalg.norm(image[..., self.disc] - inside) / np.linalg.norm(inside))

    def error(self, image: NDArray[np.complexfloating], samples: Samples) -> float:
        """Difference of one image to the truth, seen through the phase of a single coil."""
        return self.difference(image, self.truth * (samples.maps[0] if len(samples.maps) == 1 else 1))

    @cached_property
    def _noise_std(self) -> float:
        return float(self._scan(1).noise_std / np.sqrt(AVERAGES))

    @property
    def _pixel(self) -> float:
        return PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix

    def _scan(self, coils: int) -> VirtualScan:
        return VirtualMeasurement(seed=_SEED, averages=AVERAGES, coils=coils).scan()

    def _sample(self, coils: int, noise_std: float) -> Samples:
        scan = self._scan(coils)
        axis = (np.arange(PAPER_SPIRAL.matrix) - PAPER_SPIRAL.matrix // 2) * self._pixel
        maps = scan.sensitivities(np.stack(np.meshgrid(axis, axis), axis=-1))
        shape = scan.kspace.shape
        noise = np.random.default_rng(_NOISE_SEED).standard_normal((*shape, 2)).view(np.complex128)[..., 0]
        return Samples((scan.kspace + noise_std * noise).astype(np.complex64), maps.astype(np.complex64), noise_std)


class ExactTransform:
    """finufft in double precision, 1e-12."""

    def __init__(self, trajectory: NDArray[np.float64], matrix: tuple[int, int]) -> None:
        self._x, self._y = np.ascontiguousarray(2 * np.pi * trajectory.reshape(-1, 2).T)
        self._shape, self._matrix = trajectory.shape[:-1], matrix

    def forward(self, image: NDArray[Any]) -> NDArray[np.complex128]:
        """Samples (interleaves, samples) of an image (rows, columns)."""
        import finufft

        image = np.ascontiguousarray(image, np.complex128)
        samples = finufft.nufft2d2(self._y, self._x, image, eps=_EXACT, isign=-1, nthreads=1)
        return np.asarray(samples).reshape(self._shape)

    def adjoint(self, samples: NDArray[Any]) -> NDArray[np.complex128]:
        """Image (rows, columns) of samples (interleaves, samples)."""
        import finufft

        samples = np.ascontiguousarray(samples, np.complex128).ravel()
        return np.asarray(finufft.nufft2d1(self._y, self._x, samples, self._matrix, eps=_EXACT, isign=1, nthreads=1))
