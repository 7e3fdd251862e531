"""What tests of reconstruction share: the paper's spiral, calves whose k-space is exact, and their noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import Calf, Label, VirtualScan, band_limited, labels, random_calf
from nadenoise_core.recon.reconstruction import Reconstruction
from nadenoise_core.recon.settings import Settings
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

MATRIX, FIELD_OF_VIEW, PIXEL = 80, 180.0, 2.25


@dataclass(frozen=True, eq=False)
class Scan:
    """A noise-free scan of a calf.

    Attributes:
        kspace: (coils, 20, 510).
        truth: (80, 80) complex, what a perfect reconstruction of the disc of k-space gives.
        muscle: (80, 80) bool.
    """

    calf: Calf
    kspace: np.ndarray
    truth: np.ndarray
    muscle: np.ndarray

    def noisy(self, averages: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """K-space and its noise level with the paper's noise of that many averages, 58 mmol/L for one."""
        std = 58.0 / np.sqrt(averages) / noise_gain()
        return self.kspace + std * white(*self.kspace.shape, seed=seed), np.full(20, std)


def white(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex noise, real and imaginary part of standard deviation 1."""
    return np.random.default_rng(seed).standard_normal((*shape, 2)).view(complex)[..., 0]


@cache
def spiral() -> np.ndarray:
    """(20, 510, 2) float32, cycles/pixel."""
    return (PAPER_SPIRAL.trajectory() * PIXEL).astype(np.float32)


@cache
def noise_gain() -> float:
    """Noise of a gridded image for noise of 1 in k-space."""
    return float(np.sqrt(np.sum(sample_weights(spiral(), (MATRIX, MATRIX)).astype(float) ** 2)))


def distance(rows: int = MATRIX, columns: int = MATRIX) -> np.ndarray:
    """Distance from the centre of the field of view, pixels."""
    return np.hypot(np.arange(rows)[:, None] - rows // 2, np.arange(columns) - columns // 2)


@pytest.fixture(scope="session")
def disc() -> np.ndarray:
    """The disc that is inscribed in the field of view."""
    return distance() < MATRIX / 2


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """Complex noise of a shape, real and imaginary part of standard deviation 1."""
    return white


@pytest.fixture(scope="session")
def calf_scan() -> Callable[..., Scan]:
    """The scan of a calf; `corners` puts four tubes into the corners of the field of view, 92 mm from its centre."""

    @cache
    def scan(seed: int, corners: bool = False, **options: Any) -> Scan:
        calf = random_calf(seed)
        if corners:
            angles = np.pi / 4 + np.pi / 2 * np.arange(4)
            places = [(92 * np.cos(angle), 92 * np.sin(angle)) for angle in angles]
            moved = zip(calf.tubes, places, strict=False)
            calf = dataclasses.replace(
                calf, tubes=tuple(dataclasses.replace(tube, centre=place) for tube, place in moved)
            )
        k = PAPER_SPIRAL.trajectory()
        virtual = VirtualScan(calf, k, PIXEL, half_pulses=False, **options)
        phase = virtual.sensitivities(np.zeros((1, 2)))[0, 0]
        truth = band_limited(calf, MATRIX, FIELD_OF_VIEW, k_max=float(np.linalg.norm(k, axis=-1).max()))
        muscle = labels(calf, MATRIX, FIELD_OF_VIEW, margin=PIXEL) == Label.MUSCLE
        return Scan(calf, virtual.kspace, truth * phase, muscle)

    return scan


@pytest.fixture(scope="session")
def reconstruction() -> Callable[..., Reconstruction]:
    """A reconstruction of the paper's spiral; made once."""

    @cache
    def make(method: str, device: Device = Device(), **settings: Any) -> Reconstruction:  # noqa: B008
        return Reconstruction(spiral(), (MATRIX, MATRIX), Settings(method, **settings), device)

    return make


@pytest.fixture(scope="session")
def relative() -> Callable[..., float]:
    """Relative difference of two images, within a region if there is one."""

    def difference(image: np.ndarray, reference: np.ndarray, region: Any = ...) -> float:
        return float(np.linalg.norm((image - reference)[region]) / np.linalg.norm(reference[region]))

    return difference


@pytest.fixture(scope="session")
def gpu() -> Device:
    """A GPU; without one the test is skipped, and says why."""
    from nadenoise_core.device import choose_device
    from nadenoise_core.errors import BadInputError

    try:
        return choose_device("cuda")
    except BadInputError as error:
        pytest.skip(str(error))
