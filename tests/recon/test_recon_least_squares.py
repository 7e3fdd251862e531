"""Least squares against exact truth: better than gridding, no noisier, and right for tubes in the corners."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import true_muscle
from nadenoise_core.quantify.atsc import ConcentrationMap, TubeSetup, concentration_map
from nadenoise_core.recon.conjugate_gradients import conjugate_gradients
from nadenoise_core.recon.least_squares import NOISE_GAIN, band_limit, field_of_view_disc, finer_matrix, least_squares

PIXEL = 2.25
SILENT = np.zeros(20)


def calibrated(scan, image: np.ndarray) -> ConcentrationMap:
    """aTSC by the tubes where they are known to stand."""
    tubes = scan.calf.tubes
    setup = TubeSetup(tuple(tube.concentration for tube in tubes), 20.0, tuple(tube.centre for tube in tubes))
    return concentration_map(image, (PIXEL, PIXEL), setup, 0.5 / PIXEL)


def muscle_error(scan, image: np.ndarray) -> float:
    """Of calibrated muscle, mmol/L."""
    return float(calibrated(scan, image).values[scan.muscle].mean() - true_muscle(scan.calf, 80, 180.0, margin=PIXEL))


def tube_errors(scan, image: np.ndarray) -> np.ndarray:
    """Of what the calibrated image reads in the tubes, mmol/L."""
    found = calibrated(scan, image)
    return np.array([float(found.calibration.concentration(t.signal)) - t.concentration for t in found.tubes])


class TestWithoutNoise:
    @pytest.mark.parametrize("seed", range(1, 6))
    def test_it_is_nearer_to_the_truth_than_gridding(self, seed, calf_scan, reconstruction, disc, relative):
        scan = calf_scan(seed)
        gridded, solved = (
            reconstruction(method)(scan.kspace, SILENT).image for method in ("gridding", "least_squares")
        )
        assert relative(solved, scan.truth, disc) < 0.9 * relative(gridded, scan.truth, disc)
        assert relative(solved, scan.truth, disc) < 0.011
        assert abs(muscle_error(scan, solved)) < 0.03
        assert abs(muscle_error(scan, gridded)) < 0.05

    @pytest.mark.parametrize("seed", range(1, 6))
    def test_tubes_in_the_corners_come_out_right(self, seed, calf_scan, reconstruction, disc, relative):
        """Their aliases fall into the disc; gridding leaves them there."""
        scan = calf_scan(seed, corners=True)
        gridded, solved = (
            reconstruction(method)(scan.kspace, SILENT).image for method in ("gridding", "least_squares")
        )
        assert abs(muscle_error(scan, gridded)) > 0.4
        assert abs(muscle_error(scan, solved)) < 0.05
        assert np.abs(tube_errors(scan, gridded)).max() > 0.4
        assert np.abs(tube_errors(scan, solved)).max() < 0.3
        # Nor is it the calibration that hides an error: the signal itself is the concentration.
        signals = [tube.signal - tube.concentration for tube in calibrated(scan, solved).tubes]
        assert np.abs(signals).max() < 0.3
        assert relative(solved, scan.truth, disc) < 0.5 * relative(gridded, scan.truth, disc)

    @pytest.mark.parametrize("level", [0.0, np.nan])
    def test_the_noise_level_is_then_zero_or_unknown(self, level, calf_scan, reconstruction):
        kspace = calf_scan(1).kspace
        result = reconstruction("least_squares")(kspace, np.full(20, level))
        np.testing.assert_equal(result.noise_std, level)
        np.testing.assert_array_equal(result.image, reconstruction("least_squares")(kspace, SILENT).image)

    @pytest.mark.parametrize("level", [0.0, 1.0, np.nan])
    def test_zeros_give_zeros(self, level, reconstruction):
        result = reconstruction("least_squares")(np.zeros((1, 20, 510), np.complex64), np.full(20, level))
        np.testing.assert_array_equal(result.image, 0)
        assert result.remarks == ()


class TestSignalBeyondTheDisc:
    @pytest.mark.parametrize("seed", range(1, 6))
    @pytest.mark.parametrize("averages", [None, 30])
    def test_it_is_told_where_there_is_some_and_only_there(self, averages, seed, calf_scan, reconstruction):
        for corners in (False, True):
            scan = calf_scan(seed, corners=corners)
            kspace, std = (scan.kspace, SILENT) if averages is None else scan.noisy(averages, seed)
            remarks = reconstruction("least_squares")(kspace, std).remarks
            assert bool(remarks) == corners
            assert all("beyond the disc" in remark for remark in remarks)

    def test_noise_alone_is_no_signal(self, reconstruction, noise):
        for seed in range(10):
            assert not reconstruction("least_squares")(noise(1, 20, 510, seed=seed), np.ones(20)).remarks


class TestNoise:
    @pytest.mark.parametrize("strength", ["even", "uneven"])
    def test_it_is_what_is_reported_and_hardly_more_than_in_gridding(
        self, strength, calf_scan, reconstruction, noise, disc
    ):
        """Monte Carlo: the same object, other noise; the interleaves may have it unevenly."""
        scan = calf_scan(1)
        std = scan.noisy(30)[1] * (np.linspace(0.5, 1.5, 20) if strength == "uneven" else 1)
        results = [
            reconstruction("least_squares")(scan.kspace + std[:, None] * noise(1, 20, 510, seed=seed), std)
            for seed in range(30)
        ]
        scatter = np.stack([result.image for result in results])[:, disc].std(axis=0, ddof=1)
        measured = np.sqrt(np.mean(scatter**2) / 2)
        assert np.mean([result.noise_std for result in results]) == pytest.approx(measured, rel=0.02)
        gridding = reconstruction("gridding")(scan.kspace, std).noise_std
        for result in results:
            assert result.noise_std < (NOISE_GAIN + 1e-6) * gridding

    @pytest.mark.parametrize("corners", [False, True])
    def test_iterations_end_before_noise_rises(self, corners, calf_scan, reconstruction):
        for averages in (1, 5, 150):
            kspace, std = calf_scan(2, corners=corners).noisy(averages)
            gridding = reconstruction("gridding")(kspace, std).noise_std
            assert reconstruction("least_squares")(kspace, std).noise_std < (NOISE_GAIN + 1e-6) * gridding

    @pytest.mark.parametrize("quiet", [1.0, 0.1])
    def test_what_more_iterations_do_to_noise_is_known(
        self, quiet, calf_scan, reconstruction, noise, disc, monkeypatch
    ):
        """Forty of them, which no image gets; every other interleaf may have less noise."""
        monkeypatch.setattr("nadenoise_core.recon.least_squares.NOISE_GAIN", np.inf)
        monkeypatch.setattr("nadenoise_core.recon.reconstruction.least_squares", partial(least_squares, iterations=40))
        scan = calf_scan(1, corners=True)
        std = scan.noisy(30)[1] * np.where(np.arange(20) % 2, 1, quiet)
        results = [
            reconstruction("least_squares")(scan.kspace + std[:, None] * noise(1, 20, 510, seed=seed), std)
            for seed in range(20)
        ]
        scatter = np.stack([result.image for result in results])[:, disc].std(axis=0, ddof=1)
        measured = np.sqrt(np.mean(scatter**2) / 2)
        assert measured > 1.04 * reconstruction("gridding")(scan.kspace, std).noise_std
        assert np.mean([result.noise_std for result in results]) == pytest.approx(measured, rel=0.02)

    def test_the_same_data_give_the_same_image(self, calf_scan, reconstruction):
        kspace, std = calf_scan(1).noisy(30)
        first, second = (reconstruction("least_squares")(kspace, std) for _ in range(2))
        np.testing.assert_array_equal(first.image, second.image)
        assert first.noise_std == second.noise_std


def test_the_scale_of_the_data_is_that_of_the_image(calf_scan, reconstruction, relative) -> None:
    kspace, std = calf_scan(1).noisy(30)
    image, larger = (reconstruction("least_squares")(s * kspace, s * std).image for s in (1, 1000))
    assert larger.dtype == np.complex64
    assert relative(larger, 1000 * image) < 1e-4


def test_conjugate_gradients_solve_a_small_system(noise) -> None:
    """As many iterations as unknowns; what is carried along goes through the same steps, so it ends elsewhere."""
    root = noise(6, 6)
    matrix, right = root @ root.conj().T + 3 * np.eye(6), noise(2, 6, seed=2)
    steps = conjugate_gradients(
        lambda x: (matrix @ x.reshape(2, 6).T).T.reshape(2, 2, 3), right.reshape(2, 2, 3), np.ones((2, 3)), np
    )
    *_, (images, residuals) = (step for _, step in zip(range(6), steps, strict=False))
    np.testing.assert_allclose(images[0].ravel(), np.linalg.solve(matrix, right[0]), rtol=1e-9)
    for image, residual, given in zip(images, residuals, right, strict=True):
        np.testing.assert_allclose(residual.ravel(), given - matrix @ image.ravel(), atol=1e-9)


def test_conjugate_gradients_carry_along_by_a_linear_map(noise) -> None:
    root = noise(6, 6)
    matrix, right = root @ root.conj().T + 3 * np.eye(6), noise(2, 6, seed=2)

    def third(second: np.ndarray) -> np.ndarray:
        given = np.stack([right[0], second]).reshape(2, 2, 3)
        steps = conjugate_gradients(
            lambda x: (matrix @ x.reshape(2, 6).T).T.reshape(2, 2, 3), given, np.ones((2, 3)), np
        )
        *_, (images, _) = (step for _, step in zip(range(3), steps, strict=False))
        return images[1].ravel()

    np.testing.assert_allclose(third(2j * right[1] - right[0]), 2j * third(right[1]) - third(right[0]), atol=1e-9)


@pytest.mark.parametrize("shape", [((100, 100), (80, 80)), ((102, 64), (81, 50)), ((90, 90), (72, 71))])
def test_band_limiting_keeps_a_wave_within_reach_and_cuts_one_beyond(shape) -> None:
    finer, matrix = shape
    reach = (0.5, 0.4)  # cycles/pixel of the coarser grid
    y, x = (np.arange(size) - size // 2 for size in finer)
    coarse_y, coarse_x = (np.arange(size) - size // 2 for size in matrix)
    for cycles_y, cycles_x in ((0, 0), (7, -5), (0, int(0.37 * matrix[1])), (int(0.47 * matrix[0]), 0)):
        wave = np.exp(2j * np.pi * (cycles_y * y[:, None] / finer[0] + cycles_x * x / finer[1]))
        expected = np.exp(2j * np.pi * (cycles_y * coarse_y[:, None] / matrix[0] + cycles_x * coarse_x / matrix[1]))
        np.testing.assert_allclose(band_limit(wave, matrix, reach, Device()), expected, atol=1e-6)
    for cycles_y, cycles_x in ((0, int(0.44 * matrix[1])), (matrix[0] // 2 + 3, 0), (int(0.4 * matrix[0]),) * 2):
        wave = np.exp(2j * np.pi * (cycles_y * y[:, None] / finer[0] + cycles_x * x / finer[1]))
        np.testing.assert_allclose(band_limit(wave, matrix, reach, Device()), 0, atol=1e-6)


def test_the_finer_grid_is_even_and_a_quarter_larger() -> None:
    assert finer_matrix((80, 80)) == (100, 100)
    for size in range(16, 200):
        rows, columns = finer_matrix((size, 80))
        assert rows % 2 == 0 and abs(rows - 1.25 * size) <= 1 and columns == 100


def test_the_disc_is_an_ellipse_where_the_matrix_is_no_square() -> None:
    disc = field_of_view_disc((20, 11))
    assert disc.shape == (20, 11)
    assert disc[10, 5] and disc[0, 5] and disc[10, 0] and disc[10, 10]
    assert not disc[0, 0] and not disc[2, 1] and not disc[-1, -1]
    assert disc.mean() == pytest.approx(np.pi / 4, abs=0.03)


@pytest.mark.gpu
@pytest.mark.parametrize("corners", [False, True])
def test_gpu_and_cpu_agree(corners, gpu, calf_scan, reconstruction, relative) -> None:
    kspace, std = calf_scan(1, corners=corners).noisy(30)
    on_cpu, on_gpu = (reconstruction("least_squares", device)(kspace, std) for device in (Device(), gpu))
    assert relative(on_gpu.image, on_cpu.image) < 1e-3
    assert on_gpu.noise_std == pytest.approx(on_cpu.noise_std, rel=1e-3)
    assert on_gpu.remarks == on_cpu.remarks
