"""A client of the stream: sends a scan to a server, as Gadgetron's client and a scanner do, and takes what returns."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import ismrmrd

from nadenoise_core.chain.gadget import Item
from nadenoise_core.errors import ConnectionFailed, ScanFailed
from nadenoise_core.stream import messages
from nadenoise_core.stream.wire import CLOSE, Wire

_CONNECTING = 10.0  # s
_FAILURE = re.compile(r"(?:ERR |\[[^\]\n]*\] ERROR: )(.*)", re.DOTALL)
"""A text that tells of a failure: ours and FIRE's, or Gadgetron's with the place in brackets."""


def send_scan(
    address: tuple[str, int],
    chain: str,
    header_xml: str | bytes,
    acquisitions: Iterable[ismrmrd.Acquisition],
    *,
    interval: float = 0.0,
    idle: float = 600.0,
) -> Iterator[Item | str]:
    """Send a scan and give what comes back, as it comes: images, DICOM files, and lines of text.

    Args:
        address: (host, port) of the server.
        chain: the name of a chain that the server has, or the path of a chain file here.
        header_xml: ISMRMRD header; bytes go as they are.
        acquisitions: of the scan.
        interval: seconds from one acquisition to the next; 0 sends as fast as it goes.
        idle: seconds of silence after which the server is given up.

    Raises:
        ConnectionFailed: there is no server, or it vanished.
        ScanFailed: the server said that the scan has failed; raised when everything has come back.
    """
    try:
        link = socket.create_connection(address, timeout=_CONNECTING)
    except OSError as error:
        place = f"{address[0]}:{address[1]}"
        raise ConnectionFailed(f"no server answers at {place} ({error.strerror or error}); start one there") from None
    wire = Wire.of_socket(link, idle)
    failures: list[str] = []
    sender = _Sender(wire, _opening(chain, header_xml), acquisitions, interval)
    sender.start()
    try:
        while (message := messages.read_identifier(wire)) != CLOSE:
            if message == messages.ERROR:
                failures.append(messages.read_text(wire, "<Q").rstrip("\n"))
            elif message == messages.TEXT:
                text = messages.read_text(wire).rstrip("\n")
                failures.extend([found[1]] if (found := _FAILURE.fullmatch(text)) else [])
                yield text
            else:
                yield messages.read_item(messages.ANSWER_READERS, message, wire)
    except ConnectionFailed as error:
        failures.append(str(error))
    finally:
        sender.stopped.set()
        wire.cut()
        sender.join()
    if sender.failure is not None:
        raise sender.failure
    if failures:
        raise ScanFailed(f"the server's scan failed: {failures[-1]}")


class _Sender(threading.Thread):
    """Sends a scan while its results are read.

    Attributes:
        stopped: set when no one waits for results any longer.
        failure: of the raw data, if they could not be read.
    """

    def __init__(
        self, wire: Wire, opening: bytes, acquisitions: Iterable[ismrmrd.Acquisition], interval: float
    ) -> None:
        super().__init__(name="sender", daemon=True)
        self._wire = wire
        self._opening = opening
        self._acquisitions = acquisitions
        self._interval = interval
        self.stopped = threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._wire.write(self._opening)
            start = time.monotonic()
            for number, acquisition in enumerate(self._acquisitions):
                if self.stopped.wait(max(start + number * self._interval - time.monotonic(), 0)):
                    return
                self._wire.write(messages.item_message(acquisition))
            self._wire.write(messages.close_message())
        except ConnectionFailed:  # the reader finds out, and knows more
            pass
        except Exception as error:
            self.failure = error
            self._wire.cut()


def _opening(chain: str, header_xml: str | bytes) -> bytes:
    """What comes before the data: a chain file of ours or the name of the server's, and the header."""
    if chain.endswith(".xml") and Path(chain).is_file():
        configuration = messages.text_message(messages.CONFIG, Path(chain).read_text(encoding="utf-8"))
    else:
        configuration = messages.name_message(f"{chain.removesuffix('.xml')}.xml")
    return configuration + messages.text_message(messages.HEADER, header_xml)
