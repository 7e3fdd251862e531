"""Scans whose samples contradict themselves: refused where the image would be of something else, else told."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import RawDataError, TrajectoryError


@pytest.fixture(scope="module")
def scan(measured):
    """Header and acquisitions of 4 averages without half-pulses."""
    measurement, items = measured(averages=4, half_pulses=False, noise=15.0)
    return measurement.header_xml(), items


@pytest.fixture
def accumulated(run_chain, caplog):
    """What a scan gives rise to: the warnings of its average."""

    def run(header, items, **properties):
        assert run_chain([("accumulate", properties)], header, items)
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    return run


def phase(degrees):
    return np.exp(1j * np.radians(degrees))


def test_a_right_scan_is_not_doubted(scan, accumulated):
    assert accumulated(*scan) == []


@pytest.mark.parametrize("averages", [1, 4])
def test_phases_of_the_excitation_in_the_interleaves_are_refused(averages, scan, accumulated, changed):
    header, items = scan
    i = [item.idx.kspace_encode_step_1 for item in items]
    cycled = [changed(a, data=a.data * phase(117 * n * (n + 1) / 2)) for a, n in zip(items, i, strict=True)]
    with pytest.raises(RawDataError, match="differ by 9.* of the signal at the centre of k-space"):
        accumulated(header, cycled[: 20 * averages])


def test_phases_that_run_on_over_averages_are_refused(scan, accumulated, changed):
    header, items = scan
    spoiled = [changed(a, data=a.data * phase(50 * n * (n + 1))) for n, a in enumerate(items)]
    with pytest.raises(RawDataError, match="averages do not repeat one another"):
        accumulated(header, spoiled)


@pytest.mark.parametrize("dead", [8, 12])
def test_samples_that_were_taken_late_are_refused(dead, scan, accumulated, changed):
    header, items = scan
    late = [changed(a, data=np.pad(a.data[:, dead:], ((0, 0), (0, dead)))) for a in items]
    with pytest.raises(RawDataError, match="delay of the trajectory"):
        accumulated(header, late)
    with pytest.raises(RawDataError, match="strongest .* cycles/FOV from the centre"):
        accumulated(header, [changed(a, data=np.roll(a.data, -dead, axis=1)) for a in items])


@pytest.mark.parametrize(
    "options", [{"averages": 1}, {"averages": 4}, {"averages": 4, "half_pulses": True}, {"averages": 1, "coils": 4}]
)
def test_a_receiver_that_was_overloaded_is_refused(options, measured, run_chain, changed):
    measurement, items = measured(**{"half_pulses": False, "noise": 15.0, **options})
    images = [item for item in items if item.traj.any()]
    coil = len(images[0].data) - 1
    limit = 0.6 * max(np.abs(item.data[coil].view(np.float32)).max() for item in images)
    cut = []
    for item in items:
        data = item.data.copy()
        data[coil] = np.clip(data[coil].view(np.float32), -limit, limit).view(np.complex64)
        cut.append(changed(item, data=data))
    with pytest.raises(RawDataError, match="receiver that was overloaded"):
        run_chain(["prewhiten", "accumulate"], measurement.header_xml(), cut)


@pytest.mark.parametrize("off", [slice(3), slice(200, 210), slice(400, None)])
def test_samples_that_the_receiver_did_not_take_are_refused(off, scan, accumulated, changed):
    header, items = scan
    gaps = [changed(a) for a in items]
    for item in gaps:
        item.data[:, off] = 0
    samples = range(items[0].number_of_samples)[off]
    with pytest.raises(RawDataError, match=f"{len(samples)} of the 510 samples are 0 .* sample {samples[0]} "):
        accumulated(header, gaps)
    if not off.stop:
        accumulated(header, [changed(a, discard_post=len(samples)) for a in gaps])


def test_samples_that_rounding_made_0_are_no_gap(measured, accumulated, changed):
    measurement, items = measured(averages=2, half_pulses=False, noise=0.5)
    step = max(np.abs(item.data).max() for item in items) / 31
    coarse = [changed(a, data=(step * np.round(a.data.view(np.float32) / step)).view(np.complex64)) for a in items]
    accumulated(measurement.header_xml(), coarse)


def test_one_sample_that_fills_up_costs_nothing(scan, accumulated, changed):
    header, items = scan
    longer = [changed(a, np.pad(a.data, ((0, 0), (0, 1))), np.vstack([a.traj, a.traj[-1:]])) for a in items]
    assert accumulated(header, longer) == []


def test_samples_in_whole_numbers_are_as_good_as_any(scan, accumulated, changed):
    header, items = scan
    largest = max(np.abs(item.data.view(np.float32)).max() for item in items)
    sizes = [np.round(item.data.view(np.float32) / largest * 2047).view(np.complex64) for item in items]  # 12 bits
    assert accumulated(header, [changed(a, data=size) for a, size in zip(items, sizes, strict=True)]) == []


def test_a_filter_narrower_than_the_sampling_rate_is_told(scan, accumulated, changed):
    header, items = scan
    filtered = [
        changed(a, data=np.convolve(a.data[0], [0.25, 0.5, 0.25], "same")[None].astype(np.complex64)) for a in items
    ]
    (warning,) = accumulated(header, filtered)
    assert "the noise of neighbouring samples is correlated by 6" in warning and "told about 1.5 times" in warning


def test_interleaves_without_excitation_are_told(scan, accumulated, changed):
    header, items = scan
    weak = [changed(a, data=a.data * (0.1 if a.idx.kspace_encode_step_1 in (3, 9, 15) else 1)) for a in items]
    (warning,) = accumulated(header, weak)
    assert "interleaves differ by 35 %" in warning


def test_an_average_of_another_gain_is_told(scan, accumulated, changed):
    header, items = scan
    louder = [changed(a, data=a.data * (1 + (a.idx.average == 2))) for a in items]
    (warning,) = accumulated(header, louder)
    assert "average 2 (counted from 0) is much stronger" in warning


def test_a_spike_is_told(scan, accumulated, changed):
    header, items = scan
    spike = np.zeros_like(items[33].data)
    spike[0, 400] = 50 * abs(items[33].data[0, 0])
    (warning,) = accumulated(header, [*items[:33], changed(items[33], data=items[33].data + spike), *items[34:]])
    assert "interleaf 13 scatter" in warning


def test_an_offset_of_the_receiver_is_told(scan, accumulated, changed):
    header, items = scan
    offset = 0.02 * abs(items[0].data[0, 0])
    (warning,) = accumulated(header, [changed(a, data=a.data + offset) for a in items])
    assert "constant part" in warning


def test_arms_of_cones_are_no_spirals_of_a_slice(scan, accumulated, changed):
    header, items = scan
    angles = [np.pi / 2 * (1 - a.idx.kspace_encode_step_1 / 20) for a in items]
    with pytest.raises(TrajectoryError, match="three dimensions"):
        accumulated(header, [changed(a, trajectory=a.traj * np.sin(t)) for a, t in zip(items, angles, strict=True)])


def test_a_unit_that_leaves_one_pixel_is_refused(scan, accumulated):
    with pytest.raises(TrajectoryError, match=r"reaches 0\.\d+ % of the way"):
        accumulated(*scan, trajectory_unit="1/m")
