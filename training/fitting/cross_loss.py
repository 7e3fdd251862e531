"""A loss that asks for no bias without asking for noise.

The square of an error is its bias squared plus its variance. Where two independent noise draws of one object are
denoised, the product of their errors has the squared bias alone as its expectation. So beside the mean square
error, which decides how much noise is left, products of two errors stand for what must be right in the mean: fine
structure, the level of reference tubes, the contrast of small structures as far as noise lets them be seen, means over
squares, and means over parts of the body. Without the last the error of fine structure balances out over an object: a
network then draws edges that it can see too steep, and rims that it cannot see too weak.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from training.config import CrossSettings
from training.data.regions import blurred
from training.data.scenes import Batch

FINE = 2.0  # pixels: fine structure is what a Gaussian of this width takes away
VISIBLE = 0.25  # mean square of fine structure that counts half, in noise variances
SQUARES = (2, 4, 8, 16)  # pixels
RISE = 0.05  # part of the run over which the other parts come in
FEWEST = 6  # pixels of a region, for a mean over it
WINDOW = 10  # pixels: windows in which fine structure is compared
CLEAR = 16.0  # its power in noise variances that counts a quarter
SMALL = 3.0  # by how much more the contrast-to-noise ratio of a structure of one pixel must be


def cross_loss(output: Tensor, batch: Batch, settings: CrossSettings, progress: float = 1.0) -> Tensor:
    """Mean over the objects of a batch.

    Args:
        output: (2 objects, 2, rows, columns), of `batch.noisy`.
        batch: what it was made from.
        settings: weights.
        progress: of the run, 0 to 1; fine structure, structures and tubes count from `settings.start` on, and soon
            in full.
    """
    first, second = output[::2] - batch.clean, output[1::2] - batch.clean
    # Where nothing is, noise can go at no cost.
    weight = 1 + (settings.air - 1) * (1 - batch.body)
    square = (weight * (first.square() + second.square())).mean((1, 2, 3)) / 2
    parts = settings.squares * _squares(first, second) + settings.regions * _regions(first, second, batch.regions)
    share = min((progress - settings.start) / RISE, 1.0)
    if share > 0:
        details = (
            settings.fine * _fine(first, second, batch)
            + settings.structure * _structures(first, second, batch.structures, settings.seen)
            + settings.edges * _edges(first, second, batch)
        )
        # What stands out of the noise of few averages is seldom true, so there it must not be kept at any price.
        trust = (batch.averages / settings.full).clamp(max=1).square()
        parts = parts + share * (trust * details + settings.tube * _tubes(first, second, batch.tubes))
    # Images of low signal count more, about as much as their error is smaller.
    peak = batch.clean.square().sum(1).amax((1, 2)).sqrt()
    return torch.mean((square + parts) * torch.rsqrt(torch.clamp(peak / 10, min=0.01)))


def _fine(first: Tensor, second: Tensor, batch: Batch) -> Tensor:
    """Squared bias of the strength of fine structure within the body, its local strength divided out, (objects,)."""
    fine = (batch.clean - blurred(batch.clean, FINE)) * batch.body
    weight = 1 / (blurred(fine.square().sum(1, keepdim=True), FINE) + VISIBLE)
    strength = (fine.square().sum(1, keepdim=True) * weight).mean((1, 2, 3)) + 1e-6
    changed = [((fine * error).sum(1, keepdim=True) * weight).mean((1, 2, 3)) / strength for error in (first, second)]
    return changed[0] * changed[1]


def _structures(first: Tensor, second: Tensor, structures: Tensor, seen: tuple[float, float]) -> Tensor:
    """Squared relative bias of the amplitudes of structures, each as far as it can be seen, summed, (objects,)."""
    power = structures.square().sum((2, 3, 4))
    # The smaller a structure, the more places noise has to look like it.
    pixels = power / structures.square().sum(2).amax((2, 3)).clamp(min=1e-6)
    start = seen[0] + SMALL / pixels.clamp(min=1.5)
    counts = torch.clamp((power.sqrt() - start) / (seen[1] - seen[0]), 0, 1)
    changed = _projected(first, structures) * _projected(second, structures)
    return (counts * changed / power.square().clamp(min=1e-6)).sum(1)


def _tubes(first: Tensor, second: Tensor, tubes: Tensor) -> Tensor:
    """Squared bias of the levels of tubes, mean over those of an object, (objects,)."""
    area = tubes.square().sum((2, 3, 4))
    peak = tubes.square().sum(2).amax((2, 3)).sqrt()
    # (t.e) / |t|^2 is the relative change; times the level, it is in noise standard deviations.
    changed = _projected(first, tubes) * _projected(second, tubes) * (peak / area.clamp(min=1e-6)).square()
    return changed.sum(1) / (area > 0).sum(1).clamp(min=1)


def _squares(first: Tensor, second: Tensor) -> Tensor:
    """Squared bias of means over squares, in units of the noise of such means, summed over sizes, (objects,)."""
    return torch.stack(
        [size**2 * (avg_pool2d(first, size) * avg_pool2d(second, size)).mean((1, 2, 3)) for size in SQUARES]
    ).sum(0)


def _regions(first: Tensor, second: Tensor, regions: Tensor) -> Tensor:
    """Squared bias of means over regions, in units of the noise of such means, summed, (objects,)."""
    area = regions.square().sum((2, 3, 4))
    counts = area >= FEWEST
    return (counts * _projected(first, regions) * _projected(second, regions) / area.clamp(min=FEWEST)).sum(1)


def _edges(first: Tensor, second: Tensor, batch: Batch) -> Tensor:
    """Squared bias of fine structure in windows, in noise variances, as far as noise lets it be seen, (objects,)."""
    fine = (batch.clean - blurred(batch.clean, FINE)) * batch.body
    power, one, two = (
        WINDOW**2 * avg_pool2d((fine * part).sum(1, keepdim=True), WINDOW)[:, 0] for part in (fine, first, second)
    )
    return (one * two * power / (power + CLEAR).square()).sum((1, 2))


def _projected(error: Tensor, images: Tensor) -> Tensor:
    """Scalar product of an error with each image, (objects, images)."""
    return (error[:, None] * images).sum((2, 3, 4))
