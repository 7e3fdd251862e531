"""The residual denoiser of Baker et al., section 2.2, for any number of filters, blocks and channels."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

TAILS = ("paper", "reference")


class ResidualBlock(nn.Module):
    """Two convolutions, each with batch normalisation and ReLU; then the input is added."""

    def __init__(self, filters: int, momentum: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(filters, filters),
            _normalisation(filters, momentum),
            nn.ReLU(inplace=True),
            _convolution(filters, filters),
            _normalisation(filters, momentum),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.body(features)
        return added


class LowPass(nn.Module):
    """Gaussian smoothing of every channel, reflected at the edges.

    Args:
        channels: of the images.
        sigma: standard deviation, pixels.
    """

    def __init__(self, channels: int, sigma: float) -> None:
        super().__init__()
        self.channels = channels
        self.reach = math.ceil(3 * sigma)
        offset = torch.arange(-self.reach, self.reach + 1, dtype=torch.float32)
        bell = torch.exp(-(offset**2) / (2 * sigma**2))
        # Not learnt and not stored: it follows from sigma.
        self.register_buffer("bell", (bell / bell.sum()).expand(channels, 1, 1, -1).clone(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        bell = torch.as_tensor(self.bell)
        wide = pad(image, [self.reach, self.reach, self.reach, self.reach], mode="reflect")
        down = conv2d(wide, bell.transpose(2, 3), groups=self.channels)
        return conv2d(down, bell, groups=self.channels)


class ResidualDenoiser(nn.Module):
    """Input plus a learnt residual: (batch, channels, rows, columns) to the same shape.

    Args:
        filters: width of every layer.
        blocks: number of residual blocks.
        channels: 1 for magnitude, 2 for real and imaginary part.
        tail: "paper" ends with convolution, ReLU, batch normalisation and a 1x1 convolution, as written in
            section 2.2; "reference" with convolution, batch normalisation, ReLU and a 3x3 convolution, as the
            authors run it.
        zero_init: start the last convolution at zero, so that the network starts as the identity.
        keep: width in pixels (Gaussian sigma) above which structure is left as measured: the smoothed
            residual is given back, so that means over wide regions cannot be biased. 0 leaves all to the
            network, as the paper does.
        momentum: of the running statistics of batch normalisation, in torch's sense (the paper's run has
            0.01).
    """

    def __init__(
        self,
        filters: int = 64,
        blocks: int = 8,
        channels: int = 1,
        tail: str = "paper",
        zero_init: bool = True,
        momentum: float = 0.01,
        keep: float = 0.0,
    ) -> None:
        super().__init__()
        if tail not in TAILS:
            raise ValueError(f"unknown tail '{tail}'; use one of {', '.join(TAILS)}")
        order: list[nn.Module] = [nn.ReLU(inplace=True), _normalisation(filters, momentum)]
        if tail == "reference":
            order.reverse()
        self.head = nn.Sequential(_convolution(channels, filters), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(ResidualBlock(filters, momentum) for _ in range(blocks)))
        self.tail = nn.Sequential(_convolution(filters, filters), *order)
        self.last = nn.Conv2d(filters, channels, 1) if tail == "paper" else _convolution(filters, channels)
        self.channels = channels
        self.keep: LowPass | None = None
        self.set_keep(keep)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        if zero_init:
            nn.init.zeros_(self.last.weight)

    def set_keep(self, sigma: float) -> None:
        """Give back structure wider than `sigma` pixels from now on; 0: nothing."""
        self.keep = LowPass(self.channels, sigma) if sigma > 0 else None

    def forward(self, image: Tensor) -> Tensor:
        residual: Tensor = self.last(self.tail(self.blocks(self.head(image))))
        if self.keep is not None:
            residual = residual - self.keep(residual)
        return image + residual


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """All numbers including the statistics of batch normalisation, and the trainable ones among them."""
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    statistics = sum(b.numel() for layer in normalisation_layers(network) for b in layer.buffers() if b.ndim)
    return trainable + statistics, trainable


def normalisation_layers(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The layers whose statistics a fit estimates."""
    return [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def estimate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of batch normalisation to their plain average over batches."""
    layers = normalisation_layers(network)
    momenta = [layer.momentum for layer in layers]
    training = network.training
    network.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.train(training)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


def _normalisation(filters: int, momentum: float) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=momentum)
