"""Scans in processes of their own: one that takes too much memory or time, or crashes, ends alone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

from nadenoise_core.errors import ConnectionFailed, LimitExceeded, NadenoiseError, OutputError
from nadenoise_core.stream.board import SIZE, Board
from nadenoise_core.stream.connection import Opening, ScanConnection
from nadenoise_core.stream.worker import Done, Job, Ready, Task, Told

_LOOK = 0.25  # s between looks at a worker
_LATE = 5.0  # s after the end of a scan's time in which it may end by itself
_STARTING = 300.0  # s for libraries and networks to be loaded

IS_POSSIBLE = sys.platform == "linux"
"""Whether this system has what it takes."""

_log = logging.getLogger("nadenoise.workers")
_NO_START = "the processes that run scans do not start; what was printed before this says why, or give --workers 0"


class Workers:
    """A pool of processes that run scans.

    Some wait for scans, warm; where more scans come at once, more are made, which takes some 50 ms.

    Args:
        job: what they have in common.
        count: how many wait.
        longest: seconds that a chain may work at a stretch, without taking or giving anything.

    Raises:
        OutputError: they cannot be made.
    """

    def __init__(self, job: Job, count: int, longest: float) -> None:
        self._count = count
        self._longest = longest
        self._lock = threading.Lock()
        self._closed = False
        self._all: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._source = _ForkServer(job)
        try:
            self._fill()
            for worker in self._idle:
                worker.wait()
        except (NadenoiseError, EOFError):
            self.close()
            raise OutputError(_NO_START) from None

    def run(
        self, link: socket.socket, number: int, opening: Opening, connection: ScanConnection, told: Callable[..., None]
    ) -> str:
        """Run a scan.

        Args:
            link: the socket of its connection.
            number: of the scan.
            opening: what the peer said before its data.
            connection: it is the worker's, and not to be used here, but where this raises.
            told: called with what observers tell: index, number, and what.

        Returns:
            Why it failed, which the peer and the log know already; empty if it did not.

        Raises:
            LimitExceeded: the scan has ended its worker, or was ended with it; the peer is still to be told.
            ConnectionFailed: there is no worker for it.
        """
        worker = self._take()
        is_fit = False
        try:
            worker.begin(link, Task(number, opening, connection.hand_over()))
            while (event := worker.event(_LOOK)) is None or not isinstance(event, Done):
                connection.heard = max(connection.heard, worker.board.heard)
                if isinstance(event, Told):
                    told(event.index, number, event.what)
                self._check(worker, connection.socket.deadline)
            is_fit = event.is_fit
            connection.leave()
            return event.words
        except (EOFError, LimitExceeded) as error:
            with self._lock:
                self._end(worker)
            connection.lose(is_cut=worker.board.sending)
            raise LimitExceeded(self._why(worker) if isinstance(error, EOFError) else str(error)) from None
        finally:
            self._give_back(worker, is_fit)

    def close(self) -> None:
        """End all processes, and the scans in them."""
        with self._lock:
            self._closed = True
            for worker in list(self._all):
                self._end(worker)
            self._idle.clear()
            self._source.close()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _take(self) -> _Worker:
        """A worker that waits, or a new one."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                self._end(worker)
            return self._made()

    def _give_back(self, worker: _Worker, is_fit: bool) -> None:
        """Let a worker wait for the next scan; one too many, or one that is not fit, ends."""
        with self._lock:
            if is_fit and not self._closed and len(self._idle) < self._count:
                self._idle.append(worker)
                return
            self._end(worker)
        with suppress(ConnectionFailed):  # the next scan tries again
            self._fill()

    def _fill(self) -> None:
        with self._lock:
            while len(self._all) < self._count:
                self._idle.append(self._made())

    def _made(self) -> _Worker:
        """A new worker.

        Raises:
            ConnectionFailed: no process can be made.
        """
        if self._closed:
            raise ConnectionFailed("the server ends; try again later")
        if not self._source.is_alive():
            _log.error("the process that makes workers is gone; another is started")
            self._source.close()
            self._source = _ForkServer(self._source.job)
        worker = self._source.fork()
        self._all.add(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        """End a worker, and learn how it ended."""
        if worker in self._all:
            self._all.remove(worker)
            worker.kill()
            worker.ended = self._source.ending(worker.process)
            worker.close()

    def _why(self, worker: _Worker) -> str:
        """What became of a worker that is gone."""
        if self._closed:
            return "the server ends; send the scan again later"
        code = worker.ended
        how = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else "came to its end"
        return f"the process of the scan {how}; send the scan again, and report this if it happens twice"

    def _check(self, worker: _Worker, deadline: float | None) -> None:
        """Check that a worker keeps its limits.

        Raises:
            LimitExceeded: it does not.
        """
        now, busy_since = time.monotonic(), worker.board.busy_since
        if busy_since and now - busy_since > self._longest:
            raise LimitExceeded(
                f"the chain worked for more than {self._longest:g} s without an answer, the limit; check the scan and "
                "its chain, or raise --worker-time"
            )
        if deadline is not None and now > deadline + _LATE:
            raise LimitExceeded("the scan took longer than any may; it is given up")


class _Worker:
    """A worker as its server sees it."""

    def __init__(self, process: int, link: Connection, board: Board) -> None:
        self.process = process
        self.board = board
        self.ended: int | None = None
        self._link = link

    def wait(self) -> None:
        """Wait until it takes scans.

        Raises:
            EOFError: it never will.
        """
        _wait_until_ready(self._link)

    def begin(self, link: socket.socket, task: Task) -> None:
        """Give it a scan."""
        try:
            handle = os.dup(link.fileno())
        except OSError:
            raise ConnectionFailed("the connection was cut as its scan began") from None
        try:
            self._link.send(task)
            send_handle(self._link, handle, self.process)
        except OSError:
            raise EOFError from None
        finally:
            os.close(handle)

    def event(self, seconds: float) -> Any:
        """What it says within so many seconds, else None; what it logs is logged.

        Raises:
            EOFError: it is gone.
        """
        return _event(self._link, seconds)

    def is_alive(self) -> bool:
        """Whether it is there, as far as it can be seen."""
        try:
            while self._link.poll():
                self.event(0)
        except EOFError:
            return False
        return True

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)

    def close(self) -> None:
        """Forget it, once it has ended."""
        self._link.close()
        self.board.close()


class _ForkServer:
    """The process that workers come from, as the server sees it; to be used by one thread at a time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        ours, theirs = socket.socketpair()
        with theirs:
            start = f"from nadenoise_core.stream.worker import main; main({theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {start}"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._link = Connection(ours.detach())
        try:
            self._link.send(job)
            _wait_until_ready(self._link)
        except (EOFError, OSError):
            self.close()
            raise OutputError(_NO_START) from None

    def is_alive(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def fork(self) -> _Worker:
        """A new worker.

        Raises:
            ConnectionFailed: no process can be made.
        """
        try:
            with ExitStack() as opened:
                ours, theirs = (opened.enter_context(end) for end in socket.socketpair())
                file = opened.enter_context(os.fdopen(os.memfd_create("board"), "wb"))
                file.truncate(SIZE)
                self._link.send(None)
                for handle in (theirs.fileno(), file.fileno()):
                    send_handle(self._link, handle, self._process.pid)
                process = self._link.recv()
                if isinstance(process, int):
                    return _Worker(process, Connection(ours.detach()), Board(file.fileno()))
        except (OSError, EOFError) as error:
            process = error
        raise ConnectionFailed(f"the server has no process for this scan ({process}); try again later")

    def ending(self, process: int) -> int | None:
        """The exit code of a worker, negative for a signal; None if it is not known."""
        try:
            self._link.send(process)
            code = self._link.recv()
        except (OSError, EOFError):
            return None
        return code if isinstance(code, int) else None

    def close(self) -> None:
        """End it."""
        self._link.close()
        self._process.kill()
        self._process.wait()


def _event(link: Connection, seconds: float) -> Any:
    """What comes within so many seconds, else None; log messages are logged."""
    try:
        if not link.poll(seconds):
            return None
        event = link.recv()
    except OSError:
        raise EOFError from None
    if isinstance(event, logging.LogRecord):
        logging.getLogger(event.name).handle(event)
        return None
    return event


def _wait_until_ready(link: Connection) -> None:
    """Wait for the first word of a process."""
    give_up = time.monotonic() + _STARTING
    while not isinstance(_event(link, 1.0), Ready):
        if time.monotonic() > give_up:
            raise EOFError
