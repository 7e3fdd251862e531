"""The virtual calf as a leg that the bench can measure on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Calf, Ellipse, Label, Physics, inside, kspace, labels, random_calf
from nadenoise_core.phantom.fields import SmoothField
from nadenoise_core.phantom.shapes import signed_distance
from nadenoise_core.simulate.measurement import VirtualMeasurement
from training.evaluation.independent import pixel_points

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PhantomLeg:
    """A virtual calf; masks as of `independent.Leg`."""

    calf: Calf
    phase: float

    @property
    def level(self) -> float:
        """Mean of muscle, mmol/L; its compartments differ by a few percent."""
        return self.calf.muscle

    @property
    def tubes(self) -> tuple[Ellipse, ...]:
        """By increasing concentration."""
        return tuple(tube.outline for tube in self.calf.tubes)

    def kspace(self, k: NDArray[np.float64], pixel: float) -> NDArray[np.complex128]:
        """Exact k-space (...) at (..., 2) cycles/mm, in mmol/L pixel."""
        return np.asarray(kspace(self.calf, k, pixel) * np.exp(1j * self.phase))

    def muscle_mask(self, matrix: int, pixel: float, margin: float = 2.25) -> Mask:
        """Pixels of muscle at least `margin` mm from everything else."""
        return np.asarray(_labels(self.calf, matrix, margin) == Label.MUSCLE)

    def skin_mask(self, matrix: int, pixel: float) -> Mask:
        """Pixels whose centres lie in the skin."""
        return np.asarray(_labels(self.calf, matrix, None) == Label.SKIN)

    def leg_mask(self, matrix: int, pixel: float) -> Mask:
        """Pixels whose centres lie within the skin's outer edge."""
        return inside(self._outline, pixel_points(matrix, pixel))

    def tube_masks(self, matrix: int, pixel: float) -> list[Mask]:
        """Pixels at least one pixel within the edge of each tube."""
        points = pixel_points(matrix, pixel)
        return [signed_distance(tube, points)[0] < -pixel for tube in self.tubes]

    def background_mask(self, matrix: int, pixel: float, margin: float = 6.0) -> Mask:
        """Pixels at least `margin` mm from leg and tubes, within the field of view's disc."""
        points = pixel_points(matrix, pixel)
        mask: Mask = np.hypot(points[..., 0], points[..., 1]) < matrix * pixel / 2
        for part in (self._outline, *self.tubes):
            mask &= signed_distance(part, points)[0] > margin
        return mask

    def places(self, rng: np.random.Generator, count: int, radius: float) -> list[tuple[float, float]]:
        """Centres of pixels of muscle from which `radius` mm reach nothing else."""
        matrix = 80
        pixel = self.calf.field_of_view / matrix
        free = np.argwhere(self.muscle_mask(matrix, pixel, radius))
        chosen = free[rng.choice(len(free), min(count, len(free)), replace=False)]
        return [(float(x - matrix // 2) * pixel, float(y - matrix // 2) * pixel) for y, x in chosen]

    @property
    def _outline(self) -> Ellipse:
        return next(tissue.outline for tissue in self.calf.tissues if tissue.parent is None)


@dataclass(frozen=True)
class VolunteerLeg(PhantomLeg):
    """A virtual volunteer, whose tubes lean and whose signal is saturated, decays and is off resonance."""

    physics: Physics

    @classmethod
    def of(cls, scan: VirtualMeasurement) -> VolunteerLeg:
        """The leg of a scan, at a random constant phase.

        Raises:
            BadInputError: the scan is without off-resonance and relaxation.
        """
        physics = scan.physics()
        if physics is None:
            raise BadInputError("a volunteer needs off-resonance or relaxation; phantom_leg has neither")
        return cls(scan.calf(), _phase(scan.seed), physics)

    def kspace(self, k: NDArray[np.float64], pixel: float) -> NDArray[np.complex128]:
        """As `PhantomLeg.kspace`; k is (interleaves, samples, 2)."""
        constant = SmoothField(np.zeros((1, 2), np.int64), np.full((1, 1), np.exp(1j * self.phase)))
        return np.asarray(self.physics.kspace(self.calf, constant, k, pixel)[0])


def phantom_leg(seed: int) -> PhantomLeg:
    """The virtual calf of a seed, at a random constant phase."""
    return PhantomLeg(random_calf(seed), _phase(seed))


@lru_cache(maxsize=1024)
def _labels(calf: Calf, matrix: int, margin: float | None) -> NDArray[np.integer]:
    """Of whole pixels, once for all denoisers."""
    return labels(calf, matrix, calf.field_of_view, margin)


def _phase(seed: int) -> float:
    return float(np.random.default_rng((96, seed)).uniform(0, 2 * np.pi))
