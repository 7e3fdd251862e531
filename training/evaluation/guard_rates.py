"""How often the guard speaks: of good scans, and of scans whose denoised image lacks a disc that the scan shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.denoise.guard import residual
from nadenoise_core.paper import NOISE
from nadenoise_core.phantom.shapes import Ellipse
from nadenoise_core.recon.nufft import Nufft
from training.data.kspace import SpiralNoise
from training.evaluation.bench import CONTEXT, Entry
from training.evaluation.frontier import Images, independent_legs, phantom_legs
from training.evaluation.independent import transform

AVERAGES = (5, 10, 20, 30, 50, 150)  # in turn
RADIUS = 5.0  # mm, of the disc that is missed
CONTRAST = 5.0  # its contrast-to-noise ratio, against the noise of gridding
_DEEP = 6.0  # mm of muscle around the middle of the disc


@dataclass(frozen=True)
class GuardRates:
    """Shares of scans.

    Attributes:
        scans: how many.
        false_alarms: of those denoised as they are, in which it found a fault.
        found: of those whose denoised image lacks the disc, in which it did.
        faults: of false alarms, by the words before their numbers.
    """

    scans: int
    false_alarms: float
    found: float
    faults: dict[str, int]


def guard_rates(entry: Entry, scans: int, seed: int) -> GuardRates:
    """Rates of the guard with a denoiser, half on independent legs and half on virtual calves.

    Args:
        entry: the denoiser.
        scans: how many, each of a leg of its own.
        seed: of the first leg.
    """
    noise = SpiralNoise()
    bench = _Scanner(noise, CONTEXT)
    alarms, found, faults = 0, 0, Counter[str]()
    for number in range(scans):
        legs = phantom_legs if number % 2 else independent_legs
        leg = legs((seed + number,))[seed + number]
        rng = np.random.default_rng((77, seed, number))
        std = NOISE / np.sqrt(AVERAGES[number % len(AVERAGES)])
        k = noise.trajectory / noise.pixel
        scan = bench.gridded(leg.kspace(k, noise.pixel).ravel() + noise.samples(rng, std / noise.gain))
        within = slice(CONTEXT - entry.context, scan.shape[-1] - CONTEXT + entry.context)
        denoised = bench.middle(entry.denoise(np.ascontiguousarray(scan[None, within, within]), std)[0])
        spots = np.argwhere(leg.muscle_mask(noise.matrix, noise.pixel, _DEEP))
        row, column = (spots[rng.integers(len(spots))] - noise.matrix // 2) * noise.pixel
        disc = Ellipse((float(column), float(row)), (RADIUS, RADIUS), 0.0, 1.0)
        image = bench.middle(bench.gridded(transform([disc], k).ravel() * np.exp(1j * leg.phase) / noise.pixel**2))
        # Noise fills the measured disc of k-space, so its power in the shape of the disc is larger than of white noise.
        level = CONTRAST * std / (np.linalg.norm(image) * np.sqrt(np.pi) * noise.edge)
        plain = bench.middle(scan)
        kinds = [
            residual(given, denoised, std, noise.edge, (noise.pixel, noise.pixel)).faults()
            for given in (plain, plain + np.complex64(level) * image)
        ]
        alarms, found = alarms + bool(kinds[0]), found + bool(kinds[1])
        faults.update(fault.partition(" (")[0] for fault in kinds[0])
    return GuardRates(scans, alarms / scans, found / scans, dict(faults))


class _Scanner:
    """Grids samples to a wide field."""

    def __init__(self, noise: SpiralNoise, context: int) -> None:
        wide = noise.matrix + 2 * context
        self.noise, self.context = noise, context
        self.nufft = Nufft(noise.trajectory, (wide, wide))

    def gridded(self, samples: NDArray[np.complexfloating]) -> Images:
        """(samples,) to (wide, wide)."""
        return np.asarray(self.nufft.adjoint((samples * self.noise.weights).astype(np.complex64)))

    def middle(self, image: Images) -> Images:
        """The matrix of an image of any size."""
        cut = (image.shape[-1] - self.noise.matrix) // 2
        return image[cut : cut + self.noise.matrix, cut : cut + self.noise.matrix]
