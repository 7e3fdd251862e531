"""A server that de-identifies: capture, outbox and DICOM down the stream tell nobody; the scanner gets its images."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import ismrmrd
import pytest
from pydicom import dcmread

from nadenoise_core.chain.files import read_chain
from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.replay.replay import replay
from nadenoise_core.stream.capture import Captures
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.client import send_scan
from nadenoise_core.stream.server import Server

KEY = Pseudonyms(b"the secret of one study")
SECRETS = (b"Mustermann", b"Erika", b"calf-3")


@pytest.fixture(scope="module")
def scan(measured):
    measurement, acquisitions = measured(averages=3)
    header = measurement.header_xml().replace("Virtual^Calf", "Mustermann^Erika")
    assert "Mustermann" in header and "calf-3" in header
    return header, acquisitions


@pytest.fixture
def outbox(tmp_path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def server(tmp_path, outbox, smoothing_chain, chain_file) -> Iterator[Server]:
    folder = tmp_path / "chains"
    folder.mkdir()
    deliver = ("deliver", {"send": "true", "outbox": str(outbox)})
    chain_file([*smoothing_chain[:-1], deliver]).rename(folder / "all.xml")
    captures = Captures(tmp_path / "raw")
    made = Server(("127.0.0.1", 0), ChainFolders([folder]), None, [captures], KEY)
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    made.stop()
    thread.join(60)
    assert not thread.is_alive() and captures.finish(30)


def test_nothing_that_is_written_tells_who(server, scan, outbox, tmp_path, smoothing_chain, chain_file):
    header, acquisitions = scan
    answers = list(send_scan(server.address, "all", header, acquisitions))
    images = [answer for answer in answers if isinstance(answer, ismrmrd.Image)]
    objects = [dcmread(BytesIO(answer.content)) for answer in answers if isinstance(answer, DicomFile)]
    server.stop()
    raw = wait_for(tmp_path / "raw")
    assert raw.name.startswith(f"scan_{KEY.word('patient', 'calf-3')}_M")
    for content in (raw.read_bytes(), *(path.read_bytes() for path in outbox.glob("*.dcm"))):
        assert not [secret for secret in SECRETS if secret in content]
    assert [image.measurement_uid for image in images] == [acquisitions[0].measurement_uid] * 3  # the scanner knows it
    assert all(made.PatientID == KEY.word("patient", "calf-3") for made in objects) and len(objects) == 3
    assert {path.stem for path in outbox.glob("*.dcm")} == {made.SOPInstanceUID for made in objects}

    with RawFile(raw) as file:
        kept = list(file.acquisitions())
    assert [item.data.tobytes() for item in kept] == [item.data.tobytes() for item in acquisitions]
    assert {item.measurement_uid for item in kept} == {KEY.number(acquisitions[0].measurement_uid)}
    result = replay(raw, read_chain(chain_file(smoothing_chain)), tmp_path / "again")
    again = [dcmread(path) for path in (result.folder / "dicom").iterdir()]
    assert {made.StudyInstanceUID for made in again} == {made.StudyInstanceUID for made in objects}
    assert {made.PixelData for made in again} == {made.PixelData for made in objects}
    assert {str(made.PatientName) for made in again} == {str(made.PatientName) for made in objects}


def wait_for(folder: Path) -> Path:
    pause = threading.Event()
    for _ in range(600):
        if found := list(folder.glob("scan_*.h5")):
            return found[0]
        pause.wait(0.05)
    raise AssertionError("no file was written")
