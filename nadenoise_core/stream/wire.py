"""Bytes to and from a peer: read exactly, within limits, and never for ever."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from nadenoise_core.errors import ConnectionFailed

LARGEST_MESSAGE = 1 << 28  # bytes; 100 coils of a whole scan's buffer take less
CLOSE = 4

_LINGER = 1.0  # s
_PART = 1 << 20  # memory grows as bytes come, not as the peer announces them


class Wire:
    """A connection's two directions, in the form that gadgetron-python's readers and writers take.

    Args:
        receive: at most so many bytes, as soon as there are some; none at the end of the stream.
        send: all of the bytes given.
        end: close the connection; the peer still reads what was sent.
        cut: close it at once.
        largest: bytes that one read may ask for.

    Attributes:
        fire: whether the peer speaks Siemens FIRE's dialect; it shows in the NULs that end its texts.
        silent: whether the peer has sent nothing yet.
    """

    fire = False
    silent = True

    def __init__(
        self,
        receive: Callable[[int], bytes],
        send: Callable[[Any], Any],
        end: Callable[[], None],
        cut: Callable[[], None],
        largest: int = LARGEST_MESSAGE,
    ) -> None:
        self._receive = receive
        self._send = send
        self._end = end
        self.cut = cut
        self.largest = largest

    @classmethod
    def of_socket(cls, link: socket.socket, idle: float | None = None, largest: int = LARGEST_MESSAGE) -> Wire:
        """A TCP connection; `idle`: seconds that the peer may keep it waiting, in either direction."""
        link.settimeout(idle)
        with suppress(OSError):  # of a socket that is no TCP connection
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small message waits 40 ms
        return cls(link.recv, link.sendall, lambda: _end_gently(link), lambda: _cut(link), largest)

    @classmethod
    def of_files(cls, source: BinaryIO, sink: BinaryIO) -> Wire:
        """Two pipes."""

        def send(data: Any) -> None:
            sink.write(data)
            sink.flush()

        return cls(getattr(source, "read1", source.read), send, lambda: None, lambda: None)

    def read(self, count: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            ConnectionFailed: the stream ended or stalled, or more is asked for than one message may hold.
        """
        self.check(count)
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._receive(min(count - len(parts), _PART))
            except TimeoutError:
                raise ConnectionFailed("the peer sent nothing for too long; the scan is given up") from None
            except OSError as error:
                raise ConnectionFailed(f"the connection failed after a part of the scan: {error}") from None
            if not part:
                raise ConnectionFailed("the peer went away without a CLOSE message; the scan is not complete")
            self.silent = False
            parts += part
        return bytes(parts)

    def check(self, count: int) -> None:
        """Check that so many bytes may come.

        Raises:
            ConnectionFailed: more than one message may hold.
        """
        if count > self.largest:
            raise ConnectionFailed(
                f"a message of {count} bytes was announced, the limit is {self.largest}; check the peer's data"
            )

    def write(self, data: Any) -> None:
        """Send bytes.

        Raises:
            ConnectionFailed: the peer is gone, or takes nothing.
        """
        try:
            self._send(data)
        except TimeoutError:
            raise ConnectionFailed("the peer took no data for too long; the scan is given up") from None
        except OSError as error:
            raise ConnectionFailed(f"the connection failed as results were sent: {error}") from None

    def close(self) -> None:
        """Say CLOSE, and end the connection."""
        with suppress(ConnectionFailed):  # of a peer that is gone
            self.write(struct.pack("<H", CLOSE))
        self._end()


def _end_gently(link: socket.socket) -> None:
    """Close a socket; what the peer still sends is taken for a moment, else it loses our last words to a reset."""
    try:
        link.shutdown(socket.SHUT_WR)
        give_up = time.monotonic() + _LINGER
        link.settimeout(_LINGER)
        while time.monotonic() < give_up and link.recv(_PART):
            pass
    except OSError:
        pass
    finally:
        link.close()


def _cut(link: socket.socket) -> None:
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)  # wakes who waits for it in another thread
    link.close()
