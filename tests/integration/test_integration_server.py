"""The server: a scan is answered with images, anything else with a sentence, and no one else notices."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.errors import ConnectionFailed, OutputError, ScanFailed
from nadenoise_core.monitor.scans import Scans
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.stream import messages
from nadenoise_core.stream.capture import Captures
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.client import send_scan
from nadenoise_core.stream.server import Limits, Server

pytestmark = [
    # gadgetron-python's own reader of headers, and that of images of ismrmrd 1.14.
    pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This function currently returns a result that is inconsistent:UserWarning"),
]

CONFIG_FILE, CONFIG, HEADER, CLOSE, TEXT, ERROR, ACQUISITION = 1, 2, 3, 4, 5, 8, 1008
ALL_KINDS = ["plain", "denoised", "atsc"]


def text(message: int, words: str, end: bytes = b"") -> bytes:
    content = words.encode() + end
    return struct.pack("<HI", message, len(content)) + content


def named(name: str) -> bytes:
    return struct.pack("<H1024s", CONFIG_FILE, name.encode())


def bytes_of(acquisitions) -> bytes:
    return b"".join(struct.pack("<H", ACQUISITION) + acquisition.to_bytes() for acquisition in acquisitions)


@pytest.fixture(scope="module")
def scan(measured):
    measurement, acquisitions = measured(averages=3)
    return measurement.header_xml(), acquisitions


@pytest.fixture
def chains(tmp_path, smoothing_chain, chain_file) -> ChainFolders:
    """A folder of chains: "all" of smoothing stages, and that with images so far."""
    folder = tmp_path / "chains"
    folder.mkdir()
    chain_file(smoothing_chain).rename(folder / "all.xml")
    chain_file([("accumulate", {"emit_at": "2, 3"}), *smoothing_chain[1:]]).rename(folder / "live.xml")
    chain_file([*smoothing_chain[:-1], ("deliver", {"send": "true"})]).rename(folder / "dicom.xml")
    return ChainFolders([folder])


@pytest.fixture
def serve(chains) -> Iterator[Callable[..., tuple[str, int]]]:
    """Start a server: its address."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(limits: Limits | None = None, **options) -> tuple[str, int]:
        server = Server(("127.0.0.1", 0), chains, limits, **options)
        thread = threading.Thread(target=server.serve)
        thread.start()
        running.append((server, thread))
        return server.address

    yield start
    for server, thread in running:
        server.stop()
        thread.join(120)
        assert not thread.is_alive()


def images(address, scan, chain="all") -> list[ismrmrd.Image]:
    header, acquisitions = scan
    return [answer for answer in send_scan(address, chain, header, acquisitions) if isinstance(answer, ismrmrd.Image)]


def images_once_there_is_room(address, scan) -> list[ismrmrd.Image]:
    """The images of a scan that is offered until the server has a place for it."""
    give_up = time.monotonic() + 120
    while True:
        try:
            return images(address, scan)
        except ScanFailed as error:
            if "its limit" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(0.05)


def answer(address: tuple[str, int], *sent: bytes, vanish: bool = False) -> tuple[list[str], list[str], int]:
    """What comes back to bytes: errors, texts, and how many images; up to the end of the connection.

    It knows the messages that Gadgetron's client knows: at any other that one aborts, and keeps nothing.
    """
    errors, texts, count = [], [], 0
    with socket.create_connection(address, timeout=60) as link:
        try:
            for part in sent:
                link.sendall(part)
            if vanish:
                return errors, texts, count
            with link.makefile("rb") as stream:
                while (identifier := stream.read(2)) and (message := struct.unpack("<H", identifier)[0]) != CLOSE:
                    if message == TEXT:
                        texts.append(stream.read(struct.unpack("<I", stream.read(4))[0]).decode())
                        errors += [texts[-1][4:-1]] if texts[-1].startswith("ERR ") else []
                    else:
                        assert message == 1022
                        ismrmrd.Image.deserialize_from(stream.read)
                        count += 1
        except ConnectionResetError:
            pass
    return errors, texts, count


def next_image(stream) -> ismrmrd.Image:
    """The next image of a connection; warnings may come before it."""
    while (message := struct.unpack("<H", stream.read(2))[0]) == TEXT:
        stream.read(struct.unpack("<I", stream.read(4))[0])
    assert message == 1022
    return ismrmrd.Image.deserialize_from(stream.read)


def test_a_client_gets_the_images_of_the_chain_that_it_names(serve, scan, run_chain, smoothing_chain) -> None:
    header, acquisitions = scan
    received = images(serve(), scan)
    assert [known_facts(image).kind.value for image in received] == ALL_KINDS
    here = run_chain(smoothing_chain, header, acquisitions)
    assert [image.to_bytes() for image in received] == [image.to_bytes() for image in here]


def test_a_client_may_bring_its_own_chain(serve, scan, chain_file) -> None:
    received = images(serve(), scan, str(chain_file(["accumulate", "reconstruct"])))
    assert [known_facts(image).kind.value for image in received] == ["plain"]


def test_gadgetron_gets_the_images_of_a_node(serve, scan, node_xml, peer) -> None:
    with socket.create_connection(serve()) as link:
        received = peer(link).talk(node_xml(["accumulate", "reconstruct"]), *scan)
    assert [known_facts(image).kind.value for image in received] == ["plain"]


def test_images_so_far_come_before_the_scan_goes_on(serve, scan) -> None:
    header, acquisitions = scan
    per_average = len(acquisitions) // 3
    with socket.create_connection(serve(), timeout=60) as link:
        link.sendall(named("live.xml") + text(HEADER, header))
        with link.makefile("rb") as stream:
            link.sendall(bytes_of(acquisitions[:per_average]))
            for average in (1, 2):
                # Nothing of the next average has been sent: what comes back was not waited for.
                link.sendall(bytes_of(acquisitions[average * per_average : (average + 1) * per_average]))
                for kind in ALL_KINDS:
                    image = next_image(stream)
                    assert (known_facts(image).kind.value, known_facts(image).averages) == (kind, average + 1)
            link.sendall(struct.pack("<H", CLOSE))
            assert stream.read() == struct.pack("<H", CLOSE)


def test_dicom_goes_down_the_stream_if_the_chain_asks(serve, scan) -> None:
    header, acquisitions = scan
    answers = list(send_scan(serve(), "dicom", header, acquisitions))
    files = [item for item in answers if isinstance(item, DicomFile)]
    assert len(files) == 3 and all(file.content[128:132] == b"DICM" for file in files)
    assert len({file.name for file in files}) == 3 and all(file.name.endswith(".dcm") for file in files)


class TestFire:
    """Siemens' dialect: texts end with a NUL, the configuration is a name, parameters come as JSON."""

    def test_a_name_and_parameters(self, serve, scan) -> None:
        header, acquisitions = scan
        parameters = {"config": "all", "accumulateEmitAt": "1, 2", "accumulateConjugateKspace": "False", "other": "3"}
        errors, texts, count = answer(
            serve(),
            text(CONFIG, "openrecon", b"\0"),
            text(HEADER, header, b"\0"),
            text(TEXT, json.dumps({"parameters": parameters}), b"\0"),
            bytes_of(acquisitions),
            struct.pack("<H", CLOSE),
        )
        assert errors == [] and count == 4 + 1  # of one average alone the noise is unknown: it is not denoised
        assert all(line.startswith("WRN ") and line.endswith("\0") for line in texts)

    def test_an_error_is_a_text_that_ends_with_a_nul(self, serve, scan) -> None:
        header, acquisitions = scan
        errors, texts, count = answer(
            serve(),
            text(CONFIG, "al", b"\0"),
            text(HEADER, header, b"\0"),
            bytes_of(acquisitions[:1]),
            struct.pack("<H", CLOSE),
        )
        assert len(errors) == 1 and count == 0
        (line,) = texts
        assert line.startswith("ERR there is no chain 'al'; did you mean 'all'?") and line.endswith("\0")

    @pytest.mark.parametrize("parameters", [{"config": "\ud800"}, {"accumulateEmitAt": "1\udfff"}, {"\ud800": "1"}])
    @pytest.mark.parametrize("is_early", [True, False])
    def test_a_parameter_that_is_no_text_is_told(self, parameters, is_early, serve, scan) -> None:
        sent = [text(HEADER, scan[0], b"\0"), text(TEXT, json.dumps({"parameters": parameters}), b"\0")]
        opening = text(CONFIG, "all", b"\0")
        errors, _, _ = answer(serve(), opening, *(reversed(sent) if is_early else sent), struct.pack("<H", CLOSE))
        assert len(errors) == 1 and "a parameter came that is no text, '" in errors[0]

    def test_a_parameter_with_a_wrong_value_is_told(self, serve, scan) -> None:
        header, acquisitions = scan
        parameters = {"parameters": {"accumulateEmitAt": "often"}}
        _, (line,), _ = answer(
            serve(),
            text(CONFIG, "all", b"\0"),
            text(HEADER, header, b"\0"),
            text(TEXT, json.dumps(parameters), b"\0"),
            struct.pack("<H", CLOSE),
        )
        assert "emit_at is 'often'" in line


def test_a_warning_comes_as_a_text_of_its_own_scan(serve, scan) -> None:
    header, acquisitions = scan
    address = serve()
    short = acquisitions[: len(acquisitions) // 3]
    texts = [item for item in send_scan(address, "all", header, short) if isinstance(item, str)]
    assert sum("WRN accumulate: the scan has 1 averages, 3 were expected" in item for item in texts) == 1
    whole = [item for item in send_scan(address, "all", header, acquisitions) if isinstance(item, str)]
    assert not any("accumulate" in item for item in whole)


def test_a_client_without_a_scan_is_answered(serve) -> None:
    assert answer(serve(), named("all.xml"), struct.pack("<H", CLOSE)) == ([], [], 0)


@pytest.mark.parametrize(
    "place", ["/etc/passwd", "../secret.csv", "/proc/self/environ"], ids=["absolute", "relative", "proc"]
)
def test_a_chain_from_the_network_opens_no_file_outside_the_chain_folders(place, serve, scan, chain_file) -> None:
    with pytest.raises(ScanFailed, match="outside the chain folders"):
        images(serve(), scan, str(chain_file([("accumulate", {"girf": place}), "reconstruct"])))
    with pytest.raises(ScanFailed, match="outside the chain folders"):
        images(serve(), scan, str(chain_file(["accumulate", "reconstruct", ("deliver", {"folder": place})])))


class TestBundlesFromTheNetwork:
    """A bundle can run code: who sends its name, or a checksum, does not decide that it is loaded."""

    @pytest.fixture
    def bundle(self, save_bundle, tmp_path, chains) -> Path:
        metadata = {
            "format": 1, "name": "site", "version": "1", "description": "", "matrix": [80, 80], "averages": [1, 9],
            "input": {"channels": "complex", "normalisation": "noise"},
        }  # fmt: skip
        path = tmp_path / "chains" / "site.pt"
        save_bundle(path, "return x", json.dumps(metadata))
        return path

    def ask(self, address, scan, chain_file, bundle, checksum: str | None = None) -> list[ismrmrd.Image]:
        given = {"bundle": str(bundle)} | ({"bundle_sha256": checksum} if checksum else {})
        return images(address, scan, str(chain_file(["accumulate", "reconstruct", ("denoise", given)])))

    def test_the_senders_checksum_counts_for_nothing(self, serve, scan, chain_file, bundle) -> None:
        digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
        with pytest.raises(ScanFailed, match="checksum may not come over a connection"):
            self.ask(serve(), scan, chain_file, bundle, digest)
        with pytest.raises(ScanFailed, match="not a shipped bundle"):
            self.ask(serve(), scan, chain_file, bundle)

    def test_the_sites_own_list_does(self, serve, scan, chain_file, bundle) -> None:
        sums = bundle.with_name("SHA256SUMS")
        sums.write_text(f"{hashlib.sha256(bundle.read_bytes()).hexdigest()}  site.pt\n")
        assert [known_facts(image).kind.value for image in self.ask(serve(), scan, chain_file, bundle)] == [
            "plain",
            "denoised",
        ]
        sums.write_text(f"{'0' * 64}  site.pt\n")
        with pytest.raises(ScanFailed, match="changed or damaged"):
            self.ask(serve(), scan, chain_file, bundle)

    def test_a_link_out_of_the_folder_is_followed_by_no_one(self, serve, scan, chain_file, bundle, tmp_path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        bundle.rename(outside / "site.pt")
        bundle.symlink_to(outside / "site.pt")
        with pytest.raises(ScanFailed, match="outside the chain folders"):
            self.ask(serve(), scan, chain_file, bundle)


@pytest.mark.parametrize("name", ["../chains/all", "/etc/passwd", "all.xml/..", "", "os", "."])
def test_a_name_is_a_name_of_a_chain_and_nothing_else(name, serve, scan) -> None:
    with pytest.raises(ScanFailed, match="there is no chain|name a chain"):
        header, acquisitions = scan
        list(send_scan(serve(), name, header, acquisitions))


BAD = {
    "nothing at all": b"",
    "half an identifier": b"\x01",
    "garbage": bytes(range(7, 256)) * 40,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown message": struct.pack("<H", 60000),
    "an acquisition first": struct.pack("<H", ACQUISITION) + bytes(340),
    "a configuration of 2^32 bytes": struct.pack("<HI", CONFIG, 2**32 - 1),
    "half a configuration": struct.pack("<HI", CONFIG, 1000) + b"<configuration>",
    "two configurations": named("all.xml") + text(CONFIG, "<configuration/>"),
    "a configuration that is no XML": text(CONFIG, "<configuration><stream") + text(HEADER, "<a/>"),
    "a configuration in no known text": struct.pack("<HI", CONFIG, 4) + b"\xff\xfe\xfd\xfc",
    "no configuration": text(HEADER, "<a/>") + struct.pack("<H", CLOSE),
    "a header that is none": named("all.xml") + text(HEADER, "hello") + struct.pack("<H", CLOSE),
    "half a header": named("all.xml") + struct.pack("<HI", HEADER, 5000) + b"<?xml",
}


@pytest.mark.parametrize("vanish", [True, False], ids=["and goes", "and waits"])
@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_a_bad_client_takes_no_one_with_it(sent, vanish, serve, scan) -> None:
    address = serve(Limits(idle=5))
    errors, _, count = [], [], 0
    if vanish or sent not in (BAD["nothing at all"], BAD["half an identifier"]):
        waits = sent in (BAD["half a configuration"], BAD["half a header"], BAD["http"])
        errors, _, count = answer(address, sent, vanish=vanish or waits)
        assert count == 0 and (vanish or waits or len(errors) == 1 and len(errors[0]) > 20)
    assert len(images(address, scan)) == 3


def damaged(kind: str, scan) -> bytes:
    header, acquisitions = scan
    head = acquisitions[0].getHead()
    begin = named("all.xml") + text(HEADER, header) + bytes_of(acquisitions[:5])
    if kind == "in the middle of a message":
        return begin + bytes_of(acquisitions[5:6])[:1000]
    if kind == "an unknown message":
        return begin + struct.pack("<H", 999)
    if kind == "an acquisition of 34 GB":
        head.number_of_samples = head.active_channels = 65535
        return begin + struct.pack("<H", ACQUISITION) + bytes(head)
    if kind == "an image of 2^60 bytes":
        image = ismrmrd.ImageHeader()
        image.data_type, image.channels, image.matrix_size[:] = 8, 65535, (65535, 65535, 65535)
        return begin + struct.pack("<H", 1022) + bytes(image) + struct.pack("<Q", 0)
    if kind == "a buffer of 2^63 dimensions":
        return begin + struct.pack("<HQQ", 1023, 1, 2**63)
    assert kind == "a text of 2^32 bytes"
    return begin + struct.pack("<HI", TEXT, 2**32 - 1)


DAMAGES = [
    "in the middle of a message",
    "an unknown message",
    "an acquisition of 34 GB",
    "an image of 2^60 bytes",
    "a buffer of 2^63 dimensions",
    "a text of 2^32 bytes",
]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_scan_that_goes_wrong_is_told_and_takes_no_one_with_it(kind, serve, scan) -> None:
    address = serve()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent = damaged(kind, scan)
    if kind == "in the middle of a message":
        answer(address, sent, vanish=True)
    else:
        errors, texts, _ = answer(address, sent)
        assert len(errors) == 1 and texts[-1] == f"ERR {errors[0]}\n"
        assert any(word in errors[0] for word in ("limit", "does not read"))
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    )  # kB: nothing was made for what did not come
    assert len(images(address, scan)) == 3


def test_a_scan_that_stalls_is_given_up(serve, scan) -> None:
    header, acquisitions = scan
    errors, _, _ = answer(serve(Limits(idle=0.3)), named("all.xml"), text(HEADER, header), bytes_of(acquisitions[:5]))
    assert errors == ["the peer sent nothing for too long; the scan is given up"]


def test_a_gadget_that_fails_is_told_and_the_rest_of_the_scan_taken(serve, scan, changed) -> None:
    header, acquisitions = scan
    address = serve()
    wrong = changed(acquisitions[3], data=acquisitions[3].data * np.nan)
    with pytest.raises(ScanFailed, match=r"acquisition 3 \(interleaf .*NaN"):
        list(send_scan(address, "all", header, [*acquisitions[:3], wrong, *acquisitions[4:]]))
    assert len(images(address, scan)) == 3


def test_a_peer_that_takes_nothing_is_given_up_after_one_wait(serve, scan, node_xml, caplog, monkeypatch) -> None:
    header, acquisitions = scan
    in_vain: list[str] = []

    def counted(transfer):
        def transfer_or_count(link, *arguments):
            try:
                return transfer(link, *arguments)
            except TimeoutError:
                in_vain.append(transfer.__name__)
                raise

        return transfer_or_count

    for name in ("recv", "sendall"):
        monkeypatch.setattr(socket.socket, name, counted(getattr(socket.socket, name)))
    xml = node_xml(["prewhiten"])  # gives back every acquisition: more than the network holds
    address = serve(Limits(idle=2))
    with socket.create_connection(address, timeout=60) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(ConnectionError):  # once the server has given up
            link.sendall(text(CONFIG, xml) + text(HEADER, header) + 40 * bytes_of(acquisitions))
        wait_until(lambda: "the peer took no data for too long" in caplog.text)
        assert in_vain == ["sendall"]  # the failure and the end are not waited for anew
    assert len(images(address, scan)) == 3


def wait_until(happened: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for an event."""
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_eight_scans_at_once_give_what_one_gives(serve, measured) -> None:
    scans = [(measurement.header_xml(), items) for measurement, items in (measured(seed=seed) for seed in range(8))]
    address = serve(Limits(scans=16))  # those before may still be giving their places back
    alone = [[image.to_bytes() for image in images(address, one)] for one in scans]
    found: dict[int, list[bytes]] = {}
    threads = [
        threading.Thread(target=lambda n=number: found.update({n: [i.to_bytes() for i in images(address, scans[n])]}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [found[number] for number in range(8)] == alone


def test_a_scan_too_many_is_told_to_come_again(serve, scan) -> None:
    header, acquisitions = scan
    address = serve(Limits(scans=1))
    with socket.create_connection(address) as link:
        link.sendall(named("all.xml") + text(HEADER, header) + bytes_of(acquisitions[:1]))
        with pytest.raises(ScanFailed, match="1 scans, its limit; try again"):
            while True:  # until the server has taken the first
                images(address, scan)
    assert len(images_once_there_is_room(address, scan)) == 3


def opened(address, *sent: bytes) -> socket.socket:
    """A connection that has said something."""
    link = socket.create_connection(address, timeout=60)
    link.sendall(b"".join(sent))
    return link


def test_connections_that_never_begin_do_not_keep_scans_out(serve, scan) -> None:
    address = serve(Limits(opening=30))
    trickling = [opened(address, named("all.xml"), struct.pack("<HI", HEADER, 5000), b"<") for _ in range(150)]
    for _ in range(3):
        assert len(images(address, scan)) == 3
        for link in trickling:
            with suppress(OSError):
                link.sendall(b"?")
    for link in trickling:
        link.close()


def test_an_opening_has_a_deadline(serve) -> None:
    with opened(serve(Limits(opening=0.5, idle=60)), named("all.xml")) as link:
        began = time.monotonic()
        for _ in range(100):
            with suppress(OSError):
                link.sendall(struct.pack("<HI", TEXT, 1) + b" ")  # something comes all the time
            time.sleep(0.02)
        assert b"ERR the peer sent nothing for too long" in link.recv(4096)
        assert time.monotonic() - began < 50  # s, of the 60 that silence may take


def test_a_scan_that_stalls_gives_its_place_to_one_that_waits(serve, scan, caplog) -> None:
    header, acquisitions = scan
    running = Scans()
    address = serve(Limits(scans=2, stalled=0.5), watches=[running])
    begin = named("all.xml") + text(HEADER, header) + bytes_of(acquisitions[:1])
    with opened(address, begin), opened(address, begin):
        wait_until(lambda: len(running.state()) == 2)
        for _ in range(3):
            assert len(images_once_there_is_room(address, scan)) == 3
    assert "its place goes to another" in caplog.text


def test_a_node_that_waits_for_those_before_it_does_not_stall(serve, scan, node_xml) -> None:
    header, acquisitions = scan
    running, enough = Scans(), threading.Event()
    address = serve(Limits(scans=1, stalled=2.0), watches=[running])
    first, last = (text(CONFIG, node_xml([stage])) + text(HEADER, header) for stage in ("accumulate", "reconstruct"))

    def send(link: socket.socket) -> None:
        for acquisition in acquisitions[:-1]:
            link.sendall(bytes_of([acquisition]))
            if enough.wait(0.1):
                return

    with opened(address, first) as hears, opened(address, last):
        sending = threading.Thread(target=send, args=(hears,))
        sending.start()
        wait_until(lambda: len(running.state()) == 2)
        time.sleep(2.5)
        with pytest.raises(ScanFailed, match="its limit"):
            images(address, scan)
        enough.set()
        sending.join(60)
        assert len(images_once_there_is_room(address, scan)) == 3  # both are silent now


def test_nodes_of_one_scan_share_a_place(serve, scan, node_xml, peer) -> None:
    header, acquisitions = scan
    running = Scans()
    address = serve(Limits(scans=1), watches=[running])
    stages = ("prewhiten", "accumulate", "reconstruct")
    links = [opened(address, text(CONFIG, node_xml([stage])), text(HEADER, header)) for stage in stages]
    try:
        wait_until(lambda: len(running.state()) == 3)
        with socket.create_connection(address) as link:  # another scan, of which a node is here already
            refused = peer(link)
            assert refused.talk(node_xml(["prewhiten"]), header, acquisitions) == []
            assert refused.errors == ["the server runs 1 scans, its limit; try again later\n"]
        with pytest.raises(ScanFailed, match="its limit"):
            images(address, scan)
        for link in links:
            link.sendall(struct.pack("<H", CLOSE))
        assert b"limit" not in b"".join(link.recv(1 << 16) for link in links[:1])
    finally:
        for link in links:
            link.close()


def test_a_thread_that_cannot_be_started_costs_one_connection(serve, scan, monkeypatch) -> None:
    address = serve()
    start = threading.Thread.start

    def fail(thread):
        if thread.name.startswith("scan"):
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    with socket.create_connection(address, timeout=60) as link:
        assert link.recv(1) == b""
    assert len(images(address, scan)) == 3


def test_both_loopback_addresses_are_listened_at(chains, scan) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    server = Server(("localhost", 0), chains)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        for host in ("127.0.0.1", "::1"):
            assert len(images((host, server.address[1]), scan)) == 3
    finally:
        server.stop()
        thread.join(60)


@pytest.mark.parametrize("how", ["grace", "cut"])
def test_a_scan_that_goes_on_after_the_end_is_cut(how, chains, scan) -> None:
    header, acquisitions = scan
    server = Server(("127.0.0.1", 0), chains)
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(server.serve(0.5 if how == "grace" else 600)))
    thread.start()
    with opened(server.address, named("live.xml"), text(HEADER, header), bytes_of(acquisitions)) as link:
        with link.makefile("rb") as stream:
            next_image(stream)
        server.stop()
        if how == "cut":
            time.sleep(0.3)
            assert thread.is_alive()
            server.cut()
        thread.join(120)
        assert ended == [False]


def test_a_client_is_given_images_alone(serve, scan, chain_file) -> None:
    header, acquisitions = scan
    noise = ismrmrd.Waveform.from_array(np.arange(8, dtype=np.uint32).reshape(2, 4))
    passes = str(chain_file(["prewhiten"]))
    assert [item for item in send_scan(serve(), passes, header, acquisitions) if not isinstance(item, str)] == []
    received = send_scan(serve(), "all", header, [noise, *acquisitions, noise])
    assert {type(item) for item in received} <= {ismrmrd.Image, str}


def test_a_fault_of_ours_is_named_as_one(serve, scan, monkeypatch) -> None:
    def fail(*_):
        raise KeyError("no one thought of this")

    address = serve()
    monkeypatch.setattr("nadenoise_core.stream.session.build", fail)
    with pytest.raises(ScanFailed, match=r"KeyError: 'no one thought of this' \(a fault of nadenoise"):
        images(address, scan)


def test_a_header_beyond_the_budget_takes_no_one_with_it(serve, scan) -> None:
    header, acquisitions = scan
    address = serve()
    huge = re.sub(r"<x>80</x>(\s*)<y>80</y>", r"<x>1000000000</x>\1<y>1000000000</y>", header)
    with opened(address, named("all.xml"), text(HEADER, header), bytes_of(acquisitions[:5])) as good:
        with pytest.raises(ScanFailed, match="matrix of 1e[+]09 pixels, and the limit is 512"):
            images(address, (huge, acquisitions))
        good.sendall(bytes_of(acquisitions[5:]) + struct.pack("<H", CLOSE))
        with good.makefile("rb") as stream:
            for kind in ALL_KINDS:
                assert known_facts(next_image(stream)).kind.value == kind


class TestObservers:
    """Who looks on must not matter to a scan."""

    class Broken:
        def __init__(self, where: str) -> None:
            self.where, self.ended = where, threading.Event()

        def observer(self, number, notify):
            return self

        def notified(self, number, message) -> None:
            raise NotImplementedError

        def over(self, number, failure) -> None:
            self._at("over")

        def _at(self, where: str) -> None:
            if where == self.where:
                raise ValueError("broken")

        def begin(self, scan, header_xml) -> None:
            self._at("begin")

        def acquisition(self, acquisition) -> None:
            self._at("acquisition")

        def image(self, image) -> None:
            self._at("image")

        def end(self, error) -> None:
            self.ended.set()
            self._at("end")

    @pytest.mark.parametrize("where", ["begin", "acquisition", "image", "end", "over"])
    def test_one_that_fails_is_given_up(self, where, serve, scan, tmp_path, caplog) -> None:
        broken = self.Broken(where)
        address = serve(watches=[broken, Captures(tmp_path / "raw")])
        assert len(images(address, scan)) == 3
        wait_until(broken.ended.is_set)
        with RawFile(TestCapture.wait_for(tmp_path / "raw")) as file:
            assert len(file) == len(scan[1])
        assert caplog.text.count("Broken failed (ValueError)") == 1


def test_gadgetrons_word_for_an_error_is_one(scan) -> None:
    words = "[/configuration/stream/external] ERROR: no such chain\n"

    def serve_once(listener: socket.socket) -> None:
        link, _ = listener.accept()
        with link:
            link.sendall(text(TEXT, "all is well\n") + text(TEXT, words) + struct.pack("<H", CLOSE))
            while link.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_once, args=(listener,))
        thread.start()
        with pytest.raises(ScanFailed, match="scan failed: no such chain$"):
            list(send_scan(listener.getsockname()[:2], "all", *scan))
        thread.join(30)


def test_many_scans_leave_nothing_behind(serve, measured) -> None:
    measurement, acquisitions = measured()
    small = (measurement.header_xml(), acquisitions)
    address = serve()

    def used() -> tuple[int, int]:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize(), len(os.listdir("/proc/self/fd"))

    for number in range(200):
        assert len(images(address, small)) == 3
        if number == 50:
            memory, descriptors = used()
    wait_until(lambda: used()[1] <= descriptors + 2)  # the last may still be ending
    after, _ = used()
    assert after - memory < 60e6  # 150 scans of 3 MB of samples and three images each: a leak would be larger


def test_stop_lets_a_running_scan_come_to_its_end(chains, scan) -> None:
    header, acquisitions = scan
    server = Server(("127.0.0.1", 0), chains)
    thread = threading.Thread(target=server.serve)
    thread.start()
    two = 2 * len(acquisitions) // 3
    with socket.create_connection(server.address, timeout=60) as link, link.makefile("rb") as stream:
        link.sendall(named("live.xml") + text(HEADER, header) + bytes_of(acquisitions[:two]))
        assert [known_facts(next_image(stream)).averages for _ in ALL_KINDS] == 3 * [2]
        server.stop()
        with pytest.raises(ConnectionFailed, match="no server answers"):
            images(server.address, scan)
        link.sendall(bytes_of(acquisitions[two:]) + struct.pack("<H", CLOSE))
        assert [known_facts(next_image(stream)).averages for _ in ALL_KINDS] == 3 * [3]
    thread.join(60)
    assert not thread.is_alive()


class TestCapture:
    @staticmethod
    def wait_for(path: Path) -> Path:
        for _ in range(2400):
            if found := list(path.glob("scan_*.h5")):
                return found[0]
            time.sleep(0.05)
        raise AssertionError("no file was written")

    def test_holds_what_came_bit_for_bit(self, serve, scan, tmp_path) -> None:
        header, acquisitions = scan
        address = serve(watches=[Captures(tmp_path / "raw")])
        sent = images(address, scan)
        with RawFile(self.wait_for(tmp_path / "raw")) as file:
            assert file.header_xml.decode() == header
            assert list(file.acquisitions()) == acquisitions
            again = images(address, (file.header_xml.decode(), list(file.acquisitions())))
        assert [image.to_bytes() for image in again] == [image.to_bytes() for image in sent]

    def test_no_file_is_replaced_when_a_clock_stands_still(self, serve, scan, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("nadenoise_core.stream.capture.time.strftime", lambda form: "20261101_023000")
        for _ in range(2):  # two servers, that count from 1 both
            assert len(images(serve(watches=[Captures(tmp_path / "raw")]), scan)) == 3
        wait_until(lambda: len(list((tmp_path / "raw").glob("scan_20261101_023000_0001_*.h5"))) == 2)

    def test_a_file_that_does_not_come_to_its_end_is_given_up(self, tmp_path, scan, caplog, monkeypatch) -> None:
        stuck = threading.Event()
        monkeypatch.setattr("nadenoise_core.stream.capture.write_raw_file", lambda *_, **__: stuck.wait(120))
        kept = Captures(tmp_path)
        capture = kept.observer(1, partial(kept.notified, 1))
        capture.begin(read_scan(scan[0]), b"<a/>")
        capture.end(None)
        kept.over(1, "")
        began = time.monotonic()
        assert not kept.finish(0.2) and time.monotonic() - began < 60  # s, of the 120 that it takes
        stuck.set()
        assert kept.finish(30)

    def test_a_spool_that_no_file_can_be_made_of_stays(self, serve, scan, tmp_path, caplog, monkeypatch) -> None:
        """It is the stream that `nadenoise stream` takes."""

        def fail(*_, **__):
            raise OutputError("the disc is full")

        monkeypatch.setattr("nadenoise_core.stream.capture.write_raw_file", fail)
        kept = Captures(tmp_path / "raw")
        assert len(images(serve(watches=[kept]), scan)) == 3
        wait_until(lambda: "the disc is full" in caplog.text)
        (spool,) = (tmp_path / "raw").iterdir()
        assert str(spool) in caplog.text and spool.stat().st_mode & 0o777 == 0o600
        assert spool.read_bytes() == text(HEADER, scan[0]) + bytes_of(scan[1]) + struct.pack("<H", CLOSE)

    def test_a_disc_that_stands_still_holds_up_no_scan(self, serve, scan, tmp_path, caplog, monkeypatch) -> None:
        os.mkfifo(tmp_path / "nothing")  # opened for writing, it waits for a reader
        monkeypatch.setattr("nadenoise_core.stream.capture._ENDING", 0.2)
        monkeypatch.setattr(
            "nadenoise_core.stream.capture._for_us_alone",
            lambda path, flags: os.open(tmp_path / "nothing", os.O_WRONLY),
        )
        assert len(images(serve(watches=[Captures(tmp_path / "raw")]), scan)) == 3
        assert "are not captured: the disc is too slow" in caplog.text
        os.close(os.open(tmp_path / "nothing", os.O_RDONLY | os.O_NONBLOCK))

    def test_a_folder_that_cannot_be_written_stops_the_capture_not_the_scan(self, serve, scan, tmp_path, caplog):
        (tmp_path / "raw").write_text("a file, where a folder should be")
        assert len(images(serve(watches=[Captures(tmp_path / "raw")]), scan)) == 3
        assert "are not captured" in caplog.text


def test_the_messages_of_the_client_are_those_of_the_books() -> None:
    assert messages.name_message("a.xml") == named("a.xml")
    assert messages.text_message(HEADER, "<a/>") == text(HEADER, "<a/>")
    assert messages.text_message(ERROR, "no") == struct.pack("<HQ", ERROR, 2) + b"no"
    assert messages.close_message() == struct.pack("<H", CLOSE)
