"""Virtual sodium scans of calves, which training never sees, and what images of them are worth.

aTSC is calibrated on the tubes of the very image it is read from, and compared with the noiseless image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.paper import NOISE
from nadenoise_core.phantom import Calf, Label, Tube, kspace, labels, random_calf
from nadenoise_core.quantify.quality import edge_sharpness
from training.data.kspace import SpiralNoise
from training.data.pairs import Complex, smooth_phase
from training.network.model import Model

CALF_AVERAGES = (10, 20, 30, 50, 150)
CALF_REPEATS = 5  # scans of every calf
SEED = 11  # of every evaluation


@dataclass(frozen=True)
class Bias:
    """Bias and standard deviation over scans against the noiseless image, mmol/L."""

    muscle: tuple[float, float]  # aTSC, calibrated on the tubes of the same image
    skin: tuple[float, float]  # likewise
    tubes: tuple[tuple[float, float], ...]  # means before calibration, by increasing concentration


@dataclass(frozen=True)
class CalfRow:
    """Virtual calves at one number of averages."""

    averages: int
    noisy: Bias
    denoised: Bias
    rmse_ratio: float  # error of the noisy image over that of the denoised one; of magnitudes where it is one
    muscle_rmse_ratio: float  # the same over the pixels of muscle
    noisy_rmse: float  # of magnitudes over the image, mmol/L
    denoised_rmse: float
    noisy_sharpness: float  # edge of the strongest tube against the noiseless image, median of the change, percent
    denoised_sharpness: float


@dataclass(frozen=True)
class Places:
    """Where a calf is measured: (rows, columns) masks, and the concentrations of its tubes in mmol/L."""

    muscle: NDArray[np.bool_]
    skin: NDArray[np.bool_]
    tubes: tuple[NDArray[np.bool_], ...]
    concentrations: tuple[float, ...]
    strongest: Tube
    pixel: float  # mm

    @classmethod
    def of(cls, calf: Calf, matrix: int) -> Places:
        """Muscle and tubes a pixel from their edges; skin, which is thinner, by the centres of pixels."""
        inner = labels(calf, matrix, calf.field_of_view, calf.field_of_view / matrix)
        tubes = tuple(inner == Label.TUBE_1 + number for number in range(len(calf.tubes)))
        skin = labels(calf, matrix, calf.field_of_view, None) == Label.SKIN
        return cls(
            inner == Label.MUSCLE,
            skin,
            tubes,
            tuple(tube.concentration for tube in calf.tubes),
            max(calf.tubes, key=lambda tube: tube.concentration),
            calf.field_of_view / matrix,
        )

    @property
    def complete(self) -> bool:
        """Whether no place is without a pixel."""
        return all(mask.any() for mask in (self.muscle, self.skin, *self.tubes))


@dataclass(frozen=True)
class Readings:
    """What magnitude images say, mmol/L: calibrated muscle and skin (images,), tube means (images, tubes)."""

    muscle: NDArray[np.float64]
    skin: NDArray[np.float64]
    tubes: NDArray[np.float64]
    sharpness: NDArray[np.float64]  # (images,) of the strongest tube's edge, calibrated, mmol/L per mm

    @classmethod
    def of(cls, images: Complex, places: Sequence[Places]) -> Readings:
        tubes, muscle, skin, sharpness = [], [], [], []
        for image, place in zip(np.abs(images), places, strict=True):
            means = [float(image[tube].mean()) for tube in place.tubes]
            slope, intercept = np.polyfit(means, place.concentrations, 1)
            tubes.append(means)
            muscle.append(slope * float(image[place.muscle].mean()) + intercept)
            skin.append(slope * float(image[place.skin].mean()) + intercept)
            tube, pixel = place.strongest, (place.pixel, place.pixel)
            # A sharpness is a difference, so the intercept does not count.
            sharpness.append(slope * edge_sharpness(image, tube.centre, tube.diameter / 2, pixel))
        return cls(np.array(muscle), np.array(skin), np.array(tubes), np.array(sharpness))

    def against(self, truth: Readings, subject: NDArray[np.integer]) -> Bias:
        """Bias of these scans; `subject` is each scan's index into the truth."""
        tubes = self.tubes - truth.tubes[subject]
        return Bias(
            _mean_and_deviation(self.muscle - truth.muscle[subject]),
            _mean_and_deviation(self.skin - truth.skin[subject]),
            tuple(_mean_and_deviation(column) for column in tubes.T),
        )

    def sharpness_change(self, truth: Readings, subject: NDArray[np.integer]) -> float:
        """Median over these scans, percent of the truth's."""
        return float(np.median(100 * (self.sharpness / truth.sharpness[subject] - 1)))


@dataclass(frozen=True)
class Subjects:
    """Virtual calves without noise: (calves, rows, columns) images in mmol/L, and what they say."""

    seeds: tuple[int, ...]
    clean: Complex
    places: tuple[Places, ...]
    truth: Readings

    @classmethod
    def of(cls, noise: SpiralNoise, seeds: Sequence[int], **tubes: float) -> Subjects | None:
        """None where a pixel is so large that a tube or the skin holds none; `tubes` as `random_calf` takes them."""
        pixel = noise.pixel
        individuals = [random_calf(seed, **tubes) for seed in seeds]
        places = tuple(Places.of(calf, noise.matrix) for calf in individuals)
        if not all(place.complete for place in places):
            return None
        clean = np.stack(
            [
                noise.image(kspace(calf, noise.trajectory / pixel, pixel).ravel())
                * smooth_phase(np.random.default_rng((SEED, 3, seed)), noise.matrix)
                for calf, seed in zip(individuals, seeds, strict=True)
            ]
        )
        return cls(tuple(seeds), clean, places, Readings.of(clean, places))


@dataclass(frozen=True)
class Figures:
    """What images of scans are worth."""

    bias: Bias
    sharpness: float  # change of the strongest tube's edge, percent
    rmse: NDArray[np.float64]  # (scans,) of magnitudes over the image, mmol/L


@dataclass(frozen=True)
class Scans:
    """Virtual calves, each scanned several times at one noise level.

    Attributes:
        subjects: the calves.
        subject: (scans,) the calf of each scan.
        noisy: (scans, rows, columns) mmol/L.
        std: noise of the real part of `noisy`, mmol/L.
    """

    subjects: Subjects
    subject: NDArray[np.int64]
    noisy: Complex
    std: float

    @classmethod
    def of(cls, subjects: Subjects, noise: SpiralNoise, averages: int, excess: float = 1.0) -> Scans:
        """After so many averages; `excess` multiplies the noise, whose pattern stays."""
        std = float(excess * NOISE / np.sqrt(averages))
        scans = [(number, repeat) for number in range(len(subjects.seeds)) for repeat in range(CALF_REPEATS)]
        generators = [
            np.random.default_rng((SEED, 4, averages, subjects.seeds[number], repeat)) for number, repeat in scans
        ]
        subject = np.array(scans, np.int64)[:, 0]
        noises = np.stack([noise.draw(generator) for generator in generators])
        return cls(subjects, subject, subjects.clean[subject] + np.float32(std) * noises, std)

    @property
    def clean(self) -> Complex:
        """The noiseless image of each scan."""
        return self.subjects.clean[self.subject]

    @property
    def places(self) -> list[Places]:
        """Where each scan is measured."""
        return [self.subjects.places[number] for number in self.subject]

    def figures(self, images: Complex) -> Figures:
        """Of (scans, rows, columns) images of these scans; their magnitudes count."""
        readings = Readings.of(images, self.places)
        truth = self.subjects.truth
        error = np.abs(images).astype(np.float64) - np.abs(self.clean)
        return Figures(
            readings.against(truth, self.subject),
            readings.sharpness_change(truth, self.subject),
            np.sqrt(np.mean(error**2, axis=(1, 2))),
        )


def calves(model: Model, noise: SpiralNoise, seeds: Sequence[int], averages: Sequence[int]) -> list[CalfRow]:
    """aTSC in virtual calves, each scanned several times, against the noiseless reconstruction.

    Empty where a pixel is so large that a tube or the skin holds none.
    """
    subjects = Subjects.of(noise, seeds)
    return [] if subjects is None else [_calf_row(model, Scans.of(subjects, noise, count), count) for count in averages]


def _calf_row(model: Model, scans: Scans, averages: int) -> CalfRow:
    denoised = model.denoise(scans.noisy, scans.std)
    given, made = scans.figures(scans.noisy), scans.figures(denoised)
    inside = np.stack([place.muscle for place in scans.places])
    images = (scans.noisy, denoised, scans.clean)
    # A magnitude network gives no phase.
    noisy, output, clean = map(np.abs, images) if model.channels == "magnitude" else images
    before, after = noisy - clean, output - clean
    return CalfRow(
        averages,
        given.bias,
        made.bias,
        rms(before) / rms(after),
        rms(before[inside]) / rms(after[inside]),
        rms(given.rmse),
        rms(made.rmse),
        given.sharpness,
        made.sharpness,
    )


def _mean_and_deviation(differences: NDArray[np.float64]) -> tuple[float, float]:
    return float(differences.mean()), float(differences.std(ddof=1))


def rms(values: NDArray[Any]) -> float:
    """Root mean square of magnitudes."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))
