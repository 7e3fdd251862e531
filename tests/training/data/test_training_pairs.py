from __future__ import annotations

import pickle

import numpy as np
import pytest

from nadenoise_core.paper import TABLE_1
from training.config import PaperPairSettings, QuantitativePairSettings, SpiralSettings
from training.data.batches import Batches, Purpose, fixed_batches
from training.data.cache import Images
from training.data.kspace import SpiralNoise, centred_fft, centred_ifft, crop_kspace, draw_discs, limit_to_disc
from training.data.pairs import (
    PaperPairs,
    QuantitativePairs,
    draw_peak_snr,
    draw_tubes,
    make_pairs,
    smooth_phase,
    turn,
)
from training.evaluation.evaluate import table_1
from training.network.model import Model

QUANTITATIVE = QuantitativePairSettings(kind="quantitative")
PAPER = PaperPairSettings(kind="paper")


def rng(seed: int | tuple[int, ...] = 0) -> np.random.Generator:
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


def test_noise_is_the_same_in_a_process_that_was_handed_it(noise: SpiralNoise) -> None:
    handed = pickle.loads(pickle.dumps(noise))
    np.testing.assert_array_equal(handed.draw(rng(3)), noise.draw(rng(3)))


def test_a_rectangle_is_cropped_to_a_square() -> None:
    y, x = (np.arange(100) - 50)[:, None], (np.arange(200) - 100)[None, :]
    small = crop_kspace(np.exp(-((y / 10) ** 2) - (x / 20) ** 2), 50)
    axis = np.arange(50) - 25
    np.testing.assert_allclose(small, np.exp(-((axis[:, None] / 5) ** 2) - (axis[None, :] / 5) ** 2), atol=1e-5)


def test_quantitative_pairs_differ_by_unit_noise(limbs: Images, noise: SpiralNoise) -> None:
    noisy, clean = Batches(QuantitativePairs(limbs, noise, QUANTITATIVE), 16, seed=3).part(0, range(16))
    assert noisy.shape == clean.shape == (16, 2, 80, 80) and noisy.dtype == clean.dtype == np.float32
    assert (noisy - clean).std() == pytest.approx(1, abs=0.02)
    peaks = np.hypot(clean[:, 0], clean[:, 1]).max(axis=(1, 2))
    assert 2.4 < peaks.min() < 4 and 30 < peaks.max() < 81


@pytest.mark.parametrize("settings", [QUANTITATIVE, PAPER])
def test_a_pair_depends_on_seed_step_and_place_alone(
    settings: QuantitativePairSettings | PaperPairSettings, limbs: Images, noise: SpiralNoise
) -> None:
    pairs = make_pairs(settings, limbs.first(9), noise, seed=3)
    batches = Batches(pairs, 4, seed=3)
    noisy, clean = batches.part(5, range(4))
    for places in (range(2), range(2, 4), range(3, 4)):  # in whatever order, by whatever process
        part = Batches(make_pairs(settings, limbs.first(9), noise, seed=3), 4, seed=3).part(5, places)
        np.testing.assert_array_equal(part[0], noisy[places.start : places.stop])
        np.testing.assert_array_equal(part[1], clean[places.start : places.stop])
    for other in (Batches(pairs, 4, seed=4), Batches(pairs, 4, seed=3, purpose=Purpose.STATISTICS)):
        assert not np.array_equal(other.part(5, range(4))[0], noisy)
    assert not np.array_equal(batches.part(6, range(4))[0], noisy)


def test_an_epoch_goes_once_through_the_images_with_fresh_noise(limbs: Images, noise: SpiralNoise) -> None:
    few = limbs.first(8)
    batches = Batches(make_pairs(PAPER, few, noise), 4, seed=1)
    assert batches.steps_per_epoch == 2
    orders = []
    for epoch in range(2):
        chosen = np.concatenate([batches._chosen(2 * epoch + step)[0] for step in range(2)])
        assert sorted(chosen) == list(range(8))
        orders.append(chosen.tolist())
    assert orders[0] != orders[1]
    assert len(Batches(make_pairs(PAPER, few.first(3), noise), 4, seed=1).part(0, range(4))[0]) == 4


def test_levels_of_a_batch_are_spread_over_their_range(limbs: Images, noise: SpiralNoise) -> None:
    _, quantiles = Batches(make_pairs(PAPER, limbs, noise), 10, seed=1)._chosen(3)
    assert sorted(int(10 * quantile) for quantile in quantiles) == list(range(10))


def test_validation_pairs_are_always_the_same(limbs: Images, noise: SpiralNoise) -> None:
    pairs = make_pairs(QUANTITATIVE, limbs.first(7), noise)
    first, second = fixed_batches(pairs, None, 4, seed=2), fixed_batches(pairs, None, 4, seed=2)
    assert [len(noisy) for noisy, _ in first] == [4, 3]
    np.testing.assert_array_equal(first[1][0], second[1][0])
    assert len(fixed_batches(pairs, 2, 4, seed=2)[0][0]) == 2


def test_scenes_lie_within_the_disc_of_the_spiral(limbs: Images, noise: SpiralNoise) -> None:
    image = QuantitativePairs(limbs, noise, QUANTITATIVE).scene(rng(), 0).image
    assert np.abs(image).max() == pytest.approx(1, rel=1e-5)
    frequency = np.fft.fftfreq(80)
    outside = np.hypot(frequency[:, None], frequency[None, :]) > noise.edge
    kspace = np.abs(np.fft.fft2(image))
    assert kspace[outside].max() < 1e-5 * kspace.max()
    np.testing.assert_allclose(limit_to_disc(image, noise.edge), image, atol=1e-6)


def test_tubes_have_the_levels_they_are_listed_with(limbs: Images, noise: SpiralNoise) -> None:
    ratios = []
    for index in range(20):
        scene = QuantitativePairs(limbs, noise, QUANTITATIVE).scene(rng(index), index)
        rows, columns = np.indices((80, 80)) - 40
        for (row, column), radius, level in zip(*vars(scene.tubes).values(), strict=True):
            centre = np.hypot(rows - row, columns - column) < 0.7 * radius
            ratios.append(np.abs(scene.image[centre]).mean() / (level * scene.scale))
    assert np.median(ratios) == pytest.approx(1, abs=0.03)


def test_tubes_stay_in_the_field_of_view_and_apart(limbs: Images) -> None:
    counts = set()
    for index in range(len(limbs)):
        tubes = draw_tubes(rng(index), limbs.clearance[index], QUANTITATIVE, 2.25)
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
    drawn = np.array([draw_peak_snr(QUANTITATIVE, quantile) for quantile in np.linspace(0, 1, 1001)])
    assert drawn.min() == pytest.approx(2.5) and drawn.max() == pytest.approx(80)
    share = ((drawn > 3.5) & (drawn < 25)).mean()
    assert share == pytest.approx(0.7 + 0.3 * np.log(25 / 3.5) / np.log(80 / 2.5), abs=0.01)
    only = QuantitativePairSettings(kind="quantitative", peak_snr=(9, 9), frequent_snr=(9, 9))
    assert draw_peak_snr(only, 0.3) == pytest.approx(9)


def test_phase_is_smooth_and_of_unit_magnitude() -> None:
    for seed in range(20):
        phase = smooth_phase(rng(seed), 80)
        np.testing.assert_allclose(np.abs(phase), 1, rtol=1e-5)
        assert np.abs(np.angle(phase[1:] * np.conj(phase[:-1]))).max() < 0.5


def test_the_eight_symmetries_differ() -> None:
    image = rng().standard_normal((5, 5)).astype(np.complex64)
    assert len({turn(image, symmetry).tobytes() for symmetry in range(8)}) == 8


@pytest.mark.parametrize("averages", [50, 40, 30, 20, 10])
def test_inputs_of_table_1_come_out_as_published(averages: int, limbs: Images, noise: SpiralNoise) -> None:
    """Other anatomy than the paper's, so not to the last digit: SSIM above all depends on what is in the image."""
    row = table_1(Model(lambda image: image), limbs, noise, (averages,))[0].noisy
    mse, ssim, psnr = (cell.middle for cell in TABLE_1[averages][0])
    assert 1e3 * row.mse.median == pytest.approx(mse, rel=0.25)
    assert row.ssim.median == pytest.approx(ssim, abs=0.1)
    assert row.psnr.median == pytest.approx(psnr, abs=1)


def test_noise_of_the_papers_pairs_is_known_and_falls_with_averages(limbs: Images, noise: SpiralNoise) -> None:
    pairs = PaperPairs(limbs, noise, PAPER)
    ten, forty = (pairs.draw(rng(1), 0, averages) for averages in (10, 40))
    assert ten.noise_std == pytest.approx(2 * forty.noise_std, rel=1e-6)
    difference = ten.noisy - pairs.clean[0]
    assert np.concatenate([difference.real, difference.imag]).std() == pytest.approx(ten.noise_std, rel=0.05)


def test_the_clean_image_of_the_papers_pairs_is_the_reconstruction_of_its_kspace(
    limbs: Images, noise: SpiralNoise
) -> None:
    """What is reconstructed once, plus the noise, is the reconstruction of the noisy k-space."""
    pairs = PaperPairs(limbs.first(2), noise, PAPER, seed=4)
    drawn = pairs.draw(rng(8), 1, 30)
    kspace = noise.nufft.forward(pairs._with_disc(rng((4, 1)), np.abs(limbs.image[1])))
    sigma = 0.038 * np.abs(kspace).max() / 30**0.5
    whole = noise.image(kspace + noise.samples(rng(8), sigma))
    np.testing.assert_allclose(drawn.noisy, whole, atol=1e-4 * np.abs(whole).max())
    np.testing.assert_allclose(drawn.clean, np.abs(noise.image(kspace)), rtol=1e-6)


def test_the_disc_of_an_image_stays_and_lies_near_a_corner(limbs: Images, noise: SpiralNoise) -> None:
    image = np.full((80, 80), 1.0, np.float32)
    corners = set()
    for seed in range(20):
        drawn = PaperPairs(limbs.first(1), noise, PAPER)._with_disc(rng(seed), image)
        assert drawn.max() == pytest.approx(7.5, rel=1e-3)
        rows, columns = np.nonzero(drawn > 7.4)
        row, column = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
        for middle in (row, column):
            assert min(middle, 79 - middle) in range(9, 16)
        corners.add((row < 40, column < 40))
    assert len(corners) == 4


def test_the_settings_of_the_papers_pairs_count(limbs: Images, noise: SpiralNoise) -> None:
    few = limbs.first(1)
    louder = PaperPairs(few, noise, PaperPairSettings(kind="paper", noise_share=0.076)).draw(rng(), 0, 30)
    assert louder.noise_std == pytest.approx(2 * PaperPairs(few, noise, PAPER).draw(rng(), 0, 30).noise_std)
    uncapped = PaperPairs(few, noise, PaperPairSettings(kind="paper", cap=None, disc_level=0.5))
    capped = PaperPairs(few, noise, PaperPairSettings(kind="paper", disc_level=0.5))
    assert uncapped.largest[0] > 1.1 * capped.largest[0]


def test_the_default_spiral_is_the_papers() -> None:
    from nadenoise_core.sampling import PAPER_SPIRAL, SpiralDesign

    assert SpiralDesign(matrix=80, **SpiralSettings().model_dump()) == PAPER_SPIRAL
