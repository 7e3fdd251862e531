"""Block matching against other methods, and what a filter of its kind must keep."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import camera
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from training.evaluation.block_matching import bm3d, haar

Image = NDArray[np.floating]


def error(image: Image, truth: Image) -> float:
    return float(np.sqrt(np.mean((image - truth) ** 2)))


@pytest.fixture(scope="module")
def scene() -> Image:
    """Discs, bars and a ramp, 64 x 64, up to 150."""
    y, x = np.mgrid[:64, :64]
    image = 40.0 + 60 * (np.hypot(x - 22, y - 24) < 14) + 50 * (np.hypot(x - 26, y - 20) < 5)
    image[40:60, 8:30] += np.where(np.arange(22) // 4 % 2, 70.0, 0.0)
    image[:, 44:] = 20 + 1.5 * y[:, 44:]
    return np.asarray(image)


def test_haar_is_orthonormal_and_starts_with_the_mean() -> None:
    for size in (1, 2, 8, 32):
        np.testing.assert_allclose(haar(size) @ haar(size).T, np.eye(size), atol=1e-12)
        np.testing.assert_allclose(haar(size)[0], size**-0.5)


def test_on_a_photograph_better_than_other_methods_at_their_best_weights() -> None:
    """As published: about 1 dB above non-local means, more above the others."""
    photograph, std = camera()[100:228, 160:288].astype(float), 25.0
    units = photograph / std + np.random.default_rng(1).normal(size=photograph.shape)
    others = [denoise_wavelet(units, sigma=1.0, wavelet="db2", mode="soft", method="BayesShrink")]
    for weight in (0.4, 0.6, 0.8):
        others.append(denoise_nl_means(units, 5, 8, h=weight, sigma=1.0, fast_mode=True))
        others.append(denoise_tv_chambolle(units, weight=weight))
    best = min(error(std * image, photograph) for image in others)
    assert 20 * np.log10(best / error(bm3d(std * units, std), photograph)) > 0.8


def test_what_repeats_is_averaged_over_its_repeats() -> None:
    """A texture that no smooth basis has: the noise of its mean over 32 blocks is the least that a group can leave."""
    rng = np.random.default_rng(2)
    texture = np.tile(10 * rng.normal(size=(8, 8)), (8, 8))
    left = error(bm3d(texture + rng.normal(size=texture.shape), 1.0), texture)
    assert 32**-0.5 < left < 1.6 * 32**-0.5


def test_noise_alone_goes_and_a_level_stays() -> None:
    noise = np.random.default_rng(3).normal(size=(48, 48))
    assert bm3d(noise, 1.0).std() < 0.1
    assert bm3d(noise + 30, 1.0) == pytest.approx(30, abs=0.3)


def test_without_noise_nothing_changes(scene: Image) -> None:
    np.testing.assert_allclose(bm3d(scene, 1e-3), scene, atol=5e-3)


def test_scales_and_turns_with_the_image(scene: Image) -> None:
    noisy = scene[:40, :48] + np.random.default_rng(4).normal(scale=10, size=(40, 48))
    np.testing.assert_allclose(bm3d(0.01 * noisy, 0.1), 0.01 * bm3d(noisy, 10.0), rtol=1e-9)
    np.testing.assert_allclose(bm3d(noisy.T, 10.0).T, bm3d(noisy, 10.0), atol=0.5)
