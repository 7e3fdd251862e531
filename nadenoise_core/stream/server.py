"""One warm server for many scans: Gadgetron's nodes, Gadgetron's client and Siemens FIRE, each scan on its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nadenoise_core.errors import ConnectionFailed, NadenoiseError, OutputError
from nadenoise_core.stream.connection import Opening, ScanConnection, told
from nadenoise_core.stream.session import ChainFolders, Observer, peer_of, serve_scan
from nadenoise_core.stream.wire import LARGEST_MESSAGE, Wire

_log = logging.getLogger("nadenoise.server")
_BACKLOG = 64  # connections that have not begun a scan
_OPENING = 60.0  # s from connection to header


@dataclass(frozen=True)
class Limits:
    """What a peer may ask of the server.

    Attributes:
        scans: at once; one more is told to come again.
        idle: seconds for which a peer may send nothing, or take nothing.
        largest: bytes of one array of a message.
    """

    scans: int = 8
    idle: float = 600.0
    largest: int = LARGEST_MESSAGE


class Server:
    """Listens from its making on, and serves until it is stopped.

    Args:
        address: (host, port) to listen at; port 0 takes a free one.
        folders: where peers may choose chains.
        limits: what a peer may ask.
        observers: makes those who look on, for each scan; it is given the number of the scan.

    Attributes:
        address: (host, port) that it listens at.

    Raises:
        OutputError: the address cannot be listened at.
    """

    def __init__(
        self,
        address: tuple[str, int],
        folders: ChainFolders,
        limits: Limits | None = None,
        observers: Callable[[int], Sequence[Observer]] = lambda number: (),
    ) -> None:
        self._folders = folders
        self._limits = limits or Limits()
        self._observers = observers
        self._free = threading.BoundedSemaphore(self._limits.scans)
        self._running: set[threading.Thread] = set()
        self._stopped = False
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self._listener = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            raise OutputError(f"cannot listen at {address[0]}:{address[1]}: {error.strerror}; choose another") from None
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def serve(self) -> None:
        """Serve scans until `stop`; then let those that run come to their end."""
        number = 0
        while not self._stopped:
            try:
                link, _ = self._listener.accept()
            except OSError as error:
                if not self._stopped:  # e.g. no descriptor is free for the moment
                    _log.error("a connection could not be taken: %s", error)
                    time.sleep(0.1)
                continue
            if len(self._running) >= self._limits.scans + _BACKLOG:
                _log.error("too many connections say nothing; one more was closed")
                link.close()
                continue
            number += 1
            thread = threading.Thread(target=self._take, args=(link, number), name=f"scan {number}")
            self._running.add(thread)
            thread.start()
        for thread in list(self._running):
            thread.join()

    def stop(self) -> None:
        """Take no more scans. May be called from a signal handler or another thread."""
        self._stopped = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._listener.close()

    def _take(self, link: socket.socket, number: int) -> None:
        connection = ScanConnection(Wire.of_socket(link, min(_OPENING, self._limits.idle), self._limits.largest))
        try:
            with connection:
                with told(connection, "client"):
                    opening = connection.open()
                if opening is not None:
                    link.settimeout(self._limits.idle)
                    self._run(connection, opening, number)
        except NadenoiseError as error:
            # Who connects and says nothing looks whether the server is there.
            _log.log(logging.DEBUG if connection.socket.silent else logging.ERROR, "scan %d: %s", number, error)
        except Exception:
            _log.exception("scan %d failed; this is a fault of nadenoise", number)
        finally:
            self._running.discard(threading.current_thread())

    def _run(self, connection: ScanConnection, opening: Opening, number: int) -> None:
        if not self._free.acquire(blocking=False):
            with told(connection, peer_of(opening)):
                raise ConnectionFailed(f"the server runs {self._limits.scans} scans, its limit; try again later")
        try:
            serve_scan(connection, opening, self._folders, self._observers(number))
            _log.info("scan %d is done", number)
        finally:
            self._free.release()
