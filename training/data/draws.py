"""Random numbers of a batch of scenes, one an object, all from one generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Draw:
    """Random numbers (objects,).

    Args:
        generator: of all of them.
        count: objects.
        device: of the tensors.
    """

    def __init__(self, generator: torch.Generator, count: int, device: torch.device) -> None:
        self.generator = generator
        self.count = count
        self.device = device

    def uniform(self, low: float, high: float) -> Tensor:
        """Within these bounds."""
        return low + (high - low) * torch.rand(self.count, generator=self.generator, device=self.device)

    def log_uniform(self, span: tuple[float, float]) -> Tensor:
        """Positive numbers whose logarithm is uniform."""
        return torch.exp(self.uniform(*map(math.log, span)))

    def normal(self) -> Tensor:
        """Of mean 0 and standard deviation 1."""
        return torch.randn(self.count, generator=self.generator, device=self.device)

    def integer(self, below: int) -> Tensor:
        """Whole numbers from 0."""
        return torch.randint(below, (self.count,), generator=self.generator, device=self.device)

    def happens(self, share: float) -> Tensor:
        """True for about this share of the objects."""
        return self.uniform(0, 1) < share

    def choice(self, shares: tuple[float, ...]) -> Tensor:
        """Indices, each as often as its share says."""
        ends = torch.tensor(shares, device=self.device).cumsum(0)
        return torch.searchsorted(ends, self.uniform(0, float(ends[-1]))).clamp(max=len(shares) - 1)

    def spot(self, allowed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row and column from the centre of one of the allowed pixels of each map, and whether there is any."""
        size = allowed.shape[-1]
        lot = torch.rand(allowed.shape, generator=self.generator, device=self.device) * allowed
        best, place = lot.flatten(1).max(1)
        return (place // size - size // 2).float(), (place % size - size // 2).float(), best > 0
