"""Noise against truth: what a denoiser leaves of noise, of bias and of lesions, on independent legs.

Every error is that of the signal in phase, as aTSC takes it, against the noiseless gridding of the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.paper import NOISE
from nadenoise_core.phantom.shapes import Ellipse
from nadenoise_core.quantify.quality import edge_sharpness, estimated_snr
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.simulate.cohort import Cohort
from training.data.kspace import SpiralNoise
from training.evaluation.independent import TUBE_RADIUS, Box, Leg, Shape, draw_leg, transform
from training.evaluation.phantom_legs import PhantomLeg, VolunteerLeg, phantom_leg

Images = NDArray[np.complex64]
Denoise = Callable[[Images, float], Images]  # of (images, wide, wide) and the noise of their real part

FALSE = (0.25, 1.9)  # of the level of uniform muscle: a pixel below or above is false structure
REPEATS = 2


@dataclass(frozen=True)
class Lesion:
    """A structure laid into muscle: a disc, or a bar.

    Attributes:
        name: short.
        radius: mm, of the disc; half the width of the bar.
        level: mmol/L beside muscle.
        length: mm, of the bar; 0 for a disc.
    """

    name: str
    radius: float
    level: float
    length: float = 0.0

    @property
    def reach(self) -> float:
        """Of muscle around its centre, mm, within which it is judged."""
        return max(self.radius + 1.5, min(0.6 * self.length, 9.0))

    def at(self, place: tuple[float, float], angle: float) -> Shape:
        """The shape at a place."""
        if self.length:
            return Box(place, (self.length / 2, self.radius), angle, self.level)
        return Ellipse(place, (self.radius, self.radius), 0.0, self.level)


LESIONS = (
    Lesion("r3 +10", 3, 10),
    Lesion("r5 +10", 5, 10),
    Lesion("r5 +20", 5, 20),
    Lesion("r5 -10", 5, -10),
    Lesion("r10 +8", 10, 8),
    Lesion("line +15", 1, 15, length=30),
    Lesion("plaque +30", 1.25, 30, length=12),
)


@dataclass(frozen=True)
class Row:
    """One denoiser at one number of averages; mmol/L unless said, (bias, standard deviation over scans)."""

    averages: int
    rmse: float
    muscle: tuple[float, float]
    skin: tuple[float, float]
    snr: float  # times that of the plain image
    lesions: dict[str, float]  # contrast kept
    false_structure: float  # percent of the pixels of uniform muscle
    scatter: float  # within uniform muscle, relative
    tubes: tuple[float, ...]
    edge: float  # percent


class Bench:
    """Legs, without and with lesions, gridded to a wide field.

    Args:
        noise: the spiral.
        legs: seed to leg; see `independent_legs` and `phantom_legs`.
        wide: pixels a side that denoisers are given; they are judged on the matrix in its middle.
        lesions: what is laid in.
        places: for each lesion, in every leg.
    """

    def __init__(
        self,
        noise: SpiralNoise,
        legs: Mapping[int, Leg | PhantomLeg],
        wide: int,
        lesions: Sequence[Lesion] = LESIONS,
        places: int = 3,
    ) -> None:
        self.noise, self.seeds, self.wide = noise, tuple(legs), wide
        self.matrix, self.pixel = noise.matrix, noise.pixel
        self.nufft = Nufft(noise.trajectory, (wide, wide))
        self.legs = list(legs.values())
        k = noise.trajectory / self.pixel
        self.kspace = np.stack([leg.kspace(k, self.pixel).ravel() for leg in self.legs])
        self.clean = self._gridded(self.kspace)
        self.laid: list[tuple[int, str, Images]] = []  # leg, lesion, clean image of the lesion alone
        for number, (leg, seed) in enumerate(zip(self.legs, legs, strict=True)):
            rng = np.random.default_rng((98, seed))
            for lesion in lesions:
                for place in leg.places(rng, places, lesion.reach):
                    shape = lesion.at(place, float(rng.uniform(0, np.pi)))
                    samples = transform([shape], k).ravel() * np.exp(1j * leg.phase) / self.pixel**2
                    self.laid.append((number, lesion.name, self._gridded(samples[None])[0]))

    def noises(self, repeat: int) -> Images:
        """A noise draw for every leg, of standard deviation 1."""
        made = []
        for seed in self.seeds:
            rng = np.random.default_rng((99, seed, repeat))
            made.append(self.noise.samples(rng, 1 / self.noise.gain))
        return self._gridded(np.stack(made))

    def row(self, denoise: Denoise, averages: int) -> Row:
        """Figures of a denoiser."""
        std = NOISE / np.sqrt(averages)
        noises = [np.float32(std) * self.noises(repeat) for repeat in range(REPEATS)]
        given = [self.clean + noise for noise in noises]
        done = [self.cropped(denoise(images, std)) for images in given]
        plain = [self.cropped(images) for images in given]
        kept: dict[str, list[float]] = {}
        for start in range(0, len(self.laid), 48):
            part = self.laid[start : start + 48]
            scans = np.stack([given[0][leg] + lesion for leg, _, lesion in part])
            for (leg, name, _), clean, image in zip(
                part,
                self.cropped(np.stack([self.clean[leg] + lesion for leg, _, lesion in part])),
                self.cropped(denoise(scans, std)),
                strict=True,
            ):
                phase = self.legs[leg].phase
                true = _in_phase(clean - self.cropped(self.clean[leg]), phase)
                seen = _in_phase(image - done[0][leg], phase)
                kept.setdefault(name, []).append(float((true * seen).sum() / (true**2).sum()))
        return self._row(averages, done, plain, {name: float(np.mean(values)) for name, values in kept.items()})

    def cropped(self, images: Images) -> Images:
        """The matrix in the middle of (..., wide, wide); what is of the matrix already stays."""
        return _middle(images, self.matrix)

    def _row(self, averages: int, done: list[Images], plain: list[Images], lesions: dict[str, float]) -> Row:
        matrix, pixel = self.matrix, self.pixel
        square, muscle, skin, snr, false, scatter, edge = [], [], [], [], [], [], []
        tubes: list[list[float]] = []
        for images, noisy in zip(done, plain, strict=True):
            for leg, perfect, made, raw in zip(self.legs, self.cropped(self.clean), images, noisy, strict=True):
                truth, image = _in_phase(perfect, leg.phase), _in_phase(made, leg.phase)
                error = image - truth
                square.append(np.mean(error[leg.leg_mask(matrix, pixel)] ** 2))
                uniform = leg.muscle_mask(matrix, pixel)
                muscle.append(error[uniform].mean())
                skin.append(error[leg.skin_mask(matrix, pixel)].mean())
                background = leg.background_mask(matrix, pixel)
                snr.append(
                    estimated_snr(np.abs(made), uniform, background) / estimated_snr(np.abs(raw), uniform, background)
                )
                uniform = leg.muscle_mask(matrix, pixel, 2 * pixel)
                relative = image[uniform] / truth[uniform].mean()
                false.append(100 * np.mean((relative < FALSE[0]) | (relative > FALSE[1])))
                scatter.append(image[uniform].std() / image[uniform].mean())
                tubes.append([float(error[mask].mean()) for mask in leg.tube_masks(matrix, pixel)])
                steep = [
                    edge_sharpness(values, leg.tubes[-1].centre, TUBE_RADIUS, (pixel, pixel))
                    for values in (image, truth)
                ]
                edge.append(100 * (steep[0] / steep[1] - 1))
        return Row(
            averages,
            float(np.sqrt(np.mean(square))),
            (float(np.mean(muscle)), float(np.std(muscle, ddof=1))),
            (float(np.mean(skin)), float(np.std(skin, ddof=1))),
            float(np.median(snr)),
            lesions,
            float(np.mean(false)),
            float(np.mean(scatter)),
            tuple(float(value) for value in np.mean(tubes, axis=0)),
            float(np.median(edge)),
        )

    def _gridded(self, samples: NDArray[np.complexfloating]) -> Images:
        gridded: Images = np.asarray(self.nufft.adjoint((samples * self.noise.weights).astype(np.complex64)))
        return gridded


class ObjectBench:
    """Objects that are no legs, gridded to a wide field: root mean square error within each.

    Args:
        noise: the spiral.
        objects: name to k-space (samples,) in mmol/L pixel.
        wide: pixels a side that denoisers are given.
    """

    def __init__(self, noise: SpiralNoise, objects: Mapping[str, NDArray[np.complexfloating]], wide: int) -> None:
        self.noise, self.wide, self.names = noise, wide, tuple(objects)
        self.nufft = Nufft(noise.trajectory, (wide, wide))
        self.clean = np.asarray(
            self.nufft.adjoint((np.stack(list(objects.values())) * noise.weights).astype(np.complex64))
        )

    def errors(self, denoise: Denoise, averages: int, seed: int, repeats: int = 4) -> dict[str, float]:
        """Name to error, mmol/L."""
        std = NOISE / np.sqrt(averages)
        truth = _middle(self.clean, self.noise.matrix).real
        within = [image > 0.05 * np.percentile(image, 99) for image in truth]
        square = np.zeros((repeats, len(self.names)))
        for repeat in range(repeats):
            rng = np.random.default_rng((seed, repeat))
            samples = np.stack([self.noise.samples(rng, std / self.noise.gain) for _ in self.names])
            noisy = self.clean + np.asarray(self.nufft.adjoint((samples * self.noise.weights).astype(np.complex64)))
            error = _middle(denoise(noisy, std), self.noise.matrix).real - truth
            square[repeat] = [np.mean(part[mask] ** 2) for part, mask in zip(error, within, strict=True)]
        return dict(zip(self.names, np.sqrt(square.mean(0)).tolist(), strict=True))


def independent_legs(seeds: Sequence[int]) -> dict[int, Leg | PhantomLeg]:
    """Legs whose anatomy is in no training data."""
    return {seed: draw_leg(seed) for seed in seeds}


def phantom_legs(seeds: Sequence[int]) -> dict[int, Leg | PhantomLeg]:
    """Virtual calves; training has others."""
    return {seed: phantom_leg(seed) for seed in seeds}


def volunteer_legs(seed: int, count: int) -> dict[int, Leg | PhantomLeg]:
    """Virtual volunteers calibrated on the paper's: tubes that lean, decay, off-resonance."""
    return {scan.seed: VolunteerLeg.of(scan) for scan in Cohort().volunteers(count, seed, 1)}


def _middle(images: Images, matrix: int) -> Images:
    start = images.shape[-1] // 2 - matrix // 2
    return images[..., start : start + matrix, start : start + matrix]


def _in_phase(image: Images, phase: float) -> NDArray[np.float64]:
    """Real part of an image whose phase is known."""
    return np.asarray((image * np.exp(-1j * phase)).real, np.float64)
