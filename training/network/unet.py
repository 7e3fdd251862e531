"""A U-shaped residual network for complex images in units of their noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from training.errors import ConfigError


class Residual(nn.Module):
    """Input plus two convolutions, the second of which starts at zero."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.first = convolution(filters, filters)
        self.second = convolution(filters, filters)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.second(torch.relu(self.first(features)))
        return added


class UNet(nn.Module):
    """Input plus a learnt residual, (batch, channels, rows, columns) to the same shape; starts as the identity.

    In use, other than in training, it is the mean over the image and its negative turned by half a turn (self-ensemble,
    Timofte et al. 2016, CVPR). Both hold the same object and noise of the same kind, so what the network
    makes of the object stays; what it makes of noise differs, and averages out.

    Args:
        filters: of each resolution, the finest first; every next has half the rows and columns.
        blocks: residual blocks of each resolution, on the way down and again on the way up; the coarsest has them once.
        channels: 2 for real and imaginary part.
    """

    def __init__(
        self, filters: Sequence[int] = (40, 64, 96, 112), blocks: Sequence[int] = (1, 1, 1, 2), channels: int = 2
    ) -> None:
        super().__init__()
        steps = list(zip(filters[:-1], filters[1:], strict=True))
        fine = list(zip(filters[:-1], blocks[:-1], strict=True))
        self.step = 2 ** len(steps)
        self.head = convolution(channels, filters[0])
        self.encoders = nn.ModuleList(_stack(*level) for level in fine)
        self.down = nn.ModuleList(nn.Conv2d(finer, coarser, 2, 2) for finer, coarser in steps)
        self.coarsest = _stack(filters[-1], blocks[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarser, finer, 2, 2) for finer, coarser in reversed(steps))
        self.decoders = nn.ModuleList(_stack(*level) for level in reversed(fine))
        self.last = convolution(filters[0], channels)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def set_keep(self, sigma: float) -> None:
        """Of the residual network; this one has nothing to keep.

        Raises:
            ConfigError: a width above 0.
        """
        if sigma > 0:
            raise ConfigError("a U-shaped network has no keep; set it to 0")

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            return self.denoise(image)
        return (self.denoise(image) + turned(self.denoise(turned(image)))) / 2

    def denoise(self, image: Tensor) -> Tensor:
        """Once, as it is."""
        rows, columns = image.shape[-2], image.shape[-1]
        # To whole pixels of the coarsest resolution.
        image = pad(image, [0, -columns % self.step, 0, -rows % self.step], mode="reflect")
        features = torch.relu(self.head(image))
        kept: list[Tensor] = []
        for encoder, down in zip(self.encoders, self.down):  # noqa: B905, TorchScript knows no `strict`
            features = encoder(features)
            kept.append(features)
            features = torch.relu(down(features))
        features = self.coarsest(features)
        for up, decoder in zip(self.up, self.decoders):  # noqa: B905
            features = decoder(kept.pop() + up(torch.relu(features)))
        added: Tensor = image + self.last(torch.relu(features))
        return added[..., :rows, :columns]


def turned(image: Tensor) -> Tensor:
    """By half a turn, and negative; its own inverse."""
    return -torch.flip(image, [-2, -1])


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3 x 3, reflected at the edges."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _stack(filters: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(filters) for _ in range(blocks)))
