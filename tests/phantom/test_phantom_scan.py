"""The virtual scan: half-pulses, noise, order, coils and phase."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import Calf, VirtualAcquisition, VirtualScan, concentration, kspace
from nadenoise_core.phantom.fields import smooth_phase, surface_coils
from nadenoise_core.phantom.pixels import pixel_grid

PIXEL = 2.25
Trajectory = NDArray[np.float64]


def stack(acquisitions: list[VirtualAcquisition]) -> NDArray[np.complex64]:
    return np.array([acquisition.samples for acquisition in acquisitions])


def summed(scan: VirtualScan) -> NDArray[np.complex128]:
    """(averages, coils, interleaves, samples): half-pulses added."""
    total = np.zeros((scan.averages, scan.coils, scan.interleaves, scan.samples), complex)
    for acquisition in scan.acquisitions():
        total[acquisition.average, :, acquisition.interleaf] += acquisition.samples
    return total


def test_one_birdcage_measures_the_calf_but_for_a_phase(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, half_pulses=False)
    ratio = summed(scan)[0, 0] / kspace(calf, trajectory, PIXEL)
    assert np.abs(ratio - ratio[0, 0]).max() < 1e-3
    assert abs(ratio[0, 0]) == pytest.approx(1, abs=1e-6)
    other = VirtualScan(calf, trajectory, PIXEL, half_pulses=False, seed=1)
    assert abs(np.angle(summed(other)[0, 0, 0, 0] / summed(scan)[0, 0, 0, 0])) > 0.05


def test_the_sum_of_half_pulses_cancels_what_is_out_of_the_slice(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, averages=2)
    first, second = list(scan.acquisitions())[:2]
    scale = np.abs(scan.kspace).max()
    assert np.abs(first.samples - second.samples).max() > 0.1 * scale, "there must be something to cancel"
    assert np.abs(summed(scan) - scan.kspace).max() < 1e-6 * scale
    clean = VirtualScan(calf, trajectory, PIXEL, out_of_slice=0)
    first, second = list(clean.acquisitions())[:2]
    np.testing.assert_array_equal(first.samples, second.samples)


@pytest.mark.parametrize(("degrees", "loss"), [(10, 0.004), (30, 0.034), (60, 0.134)])
def test_a_phase_between_half_pulses_costs_signal(
    calf: Calf, trajectory: Trajectory, degrees: float, loss: float
) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, half_pulse_phase=degrees, out_of_slice=0)
    ratio = np.abs(summed(scan)[0, 0, 0, 0]) / np.abs(scan.kspace[0, 0, 0])
    assert 1 - ratio == pytest.approx(loss, abs=1e-3)
    first, second = list(scan.acquisitions())[:2]
    assert math.degrees(np.angle(second.samples[0, 0] / first.samples[0, 0])) == pytest.approx(degrees, abs=1e-3)


@pytest.mark.parametrize("half_pulses", [True, False])
def test_noise_has_the_stated_standard_deviation(calf: Calf, trajectory: Trajectory, half_pulses: bool) -> None:
    scan = VirtualScan(
        calf, trajectory, PIXEL, averages=100, noise_std=60, half_pulses=half_pulses, out_of_slice=0, coils=2
    )
    clean = dataclasses.replace(scan, averages=1, noise_std=0.0)
    noise = summed(scan) - summed(clean)
    each = stack(list(scan.acquisitions())) - np.tile(stack(list(clean.acquisitions())), (100, 1, 1))
    for parts, expected in ((noise, 60), (each, 60 / math.sqrt(2) if half_pulses else 60)):
        tolerance = 5 * expected / math.sqrt(2 * parts.size)
        assert parts.real.std() == pytest.approx(expected, abs=tolerance)
        assert parts.imag.std() == pytest.approx(expected, abs=tolerance)
        assert abs(parts.mean()) < 5 * math.sqrt(2) * expected / math.sqrt(parts.size)
        assert abs((parts.real * parts.imag).mean()) < 5 * expected**2 / math.sqrt(parts.size)


def test_noise_is_independent_between_acquisitions(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, averages=3, noise_std=1, coils=2)
    clean = dataclasses.replace(scan, noise_std=0.0)
    noise = stack(list(scan.acquisitions())) - stack(list(clean.acquisitions()))
    rows = noise.reshape(-1, scan.samples)
    assert len(rows) == 3 * 6 * 2 * 2
    correlation = np.abs(rows @ rows.conj().T) / (scan.samples * 1.0)
    np.fill_diagonal(correlation, 0)
    assert correlation.max() < 0.75, "repeated noise would correlate with 1"


def test_the_order_changes_no_bit(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, averages=4, noise_std=5, coils=2)
    outermost, innermost = list(scan.acquisitions()), list(scan.acquisitions(order="innermost"))

    def key(acquisition: VirtualAcquisition) -> tuple[int, int, int]:
        return acquisition.average, acquisition.interleaf, acquisition.half

    assert [key(a) for a in outermost] == [(a, i, h) for a in range(4) for i in range(6) for h in range(2)]
    assert [key(a) for a in innermost] == [(a, i, h) for i in range(6) for a in range(4) for h in range(2)]
    again = {key(acquisition): acquisition.samples for acquisition in innermost}
    for acquisition in outermost:
        assert acquisition.samples.tobytes() == again[key(acquisition)].tobytes()


def test_a_scan_repeats_exactly_and_its_seed_matters(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, noise_std=5, seed=3)
    same, other = (dataclasses.replace(scan, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(stack(list(scan.acquisitions())), stack(list(same.acquisitions())))
    assert not np.array_equal(scan.noise_scan(64), other.noise_scan(64))


def test_more_averages_leave_the_earlier_ones_as_they_were(calf: Calf, trajectory: Trajectory) -> None:
    short, long = (VirtualScan(calf, trajectory, PIXEL, averages=n, noise_std=5) for n in (2, 5))
    np.testing.assert_array_equal(summed(short), summed(long)[:2])


@pytest.mark.parametrize("half_pulses", [True, False])
def test_counts_and_types(calf: Calf, trajectory: Trajectory, half_pulses: bool) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, averages=3, coils=4, half_pulses=half_pulses, noise_std=1)
    acquisitions = list(scan.acquisitions())
    assert len(acquisitions) == scan.acquisition_count == 3 * 6 * (2 if half_pulses else 1)
    assert {(a.samples.shape, a.samples.dtype) for a in acquisitions} == {((4, 40), np.dtype(np.complex64))}
    assert {a.half for a in acquisitions} == ({0, 1} if half_pulses else {0})


def test_noise_scan_is_the_noise_of_an_acquisition(calf: Calf, trajectory: Trajectory) -> None:
    scan = VirtualScan(calf, trajectory, PIXEL, noise_std=60, coils=3)
    noise = scan.noise_scan(20_000)
    assert noise.shape == (3, 20_000) and noise.dtype == np.complex64
    assert noise.real.std() == pytest.approx(60 / math.sqrt(2), rel=0.02)
    assert noise.imag.std() == pytest.approx(60 / math.sqrt(2), rel=0.02)
    np.testing.assert_array_equal(noise, scan.noise_scan(20_000))
    assert not np.array_equal(noise, scan.noise_scan(20_000, index=1))
    assert not VirtualScan(calf, trajectory, PIXEL).noise_scan(10).any()


@pytest.mark.parametrize(("coils", "object_phase"), [(1, 0), (1, 70), (4, 0), (3, 40)])
def test_kspace_is_that_of_sensitivity_times_object(
    calf: Calf, trajectory: Trajectory, coils: int, object_phase: float
) -> None:
    low = trajectory[:2, :12:3] / 3
    scan = VirtualScan(calf, low, 0.5, coils=coils, object_phase=object_phase)
    points = pixel_grid(360, 180.0)
    seen = scan.sensitivities(points) * concentration(calf, 360, 180.0, oversampling=4)
    waves = np.exp(-2j * np.pi * np.einsum("rcx,isx->isrc", points, low))
    numeric = np.einsum("nrc,isrc->nis", seen, waves)
    assert scan.kspace.shape == numeric.shape == (coils, 2, 4)
    np.testing.assert_allclose(scan.kspace, numeric, atol=3e-3 * np.abs(numeric).max())


def test_surface_coils_are_smooth_distinct_and_cover_the_leg() -> None:
    values = surface_coils(8, 0.3).at(pixel_grid(60, 180.0))
    strength = np.sqrt((np.abs(values) ** 2).sum(axis=0))
    assert strength.min() > 0.5 * strength.max() > 0.5
    strongest = [np.unravel_index(np.abs(v).argmax(), v.shape) for v in values]
    assert len(set(strongest)) == 8
    for one in values:
        assert np.abs(np.diff(one)).max() < 0.05 * np.abs(one).max()
        assert np.abs(one).max() > 2 * np.abs(one).min()
        assert np.ptp(np.angle(one * np.exp(-1j * np.angle(one.mean())))) > 0.3
    flat = values.reshape(8, -1)
    assert np.linalg.matrix_rank(flat, tol=1e-6 * np.linalg.norm(flat)) == 8


@pytest.mark.parametrize("seed", range(4))
def test_smooth_phase_is_a_pure_phase_up_to_its_peak(seed: int) -> None:
    values = smooth_phase(1.2, np.random.default_rng(seed)).at(pixel_grid(60, 400.0))
    np.testing.assert_allclose(np.abs(values), 1, atol=1e-10)
    assert np.abs(np.angle(values)).max() == pytest.approx(1.2, abs=0.01)


def test_product_of_fields() -> None:
    coils, phase = surface_coils(3, 0.1), smooth_phase(0.8, np.random.default_rng(2))
    points = np.random.default_rng(0).uniform(-90, 90, (30, 2))
    np.testing.assert_allclose(coils.times(phase).at(points), coils.at(points) * phase.at(points), atol=1e-12)


def test_the_trajectory_is_a_copy_that_cannot_change(calf: Calf, trajectory: Trajectory) -> None:
    mine = trajectory.copy()
    scan = VirtualScan(calf, mine, PIXEL)
    mine[:] = 0
    np.testing.assert_array_equal(scan.trajectory, trajectory)
    with pytest.raises(ValueError, match="read-only"):
        scan.trajectory[0] = 0


@pytest.mark.parametrize(
    "fields",
    [
        {"trajectory": np.zeros((20, 510, 3))},
        {"trajectory": np.zeros((510, 2))},
        {"trajectory": np.zeros((0, 510, 2))},
        {"trajectory": np.full((2, 5, 2), np.nan)},
        {"pixel": 0},
        {"pixel": math.nan},
        {"averages": 0},
        {"averages": 1.5},
        {"coils": 0},
        {"noise_std": -1},
        {"noise_std": math.nan},
        {"out_of_slice": -0.1},
        {"seed": -1},
        {"half_pulse_phase": math.inf},
        {"object_phase": 400},
    ],
)
def test_bad_scans(calf: Calf, trajectory: Trajectory, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        VirtualScan(**{"calf": calf, "trajectory": trajectory, "pixel": PIXEL, **fields})


def test_an_unknown_order_is_refused_at_once(calf: Calf, trajectory: Trajectory) -> None:
    with pytest.raises(BadInputError, match="sideways"):
        VirtualScan(calf, trajectory, PIXEL).acquisitions(order="sideways")  # type: ignore[arg-type]
