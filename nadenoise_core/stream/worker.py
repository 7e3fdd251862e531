"""A process that runs scans for a server, one after another, and the fork server that all such processes come from.

The fork server has loaded what scans need, and runs nothing else beside it: so a worker is there at once, shares memory
with the others, and no thread is lost as it is made.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any, cast

from nadenoise_core.errors import LimitExceeded
from nadenoise_core.log import ROOT
from nadenoise_core.stream.board import Board, WatchedSocket
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.connection import Handover, Opening, ScanConnection
from nadenoise_core.stream.observers import Notify, Observer
from nadenoise_core.stream.session import ScanSettings, attended, serve_scan
from nadenoise_core.stream.wire import Wire

_log = logging.getLogger("nadenoise.worker")
_SCANS = 200  # of one process; what leaks in a library has an end
_REAPING = 5.0  # s for a process to be gone that was killed


@dataclass(frozen=True)
class WorkerSettings:
    """What all workers of a server have in common; it can be pickled.

    Attributes:
        scans: how they are run.
        observers: each makes one who looks on a scan.
        warm_up: loads what scans need.
        memory: bytes that a scan may take beside what every worker holds.
        level: of the log messages that the server wants to have.
        is_forked_warm: whether what is loaded outlives a fork, as nothing on a GPU does; else each worker loads it.
    """

    scans: ScanSettings
    observers: Sequence[Callable[[int, Notify], Observer]]
    warm_up: Callable[[ChainFolders], None]
    memory: int
    level: int
    is_forked_warm: bool


@dataclass(frozen=True)
class OpenedScan:
    """A scan for a worker; the socket of its connection comes after it."""

    number: int
    opening: Opening
    handover: Handover


@dataclass(frozen=True)
class Ready:
    """A worker takes scans."""


@dataclass(frozen=True)
class Notice:
    """A message of an observer to its watch; both have the same index."""

    index: int
    message: Any


@dataclass(frozen=True)
class Done:
    """A scan is over.

    Attributes:
        failure: why it failed, which the peer knows already; empty if it did not.
        is_reusable: whether the worker takes another.
    """

    failure: str
    is_reusable: bool


class ServerLink:
    """What a worker sends to its server, from whichever of its threads.

    Args:
        link: to the server.
    """

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._lock = threading.Lock()

    def send(self, what: Any) -> None:
        """Send something; it is lost if the server is gone."""
        with self._lock, suppress(OSError):
            self._link.send(what)

    put_nowait = send  # as a queue for log records


def main(control: int) -> None:
    """Be the fork server at the other end of a socket: make workers, and tell how they ended."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the server, which ends us
        signal.signal(number, signal.SIG_IGN)
    link = Connection(control)
    settings: WorkerSettings = link.recv()
    log = _log_to(ServerLink(link), settings.level)
    if settings.is_forked_warm:
        settings.warm_up(settings.scans.folders)
        gc.collect()
        gc.freeze()  # what is there stays shared
    logging.getLogger(ROOT).removeHandler(log)
    link.send(Ready())
    with suppress(EOFError):
        while True:
            asked = link.recv()
            try:
                link.send(_ending(asked) if isinstance(asked, int) else _fork(link, settings))
            except OSError as error:
                link.send(error)


def _fork(control: Connection, settings: WorkerSettings) -> int:
    """A worker, whose link to the server and whose board come as descriptors: its process."""
    server, board = Connection(recv_handle(control)), recv_handle(control)
    try:
        process = os.fork()
        if process == 0:
            try:
                control.close()
                _work(server, Board(board), settings)
            except BaseException:
                _log.exception("a worker failed; this is a fault of nadenoise")
                os._exit(1)
            os._exit(0)
        return process
    finally:
        server.close()
        os.close(board)


def _ending(process: int) -> int | None:
    """The exit code of a process, negative for a signal; None if it does not end."""
    give_up = time.monotonic() + _REAPING
    while time.monotonic() < give_up:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def _work(link: Connection, board: Board, settings: WorkerSettings) -> None:
    """Be a worker: run scans until the server is gone, or one has left something behind."""
    import resource  # which is not on every system

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold the patient
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # rather a scan than the server
    server = ServerLink(link)
    _log_to(server, settings.level)
    if not settings.is_forked_warm:
        settings.warm_up(settings.scans.folders)
    server.send(Ready())
    with suppress(EOFError):
        for left in reversed(range(_SCANS)):
            scan: OpenedScan = link.recv()
            done = _run(scan, socket.socket(fileno=recv_handle(link)), board, server, settings)
            server.send(replace(done, is_reusable=done.is_reusable and left > 0))
            if not done.is_reusable:
                return


def _run(scan: OpenedScan, link: socket.socket, board: Board, server: ServerLink, settings: WorkerSettings) -> Done:
    """One scan, to the CLOSE at its end."""
    is_reusable = True
    connection = _WatchedConnection(link, board, scan.handover)
    observers = [
        make(scan.number, lambda message, index=index: server.send(Notice(index, message)))  # type: ignore[misc]
        for index, make in enumerate(settings.observers)
    ]

    def serve() -> str:
        nonlocal is_reusable
        _limit_memory(settings.memory)
        try:
            serve_scan(connection, scan.number, scan.opening, settings.scans, observers)
        except MemoryError:
            is_reusable = False
            _limit_memory(None)
            raise LimitExceeded(
                f"the scan takes more than {settings.memory >> 20} MiB of memory, the limit; check its size and its "
                "chain, or raise --worker-memory"
            ) from None
        finally:
            _limit_memory(None)
        return ""

    failure = attended(connection, scan.number, serve)
    board.busy_since = 0.0
    return Done(failure, is_reusable)


class _WatchedConnection(ScanConnection):
    """A connection that another process has opened and looks after."""

    def __init__(self, link: socket.socket, board: Board, handover: Handover) -> None:
        self._board = board
        board.sending, board.busy_since = False, time.monotonic()
        watched = cast(socket.socket, WatchedSocket(link, board))
        super().__init__(Wire.of_socket(watched, largest=handover.largest))
        self.take_over(handover)

    @property
    def heard(self) -> float:
        return self._board.heard

    @heard.setter
    def heard(self, when: float) -> None:
        self._board.heard = when


def _limit_memory(more: int | None) -> None:
    """Let this process take so many bytes beside what it holds; None: as many as there are."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = most
    if more is not None:
        held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        limit = held + more if most == resource.RLIM_INFINITY else min(held + more, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _log_to(server: ServerLink, level: int) -> logging.Handler:
    """Send all that is logged to the server."""
    handler, logger = QueueHandler(server), logging.getLogger(ROOT)  # type: ignore[arg-type]
    logger.addHandler(handler)
    logger.setLevel(level)
    return handler
