"""Exact images of calves and tubes, and gridded images with noise, made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as MplPath
from scipy.special import j1

from nadenoise_core.device import Device
from nadenoise_core.phantom import Calf, Tube, band_limited, kspace, random_calf
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.readouts import readouts
from nadenoise_core.quantify.region_fit import FitSettings, fit_regions
from nadenoise_core.quantify.region_values import RegionResult
from nadenoise_core.quantify.regions import Regions, regions_in_slice
from nadenoise_core.quantify.tube_columns import TubeDiscs
from nadenoise_core.quantify.volume import Volume
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PIXEL = (2.25, 2.25)
K_MAX = 0.5 / 2.25

MakeTube = Callable[[float, tuple[float, float], float], np.ndarray]
Scan = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def tube_image() -> MakeTube:
    """Band-limited image of one tube: concentration, centre, diameter."""

    def make(concentration: float, centre: tuple[float, float], diameter: float) -> np.ndarray:
        tube = Tube(concentration, centre, diameter)
        return band_limited(Calf(0, "left", 180.0, 20.0, 20.0, (), (tube,)), 80, 180.0)

    return make


@pytest.fixture(scope="session")
def scanned() -> Scan:
    """Gridded image (complex) of a calf with the paper's spiral and the noise of so many averages; None: no noise.

    The image noise is 58 / sqrt(averages) mmol/L.
    """
    k = PAPER_SPIRAL.trajectory()
    weights = sample_weights(k * 2.25, (80, 80))
    model = SignalModel(k * 2.25, weights, (80, 80), Device())
    gain = np.sqrt(np.sum(weights.astype(float) ** 2))

    @lru_cache(maxsize=64)
    def clean(calf: Calf) -> np.ndarray:
        return model.grid(kspace(calf, k, 2.25)[None])[0]

    def scan(calf: Calf | int, averages: int | None, seed: int = 0) -> np.ndarray:
        image = clean(random_calf(calf) if isinstance(calf, int) else calf)
        if averages is None:
            return image
        noise = np.random.default_rng(seed).standard_normal((1, *weights.shape, 2)).view(complex)[..., 0]
        return image + model.grid(noise * (58 / np.sqrt(averages) / gain))[0]

    return scan


def polygon_fourier(corners: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Exact Fourier transform of a filled polygon, by the divergence theorem.

    Args:
        corners: (corners, 2) in mm, counter-clockwise where y points up.
        k: (..., 2) cycles/mm.
    """
    steps = np.roll(corners, -1, axis=0) - corners
    middles = corners + steps / 2
    squared = np.sum(k**2, axis=-1)
    area = 0.5 * np.sum(corners[:, 0] * np.roll(corners[:, 1], -1) - np.roll(corners[:, 0], -1) * corners[:, 1])
    total = np.zeros(k.shape[:-1], complex)
    for step, middle in zip(steps, middles, strict=True):
        across = k[..., 0] * step[1] - k[..., 1] * step[0]
        total += across * np.exp(-2j * np.pi * (k @ middle)) * np.sinc(k @ step)
    safe = np.where(squared == 0, 1, squared)
    return np.where(squared == 0, area, 1j * total / (2 * np.pi * safe))


@dataclass(frozen=True, eq=False)
class PolygonLeg:
    """A leg of polygons with tubes, none of it from the package: outlines (later ones lie in earlier ones), mmol/L.

    Attributes:
        parts: name, corners (n, 2) in mm, concentration.
        tubes: concentration, centre; diameter 20 mm.
    """

    parts: tuple[tuple[str, np.ndarray, float], ...]
    tubes: tuple[tuple[float, tuple[float, float]], ...]

    NAMES = ("skin", "fat", "muscle", "soleus", "tibia", "fibula")

    def concentration(self, name: str) -> float:
        return {part: value for part, _, value in self.parts}[name]

    def kspace(self, k: np.ndarray, pixel: float = 2.25) -> np.ndarray:
        """Exact k-space at (..., 2) cycles/mm in mmol/L pixel."""
        parents = {"skin": 0.0, "fat": self.concentration("skin"), "muscle": self.concentration("fat")}
        total = np.zeros(k.shape[:-1], complex)
        for name, corners, value in self.parts:
            total += (value - parents.get(name, self.concentration("muscle"))) * polygon_fourier(corners, k)
        radius = np.linalg.norm(k, axis=-1)
        disc = np.where(radius == 0, 100 * np.pi, 10 * j1(20 * np.pi * radius) / np.where(radius == 0, 1, radius))
        for value, centre in self.tubes:
            total += value * disc * np.exp(-2j * np.pi * (k @ np.asarray(centre)))
        return total / pixel**2

    def labels(self, voxel: float = 0.5, wider: float = 0.0) -> np.ndarray:
        """(rows, columns) label of the centre of every voxel of a 180 mm field; n is NAMES[n - 1].

        Args:
            wider: mm by which the outer edge of the skin is drawn too far out.
        """
        count = round(180 / voxel)
        axis = (np.arange(count) - count // 2) * voxel
        x, y = np.meshgrid(axis, axis)
        points = np.stack([x.ravel(), y.ravel()], axis=-1)
        result = np.zeros(len(points), np.int16)
        for name, corners, _ in self.parts:
            if wider and name == "skin":
                middle = corners.mean(axis=0)
                out = corners - middle
                corners = middle + out * (1 + wider / np.linalg.norm(out, axis=1, keepdims=True))
            result[MplPath(corners).contains_points(points)] = 1 + self.NAMES.index(name)
        return result.reshape(x.shape)


def _outline(rng: np.random.Generator, centre: tuple[float, float], radius: float, rough: float) -> np.ndarray:
    angle = 2 * np.pi * np.arange(72) / 72
    waves = sum(rng.normal(0, rough / n) * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))
    return np.asarray(centre) + (radius * (1 + waves))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


@pytest.fixture(scope="session")
def polygon_leg() -> Callable[..., PolygonLeg]:
    """A leg by its number: outlines and concentrations are drawn anew."""

    @cache
    def make(seed: int, skin_thickness: float = 2.5) -> PolygonLeg:
        rng = np.random.default_rng([411, seed])
        middle = rng.uniform(-3, 3, 2)
        skin = _outline(rng, tuple(middle), 50.0, 0.02)
        out = skin - middle
        length = np.linalg.norm(out, axis=1, keepdims=True)
        fat = middle + out * (1 - skin_thickness / length)
        muscle = middle + out * (1 - (skin_thickness + rng.uniform(4, 8)) / length)
        inner = [
            ("soleus", _outline(rng, (middle[0] + 2, middle[1] + 20), 13.0, 0.06), 0.0),
            ("tibia", _outline(rng, (middle[0] + 12, middle[1] - 20), 10.0, 0.05), 3.0),
            ("fibula", _outline(rng, (middle[0] - 20, middle[1] - 10), 5.0, 0.03), 3.0),
        ]
        in_muscle = rng.normal(21.5, 2.2)
        parts = [("skin", skin, rng.normal(18.8, 3.8)), ("fat", fat, rng.uniform(5, 9)), ("muscle", muscle, in_muscle)]
        parts += [(name, corners, value or in_muscle * 1.05) for name, corners, value in inner]
        turn = rng.uniform(0, 2 * np.pi)
        angles = turn + 2 * np.pi * np.arange(5) / 5
        tubes = zip((10.0, 25.0, 50.0, 75.0, 100.0), rng.permutation(angles), strict=True)
        return PolygonLeg(tuple(parts), tuple((c, (73 * np.cos(a), 73 * np.sin(a))) for c, a in tubes))

    return make


PLANE = SlicePlane(np.zeros(3), np.eye(3), PIXEL, (80, 80), 30.0)


def label_affine(voxel: float, size: int, thickness: float = 30.0) -> np.ndarray:
    """Affine of a label map (columns, rows, slices) that lies where the virtual slice does, LPS."""
    affine = np.diag([voxel, voxel, thickness, 1.0])
    affine[:2, 3] = -(size // 2) * voxel
    return affine


@pytest.fixture(scope="session")
def leg_regions() -> Callable[..., Regions]:
    """Regions of labels (rows, columns) of a 180 mm field, moved by a (4, 4) matrix before they are read."""

    def read(labels: np.ndarray, names: tuple[str, ...] = PolygonLeg.NAMES, moved: np.ndarray | None = None) -> Regions:
        affine = label_affine(180 / len(labels), len(labels))
        affine = affine if moved is None else moved @ affine
        volume = Volume(Path("labels.nii"), labels.T[..., None], affine)
        return regions_in_slice(volume, PLANE, {n + 1: name for n, name in enumerate(names)})

    return read


@pytest.fixture(scope="session")
def leg_kspace() -> Callable[[PolygonLeg], np.ndarray]:
    """Exact k-space of a leg on the paper's spiral, (1, interleaves, samples)."""

    @cache
    def calculate(leg: PolygonLeg) -> np.ndarray:
        return leg.kspace(PAPER_SPIRAL.trajectory())[None]

    return calculate


@pytest.fixture(scope="session")
def noise_of() -> Callable[[float], float]:
    """Noise of the real part of a sample after so many averages, where one average has 61.5 mmol/L in a pixel."""
    weights = sample_weights(PAPER_SPIRAL.trajectory() * 2.25, (80, 80))
    gain = float(np.sqrt(np.sum(weights.astype(float) ** 2)))
    return lambda averages: 61.5 / averages**0.5 / gain


@pytest.fixture(scope="session")
def read_leg(leg_kspace, noise_of) -> Callable[..., RegionResult]:
    """Scan a leg and read its regions; options go to `FitSettings`."""

    def read(leg: PolygonLeg, regions: Regions, averages: float, seed: int, **options) -> RegionResult:
        clean, level = leg_kspace(leg), noise_of(averages)
        noise = np.random.default_rng([seed, 5]).normal(0, level, (*clean.shape, 2)).view(complex)[..., 0]
        scan = readouts(clean + noise, PAPER_SPIRAL.trajectory() * 2.25, np.full(20, level), (80, 80), PIXEL)
        # Where tubes are found in an image is good to a few tenths of a millimetre.
        found = np.array([centre for _, centre in leg.tubes]) + np.random.default_rng(seed).normal(0, 0.2, (5, 2))
        concentrations = [value for value, _ in leg.tubes]
        return fit_regions(scan, regions, concentrations, TubeDiscs(found, 20.0), FitSettings(**options))

    return read
