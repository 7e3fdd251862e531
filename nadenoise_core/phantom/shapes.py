"""Ellipses: their closed-form Fourier transform, what lies inside, and how far it is to the edge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j1

from nadenoise_core.errors import BadInputError

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_NEAREST_ITERATIONS = 16


@dataclass(frozen=True)
class Ellipse:
    """A filled ellipse of constant value.

    Attributes:
        centre: (x, y) in mm from the FOV centre; x to the right, y downwards.
        semi_axes: (a, b) in mm.
        angle: of the axis a, in radians from x towards y.
        value: mmol/L; the values of overlapping ellipses add.

    Raises:
        BadInputError: a semi-axis is not positive, or a number is not finite.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float = 0.0
    value: float = 1.0

    def __post_init__(self) -> None:
        if not np.all(np.isfinite([*self.centre, *self.semi_axes, self.angle, self.value])):
            raise BadInputError(f"an ellipse needs finite numbers, not {self}")
        if min(self.semi_axes) <= 0:
            raise BadInputError(f"the semi-axes of an ellipse must be positive, not {self.semi_axes} mm")

    @property
    def area(self) -> float:
        """Area in mm^2."""
        return float(np.pi * self.semi_axes[0] * self.semi_axes[1])


def fourier(ellipses: Iterable[Ellipse], k: ArrayLike) -> Complexes:
    """Fourier transform of a sum of ellipses, exact.

    Each ellipse is a unit disc that was stretched, turned and moved, so its transform is that of the disc,
    J1(2 pi rho) / rho, with rho the length of k measured in the ellipse's own axes (Koay, Sarlls, Ozarslan,
    "Three-dimensional analytical MRI phantom in the Fourier domain", MRM 2007).

    Args:
        ellipses: the shapes; their values in mmol/L.
        k: (..., 2) spatial frequencies (kx, ky) in cycles/mm.

    Returns:
        (...) sum of value * integral of exp(-2 pi i k.r) over the ellipse, in mmol/L mm^2.
    """
    k = _pairs(k, "k")
    kx, ky = k[..., 0], k[..., 1]
    total = np.zeros(k.shape[:-1], np.complex128)
    for ellipse in ellipses:
        a, b = ellipse.semi_axes
        x, y = ellipse.centre
        along, across = _turn(kx, ky, ellipse.angle)
        rho = np.hypot(a * along, b * across)
        at_zero = rho == 0
        disc = np.where(at_zero, np.pi, j1(2 * np.pi * rho) / np.where(at_zero, 1.0, rho))
        total += ellipse.value * a * b * disc * np.exp(-2j * np.pi * (kx * x + ky * y))
    return total


def inside(ellipse: Ellipse, points: ArrayLike) -> NDArray[np.bool_]:
    """Which points lie in the ellipse, its edge included.

    Args:
        ellipse: the shape.
        points: (..., 2) as (x, y) in mm.

    Returns:
        (...) bool.
    """
    points = _pairs(points, "points")
    u, v = _turn(points[..., 0] - ellipse.centre[0], points[..., 1] - ellipse.centre[1], ellipse.angle)
    within: NDArray[np.bool_] = (u / ellipse.semi_axes[0]) ** 2 + (v / ellipse.semi_axes[1]) ** 2 <= 1
    return within


def signed_distance(ellipse: Ellipse, points: ArrayLike) -> tuple[Floats, Floats]:
    """Distance of points from the edge of an ellipse, and the direction away from it.

    The nearest point of the edge is found by stepping along the circle of curvature, which converges in a few
    steps from anywhere in the quadrant.

    Args:
        ellipse: the shape.
        points: (..., 2) as (x, y) in mm.

    Returns:
        distance: (...) mm, negative inside.
        normal: (..., 2) unit vectors pointing out of the ellipse at the nearest point of its edge: the gradient
            of the distance.
    """
    points = _pairs(points, "points")
    u, v = _turn(points[..., 0] - ellipse.centre[0], points[..., 1] - ellipse.centre[1], ellipse.angle)
    a, b = ellipse.semi_axes
    cos, sin = _nearest_parameter(np.abs(u), np.abs(v), a, b)
    cos, sin = np.copysign(cos, u), np.copysign(sin, v)
    normal_u, normal_v = cos / a, sin / b
    length = np.hypot(normal_u, normal_v)
    normal_u, normal_v = normal_u / length, normal_v / length
    distance = (u - a * cos) * normal_u + (v - b * sin) * normal_v
    return distance, np.stack(_turn(normal_u, normal_v, -ellipse.angle), axis=-1)


def outline(ellipse: Ellipse, count: int = 128) -> Floats:
    """Points on the edge of an ellipse, (count, 2) as (x, y) in mm, evenly spaced in the ellipse's parameter."""
    t = 2 * np.pi * np.arange(count) / count
    x, y = _turn(ellipse.semi_axes[0] * np.cos(t), ellipse.semi_axes[1] * np.sin(t), -ellipse.angle)
    return np.stack([x + ellipse.centre[0], y + ellipse.centre[1]], axis=-1)


def clearance(first: Ellipse, second: Ellipse) -> float:
    """Gap in mm between two ellipses side by side; negative where they overlap."""
    if inside(first, second.centre):
        return -min(first.semi_axes)
    return float(signed_distance(second, outline(first))[0].min())


def depth(inner: Ellipse, outer: Ellipse) -> float:
    """Least distance in mm from the inner ellipse to the edge of the outer; negative where it crosses it."""
    return float(-signed_distance(outer, outline(inner))[0].max())


def _nearest_parameter(u: Floats, v: Floats, a: float, b: float) -> tuple[Floats, Floats]:
    """Cosine and sine of the ellipse parameter nearest to points of the first quadrant."""
    if a == b:
        radius = np.hypot(u, v)
        safe = np.where(radius == 0, 1.0, radius)
        return np.where(radius == 0, 1.0, u / safe), np.where(radius == 0, 0.0, v / safe)
    cos = np.full(u.shape, np.sqrt(0.5))
    sin = cos.copy()
    for _ in range(_NEAREST_ITERATIONS):
        evolute_u = (a * a - b * b) * cos**3 / a
        evolute_v = (b * b - a * a) * sin**3 / b
        to_edge = np.hypot(a * cos - evolute_u, b * sin - evolute_v)
        to_point = np.hypot(u - evolute_u, v - evolute_v)
        stretch = to_edge / np.where(to_point == 0, 1.0, to_point)
        cos = np.clip(((u - evolute_u) * stretch + evolute_u) / a, 0, 1)
        sin = np.clip(((v - evolute_v) * stretch + evolute_v) / b, 0, 1)
        length = np.hypot(cos, sin)
        cos, sin = cos / length, sin / length
    return cos, sin


def _turn(x: Floats, y: Floats, angle: float) -> tuple[Floats, Floats]:
    """Coordinates in axes that are turned by `angle` from x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def _pairs(values: ArrayLike, name: str) -> Floats:
    pairs = np.asarray(values, np.float64)
    if pairs.ndim == 0 or pairs.shape[-1] != 2:
        raise BadInputError(f"{name} must have shape (..., 2), not {pairs.shape}")
    return pairs
