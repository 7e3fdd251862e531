"""The reader of messages, given anything: items or a sentence, never a hang, no memory that the input does not hold.

`NADENOISE_FUZZ=10000` tries more inputs than the few hundred of every day.
"""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import warnings

import ismrmrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.errors import ConnectionFailed
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.stream import messages
from nadenoise_core.stream.connection import ScanConnection
from nadenoise_core.stream.wire import Wire

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "300"))
MESSAGES = [1, 2, 3, 4, 5, 6, 8, 1008, 1018, 1022, 1023, 1024, 1026, 1050]

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def connection(data: bytes) -> ScanConnection:
    return ScanConnection(Wire.of_files(io.BytesIO(data), io.BytesIO()))


def read_all(data: bytes) -> tuple[list[object], str]:
    """The items in the bytes of a scan, and the sentence that ended it, empty for CLOSE."""
    peer = connection(data)
    items: list[object] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, about sizes that wrap around
        try:
            if peer.open() is not None:
                peer.read_parameters()
                items.extend(peer)
        except ConnectionFailed as error:
            return items, str(error)
    return items, ""


@st.composite
def acquisition(draw: st.DrawFn) -> ismrmrd.Acquisition:
    coils, samples, dimensions = draw(st.integers(0, 3)), draw(st.integers(0, 20)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    data = rng.standard_normal((coils, samples, 2)).astype(np.float32).view(np.complex64)[..., 0]
    made = ismrmrd.Acquisition.from_array(data, rng.standard_normal((samples, dimensions)).astype(np.float32))
    made.scan_counter = draw(st.integers(0, 2**32 - 1))
    made.idx.average = draw(st.integers(0, 65535))
    return made


@st.composite
def image(draw: st.DrawFn) -> ismrmrd.Image:
    shape = tuple(draw(st.integers(1, 4)) for _ in range(4))
    head = ismrmrd.ImageHeader()
    head.data_type = draw(st.integers(1, 8))
    head.channels, head.matrix_size[:] = shape[0], shape[:0:-1]
    made = ismrmrd.Image(head)
    made.data[:] = draw(st.integers(0, 100))
    made.meta["words"] = draw(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=20))
    return made


def opening() -> bytes:
    return messages.name_message("a.xml") + messages.text_message(messages.HEADER, "<ismrmrdHeader/>")


@many
@given(st.lists(acquisition(), max_size=5))
def test_acquisitions_come_back_as_they_were(sent: list[ismrmrd.Acquisition]) -> None:
    data = opening() + b"".join(messages.item_message(item) for item in sent) + messages.close_message()
    items, ended = read_all(data)
    assert ended == "" and [item.to_bytes() for item in items] == [item.to_bytes() for item in sent]


@many
@given(st.integers(0, 3), st.integers(0, 50))
def test_waveforms_come_back_as_they_were(channels: int, samples: int) -> None:
    sent = ismrmrd.Waveform.from_array(np.arange(channels * samples, dtype=np.uint32).reshape(channels, samples))
    (item,), ended = read_all(opening() + messages.item_message(sent) + messages.close_message())
    assert ended == "" and isinstance(item, ismrmrd.Waveform)
    assert item.to_bytes() == sent.to_bytes()


@many
@given(image())
def test_images_come_back_as_they_were(sent: ismrmrd.Image) -> None:
    (item,), ended = read_all(opening() + messages.item_message(sent) + messages.close_message())
    assert ended == "" and isinstance(item, ismrmrd.Image)
    assert item.to_bytes() == sent.to_bytes()


@many
@given(st.binary(max_size=100), st.text(max_size=30).filter(lambda name: "\0" not in name))
def test_dicom_files_come_back_as_they_were(content: bytes, name: str) -> None:
    wire = Wire.of_files(io.BytesIO(bytes(messages.item_message(DicomFile(name, content)))), io.BytesIO())
    assert messages.read_identifier(wire) == messages.DICOM
    assert messages.read_item(messages.ANSWER_READERS, messages.DICOM, wire) == DicomFile(name, content)


@st.composite
def nonsense(draw: st.DrawFn) -> bytes:
    """Messages that begin well, and go on with anything."""
    parts = [opening()] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 4))):
        parts.append(struct.pack("<H", draw(st.sampled_from(MESSAGES) | st.integers(0, 65535))))
        lengths = st.sampled_from([0, 1, 7, 2**16, 2**31, 2**32 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
        parts.append(draw(st.sampled_from([b"", b"\1"])))
        parts.extend(struct.pack("<Q", draw(lengths)) for _ in range(draw(st.integers(0, 6))))
        parts.append(draw(st.binary(max_size=400)))
    return b"".join(parts)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A whole scan with some bytes changed, and perhaps its end cut off."""
    item = draw(acquisition() | image())
    data = bytearray(opening() + messages.item_message(item) + messages.close_message())
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@many
@given(nonsense() | damaged())
def test_anything_else_ends_with_a_sentence(data: bytes) -> None:
    items, ended = read_all(data)
    assert ended == "" or len(ended) > 20
    assert len(items) <= len(data)


@pytest.mark.parametrize("message", [1008, 1022, 1023, 1024, 1026, 2, 3, 5])
def test_no_memory_is_taken_for_what_does_not_come(message: int) -> None:
    announced = struct.pack("<H", message) + b"\xff" * 700
    tracemalloc.start()
    try:
        _, ended = read_all((opening() if message > 1000 else b"") + announced)
        assert ended and tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_a_buffer_comes_back_as_it_was(measured, run_chain) -> None:
    measurement, acquisitions = measured()
    (sent,) = run_chain(["accumulate"], measurement.header_xml(), acquisitions)
    (came,), ended = read_all(opening() + bytes(messages.item_message(sent)) + messages.close_message())
    assert ended == "" and isinstance(came, ReconData)
    np.testing.assert_array_equal(came[0].data.data, sent[0].data.data)
