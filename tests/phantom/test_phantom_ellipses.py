"""Ellipses against numerical integration, symmetries, and brute force."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Ellipse, fourier, inside
from nadenoise_core.phantom.shapes import outline, signed_distance

ELLIPSES = (
    Ellipse((0, 0), (10, 10), 0, 1),
    Ellipse((12, -7), (9, 4), 0.6, 21.5),
    Ellipse((-30, 22), (2, 14), -1.1, -3),
)
WAVE_NUMBERS = ((0.0, 0.0), (0.03, 0.0), (0.0, -0.05), (-0.07, 0.11), (0.15, 0.15))

ellipses = st.builds(
    Ellipse,
    st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
    st.tuples(st.floats(0.5, 60), st.floats(0.5, 60)),
    st.floats(-7, 7),
    st.floats(-100, 100),
)
k_points = st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)), min_size=1, max_size=5).map(np.array)


def integrate(ellipse: Ellipse, k: tuple[float, float]) -> complex:
    """The Fourier integral, row by row, from the ellipse's covariance matrix: shares nothing with the code."""
    a, b = ellipse.semi_axes
    cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    (xx, xy), (_, yy) = turn @ np.diag([a**2, b**2]) @ turn.T
    (cx, cy), height = ellipse.centre, np.sqrt(yy)

    def half_row(y: float) -> float:
        return float(np.sqrt(max((xx * yy - xy**2) / yy * (1 - (y - cy) ** 2 / yy), 0)))

    def part(function: np.ufunc) -> float:
        return float(
            dblquad(
                lambda x, y: function(-2 * np.pi * (k[0] * x + k[1] * y)),
                cy - height,
                cy + height,
                lambda y: cx + xy / yy * (y - cy) - half_row(y),
                lambda y: cx + xy / yy * (y - cy) + half_row(y),
                epsabs=1e-7,
            )[0]
        )

    return ellipse.value * complex(part(np.cos), part(np.sin))


@pytest.mark.parametrize("k", WAVE_NUMBERS)
@pytest.mark.parametrize("ellipse", ELLIPSES)
def test_fourier_is_the_fourier_integral(ellipse: Ellipse, k: tuple[float, float]) -> None:
    assert fourier([ellipse], k) == pytest.approx(integrate(ellipse, k), abs=1e-5)


@given(ellipses)
def test_fourier_at_zero_is_area_times_value(ellipse: Ellipse) -> None:
    assert fourier([ellipse], [0, 0]) == pytest.approx(ellipse.area * ellipse.value)


@pytest.mark.parametrize("tiny", [1e-300, 1e-200, 1e-100, 1e-16, 1e-9, 1e-6])
def test_fourier_is_smooth_towards_zero(tiny: float) -> None:
    ellipse = Ellipse((3, 4), (5, 6), 0.3, 2)
    assert fourier([ellipse], [tiny, -tiny]) == pytest.approx(ellipse.area * 2, rel=1e-4)


@given(ellipses, k_points)
def test_fourier_of_a_real_object_is_hermitian(ellipse: Ellipse, k: np.ndarray) -> None:
    np.testing.assert_allclose(fourier([ellipse], -k), fourier([ellipse], k).conj(), atol=1e-8)


@given(st.lists(ellipses, max_size=4), st.lists(ellipses, max_size=4), st.floats(-5, 5), k_points)
def test_fourier_is_linear(first: list[Ellipse], second: list[Ellipse], factor: float, k: np.ndarray) -> None:
    scaled = [Ellipse(e.centre, e.semi_axes, e.angle, e.value * factor) for e in second]
    together = fourier([*first, *scaled], k)
    np.testing.assert_allclose(together, fourier(first, k) + factor * fourier(second, k), rtol=1e-9, atol=1e-6)


def test_fourier_keeps_the_shape_of_k_and_takes_no_ellipses() -> None:
    assert fourier([], np.zeros((3, 4, 2))).shape == (3, 4)
    with pytest.raises(BadInputError, match="shape"):
        fourier([], np.zeros((2, 3)))


def test_fourier_is_fast() -> None:
    k = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 510, 2))
    many = [Ellipse((i, -i), (10 + i, 12), 0.1 * i) for i in range(30)]
    times = []
    for _ in range(5):
        start = time.process_time()
        fourier(many, k)
        times.append(time.process_time() - start)
    assert min(times) < 0.1


@pytest.mark.parametrize("semi_axes", [(0.0, 1.0), (1.0, -2.0), (np.nan, 1.0), (np.inf, 1.0)])
def test_refuses_what_is_no_ellipse(semi_axes: tuple[float, float]) -> None:
    with pytest.raises(BadInputError):
        Ellipse((0, 0), semi_axes)


def test_inside_turns_from_x_to_y() -> None:
    ellipse = Ellipse((10, 20), (8, 1), np.pi / 4)
    assert inside(ellipse, [[15, 25], [5, 15], [10, 20]]).all()
    assert not inside(ellipse, [[15, 15], [5, 25], [17, 20]]).any()


@settings(max_examples=50)
@given(
    st.tuples(st.floats(0.5, 60), st.floats(0.5, 60)).filter(lambda axes: 1 / 12 < axes[0] / axes[1] < 12),
    st.floats(-4, 4),
    st.integers(0, 2**31),
)
def test_signed_distance_is_that_to_the_nearest_of_many_points(
    semi_axes: tuple[float, float], angle: float, seed: int
) -> None:
    ellipse = Ellipse((3, -2), semi_axes, angle)
    points = np.random.default_rng(seed).uniform(-80, 80, (20, 2))
    edge = outline(ellipse, 20_000)
    brute = np.sqrt(((points[:, None] - edge) ** 2).sum(axis=-1).min(axis=1))
    expected = np.where(inside(ellipse, points), -brute, brute)
    np.testing.assert_allclose(signed_distance(ellipse, points)[0], expected, atol=5e-3)


@pytest.mark.parametrize("semi_axes", [(5, 5), (8, 3), (3, 8), (20, 1)])
def test_signed_distance_on_the_axes(semi_axes: tuple[float, float]) -> None:
    a, b = semi_axes
    distance, normal = signed_distance(Ellipse((0, 0), semi_axes), [[a + 2, 0], [0, -b - 3], [0, 0], [-a, 0]])
    np.testing.assert_allclose(distance, [2, 3, -min(a, b), 0], atol=1e-9)
    np.testing.assert_allclose(normal[[0, 1, 3]], [[1, 0], [0, -1], [-1, 0]], atol=1e-9)


def test_normal_is_the_gradient_of_the_distance() -> None:
    ellipse = Ellipse((3, -2), (20, 9), 0.7)
    points = np.random.default_rng(1).uniform(10, 40, (50, 2))
    step = 1e-5
    gradient = [
        (signed_distance(ellipse, points + shift)[0] - signed_distance(ellipse, points - shift)[0]) / (2 * step)
        for shift in np.eye(2) * step
    ]
    np.testing.assert_allclose(signed_distance(ellipse, points)[1], np.stack(gradient, axis=-1), atol=1e-6)
