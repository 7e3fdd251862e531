"""Headers and raw files, given anything: what is read, or a sentence; never another exception, never for long.

`NADENOISE_FUZZ=10000` tries more inputs than the few hundred of every day.
"""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "300"))
VALUES = ["", " ", "0", "-1", "nan", "inf", "1e400", "9" * 40, "80.5", "1_0", "spiral", "\u00fc", "\u0661", "a" * 5000]

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def header() -> bytes:
    xml = VirtualMeasurement(seed=5, averages=7).header_xml()
    return xml if isinstance(xml, bytes) else xml.encode()


def read(xml: bytes) -> None:
    try:
        scan = read_scan(xml)
    except RawDataError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 1000
    else:
        assert 0 < max(scan.encoding.matrix) <= 512 and scan.slice_thickness > 0


@many
@given(st.data())
def test_headers_with_other_values_and_elements(data) -> None:
    root = etree.fromstring(header())
    elements = list(root.iter("{*}*"))
    for _ in range(data.draw(st.integers(1, 4))):
        element = data.draw(st.sampled_from(elements))
        what = data.draw(st.sampled_from(["text", "remove", "repeat", "rename", "move"]))
        if what == "text":
            element.text = data.draw(st.sampled_from(VALUES))
        elif what == "rename":
            element.tag = data.draw(st.sampled_from(["x", "limit", "encoding", "{other}trajectory"]))
        elif element.getparent() is not None:
            if what == "remove":
                element.getparent().remove(element)
            elif what == "repeat":
                element.getparent().append(etree.fromstring(etree.tostring(element)))
            else:
                root.append(element)
    read(etree.tostring(root))


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(max_size=3)), min_size=1, max_size=6))
def test_headers_with_other_bytes(changes) -> None:
    xml = bytearray(header())
    for place, content in changes:
        place %= len(xml)
        xml[place : place + len(content)] = content
    read(bytes(xml))


@many
@given(st.binary(max_size=200))
def test_no_headers(content) -> None:
    with pytest.raises(RawDataError):
        read_scan(content)
