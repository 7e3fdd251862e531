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
from nadenoise_core.mrd.budget import Budget
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.stream.board import Board, WatchedSocket
from nadenoise_core.stream.connection import Opening, Passage, ScanConnection
from nadenoise_core.stream.observers import Observer, Tell
from nadenoise_core.stream.session import ChainFolders, attended, serve_scan
from nadenoise_core.stream.wire import Wire

_log = logging.getLogger("nadenoise.worker")
_SCANS = 200  # of one process; what leaks in a library has an end
_REAPING = 5.0  # s for a process to be gone that was killed


@dataclass(frozen=True)
class Job:
    """What all workers of a server have in common; it can be pickled.

    Attributes:
        folders: where peers may choose chains.
        budget: of each scan.
        pseudonyms: by which scans are de-identified, if they are.
        observers: each makes one who looks on a scan.
        warm_up: loads what scans need.
        memory: bytes that a scan may take beside what every worker holds.
        level: of the log messages that the server wants to have.
        is_forked_warm: whether what is loaded outlives a fork, as nothing on a GPU does; else each worker loads it.
    """

    folders: ChainFolders
    budget: Budget
    pseudonyms: Pseudonyms | None
    observers: Sequence[Callable[[int, Tell], Observer]]
    warm_up: Callable[[ChainFolders], None]
    memory: int
    level: int
    is_forked_warm: bool


@dataclass(frozen=True)
class Task:
    """A scan that has been opened; the socket of its connection comes after it."""

    number: int
    opening: Opening
    passage: Passage


@dataclass(frozen=True)
class Ready:
    """A worker takes scans."""


@dataclass(frozen=True)
class Told:
    """What the observer of an index tells its watch."""

    index: int
    what: Any


@dataclass(frozen=True)
class Done:
    """A scan is over.

    Attributes:
        words: why it failed, which the peer knows already; empty if it did not.
        is_fit: whether the worker takes another.
    """

    words: str
    is_fit: bool


class Home:
    """A worker's way to its server, for all of the worker's threads.

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
    job: Job = link.recv()
    log = _log_to(Home(link), job.level)
    if job.is_forked_warm:
        job.warm_up(job.folders)
        gc.collect()
        gc.freeze()  # what is there stays shared
    logging.getLogger(ROOT).removeHandler(log)
    link.send(Ready())
    with suppress(EOFError):
        while True:
            asked = link.recv()
            try:
                link.send(_ending(asked) if isinstance(asked, int) else _fork(link, job))
            except OSError as error:
                link.send(error)


def _fork(control: Connection, job: Job) -> int:
    """A worker, whose link to the server and whose board come as descriptors: its process."""
    home, board = Connection(recv_handle(control)), recv_handle(control)
    try:
        process = os.fork()
        if process == 0:
            try:
                control.close()
                _work(home, Board(board), job)
            except BaseException:
                _log.exception("a worker failed; this is a fault of nadenoise")
                os._exit(1)
            os._exit(0)
        return process
    finally:
        home.close()
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


def _work(link: Connection, board: Board, job: Job) -> None:
    """Be a worker: run scans until the server is gone, or one has left something behind."""
    import resource  # which is not on every system

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold the patient
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # rather a scan than the server
    home = Home(link)
    _log_to(home, job.level)
    if not job.is_forked_warm:
        job.warm_up(job.folders)
    home.send(Ready())
    with suppress(EOFError):
        for left in reversed(range(_SCANS)):
            task: Task = link.recv()
            done = _run(task, socket.socket(fileno=recv_handle(link)), board, home, job)
            home.send(replace(done, is_fit=done.is_fit and left > 0))
            if not done.is_fit:
                return


def _run(task: Task, link: socket.socket, board: Board, home: Home, job: Job) -> Done:
    """One scan, to the CLOSE at its end."""
    is_fit = True
    connection = _WatchedConnection(link, board, task.passage)
    observers = [
        make(task.number, lambda what, index=index: home.send(Told(index, what)))  # type: ignore[misc]
        for index, make in enumerate(job.observers)
    ]

    def serve() -> str:
        nonlocal is_fit
        _limit_memory(job.memory)
        try:
            serve_scan(connection, task.number, task.opening, job.folders, observers, job.budget, job.pseudonyms)
        except MemoryError:
            is_fit = False
            _limit_memory(None)
            raise LimitExceeded(
                f"the scan takes more than {job.memory >> 20} MiB of memory, the limit; check its size and its chain, "
                "or raise --worker-memory"
            ) from None
        finally:
            _limit_memory(None)
        return ""

    words = attended(connection, task.number, serve)
    board.busy_since = 0.0
    return Done(words, is_fit)


class _WatchedConnection(ScanConnection):
    """A connection that another process has opened and looks after."""

    def __init__(self, link: socket.socket, board: Board, passage: Passage) -> None:
        self._board = board
        board.sending, board.busy_since = False, time.monotonic()
        watched = cast(socket.socket, WatchedSocket(link, board))
        super().__init__(Wire.of_socket(watched, largest=passage.largest))
        self.take_over(passage)

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


def _log_to(home: Home, level: int) -> logging.Handler:
    """Send all that is logged to the server."""
    handler, logger = QueueHandler(home), logging.getLogger(ROOT)  # type: ignore[arg-type]
    logger.addHandler(handler)
    logger.setLevel(level)
    return handler
