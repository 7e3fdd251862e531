"""Random limbs: axial slices of calf, knee and thigh in proton-like contrast, made from a seed.

Everything is drawn as soft-edged level sets on a grid finer than the final image, in coordinates where the
field of view spans -1 to 1. Levels are those of a T2-weighted fat-saturated image (fluid 1, muscle 0.42, fat
0.13); one limb in three has its tissues permuted in brightness, so that a network does not learn what sodium
contrast looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

GENERATOR_VERSION = 1
RENDER_SIZE = 192

_LEVELS = {
    "fluid": 1.0,
    "vessel": 0.95,
    "cartilage": 0.6,
    "muscle": 0.42,
    "skin": 0.38,
    "fat": 0.13,
    "marrow": 0.12,
    "cortex": 0.02,
}
_KINDS = ("calf", "knee", "thigh")
_KIND_SHARES = (0.45, 0.40, 0.15)


@dataclass(frozen=True)
class Limb:
    """A slice through a limb, all (size, size) float32 on the same grid."""

    kind: str
    image: Image  # signal, >= 0
    outline: Image  # share of the pixel inside the skin, 0 to 1
    muscle: Image  # share of the pixel that is muscle, 0 to 1
    muscle_level: float  # signal that muscle was drawn with before texture and shading


def draw_limb(seed: int | tuple[int, ...], size: int = RENDER_SIZE) -> Limb:
    """The limb of a seed: the same seed and size give the same arrays."""
    return _Canvas(np.random.default_rng(seed), size).limb()


def power_noise(rng: np.random.Generator, size: int, exponent: float) -> Image:
    """Smooth random field with amplitude spectrum |k|^-exponent, zero mean, unit variance; (size, size)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]).astype(np.float32)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * frequency**-exponent
    field = np.fft.irfft2(spectrum, s=(size, size))
    normalised: Image = ((field - field.mean()) / field.std()).astype(np.float32)
    return normalised


class _Canvas:
    """Draws one limb, tissue upon tissue."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        self.pixel = 2 / size
        axis = ((np.arange(size) - size // 2) * self.pixel).astype(np.float32)
        self.y, self.x = self._warped(axis[:, None], axis[None, :])
        self.levels = self._draw_levels()
        self.image: Image = np.zeros((size, size), np.float32)
        self.muscle: Image = np.zeros((size, size), np.float32)

    def limb(self) -> Limb:
        kind = str(self.rng.choice(_KINDS, p=_KIND_SHARES))
        depth, radius = self._outline(kind)
        inside = self._soft(depth)
        self._skin_and_fat(depth, radius, kind)
        {"calf": self._calf, "knee": self._knee, "thigh": self._thigh}[kind](radius)
        self._vessels_and_lines(radius)
        self.image *= inside
        self.muscle *= inside
        self._acquire(inside)
        return Limb(kind, self.image, inside, self.muscle, self.levels["muscle"])

    # The stage: coordinates, levels, outline.

    def _warped(self, y: Image, x: Image) -> tuple[Image, Image]:
        """Centred, turned and smoothly bent coordinates, one warp for all that is drawn."""
        rng = self.rng
        y = y - np.float32(rng.normal(0, 0.06)) + np.zeros_like(x)
        x = x - np.float32(rng.normal(0, 0.06)) + np.zeros_like(y)
        turn = rng.normal(0, 0.35)
        y, x = (np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x)
        bent = []
        for _ in range(2):
            bend = np.zeros_like(y)
            for order in (1, 2, 3):
                a, b = rng.normal(0, np.pi * order / 2, 2)
                bend = bend + rng.normal(0, 0.02 / order) * np.sin(a * y + b * x + rng.uniform(0, 2 * np.pi))
            bent.append(bend)
        return (y + bent[0]).astype(np.float32), (x + bent[1]).astype(np.float32)

    def _draw_levels(self) -> dict[str, float]:
        rng = self.rng
        values = np.array(list(_LEVELS.values()))
        if rng.random() < 1 / 3:
            values = values[rng.permutation(len(values))]
        values = values * np.exp(rng.normal(0, 0.25, len(values)))
        levels = dict(zip(_LEVELS, values.tolist(), strict=True))
        levels["muscle"] = max(levels["muscle"], 0.1)
        return levels

    def _outline(self, kind: str) -> tuple[Image, float]:
        """Depth below the skin (negative outside) and the mean radius."""
        rng = self.rng
        low, high = {"calf": (0.45, 0.75), "knee": (0.55, 0.85), "thigh": (0.6, 0.9)}[kind]
        radius = rng.uniform(low, high)
        aspect = np.exp(rng.normal(0, 0.08))
        angle = np.arctan2(self.y, self.x)
        distance = np.hypot(self.y / aspect, self.x * aspect)
        edge = np.ones_like(angle)
        for order in (2, 3, 4, 5):
            edge += rng.normal(0, 0.04 / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
        return (radius * edge - distance).astype(np.float32), float(radius)

    # Tissues.

    def _skin_and_fat(self, depth: Image, radius: float, kind: str) -> None:
        rng = self.rng
        skin = rng.uniform(0.012, 0.04)
        angle = np.arctan2(self.y, self.x)
        thick = {"calf": 0.09, "knee": 0.08, "thigh": 0.12}[kind] * np.exp(rng.normal(0, 0.5))
        fat = thick * (1 + 0.6 * np.cos(angle + rng.uniform(0, 2 * np.pi)))
        fat = np.minimum(fat * (1 + 0.2 * np.cos(2 * angle + rng.uniform(0, 2 * np.pi))), 0.3 * radius)
        fat_level = np.full_like(depth, self.levels["fat"])
        if rng.random() < 0.2:  # a sector where fat saturation failed
            sector = self._soft(np.cos(angle - rng.uniform(0, 2 * np.pi)) - rng.uniform(0.2, 0.8), 0.15)
            fat_level += sector * (rng.uniform(0.4, 1.0) - fat_level)
        septa = self._soft(rng.uniform(0.03, 0.08) - np.abs(power_noise(rng, self.size, 1.6)), 0.05)
        fat_level = fat_level * (1 + 0.1 * power_noise(rng, self.size, 1.2)) + 0.15 * septa
        self._lay(self._soft(depth), fat_level)
        self._lay(self._soft(depth) * self._soft(skin - depth), self.levels["skin"])
        self._muscles(self._soft(depth - skin - fat), radius)

    def _muscles(self, cover: Image, radius: float) -> None:
        """Warped anisotropic Voronoi cells, each with its own level, between fasciae."""
        rng = self.rng
        count = int(rng.integers(5, 14))
        place, turn = radius * np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
        nearest = np.full((2, self.size, self.size), np.inf, np.float32)
        cell = np.zeros((self.size, self.size), np.float32)
        spread = rng.uniform(0.03, 0.2)
        for level in range(count):
            dy, dx = self.y - place[level] * np.sin(turn[level]), self.x - place[level] * np.cos(turn[level])
            axis, stretch = rng.uniform(0, np.pi), np.exp(rng.normal(0, 0.3))
            along, across = np.cos(axis) * dx + np.sin(axis) * dy, np.cos(axis) * dy - np.sin(axis) * dx
            distance = np.hypot(along * stretch, across / stretch).astype(np.float32)
            closer = distance < nearest[0]
            nearest[1] = np.where(closer, nearest[0], np.minimum(nearest[1], distance))
            nearest[0] = np.where(closer, distance, nearest[0])
            cell = np.where(closer, np.float32(np.exp(rng.normal(0, spread))), cell)
        texture = 1 + rng.uniform(0.01, 0.1) * power_noise(rng, self.size, rng.uniform(0.8, 1.5))
        fascia = self._soft(rng.uniform(0.0, 0.03) - (nearest[1] - nearest[0]), 2 * self.pixel)
        level = self.levels["muscle"] * cell * np.maximum(texture, 0)
        fascia_level = self.levels["muscle"] * np.exp(rng.normal(-0.5, 0.5))
        self._lay(cover, level + rng.uniform(0, 1) * fascia * (fascia_level - level))
        self.muscle = cover * (1 - fascia)

    def _calf(self, radius: float) -> None:
        rng = self.rng
        angle = rng.uniform(0, 2 * np.pi)
        self._bone(self._at(angle, 0.45 * radius), radius * rng.uniform(0.22, 0.32))
        apart = angle + rng.choice([-1, 1]) * rng.uniform(0.9, 1.4)
        self._bone(self._at(apart, 0.55 * radius), radius * rng.uniform(0.08, 0.13))

    def _thigh(self, radius: float) -> None:
        self._bone(self._at(self.rng.uniform(0, 2 * np.pi), 0.15 * radius), radius * self.rng.uniform(0.18, 0.28))

    def _knee(self, radius: float) -> None:
        rng = self.rng
        front = rng.uniform(0, 2 * np.pi)
        for side in (-1, 1):
            centre = self._at(front + side * rng.uniform(1.3, 1.7), radius * rng.uniform(0.28, 0.36))
            self._bone(centre, radius * rng.uniform(0.34, 0.44), rim="cartilage")
        if rng.random() < 0.6:
            pool = self._ellipse(self._at(front, 0.55 * radius), radius * rng.uniform(0.1, 0.3), rng.uniform(1.5, 3))
            self._lay(self._soft(pool), self.levels["fluid"])
        self._bone(self._at(front, 0.7 * radius), radius * rng.uniform(0.15, 0.22), rim="cartilage")

    def _bone(self, centre: tuple[float, float], radius: float, rim: str | None = None) -> None:
        """Dark cortex around textured marrow, with a rim of cartilage where one is named."""
        rng = self.rng
        depth = self._ellipse(centre, radius, np.exp(rng.normal(0, 0.15)))
        self._lay(self._soft(depth + (0.04 if rim else 0.0)), self.levels[rim or "cortex"])
        self._lay(self._soft(depth), self.levels["cortex"])
        wall = radius * rng.uniform(0.08, 0.3)
        texture = 1 + 0.15 * power_noise(rng, self.size, 1.0)
        self._lay(self._soft(depth - wall), self.levels["marrow"] * np.maximum(texture, 0))

    def _vessels_and_lines(self, radius: float) -> None:
        rng = self.rng
        for _ in range(rng.integers(3, 12)):
            centre = self._at(rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.2, 0.95))
            size = np.exp(rng.uniform(np.log(0.012), np.log(0.05)))
            level = self.levels[str(rng.choice(["vessel", "vessel", "cortex", "fluid"]))]
            depth = self._ellipse(centre, float(size), np.exp(rng.normal(0, 0.3)))
            self._lay(self._soft(depth), level * np.exp(rng.normal(0, 0.3)))
        for _ in range(rng.integers(0, 4)):
            angle, offset = rng.uniform(0, np.pi), radius * rng.uniform(-0.8, 0.8)
            along = np.cos(angle) * self.x + np.sin(angle) * self.y - offset * rng.uniform(0, 1)
            across = np.cos(angle) * self.y - np.sin(angle) * self.x - offset
            stroke = self._soft(rng.uniform(0.004, 0.015) - np.abs(across + rng.normal(0, 1) * along**2))
            reach = self._soft(radius * rng.uniform(0.1, 0.5) - np.abs(along), 0.05)
            self._lay(stroke * reach * rng.uniform(0.3, 1), self.levels["fluid"])

    def _acquire(self, inside: Image) -> None:
        """Coil shading, a faint ghost and Rician noise, as in any magnitude image."""
        rng = self.rng
        shade = np.exp(rng.normal(0, 0.15) * self.y + rng.normal(0, 0.15) * self.x)
        image = self.image * shade
        if rng.random() < 0.3:
            image = image + rng.uniform(0, 0.02) * np.roll(image, self.size // 2, axis=int(rng.integers(2)))
        sigma = self.levels["muscle"] * np.exp(rng.uniform(np.log(0.002), np.log(0.02)))
        noise = sigma * rng.standard_normal((2, self.size, self.size), dtype=np.float32)
        self.image = np.hypot(image + noise[0], noise[1]).astype(np.float32)

    # The pen.

    def _lay(self, cover: Image, level: Image | float) -> None:
        """Lay a tissue over what is there; `cover` is its share of each pixel."""
        self.image = (self.image + cover * (level - self.image)).astype(np.float32)
        self.muscle = self.muscle * (1 - cover)

    def _soft(self, depth: NDArray[np.floating], width: float | None = None) -> Image:
        """Share of a pixel inside an edge, from the depth behind it: a ramp one pixel wide unless told."""
        share: Image = np.clip(depth / (width or self.pixel) + 0.5, 0, 1).astype(np.float32)
        return share

    def _at(self, angle: float, distance: float) -> tuple[float, float]:
        return distance * float(np.sin(angle)), distance * float(np.cos(angle))

    def _ellipse(self, centre: tuple[float, float], radius: float, aspect: float) -> Image:
        """Depth inside a turned ellipse of mean radius `radius`."""
        turn = self.rng.uniform(0, np.pi)
        dy, dx = self.y - centre[0], self.x - centre[1]
        along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
        stretch = float(np.sqrt(aspect))
        # The level set's slope is near 1 / stretch to stretch, so its edge stays about one pixel wide.
        depth: Image = (radius - np.hypot(along / stretch, across * stretch)).astype(np.float32)
        return depth
