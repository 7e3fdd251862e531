"""Whitening, and the combination of coils."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.phantom import Label, VirtualScan, band_limited, labels, random_calf
from nadenoise_core.recon.coils import combine, noise_covariance, whitening_matrix
from nadenoise_core.recon.gridding import grid
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PIXEL = 2.25


def white(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((*shape, 2)).view(complex)[..., 0]


@pytest.fixture(scope="module")
def mixed() -> tuple[np.ndarray, np.ndarray]:
    """A mixing matrix of four coils of gains from 1e-3 to 100, and noise scans."""
    mixing = np.diag([1e-3, 1, 10, 100]) @ (np.eye(4) + 0.4 * white(4, 4, seed=1))
    return mixing, mixing @ white(4, 60000, seed=2)


def test_the_covariance_is_that_of_the_mixing(mixed) -> None:
    mixing, noise = mixed
    expected = 2 * mixing @ mixing.conj().T  # real and imaginary part of variance 1
    scale = np.sqrt(np.outer(expected.diagonal().real, expected.diagonal().real))
    np.testing.assert_allclose(noise_covariance(noise) / scale, expected / scale, atol=0.02)


def test_whitening_makes_unit_noise(mixed) -> None:
    mixing, noise = mixed
    whitened = whitening_matrix(noise_covariance(noise)) @ noise
    np.testing.assert_allclose(noise_covariance(whitened), 2 * np.eye(4), atol=1e-9)
    other = whitening_matrix(noise_covariance(noise)) @ mixing @ white(4, 60000, seed=3)
    np.testing.assert_allclose(other.real.std(axis=1), 1, atol=0.02)
    np.testing.assert_allclose(noise_covariance(other), 2 * np.eye(4), atol=0.05)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda n: np.concatenate([n, 0 * n[:1]]),  # a silent coil
        lambda n: np.concatenate([n, n[:1]]),  # a copy: rounding hides it from Cholesky
        lambda n: np.concatenate([n, 1e3 * np.exp(1j) * n[1:2]]),
        lambda n: n[:, :2],  # too few samples
        lambda n: np.where(np.arange(4)[:, None] == 1, np.nan, n),
    ],
)
def test_noise_that_cannot_be_whitened(spoil) -> None:
    for seed in range(8):
        noise = spoil(white(4, 2000, seed=seed)).astype(np.complex64)
        with pytest.raises(RawDataError, match="a coil is silent, or a copy"):
            whitening_matrix(noise_covariance(noise))


def test_one_coil_is_left_alone() -> None:
    image = white(1, 8, 8).astype(np.complex64)
    np.testing.assert_array_equal(combine(image), image[0])


@pytest.fixture(scope="module")
def eight():
    """Images of 8 coils of a noise-free calf, their true sensitivities, the true image, and muscle."""
    calf, k = random_calf(3), PAPER_SPIRAL.trajectory()
    scan = VirtualScan(calf, k, PIXEL, coils=8, half_pulses=False)
    images = grid(scan.kspace, sample_weights(k * PIXEL, (80, 80)), Nufft(k * PIXEL, (80, 80)))
    position = (np.arange(80) - 40) * PIXEL
    sensitivity = scan.sensitivities(np.stack(np.meshgrid(position, position), axis=-1))
    label = labels(calf, 80, 180.0, margin=2)
    return images, sensitivity, band_limited(calf, 80, 180.0), label == Label.MUSCLE, label >= Label.TUBE_1


def test_eight_coils_reach_the_optimal_signal(eight) -> None:
    """Weights have norm 1, so noise stays what it was; and the signal is that of the best possible weights."""
    images, sensitivity, truth, muscle, tubes = eight
    root = np.sqrt(np.sum(np.abs(sensitivity) ** 2, axis=0))
    combined = combine(images)
    for region in (muscle, tubes):
        np.testing.assert_allclose(np.abs(combined[region]).mean(), (root * truth)[region].mean(), rtol=0.01)
    best = np.abs(np.sum(sensitivity.conj() * images, axis=0)) / root
    assert (np.abs(combined) / best)[muscle].min() > 0.98


def test_the_combined_phase_is_smooth(eight) -> None:
    """Coil phases wind once around the leg; the phase of the combination must not, or a pixel inside is lost."""
    images, _, _, muscle, _ = eight
    combined = combine(images)
    for image, region in ((combined, muscle), (combined.T, muscle.T)):
        steps = np.angle(image[1:] * image[:-1].conj())[region[1:] & region[:-1]]
        assert np.degrees(np.abs(steps)).max() < 5


def test_noise_keeps_its_standard_deviation(eight) -> None:
    images, _, _, muscle, _ = eight
    noise = 1.5 * white(60, 8, 80, 80)
    scatter = np.stack([combine(images + n) for n in noise[:30]]) - combine(images)
    assert scatter[:, muscle].real.std() == pytest.approx(1.5, rel=0.03)
    assert scatter[:, muscle].imag.std() == pytest.approx(1.5, rel=0.03)


def test_combination_at_low_snr_loses_little(eight) -> None:
    """Noise of about twice the muscle signal of one coil: weights are noisy too, and still nearly right."""
    images, _, _, muscle, _ = eight
    clean = combine(images)
    signals = [
        np.abs(np.vdot(clean[muscle], combine(images + 20 * white(8, 80, 80, seed=s))[muscle]))
        / np.linalg.norm(clean[muscle]) ** 2
        for s in range(6)
    ]
    assert np.mean(signals) == pytest.approx(1, abs=0.1)


def test_a_coil_that_sees_nothing_does_no_harm() -> None:
    image = np.full((24, 24), 10 + 0j)
    combined = combine(np.stack([image, np.zeros_like(image)]))
    np.testing.assert_allclose(combined, 10, rtol=1e-5)
