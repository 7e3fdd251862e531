"""Echoes and repetitions: each object says its own echo time and position in time."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pydicom
import pytest

from nadenoise_core.chain.gadget import DicomFile

STAGES = ["accumulate", "reconstruct", ("deliver", {"send": "true"})]


def limit(name: str, count: int) -> str:
    return f"<{name}><minimum>0</minimum><maximum>{count - 1}</maximum><center>0</center></{name}>"


@pytest.fixture
def objects(measured, run_chain, changed):
    """DICOM objects of a scan whose acquisitions come at each value of a counter."""
    measurement, items = measured()

    def deliver(counter: str, count: int, echo_times: str = "<TE>0.23</TE>") -> list[Any]:
        header = measurement.header_xml()
        for old, new in (("<TE>0.23</TE>", echo_times), ("<set>", limit(counter, count) + "<set>")):
            assert old in header
            header = header.replace(old, new)
        scan = [changed(item, **{counter: value}) for value in range(count) for item in items]
        came = run_chain(STAGES, header, scan)
        return [pydicom.dcmread(BytesIO(item.content)) for item in came if isinstance(item, DicomFile)]

    return deliver


def test_each_echo_has_its_own_time_number_and_series(objects) -> None:
    first, second = objects("contrast", 2, "<TE>0.23</TE><TE>5.0</TE>")
    assert [float(one.EchoTime) for one in (first, second)] == [0.23, 5.0]
    assert [int(one.EchoNumbers) for one in (first, second)] == [1, 2]
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.SeriesNumber != second.SeriesNumber
    assert [one.SeriesDescription[-6:] for one in (first, second)] == ["echo 1", "echo 2"]


def test_an_echo_whose_time_the_header_lacks_is_not_given_that_of_another(objects) -> None:
    first, second = objects("contrast", 2)
    assert float(first.EchoTime) == 0.23 and second.EchoTime is None


def test_repetitions_are_positions_in_time_of_one_series(objects) -> None:
    series = objects("repetition", 3)
    assert [int(one.TemporalPositionIdentifier) for one in series] == [1, 2, 3]
    assert {int(one.NumberOfTemporalPositions) for one in series} == {3}
    assert len({one.SeriesInstanceUID for one in series}) == 1
    assert all("EchoNumbers" not in one for one in series)


def test_a_scan_of_one_place_says_nothing_of_them(objects) -> None:
    (only,) = objects("phase", 1)
    assert "EchoNumbers" not in only and "TemporalPositionIdentifier" not in only
    assert only.SeriesDescription == "23Na NUFFT 2 avg"
