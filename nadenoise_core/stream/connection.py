"""One scan over a connection: what the peer says first, then items, and an answer that is never silence.

It stands on gadgetron-python's Connection. What is mended there: a peer that vanishes makes it spin, a message that it
does not know ends the scan quietly, FIRE's texts and a chain's name stop it, and an exception ends the scan as if all
were well.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from gadgetron.external.connection import Connection

from nadenoise_core.errors import ConnectionFailed, NadenoiseError
from nadenoise_core.stream import messages
from nadenoise_core.stream.wire import CLOSE, Wire

Peer = Literal["gadgetron", "client"]
"""Gadgetron's server, which takes no text from a node, or a client, which may know no ERROR message."""

_PAUSE = 0.1  # s
_SILENCE = 0.5  # s after which a peer that is not understood has said all
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


@dataclass(frozen=True)
class Handover:
    """What another process needs beside the socket to go on with a connection that has said its opening.

    Attributes:
        peer: who is at the other end.
        parameters: what FIRE sent.
        fire: whether the peer speaks FIRE's dialect.
        ahead: bytes that were read and are still to be understood.
        idle: see `Wire`.
        deadline: see `Wire`.
        largest: see `Wire`.
    """

    peer: Peer
    parameters: dict[str, str]
    fire: bool
    ahead: bytes
    idle: float | None
    deadline: float | None
    largest: int


class ScanConnection(Connection):  # type: ignore[misc]  # gadgetron-python has no types
    """A peer's connection, for one scan; a context manager, at whose end CLOSE is sent.

    Iterating gives the items up to CLOSE, and `send` takes items. Both raise ConnectionFailed.

    Attributes:
        peer: who is at the other end: what it opens with tells.
        closed: whether the peer has sent its CLOSE.
        heard: when the last whole item came, of `time.monotonic`.
        parameters: what FIRE sent as JSON before the data.
    """

    def __init__(self, wire: Wire) -> None:  # the base class reads here what `open` reads
        self.socket = wire
        self.peer: Peer = "client"
        self.closed = False
        self.heard = time.monotonic()
        self._lost = False  # what comes can no longer be understood
        self.parameters: dict[str, str] = {}
        self._ahead: list[int] = []

    def open(self) -> Opening | None:
        """Read what comes before the data; None if the peer has no scan (Gadgetron's client asks for noise data so).

        Raises:
            ConnectionFailed: data came before the header, or two configurations.
        """
        with self._kept_in_step():
            return self._open()

    def hand_over(self) -> Handover:
        """Let another process go on with the connection, after `open`; what is left here is to `leave` it."""
        wire = self.socket
        return Handover(self.peer, self.parameters, wire.fire, wire.unread(), wire.idle, wire.deadline, wire.largest)

    def take_over(self, handover: Handover) -> None:
        """Go on with a connection of another process."""
        self.peer, self.parameters = handover.peer, handover.parameters
        self.socket.resume(handover.ahead, handover.idle, handover.deadline, handover.fire)

    def leave(self) -> None:
        """Neither say nor hear anything: another process has brought the connection to its end."""
        self.socket.leave()

    def lose(self, is_cut: bool) -> None:
        """What comes can no longer be understood, and what goes neither if the peer has a part of a message."""
        self._lost = True
        if is_cut:
            self.socket.cut()

    def _open(self) -> Opening | None:
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
                elif "<stream" not in configuration:
                    self.peer = "gadgetron"
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
        with self._kept_in_step():
            message = messages.read_identifier(self.socket)
            while message == messages.TEXT:
                self._take_text()
                message = messages.read_identifier(self.socket)
        self._ahead.append(message)

    def next(self) -> tuple[int, Any]:
        """The next item, after its message's identifier; StopIteration at CLOSE."""
        if self.closed:
            raise StopIteration
        try:
            return self._next()
        except ConnectionFailed:
            self._lost = True
            raise

    def _next(self) -> tuple[int, Any]:
        while True:
            message = self._ahead.pop() if self._ahead else messages.read_identifier(self.socket)
            if message == CLOSE:
                self.closed = True
                raise StopIteration
            if message != messages.TEXT:
                item = messages.read_item(messages.ITEM_READERS, message, self.socket)
                self.heard = time.monotonic()
                return message, item
            _log.debug("the peer says: %s", messages.read_text(self.socket))

    def send(self, item: Any) -> None:
        """Send an item in one piece."""
        self.socket.write(messages.item_message(item))

    def send_text(self, text: str) -> None:
        """Send a line for the operator; FIRE colours it by its first letters, `WRN` or `ERR`."""
        line = text if self.socket.fire else f"{text}\n"
        self.socket.write(messages.text_message(messages.TEXT, line, self.socket.fire))

    def send_error(self, text: str) -> None:
        """Send an ERROR message, when input is at its end.

        Gadgetron exchanges the connection as it reads the message, and crashes where it is writing to it still.
        """
        self.drain()
        time.sleep(_PAUSE)
        self.socket.write(messages.text_message(messages.ERROR, f"{text}\n"))

    def drain(self) -> None:
        """Take what is left of the scan, up to CLOSE, or until the peer falls silent where it is not understood."""
        with suppress(ConnectionFailed):
            while not self._lost:
                try:
                    self.next()
                except StopIteration:
                    return
        self.socket.skip(_SILENCE)

    @contextmanager
    def _kept_in_step(self) -> Iterator[None]:
        try:
            yield
        except ConnectionFailed:
            self._lost = True
            raise

    def _take_text(self) -> None:
        text = messages.read_text(self.socket)
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        given = content.get("parameters") if isinstance(content, dict) else None
        if isinstance(given, dict):
            self.parameters.update({_text(name): _text(value) for name, value in given.items()})
        else:
            _log.debug("the peer says: %s", text)


def _text(value: object) -> str:
    """A name or a value of JSON as text; JSON can write characters that no text has, such as half of a pair."""
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = ascii(text[:80])
        raise ConnectionFailed(f"a parameter came that is no text, {shown}; check the peer's data") from None
    return text


@contextmanager
def failures_reported(connection: ScanConnection) -> Iterator[None]:
    """Send to the peer what fails inside, and raise it on.

    A client gets a text, since it may know no ERROR message; the rest of the scan is taken, so that no reset connection
    comes in place of our words.
    """
    try:
        yield
    except Exception as error:
        text = _text_of(error)
        with suppress(ConnectionFailed):
            if connection.peer == "gadgetron":
                connection.send_error(text)
            else:
                connection.send_text(f"ERR {text}")
                connection.drain()
        raise


def _text_of(error: Exception) -> str:
    if isinstance(error, NadenoiseError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (a fault of nadenoise; its log tells more)"
