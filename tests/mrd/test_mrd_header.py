"""ISMRMRD headers: what is read, and what is refused."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ismrmrd.xsd import CreateFromDocument
from lxml import etree

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>
  <encoding>
    <encodedSpace>
      <matrixSize><x>96</x><y>48</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>216</x><y>108</y><z>30</z></fieldOfView_mm>
    </encodedSpace>
    <reconSpace>
      <matrixSize><x>80</x><y>40</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>180</x><y>90.5</y><z>25</z></fieldOfView_mm>
    </reconSpace>
    <encodingLimits>
      <kspace_encoding_step_1><minimum>0</minimum><maximum>19</maximum><center>0</center></kspace_encoding_step_1>
      <average><minimum>0</minimum><maximum>29</maximum><center>0</center></average>
    </encodingLimits>
    <trajectory>spiral</trajectory>
  </encoding>
</ismrmrdHeader>"""


def test_what_the_chain_needs_is_read():
    scan = read_scan(HEADER)
    assert scan.encoding.matrix == (40, 80) and scan.encoding.field_of_view == (90.5, 180.0)
    assert scan.encoding.encoded_matrix == (48, 96) and scan.encoding.encoded_field_of_view == (108.0, 216.0)
    assert scan.slice_thickness == 25.0


def test_limits_count_from_0_and_may_be_missing():
    scan = read_scan(HEADER)
    assert scan.count("kspace_encode_step_1") == 20 and scan.count("average") == 30
    assert {scan.count(counter) for counter in Counter} == {20, 30, None}
    bare = read_scan(without(HEADER, "encodingLimits", keep_element=True))
    assert all(bare.count(counter) is None for counter in Counter)


@pytest.mark.parametrize("end", ["\0", "\n\0", "\0\0", "\n", " \n"])
def test_what_fire_puts_at_the_end_is_ignored(end):
    for text in (HEADER + end, (HEADER + end).encode()):
        assert read_scan(text).encoding.matrix == (40, 80)


@pytest.mark.parametrize("text", [b"", b"\0", b"no header", HEADER.encode()[:700], b"<html/>", b"\xff\xfe\x00"])
def test_garbage_is_refused(text):
    with pytest.raises(RawDataError) as caught:
        read_scan(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", ["SPIRAL", " Spiral ", "other", "spirale", ""])
def test_what_may_be_a_spiral_is_one_if_its_samples_are(kind):
    scan = read_scan(HEADER.replace(">spiral<", f">{kind}<"))
    assert scan.says_spiral == (kind.strip().lower() == "spiral")
    assert read_scan(HEADER.replace("<trajectory>spiral</trajectory>", "")).says_spiral is False


@pytest.mark.parametrize("kind", ["cartesian", "radial", "epi", "goldenangle"])
def test_another_trajectory_is_refused_by_name(kind):
    with pytest.raises(RawDataError, match=rf"trajectory '{kind}'; nadenoise reconstructs 'spiral'"):
        read_scan(HEADER.replace(">spiral<", f">{kind}<"))


def without(text: str, name: str, keep_element: bool = False) -> str:
    root = etree.fromstring(text.encode())
    for element in root.iter(f"{{*}}{name}"):
        if keep_element:
            element[:] = []
        else:
            element.getparent().remove(element)
    return etree.tostring(root).decode()


@pytest.mark.parametrize("name", ["encoding", "matrixSize", "fieldOfView_mm"])
def test_a_missing_part_is_told(name):
    with pytest.raises(RawDataError) as caught:
        read_scan(without(HEADER, name))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<x>80</x>", "<x>0</x>", "reconSpace has matrix 0x40"),
        ("<x>80</x>", "<x>many</x>", "reconSpace has matrix manyx40"),
        ("<y>90.5</y>", "<y>NaN</y>", "180xNaN mm"),
        ("<y>90.5</y>", "<y>INF</y>", "180xINF mm"),
    ],
)
def test_sizes_that_are_no_sizes_are_told(old, new, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RawDataError, match=words):
            read_scan(HEADER.replace(old, new, 1))


@pytest.mark.parametrize(
    ("changed", "space", "words"),
    [
        (without(HEADER, "encodedSpace"), "recon", "encodedSpace cannot be used"),
        (HEADER.replace("<y>108</y>", "<y>-108</y>"), "recon", "encodedSpace cannot be used"),
        (HEADER.replace("<x>96</x>", "<x>n/a</x>"), "recon", "encodedSpace cannot be used"),
        (without(HEADER, "reconSpace"), "encoded", "reconSpace cannot be used"),
    ],
)
def test_one_space_stands_for_the_other(changed, space, words, caplog):
    scan = read_scan(changed)
    recon = ((40, 80), (90.5, 180.0)), ((48, 96), (108.0, 216.0))
    expected = recon[space == "encoded"]
    assert (scan.encoding.matrix, scan.encoding.field_of_view) == expected
    assert (scan.encoding.encoded_matrix, scan.encoding.encoded_field_of_view) == expected
    assert words in caplog.text


def test_the_slice_thickness_may_be_in_either_space():
    assert read_scan(HEADER.replace("<z>25</z>", "<z>0</z>")).slice_thickness == 30.0
    with pytest.raises(RawDataError, match="slice thickness, '0'"):
        read_scan(HEADER.replace("<z>25</z>", "<z>0</z>").replace("<z>30</z>", "<z>0</z>"))


@pytest.mark.parametrize("unit", [1000.0, 1.0])
def test_a_field_of_view_in_metres_is_taken_as_such(unit, caplog):
    header = HEADER
    for size in ("216", "108", "30", "180", "90.5", "25"):
        header = re.sub(f"<([xyz])>{size}</", f"<\\1>{float(size) / unit}</", header)
    scan = read_scan(header)
    assert scan.encoding.field_of_view == pytest.approx((90.5, 180.0)) and scan.slice_thickness == pytest.approx(25)
    assert ("taken as metres" in caplog.text) == (unit > 1)


def test_a_limit_that_is_no_number_is_left_out_with_a_warning(caplog):
    scan = read_scan(HEADER.replace("<maximum>29<", "<maximum>all<"))
    assert scan.count("average") is None and scan.count("kspace_encode_step_1") == 20
    assert [record.getMessage() for record in caplog.records] == [
        "the header's average maximum is no number and is left out"
    ]


def test_a_header_goes_through_xml():
    header = CreateFromDocument(VirtualMeasurement(seed=5, averages=7).header_xml())
    assert CreateFromDocument(serialise_header(header)) == header
    assert read_scan(serialise_header(header)).count("average") == 7


leaves = [place for place, element in enumerate(etree.fromstring(HEADER.encode()).iter()) if place]


@given(
    st.lists(st.tuples(st.sampled_from(leaves), st.sampled_from(["drop", "", "-1", "x", "nan", "1e99", "spiral"]))
             , min_size=1, max_size=3)
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_a_damaged_header_is_read_or_refused(changes):
    root = etree.fromstring(HEADER.encode())
    elements = list(root.iter())
    for place, change in changes:
        element = elements[place]
        if change == "drop" and element.getparent() is not None:
            element.getparent().remove(element)
        elif change != "drop":
            element.text = change
    try:
        scan = read_scan(etree.tostring(root))
        counts = [scan.count(counter) for counter in Counter]
    except RawDataError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert min(scan.encoding.matrix) > 0 and all(count is None or isinstance(count, int) for count in counts)


def timed(times: str) -> str:
    return HEADER.replace("</ismrmrdHeader>", f"<sequenceParameters>{times}</sequenceParameters></ismrmrdHeader>")


@pytest.mark.parametrize(
    ("given", "times", "echoes", "told"),
    [
        ("<TR>0.1</TR><TE>0.00023</TE>", (100.0,), (0.23,), True),
        ("<TR>0.1</TR><TE>0.23</TE>", (100.0,), (0.23,), True),  # an echo after the repetition is in ms
        ("<TR>100</TR><TE>0.07</TE>", (100.0,), (0.07,), False),
    ],
)
def test_times_in_seconds_are_taken_as_such(given, times, echoes, told, caplog):
    sequence = read_scan(timed(given)).sequence
    assert (sequence.repetition_times, sequence.echo_times) == (times, echoes)
    assert ("taken as seconds" in caplog.text) == told


@pytest.mark.parametrize(("repetition_time", "told"), [("100", False), ("5000", False), ("100000", True)])
def test_a_repetition_time_in_microseconds_is_told(repetition_time, told, caplog):
    assert read_scan(timed(f"<TR>{repetition_time}</TR>")).sequence.repetition_times == (float(repetition_time),)
    assert ("as if in us" in caplog.text) == told


@pytest.mark.parametrize(
    ("given", "degrees", "told"),
    [
        ("1.5707963", (90.0,), True),
        ("0.7853982", (45.0,), True),
        ("90", (90.0,), False),
        ("5", (5.0,), False),
        ("3", (3.0,), False),
    ],
)
def test_flip_angles_in_radians_are_taken_as_such(given, degrees, told, caplog):
    sequence = read_scan(timed(f"<TR>100</TR><flipAngle_deg>{given}</flipAngle_deg>")).sequence
    assert sequence.flip_angles == pytest.approx(degrees, abs=1e-5)
    assert ("taken as radians" in caplog.text) == told


@pytest.mark.parametrize(
    ("frequency", "field", "sodium", "doubt"),
    [
        (33785916, "3", 33.785916, ""),
        (32586000, "2.89", 32.586, ""),  # nominal 3 T
        (32586000, "3", 32.586, ""),  # rounded
        (127732437, "3", 33.785916, "that of protons"),
        (51700000, "3", None, "neither that of 23Na nor of protons"),  # 31P
        (33785916, "7", None, "neither"),
        (33.785916, "3", None, "neither"),  # MHz
        (-33785916, "3", None, "neither"),
        (33785916, "0", None, ""),  # not known
    ],
)
def test_a_nucleus_that_may_be_another_is_told(frequency, field, sodium, doubt, caplog):
    system = f"<acquisitionSystemInformation><systemFieldStrength_T>{field}</systemFieldStrength_T>"
    header = HEADER.replace("<experimentalC", f"{system}</acquisitionSystemInformation><experimentalC")
    scan = read_scan(header.replace("123200000", str(frequency)))
    assert scan.study.imaging_frequency == (None if sodium is None else pytest.approx(sodium, rel=1e-6))
    assert doubt in scan.nucleus_doubt and bool(scan.nucleus_doubt) == bool(doubt)
    assert scan.nucleus_doubt in caplog.text


@pytest.mark.parametrize(
    ("given", "position"), [("HFS", "HFS"), ("ffp", "FFP"), ("AFDR", "AFDR"), ("XYZ", ""), ("", "")]
)
def test_a_patient_position_is_one_of_dicoms(given, position, caplog):
    measured = f"<measurementInformation><patientPosition>{given}</patientPosition></measurementInformation>"
    scan = read_scan(HEADER.replace("<experimentalC", f"{measured}<experimentalC"))
    assert scan.patient_position == position
    assert ("none of DICOM's" in caplog.text) == (given == "XYZ")
