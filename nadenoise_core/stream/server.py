"""One warm server for many scans: Gadgetron's nodes, Gadgetron's client and Siemens FIRE, each scan on its own."""

from __future__ import annotations

import logging
import math
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nadenoise_core.device import missing_gpu_package
from nadenoise_core.errors import OutputError, reason_of
from nadenoise_core.log import ROOT
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.connection import Opening, ScanConnection
from nadenoise_core.stream.observers import Watch, Watches
from nadenoise_core.stream.session import ScanSettings, attended, serve_scan
from nadenoise_core.stream.slots import Slots
from nadenoise_core.stream.wire import LARGEST_MESSAGE, Wire
from nadenoise_core.stream.worker import WorkerSettings
from nadenoise_core.stream.workers import Workers

_log = logging.getLogger("nadenoise.server")
_BACKLOG = 64  # connections that have not begun a scan
_LOOPBACKS = ("127.0.0.1", "::1")
_LOOK = 0.2  # s between looks whether a scan is to be cut
_CUT = 2.0  # s for a scan that is cut to come to its end


@dataclass(frozen=True)
class Limits:
    """What a peer may ask of the server.

    Attributes:
        scans: at once; one more is asked to come again.
        idle: seconds for which a peer may send nothing, or take nothing, and in which each message must have come.
        opening: seconds from connection to header.
        stalled: seconds without a whole message after which a scan gives its slot to another that waits for one.
        longest: seconds that a whole scan may take.
        largest: bytes of one array of a message.
        budget: of each scan.
    """

    scans: int = 8
    idle: float = 600.0
    opening: float = 60.0
    stalled: float = 60.0
    longest: float = 4 * 3600.0
    largest: int = LARGEST_MESSAGE
    budget: Budget = USUAL


@dataclass(eq=False)
class _Visit:
    """One connection; `waiting` until it has a slot, which the nodes of a `scan` share."""

    number: int
    link: socket.socket
    connection: ScanConnection
    waiting: bool = True
    scan: bytes | int = 0


class Server:
    """Listens from its making on, and serves until it is stopped.

    Args:
        address: (host, port) to listen at; port 0 takes a free one, and the host "localhost" both loopback addresses.
        folders: where peers may choose chains.
        limits: what a peer may ask.
        watches: who looks on.
        pseudonyms: by which what is written of scans is de-identified; None: it is not.

    Attributes:
        address: (host, port) that it listens at.

    Raises:
        OutputError: the address is taken or none of this machine.
    """

    def __init__(
        self,
        address: tuple[str, int],
        folders: ChainFolders,
        limits: Limits | None = None,
        watches: Sequence[Watch] = (),
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._scans = ScanSettings(folders, self._limits.budget, pseudonyms)
        self._watches = Watches(watches)
        self._workers: Workers | None = None
        self._slots = Slots(self._limits.scans)
        self._lock = threading.Lock()
        self._visits: dict[int, _Visit] = {}  # by number, the oldest first
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._cut = threading.Event()
        self._listeners = _listen(*address)
        self.address: tuple[str, int] = self._listeners[0].getsockname()[:2]

    def start_workers(self, warm_up: Callable[[ChainFolders], None], count: int, memory: int, longest: float) -> None:
        """Run scans in processes of their own; else one that takes too much, or crashes, takes all others with it.

        Args:
            warm_up: loads what scans need; it can be pickled.
            count: processes that wait for scans.
            memory: bytes that a scan may take.
            longest: seconds that a chain may work without taking or giving anything.

        Raises:
            OutputError: the processes do not start.
        """
        settings = WorkerSettings(
            self._scans,
            self._watches.observers,
            warm_up,
            memory,
            logging.getLogger(ROOT).getEffectiveLevel(),
            is_forked_warm=missing_gpu_package() is not None,
        )
        self._workers = Workers(settings, count, longest)

    def serve(self, grace: float | None = None) -> bool:
        """Serve scans until `stop`; then let those that run come to their end.

        Args:
            grace: seconds for which they may go on; None: as long as they take.

        Returns:
            Whether all came to their end; the others were cut.
        """
        number = 0
        with selectors.DefaultSelector() as selector:
            for listener in self._listeners:
                selector.register(listener, selectors.EVENT_READ, listener)
            while not self._stopped.is_set():
                for key, _ in selector.select():
                    number += 1
                    self._accept(key.data, number)
        for listener in self._listeners:
            listener.close()
        return self._finish(grace)

    def stop(self) -> None:
        """Take no more scans. May be called from a signal handler or another thread."""
        self._stopped.set()
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for it

    def cut(self) -> None:
        """Take no more scans and end those that run. May be called from a signal handler or another thread."""
        self._cut.set()
        self.stop()

    def _finish(self, grace: float | None) -> bool:
        """Wait for the scans that run; cut what has not ended in time."""
        give_up = time.monotonic() + grace if grace is not None else math.inf
        while self._running() and not self._cut.is_set() and time.monotonic() < give_up:
            self._threads[0].join(_LOOK)
        with self._lock:
            left = list(self._visits.values())
        for visit in left:
            _log.error("scan %d was cut: the server ends", visit.number)
            visit.connection.socket.cut()
        give_up = time.monotonic() + _CUT
        for thread in self._threads:
            thread.join(max(give_up - time.monotonic(), 0.0))
        if self._workers is not None:
            self._workers.close()
            for thread in self._threads:
                thread.join(_CUT)
        return not left and not self._running()

    def _running(self) -> bool:
        """Whether a thread is left."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return bool(self._threads)

    def _accept(self, listener: socket.socket, number: int) -> None:
        try:
            link, _ = listener.accept()
        except BlockingIOError:  # the peer is gone again
            return
        except OSError as error:
            if not self._stopped.is_set():  # e.g. no descriptor is free for the moment
                _log.error("a connection could not be taken: %s", error)
                time.sleep(0.1)
            return
        self._make_room()
        visit = _Visit(number, link, ScanConnection(Wire.of_socket(link, self._limits.idle, self._limits.largest)))
        visit.connection.socket.deadline = time.monotonic() + self._limits.opening
        thread = threading.Thread(target=self._take, args=(visit,), name=f"scan {number}", daemon=True)
        with self._lock:
            self._visits[number] = visit
        self._running()  # forgets those that are done
        try:
            thread.start()
            self._threads.append(thread)
        except RuntimeError as error:
            _log.error("scan %d could not be begun: %s", number, error)
            visit.connection.socket.cut()
            self._forget(visit)

    def _make_room(self) -> None:
        """Where too many connections have not begun a scan, the oldest of them goes: who has a scan is not kept out."""
        with self._lock:
            waiting = [visit for visit in self._visits.values() if visit.waiting]
        if len(waiting) >= _BACKLOG:
            _log.error("too many connections have not begun a scan; one of them was closed")
            waiting[0].waiting = False
            waiting[0].connection.socket.cut()

    def _end_a_stalled_scan(self) -> bool:
        """Cut the scan that has sent nothing whole for the longest time, if that is long enough.

        Of a scan of several nodes one that hears is enough: those behind it wait for what it makes.
        """
        placed: dict[bytes | int, list[_Visit]] = {}
        with self._lock:
            for visit in self._visits.values():
                if not visit.waiting:
                    placed.setdefault(visit.scan, []).append(visit)
        heard = {scan: max(visit.connection.heard for visit in visits) for scan, visits in placed.items()}
        slowest = min(heard, key=lambda scan: heard[scan], default=None)
        if slowest is None or time.monotonic() - heard[slowest] < self._limits.stalled:
            return False
        for visit in placed[slowest]:
            _log.error("scan %d has sent nothing for long; its place goes to another", visit.number)
            visit.connection.socket.cut()
        return True

    def _forget(self, visit: _Visit) -> None:
        with self._lock:
            self._visits.pop(visit.number, None)

    def _take(self, visit: _Visit) -> None:
        try:
            failure = attended(visit.connection, visit.number, lambda: self._serve(visit))
            if not visit.waiting:
                self._watches.over(visit.number, failure)
        finally:
            self._forget(visit)

    def _serve(self, visit: _Visit) -> str:
        """Serve what comes over a connection: why it failed, where the peer knows."""
        connection = visit.connection
        opening = connection.open()
        connection.socket.deadline = time.monotonic() + self._limits.longest
        if opening is not None:
            with self._slots.taken(opening, connection.peer, self._end_a_stalled_scan):
                visit.scan = opening.header_xml if connection.peer == "gadgetron" else visit.number
                visit.waiting = False
                return self._run(visit, opening)
        return ""

    def _run(self, visit: _Visit, opening: Opening) -> str:
        if self._workers is not None:
            return self._workers.run(visit.link, visit.number, opening, visit.connection, self._watches.notified)
        serve_scan(visit.connection, visit.number, opening, self._scans, self._watches.here(visit.number))
        return ""


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at an address; at both loopback addresses, as far as there are two, for "localhost"."""
    hosts = _LOOPBACKS if host == "localhost" else (host,)
    listeners: list[socket.socket] = []
    for name in hosts:
        try:
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            listener = socket.create_server((name, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if listeners:  # a machine without IPv6, or with another server there
                _log.warning("there is no listening at %s: %s", name, reason_of(error))
                continue
            raise OutputError(f"cannot listen at {name}:{port}: {reason_of(error)}; choose another") from None
        listener.setblocking(False)
        listeners.append(listener)
        port = listener.getsockname()[1]
    return listeners
