"""What a server sees of a worker while the worker works: a few numbers in memory that both share."""

from __future__ import annotations

import mmap
import socket
import time
from typing import Any

_HEARD, _BUSY, _SENDING = range(3)
SIZE = 3 * 8  # bytes


class Board:
    """Numbers in a file that two processes have mapped; times are of `time.monotonic`, which they have in common.

    Args:
        file: descriptor of a file of `SIZE` bytes, which may be closed afterwards.
    """

    def __init__(self, file: int) -> None:
        self._shared = mmap.mmap(file, SIZE)
        self._numbers = memoryview(self._shared).cast("d")

    def close(self) -> None:
        """Share it no longer; what it showed last stays to be read."""
        last = memoryview(bytes(self._numbers)).cast("d")
        self._numbers.release()
        self._shared.close()
        self._numbers = last

    @property
    def heard(self) -> float:
        """When the last whole item came."""
        return self._numbers[_HEARD]

    @heard.setter
    def heard(self, when: float) -> None:
        self._numbers[_HEARD] = when

    @property
    def busy_since(self) -> float:
        """Since when the worker has neither waited for its peer nor got on with it; 0 while it waits."""
        return self._numbers[_BUSY]

    @busy_since.setter
    def busy_since(self, when: float) -> None:
        self._numbers[_BUSY] = when

    @property
    def sending(self) -> bool:
        """Whether a part of a message may be with the peer, and the rest not."""
        return self._numbers[_SENDING] != 0

    @sending.setter
    def sending(self, is_so: bool) -> None:
        self._numbers[_SENDING] = is_so


class WatchedSocket:
    """A socket whose waiting is seen on a board.

    Args:
        link: the socket.
        board: where it is seen.
    """

    def __init__(self, link: socket.socket, board: Board) -> None:
        self._link = link
        self._board = board

    def recv(self, count: int) -> bytes:
        """At most so many bytes, as a socket gives them."""
        self._board.busy_since = 0.0
        try:
            return self._link.recv(count)
        finally:
            self._board.busy_since = time.monotonic()

    def sendall(self, data: Any) -> None:
        """Send all of the bytes."""
        self._board.busy_since = 0.0
        self._board.sending = True
        self._link.sendall(data)
        self._board.sending = False
        self._board.busy_since = time.monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)
