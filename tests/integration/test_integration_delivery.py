"""What a chain leaves in an outbox reaches a real PACS (Orthanc, dcmtk's storescp) unchanged, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest

ROOT = Path(__file__).parents[2]
ORTHANC = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PATIENT = ("Virtual", "calf-3")  # of the virtual scan
TIMEOUT = 240

needs_orthanc = pytest.mark.skipif(
    not (ORTHANC.exists() and DICOMWEB.exists()), reason="orthanc and orthanc-dicomweb are not installed"
)
needs_storescp = pytest.mark.skipif(shutil.which("storescp") is None, reason="dcmtk's storescp is not installed")


def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait for something that must come true."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        with suppress(OSError):
            if found := holds():
                return found
        time.sleep(0.05)
    raise AssertionError(f"waited {TIMEOUT} s in vain: {what}")


class Program:
    """A process of ours, which ends with the test."""

    def __init__(self, command: list[Any], **options: Any) -> None:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        self.process = subprocess.Popen([str(word) for word in command], **options)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.output += line

    def wait_until_up(self) -> None:
        """Wait until it can be talked to."""

    def says(self, words: str) -> None:
        until(lambda: words in self.output, f"{words!r} in {self.output!r}")

    def end(self, with_signal: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        status = self.process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return status


class Orthanc(Program):
    """A PACS with a DICOMweb server, in a folder of its own."""

    PORTS = 2

    def __init__(self, folder: Path, *, ports: Sequence[int], **settings: Any) -> None:
        self.port, self.http = self.ports = ports
        self.address, self.url = f"PACS@127.0.0.1:{self.port}", f"http://127.0.0.1:{self.http}/dicom-web"
        folder.mkdir(exist_ok=True)
        configuration = {
            "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
            "Plugins": [str(DICOMWEB)], "HttpPort": self.http, "DicomPort": self.port, "DicomAet": "PACS",
            "DicomCheckCalledAet": True, "DicomAlwaysAllowStore": True, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "OverwriteInstances": True, "DicomAssociationCloseDelay": 0,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, **settings,
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        super().__init__([ORTHANC, folder / "orthanc.json"])
        self._headers = {"Authorization": "Basic bmE6Y2w="} if "RegisteredUsers" in settings else {}

    def wait_until_up(self) -> None:
        until(lambda: self.get("system"), "Orthanc is up")

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/{path}", headers=self._headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return bytes(answer.read())

    def stored(self) -> list[pydicom.Dataset]:
        files = [self.get(f"instances/{name}/file") for name in json.loads(self.get("instances"))]
        return [pydicom.dcmread(BytesIO(file)) for file in files]


class Storescp(Program):
    """dcmtk's storage SCP, which writes what it gets to a folder."""

    PORTS = 1

    def __init__(self, folder: Path, *options: Any, ports: Sequence[int]) -> None:
        self.folder, (self.port,) = folder, ports
        self.ports = ports
        self.address = f"STORESCP@127.0.0.1:{self.port}"
        folder.mkdir(exist_ok=True)
        super().__init__(["storescp", "-od", folder, *options, self.port])

    def wait_until_up(self) -> None:
        until(lambda: f":{self.port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text(), "storescp listens")

    def stored(self) -> list[pydicom.Dataset]:
        return [pydicom.dcmread(path) for path in self.folder.iterdir()]


@pytest.fixture
def start(tmp_path, free_port) -> Iterator[Callable[..., Any]]:
    """Start a peer in a folder by its name; the same folder has the same content."""
    started: list[Program] = []

    def start_one(
        kind: Any, *arguments: Any, name: str = "peer", ports: Sequence[int] | None = None, **options: Any
    ) -> Any:
        ports = ports or [free_port() for _ in range(kind.PORTS)]
        started.append(kind(tmp_path / name, *arguments, ports=ports, **options))
        started[-1].wait_until_up()
        return started[-1]

    yield start_one
    for program in started:
        program.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    """The files of a scan's outbox, once they are made."""
    return {}


@pytest.fixture
def outbox(made, tmp_path, run_chain, smoothing_chain, measured) -> Path:
    """What a chain left: the objects after two, three and all four averages."""
    folder = tmp_path / "outbox"
    if not made:
        stages = [("accumulate", {"emit_at": "2, 3"}), *smoothing_chain[1:-1], ("deliver", {"outbox": str(folder)})]
        measurement, acquisitions = measured(averages=4)
        images = run_chain(stages, measurement.header_xml(), acquisitions)
        made.update({path.name: path.read_bytes() for path in folder.iterdir()})
        assert len(made) == len(images) >= 6
    folder.mkdir(exist_ok=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def deliver(outbox) -> Iterator[Callable[..., Program]]:
    """Run `nadenoise deliver` on the outbox; nothing it ever prints names the patient."""
    started: list[Program] = []

    def run(
        *options: Any, wait: bool = True, debug: bool = False, environment: dict[str, str] | None = None
    ) -> Program:
        known = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment = {**known, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(environment or {})}
        program = [sys.executable, "-m", "nadenoise_core.cli.main", *(["--debug"] if debug else [])]
        command = [*program, "deliver", outbox, *options]
        started.append(Program(command, env=environment))
        if wait:
            started[-1].process.wait(TIMEOUT)
            started[-1].end()
        return started[-1]

    yield run
    for program in started:
        program.end(signal.SIGKILL)
        assert not any(word in program.output for word in PATIENT), program.output
        assert "Traceback" not in program.output


def waiting(outbox: Path) -> set[str]:
    return {path.name for path in outbox.glob("*.dcm")}


def check_arrived(stored: list[pydicom.Dataset], made: dict[str, bytes]) -> None:
    """Every object once, element for element, and its pixels byte for byte."""
    sent = {name.removesuffix(".dcm"): pydicom.dcmread(BytesIO(content)) for name, content in made.items()}
    assert sorted(dataset.SOPInstanceUID for dataset in stored) == sorted(sent)
    for dataset in stored:
        assert dataset == sent[dataset.SOPInstanceUID]
        assert dataset.PixelData == sent[dataset.SOPInstanceUID].PixelData


def peer_options(peer: Any, way: str) -> list[str]:
    return ["--pacs", peer.address] if way == "pacs" else ["--dicomweb", peer.url]


@needs_orthanc
@pytest.mark.parametrize("way", ["pacs", "dicomweb"])
def test_orthanc_holds_what_the_chain_made_once_however_often_it_is_sent(way, start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc)
    first = deliver("--once", "--keep", *peer_options(orthanc, way))
    assert first.process.returncode == 0, first.output
    assert sorted(first.output.split()) == sorted(["sent"] * len(made) + [name.removesuffix(".dcm") for name in made])
    check_arrived(orthanc.stored(), made)
    assert not waiting(outbox) and not (outbox / "refused").exists()
    assert {path.name: path.read_bytes() for path in (outbox / "sent").iterdir()} == made
    for path in list((outbox / "sent").iterdir()):
        path.rename(outbox / path.name)
    assert deliver("--once", *peer_options(orthanc, way)).process.returncode == 0
    check_arrived(orthanc.stored(), made)
    assert not waiting(outbox) and not list((outbox / "sent").iterdir())


@needs_orthanc
def test_orthanc_holds_outlines_and_concentrations_of_regions(
    start, deliver, outbox, run_chain, measured, label_file
) -> None:
    measurement, acquisitions = measured(averages=4)
    quantify = {"tube_diameter": "20", "roi_map": str(label_file(measurement))}
    stages = ["accumulate", "reconstruct", ("quantify", quantify), ("deliver", {"outbox": str(outbox)})]
    run_chain(stages, measurement.header_xml(), acquisitions)
    orthanc = start(Orthanc)
    assert deliver("--once", *peer_options(orthanc, "pacs")).process.returncode == 0
    stored = {dataset.SOPClassUID.name: dataset for dataset in orthanc.stored()}
    outlines = hd.seg.Segmentation.from_dataset(stored["Segmentation Storage"])
    report = hd.sr.Comprehensive3DSR.from_dataset(stored["Comprehensive 3D SR Storage"])
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == outlines.number_of_segments == 5
    assert {group.referenced_segment.referenced_sop_instance_uid for group in groups} == {outlines.SOPInstanceUID}


@needs_storescp
@pytest.mark.parametrize("syntax", ["+x=", "+xi", "+xb", "+xa"], ids=["explicit", "implicit", "big endian", "all"])
def test_storescp_holds_what_the_chain_made(syntax, start, deliver, outbox, made) -> None:
    storescp = start(Storescp, syntax)
    assert deliver("--once", "--pacs", storescp.address).process.returncode == 0
    check_arrived(storescp.stored(), made)
    assert not waiting(outbox)


@needs_orthanc
@pytest.mark.parametrize("way", ["pacs", "dicomweb"])
def test_a_peer_that_is_down_gets_all_when_it_is_up_and_then_what_comes_next(way, start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc)
    options = peer_options(orthanc, way)
    orthanc.end()
    once = deliver("--once", *options)
    assert (
        once.process.returncode == 1 and f"{len(made)} files wait" in once.output and "cannot be reached" in once.output
    )
    late = outbox.parent / "late.dcm"
    (outbox / sorted(made)[0]).rename(late)
    watching = deliver(*options, wait=False)
    watching.says("next attempt in 5 s")
    assert len(waiting(outbox)) == len(made) - 1
    again = start(Orthanc, ports=orthanc.ports)
    until(lambda: not waiting(outbox), "the outbox is empty")
    late.rename(outbox / sorted(made)[0])
    until(lambda: not waiting(outbox), "the late one is gone, too")
    assert watching.end() == 0 and watching.output.endswith("stopped\n")
    check_arrived(again.stored(), made)


@needs_storescp
def test_a_pacs_that_rejects_the_association_leaves_all_in_the_outbox(start, deliver, outbox, made) -> None:
    storescp = start(Storescp, "--refuse")
    refused = deliver("--once", "--pacs", storescp.address)
    assert refused.process.returncode == 1 and "rejects the association of NADENOISE" in refused.output
    assert waiting(outbox) == set(made)


@needs_orthanc
def test_orthanc_takes_nothing_from_an_ae_title_that_it_does_not_know(start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc, DicomAlwaysAllowStore=False, DicomModalities={"sodium": ["KNOWN", "127.0.0.1", 1]})
    stranger = deliver("--once", "--pacs", orthanc.address)
    assert stranger.process.returncode == 1 and "AE title" in stranger.output
    assert waiting(outbox) == set(made) and not orthanc.stored()
    wrong = deliver("--once", "--pacs", f"OTHER@127.0.0.1:{orthanc.port}", "--aet", "KNOWN")
    assert wrong.process.returncode == 1 and "called ae title not recognised" in wrong.output
    assert deliver("--once", "--pacs", orthanc.address, "--aet", "KNOWN").process.returncode == 0
    check_arrived(orthanc.stored(), made)


CT_ONLY = """
[[TransferSyntaxes]]
[Little]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[CT]
PresentationContext1 = CTImageStorage\\Little
[[Profiles]]
[CT]
PresentationContexts = CT
"""


@needs_storescp
def test_what_a_pacs_does_not_take_is_set_aside_with_the_reason_and_sent_again_on_demand(
    start, deliver, outbox, made, tmp_path
) -> None:
    (tmp_path / "ct.cfg").write_text(CT_ONLY)
    ct_only = start(Storescp, "-xf", tmp_path / "ct.cfg", "CT", name="ct")
    refused = deliver("--once", "--pacs", ct_only.address)
    assert refused.process.returncode == 1 and refused.output.count("refused ") == len(made)
    assert not waiting(outbox) and waiting(outbox / "refused") == set(made)
    for name in made:
        assert "does not take MR Image Storage" in (outbox / "refused" / name).with_suffix(".txt").read_text()
    storescp = start(Storescp, name="all")
    again = deliver("--once", "--again", "--pacs", storescp.address)
    assert again.process.returncode == 0 and f"{len(made)} refused files wait again" in again.output
    check_arrived(storescp.stored(), made)
    assert not list((outbox / "refused").iterdir())


@needs_storescp
@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_a_pacs_that_aborts_is_left_alone_for_a_while(option, start, deliver, outbox, made) -> None:
    storescp = start(Storescp, option)
    aborted = deliver("--once", "--pacs", storescp.address)
    assert aborted.process.returncode == 1 and aborted.output.count("later ") == 3  # then it is let be
    assert waiting(outbox) == set(made) and not (outbox / "refused").exists()


@needs_storescp
def test_a_pacs_without_space_gets_all_when_it_has_space(start, deliver, outbox, made) -> None:
    storescp = start(Storescp)
    storescp.folder.rmdir()
    full = deliver("--once", "--pacs", storescp.address)
    assert full.process.returncode == 1 and "Refused: Out of Resources" in full.output
    assert waiting(outbox) == set(made)
    storescp.folder.mkdir()
    assert deliver("--once", "--pacs", storescp.address).process.returncode == 0
    check_arrived(storescp.stored(), made)


@needs_storescp
def test_killed_in_the_middle_nothing_is_lost_and_nothing_comes_twice(start, deliver, outbox, made) -> None:
    slow = start(Storescp, "--sleep-after", 1)
    killed = deliver("--pacs", slow.address, wait=False)
    until(lambda: len(waiting(outbox)) <= len(made) - 2, "two are delivered")
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert 0 < len(waiting(outbox)) <= len(made) - 2
    slow.end()
    storescp = start(Storescp, ports=slow.ports)
    assert deliver("--once", "--pacs", storescp.address).process.returncode == 0
    check_arrived(storescp.stored(), made)
    assert not waiting(outbox)


@needs_storescp
def test_stopped_in_the_middle_the_object_under_way_is_finished(start, deliver, outbox, made) -> None:
    slow = start(Storescp, "--sleep-after", 1)
    stopped = deliver("--pacs", slow.address, wait=False)
    stopped.says("sent ")
    assert stopped.end() == 0 and stopped.output.endswith("stopped\n")
    told = {line.split()[1] + ".dcm" for line in stopped.output.splitlines() if line.startswith("sent ")}
    assert waiting(outbox) == set(made) - told and waiting(outbox)
    assert {dataset.SOPInstanceUID + ".dcm" for dataset in slow.stored()} == told


@needs_storescp
def test_two_deliverers_do_not_fight(start, deliver, outbox, made) -> None:
    slow = start(Storescp, "--sleep-after", 1)
    first = deliver("--pacs", slow.address, wait=False)
    first.says("sent ")
    second = deliver("--once", "--pacs", slow.address)
    assert second.process.returncode == 2 and "another process delivers from it" in second.output
    until(lambda: not waiting(outbox), "the first delivers all")
    assert first.end() == 0
    check_arrived(slow.stored(), made)


@needs_storescp
def test_what_is_no_dicom_file_is_set_aside_and_the_rest_is_sent(start, deliver, outbox, made) -> None:
    name = sorted(made)[0]
    (outbox / "notes.dcm").write_text("not an image")
    (outbox / "empty.dcm").touch()
    (outbox / name).write_bytes(made[name][:-1000])
    storescp = start(Storescp)
    done = deliver("--once", "--pacs", storescp.address)
    assert done.process.returncode == 1
    assert waiting(outbox / "refused") == {"notes.dcm", "empty.dcm", name} and not waiting(outbox)
    check_arrived(storescp.stored(), {other: content for other, content in made.items() if other != name})


@needs_orthanc
def test_a_password_comes_from_the_environment_and_is_never_shown(start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc, AuthenticationEnabled=True, RegisteredUsers={"na": "cl", "scanner": "a secret word"})
    user, secret = {"NADENOISE_DICOMWEB_USER": "scanner"}, {"NADENOISE_DICOMWEB_PASSWORD": "a secret word"}
    unknown = deliver("--once", "--dicomweb", orthanc.url)
    assert unknown.process.returncode == 1 and "does not let us in (HTTP 401" in unknown.output
    half = deliver("--once", "--dicomweb", orthanc.url, environment=user)
    assert half.process.returncode == 2 and "must both be set" in half.output
    assert waiting(outbox) == set(made)
    known = deliver("--once", "--dicomweb", orthanc.url, environment={**user, **secret})
    assert known.process.returncode == 0 and "secret" not in known.output
    check_arrived(orthanc.stored(), made)


@needs_orthanc
@pytest.mark.parametrize("way", ["pacs", "dicomweb"])
def test_all_log_messages_name_neither_patient_nor_password(way, start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc, AuthenticationEnabled=True, RegisteredUsers={"na": "cl", "scanner": "a secret word"})
    environment = {"NADENOISE_DICOMWEB_USER": "scanner", "NADENOISE_DICOMWEB_PASSWORD": "a secret word"}
    told = deliver("--once", *peer_options(orthanc, way), debug=True, environment=environment)
    assert told.process.returncode == 0 and "DEBUG" in told.output
    assert "secret" not in told.output and "Basic" not in told.output  # the fixture looks for the patient
    check_arrived(orthanc.stored(), made)


@needs_orthanc
def test_a_wrong_path_on_the_server_leaves_all_in_the_outbox(start, deliver, outbox, made) -> None:
    orthanc = start(Orthanc)
    wrong = deliver("--once", "--dicomweb", orthanc.url.replace("dicom-web", "dicomweb"))
    assert wrong.process.returncode == 1 and "HTTP 404" in wrong.output
    assert waiting(outbox) == set(made)


class Web(ThreadingHTTPServer):
    """A server that gives one answer to everything, as no DICOMweb server can be made to."""

    def __init__(self, status: int, body: str, kind: str) -> None:
        self.requests: list[dict[str, str]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                web.requests.append(dict(self.headers))
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/dicom-web"


@pytest.fixture
def web() -> Iterator[Callable[..., Web]]:
    started = []

    def run(status: int, body: str, kind: str) -> Web:
        server = Web(status, body, kind)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield run
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "requests", "words"),
    [
        (200, "<html>Log in</html>", "text/html", 1, "not as a DICOMweb server"),
        (200, "", "application/dicom+json", 1, "not as a DICOMweb server"),
        (200, "{broken", "application/dicom+json", 1, "not as a DICOMweb server"),
        (200, '{"00081199": {"vr": "SQ", "Value": []}}', "application/dicom+json", 1, "not as a DICOMweb server"),
        (403, "no", "text/plain", 1, "does not let us in"),
        (429, "slowly", "text/plain", 1, "is busy"),
        (503, "later", "text/plain", 1, "is busy"),
        (500, "trouble", "text/plain", 3, "HTTP 500"),
    ],
)
def test_what_a_server_has_not_confirmed_waits(status, body, kind, requests, words, web, deliver, outbox, made) -> None:
    server = web(status, body, kind)
    environment = {"NADENOISE_DICOMWEB_TOKEN": "t0ken"}
    unsure = deliver("--once", "--dicomweb", server.url, environment=environment)
    assert unsure.process.returncode == 1 and words in unsure.output and "t0ken" not in unsure.output
    assert waiting(outbox) == set(made)
    assert [request["Authorization"] for request in server.requests] == ["Bearer t0ken"] * requests


class Hostile:
    """A server that answers each request with bytes as they are given, one after the other."""

    def __init__(self, answer: Callable[[], Iterator[bytes]], context: ssl.SSLContext | None = None) -> None:
        self.requests = 0
        self._answer, self._context = answer, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.requests += 1
            threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with (
            suppress(OSError),
            link,
            self._context.wrap_socket(link, server_side=True) if self._context else link as way,
        ):
            way.recv(1 << 16)
            for part in self._answer():
                way.sendall(part)
            # A link that is closed before all was read is reset, and what was answered is lost with it.
            way.shutdown(socket.SHUT_WR)
            way.settimeout(10)
            while way.recv(1 << 16):
                pass

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def hostile() -> Iterator[Callable[..., Hostile]]:
    started: list[Hostile] = []

    def run(*arguments: Any) -> Hostile:
        started.append(Hostile(*arguments))
        return started[-1]

    yield run
    for server in started:
        server.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_object_goes_where_a_redirect_leads(status, hostile, web, deliver, outbox, made) -> None:
    elsewhere = web(200, "{}", "application/dicom+json")

    def answer() -> Iterator[bytes]:
        yield f"HTTP/1.1 {status} Go\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()

    sent = deliver("--once", "--dicomweb", f"http://127.0.0.1:{hostile(answer).port}/dicom-web")
    assert sent.process.returncode == 1 and "sends us elsewhere" in sent.output
    assert elsewhere.requests == [] and waiting(outbox) == set(made)


@pytest.mark.parametrize("where", ["status", "headers", "body"])
def test_an_answer_that_trickles_has_an_end(where, hostile, deliver, outbox, made) -> None:
    def answer() -> Iterator[bytes]:
        if where != "status":
            yield b"HTTP/1.1 200 OK\r\n"
        if where == "body":
            yield b"Content-Type: application/dicom+json\r\n\r\n"
        while True:
            time.sleep(0.3)  # less than the time between two bytes
            yield b"x: y\r\n" if where == "headers" else b" "

    url = f"http://127.0.0.1:{hostile(answer).port}/dicom-web"
    sent = deliver("--once", "--timeout", "1", "--dicomweb", url)
    assert sent.process.returncode == 1 and "took more than 10 s" in sent.output
    assert waiting(outbox) == set(made)


def test_an_answer_that_is_too_long_has_an_end(hostile, deliver, outbox, made) -> None:
    def answer() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n\r\n"
        while True:
            yield bytes(1 << 20)

    sent = deliver("--once", "--dicomweb", f"http://127.0.0.1:{hostile(answer).port}/dicom-web")
    assert sent.process.returncode == 1 and "longer than 1 MiB" in sent.output
    assert waiting(outbox) == set(made)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """An authority, and certificates of 127.0.0.1 and of a client with their keys, as openssl makes them."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    (folder / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "client.ext").write_text("subjectAltName=DNS:scanner\n")
    for name in ("server", "client"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder


@needs_storescp
def test_a_pacs_is_reached_through_tls(start, deliver, outbox, made, certificates) -> None:
    server, client = (certificates / f"{name}.pem" for name in ("server", "client"))
    tls = ("+tls", server.with_suffix(".key"), server, "+cf", certificates / "ca.pem")
    storescp = start(Storescp, *tls)
    ours = ("--tls-certificate", client, "--tls-key", client.with_suffix(".key"))
    for options in (
        (),  # not encrypted
        ("--tls", *ours),  # an authority that is not trusted
        ("--tls", "--tls-ca", certificates / "ca.pem"),  # no certificate of our own
    ):
        failed = deliver("--once", "--timeout", "5", "--pacs", storescp.address, *options)
        assert failed.process.returncode == 1 and waiting(outbox) == set(made), failed.output
    done = deliver("--once", "--pacs", storescp.address, "--tls", "--tls-ca", certificates / "ca.pem", *ours)
    assert done.process.returncode == 0, done.output
    check_arrived(storescp.stored(), made)


def test_a_certificate_of_another_name_is_not_trusted(hostile, deliver, outbox, made, certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "client.pem", certificates / "client.key")
    server = hostile(lambda: iter(()), context)
    trusted = {"REQUESTS_CA_BUNDLE": str(certificates / "ca.pem")}
    web = deliver("--once", "--dicomweb", f"https://127.0.0.1:{server.port}/dicom-web", environment=trusted)
    assert web.process.returncode == 1 and "TLS failed" in web.output
    options = ("--tls", "--tls-ca", certificates / "ca.pem")
    pacs = deliver("--once", "--timeout", "5", "--pacs", f"PACS@127.0.0.1:{server.port}", *options)
    assert pacs.process.returncode == 1 and "certificates" in pacs.output
    assert waiting(outbox) == set(made)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_web_server_is_reached_through_tls(trusted, hostile, deliver, outbox, made, certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")

    def answer() -> Iterator[bytes]:
        yield b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"

    server = hostile(answer, context)
    environment = {"REQUESTS_CA_BUNDLE": str(certificates / "ca.pem")} if trusted else {}
    sent = deliver("--once", "--dicomweb", f"https://127.0.0.1:{server.port}/dicom-web", environment=environment)
    assert sent.process.returncode == 1 and ("is busy (HTTP 503" if trusted else "TLS failed") in sent.output


@pytest.mark.parametrize("status", [400, 409, 413, 415])
def test_what_a_server_refuses_is_set_aside_with_its_words(status, web, deliver, outbox, made) -> None:
    server = web(status, "Virtual^Calf is not one of ours", "text/plain")
    refused = deliver("--once", "--dicomweb", server.url)
    assert refused.process.returncode == 1 and f"HTTP {status}" in refused.output
    assert waiting(outbox / "refused") == set(made)
    assert "Virtual^Calf is not" in (outbox / "refused" / sorted(made)[0]).with_suffix(".txt").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "either --pacs"),
        (["--pacs", "A@b:1", "--dicomweb", "http://b"], "either --pacs"),
        (["--pacs", "127.0.0.1:4242"], "AET@host:port"),
        (["--pacs", "PACS@127.0.0.1:99999"], "port must be"),
        (["--pacs", "SEVENTEEN_LETTERS@127.0.0.1:104"], "1 to 16"),
        (["--pacs", "A@b:1", "--aet", " "], "1 to 16"),
        (["--dicomweb", "ftp://pacs"], "must be like https://"),
        (["--dicomweb", "https://pacs", "--tls"], "--tls is of --pacs"),
        (["--pacs", "A@b:1", "--tls-ca", "ca.pem"], "no --tls; add it"),
        (["--pacs", "A@b:1", "--tls", "--tls-ca", "nowhere.pem"], "nowhere.pem cannot be used (No such file"),
        (["--dicomweb", "https://na:secret@pacs/dicom-web"], "do not belong into the URL"),
    ],
)
def test_an_address_that_is_none_is_told(options, words, deliver, outbox) -> None:
    wrong = deliver("--once", *options)
    assert wrong.process.returncode == 2 and words in wrong.output and "secret" not in wrong.output
    assert len(wrong.output.splitlines()) == 1


def test_a_folder_that_is_missing_is_told(deliver, outbox) -> None:
    shutil.rmtree(outbox)
    missing = deliver("--pacs", "PACS@127.0.0.1:104")
    assert missing.process.returncode == 2 and f"outbox {outbox}: No such file" in missing.output


def test_a_host_that_is_not_known_is_told(deliver, outbox, made) -> None:
    for options in (["--pacs", "PACS@nowhere.invalid:104"], ["--dicomweb", "https://nowhere.invalid"]):
        unknown = deliver("--once", *options)
        assert unknown.process.returncode == 1 and "cannot be reached" in unknown.output
        assert waiting(outbox) == set(made)
