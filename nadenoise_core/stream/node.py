"""An external node's connection to Gadgetron that cannot hang or lie.

gadgetron-python reads and writes the messages. What is mended here: a peer that vanishes makes it spin, a message that
it does not know ends the scan quietly, and an exception ends it as if all were well.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from nadenoise_core.errors import ConnectionFailed

CLOSE, ERROR = 4, 8
DRAIN_TIMEOUT = 60.0  # s without a byte of a scan that has failed

log = logging.getLogger("nadenoise.node")


class _Socket:
    """A Connection's socket, of which the end of the stream is an error."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def read(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._given.socket.recv(min(count - len(parts), 1 << 20))
            except OSError as error:
                raise ConnectionFailed(f"the connection failed after a part of the scan: {error}") from None
            if not part:
                raise ConnectionFailed("the peer went away without a CLOSE message; the scan is not complete")
            parts += part
        return bytes(parts)

    def write(self, data: Any) -> None:
        self._given.write(data)

    def settimeout(self, seconds: float) -> None:
        self._given.socket.settimeout(seconds)

    def close(self) -> None:
        with suppress(OSError):  # of a peer that is gone
            self._given.close()


class _Readers(dict[int, Any]):
    """Readers by message; one that is not known cannot be skipped, for messages do not tell their length.

    Attributes:
        closed: whether CLOSE has come.
    """

    closed = False

    def get(self, key: int, default: Any = None) -> Any:
        self.closed = self.closed or key == CLOSE
        if key not in self:
            raise ConnectionFailed(f"message {key} came, which nadenoise does not read; check the gadgets before it")
        return self[key]


@contextmanager
def told(connection: Any) -> Iterator[Any]:
    """The connection, mended; what fails inside is told to the peer as an ERROR message, and raised on.

    Args:
        connection: gadgetron.external.Connection, whose configuration and header are read already.

    Raises:
        ConnectionFailed: while items are read: the peer vanished, or sent a message that is not known.
    """
    connection.socket = _Socket(connection.socket)
    connection.readers = _Readers(connection.readers)
    try:
        yield connection
    except Exception as error:
        log.error("%s", error)
        with suppress(OSError, ConnectionFailed):
            _send_error(connection, str(error) or type(error).__name__)
            # Else Gadgetron reports a connection that was reset, in place of our words.
            connection.socket.settimeout(DRAIN_TIMEOUT)
            if not (connection.readers.closed or isinstance(error, ConnectionFailed)):
                for _ in connection:
                    pass
        raise


def _send_error(connection: Any, words: str) -> None:
    text = words.encode()
    connection.socket.write(struct.pack("<HQ", ERROR, len(text)) + text)
