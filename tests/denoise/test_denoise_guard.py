"""The guard: silent for the truth and for the shipped network, loud for what a network must not do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nadenoise_core.denoise.bundle import find_bundle
from nadenoise_core.denoise.guard import residual
from nadenoise_core.denoise.network import Denoiser
from nadenoise_core.device import Device
from nadenoise_core.phantom import Calf, band_limited, kspace, random_calf
from nadenoise_core.quantify.rois import distance_from
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

PIXEL = (2.25, 2.25)
K_MAX = PAPER_SPIRAL.k_max * 2.25
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def scan():
    """A noisy image of a calf, what is true of it, and its noise level."""
    k = PAPER_SPIRAL.trajectory()
    weights = sample_weights(k * 2.25, (80, 80))
    model = SignalModel(k * 2.25, weights, (80, 80), Device())
    gain = float(np.sqrt(np.sum(weights.astype(float) ** 2)))

    def noisy(seed: int, averages: int) -> tuple[np.ndarray, np.ndarray, float, Calf]:
        calf, level = random_calf(seed), 58 / np.sqrt(averages)
        noise = np.random.default_rng(seed).standard_normal((*weights.shape, 2)).view(complex)[..., 0]
        image = model.grid((kspace(calf, k, 2.25) + noise * level / gain)[None])[0]
        return image, band_limited(calf, 80, 180.0, k_max=PAPER_SPIRAL.k_max), level, calf

    return noisy


def without_a_tube(image: np.ndarray, calf: Calf) -> np.ndarray:
    tube = next(tube for tube in calf.tubes if tube.concentration == 25)
    return np.where(distance_from(tube.centre, (80, 80), PIXEL) < 10, 0, image)


def smoothed(image: np.ndarray, width: float) -> np.ndarray:
    return gaussian_filter(image.real, width) + 1j * gaussian_filter(image.imag, width)


@pytest.mark.parametrize("averages", [5, 30, 150])
@pytest.mark.parametrize("seed", SEEDS)
def test_noise_alone_has_the_figures_of_noise(seed, averages, scan) -> None:
    image, truth, level, _ = scan(seed, averages)
    found = residual(image, truth.astype(complex), level, K_MAX)
    assert found.size == pytest.approx(1, abs=0.03) and found.at_edges == pytest.approx(1, abs=0.15)
    assert abs(found.correlation) < 0.04 and 2 < found.largest_mean < 4.6


def test_noise_alone_is_a_fault_once_in_twenty(scan) -> None:
    """Where all noise is taken away, its widest part too, which networks leave in."""
    faults = 0
    for seed in range(1, 41):
        image, truth, level, _ = scan(seed, 30)
        faults += bool(residual(image, truth.astype(complex), level, K_MAX).faults())
    assert faults <= 5


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_noise_left_in_is_no_fault(seed, share, scan) -> None:
    """Nor is the plain image itself."""
    image, truth, level, _ = scan(seed, 30)
    assert residual(image, truth + share * (image - truth), level, K_MAX).faults() == ()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("radius", [2.5, 5.0])
def test_a_small_disc_that_is_lost_or_invented_is_found(radius, sign, scan) -> None:
    """Of a contrast-to-noise ratio of 8, in noise that is left in by half, at any phase of the image."""
    found = []
    for seed in range(1, 11):
        image, truth, level, calf = scan(seed, 30)
        disc = gaussian_filter(1.0 * (distance_from((5.0, 12.0), (80, 80), PIXEL) < radius), 0.5)
        strength = 8 * level / np.sqrt((disc**2).sum()) / np.sqrt(np.pi * K_MAX**2)
        denoised = truth + 0.5 * (image - truth) + sign * strength * disc
        turned = np.exp(1j * seed)
        found.append(bool(residual(turned * image, turned * denoised, level, K_MAX).faults()))
    assert np.mean(found) >= 0.9


def test_a_line_that_is_lost_is_found(scan) -> None:
    image, truth, level, _ = scan(1, 30)
    line = np.zeros((80, 80))
    line[40, 34:45] = 1
    lost = residual(image + 3.2 * level * line, truth.astype(complex), level, K_MAX)
    assert any("structure was changed" in fault for fault in lost.faults())


@pytest.mark.parametrize("averages", [5, 30, 150])
def test_the_shipped_network_passes(averages, scan) -> None:
    denoiser = Denoiser(find_bundle("noise_aware"))
    for seed in SEEDS:
        image, _, level, _ = scan(seed, averages)
        assert residual(image, denoiser(image, level), level, K_MAX).faults() == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda truth, image, calf: without_a_tube(truth, calf), "structure was changed"),
        (
            lambda truth, image, calf: truth + 30 * (distance_from((0, -40), (80, 80), PIXEL) < 7),
            "structure was changed",
        ),
        (lambda truth, image, calf: smoothed(truth + 0j, 1.5), "edges were blurred"),
        (lambda truth, image, calf: smoothed(image, 2), "edges were blurred"),
        (lambda truth, image, calf: np.roll(truth, 1, axis=0), "edges were blurred"),
        (lambda truth, image, calf: 0.5 * truth, "more was taken away than noise"),
        (lambda truth, image, calf: image - 2.5 * smoothed(image - truth, 1), "not white"),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_network_must_not_do_is_found_at_thirty_averages(seed, change, words, scan) -> None:
    image, truth, level, calf = scan(seed, 30)
    found = residual(image, change(truth, image, calf).astype(np.complex64), level, K_MAX)
    assert any(words in fault for fault in found.faults()), found


def test_the_scale_of_the_image_does_not_matter(scan) -> None:
    image, truth, level, _ = scan(1, 30)
    one, other = (residual(s * image, s * truth.astype(complex), s * level, K_MAX) for s in (1, 1e-4))
    assert one.size == pytest.approx(other.size) and one.largest_mean == pytest.approx(other.largest_mean)
