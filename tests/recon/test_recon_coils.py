"""Whitening, and the combination of coils."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.errors import RawDataError
from nadenoise_core.phantom import Label, VirtualScan, band_limited, labels, random_calf
from nadenoise_core.recon.coils import (
    Whitening,
    combine,
    independent_coils,
    is_white,
    noise_covariance,
    sensitivities,
    whitening_matrix,
)
from nadenoise_core.recon.model import SignalModel
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


@pytest.mark.parametrize(
    ("add", "live"),
    [
        (lambda n: np.concatenate([n, 0 * n[:1]]), [True] * 4 + [False]),
        (lambda n: np.concatenate([1e3j * n[1:2], n]), [True, True, False, True, True]),
        (lambda n: np.concatenate([n, n.sum(axis=0, keepdims=True)]), [True] * 4 + [False]),
        (lambda n: np.concatenate([n, n[:1] + 0.1 * white(1, 2000, seed=99)]), [True] * 5),
    ],
    ids=["silent", "copied", "a sum", "almost a copy"],
)
def test_coils_without_noise_of_their_own_are_left_out(add, live, caplog) -> None:
    noise = add(white(4, 2000))
    np.testing.assert_array_equal(independent_coils(noise_covariance(noise)), live)
    whitening = Whitening()
    whitening.learn(noise, 10.0)
    whitened = whitening(noise, 10.0)
    np.testing.assert_allclose(noise_covariance(whitened), 2 * np.diag(live), atol=1e-3)
    assert ("is left out" in caplog.text) == (not all(live))


@pytest.mark.parametrize("noise", [np.zeros((4, 0)), np.zeros((2, 256)), white(4, 6), np.full((1, 99), np.nan)])
def test_a_noise_scan_that_tells_nothing_is_left_out(noise, caplog) -> None:
    whitening = Whitening()
    whitening.learn(noise, 10.0)
    assert not whitening.known and "tells no noise" in caplog.text
    whitening.learn(white(3, 500), 10.0)
    assert whitening.known


@pytest.mark.parametrize(("scan", "readout", "power"), [(10.0, 10.0, 2), (40.0, 10.0, 2), (0.0, 10.0, 2), (10.0, 0, 2)])
def test_a_dwell_time_that_is_not_known_changes_nothing(scan, readout, power) -> None:
    noise = white(2, 20000)
    whitening = Whitening()
    whitening.learn(noise, scan)
    known = scan > 0 and readout > 0
    longer = np.sqrt(scan / readout) if known else 1.0  # the shorter dwell time has the stronger noise
    np.testing.assert_allclose(noise_covariance(whitening(longer * noise, readout)), power * np.eye(2), atol=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e4])
def test_white_noise_of_any_scale_is_white(scale) -> None:
    assert is_white(scale * np.eye(8))
    assert is_white(noise_covariance(np.sqrt(scale) * white(8, 20000)))


@pytest.mark.parametrize(
    "covariance",
    [
        np.diag([1.0, 1.0, 1.2]),  # one is stronger
        np.eye(3) + 0.2j * (np.eye(3, k=1) - np.eye(3, k=-1)),  # correlated, with a phase
        np.diag([1.0, 1.0, 0.0]),  # one is silent
        np.zeros((2, 2)),
        np.full((2, 2), np.nan),
    ],
)
def test_what_is_not_white(covariance) -> None:
    assert not is_white(covariance)


def test_what_passes_as_white_costs_no_signal_to_noise_ratio() -> None:
    """The worst that passes: the ratio without whitening, against the best possible, for any signal."""
    worst = 1.0
    for seed in range(300):
        error = white(8, 8, seed=seed)
        error = error + error.conj().T
        covariance = np.eye(8) + 0.0499 * error / np.abs(error).max()
        if is_white(covariance):
            signal = white(8, seed=seed + 1000)
            best = np.vdot(signal, np.linalg.solve(covariance, signal)).real
            plain = np.vdot(signal, signal).real ** 2 / np.vdot(signal, covariance @ signal).real
            worst = min(worst, (plain / best) ** 0.5)
    assert 0.99 < worst < 1


def test_one_coil_is_combined_with_its_phase_alone() -> None:
    image = white(1, 8, 8).astype(np.complex64)
    combined = combine(image, sensitivities(image))
    np.testing.assert_allclose(np.abs(combined), np.abs(image[0]), rtol=1e-5)


@pytest.fixture(scope="module")
def eight():
    """Images of 8 coils of a noise-free calf, their true sensitivities, the true image, and muscle."""
    calf, k = random_calf(3), PAPER_SPIRAL.trajectory()
    scan = VirtualScan(calf, k, PIXEL, coils=8, half_pulses=False)
    images = SignalModel(k * PIXEL, sample_weights(k * PIXEL, (80, 80)), (80, 80), Device()).grid(scan.kspace)
    position = (np.arange(80) - 40) * PIXEL
    true = scan.sensitivities(np.stack(np.meshgrid(position, position), axis=-1))
    label = labels(calf, 80, 180.0, margin=2)
    return images, true, band_limited(calf, 80, 180.0), label == Label.MUSCLE, label >= Label.TUBE_1


def gridded_noise(seed: int, std: float) -> np.ndarray:
    """Images of 8 coils of noise alone, of the spatial correlation that gridding gives, std of a pixel."""
    k = PAPER_SPIRAL.trajectory() * PIXEL
    weights = sample_weights(k, (80, 80))
    kspace = white(8, *k.shape[:2], seed=seed) * std / np.sqrt(np.sum(weights.astype(float) ** 2))
    return SignalModel(k, weights, (80, 80), Device()).grid(kspace)


def test_sensitivities_have_length_one_and_the_type_of_images(eight) -> None:
    found = sensitivities(eight[0])
    assert found.dtype == np.complex64 and found.shape == (8, 80, 80)
    np.testing.assert_allclose(np.sum(np.abs(found) ** 2, axis=0), 1, rtol=1e-5)
    assert combine(eight[0], found).dtype == np.complex64


def test_eight_coils_reach_the_optimal_signal(eight) -> None:
    """Sensitivities have length 1, so noise stays what it was; and the signal is that of the best possible weights."""
    images, true, truth, muscle, tubes = eight
    root = np.sqrt(np.sum(np.abs(true) ** 2, axis=0))
    combined = combine(images, sensitivities(images))
    for region in (muscle, tubes):
        np.testing.assert_allclose(np.abs(combined[region]).mean(), (root * truth)[region].mean(), rtol=0.01)
    best = np.abs(np.sum(true.conj() * images, axis=0)) / root
    assert (np.abs(combined) / best)[muscle].min() > 0.98


def test_eight_coils_at_thirty_averages_reach_the_best_signal_to_noise_ratio(eight) -> None:
    """Noise of the paper: 58 mmol/L in one average. The best is the combination by the true sensitivities."""
    images, true, _, muscle, _ = eight
    root = np.sqrt(np.sum(np.abs(true) ** 2, axis=0))
    clean, std = combine(images, true / root), 58 / np.sqrt(30)
    signals, noises = [], []
    for seed in range(12):
        noise = gridded_noise(seed, std)
        found = sensitivities(images + noise)
        combined, unmoved = combine(images + noise, found), combine(images, found)
        phase = unmoved / np.abs(unmoved)
        signals.append((combined * phase.conj()).real[muscle].mean())
        noises.append([combine(noise, found)[muscle], combine(noise, true / root)[muscle]])
    left, least = np.std(noises, axis=(0, 2)) / np.sqrt(2)
    assert left == pytest.approx(std, rel=0.02)
    best = np.abs(clean)[muscle].mean()
    assert np.mean(signals) == pytest.approx(best, rel=0.01)  # nor is there the bias that a root of squares has
    assert np.mean(signals) / left == pytest.approx(best / least, rel=0.02)


def test_the_combined_phase_is_smooth(eight) -> None:
    """Coil phases wind once around the leg; the phase of the combination must not, or a pixel inside is lost."""
    images, _, _, muscle, _ = eight
    combined = combine(images, sensitivities(images))
    for image, region in ((combined, muscle), (combined.T, muscle.T)):
        steps = np.angle(image[1:] * image[:-1].conj())[region[1:] & region[:-1]]
        assert np.degrees(np.abs(steps)).max() < 5


def test_a_phase_of_all_coils_is_one_of_the_image(eight) -> None:
    """Sensitivities leave it out, so that the image keeps it: aTSC is taken from the part in phase."""
    images = eight[0]
    combined, turned = (combine(given, sensitivities(given)) for given in (images, np.exp(2j) * images))
    np.testing.assert_allclose(turned, np.exp(2j) * combined, rtol=1e-3, atol=1e-3)


def test_noise_keeps_its_standard_deviation(eight) -> None:
    images, _, _, muscle, _ = eight
    noise = 1.5 * white(30, 8, 80, 80)
    scatter = np.stack([combine(images + n, sensitivities(images + n)) for n in noise])
    scatter -= combine(images, sensitivities(images))
    assert scatter[:, muscle].real.std() == pytest.approx(1.5, rel=0.03)
    assert scatter[:, muscle].imag.std() == pytest.approx(1.5, rel=0.03)


def test_combination_at_low_snr_loses_little(eight) -> None:
    """Noise of about twice the muscle signal of one coil: sensitivities are noisy too, and still nearly right."""
    images, _, _, muscle, _ = eight
    clean = combine(images, sensitivities(images))
    signals = []
    for seed in range(6):
        noisy = images + 20 * white(8, 80, 80, seed=seed)
        combined = combine(noisy, sensitivities(noisy))
        signals.append(np.abs(np.vdot(clean[muscle], combined[muscle])) / np.linalg.norm(clean[muscle]) ** 2)
    assert np.mean(signals) == pytest.approx(1, abs=0.1)


def test_a_coil_that_sees_nothing_does_no_harm() -> None:
    image = np.full((24, 24), 10 + 0j)
    images = np.stack([image, np.zeros_like(image)])
    np.testing.assert_allclose(combine(images, sensitivities(images)), 10, rtol=1e-5)


def test_images_of_zeros_have_no_nan() -> None:
    images = np.zeros((3, 12, 10), np.complex64)
    found = sensitivities(images)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(combine(images, found), 0)
