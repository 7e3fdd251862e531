"""The gain of gridding, and the noise it predicts."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import Ellipse, fourier
from nadenoise_core.recon.model import SignalModel, image_noise_std
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PIXEL = 2.25


@pytest.fixture(scope="module")
def k() -> np.ndarray:
    return PAPER_SPIRAL.trajectory() * PIXEL


@pytest.fixture(scope="module")
def weights(k: np.ndarray) -> np.ndarray:
    return sample_weights(k, (80, 80))


@pytest.fixture(scope="module")
def model(k: np.ndarray, weights: np.ndarray) -> SignalModel:
    return SignalModel(k, weights, (80, 80), Device())


def test_a_uniform_object_comes_out_at_its_value(k, weights, model) -> None:
    discs = [Ellipse((0.0, 0.0), (60.0, 60.0), 0.0, value) for value in (7.0, -40.0)]
    kspace = np.stack([fourier([disc], k / PIXEL) / PIXEL**2 for disc in discs])
    images = model.grid(kspace)
    assert images.shape == (2, 80, 80)
    position = (np.arange(80) - 40) * PIXEL
    distance = np.hypot(position, position[:, None])
    for image, value in zip(images, (7.0, -40.0), strict=True):
        interior = image[distance < 45]  # away from the ringing at the edge
        assert interior.real.mean() == pytest.approx(value, rel=3e-3)
        assert interior.std() < 0.02 * abs(value)
        assert abs(image[(distance > 75) & (distance < 88)].mean()) < 0.01 * abs(value)


def test_rows_are_the_phase_direction(k, weights, model) -> None:
    spot = fourier([Ellipse((31.5, -45.0), (1.5, 1.5))], k / PIXEL)[None]
    image = np.abs(model.grid(spot)[0])
    assert np.unravel_index(image.argmax(), image.shape) == (40 - 20, 40 + 14)


def test_the_noise_is_what_the_formula_says(k, weights, model) -> None:
    """Monte Carlo: interleaves of different noise."""
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 3, 20)
    draws = 40
    noise = rng.standard_normal((draws, 20, 510, 2)).view(complex)[..., 0] * std[:, None]
    images = model.grid(noise)
    predicted = image_noise_std(std, weights)
    # Pixels are correlated a little; the corners of k-space hold none: 40 * 6400 * 0.78 * 2 independent numbers.
    assert images.real.std() == pytest.approx(predicted, rel=5e-3)
    assert images.imag.std() == pytest.approx(predicted, rel=5e-3)
    per_pixel = images.real.std(axis=0)
    assert per_pixel[40, 40] == pytest.approx(predicted, rel=0.4)
    assert per_pixel[:10, :10].mean() == pytest.approx(predicted, rel=0.05)


def test_noise_that_is_unknown_stays_unknown(weights) -> None:
    assert np.isnan(image_noise_std(np.full(20, np.nan), weights))
    assert image_noise_std(np.full(20, 2.0), weights) == pytest.approx(
        2 * float(np.sqrt(np.sum(weights.astype(float) ** 2)))
    )
