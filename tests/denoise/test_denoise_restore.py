"""Restoring the means of the plain image after a network."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.denoise.restore import restore_means

PIXEL = (2.25, 2.25)


def white_noise(rng: np.random.Generator, size: int = 400) -> np.ndarray:
    return (rng.standard_normal((size, size)) + 1j * rng.standard_normal((size, size))).astype(np.complex64)


def test_a_bias_over_a_region_wider_than_the_gaussian_is_taken_away() -> None:
    y, x = np.mgrid[-40:40, -40:40]
    truth = np.where(np.hypot(x, y) < 20, 20, 0).astype(np.complex64)  # 90 mm across
    restored = restore_means(0.9 * truth, truth, PIXEL, 4.0)
    inside = np.hypot(x, y) < 15
    assert np.abs(restored[inside] - truth[inside]).max() < 1e-3 * 20


def test_what_the_network_leaves_alone_stays() -> None:
    image = white_noise(np.random.default_rng(1), 80)
    np.testing.assert_allclose(restore_means(image, image, PIXEL, 4.0), image)


@pytest.mark.parametrize("width", [4.0, 8.0])
def test_the_noise_let_through_is_as_documented(width: float) -> None:
    noise = white_noise(np.random.default_rng(2))
    restored = restore_means(np.zeros_like(noise), noise, PIXEL, width)
    assert restored.real.std() == pytest.approx(2.25 / (2 * np.sqrt(np.pi) * width), rel=0.03)


def test_the_width_is_in_millimetres_along_both_axes() -> None:
    image = np.zeros((81, 81), np.complex64)
    image[40, 40] = 1
    spread = restore_means(np.zeros_like(image), image, (1.0, 3.0), 6.0).real
    y, x = np.mgrid[-40:41, -40:41]
    assert np.sqrt((spread * y**2).sum() / spread.sum()) * 1.0 == pytest.approx(6.0, rel=0.02)
    assert np.sqrt((spread * x**2).sum() / spread.sum()) * 3.0 == pytest.approx(6.0, rel=0.02)
