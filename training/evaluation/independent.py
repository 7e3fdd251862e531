"""Test objects whose k-space is known in closed form and whose anatomy is not that of the phantom or the generator.

Lengths are mm from the centre of the field of view, (x, y) to the right and downwards; values are mmol/L.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.phantom.shapes import Ellipse, fourier, inside, signed_distance

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TUBES = (10.0, 25.0, 50.0, 75.0, 100.0)  # mmol/L
TUBE_RADIUS, TUBE_DISTANCE = 10.0, 74.0  # mm


@dataclass(frozen=True)
class Box:
    """A filled rectangle, as `Ellipse`; half lengths in place of semi-axes."""

    centre: tuple[float, float]
    half: tuple[float, float]
    angle: float = 0.0
    value: float = 1.0

    def fourier(self, k: Floats) -> NDArray[np.complex128]:
        """Exact transform at (..., 2) cycles/mm, mmol/L mm^2."""
        kx, ky = k[..., 0], k[..., 1]
        along = np.cos(self.angle) * kx + np.sin(self.angle) * ky
        across = np.cos(self.angle) * ky - np.sin(self.angle) * kx
        a, b = self.half
        shift = np.exp(-2j * np.pi * (kx * self.centre[0] + ky * self.centre[1]))
        transform: NDArray[np.complex128] = (
            self.value * 4 * a * b * np.sinc(2 * a * along) * np.sinc(2 * b * across) * shift
        )
        return transform


Shape = Ellipse | Box


@dataclass(frozen=True)
class Leg:
    """A leg of an anatomy of its own, with tubes.

    Attributes:
        shapes: whose values add up.
        outline: of the skin.
        skin: its inner edge.
        muscle: the edge of the one, uniform muscle.
        holes: bones and vessels in it.
        tubes: by increasing concentration.
        level: of muscle, mmol/L.
    """

    shapes: tuple[Shape, ...]
    outline: Ellipse
    skin: Ellipse
    muscle: Ellipse
    holes: tuple[Ellipse, ...]
    tubes: tuple[Ellipse, ...]
    level: float
    phase: float = field(default=0.0)

    def kspace(self, k: Floats, pixel: float) -> NDArray[np.complex128]:
        """Exact k-space (...) at (..., 2) cycles/mm, in mmol/L pixel."""
        return np.asarray(transform(self.shapes, k) * np.exp(1j * self.phase) / pixel**2)

    def muscle_mask(self, matrix: int, pixel: float, margin: float = 2.25) -> Mask:
        """Pixels of muscle whose centres are at least `margin` mm from everything else."""
        points = pixel_points(matrix, pixel)
        mask = signed_distance(self.muscle, points)[0] < -margin
        for hole in self.holes:
            mask &= signed_distance(hole, points)[0] > margin
        return mask

    def skin_mask(self, matrix: int, pixel: float) -> Mask:
        """Pixels whose centres lie in the skin."""
        points = pixel_points(matrix, pixel)
        return inside(self.outline, points) & ~inside(self.skin, points)

    def leg_mask(self, matrix: int, pixel: float) -> Mask:
        """Pixels whose centres lie within the skin's outer edge."""
        return inside(self.outline, pixel_points(matrix, pixel))

    def tube_masks(self, matrix: int, pixel: float) -> list[Mask]:
        """Pixels at least one pixel within the edge of each tube."""
        points = pixel_points(matrix, pixel)
        return [signed_distance(tube, points)[0] < -pixel for tube in self.tubes]

    def background_mask(self, matrix: int, pixel: float, margin: float = 6.0) -> Mask:
        """Pixels at least `margin` mm from leg and tubes, within the field of view's disc."""
        points = pixel_points(matrix, pixel)
        mask = np.hypot(points[..., 0], points[..., 1]) < matrix * pixel / 2
        for part in (self.outline, *self.tubes):
            mask &= signed_distance(part, points)[0] > margin
        return mask

    def places(self, rng: np.random.Generator, count: int, radius: float) -> list[tuple[float, float]]:
        """Centres in muscle from which `radius` mm reach nothing else."""
        found: list[tuple[float, float]] = []
        while len(found) < count:
            at = rng.uniform(-1, 1, 2) * self.muscle.semi_axes + self.muscle.centre
            clear = signed_distance(self.muscle, at[None])[0][0] < -radius
            if clear and all(signed_distance(hole, at[None])[0][0] > radius for hole in self.holes):
                found.append((float(at[0]), float(at[1])))
        return found


def draw_leg(seed: int) -> Leg:
    """A leg of a seed: eccentric layers, one uniform muscle, three bones at most, a few vessels, five tubes."""
    rng = np.random.default_rng((97, seed))
    radius, stretch = rng.uniform(42, 54), rng.uniform(0.88, 1.0)
    centre = tuple(rng.uniform(-3, 3, 2).tolist())
    turn = float(rng.uniform(0, np.pi))
    thickness, skin, fat, muscle = rng.uniform(1.5, 3.0), rng.uniform(12, 26), rng.uniform(5, 10), rng.uniform(17, 27)
    outline = Ellipse(centre, (radius, radius * stretch), turn, skin)
    inner = Ellipse(centre, (radius - thickness, radius * stretch - thickness), turn, fat - skin)
    layer = rng.uniform(4, 8)
    off = rng.uniform(-0.3, 0.3, 2) * layer
    belly = Ellipse(
        (centre[0] + off[0], centre[1] + off[1]),
        (radius - thickness - layer, radius * stretch - thickness - layer),
        turn,
        muscle - fat,
    )
    holes: list[Ellipse] = []
    for size in rng.uniform([9, 4], [13, 7]):
        _add(rng, belly, holes, float(size), -muscle + float(rng.uniform(1, 5)))
    for _ in range(int(rng.integers(2, 6))):
        _add(rng, belly, holes, float(rng.uniform(1, 2)), float(rng.uniform(70, 90)) - muscle)
    start = rng.uniform(0, 2 * np.pi)
    angles = start + 2 * np.pi * rng.permutation(5) / 5
    tubes = tuple(
        Ellipse((TUBE_DISTANCE * np.cos(a), TUBE_DISTANCE * np.sin(a)), (TUBE_RADIUS, TUBE_RADIUS), 0.0, level)
        for a, level in zip(angles.tolist(), TUBES, strict=True)
    )
    parts = (outline, inner, belly, *holes, *tubes)
    return Leg(parts, outline, inner, belly, tuple(holes), tubes, float(muscle), float(rng.uniform(0, 2 * np.pi)))


def transform(shapes: Sequence[Shape], k: Floats) -> NDArray[np.complex128]:
    """Exact transform of a sum of shapes at (..., 2) cycles/mm, mmol/L mm^2."""
    ellipses = [shape for shape in shapes if isinstance(shape, Ellipse)]
    total = fourier(ellipses, k)
    for shape in shapes:
        if isinstance(shape, Box):
            total = total + shape.fourier(k)
    return total


def pixel_points(matrix: int, pixel: float) -> Floats:
    """(matrix, matrix, 2) centres of pixels as (x, y)."""
    axis = (np.arange(matrix) - matrix // 2) * pixel
    x, y = np.meshgrid(axis, axis)
    return np.stack([x, y], axis=-1)


def _add(rng: np.random.Generator, belly: Ellipse, holes: list[Ellipse], size: float, value: float) -> None:
    """A part of this size in the muscle, free of the others; none where there is no room."""
    for _ in range(500):
        at = rng.uniform(-1, 1, 2) * belly.semi_axes + belly.centre
        clear = signed_distance(belly, at[None])[0][0] < -size - 1.5
        if clear and all(signed_distance(hole, at[None])[0][0] > size + 1.5 for hole in holes):
            shape = (size, size * float(rng.uniform(0.75, 1)))
            holes.append(Ellipse((float(at[0]), float(at[1])), shape, float(rng.uniform(0, np.pi)), value))
            return
