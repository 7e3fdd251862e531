"""From images to training pairs.

Quantitative pairs are complex images in SNR units: the noise of the real and of the imaginary part has
standard deviation 1, so the number of averages shows as the height of the signal. Paper pairs follow section
2.1 of Baker et al.: magnitude, one bright disc, shift and scale of the noisy image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from training.config import PairSettings, PaperPairSettings, QuantitativePairSettings
from training.data.cache import Images
from training.data.images import soft_cap
from training.data.kspace import SpiralNoise, draw_discs, limit_to_disc

Complex = NDArray[np.complex64]
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]  # noisy and clean, (channels, matrix, matrix) each


class Pairs(Protocol):
    """Makes pairs from images."""

    @property
    def channels(self) -> int:
        """1 for magnitude, 2 for real and imaginary part."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def pair(self, rng: np.random.Generator, index: int, quantile: float) -> Pair:
        """A fresh pair of image `index`; `quantile`, 0 to 1, is where it lies in the range of noise levels."""
        ...


def make_pairs(settings: PairSettings, images: Images, noise: SpiralNoise, seed: int = 0) -> Pairs:
    """The pairs that the settings name.

    Args:
        seed: of what stays the same for an image in every pair.
    """
    if isinstance(settings, QuantitativePairSettings):
        return QuantitativePairs(images, noise, settings)
    if not isinstance(settings, PaperPairSettings):
        raise ValueError("scenes are no pairs")
    return ScaledPaperPairs(PaperPairs(images, noise, settings, seed), settings.averages)


@dataclass(frozen=True)
class Tubes:
    """Reference tubes of one scene; pixels and parts of the brightest one."""

    centres: NDArray[np.float64]  # (tubes, 2) rows and columns from the image centre
    radii: NDArray[np.float64]
    levels: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A limb with tubes as a noiseless scan shows it."""

    image: Complex  # (matrix, matrix), largest magnitude 1
    tubes: Tubes
    muscle: NDArray[np.float32] | None  # (matrix, matrix) share of the pixel that is muscle, where known
    scale: float  # signal of the brightest tube in units of the image


def draw_tubes(
    rng: np.random.Generator, clearance: NDArray[np.float32], settings: QuantitativePairSettings, pixel: float
) -> Tubes:
    """Tubes beside a limb that do not overlap one another; the first has level 1.

    Args:
        clearance: (matrix, matrix) distance from the skin, pixels.
        pixel: mm.
    """
    half = clearance.shape[0] // 2
    low, high = (diameter / (2 * pixel) for diameter in settings.diameter)
    count = int(rng.integers(settings.tubes[0], settings.tubes[1] + 1))
    same_size = rng.random() < 0.5
    size = rng.uniform(low, high)
    placed: list[tuple[float, float, float]] = []
    rows, columns = np.indices(clearance.shape)
    for _ in range(count):
        radius = size if same_size else rng.uniform(low, high)
        inset = half - np.maximum(np.abs(rows - half), np.abs(columns - half)) - radius
        free = (clearance > radius + rng.uniform(-1.5, 2.0)) & (inset > -0.5)
        for row, column, other in placed:
            free &= np.hypot(rows - half - row, columns - half - column) > radius + other + 0.5
        spots = np.flatnonzero(free)
        if len(spots):
            spot = int(rng.choice(spots))
            at = np.array(divmod(spot, clearance.shape[1])) - half + rng.uniform(-0.5, 0.5, 2)
        elif not placed:  # a limb that fills the field of view: the tube lies over a corner of it
            at = rng.choice([-1.0, 1.0], 2) * (half - radius - rng.uniform(0, 3, 2))
        else:
            break
        placed.append((float(at[0]), float(at[1]), float(radius)))
    least, most = settings.level
    levels = np.where(
        rng.random(len(placed)) < 0.5,
        rng.uniform(least, most, len(placed)),
        np.exp(rng.uniform(np.log(least), np.log(most), len(placed))),
    )
    levels[0] = 1.0
    table = np.array(placed)
    return Tubes(table[:, :2], table[:, 2], levels)


def smooth_phase(rng: np.random.Generator, matrix: int) -> Complex:
    """exp(i phase) of a random quadratic phase with a random constant, (matrix, matrix)."""
    axis = (np.arange(matrix) - matrix // 2) / (matrix / 2)
    y, x = axis[:, None], axis[None, :]
    strength = rng.uniform(0, 1)
    linear, bent = rng.normal(0, 1.2, 2), rng.normal(0, 0.6, 3)
    field = linear[0] * y + linear[1] * x + bent[0] * y**2 + bent[1] * x**2 + bent[2] * x * y
    phase: Complex = np.exp(1j * (strength * field + rng.uniform(0, 2 * np.pi))).astype(np.complex64)
    return phase


def draw_peak_snr(settings: QuantitativePairSettings, quantile: float) -> float:
    """Peak SNR at a quantile of a log-uniform mixture: the whole range, and the frequent part of it."""
    least, most = np.log(settings.peak_snr)
    grid = np.linspace(least, most, 2001)
    low, high = np.log(settings.frequent_snr)
    wide = (grid - least) / max(most - least, 1e-9)
    frequent = np.clip((grid - low) / max(high - low, 1e-9), 0, 1)
    share = settings.frequent_share * frequent + (1 - settings.frequent_share) * wide
    return float(np.exp(np.interp(quantile, share, grid)))


def turn(image: Complex, symmetry: int) -> Complex:
    """One of the eight symmetries of the square, 0 to 7."""
    turned = np.rot90(image, symmetry % 4)
    return turned.T if symmetry >= 4 else turned


def channels(image: NDArray[np.complexfloating]) -> NDArray[np.float32]:
    """(..., rows, columns) complex to (..., 2, rows, columns) real and imaginary."""
    return np.stack([image.real, image.imag], axis=-3).astype(np.float32)


class QuantitativePairs:
    """Complex pairs in SNR units.

    Args:
        images: the anatomy.
        noise: the spiral.
        settings: what scenes are drawn from.
    """

    channels = 2

    def __init__(self, images: Images, noise: SpiralNoise, settings: QuantitativePairSettings) -> None:
        self.images = images
        self.noise = noise
        self.settings = settings

    def __len__(self) -> int:
        return len(self.images)

    def pair(self, rng: np.random.Generator, index: int, quantile: float) -> Pair:
        """Noisy and clean (2, matrix, matrix) of image `index` with fresh tubes, level, phase and noise."""
        peak_snr = np.float32(draw_peak_snr(self.settings, quantile))
        clean = peak_snr * turn(self.scene(rng, index).image, int(rng.integers(8)))
        return channels(clean + self.noise.draw(rng)), channels(clean)

    def scene(self, rng: np.random.Generator, index: int) -> Scene:
        """Image `index` with fresh tubes, level and phase, within the disc of the spiral."""
        settings = self.settings
        matrix = self.images.matrix
        tubes = draw_tubes(rng, self.images.clearance[index], settings, self.noise.pixel)
        level = settings.muscle * np.exp(rng.normal(0, settings.muscle_spread))
        anatomy = soft_cap(np.float32(level) * self.images.image[index], settings.cap)
        signal = anatomy + draw_discs(tubes.centres, tubes.radii, tubes.levels, matrix)
        image = limit_to_disc(signal * smooth_phase(rng, matrix), self.noise.edge)
        peak = float(np.abs(image).max())
        muscle = None if self.images.muscle is None else self.images.muscle[index]
        return Scene(image / np.float32(peak), tubes, muscle, 1 / peak)


@dataclass(frozen=True)
class PaperPair:
    """One image of the paper's test, (matrix, matrix) each, before shift and scale."""

    noisy: Complex
    clean: NDArray[np.float32]  # magnitude
    noise_std: float  # of the real part of `noisy`


class PaperPairs:
    """The paper's pairs, section 2.1, before shift and scale.

    The reconstruction is linear, so the clean images are reconstructed once, and a pair costs its noise alone.

    Args:
        images: the anatomy.
        noise: the spiral.
        settings: of disc and noise.
        seed: of the discs, one for each image.
    """

    def __init__(self, images: Images, noise: SpiralNoise, settings: PaperPairSettings, seed: int = 0) -> None:
        self.noise = noise
        self.settings = settings
        self.clean = np.empty(images.image.shape, np.complex64)
        self.largest = np.empty(len(images))  # k-space value of each image
        for index, image in enumerate(np.abs(images.image)):
            kspace = noise.nufft.forward(self._with_disc(np.random.default_rng((seed, index)), image))
            self.clean[index] = noise.image(kspace)
            self.largest[index] = np.abs(kspace).max()

    def __len__(self) -> int:
        return len(self.clean)

    def draw(self, rng: np.random.Generator, index: int, averages: int) -> PaperPair:
        """Image `index` with its disc, after so many averages."""
        # The mean of n averages is one draw at 1 / sqrt(n), exactly.
        sigma = self.settings.noise_share * float(self.largest[index]) / np.sqrt(averages)
        noisy = self.clean[index] + self.noise.image(self.noise.samples(rng, sigma))
        return PaperPair(noisy, np.abs(self.clean[index]), sigma * self.noise.gain)

    def _with_disc(self, rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
        settings = self.settings
        level = settings.disc_level * float(image.mean())
        if settings.cap is not None:
            image = soft_cap(image, settings.cap * level)
        inset = rng.integers(settings.disc_inset[0], settings.disc_inset[1] + 1, 2)
        size = image.shape[0]
        centre = np.where(rng.random(2) < 0.5, inset, size - 1 - inset)
        rows, columns = np.indices(image.shape)
        inside = np.hypot(rows - centre[0], columns - centre[1]) <= settings.disc_diameter / 2
        cover = gaussian_filter(inside.astype(np.float32), settings.disc_blur)
        covered: NDArray[np.float32] = (image + cover * (level - image)).astype(np.float32)
        return covered


class ScaledPaperPairs:
    """The paper's pairs at one number of averages as a network takes them: magnitude, brought to 0..1."""

    channels = 1

    def __init__(self, pairs: PaperPairs, averages: int) -> None:
        self.pairs = pairs
        self.averages = averages

    def __len__(self) -> int:
        return len(self.pairs)

    def pair(self, rng: np.random.Generator, index: int, quantile: float) -> Pair:
        """Noisy and clean (1, matrix, matrix), on the scale of the noisy image; there is one noise level only."""
        drawn = self.pairs.draw(rng, index, self.averages)
        magnitude = np.abs(drawn.noisy)
        low, scale = range_scale(magnitude)
        noisy, clean = ((image - low) / scale for image in (magnitude, drawn.clean))
        return noisy[None].astype(np.float32), clean[None].astype(np.float32)


def range_scale(noisy: NDArray[np.floating]) -> tuple[float, float]:
    """Shift and scale that bring a magnitude image to 0..1: its minimum, and the maximum of what is left."""
    low = float(noisy.min())
    return low, float(noisy.max()) - low
