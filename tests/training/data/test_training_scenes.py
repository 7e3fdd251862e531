"""Scenes as a spiral scan shows them: the scan against the NUFFT and closed forms, and what is laid into scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nadenoise_core.phantom.calf import Tube
from nadenoise_core.phantom.shapes import fourier
from nadenoise_core.phantom.slices import SliceProfile
from nadenoise_core.sampling import SpiralDesign
from training.config import ObjectSettings, ScenePairSettings
from training.data.drawing import CALF_SEEDS, draw_calf, draw_objects, draw_shape
from training.data.draws import Draw
from training.data.kspace import SpiralNoise
from training.data.objects import KINDS, SHAPE_SIZE, Objects
from training.data.physics import Lean, evolutions, leaning_discs
from training.data.regions import body_regions, depths, tube_regions
from training.data.scanner import Readout, Scanner, dense_grid, dense_sample
from training.data.scene_batches import SceneBatches, make_scenes
from training.data.scenes import Scenes

SETTINGS = ScenePairSettings(kind="scenes", blurred=0.0)
DESIGN = SpiralDesign()


@pytest.fixture(scope="module")
def objects() -> Objects:
    return draw_objects(ObjectSettings(calves=4, leaves=2, shapes=12), 80, lambda done, total: None)


@pytest.fixture(scope="module")
def scenes(objects: Objects) -> Scenes:
    return make_scenes(SETTINGS, objects, DESIGN)


def thin_readout(noise: SpiralNoise) -> Readout:
    k = noise.trajectory.reshape(-1, 2)[::11]
    return Readout(k, noise.weights[::11].astype(float), np.zeros(len(k)))


def test_dense_products_are_the_nufft(noise: SpiralNoise) -> None:
    scanner = Scanner(thin_readout(noise), 36, torch.device("cpu"))
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(3, 36, 36, dtype=torch.complex64, generator=generator)
    samples = scanner.sample(images)
    assert torch.linalg.norm(dense_sample(scanner, images) - samples) < 1e-4 * torch.linalg.norm(samples)
    gridded = scanner.grid(samples)
    assert torch.linalg.norm(dense_grid(scanner, samples) - gridded) < 1e-4 * torch.linalg.norm(gridded)


def test_the_noise_of_scenes_has_the_covariance_of_a_gridded_scan(scenes: Scenes) -> None:
    """Exactly sum w^2 exp(2 pi i k.r), r the distance of two pixels, wherever they lie in the wide field."""
    scanner = scenes.scanner
    noise = scanner.grid(scanner.noise(torch.Generator().manual_seed(3), 60)).numpy()
    k, weights = scanner.readout.trajectory, scanner.readout.weights
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (0, 3)):
        exact = np.sum(weights**2 * np.exp(2j * np.pi * (k[:, 1] * row + k[:, 0] * column))) / np.sum(weights**2)
        size = scanner.matrix
        pairs = noise[:, row:, column:] * noise[:, : size - row, : size - column].conj() / 2
        assert pairs.mean() == pytest.approx(exact, abs=0.01)
        assert pairs[:, :12].mean() == pytest.approx(exact, abs=0.03)  # at the rim as in the middle


def test_two_images_of_an_object_differ_by_noise_alone(scenes: Scenes) -> None:
    batch = scenes.draw(torch.Generator().manual_seed(4), 12)
    assert len(batch) == 24 and batch.noisy.shape == (24, 2, 80, 80) and batch.clean.shape == (12, 2, 80, 80)
    first, second = batch.noisy[::2] - batch.clean, batch.noisy[1::2] - batch.clean
    assert float(first.std()) == pytest.approx(1, abs=0.01) and float(second.std()) == pytest.approx(1, abs=0.01)
    assert abs(float((first * second).mean())) < 0.01
    again = scenes.draw(torch.Generator().manual_seed(4), 12)
    assert torch.equal(again.noisy, batch.noisy)


def test_tubes_and_structures_are_parts_of_the_clean_image(scenes: Scenes) -> None:
    """Within a tube that lies in the crop, the clean image has the tube's level; tubes do not overlap bodies."""
    batch = scenes.draw(torch.Generator().manual_seed(6), 24)
    levels = []
    for clean, tubes in zip(batch.clean, batch.tubes, strict=True):
        for tube in tubes:
            level = float(tube.square().sum(0).amax().sqrt())
            middle = tube.square().sum(0).sqrt() > 0.85 * level
            if level > 1 and middle.sum() > 12:
                levels.append(float((clean * tube).sum(0)[middle].mean() / tube.square().sum(0)[middle].mean()))
    assert len(levels) > 30
    assert np.median(levels) == pytest.approx(1, abs=0.03)
    assert (batch.structures.abs().amax(dim=(2, 3, 4)) > 0).any(dim=1).all()


def test_off_resonance_and_decay_blur(objects: Objects) -> None:
    blurred = ScenePairSettings(kind="scenes", blurred=1.0, off_resonance=60.0, fast=0.0, decay=(4.0, 4.0))
    one, other = (
        make_scenes(settings, objects, DESIGN).draw(torch.Generator().manual_seed(8), 6).clean
        for settings in (SETTINGS, blurred)
    )
    assert float(other.square().mean()) < 0.9 * float(one.square().mean())


def test_a_batch_depends_on_its_step_and_places_alone(scenes: Scenes) -> None:
    one, other = SceneBatches(scenes, 8, 5), SceneBatches(scenes, 8, 5)
    other.part(40, range(8))
    assert torch.equal(one.part(3, range(4)).noisy, other.part(3, range(4)).noisy)
    assert not torch.equal(one.part(3, range(4)).noisy, one.part(3, range(4, 8)).noisy)
    assert not torch.equal(one.part(3, range(4)).noisy, one.part(4, range(4)).noisy)
    assert [len(batch) for batch in one.fixed(16)] == [8, 8]


def test_calves_are_of_seeds_that_nothing_else_uses(objects: Objects) -> None:
    assert CALF_SEEDS >= 1_000_000
    image, clearance = draw_calf(CALF_SEEDS + 3_100_000, 80, 2.25)
    np.testing.assert_array_equal(objects.bodies[0], image.astype(np.float16))
    assert image[clearance == 0].mean() > 8 and abs(image[clearance > 4]).mean() < 0.5
    assert [KINDS[kind] for kind in objects.kinds] == 4 * ["calf"] + 2 * ["leaves"]


def test_a_shape_has_its_amplitude_and_lies_in_the_middle() -> None:
    for number in range(12):
        shape = draw_shape((1, number))
        y, x = np.indices(shape.shape) - SHAPE_SIZE // 2
        assert abs((shape * y).sum() / shape.sum()) < 1.5 and 0.2 < shape.max() < 1.5


def test_limbs_join_the_objects(objects: Objects) -> None:
    joined = objects.with_limbs(np.ones((2, 80, 80), np.float32), np.zeros((2, 80, 80), np.float32))
    assert len(joined.bodies) == 8 and joined.bodies[-1].max() == 21
    assert joined.checksum() != objects.checksum()


def test_a_tube_that_leans_is_the_phantom_s() -> None:
    """Its spectrum against that of the virtual calf's tubes: an ellipse times the transform of the slice profile."""
    tube = Tube(1.0, (0.0, 0.0), 20.0, (0.3, -0.2))
    profile = SliceProfile(thickness=30.0, edge=5.0)
    frequency = np.fft.fftfreq(24), np.fft.rfftfreq(24)
    k = np.stack(np.meshgrid(frequency[1], frequency[0]), axis=-1) / 2.25
    exact = fourier([tube.outline], k) * profile.transform(k @ np.array(tube.lean)) / 2.25**2
    lean = Lean(*(torch.tensor([value]) for value in (np.arctan2(0.3, -0.2), np.hypot(0.3, 0.2), 30 / 2.25)))
    made = leaning_discs(tuple(map(torch.from_numpy, frequency)), torch.tensor([10 / 2.25]), lean)
    np.testing.assert_allclose(made[0], exact, atol=1e-4)


def test_signal_decays_from_one(scenes: Scenes) -> None:
    times, settings = scenes.scanner.times, SETTINGS.model_copy(update={"blurred": 1.0, "decay": (12.0, 12.0)})
    draw = Draw(torch.Generator().manual_seed(1), 200, torch.device("cpu"))
    for factor in evolutions(draw, settings, times):
        assert torch.allclose(factor[:, times == 0], torch.ones(1, dtype=torch.complex64))
        assert (factor.abs()[:, times == times.max()] < 0.9).all()
    tissue = evolutions(draw, settings, times)[0].abs()
    slow = 0.4 * np.exp(-float(times.max()) / 12.0)  # what is left when all of the fast part has gone
    assert float(tissue[:, times == times.max()].min()) == pytest.approx(slow, rel=0.02)


def test_regions_are_shells_and_tissue() -> None:
    """A disc of radius 20 around a dark hole of radius 6."""
    y, x = np.indices((64, 64)) - 32
    radius = np.hypot(x, y)
    body = torch.from_numpy(np.where(radius < 6, 2.0, 20.0) * (radius < 20)).float()[None]
    clearance = distance_transform_edt(radius >= 20)[None]
    *shells, flat, bright, dark = body_regions(
        body, torch.from_numpy(clearance).float(), torch.from_numpy(depths(clearance)).float()
    )[0]
    for shell, (low, high) in zip(shells, ((20, 21.6), (18.9, 20), (17.9, 19.2), (15.6, 18.2)), strict=True):
        where = radius[shell.numpy() > 0]
        assert len(where) > 60 and low - 0.7 < where.min() and where.max() < high + 0.7
    # A Gaussian of 2 pixels takes 5 % of the level away 3.2 pixels beside a step of 18.
    assert radius[flat.numpy() > 0].min() > 8.5 and radius[flat.numpy() > 0].max() < 17
    assert radius[bright.numpy() > 0].min() >= 6 and radius[bright.numpy() > 0].max() < 12
    assert radius[dark.numpy() > 0].min() > 2 and radius[dark.numpy() > 0].max() < 6


def test_rims_of_tubes_lie_beside_their_edges_and_no_tube_has_none() -> None:
    y, x = np.indices((48, 48)) - 24
    radius = np.hypot(x, y)
    tubes = np.stack([30.0 * gaussian_filter((radius < 10).astype(float), 1.0), np.zeros((48, 48))])
    above, below = tube_regions(torch.from_numpy(tubes)[None])[0].numpy() > 0
    assert above.sum() > 40 and radius[above].min() > 8 and radius[above].max() < 10.5
    assert below.sum() > 40 and radius[below].min() > 9.5 and radius[below].max() < 12
    assert not tube_regions(torch.zeros(1, 2, 8, 8)).any()
