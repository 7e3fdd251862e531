from __future__ import annotations

import numpy as np
import pytest

from training.cache import Limbs
from training.evaluate import PAPER_TABLE_1
from training.kspace import SpiralNoise, centred_fft, centred_ifft, crop_kspace, draw_discs, limit_to_disc
from training.pairs import (
    PaperPairs,
    QuantitativePairs,
    SceneSettings,
    draw_peak_snr,
    draw_tubes,
    range_scale,
    smooth_phase,
    turn,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_transforms_are_inverse_and_centred() -> None:
    image = rng().standard_normal((2, 8, 8))
    np.testing.assert_allclose(centred_ifft(centred_fft(image)), image, atol=1e-12)
    point = np.zeros((8, 8))
    point[4, 4] = 1
    np.testing.assert_allclose(centred_fft(point), 1, atol=1e-12)


def test_cropping_kspace_keeps_intensity_and_place() -> None:
    axis = np.arange(160) - 80
    blob = np.exp(-((axis[:, None] - 20) ** 2 + (axis[None, :] + 30) ** 2) / 200.0)
    small = crop_kspace(blob, 80)
    half = np.arange(80) - 40
    expected = np.exp(-((half[:, None] - 10) ** 2 + (half[None, :] + 15) ** 2) / 50.0)
    np.testing.assert_allclose(small, expected, atol=1e-5)


def test_a_disc_has_its_level_area_and_place() -> None:
    image = draw_discs(np.array([[10.0, -12.0]]), np.array([6.0]), np.array([0.5]))
    assert image.sum() == pytest.approx(0.5 * np.pi * 36, rel=1e-4)
    assert image[40 + 8 : 40 + 13, 40 - 14 : 40 - 9].mean() == pytest.approx(0.5, rel=0.03)
    rows, columns = np.indices(image.shape) - 40
    assert (rows * image).sum() / image.sum() == pytest.approx(10, abs=0.3)
    assert (columns * image).sum() / image.sum() == pytest.approx(-12, abs=0.3)


def test_noise_has_unit_standard_deviation_and_the_colour_of_the_disc(noise: SpiralNoise) -> None:
    generator = rng(1)
    images = np.stack([noise.draw(generator) for _ in range(120)])
    for part in (images.real, images.imag):
        assert part.std() == pytest.approx(1, abs=0.01)
        assert (part[..., 1:] * part[..., :-1]).mean() == pytest.approx(0.16, abs=0.03)
        assert (part[..., 1:, :] * part[..., :-1, :]).mean() == pytest.approx(0.16, abs=0.03)
        assert (part[..., 1:, 1:] * part[..., :-1, :-1]).mean() == pytest.approx(-0.11, abs=0.03)
    assert abs((images.real * images.imag).mean()) < 0.01


def test_quantitative_pairs_differ_by_unit_noise_and_are_reproducible(limbs: Limbs, noise: SpiralNoise) -> None:
    pairs = QuantitativePairs(limbs, noise)
    noisy, clean = pairs.batch(rng(3), 16)
    assert noisy.shape == clean.shape == (16, 2, 80, 80) and noisy.dtype == clean.dtype == np.float32
    assert (noisy - clean).std() == pytest.approx(1, abs=0.02)
    peaks = np.hypot(clean[:, 0], clean[:, 1]).max(axis=(1, 2))
    assert 2.4 < peaks.min() < 4 and 30 < peaks.max() < 81
    again, _ = pairs.batch(rng(3), 16)
    np.testing.assert_array_equal(noisy, again)
    other, _ = pairs.batch(rng(4), 16)
    assert not np.array_equal(noisy, other)


def test_scenes_lie_within_the_disc_of_the_spiral(limbs: Limbs, noise: SpiralNoise) -> None:
    image = QuantitativePairs(limbs, noise).scene(rng(), 0).image
    assert np.abs(image).max() == pytest.approx(1, rel=1e-5)
    frequency = np.fft.fftfreq(80)
    outside = np.hypot(frequency[:, None], frequency[None, :]) > noise.edge
    kspace = np.abs(np.fft.fft2(image))
    assert kspace[outside].max() < 1e-5 * kspace.max()
    np.testing.assert_allclose(limit_to_disc(image, noise.edge), image, atol=1e-6)


def test_tubes_have_the_levels_they_are_listed_with(limbs: Limbs, noise: SpiralNoise) -> None:
    ratios = []
    for index in range(20):
        scene = QuantitativePairs(limbs, noise).scene(rng(index), index)
        rows, columns = np.indices((80, 80)) - 40
        for (row, column), radius, level in zip(*vars(scene.tubes).values(), strict=True):
            centre = np.hypot(rows - row, columns - column) < 0.7 * radius
            ratios.append(np.abs(scene.image[centre]).mean() / (level * scene.scale))
    assert np.median(ratios) == pytest.approx(1, abs=0.03)


def test_tubes_stay_in_the_field_of_view_and_apart(limbs: Limbs) -> None:
    settings = SceneSettings()
    counts = set()
    for index in range(len(limbs)):
        tubes = draw_tubes(rng(index), limbs.clearance[index], settings)
        counts.add(len(tubes.radii))
        assert (np.abs(tubes.centres).max(axis=1) + tubes.radii < 42).all()
        assert tubes.levels[0] == 1 and (tubes.levels >= 0.05).all() and (tubes.levels <= 1).all()
        assert (tubes.radii * 2 * 2.25 >= 12).all() and (tubes.radii * 2 * 2.25 <= 30).all()
        for first in range(len(tubes.radii)):
            for second in range(first):
                gap = np.hypot(*(tubes.centres[first] - tubes.centres[second]))
                assert gap > tubes.radii[first] + tubes.radii[second] - 1
    assert counts >= {1, 2, 3, 4}


def test_peak_snrs_prefer_the_common_range() -> None:
    drawn = draw_peak_snr(rng(), 4000)
    assert drawn.min() >= 2.5 and drawn.max() <= 80
    share = ((drawn > 3.5) & (drawn < 25)).mean()
    assert share == pytest.approx(0.7 + 0.3 * np.log(25 / 3.5) / np.log(80 / 2.5), abs=0.01)


def test_phase_is_smooth_and_of_unit_magnitude() -> None:
    for seed in range(20):
        phase = smooth_phase(rng(seed), 80)
        np.testing.assert_allclose(np.abs(phase), 1, rtol=1e-5)
        assert np.abs(np.angle(phase[1:] * np.conj(phase[:-1]))).max() < 0.5


def test_the_eight_symmetries_differ() -> None:
    image = rng().standard_normal((5, 5)).astype(np.complex64)
    assert len({turn(image, symmetry).tobytes() for symmetry in range(8)}) == 8


def test_inputs_of_table_1_come_out_as_published(limbs: Limbs, noise: SpiralNoise) -> None:
    pairs = PaperPairs(limbs, noise)
    errors = []
    for index in range(40):
        pair = pairs.draw(rng(index), index, 30)
        _, scale = range_scale(np.abs(pair.noisy))
        errors.append(float(np.mean(((np.abs(pair.noisy) - pair.clean) / scale) ** 2)))
    mse, _, psnr = PAPER_TABLE_1[30][0]
    assert np.median(errors) == pytest.approx(mse, rel=0.25)
    assert np.median(-10 * np.log10(errors)) == pytest.approx(psnr, abs=1)


def test_noise_of_the_papers_pairs_is_known_and_falls_with_averages(limbs: Limbs, noise: SpiralNoise) -> None:
    pairs = PaperPairs(limbs, noise)
    ten, forty = (pairs.draw(rng(1), 0, averages) for averages in (10, 40))
    assert ten.noise_std == pytest.approx(2 * forty.noise_std, rel=1e-6)
    background = limbs.clearance[0] > 12
    corner = background & (np.hypot(*(np.indices((80, 80)) - 40)) > 34)
    spread = np.concatenate([ten.noisy[corner].real, ten.noisy[corner].imag]).std()
    assert spread == pytest.approx(ten.noise_std, rel=0.2)
