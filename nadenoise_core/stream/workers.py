"""Scans in processes of their own: one that takes too much memory or time, or crashes, ends alone."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from nadenoise_core.errors import ConnectionFailed, LimitExceeded, NadenoiseError, OutputError
from nadenoise_core.stream.connection import Opening, ScanConnection
from nadenoise_core.stream.processes import NO_START, ForkServer, Worker
from nadenoise_core.stream.worker import Done, Notice, OpenedScan, WorkerSettings

_LOOK = 0.25  # s between looks at a worker
_LATE = 5.0  # s after the end of a scan's time in which it may end by itself

IS_POSSIBLE = sys.platform == "linux"
"""Whether this system has what it takes."""

_log = logging.getLogger("nadenoise.workers")


class Workers:
    """A pool of processes that run scans.

    Some wait for scans, warm; where more scans come at once, more are made, which takes some 50 ms.

    Args:
        settings: what they have in common.
        count: how many wait.
        longest: seconds that a chain may work at a stretch, without taking or giving anything.

    Raises:
        OutputError: they cannot be made.
    """

    def __init__(self, settings: WorkerSettings, count: int, longest: float) -> None:
        self._count = count
        self._longest = longest
        self._lock = threading.Lock()
        self._closed = False
        self._all: set[Worker] = set()
        self._idle: list[Worker] = []
        self._source = ForkServer(settings)
        try:
            self._fill()
            for worker in self._idle:
                worker.wait()
        except (NadenoiseError, EOFError):
            self.close()
            raise OutputError(NO_START) from None

    def run(
        self,
        link: socket.socket,
        number: int,
        opening: Opening,
        connection: ScanConnection,
        notified: Callable[..., None],
    ) -> str:
        """Run a scan.

        Args:
            link: the socket of its connection.
            number: of the scan.
            opening: what the peer said before its data.
            connection: it is the worker's, and not to be used here, but where this raises.
            notified: called with the messages of observers: index of the observer, number of the scan, message.

        Returns:
            Why it failed, which the peer and the log know already; empty if it did not.

        Raises:
            LimitExceeded: the scan has ended its worker, or was ended with it; the peer does not know yet.
            ConnectionFailed: there is no worker for it.
        """
        worker = self._take()
        is_reusable = False
        try:
            worker.begin(link, OpenedScan(number, opening, connection.hand_over()))
            while (event := worker.event(_LOOK)) is None or not isinstance(event, Done):
                connection.heard = max(connection.heard, worker.board.heard)
                if isinstance(event, Notice):
                    notified(event.index, number, event.message)
                self._check(worker, connection.socket.deadline)
            is_reusable = event.is_reusable
            connection.leave()
            return event.failure
        except (EOFError, LimitExceeded) as error:
            with self._lock:
                self._end(worker)
            connection.lose(is_cut=worker.board.sending)
            raise LimitExceeded(self._why(worker) if isinstance(error, EOFError) else str(error)) from None
        finally:
            self._give_back(worker, is_reusable)

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

    def _take(self) -> Worker:
        """A worker that waits, or a new one."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                self._end(worker)
            return self._made()

    def _give_back(self, worker: Worker, is_reusable: bool) -> None:
        """Let a worker wait for the next scan; one too many, or one that is not reusable, ends."""
        with self._lock:
            if is_reusable and not self._closed and len(self._idle) < self._count:
                self._idle.append(worker)
                return
            self._end(worker)
        with suppress(NadenoiseError):  # the next scan tries again
            self._fill()

    def _fill(self) -> None:
        with self._lock:
            while len(self._all) < self._count:
                self._idle.append(self._made())

    def _made(self) -> Worker:
        """A new worker.

        Raises:
            ConnectionFailed: no process can be made.
        """
        if self._closed:
            raise ConnectionFailed("the server ends; try again later")
        if not self._source.is_alive():
            _log.error("the process that makes workers is gone; another is started")
            self._source.close()
            self._source = ForkServer(self._source.settings)
        worker = self._source.fork()
        self._all.add(worker)
        return worker

    def _end(self, worker: Worker) -> None:
        """End a worker, and learn how it ended."""
        if worker in self._all:
            self._all.remove(worker)
            worker.kill()
            worker.ended = self._source.ending(worker.process)
            worker.close()

    def _why(self, worker: Worker) -> str:
        """What became of a worker that is gone."""
        if self._closed:
            return "the server ends; send the scan again later"
        code = worker.ended
        how = f"was ended by {signal.Signals(-code).name}" if code is not None and code < 0 else "came to its end"
        return f"the process of the scan {how}; send the scan again, and report this if it happens twice"

    def _check(self, worker: Worker, deadline: float | None) -> None:
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
