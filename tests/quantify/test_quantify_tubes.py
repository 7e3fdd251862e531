"""Tubes found and measured, against calves whose tubes are known."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal
from scipy.integrate import quad
from scipy.special import j0, j1

from nadenoise_core.errors import CalibrationError
from nadenoise_core.phantom import TUBE_CONCENTRATIONS, Calf, band_limited, random_calf
from nadenoise_core.quantify.disc import blurred_disc
from nadenoise_core.quantify.phase import in_phase
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.tube_signal import measure_tube
from nadenoise_core.quantify.tubes import _correlations, coarser, find_tubes

PIXEL, K_MAX = (2.25, 2.25), 0.5 / 2.25


def misses(tubes: tuple[Tube, ...], calf: Calf) -> list[float]:
    """Distance of each tube from its true place, mm."""
    assert [tube.concentration for tube in tubes] == [tube.concentration for tube in calf.tubes]
    return [float(np.hypot(*np.subtract(a.centre, b.centre))) for a, b in zip(tubes, calf.tubes, strict=True)]


@pytest.mark.parametrize(("diameter", "k_max"), [(20.0, K_MAX), (12.0, K_MAX), (30.0, 0.1), (20.0, 0.5)])
def test_a_blurred_disc_is_its_integral(diameter: float, k_max: float) -> None:
    for distance in (0.0, 3.3, diameter / 2, 17.0, 60.0, 125.0):
        exact = quad(
            lambda k, r=distance: np.pi * diameter * j1(np.pi * diameter * k) * j0(2 * np.pi * r * k),
            0,
            k_max,
            limit=500,
        )[0]
        assert blurred_disc(np.array([distance, 250.0]), diameter, k_max)[0] == pytest.approx(exact, abs=5e-4)


def test_a_blurred_disc_is_the_image_of_a_tube(tube_image) -> None:
    centre = (33.1, -27.4)
    position = (np.arange(80) - 40) * 2.25
    distance = np.hypot(position - centre[0], position[:, None] - centre[1])
    np.testing.assert_allclose(blurred_disc(distance, 20.0, K_MAX), tube_image(1.0, centre, 20.0), atol=5e-4)


@pytest.mark.parametrize("diameter", [12.0, 14.0, 17.0, 20.0, 24.0, 27.0, 30.0])
def test_a_tube_is_measured_right(tube_image, diameter: float) -> None:
    for centre in ((0.0, 0.0), (51.3, -52.2), (-70.9, 11.1)):
        image = tube_image(50.0, centre, diameter)
        tube = measure_tube(image, PIXEL, 50.0, centre, diameter, K_MAX)
        assert tube.signal == pytest.approx(50, rel=3e-3)
        assert tube.std < 0.15  # ringing is not scatter
        area = np.pi * (0.7 * diameter / 2) ** 2 / 2.25**2
        assert tube.pixels == pytest.approx(area, rel=0.06)
    assert measure_tube(-image, PIXEL, 50.0, centre, diameter, K_MAX).signal == pytest.approx(-50, rel=3e-3)


def test_the_scatter_in_a_tube_is_the_noise(tube_image) -> None:
    centre, rng = (20.0, 30.0), np.random.default_rng(0)
    image = tube_image(50.0, centre, 20.0)
    tubes = [
        measure_tube(image + 3 * rng.standard_normal(image.shape), PIXEL, 50, centre, 20.0, K_MAX) for _ in range(100)
    ]
    assert np.sqrt(np.mean([tube.std**2 for tube in tubes])) == pytest.approx(3, rel=0.05)
    assert np.mean([tube.signal for tube in tubes]) == pytest.approx(50, abs=0.2)


@pytest.mark.parametrize("seed", range(10))
def test_found_without_noise(scanned, seed: int) -> None:
    calf = random_calf(seed)
    image = scanned(calf, None).real
    for diameter in (20.0, None):
        tubes = find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX, diameter)
        assert max(misses(tubes, calf)) < 1
        assert all(abs(tube.diameter - 20) <= 1 for tube in tubes)
        if diameter:
            # Neighbours ring into a tube, and gridding is good to 1 %.
            np.testing.assert_allclose([t.signal for t in tubes], TUBE_CONCENTRATIONS, rtol=0.02, atol=0.5)


@pytest.mark.parametrize(("averages", "seeds"), [(30, range(100, 140)), (150, range(20))])
def test_found_in_noise(scanned, averages: int, seeds: range) -> None:
    missed = 0
    for seed in seeds:
        calf = random_calf(seed)
        try:
            found = find_tubes(in_phase(scanned(calf, averages, seed), PIXEL), PIXEL, TUBE_CONCENTRATIONS, K_MAX, 20.0)
        except CalibrationError:
            missed += 1
        else:
            missed += max(misses(found, calf)) >= 5
    assert missed <= 0.05 * len(seeds)
    assert averages < 150 or missed == 0


def test_found_in_noise_with_the_diameter(scanned) -> None:
    missed = 0
    for seed in range(200, 206):
        calf = random_calf(seed)
        image = in_phase(scanned(calf, 30, seed), PIXEL)
        tubes = find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX)
        missed += max(misses(tubes, calf)) >= 5 or abs(tubes[0].diameter - 20) > 2
    assert missed == 0


def test_strong_tubes_are_found_where_noise_hides_the_weak_ones(scanned) -> None:
    """Twenty seconds, muscle at an SNR of 0.8: those of 50 mmol/L and more are right, whatever the others."""
    for seed in range(200, 220):
        calf = random_calf(seed)
        tubes = find_tubes(in_phase(scanned(seed, 5, seed), PIXEL), PIXEL, TUBE_CONCENTRATIONS, K_MAX, 20.0)
        found = {tube.concentration: tube.centre for tube in tubes}
        for true in calf.tubes[2:]:
            assert np.hypot(*np.subtract(found[true.concentration], true.centre)) < 3


def test_a_weak_tube_that_is_not_there_is_left_out(scanned) -> None:
    calf = random_calf(5)
    without = replace(calf, tubes=calf.tubes[1:])
    tubes = find_tubes(in_phase(scanned(without, None), PIXEL), PIXEL, TUBE_CONCENTRATIONS, K_MAX, 20.0)
    assert max(misses(tubes, without)) < 1


@pytest.mark.parametrize("diameter", [20.0, None])
def test_found_in_the_corners(scanned, diameter: float | None) -> None:
    """There the spiral aliases (they lie beyond FOV / 2), which pulls at the weakest tube."""
    for seed in range(3 if diameter else 1):
        calf = random_calf(seed, tube_radius=92)
        for averages in (None, 30):
            image = in_phase(scanned(calf, averages, seed), PIXEL)
            missed = misses(find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX, diameter), calf)
            assert max(missed[1:]) < 2
            assert missed[0] < 8


@pytest.mark.parametrize(("size", "radius"), [(14.0, 77.0), (27.0, 74.0)])
def test_tubes_of_other_diameters(scanned, size: float, radius: float) -> None:
    for seed in range(3):
        calf = random_calf(seed, tube_diameter=size, tube_radius=radius)
        image = scanned(calf, None).real
        for diameter in (size, None)[: 2 if seed == 0 else 1]:
            tubes = find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX, diameter)
            assert max(misses(tubes, calf)) < 2
            assert abs(tubes[0].diameter - size) <= 1.5


def test_the_order_is_that_of_the_concentrations(scanned) -> None:
    calf, order = random_calf(4), (50.0, 10.0, 100.0, 75.0, 25.0)
    places = {tube.concentration: tube.centre for tube in calf.tubes}
    for tube, concentration in zip(find_tubes(scanned(calf, None).real, PIXEL, order, K_MAX, 20.0), order, strict=True):
        assert tube.concentration == concentration
        assert np.hypot(*np.subtract(tube.centre, places[concentration])) < 1


@pytest.mark.parametrize("scale", [1e-6, 1e5])
def test_the_scale_of_the_image_does_not_matter(scanned, scale: float) -> None:
    image = scanned(4, 150).real
    usual, scaled = (find_tubes(i, PIXEL, TUBE_CONCENTRATIONS, K_MAX, 20.0) for i in (image, scale * image))
    for a, b in zip(usual, scaled, strict=True):
        assert a.centre == pytest.approx(b.centre)
        assert b.signal == pytest.approx(scale * a.signal)


@pytest.mark.parametrize("diameter", [20.0, None])
@pytest.mark.parametrize("averages", [None, 150])
def test_no_tubes_are_not_found(scanned, diameter: float | None, averages: int | None) -> None:
    for seed in range(3):
        image = in_phase(scanned(random_calf(seed).without_tubes(), averages, seed), PIXEL)
        with pytest.raises(CalibrationError, match="5 reference tubes were not found.*tube_positions"):
            find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX, diameter)


def test_an_empty_image_has_no_tubes() -> None:
    for image in (np.zeros((80, 80)), np.random.default_rng(0).standard_normal((80, 80))):
        with pytest.raises(CalibrationError, match="not found"):
            find_tubes(image, PIXEL, TUBE_CONCENTRATIONS, K_MAX, 20.0)


@pytest.mark.parametrize("size", [(31, 40), (80, 80)])
def test_projections_on_shapes_are_those_of_scipy(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    image, shapes = rng.standard_normal(size), rng.standard_normal((3, 9, 7))
    expected = [signal.correlate(image, shape, mode="valid", method="direct") for shape in shapes]
    np.testing.assert_allclose(_correlations(image, shapes), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(320, 320), (321, 322), (200, 100)])
def test_an_image_of_many_pixels_is_made_coarser_about_its_centre(shape) -> None:
    pixel = (0.5, 0.6)
    wave = 0.5 / (shape[0] * pixel[0])  # a wave that the field of view holds whole times
    y = (np.arange(shape[0]) - shape[0] // 2) * pixel[0]
    image = 3 + np.repeat(np.cos(2 * np.pi * 4 * wave * y)[:, None], shape[1], axis=1)
    coarse = coarser(image, pixel, 1.0)
    rows, columns = coarse.image.shape
    assert (rows, columns) == (min(shape[0], 160), min(shape[1], 160))
    assert coarse.pixel == pytest.approx((pixel[0] * shape[0] / rows, pixel[1] * shape[1] / columns))
    assert coarse.k_max == pytest.approx(0.5 / max(coarse.pixel))
    y = (np.arange(rows) - rows // 2) * coarse.pixel[0]
    expected = np.repeat(3 + np.cos(2 * np.pi * 4 * wave * y)[:, None], columns, axis=1)
    np.testing.assert_allclose(coarse.image, expected, atol=1e-9)


def test_an_image_of_usual_size_is_searched_as_it_is() -> None:
    image = np.random.default_rng(0).standard_normal((128, 160))
    coarse = coarser(image, (1.4, 1.1), 0.2)
    assert coarse.image is image and coarse.pixel == (1.4, 1.1) and coarse.k_max == 0.2


def test_a_large_matrix_takes_no_more_than_a_usual_one() -> None:
    calf = random_calf(3)
    image = band_limited(calf, 320, 180.0)
    tracemalloc.start()
    began = time.process_time()
    tubes = find_tubes(image, (180 / 320, 180 / 320), TUBE_CONCENTRATIONS, 0.5 * 320 / 180, 20.0)
    assert time.process_time() - began < 5 and tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert max(misses(tubes, calf)) < 0.1
    assert [tube.signal for tube in tubes] == pytest.approx(TUBE_CONCENTRATIONS, abs=0.05)
