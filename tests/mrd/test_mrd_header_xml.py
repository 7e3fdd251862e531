"""Headers as they come in the field: read leniently, on many threads, and never followed anywhere."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.scan import Scan, read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

HEADER = VirtualMeasurement(seed=5, averages=7, half_pulses=True).header_xml()


def with_te(text: str) -> str:
    before, _, after = HEADER.partition("<TE>")
    return f"{before}<TE>{text}{after[after.index('</TE>') :]}"


def test_six_threads_leave_the_warnings_of_the_process_as_they_were():
    header = HEADER.replace("<TE>", "<TE>soon</TE><TE>")
    before = list(warnings.filters)
    together = threading.Barrier(6)

    def read(_: int) -> list[Scan]:
        together.wait(20)
        return [read_scan(header) for _ in range(50)]

    with ThreadPoolExecutor(6) as pool:
        assert {scan.sequence.echo_times for scans in pool.map(read, range(6)) for scan in scans} == {(0.23,)}
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="still told"):
        warnings.warn("still told", UserWarning, stacklevel=1)


def test_numbers_are_those_that_gadgetron_writes_back():
    scan, rewritten = read_scan(with_te("0.23")), read_scan(with_te("0.230000004"))
    assert scan.study.echo_time == rewritten.study.echo_time == 0.23
    assert scan == rewritten and scan.fingerprint != read_scan(with_te("0.2301")).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<encoding>", "<novelty><x>1</x></novelty><encoding>"),
        (' xmlns="http://www.ismrm.org/ISMRMRD"', ""),
        ("<x>80</x>", "<x>80.0</x>"),
        ("<x>80</x>", "<x><!-- columns --> 80\n</x>"),
    ],
)
def test_what_does_not_matter_is_passed_over(old, new):
    assert old in HEADER
    assert read_scan(HEADER.replace(old, new)) == read_scan(HEADER)


def test_conditions_may_be_missing():
    start, end = HEADER.index("<experimentalConditions>"), HEADER.index("</experimentalConditions>")
    scan = read_scan(HEADER[:start] + HEADER[end + len("</experimentalConditions>") :])
    assert scan.study.imaging_frequency is None and scan.encoding.matrix == (80, 80)


def test_nothing_is_expanded_or_opened(tmp_path):
    (tmp_path / "secret").write_text("secret")
    for entity in ('"a"', f'SYSTEM "file://{tmp_path}/secret"'):
        text = HEADER.replace("<ismrmrdHeader", f"<!DOCTYPE x [<!ENTITY e {entity}>]><ismrmrdHeader", 1)
        with pytest.raises(RawDataError, match="DTD"):
            read_scan(text.replace("<TE>", "<TE>&e;"))


def test_another_document_is_refused_by_its_name():
    with pytest.raises(RawDataError, match="no ISMRMRD header but <html>"):
        read_scan("<html/>")


def test_the_words_of_patient_and_scanner_are_read_as_they_stand():
    scan = read_scan(HEADER)
    words = scan.study
    assert (words.patient_name, words.patient_id) == ("Virtual^Calf", "calf-5")
    assert (words.repetition_time, words.flip_angle, words.field_strength) == (100.0, 90.0, 3.0)
    assert words.imaging_frequency == pytest.approx(33.785916) and scan.patient_position == "HFS"
    assert "Virtual" not in repr(scan) and "calf-5" not in repr(words)
    proton = read_scan(HEADER.replace("33785916", "127732437"))  # 3 T x 42.577479 MHz/T
    assert proton.study.imaging_frequency == pytest.approx(33.785916, rel=1e-6)
