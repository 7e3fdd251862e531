"""What a node tells Gadgetron when something is wrong: our words, and never silence."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import ismrmrd
import pytest

from nadenoise_core.errors import ConnectionFailed, RawDataError

# gadgetron-python's own reader of headers.
pytestmark = pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning")

ACQUISITION, CONFIG, HEADER, CLOSE, ERROR = 1008, 2, 3, 4, 8
TIMEOUT = 60


class Scanner:
    """Gadgetron's end of a connection to a node, byte by byte."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(TIMEOUT)
        self.link = link

    def begin(self, configuration: str, header: str) -> None:
        for message, text in ((CONFIG, configuration.encode()), (HEADER, header.encode())):
            self.link.sendall(struct.pack("<HI", message, len(text)) + text)

    def send(self, acquisition: ismrmrd.Acquisition) -> None:
        self.link.sendall(struct.pack("<H", ACQUISITION))
        acquisition.serialize_into(self.link.sendall)

    def close(self) -> None:
        self.link.sendall(struct.pack("<H", CLOSE))

    def read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self.link.recv(count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def error(self) -> str:
        """The one ERROR message, and the CLOSE that must follow it."""
        message, count = struct.unpack("<HQ", self.read(10))
        assert message == ERROR
        text = self.read(count).decode()
        assert struct.unpack("<H", self.read(2)) == (CLOSE,)
        assert self.link.recv(1) == b""
        return text


@pytest.fixture
def against(run_node) -> Callable[[Callable[[Scanner], None]], BaseException | None]:
    """Run a node against a scanner's script: what the node raised."""
    return lambda script: run_node(lambda link: script(Scanner(link)))


@pytest.fixture
def scan(measured):
    measurement, acquisitions = measured()
    return measurement.header_xml(), acquisitions


def test_our_words_reach_gadgetron_and_the_rest_of_the_scan_is_taken(against, node_xml, scan, changed) -> None:
    header, acquisitions = scan
    damaged = changed(acquisitions[1], data=acquisitions[1].data * float("nan"))

    def script(scanner: Scanner) -> None:
        scanner.begin(node_xml(["accumulate"]), header)
        for acquisition in (acquisitions[0], damaged, *acquisitions[2:]):
            scanner.send(acquisition)  # a node that did not drain would reset the connection here
        scanner.close()
        assert "acquisition 1 (interleaf" in scanner.error()

    assert isinstance(against(script), RawDataError)


def test_a_wrong_property_is_told_before_the_first_sample(against, node_xml, scan) -> None:
    header, _ = scan

    def script(scanner: Scanner) -> None:
        scanner.begin(node_xml([("accumulate", {"emit_att": "5"})]), header)
        scanner.close()
        assert "emit_at" in scanner.error()

    assert against(script) is not None


@pytest.mark.parametrize("sent", [0, 1, 100, 341])
def test_a_peer_that_vanishes_is_noticed(against, node_xml, scan, sent: int) -> None:
    header, acquisitions = scan
    message = bytearray(struct.pack("<H", ACQUISITION))
    acquisitions[0].serialize_into(message.extend)

    def script(scanner: Scanner) -> None:
        scanner.begin(node_xml(["accumulate"]), header)
        scanner.send(acquisitions[0])
        scanner.link.sendall(message[:sent])

    error = against(script)
    assert isinstance(error, ConnectionFailed)
    assert "without a CLOSE message" in str(error) or "the connection failed" in str(error)


@pytest.mark.parametrize("message", [ERROR, 1018, 60000])
def test_a_message_that_is_not_known_is_named(against, node_xml, scan, message: int) -> None:
    header, acquisitions = scan

    def script(scanner: Scanner) -> None:
        scanner.begin(node_xml(["accumulate"]), header)
        scanner.send(acquisitions[0])
        scanner.link.sendall(struct.pack("<H", message))
        assert f"message {message} " in scanner.error()

    assert isinstance(against(script), ConnectionFailed)
