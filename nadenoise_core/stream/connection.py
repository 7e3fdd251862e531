"""One scan over a connection: what the peer says first, then items, and an answer that is never silence.

It stands on gadgetron-python's Connection. What is mended there: a peer that vanishes makes it spin, a message that it
does not know ends the scan quietly, FIRE's texts and a chain's name stop it, and an exception ends the scan as if all
were well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from gadgetron.external.connection import Connection

from nadenoise_core.errors import ConnectionFailed
from nadenoise_core.stream import messages
from nadenoise_core.stream.wire import CLOSE, Wire

Peer = Literal["gadgetron", "client"]
"""Gadgetron's server, which takes no text from a node, or a client, which may know no ERROR message."""

_log = logging.getLogger("nadenoise.connection")


@dataclass(frozen=True)
class Opening:
    """What a peer says before its data.

    Attributes:
        configuration: XML of a node or of a whole chain; empty if a name came, or nothing.
        name: of a chain; empty if XML came, or nothing.
        header_xml: ISMRMRD header, as it came.
    """

    configuration: str
    name: str
    header_xml: bytes


class ScanConnection(Connection):  # type: ignore[misc]  # gadgetron-python has no types
    """A peer's connection, for one scan; a context manager, at whose end CLOSE is sent.

    Iterating gives the items up to CLOSE, and `send` takes items. Both raise ConnectionFailed.

    Attributes:
        closed: whether the peer has sent its CLOSE.
        parameters: what FIRE sent as JSON before the data.
    """

    def __init__(self, wire: Wire) -> None:  # the base class reads here what `open` reads
        self.socket = wire
        self.closed = False
        self.parameters: dict[str, str] = {}
        self._ahead: list[int] = []

    def open(self) -> Opening | None:
        """Read what comes before the data; None if the peer has no scan (Gadgetron's client asks for noise data so).

        Raises:
            ConnectionFailed: data came before the header, or two configurations.
        """
        configuration: str | None = None
        name = ""
        while True:
            message = messages.read_identifier(self.socket)
            if message in (messages.CONFIG_FILE, messages.CONFIG):
                if configuration is not None:
                    raise ConnectionFailed("two configurations came; send one for a scan")
                named = message == messages.CONFIG_FILE
                configuration = (messages.read_name if named else messages.read_text)(self.socket)
                if named or not configuration.lstrip("\ufeff \t\r\n").startswith("<"):  # FIRE's text may be a name
                    configuration, name = "", configuration.strip()
            elif message == messages.HEADER:
                return Opening(configuration or "", name, messages.read_header(self.socket))
            elif message == messages.TEXT:
                self._take_text()
            elif message == CLOSE:
                self.closed = True
                return None
            else:
                raise ConnectionFailed(f"message {message} came before the ISMRMRD header; send the header first")

    def read_parameters(self) -> None:
        """Take the parameters that FIRE sends between header and data."""
        message = messages.read_identifier(self.socket)
        while message == messages.TEXT:
            self._take_text()
            message = messages.read_identifier(self.socket)
        self._ahead.append(message)

    def next(self) -> tuple[int, Any]:
        """The next item, after its message's identifier; StopIteration at CLOSE."""
        if self.closed:
            raise StopIteration
        while True:
            message = self._ahead.pop() if self._ahead else messages.read_identifier(self.socket)
            if message == CLOSE:
                self.closed = True
                raise StopIteration
            if message != messages.TEXT:
                return message, messages.read_item(messages.ITEM_READERS, message, self.socket)
            _log.debug("the peer says: %s", messages.read_text(self.socket))

    def send(self, item: Any) -> None:
        """Send an item in one piece."""
        self.socket.write(messages.item_message(item))

    def send_text(self, words: str) -> None:
        """Send a line for the operator; FIRE colours it by its first letters, `WRN` or `ERR`."""
        self.socket.write(messages.text_message(messages.TEXT, words, self.socket.fire))

    def send_error(self, words: str) -> None:
        """Send an ERROR message."""
        self.socket.write(messages.text_message(messages.ERROR, words))

    def _take_text(self) -> None:
        text = messages.read_text(self.socket)
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        given = said.get("parameters") if isinstance(said, dict) else None
        if isinstance(given, dict):
            self.parameters.update({str(name): str(value) for name, value in given.items()})
        else:
            _log.debug("the peer says: %s", text)


@contextmanager
def told(connection: ScanConnection, peer: Peer) -> Iterator[None]:
    """Tell the peer what fails inside, and raise it on.

    The rest of the scan is taken first: else Gadgetron reports a connection that was reset, in place of our words.

    Args:
        connection: of the scan.
        peer: who is at its other end.
    """
    try:
        yield
    except Exception as error:
        words = str(error) or type(error).__name__
        with suppress(ConnectionFailed):
            if peer == "client":
                connection.send_text(f"ERR {words}")
            if not connection.socket.fire:
                connection.send_error(words)
            if not isinstance(error, ConnectionFailed):
                for _ in connection:
                    pass
        raise
