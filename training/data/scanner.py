"""A spiral scan of complex images as torch tensors: from images to samples, and gridded back to images.

On a GPU both directions are dense matrix products, which keep it busy for microseconds an image and need no library
beside torch; on the CPU they are finufft's. Noise added to samples is white, so gridding gives it exactly the
covariance of a real scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nadenoise_core.recon.nufft import Nufft


@dataclass(frozen=True)
class Readout:
    """How k-space is sampled.

    Attributes:
        trajectory: (samples, 2) cycles/pixel, columns (read, phase).
        weights: (samples,) density compensation.
        times: (samples,) since the first sample of the interleaf, ms.
    """

    trajectory: NDArray[np.float64]
    weights: NDArray[np.float64]
    times: NDArray[np.float64]

    @property
    def gain(self) -> float:
        """Noise of an image over that of a sample, of the real or the imaginary part."""
        return float(np.sqrt(np.sum(self.weights**2)))


class Scanner:
    """Samples images of one matrix and grids samples to them.

    Args:
        readout: the spiral.
        matrix: pixels a side; may be wider than the field of view that the spiral supports.
        device: of all tensors.
    """

    def __init__(self, readout: Readout, matrix: int, device: torch.device) -> None:
        self.readout = readout
        self.matrix = matrix
        self.device = device
        self.times = torch.tensor(readout.times, dtype=torch.float32, device=device)
        self.weights = torch.tensor(readout.weights, dtype=torch.float32, device=device)

    @property
    def samples(self) -> int:
        """Of one scan."""
        return len(self.readout.weights)

    def sample(self, images: Tensor) -> Tensor:
        """(images, matrix, matrix) complex64 to (images, samples)."""
        if self.device.type == "cpu":
            return torch.from_numpy(np.asarray(self._nufft.forward(images.numpy())))
        return dense_sample(self, images)

    def grid(self, samples: Tensor) -> Tensor:
        """(images, samples) complex64 to (images, matrix, matrix), density compensated."""
        if self.device.type == "cpu":
            return torch.from_numpy(np.asarray(self._nufft.adjoint((samples * self.weights).numpy())))
        return dense_grid(self, samples)

    def noise(self, generator: torch.Generator, images: int) -> Tensor:
        """White noise (images, samples), which an image shows with standard deviation 1 of real and imaginary part."""
        parts = torch.randn(images, self.samples, 2, generator=generator, device=self.device)
        return torch.view_as_complex(parts) / self.readout.gain

    @cached_property
    def _nufft(self) -> Nufft:
        return Nufft(self.readout.trajectory, (self.matrix, self.matrix))

    @cached_property
    def waves(self) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of exp(2 pi i k.r), (pixels, samples) each."""
        axis = torch.arange(self.matrix, device=self.device, dtype=torch.float64) - self.matrix // 2
        k = torch.tensor(self.readout.trajectory, dtype=torch.float64, device=self.device)
        rows, columns = torch.outer(axis, k[:, 1]), torch.outer(axis, k[:, 0])
        turns = (rows[:, None] + columns[None]).flatten(0, 1)
        phase = 2 * torch.pi * (turns - turns.round())
        return torch.cos(phase).float(), torch.sin(phase).float()


def dense_sample(scanner: Scanner, images: Tensor) -> Tensor:
    """`Scanner.sample` as matrix products."""
    real, imaginary = scanner.waves
    # exp(-2 pi i k.r) is the conjugate of what grids.
    return _product(real.T, -imaginary.T, images.flatten(1))


def dense_grid(scanner: Scanner, samples: Tensor) -> Tensor:
    """`Scanner.grid` as matrix products."""
    return _product(*scanner.waves, samples * scanner.weights).reshape(-1, scanner.matrix, scanner.matrix)


def _product(real: Tensor, imaginary: Tensor, vectors: Tensor) -> Tensor:
    """(images, a) complex times a complex matrix (b, a), given as two real ones: (images, b)."""
    count = len(vectors)
    columns = torch.cat([vectors.real, vectors.imag]).T
    by_real, by_imaginary = real @ columns, imaginary @ columns
    parts = (by_real[:, :count] - by_imaginary[:, count:], by_real[:, count:] + by_imaginary[:, :count])
    return torch.complex(*parts).T
