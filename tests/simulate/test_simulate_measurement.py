"""Virtual measurements as a scanner would write them."""

from __future__ import annotations

import json

import ismrmrd
import numpy as np
import pytest
from ismrmrd.xsd import CreateFromDocument

from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom import kspace
from nadenoise_core.sampling import PAPER_SPIRAL
from nadenoise_core.simulate.measurement import VirtualMeasurement


def test_every_acquisition_is_there_once(measured):
    measurement, items = measured(averages=3)
    assert measurement.acquisition_count() == len(items) == 3 * 20 * 2
    counters = {(a.idx.average, a.idx.kspace_encode_step_1, a.idx.set) for a in items}
    assert counters == {(n, i, h) for n in range(3) for i in range(20) for h in range(2)}
    assert [a.scan_counter for a in items] == list(range(120))
    assert all(a.sample_time_us == pytest.approx(14.8) and a.measurement_uid == 3 for a in items)


def test_the_header_announces_them(measured):
    xml = measured(averages=3)[0].header_xml()
    scan = read_scan(xml)
    assert [scan.count(name) for name in ("kspace_encode_step_1", "average", "set")] == [20, 3, 2]
    assert scan.encoding.matrix == (80, 80) and scan.encoding.field_of_view == (180.0, 180.0)
    assert CreateFromDocument(xml).version is None  # Gadgetron refuses headers of another version


def test_order_and_coils(measured):
    _, inner = measured(order="innermost")
    assert [a.idx.average for a in inner[:4]] == [0, 0, 1, 1]
    measurement, several = measured(coils=4)
    assert several[0].is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    assert not any(a.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT) for a in several[1:])
    assert {a.active_channels for a in several} == {4}
    assert measurement.acquisition_count() == len(several)


def test_the_same_seed_is_the_same_scan(measured):
    measurement, items = measured(averages=2)
    again = list(VirtualMeasurement(seed=3, averages=2, noise=4.0).acquisitions())
    assert all(np.array_equal(a.data, b.data) for a, b in zip(items, again, strict=True))
    other = next(VirtualMeasurement(seed=4, averages=2, noise=4.0).acquisitions())
    assert not np.array_equal(items[0].data, other.data)
    assert measurement.header_xml() != VirtualMeasurement(seed=4, averages=2, noise=4.0).header_xml()


def test_truth_is_plain_data():
    truth = VirtualMeasurement(seed=3, muscle=20.0).truth()
    assert json.loads(json.dumps(truth))["tubes"][0]["concentration"] == 10
    assert truth["muscle"] == pytest.approx(20.0, abs=1.0)


def test_an_unknown_unit_is_told():
    with pytest.raises(BadInputError, match="unknown trajectory unit 'rad'; use cycles/pixel"):
        VirtualMeasurement(trajectory_unit="rad")


class TestEffects:
    @pytest.mark.parametrize(
        "effect",
        [
            {"trajectory_delay": 4.0},
            {"off_resonance": 25.0},
            {"frequency_offset": -10.0},
            {"relaxation": True},
            {"conjugate": True},
        ],
        ids=str,
    )
    def test_change_the_samples_alone(self, effect, measured):
        (plain, without), (measurement, items) = measured(), measured(**effect)
        assert all(np.array_equal(a.traj, b.traj) for a, b in zip(items, without, strict=True))
        assert not any(np.allclose(a.data[:, 1:], b.data[:, 1:]) for a, b in zip(items, without, strict=True))
        assert plain.scan().noise_std == measurement.scan().noise_std
        header, other = (CreateFromDocument(m.header_xml()) for m in (plain, measurement))
        assert header.measurementInformation.measurementID != other.measurementInformation.measurementID
        header.measurementInformation = other.measurementInformation = None
        assert header == other

    def test_off_is_off(self, measured):
        plain, without = measured()
        off = {"trajectory_delay": 0.0, "off_resonance": 0.0, "frequency_offset": 0.0, "relaxation": False}
        again = VirtualMeasurement(seed=3, averages=2, noise=4.0, conjugate=False, **off)
        assert again.physics() is None and again.header_xml() == plain.header_xml()
        assert all(np.array_equal(a.data, b.data) for a, b in zip(again.acquisitions(), without, strict=True))
        truth = again.truth()
        assert truth["relaxation"] is None and (truth["field_map"]["amplitude"], truth["field_map"]["offset"]) == (0, 0)

    def test_a_sample_was_taken_where_the_gradients_were_earlier(self):
        nominal, dwell = PAPER_SPIRAL.trajectory(), PAPER_SPIRAL.dwell_time
        late, early = (VirtualMeasurement(trajectory_delay=sign * dwell).scan().trajectory for sign in (1, -1))
        assert late.shape == early.shape == nominal.shape
        np.testing.assert_allclose(late[:, 1:], nominal[:, :-1], atol=1e-12)
        # The nominal readout ends with its gradients, 0.03 us later; from then on k-space stands still.
        np.testing.assert_allclose(early[:, :-1], nominal[:, 1:], atol=1e-12)
        np.testing.assert_allclose(early[:, -1], nominal[:, -1], atol=1e-12)
        np.testing.assert_array_equal(VirtualMeasurement(trajectory_delay=100.0).scan().trajectory[:, :7], 0)

    def test_a_delayed_scan_is_that_of_the_true_trajectory(self, measured):
        measurement, items = measured(noise=0.0, trajectory_delay=5.0, half_pulses=False, averages=1)
        scan = measurement.scan()
        expected = kspace(measurement.calf(), scan.trajectory, scan.pixel)
        phase = scan.sensitivities([0, 0])[0]
        found = np.array([item.data[0] for item in items])
        np.testing.assert_allclose(found, phase * expected, rtol=0, atol=1e-6 * np.abs(expected).max())
        written = np.array([item.traj for item in items]) / scan.pixel
        np.testing.assert_allclose(written, PAPER_SPIRAL.trajectory(), atol=1e-7)

    def test_conjugate_samples_are_all_of_them(self, measured):
        (_, plain), (_, items) = measured(coils=2), measured(coils=2, conjugate=True)
        assert all(np.array_equal(a.data, b.data.conj()) for a, b in zip(items, plain, strict=True))

    def test_time_goes_by_from_sample_to_sample(self, measured):
        (measurement, plain), (_, items) = (
            measured(noise=0.0, half_pulses=False, averages=1, **effect) for effect in ({}, {"frequency_offset": 30.0})
        )
        turn = np.exp(-2j * np.pi * 30.0 * 14.8e-6 * np.arange(510))
        for item, other in zip(items, plain, strict=True):
            np.testing.assert_allclose(item.data, other.data * turn, rtol=0, atol=1e-6 * np.abs(other.data).max())

    def test_the_first_sample_is_the_saturated_sum_at_the_echo_time(self, measured):
        """k = 0 comes first but for 4 us, in which it moves by 1e-5 cycles/mm."""
        measurement, items = measured(noise=0.0, half_pulses=False, averages=1, relaxation=True)
        truth = json.loads(json.dumps(measurement.truth()))
        times = truth["relaxation"]["times"]
        header = CreateFromDocument(measurement.header_xml()).sequenceParameters
        assert [header.TR, header.TE, header.flipAngle_deg] == [
            [truth["relaxation"][name]] for name in ("repetition_time", "echo_time", "flip_angle")
        ]
        left = {
            kind: t["saturation"] * sum(share * np.exp(-header.TE[0] / time) for share, time in t["t2_star"])
            for kind, t in times.items()
        }
        calf, total = measurement.calf(), 0.0
        for tissue in calf.tissues:
            own = tissue.outline.area - sum(c.outline.area for c in calf.tissues if c.parent == tissue.name)
            total += own * tissue.concentration * left[tissue.kind]
        total += sum(tube.outline.area * tube.concentration * left["tube"] for tube in calf.tubes)
        assert abs(items[0].data[0, 0]) == pytest.approx(total / 2.25**2, rel=1e-4)

    def test_the_truth_tells_the_field_map(self):
        measurement = VirtualMeasurement(off_resonance=25.0, frequency_offset=-4.0)
        told = json.loads(json.dumps(measurement.truth()))["field_map"]
        points = np.random.default_rng(0).uniform(-90, 90, (20, 2))
        turns = points @ np.array(told["cycles"]) / told["period"]
        expected = told["offset"] + told["amplitude"] * np.sin(2 * np.pi * turns + told["start"])
        np.testing.assert_allclose(measurement.field_map().at(points), expected, rtol=1e-12)
        np.testing.assert_allclose(expected, -4 + 25 * np.sin(2 * np.pi * points[:, 0] / 200), rtol=1e-9)

    @pytest.mark.parametrize(
        ("effect", "words"),
        [
            ({"trajectory_delay": 101.0}, "trajectory_delay must be within 100 us"),
            ({"trajectory_delay": float("nan")}, "trajectory_delay must be within 100 us"),
            ({"off_resonance": 2000.0}, "amplitude of a field map must be within 1000 Hz"),
            ({"frequency_offset": float("inf")}, "offset of a field map must be within 1000 Hz"),
        ],
        ids=str,
    )
    def test_out_of_range_is_told(self, effect, words):
        with pytest.raises(BadInputError, match=words):
            VirtualMeasurement(**effect)
