"""A peer that speaks as Gadgetron does to an external node, and breaks where Gadgetron breaks."""

from __future__ import annotations

import random
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from xml.sax.saxutils import quoteattr

import ismrmrd
import pytest
from gadgetron.external import constants
from gadgetron.external.connection import Connection
from gadgetron.types.recon_data import ReconData as TheirReconData
from gadgetron.types.recon_data import read_recon_data, write_recon_data

from nadenoise_core.mrd.recon_data import ReconData

CONFIG, HEADER, CLOSE, ERROR = 2, 3, 4, 8
_PATIENCE = 120_000  # ms for a browser
SENT = {ismrmrd.Acquisition: 1008, ismrmrd.Image: 1022, ismrmrd.Waveform: 1026}
READERS: dict[int, Callable[[Callable[[int], bytes]], Any]] = {
    1008: ismrmrd.Acquisition.deserialize_from,
    1022: ismrmrd.Image.deserialize_from,
    1026: ismrmrd.Waveform.deserialize_from,
}


def node_configuration(stages: Iterable[Any]) -> str:
    """What Gadgetron sends: the node's `<configuration>`, after an XML declaration."""
    parts = []
    for stage in stages:
        name, properties = (stage, {}) if isinstance(stage, str) else stage
        inside = "".join(f"<property name={quoteattr(k)} value={quoteattr(v)}/>" for k, v in properties.items())
        parts.append(f'<gadget name="{name}">{inside}</gadget>')
    return f'<?xml version="1.0"?>\n<configuration>{"".join(parts)}</configuration>\n'


class Peer:
    """One connection to a node, from Gadgetron's side.

    Gadgetron 4.7.2 crashes at an ERROR that comes before its own CLOSE is out, and for a moment after; and it passes on
    our words as they are, so that they must end their line.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(120)
        self._socket = connection
        self.errors: list[str] = []
        self._closed: float | None = None

    def write(self, data: Any) -> None:
        self._socket.sendall(data)

    def read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            if not part:
                raise EOFError("the node went away without CLOSE")
            parts += part
        return bytes(parts)

    def talk(self, node_xml: str, header_xml: str, items: Iterable[Any]) -> list[Any]:
        """Send a scan as Gadgetron does and collect what comes back until CLOSE."""
        sender = threading.Thread(target=self._send, args=(node_xml, header_xml, items), daemon=True)
        sender.start()
        received = []
        while (message := struct.unpack("<H", self.read(2))[0]) != CLOSE:
            if message == ERROR:
                words = self.read(struct.unpack("<Q", self.read(8))[0]).decode()
                assert self._closed is not None and time.monotonic() - self._closed > 0.05, "Gadgetron crashes"
                assert words.endswith("\n")
                self.errors.append(words)
                continue
            received.append(read_recon_data(self) if message == 1023 else READERS[message](self.read))
        sender.join(120)
        return received

    def _send(self, node_xml: str, header_xml: str, items: Iterable[Any]) -> None:
        try:
            for message, text in ((CONFIG, node_xml.encode()), (HEADER, header_xml.encode())):
                self.write(struct.pack("<HI", message, len(text)) + text)
            for item in items:
                if isinstance(item, (ReconData, TheirReconData)):
                    write_recon_data(self, item)
                else:
                    self.write(struct.pack("<H", SENT[type(item)]))
                    item.serialize_into(self.write)
            self._closed = time.monotonic()
            self.write(constants.GadgetMessageIdentifier.pack(CLOSE))
        except OSError:  # a node that failed does not read on
            pass


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port for a program that must be told one.

    It is below those that systems give to connections and to who asks for any: none takes it before the program does.
    """
    of_its_own = random.SystemRandom()

    def find() -> int:
        while True:
            port = of_its_own.randrange(20_000, 32_000)
            with suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port

    return find


@pytest.fixture
def run_node() -> Callable[[Callable[[socket.socket], None]], BaseException | None]:
    """Run a node in a thread, with Gadgetron's own client of the connection, against a script for the other end.

    Gives what the node raised.
    """
    import gadgets

    def run(script: Callable[[socket.socket], None]) -> BaseException | None:
        raised: list[BaseException] = []

        def serve() -> None:
            try:
                with socket.create_connection(("127.0.0.1", port)) as link, Connection(link) as connection:
                    gadgets.chain(connection)
            except BaseException as error:
                raised.append(error)

        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            link, _ = server.accept()
            with link:
                script(link)
        thread.join(120)
        assert not thread.is_alive()
        return raised[0] if raised else None

    return run


@pytest.fixture
def through_node(run_node) -> Callable[..., list[Any]]:
    """What comes out of a node; what it raises is raised."""

    def talk(node_xml: str, header_xml: str, items: Iterable[Any]) -> list[Any]:
        received: list[Any] = []

        def script(link: socket.socket) -> None:
            with suppress(OSError):  # a node that failed tells why below
                received.extend(Peer(link).talk(node_xml, header_xml, items))

        if (error := run_node(script)) is not None:
            raise error
        return received

    return talk


@pytest.fixture
def peer() -> type[Peer]:
    """The peer itself, for a node in a process of its own."""
    return Peer


@pytest.fixture(scope="session")
def node_xml() -> Callable[[Iterable[Any]], str]:
    """The XML that Gadgetron sends for a node of stages."""
    return node_configuration


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, as playwright drives it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed: what a browser shows is not tried")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        playwright.expect.set_options(timeout=_PATIENCE)
        yield running
        running.close()


@pytest.fixture
def page(browser) -> Iterator[Any]:
    """A page of its own; what it asks for, and what went wrong in it, is checked at the end."""
    context = browser.new_context()
    context.set_default_timeout(_PATIENCE)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert problems == []
    assert all(url.startswith(("http://127.0.0.1:", "file://", "data:", "blob:")) for url in asked), asked
