"""What a fit minimises: the mean square error, pixel by pixel or over scales, or the paper's loss (section 2.3).

All take (batch, channels, rows, columns) tensors. Half precision is widened to float32 first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from training.config import CrossSettings, LossSettings
from training.data.regions import blurred

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

SSIM_WINDOW = 11  # pixels
SSIM_SIGMA = 1.5  # pixels
SSIM_K1, SSIM_K2 = 0.01, 0.03
DIVERGENCE_WEIGHT = 0.3
SCALES = (1, 2, 4, 8)  # pixels
FINE, FINE_SQUARE = 2.0, 8  # pixels
CONTRAST_WEIGHT = 0.5  # beside the means over squares
VISIBLE = 0.2  # mean square of fine structure that counts half, in noise variances

# Keeps logarithms of empty pixels finite; far below any share of the residual of an image.
_TINY = 1e-12


def mean_square_error(output: Tensor, clean: Tensor) -> Tensor:
    """Mean square error: the posterior mean minimises it, so it biases a region's mean least."""
    return torch.mean((_wide(output) - _wide(clean)) ** 2)


def multiscale_error(output: Tensor, clean: Tensor) -> Tensor:
    """Mean square error of means over squares of 1 to 8 pixels and of fine contrast, in units of the noise of each.

    The posterior mean minimises the error of means as it minimises the plain error. But a network that is still on
    its way there is first made right where means over regions are wrong: weak tubes, which the plain error lets it
    smooth away, as they cost it less than the noise of the pixels does. Fine contrast does the same for what is
    thinner than its surroundings, such as skin, see `contrast_error`. Images of low signal count more, by the root
    of their peak, about as much as their error is smaller.
    """
    output, clean = _wide(output), _wide(clean)
    error = output - clean
    terms = [scale**2 * avg_pool2d(error, scale).square().mean(dim=(1, 2, 3)) for scale in SCALES]
    means = torch.stack(terms).mean(dim=0)
    peak = clean.square().sum(dim=1).amax(dim=(1, 2)).sqrt()
    return torch.mean(
        (means + CONTRAST_WEIGHT * contrast_error(error, clean)) * torch.rsqrt(torch.clamp(peak / 10, min=0.01))
    )


def contrast_error(error: Tensor, clean: Tensor) -> Tensor:
    """Square error of the strength of fine structure in squares of 8 pixels, in units of its noise, (batch,).

    Fine structure d is what a Gaussian of 2 pixels takes from the clean image. An error e changes its strength in a
    square by <d, e> / <d, d>, and white noise of variance 1 gives <d, e>^2 / <d, d> the mean 1. Structure that noise
    hides counts less, or the network would keep noise for structure that might be in it. Real and imaginary part,
    where there are two, count as one number each.
    """
    fine = clean - blurred(clean, FINE)
    strength = avg_pool2d(fine.square().sum(dim=1), FINE_SQUARE)
    changed = avg_pool2d((fine * error).sum(dim=1), FINE_SQUARE)
    return FINE_SQUARE**2 * torch.mean(changed.square() / (strength + VISIBLE), dim=(1, 2))


def structural_similarity(first: Tensor, second: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean SSIM of each image, (batch,): Gaussian window, valid part (Wang et al., IEEE TIP 13:600, 2004)."""
    first, second = _wide(first), _wide(second)
    bell = _bell(SSIM_WINDOW, SSIM_SIGMA, first)
    mean_1, mean_2 = _blurred(first, bell), _blurred(second, bell)
    variance_1 = _blurred(first**2, bell) - mean_1**2
    variance_2 = _blurred(second**2, bell) - mean_2**2
    covariance = _blurred(first * second, bell) - mean_1 * mean_2
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


def make_loss(settings: LossSettings) -> Loss | CrossSettings:
    """The loss that the settings name, of (output, clean, noisy), the mean over images; the weights of a cross loss."""
    if settings.name == "cross":
        return settings.cross or CrossSettings()
    if settings.name == "mse":
        return lambda output, clean, noisy: mean_square_error(output, clean)
    if settings.name == "multiscale":
        return lambda output, clean, noisy: multiscale_error(output, clean)
    per_image = settings.distance == "image"
    return lambda output, clean, noisy: paper_loss(output, clean, noisy, per_image, settings.weight)


def _bell(size: int, sigma: float, like: Tensor) -> Tensor:
    """A Gaussian of sum 1, (size,)."""
    offset = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
    bell = torch.exp(-(offset**2) / (2 * sigma**2))
    return bell / bell.sum()


def _blurred(image: Tensor, bell: Tensor) -> Tensor:
    """Every channel blurred along rows and columns, valid part."""
    count = image.shape[1]
    down = conv2d(image, bell.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
    return conv2d(down, bell.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)


def _shares(values: Tensor) -> Tensor:
    energy = values.abs()
    return energy / torch.clamp(energy.sum(dim=1, keepdim=True), min=_TINY)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    return torch.sum(p * (torch.log(p + _TINY) - torch.log(q + _TINY)), dim=1)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
