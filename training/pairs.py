"""From limbs to training pairs.

Quantitative pairs are complex images in SNR units: the noise of the real and of the imaginary part has
standard deviation 1, so the number of averages shows as the height of the signal. Paper pairs follow section
2.1 of Baker et al.: magnitude, one bright disc, shift and scale of the noisy image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from training.cache import Limbs, soft_cap
from training.kspace import SpiralNoise, draw_discs, limit_to_disc

Complex = NDArray[np.complex64]
Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Tubes:
    """Reference tubes of one scene; pixels and parts of the brightest one."""

    centres: NDArray[np.float64]  # (tubes, 2) rows and columns from the image centre
    radii: NDArray[np.float64]
    levels: NDArray[np.float64]


@dataclass(frozen=True)
class SceneSettings:
    """What scenes are drawn from. The cap is in units of the brightest tube."""

    pixel: float = 2.25  # mm
    tubes: tuple[int, int] = (1, 6)
    diameter: tuple[float, float] = (12.0, 30.0)  # mm
    level: tuple[float, float] = (0.05, 1.0)
    muscle: float = 0.25  # median of the muscle level over the brightest tube
    muscle_spread: float = 0.5  # of its logarithm
    cap: float = 1.3
    peak_snr: tuple[float, float] = (2.5, 80.0)
    frequent_snr: tuple[float, float] = (3.5, 25.0)
    frequent_share: float = 0.7


@dataclass(frozen=True)
class Scene:
    """A limb with tubes as a noiseless scan shows it."""

    image: Complex  # (matrix, matrix), largest magnitude 1
    tubes: Tubes
    muscle: NDArray[np.float32]  # (matrix, matrix) share of the pixel that is muscle
    scale: float  # signal of the brightest tube in units of the image


def draw_tubes(rng: np.random.Generator, clearance: NDArray[np.float32], settings: SceneSettings) -> Tubes:
    """Tubes beside a limb that do not overlap one another; the first has level 1.

    Args:
        clearance: (matrix, matrix) distance from the skin, pixels.
    """
    half = clearance.shape[0] // 2
    low, high = (diameter / (2 * settings.pixel) for diameter in settings.diameter)
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


def draw_scene(
    rng: np.random.Generator, limbs: Limbs, index: int, edge: float, settings: SceneSettings | None = None
) -> Scene:
    """Limb `index` with fresh tubes, levels and phase, within |k| <= edge cycles/pixel."""
    settings = settings or SceneSettings()
    matrix = limbs.image.shape[-1]
    tubes = draw_tubes(rng, limbs.clearance[index], settings)
    muscle = settings.muscle * np.exp(rng.normal(0, settings.muscle_spread))
    limb = soft_cap(np.float32(muscle) * limbs.image[index], settings.cap)
    signal = limb + draw_discs(tubes.centres, tubes.radii, tubes.levels, matrix)
    image = limit_to_disc(signal * smooth_phase(rng, matrix), edge)
    peak = float(np.abs(image).max())
    return Scene(image / np.float32(peak), tubes, limbs.muscle[index], 1 / peak)


def draw_peak_snr(rng: np.random.Generator, count: int, settings: SceneSettings | None = None) -> NDArray[np.float64]:
    """Peak SNRs of a batch: a log-uniform mixture, one draw from each of `count` equal shares of it."""
    settings = settings or SceneSettings()
    least, most = np.log(settings.peak_snr)
    grid = np.linspace(least, most, 2001)
    low, high = np.log(settings.frequent_snr)
    wide = (grid - grid[0]) / (grid[-1] - grid[0])
    frequent = np.clip((grid - low) / (high - low), 0, 1)
    share = settings.frequent_share * frequent + (1 - settings.frequent_share) * wide
    quantile = (rng.permutation(count) + rng.random(count)) / count
    drawn: NDArray[np.float64] = np.exp(np.interp(quantile, share, grid))
    return drawn


def turn(image: Complex, symmetry: int) -> Complex:
    """One of the eight symmetries of the square, 0 to 7."""
    turned = np.rot90(image, symmetry % 4)
    return turned.T if symmetry >= 4 else turned


def channels(image: NDArray[np.complexfloating]) -> NDArray[np.float32]:
    """(..., rows, columns) complex to (..., 2, rows, columns) real and imaginary."""
    return np.stack([image.real, image.imag], axis=-3).astype(np.float32)


class QuantitativePairs:
    """Complex pairs in SNR units from a set of limbs."""

    channels = 2

    def __init__(self, limbs: Limbs, noise: SpiralNoise, settings: SceneSettings | None = None) -> None:
        self.limbs = limbs
        self.noise = noise
        self.settings = settings or SceneSettings()

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Noisy and clean, each (size, 2, matrix, matrix)."""
        chosen = rng.integers(len(self.limbs), size=size)
        clean = np.stack(
            [
                snr * turn(self.scene(rng, int(index)).image, int(rng.integers(8)))
                for index, snr in zip(chosen, draw_peak_snr(rng, size, self.settings), strict=True)
            ]
        )
        noise = np.stack([self.noise.draw(rng) for _ in range(size)])
        return channels(clean + noise), channels(clean)

    def scene(self, rng: np.random.Generator, index: int) -> Scene:
        return draw_scene(rng, self.limbs, index, self.noise.edge, self.settings)


@dataclass(frozen=True)
class PaperPair:
    """One image of the paper's test, (matrix, matrix) each, before shift and scale."""

    noisy: Complex
    clean: NDArray[np.float32]  # magnitude
    noise_std: float  # of the real part of `noisy`


class PaperPairs:
    """The paper's pairs, section 2.1, from a set of limbs.

    Args:
        limbs: the anatomy; its brightest parts are pressed to 1.3 of the disc.
        noise: the spiral.
    """

    noise_share = 0.038  # k-space noise of one average over the largest k-space value
    disc_level = 7.5  # over the mean image intensity
    disc_radius = 6.0  # pixels
    disc_blur = 0.6  # pixels
    disc_inset = (9, 15)  # pixels from the edges
    cap = 1.3

    def __init__(self, limbs: Limbs, noise: SpiralNoise) -> None:
        self.limbs = limbs
        self.noise = noise

    def draw(self, rng: np.random.Generator, index: int, averages: int) -> PaperPair:
        """Limb `index` with a disc in a random corner, after so many averages."""
        image = self._with_disc(rng, np.abs(self.limbs.image[index]))
        kspace = self.noise.nufft.forward(image)
        sigma = self.noise_share * float(np.abs(kspace).max()) / np.sqrt(averages)
        clean = np.abs(self.noise.image(kspace))
        noisy = self.noise.image(kspace + self.noise.samples(rng, sigma))
        return PaperPair(noisy, clean, sigma * self.noise.gain)

    def _with_disc(self, rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
        level = self.disc_level * float(image.mean())
        image = soft_cap(image, self.cap * level)
        inset = rng.integers(self.disc_inset[0], self.disc_inset[1] + 1, 2)
        size = image.shape[0]
        centre = np.where(rng.random(2) < 0.5, inset, size - 1 - inset)
        rows, columns = np.indices(image.shape)
        inside = np.hypot(rows - centre[0], columns - centre[1]) <= self.disc_radius
        cover = gaussian_filter(inside.astype(np.float32), self.disc_blur)
        covered: NDArray[np.float32] = (image + cover * (level - image)).astype(np.float32)
        return covered


class ScaledPaperPairs:
    """The paper's pairs at one number of averages as a network takes them: magnitude, brought to 0..1."""

    channels = 1

    def __init__(self, pairs: PaperPairs, averages: int) -> None:
        self.pairs = pairs
        self.averages = averages

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Noisy and clean, each (size, 1, matrix, matrix), on the scale of the noisy image."""
        noisy, clean = [], []
        for index in rng.integers(len(self.pairs.limbs), size=size):
            pair = self.pairs.draw(rng, int(index), self.averages)
            magnitude = np.abs(pair.noisy)
            low, scale = range_scale(magnitude)
            noisy.append((magnitude - low) / scale)
            clean.append((pair.clean - low) / scale)
        return np.stack(noisy)[:, None].astype(np.float32), np.stack(clean)[:, None].astype(np.float32)


def range_scale(noisy: NDArray[np.floating]) -> tuple[float, float]:
    """Shift and scale that bring a magnitude image to 0..1: its minimum, and the maximum of what is left."""
    low = float(noisy.min())
    return low, float(noisy.max()) - low
