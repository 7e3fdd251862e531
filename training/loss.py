"""What a fit minimises: the mean square error, pixel by pixel or over scales, or the paper's loss (section
2.3).

All take (batch, channels, rows, columns) tensors. Half precision is widened to float32 first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from training.config import LossSettings

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

SSIM_WINDOW = 11  # pixels
SSIM_SIGMA = 1.5  # pixels
SSIM_K1, SSIM_K2 = 0.01, 0.03
DIVERGENCE_WEIGHT = 0.3
SCALES = (1, 2, 4, 8)  # pixels

# Keeps logarithms of empty pixels finite; far below any share of the residual of an image.
_TINY = 1e-12


def mean_square_error(output: Tensor, clean: Tensor) -> Tensor:
    """Mean square error: the posterior mean minimises it, so it biases a region's mean least."""
    return torch.mean((_wide(output) - _wide(clean)) ** 2)


def multiscale_error(output: Tensor, clean: Tensor) -> Tensor:
    """Mean square error of the means over squares of 1 to 8 pixels, in units of the noise of such means.

    The posterior mean minimises this as it minimises the plain error. But a network that is still on its way
    there is first made right where means over regions are wrong: weak tubes, which the plain error lets it
    smooth away, as they cost it less than the noise of the pixels does. Images of low signal count more, by
    the root of their peak, about as much as their error is smaller.
    """
    output, clean = _wide(output), _wide(clean)
    error = output - clean
    terms = [scale**2 * avg_pool2d(error, scale).square().mean(dim=(1, 2, 3)) for scale in SCALES]
    peak = clean.square().sum(dim=1).amax(dim=(1, 2)).sqrt()
    return torch.mean(torch.stack(terms).mean(dim=0) * torch.rsqrt(torch.clamp(peak / 10, min=0.01)))


def structural_similarity(first: Tensor, second: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean SSIM of each image, (batch,): Gaussian window, valid part (Wang et al., IEEE TIP 13:600, 2004)."""
    first, second = _wide(first), _wide(second)
    offset = torch.arange(SSIM_WINDOW, dtype=first.dtype, device=first.device) - SSIM_WINDOW // 2
    bell = torch.exp(-(offset**2) / (2 * SSIM_SIGMA**2))
    bell = bell / bell.sum()
    count = first.shape[1]

    def blurred(image: Tensor) -> Tensor:
        down = conv2d(image, bell.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
        return conv2d(down, bell.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)

    mean_1, mean_2 = blurred(first), blurred(second)
    variance_1 = blurred(first**2) - mean_1**2
    variance_2 = blurred(second**2) - mean_2**2
    covariance = blurred(first * second) - mean_1 * mean_2
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    likeness = (2 * mean_1 * mean_2 + c1) * (2 * covariance + c2)
    scale = (mean_1**2 + mean_2**2 + c1) * (variance_1 + variance_2 + c2)
    return torch.mean(likeness / scale, dim=(1, 2, 3))


def jensen_shannon_distance(first: Tensor, second: Tensor, per_image: bool = False) -> Tensor:
    """Distance between where two residuals lie: 0 for the same places, 1 for places that share nothing.

    Magnitudes are normalised to sum to one over the batch, or over each image and then averaged, which makes
    the loss independent of the size of the batch.
    """
    if not per_image:
        first, second = first.reshape(1, -1), second.reshape(1, -1)
    p = _shares(_wide(first).flatten(1))
    q = _shares(_wide(second).flatten(1))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / (2 * math.log(2))
    # The root's slope is infinite at zero.
    return torch.mean(torch.sqrt(torch.clamp(divergence, min=_TINY)))


def paper_loss(
    output: Tensor, clean: Tensor, noisy: Tensor, per_image: bool = True, weight: float = DIVERGENCE_WEIGHT
) -> Tensor:
    """`1 - SSIM` of the images plus 0.3 x the Jensen-Shannon distance of the residuals; images in 0..1."""
    noisy, output, clean = _wide(noisy), _wide(output), _wide(clean)
    distance = jensen_shannon_distance(clean - noisy, output - noisy, per_image)
    return 1 - structural_similarity(output, clean).mean() + weight * distance


def make_loss(settings: LossSettings) -> Loss:
    """The loss that the settings name, of (output, clean, noisy); the mean over images."""
    if settings.name == "mse":
        return lambda output, clean, noisy: mean_square_error(output, clean)
    if settings.name == "multiscale":
        return lambda output, clean, noisy: multiscale_error(output, clean)
    per_image = settings.distance == "image"
    return lambda output, clean, noisy: paper_loss(output, clean, noisy, per_image, settings.weight)


def _shares(values: Tensor) -> Tensor:
    energy = values.abs()
    return energy / torch.clamp(energy.sum(dim=1, keepdim=True), min=_TINY)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    return torch.sum(p * (torch.log(p + _TINY) - torch.log(q + _TINY)), dim=1)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
