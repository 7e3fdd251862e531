"""Headers as they come in the field: read leniently, on many threads, and never followed anywhere."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import ismrmrd
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.header import parse_header
from nadenoise_core.mrd.scan import header_fingerprint, read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

HEADER = VirtualMeasurement(seed=5, averages=7, half_pulses=2).header_xml()


def with_te(text: str) -> str:
    before, _, after = HEADER.partition("<TE>")
    return f"{before}<TE>{text}{after[after.index('</TE>') :]}"


def test_it_is_read_as_ismrmrd_reads_it():
    assert parse_header(HEADER) == ismrmrd.xsd.CreateFromDocument(HEADER.encode())


def test_six_threads_leave_the_warnings_of_the_process_as_they_were():
    header = HEADER.replace("<TE>", "<TE>soon</TE><TE>")
    before = list(warnings.filters)
    together = threading.Barrier(6)

    def parse(_: int) -> list[object]:
        together.wait(20)
        return [parse_header(header).sequenceParameters.TE[0] for _ in range(50)]

    with ThreadPoolExecutor(6) as pool:
        assert {value for values in pool.map(parse, range(6)) for value in values} == {"soon"}
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="still told"):
        warnings.warn("still told", UserWarning, stacklevel=1)


def test_numbers_are_those_that_gadgetron_writes_back():
    scan, rewritten = parse_header(with_te("0.23")), parse_header(with_te("0.230000004"))
    assert scan.sequenceParameters.TE == rewritten.sequenceParameters.TE == [0.23]
    assert header_fingerprint(scan) == header_fingerprint(rewritten)
    assert header_fingerprint(parse_header(with_te("0.2301"))) != header_fingerprint(scan)


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
    scan = read_scan(parse_header(HEADER.replace(old, new)))
    assert scan.encoding == read_scan(parse_header(HEADER)).encoding


def test_a_missing_part_is_none():
    start, end = HEADER.index("<experimentalConditions>"), HEADER.index("</experimentalConditions>")
    header = parse_header(HEADER[:start] + HEADER[end + len("</experimentalConditions>") :])
    assert header.experimentalConditions is None and read_scan(header).encoding.matrix == (80, 80)


def test_nothing_is_expanded_or_opened(tmp_path):
    (tmp_path / "secret").write_text("secret")
    for entity in ('"a"', f'SYSTEM "file://{tmp_path}/secret"'):
        text = HEADER.replace("<ismrmrdHeader", f"<!DOCTYPE x [<!ENTITY e {entity}>]><ismrmrdHeader", 1)
        with pytest.raises(RawDataError, match="DTD"):
            parse_header(text.replace("<TE>", "<TE>&e;"))


def test_another_document_is_refused_by_its_name():
    with pytest.raises(RawDataError, match="no ISMRMRD header but <html>"):
        parse_header("<html/>")
