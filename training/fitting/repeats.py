"""Pairs without a clean image: two disjoint sets of averages of one scan (Noise2Noise, Lehtinen et al., ICML 2018).

The mean of n averages is the input, the mean of the others the target, both in units of the input's noise. The noise
of the target is independent of the input and has mean 0, so for every network f

    E |f(input) - target|^2  =  E |f(input) - clean|^2  +  noise of the target,

and as the last term does not depend on f, both errors have one minimum. The same holds for the error of any linear
function of the images, such as means over squares, and for weights that do not look at the target's values: the
multi-scale error of `repeat_loss` is as unbiased, while weights by the target's peak would not be, nor losses that
are not square, such as SSIM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nadenoise_core.mrd.single_averages import SingleAverages
from nadenoise_core.recon.coils import combine, sensitivities
from nadenoise_core.recon.model import image_noise_std
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling import sample_weights
from training.data.pairs import Complex, Pair, channels, turn
from training.errors import DataError
from training.fitting.loss import SCALES, Loss

LEAST_AVERAGES = 4  # two to learn from, two to validate on
HELD_OUT = 0.3  # of the averages of an only scan
HELD_OUT_SCANS = 0.25


@dataclass(frozen=True)
class Repeats:
    """The averages of one scan, each an image of its own.

    Attributes:
        images: (averages, rows, columns); gridding is linear, so the mean of images is the image of the mean.
        noise_std: of the real part of each of them.
    """

    images: Complex
    noise_std: float

    def __len__(self) -> int:
        return len(self.images)

    def only(self, averages: NDArray[np.int64]) -> Repeats:
        """Some of the averages."""
        return Repeats(self.images[averages], self.noise_std)


def grid_repeats(single: SingleAverages, source: str = "raw data") -> Repeats:
    """Grid every average, as the stream grids their mean; the repeats tell the noise.

    Coils are whitened by the noise and combined by sensitivities of the mean of all averages, so that the combination
    is linear too. What noise these share with the single averages is smoothed to next to nothing.

    Raises:
        DataError: too few averages, or repeats that do not differ.
    """
    averages = len(single.kspace)
    if averages < LEAST_AVERAGES:
        raise DataError(
            f"{source}: holds {averages} complete average{'s' * (averages != 1)}; Noise2Noise needs at least "
            f"{LEAST_AVERAGES}, in two sets to learn from and two to validate on"
        )
    weights = sample_weights(single.trajectory, single.matrix)
    noise_std = image_noise_std(single.mean.noise_std * np.sqrt(averages), weights)
    if not (np.isfinite(noise_std) and noise_std > 0):
        raise DataError(f"{source}: its averages do not differ by noise; it holds one average several times")
    whitened = np.stack([replace(single.mean, kspace=kspace).whitened().kspace for kspace in single.kspace])
    nufft = Nufft(single.trajectory, single.matrix)
    images = nufft.adjoint((whitened * weights).reshape(*whitened.shape[:2], -1))
    if images.shape[1] == 1:
        return Repeats(images[:, 0], noise_std)
    maps = sensitivities(images.mean(axis=0))
    return Repeats(np.stack([combine(image, maps) for image in images]), noise_std)


def hold_out(scans: Sequence[Repeats], seed: int) -> tuple[list[Repeats], list[Repeats]]:
    """Scans to learn from and to validate on: whole scans apart where there are several, else averages of the one.

    A network that learns a scan by heart is found out by another scan only.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(scans) if len(scans) > 1 else len(scans[0]))
    if len(scans) > 1:
        aside = max(1, round(HELD_OUT_SCANS * len(scans)))
        return [scans[number] for number in order[aside:]], [scans[number] for number in order[:aside]]
    aside = max(2, round(HELD_OUT * len(order)))
    return [scans[0].only(order[aside:])], [scans[0].only(order[:aside])]


class RepeatPairs:
    """Noisy and noisy, in units of the noise of the first.

    The second has one channel more, which holds the weight of the pair everywhere: `noise of the input / noise of the
    difference to the target`, as variances. A target of few averages tells little.

    Args:
        scans: of one square matrix.
        averages: lowest and highest number of averages of the input; a scan of fewer gives what it has.
        count: pairs that make an epoch.
    """

    channels = 2

    def __init__(self, scans: Sequence[Repeats], averages: tuple[int, int], count: int) -> None:
        self.scans = scans
        self.averages = averages
        self.count = count

    def __len__(self) -> int:
        return self.count

    def pair(self, rng: np.random.Generator, index: int, quantile: float) -> Pair:
        """A fresh split of the averages of scan `index`, turned alike; few averages are drawn as often as many.

        The target is the mean of all averages that the input has not, for the least noise.
        """
        scan = self.scans[index % len(self.scans)]
        high = min(self.averages[1], len(scan) - 1)
        low = min(self.averages[0], high)
        given = min(high, int(np.exp(np.log(low) + quantile * np.log((high + 1) / low))))
        order = rng.permutation(len(scan))
        scale = np.exp(2j * np.pi * rng.random()) * np.sqrt(given) / scan.noise_std
        symmetry = int(rng.integers(8))
        noisy, target = (
            channels(turn(np.asarray(scale * scan.images[part].mean(axis=0), np.complex64), symmetry))
            for part in (order[:given], order[given:])
        )
        weight = np.full((1, *target.shape[1:]), 1 - given / len(scan), np.float32)
        return noisy, np.concatenate([target, weight])


def repeat_loss(scales: Sequence[int] = SCALES) -> Loss:
    """The weighted mean square error of means over squares of `scales` pixels, for pairs of `RepeatPairs`."""

    def loss(output: Tensor, target: Tensor, noisy: Tensor) -> Tensor:
        error = output - target[:, :-1]
        terms = [scale**2 * avg_pool2d(error, scale).square().mean(dim=(1, 2, 3)) for scale in scales]
        return torch.mean(target[:, -1].mean(dim=(1, 2)) * torch.stack(terms).mean(dim=0))

    return loss
