"""Virtual measurements as a scanner would write them."""

from __future__ import annotations

import json

import ismrmrd
import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.stream.scan import parse_header, read_scan
from nadenoise_core.study.virtual import VirtualMeasurement


def test_every_acquisition_is_there_once(measured):
    measurement, items = measured(averages=3)
    assert measurement.acquisition_count() == len(items) == 3 * 20 * 2
    counters = {(a.idx.average, a.idx.kspace_encode_step_1, a.idx.set) for a in items}
    assert counters == {(n, i, h) for n in range(3) for i in range(20) for h in range(2)}
    assert [a.scan_counter for a in items] == list(range(120))
    assert all(a.sample_time_us == pytest.approx(14.8) and a.measurement_uid == 3 for a in items)


def test_the_header_announces_them(measured):
    scan = read_scan(parse_header(measured(averages=3)[0].header_xml()))
    assert [scan.count(name) for name in ("kspace_encode_step_1", "average", "set")] == [20, 3, 2]
    assert scan.encoding.matrix == (80, 80) and scan.encoding.field_of_view == (180.0, 180.0)
    assert scan.header.version is None  # Gadgetron refuses headers of another version


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
