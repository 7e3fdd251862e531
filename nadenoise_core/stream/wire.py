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
_LEAST = 1 << 16  # bytes to ask for at once: small messages come many at a time
_PART = 1 << 20  # memory grows as bytes come, not as the peer announces them


class Wire:
    """A connection's two directions, in the form that gadgetron-python's readers and writers take.

    Args:
        receive: at most so many bytes, as soon as there are some; none at the end of the stream.
        send: all of the bytes given.
        end: close the connection; the peer still reads what was sent.
        cut: close it at once.
        wait: set for how many seconds `receive` and `send` wait.
        largest: bytes that one read may ask for.

    Attributes:
        idle: seconds that the peer may take for one part of a message, in either direction; None: for ever.
        deadline: when everything must have come, of `time.monotonic`; None: never.
        fire: whether the peer speaks Siemens FIRE's dialect; it shows in the NULs that end its texts.
        silent: whether the peer has sent nothing yet.
    """

    def __init__(
        self,
        receive: Callable[[int], bytes],
        send: Callable[[Any], Any],
        end: Callable[[], None] = lambda: None,
        cut: Callable[[], None] = lambda: None,
        wait: Callable[[float | None], None] = lambda seconds: None,
        largest: int = LARGEST_MESSAGE,
    ) -> None:
        self._receive = receive
        self._send = send
        self._end = end
        self._wait = wait
        self.cut = cut
        self.largest = largest
        self.idle: float | None = None
        self.deadline: float | None = None
        self.fire = False
        self.silent = True
        self._held, self._at = bytearray(), 0  # what has come, and how much of it was read
        self._ended = False  # nothing more comes
        self._deaf = ""  # why nothing more is taken

    @classmethod
    def of_socket(cls, link: socket.socket, idle: float | None = None, largest: int = LARGEST_MESSAGE) -> Wire:
        """A TCP connection."""
        with suppress(OSError):  # of a socket that is no TCP connection
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small message waits 40 ms
        wire = cls(
            link.recv, link.sendall, lambda: _end_gently(link), lambda: _cut(link), link.settimeout, largest=largest
        )
        wire.idle = idle
        return wire

    @classmethod
    def of_files(cls, source: BinaryIO, sink: BinaryIO) -> Wire:
        """Two pipes."""

        def send(data: Any) -> None:
            sink.write(data)
            sink.flush()

        return cls(getattr(source, "read1", source.read), send)

    def read(self, count: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            ConnectionFailed: the stream ended or stalled, or more is asked for than one message may hold.
        """
        self.check(count)
        if len(self._held) - self._at < count:
            self._fill(count)
        start, self._at = self._at, self._at + count
        return bytes(memoryview(self._held)[start : self._at])

    def unread(self) -> bytes:
        """What has come and was not read; it is no longer here then."""
        left, self._held, self._at = bytes(self._held[self._at :]), bytearray(), 0
        return left

    def resume(self, ahead: bytes, idle: float | None, deadline: float | None, fire: bool) -> None:
        """Go on where another wire has left off."""
        self._held, self.idle, self.deadline, self.fire, self.silent = bytearray(ahead), idle, deadline, fire, False
        self._wait(None)

    def leave(self) -> None:
        """Neither send nor take anything any more: another process has ended the connection."""
        self._ended, self._deaf = True, "the connection is another's"

    def skip(self, silence: float) -> None:
        """Take what comes, until nothing has come for so many seconds or the time that one part may take is over."""
        self._held, self._at = bytearray(), 0
        give_up = self._until(self.idle)
        with suppress(ConnectionFailed):
            while not self._ended and (give_up is None or time.monotonic() < give_up):
                self._part(_PART, self._until(silence))

    def _fill(self, count: int) -> None:
        """Have so many bytes at hand; what comes with them stays there for the next read."""
        held = self._held[self._at :]
        give_up = self._until(self.idle)
        while len(held) < count:
            held += self._part(max(count - len(held), _LEAST), give_up)
        self._held, self._at = held, 0

    def _until(self, seconds: float | None) -> float | None:
        """The end of so many seconds, or of all time where that comes first."""
        ends = [self.deadline] if self.deadline is not None else []
        return min([*ends, time.monotonic() + seconds], default=None) if seconds is not None else self.deadline

    def _part(self, count: int, give_up: float | None) -> bytes:
        if self._ended:
            raise ConnectionFailed("nothing more comes from the peer; the scan is given up")
        try:
            if give_up is not None:
                self._wait(max(give_up - time.monotonic(), 1e-3))
            part = self._receive(min(count, _PART))
        except TimeoutError:
            self._ended = True
            raise ConnectionFailed("the peer sent nothing for too long; the scan is given up") from None
        except OSError as error:
            self._ended = True
            raise ConnectionFailed(f"the connection failed after a part of the scan: {error}") from None
        if not part:
            self._ended = True
            raise ConnectionFailed("the peer went away without a CLOSE message; the scan is not complete")
        self.silent = False
        return part

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
        """Send bytes; a peer that once took nothing is not waited for again.

        Raises:
            ConnectionFailed: the peer is gone, or takes nothing.
        """
        if self._deaf:
            raise ConnectionFailed(self._deaf)
        try:
            self._wait(self.idle)
            self._send(data)
        except TimeoutError:
            self._deaf = "the peer took no data for too long; the scan is given up"
        except OSError as error:
            self._deaf = f"the connection failed as results were sent: {error}"
        if self._deaf:
            self._ended = True
            raise ConnectionFailed(self._deaf)

    def close(self) -> None:
        """Say CLOSE, and end the connection."""
        try:
            self.write(struct.pack("<H", CLOSE))
        except ConnectionFailed:  # of a peer that is gone
            self.cut()
        else:
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
