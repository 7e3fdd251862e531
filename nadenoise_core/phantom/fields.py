"""Smooth complex fields over the image - coil sensitivities, object phase - that keep k-space in closed form.

A field is a short sum of plane waves, c(r) = sum_m a_m exp(2 pi i q_m.r). Multiplying an object by it adds shifted
copies of the object's k-space, sum_m a_m S(k - q_m), exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.special import jv

from nadenoise_core.phantom.shapes import Complexes, Floats

PERIOD = 400.0
"""Longest wavelength, mm: more than twice the field of view, so that no field repeats inside it."""

COIL_RADIUS = 90.0
"""Distance of surface coils from the FOV centre, mm."""

_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))


@dataclass(frozen=True, eq=False)
class SmoothField:
    """Plane waves on a lattice of spatial frequencies.

    Attributes:
        waves: (waves, 2) whole numbers of cycles along (x, y) in PERIOD.
        amplitudes: (channels, waves) complex.
    """

    waves: NDArray[np.int64]
    amplitudes: Complexes

    def at(self, points: ArrayLike) -> Complexes:
        """Values (channels, ...) at points (..., 2) in mm."""
        phase = np.asarray(points, np.float64) @ (self.waves.T / PERIOD)
        return np.moveaxis(np.exp(2j * np.pi * phase) @ self.amplitudes.T, -1, 0)

    def times(self, other: SmoothField) -> SmoothField:
        """Product with a field of one channel."""
        waves = (self.waves[:, None] + other.waves).reshape(-1, 2)
        amplitudes = (self.amplitudes[:, :, None] * other.amplitudes[0]).reshape(len(self.amplitudes), -1)
        unique, place = np.unique(waves, axis=0, return_inverse=True)
        merged = np.zeros((len(amplitudes), len(unique)), np.complex128)
        np.add.at(merged.T, place.reshape(-1), amplitudes.T)
        return SmoothField(unique, merged)

    def weighted_kspace(self, kspace: Callable[[Floats], Complexes], k: Floats) -> Complexes:
        """K-space (channels, ...) of the product of this field and an object.

        Args:
            kspace: the object's k-space at (..., 2) frequencies in cycles/mm.
            k: (..., 2) cycles/mm.
        """
        total = np.zeros((len(self.amplitudes), *k.shape[:-1]), np.complex128)
        for wave, amplitudes in zip(self.waves, self.amplitudes.T, strict=True):
            total += np.multiply.outer(amplitudes, kspace(k - wave / PERIOD))
        return total


def uniform_coil(phase: float) -> SmoothField:
    """One channel of sensitivity 1 and constant phase in rad: a birdcage."""
    return SmoothField(np.zeros((1, 2), np.int64), np.array([[np.exp(1j * phase)]]))


def surface_coils(count: int, phase: float) -> SmoothField:
    """Channels around the leg, each strongest near its own coil, of magnitude about 1 there.

    A sensitivity is the sum of two raised-cosine bumps that stand 40 degrees apart on the ring and a quarter turn
    apart in phase, so that its phase varies over the leg as well.

    Args:
        count: channels.
        phase: common to all, rad.
    """
    index = np.arange(-1, 2)
    waves = np.stack(np.meshgrid(index, index), axis=-1).reshape(-1, 2)
    height = np.where(waves == 0, 0.5, 0.25).prod(axis=-1)
    around = 2 * np.pi * np.arange(count) / count

    def bumps(angle: Floats) -> Complexes:
        centres = COIL_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        shifted: Complexes = height * np.exp(-2j * np.pi * (centres @ waves.T) / PERIOD)
        return shifted

    offset = math.radians(20)
    amplitudes = (bumps(around - offset) + 1j * bumps(around + offset)) / math.sqrt(2)
    return SmoothField(waves, amplitudes * np.exp(1j * (around + phase))[:, None])


def smooth_phase(peak: float, rng: Generator) -> SmoothField:
    """A pure phase that swings between -peak and +peak rad along a random direction.

    By the Jacobi-Anger expansion exp(i peak sin u) = sum_n J_n(peak) exp(i n u), cut where terms fall below 1e-12.
    """
    direction = np.array(_DIRECTIONS[rng.integers(len(_DIRECTIONS))])
    start = rng.uniform(0, 2 * np.pi)
    order = np.arange(-60, 61)
    amplitudes = jv(order, peak) * np.exp(1j * order * start)
    kept = np.abs(amplitudes) > 1e-12
    return SmoothField(order[kept, None] * direction, amplitudes[None, kept])
