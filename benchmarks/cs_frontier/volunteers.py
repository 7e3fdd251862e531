"""Gridded scans of calibrated volunteers, and what an image of them is worth against the noiseless gridding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.phantom.shapes import signed_distance
from nadenoise_core.quantify.phase import in_phase
from nadenoise_core.recon.model import SignalModel, image_noise_std
from nadenoise_core.sampling import PAPER_SPIRAL
from nadenoise_core.simulate.cohort import Cohort
from nadenoise_core.study.regions import Regions, true_regions

Image = NDArray[np.complex64]
PIXEL = PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix
CORE = 0.5  # part of a tube's radius over which it is read


@dataclass(frozen=True)
class Reading:
    """SNR as the paper estimates it, and aTSC of muscle, skin and the weakest tube, mmol/L; the map of aTSC."""

    snr: float
    muscle: float
    skin: float
    weakest: float
    atsc: NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One scan of a volunteer.

    Attributes:
        gridded, clean: with noise and without.
        noise: of the real part of `gridded`.
        regions: of the truth.
        tubes: masks of the cores of tubes.
        concentrations: of the tubes, mmol/L.
        leg: mask.
    """

    gridded: Image
    clean: Image
    noise: float
    regions: Regions
    tubes: list[NDArray[np.bool_]]
    concentrations: NDArray[np.float64]
    leg: NDArray[np.bool_]

    def read(self, image: Image) -> Reading:
        """Of an image of this scan, calibrated through zero on its own tubes."""
        magnitude, signal = np.abs(image), in_phase(image, (PIXEL, PIXEL))
        tubes = np.array([signal[tube].mean() for tube in self.tubes])
        atsc = signal * float(self.concentrations @ self.concentrations) / float(tubes @ self.concentrations)
        weakest = self.tubes[int(np.argmin(self.concentrations))]
        snr = magnitude[self.regions.muscle].mean() / magnitude[self.regions.background].std()
        means = (float(atsc[part].mean()) for part in (self.regions.muscle, self.regions.skin, weakest))
        return Reading(float(snr), *means, atsc)

    def error(self, reading: Reading) -> float:
        """Root mean square over the leg against the noiseless gridding, mmol/L."""
        return float(np.sqrt(np.mean(np.abs(reading.atsc - self.read(self.clean).atsc)[self.leg] ** 2)))


def cases(model: SignalModel, weights: NDArray[np.floating], count: int, draws: int, averages: int) -> Iterator[Case]:
    """Scans of so many volunteers of seeds that the study does not use, each with so many draws of noise."""
    matrix = PAPER_SPIRAL.matrix
    gain = image_noise_std(np.ones(PAPER_SPIRAL.interleaves), weights)
    points = np.stack(np.meshgrid(*2 * [(np.arange(matrix) - matrix // 2) * PIXEL]), axis=-1)
    for volunteer in Cohort().volunteers(count, 7301, averages):
        scan, calf = replace(volunteer, half_pulses=False, averages=1).scan(), volunteer.calf()
        tubes = [np.hypot(*np.moveaxis(points - tube.centre, -1, 0)) < CORE * tube.diameter / 2 for tube in calf.tubes]
        concentrations = np.array([tube.concentration for tube in calf.tubes])
        leg = signed_distance(calf.tissues[0].outline, points)[0] < 0
        noise = volunteer.noise / np.sqrt(averages)
        clean = np.asarray(model.grid(scan.kspace.astype(np.complex64)))[0]
        for draw in range(draws):
            parts = np.random.default_rng((calf.seed, draw)).standard_normal((*scan.kspace.shape, 2)) * noise / gain
            noisy = (scan.kspace + parts[..., 0] + 1j * parts[..., 1]).astype(np.complex64)
            gridded = np.asarray(model.grid(noisy))[0]
            yield Case(gridded, clean, noise, true_regions(calf, matrix), tubes, concentrations, leg)
