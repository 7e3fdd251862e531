"""Regions of pixels, and image quality, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.quality import edge_sharpness, estimated_snr
from nadenoise_core.quantify.rois import disc_weights, distance_from, measure, pixel_positions

PIXEL, K_MAX = (2.25, 2.25), 0.5 / 2.25


def test_positions_of_pixels() -> None:
    x, y = pixel_positions((6, 9), (2.0, 3.0))
    assert x.shape == y.shape == (6, 9)
    assert (x[3, 4], y[3, 4]) == (0, 0)
    assert (x[0, 8], y[0, 8]) == (12, -6)
    assert distance_from((3.0, 2.0), (6, 9), (2.0, 3.0))[4, 5] == 0


def test_a_disc_has_its_area() -> None:
    for centre in ((0.0, 0.0), (1.1, -0.7)):
        weights = disc_weights(distance_from(centre, (80, 80), PIXEL), 20.0, PIXEL)
        assert weights.sum() * 2.25**2 == pytest.approx(np.pi * 400, rel=0.01)
        assert weights.min() == 0
        assert weights.max() == 1


def test_mean_and_scatter_of_a_region() -> None:
    image, weights = np.array([[1.0, 5.0, 99.0]]), np.array([[1.0, 0.5, 0.0]])
    region = measure(image, weights)
    assert region.pixels == 1.5
    assert region.mean == pytest.approx((1 + 2.5) / 1.5)
    assert region.std == pytest.approx(np.sqrt(((1 - 7 / 3) ** 2 + 0.5 * (5 - 7 / 3) ** 2) / 1.5))
    with pytest.raises(BadInputError, match="no pixel"):
        measure(image, np.zeros((1, 3)))


@pytest.mark.parametrize("diameter", [20.0, 27.0])
def test_sharpness_of_a_blurred_tube(tube_image, diameter: float) -> None:
    """An edge band-limited at K has the slope 2 K. Central differences over two pixels see this share of it in any
    direction, and their mean over a ring is taken with a Gaussian of half a pixel."""
    ring = PIXEL[0] / 2

    def seen(k: float, angle: float) -> float:
        along = 2 * np.pi * PIXEL[0] * k * np.array([np.cos(angle), np.sin(angle)])
        difference = (np.array([np.cos(angle), np.sin(angle)]) * np.sin(along)).sum() / (2 * np.pi * PIXEL[0] * k)
        return float(difference * np.exp(-2 * (np.pi * ring * k) ** 2))

    left = dblquad(seen, 0, np.pi / 2, 1e-9, K_MAX)[0] / (K_MAX * np.pi / 2)
    rng, got = np.random.default_rng(0), []
    for _ in range(12):
        x, y = rng.uniform(-40, 40, 2)
        got.append(edge_sharpness(tube_image(50.0, (x, y), diameter), (x, y), diameter / 2, PIXEL))
    expected = 50 * 2 * K_MAX * left
    assert np.mean(got) == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(got, expected, rtol=0.12)


def test_sharpness_of_a_cone_is_its_slope() -> None:
    centre = (3.0, -8.0)
    cone = 100 - 1.7 * distance_from(centre, (80, 80), PIXEL)
    assert edge_sharpness(cone, centre, 15.0, PIXEL) == pytest.approx(1.7, rel=0.1)
    assert edge_sharpness(2 * cone + 5, centre, 15.0, PIXEL) == pytest.approx(
        2 * edge_sharpness(cone, centre, 15.0, PIXEL)
    )


def test_snr_against_rayleigh_noise() -> None:
    """Magnitude noise has the standard deviation sigma sqrt(2 - pi/2)."""
    noise = 3 * np.random.default_rng(0).standard_normal((300, 300, 2)).view(complex)[..., 0]
    signal = np.zeros((300, 300), bool)
    signal[:100] = True
    snr = estimated_snr(np.abs(noise + 60 * signal), signal, ~signal)
    assert snr == pytest.approx(60 / (3 * np.sqrt(2 - np.pi / 2)), rel=0.02)
