"""`nadenoise serve`, `send` and `stream`, as processes: the same images as from a replay."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import ismrmrd
import pydicom
import pytest

from nadenoise_core.mrd.rawfile import RawFile, write_raw_file

ROOT = Path(__file__).parents[2]
NADENOISE = [sys.executable, "-m", "nadenoise_core.cli.main"]
CLOSE = struct.pack("<H", 4)


@pytest.fixture(scope="module")
def raw(scan_file) -> Path:
    return scan_file(averages=3, noise=10.0)


@pytest.fixture(scope="module")
def chains(tmp_path_factory, chain_text, smoothing_chain) -> Path:
    """A folder with a chain "all"."""
    folder = tmp_path_factory.mktemp("online") / "chains"
    folder.mkdir()
    (folder / "all.xml").write_text(chain_text([*smoothing_chain[:-1], ("deliver", {"send": "true"})]))
    return folder


@contextmanager
def serving(chains: Path, captured: Path, file_limit: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server with the chains of a folder: the process, and its address; no file may pass the limit, in bytes."""

    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    with subprocess.Popen(
        [*NADENOISE, "serve", "--port", "0", "--chains", str(chains), "--capture", str(captured)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
    ) as running:  # fmt: skip
        try:
            assert running.stderr is not None
            for line in running.stderr:
                if found := re.search(r"listening at (\S+)", line):
                    yield running, found[1]
                    break
        finally:
            running.kill()


@pytest.fixture(scope="module")
def server(chains) -> Iterator[str]:
    """The address of a server."""
    with serving(chains, chains.parent / "captured") as (_, address):
        yield address


def images_of(folder: Path) -> list[bytes]:
    dataset = ismrmrd.Dataset(folder / "images.h5", "dataset", create_if_needed=False)
    try:
        return [dataset.read_image(f"image_{series}", 0).to_bytes() for series in (1, 2, 3)]
    finally:
        dataset.close()


def test_what_returns_is_what_a_replay_gives(server, raw, chains, tmp_path, process) -> None:
    sent = process("send", raw, "--to", server, "--chain", "all", "--out", tmp_path / "sent")
    assert sent.status == 0 and "23Na aTSC [mmol/L]" in sent.out
    replayed = process("replay", raw, "--chain", chains / "all.xml", "--out", tmp_path / "replayed")
    assert replayed.status == 0
    there, here = tmp_path / "sent" / raw.stem, tmp_path / "replayed" / raw.stem
    assert images_of(there) == images_of(here)
    files = {path.name: path.read_bytes() for path in (there / "dicom").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (here / "dicom").iterdir()} and len(files) == 3


def test_words_of_any_encoding_and_warnings_of_the_header_arrive(chains, raw, tmp_path, process) -> None:
    """From the file to the server's capture the header keeps its bytes; what it is warned of reaches every end."""
    with RawFile(raw) as file:
        text, items = file.header_xml.decode(), list(file.acquisitions())
    text = text.replace('encoding="utf-8"', 'encoding="ISO-8859-1"').replace("Virtual^Calf", "Müller^Jürgen")
    header = text.replace("<TE>0.23<", "<TE>n/a<").replace("calf-3<", "x" * 70 + "<").encode("latin-1")
    odd, captured = tmp_path / "odd.h5", tmp_path / "captured"
    write_raw_file(odd, header, items)
    with serving(chains, captured) as (running, address):
        sent = process("send", odd, "--to", address, "--chain", "all", "--out", tmp_path / "sent")
        running.send_signal(signal.SIGTERM)
        assert running.stderr is not None
        log = running.stderr.read()
    replayed = process("replay", odd, "--chain", chains / "all.xml", "--out", tmp_path / "replayed")
    report = (tmp_path / "replayed" / "odd" / "report.json").read_text()
    for words in ("TE is no number and is left out", "the patient's ID is left empty"):
        assert all(words in said for said in (sent.err, replayed.err, report, log)), words
    (kept,) = captured.iterdir()
    for written in (kept, tmp_path / "sent" / "odd" / "images.h5"):
        with h5py.File(written) as file:
            assert file["dataset/xml"][0] == header
    name = pydicom.dcmread(next((tmp_path / "sent" / "odd" / "dicom").iterdir())).PatientName
    assert str(name) == "Müller^Jürgen"


def test_a_scan_that_failed_there_fails_here_and_leaves_nothing(server, raw, tmp_path, process, left_behind) -> None:
    outcome = process("send", raw, "--to", server, "--chain", "al", "--out", tmp_path / "sent")
    assert outcome.status == 1 and "did you mean 'all'" in outcome.err and "Traceback" not in outcome.err
    assert left_behind(tmp_path / "sent") == []


def test_no_server_is_told(raw, tmp_path, process) -> None:
    with socket.socket() as bound:  # to a port, and nobody listens there
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        process("send", raw, "--to", address, "--out", tmp_path).is_refused("no server answers", status=1)
    process("send", raw, "--to", "localhost", "--out", tmp_path).is_refused("write host:port")


def test_sigterm_ends_the_server_after_its_scans(chains, raw, tmp_path) -> None:
    captured = tmp_path / "captured"
    with serving(chains, captured) as (running, address):
        send_half_and_stop(running, address, raw, captured)


def send_half_and_stop(running: subprocess.Popen[str], address: str, raw: Path, captured: Path) -> None:
    host, port = address.split(":")
    with RawFile(raw) as file, socket.create_connection((host, int(port)), timeout=60) as link:
        acquisitions = list(file.acquisitions())
        header = file.header_xml
        link.sendall(struct.pack("<H1024s", 1, b"all.xml") + struct.pack("<HI", 3, len(header)) + header)
        half = len(acquisitions) // 2
        for acquisition in acquisitions[:half]:
            link.sendall(struct.pack("<H", 1008) + acquisition.to_bytes())
        give_up = time.monotonic() + 120
        while not list(captured.glob("*.mrd")):  # the scan has begun
            assert time.monotonic() < give_up
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert running.poll() is None
        for acquisition in acquisitions[half:]:
            link.sendall(struct.pack("<H", 1008) + acquisition.to_bytes())
        link.sendall(CLOSE)
        with link.makefile("rb") as stream:
            answer = stream.read()
    assert answer.count(b"nadenoise_kind") == 3 and answer.endswith(CLOSE)
    assert running.wait(120) == 0


def test_a_full_disc_stops_the_capture_not_the_scan(chains, raw, tmp_path, process, left_behind) -> None:
    captured = tmp_path / "captured"
    with serving(chains, captured, file_limit=100_000) as (running, address):
        for number in range(2):
            sent = process("send", raw, "--to", address, "--chain", "all", "--out", tmp_path / f"sent {number}")
            assert sent.status == 0
        running.send_signal(signal.SIGTERM)
        assert running.stderr is not None and running.stderr.read().count("are not captured: cannot write") == 2
        assert running.wait(120) == 0
    assert left_behind(captured) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "no.such.host.invalid"], ["cannot listen at no.such.host.invalid"]),
        (["--chains", "nowhere"], ["nowhere: no such folder"]),
    ],
)
def test_a_server_that_cannot_start_says_why(arguments, words, process) -> None:
    process("serve", "--port", "0", *arguments).is_refused(*words)


def stream(data: bytes, chain: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*NADENOISE, "stream", "--chain", str(chain)], cwd=ROOT, input=data, capture_output=True, timeout=300,
        env={**os.environ, "COLUMNS": "200"}, check=False,
    )  # fmt: skip


@pytest.fixture
def as_stream(raw) -> bytes:
    """The raw file in Gadgetron's stream form."""
    with RawFile(raw) as file:
        parts = [struct.pack("<HI", 3, len(file.header_xml)) + file.header_xml]
        parts += [struct.pack("<H", 1008) + acquisition.to_bytes() for acquisition in file.acquisitions()]
    return b"".join(parts) + CLOSE


def test_a_pipe_gives_what_a_replay_gives(raw, as_stream, tmp_path, chain_file, smoothing_chain, process) -> None:
    chain = chain_file(smoothing_chain)
    piped = stream(as_stream, chain)
    assert piped.returncode == 0
    process("replay", raw, "--chain", chain, "--out", tmp_path / "replayed")
    header_end = 6 + struct.unpack("<I", as_stream[2:6])[0]
    assert piped.stdout[:header_end] == as_stream[:header_end]
    expected = b"".join(struct.pack("<H", 1022) + image for image in images_of(tmp_path / "replayed" / raw.stem))
    assert piped.stdout[header_end:] == expected + CLOSE


@pytest.mark.parametrize(("cut", "words"), [(0, b"went away"), (3, b"went away"), (9000, b"went away")])
def test_a_pipe_that_ends_early_fails_and_says_so(cut, words, as_stream, chain_file) -> None:
    ended = stream(as_stream[:cut], chain_file(["accumulate", "reconstruct"]))
    assert ended.returncode == 1 and words in ended.stderr and b"Traceback" not in ended.stderr
    assert not ended.stdout.endswith(CLOSE)


def test_real_time_takes_a_repetition_time_an_acquisition(server, scan_file, tmp_path, process) -> None:
    raw = scan_file(averages=1)
    with RawFile(raw) as file:
        duration = 0.1 * (len(file) - 1)
    start = time.monotonic()
    outcome = process("send", raw, "--to", server, "--chain", "all", "--out", tmp_path, "--realtime")
    assert outcome.status == 0
    assert time.monotonic() - start > duration
