"""Truth: k-space, rasters, labels, and the exact band-limited image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.special import j0

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import (
    Calf,
    Label,
    Tube,
    band_limited,
    concentration,
    inside,
    kspace,
    labels,
    mean_concentration,
    random_calf,
    true_muscle,
)
from nadenoise_core.phantom.pixels import pixel_axis, pixel_grid

FOV = 180.0


def single_tube(centre: tuple[float, float], diameter: float, value: float) -> Calf:
    return dataclasses.replace(random_calf(0), tissues=(), tubes=(Tube(value, centre, diameter),))


def label_at(calf: Calf, points: np.ndarray) -> np.ndarray:
    """Label of each point, by the innermost tissue around it."""
    result = np.full(points.shape[:-1], Label.BACKGROUND, int)
    for tissue in calf.tissues:
        result[inside(tissue.outline, points)] = Label[tissue.kind.upper()]
    for number, tube in enumerate(calf.tubes, start=1):
        result[inside(tube.outline, points)] = Label[f"TUBE_{number}"]
    return result


@pytest.mark.parametrize("matrix", [4, 5])
def test_the_pixel_of_the_centre(matrix: int) -> None:
    axis = pixel_axis(matrix, FOV)
    assert axis[matrix // 2] == 0
    np.testing.assert_allclose(np.diff(axis), FOV / matrix)
    np.testing.assert_allclose(pixel_axis(matrix, FOV, 4).reshape(matrix, 4).mean(axis=1), axis)
    assert pixel_grid(matrix, FOV)[0, 1].tolist() == [axis[1], axis[0]]


def test_kspace_at_zero_is_the_sum_over_pixels(calf: Calf) -> None:
    total = sum(e.area * e.value for e in calf.ellipses)
    assert kspace(calf, [0, 0], 2.25) == pytest.approx(total / 2.25**2)
    with pytest.raises(BadInputError):
        kspace(calf, [0, 0], 0)


def test_raster_keeps_the_total(calf: Calf) -> None:
    total = sum(e.area * e.value for e in calf.ellipses)
    raster = concentration(calf, 90, FOV, oversampling=16)
    assert raster.sum() * (FOV / 90) ** 2 == pytest.approx(total, rel=5e-4)


def test_raster_has_each_tissue_in_its_place(calf: Calf) -> None:
    raster, axis = concentration(calf, 720, FOV), pixel_axis(720, FOV)
    for name in ("tibia marrow", "fibula marrow", "soleus", "great saphenous vein"):
        tissue = calf.tissue(name)
        column, row = (int(np.abs(axis - c).argmin()) for c in tissue.centre)
        assert raster[row, column] == pytest.approx(tissue.concentration), name
    assert raster[0, 0] == 0


def test_raster_matches_kspace_at_low_frequencies(calf: Calf) -> None:
    raster, points = concentration(calf, 360, FOV, oversampling=4), pixel_grid(360, FOV)
    for k in ([0.004, 0], [0, 0.006], [-0.01, 0.008]):
        numeric = (raster * np.exp(-2j * np.pi * points @ np.array(k))).sum()
        assert kspace(calf, k, 0.5) == pytest.approx(numeric, abs=2e-3 * raster.sum())


@pytest.mark.parametrize("matrix", [80, 81])
@pytest.mark.parametrize("k_max", [0.05, 0.2])
def test_band_limited_centre_of_a_disc(matrix: int, k_max: float) -> None:
    """At the centre of a disc of radius R the image is value * (1 - J0(2 pi k_max R))."""
    axis = pixel_axis(matrix, FOV)
    row, column = matrix // 2 - 13, matrix // 2 + 20
    image = band_limited(single_tube((axis[column], axis[row]), 24, 50), matrix, FOV, k_max)
    assert image[row, column] == pytest.approx(50 * (1 - j0(2 * np.pi * k_max * 12)), rel=1e-9)


def test_band_limited_has_converged(calf: Calf) -> None:
    image, finer = (band_limited(calf, 80, FOV, refine=refine) for refine in (1, 2))
    assert np.abs(image - finer).max() < 1e-9 * finer.max()


def test_band_limited_is_the_direct_sum(calf: Calf) -> None:
    matrix, k_max = 32, 0.06
    radius, angle = np.linspace(0, k_max, 801), 2 * np.pi * np.arange(360) / 360
    k = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    spectrum = kspace(calf, k, 1.0)
    image, axis = band_limited(calf, matrix, FOV, k_max), pixel_axis(matrix, FOV)
    for row, column in ((16, 16), (10, 21), (0, 0), (3, 30)):
        point = np.array([axis[column], axis[row]])
        around = (spectrum * np.exp(2j * np.pi * k @ point)).sum(axis=1) * (2 * np.pi / 360)
        direct = simpson(around * radius, x=radius)
        assert image[row, column] == pytest.approx(direct.real, abs=1e-6 * image.max())
        assert abs(direct.imag) < 1e-6 * image.max()


def test_band_limited_default_is_the_disc_of_the_matrix(calf: Calf) -> None:
    np.testing.assert_array_equal(band_limited(calf, 40, FOV), band_limited(calf, 40, FOV, 40 / FOV / 2))


def test_band_limited_approaches_the_raster(calf: Calf) -> None:
    difference = band_limited(calf, 160, FOV) - concentration(calf, 160, FOV, oversampling=8)
    flat = labels(calf, 160, FOV, 3.0) != Label.NONE
    assert flat.sum() > 5000
    assert np.sqrt((difference[flat] ** 2).mean()) < 0.6


@pytest.mark.parametrize("margin", [0.0, 0.7])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labelled_pixels_lie_wholly_in_their_tissue(seed: int, margin: float) -> None:
    calf, matrix = random_calf(seed), 100
    result = labels(calf, matrix, FOV, margin)
    points, half = pixel_grid(matrix, FOV), FOV / matrix / 2 * (1 - 1e-9)
    side = np.linspace(-half, half, 9)
    rim = [(x, y) for x in side for y in (-half, half)] + [(x, y) for y in side for x in (-half, half)]
    reach = margin * (1 - 1e-9)
    around = [(reach * np.cos(t), reach * np.sin(t)) for t in np.arange(8) * np.pi / 4] if margin else [(0, 0)]
    labelled = result != Label.NONE
    for x, y in rim:
        for dx, dy in around:
            here = label_at(calf, points[labelled] + (x + dx, y + dy))
            np.testing.assert_array_equal(here, result[labelled])
    # And nothing is left out that has plenty of room.
    offsets = np.array(rim) * (1 + (margin + 0.15) / half)
    uniform = np.all([label_at(calf, points + o) == label_at(calf, points) for o in offsets], axis=0)
    assert not (uniform & ~labelled)[label_at(calf, points) != Label.VESSEL].any()


def test_labels_by_pixel_centre(calf: Calf) -> None:
    np.testing.assert_array_equal(labels(calf, 80, FOV, None), label_at(calf, pixel_grid(80, FOV)))


def test_labels_at_the_papers_resolution(calf: Calf) -> None:
    result = labels(calf, 80, FOV, 0.5)
    counts = {label: int((result == label).sum()) for label in Label}
    assert counts[Label.MUSCLE] > 400
    assert counts[Label.SKIN] == 0, "skin is thinner than a pixel"
    assert all(counts[Label[f"TUBE_{number}"]] > 30 for number in range(1, 6))
    assert (labels(calf, 400, FOV, 0.0) == Label.SKIN).any()


def test_labelled_tubes_hold_their_concentration(calf: Calf) -> None:
    result = labels(calf, 80, FOV, 0.0)
    for number, tube in enumerate(calf.tubes, start=1):
        region = result == Label[f"TUBE_{number}"]
        assert mean_concentration(calf, region, FOV) == pytest.approx(tube.concentration)


def test_true_muscle_is_the_mean_over_the_region(calf: Calf) -> None:
    region = labels(calf, 80, FOV, 1.0) == Label.MUSCLE
    rng = np.random.default_rng(0)
    points = pixel_grid(80, FOV)[region][:, None] + rng.uniform(-0.5, 0.5, (region.sum(), 400, 2)) * FOV / 80
    values = sum(e.value * inside(e, points) for e in calf.ellipses)
    assert true_muscle(calf, 80, FOV, 1.0) == pytest.approx(float(np.mean(values)), abs=0.01)
    assert true_muscle(calf, 80, FOV, 1.0) == pytest.approx(calf.muscle, rel=0.03)


@pytest.mark.parametrize("margin", [-1.0, np.nan, np.inf])
def test_bad_margins(calf: Calf, margin: float) -> None:
    with pytest.raises(BadInputError):
        labels(calf, 80, FOV, margin)


def test_bad_grids_and_regions(calf: Calf) -> None:
    for call in (
        lambda: concentration(calf, 0, FOV),
        lambda: concentration(calf, 80, -FOV),
        lambda: concentration(calf, 80, FOV, 0),
        lambda: band_limited(calf, 80, FOV, -0.1),
        lambda: band_limited(calf, 80, FOV, refine=0),
        lambda: mean_concentration(calf, np.zeros((8, 8), bool), FOV),
        lambda: mean_concentration(calf, np.ones((8, 9), bool), FOV),
        lambda: true_muscle(calf, 80, FOV, 60.0),
    ):
        with pytest.raises(BadInputError):
            call()
