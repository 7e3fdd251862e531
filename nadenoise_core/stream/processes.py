"""The processes of a server, as it sees them: one that runs scans, and the fork server that such come from."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

from nadenoise_core.errors import ConnectionFailed, OutputError
from nadenoise_core.interrupts import begun_deaf
from nadenoise_core.stream.board import SIZE, Board
from nadenoise_core.stream.worker import OpenedScan, Ready, WorkerSettings

NO_START = "the processes that run scans do not start; what was printed before this says why, or give --workers 0"

_STARTING = 300.0  # s for libraries and networks to be loaded


class Worker:
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

    def begin(self, link: socket.socket, scan: OpenedScan) -> None:
        """Give it a scan."""
        try:
            handle = os.dup(link.fileno())
        except OSError:
            raise ConnectionFailed("the connection was cut as its scan began") from None
        try:
            self._link.send(scan)
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


class ForkServer:
    """The process that workers come from, as the server sees it; to be used by one thread at a time."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        ours, theirs = socket.socketpair()
        with theirs, begun_deaf(signal.SIGINT, signal.SIGTERM):  # they are for the server, which ends it
            start = f"from nadenoise_core.stream.worker import main; main({theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {start}"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._link = Connection(ours.detach())
        try:
            self._link.send(settings)
            _wait_until_ready(self._link)
        except (EOFError, OSError):
            self.close()
            raise OutputError(NO_START) from None

    def is_alive(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def fork(self) -> Worker:
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
                    return Worker(process, Connection(ours.detach()), Board(file.fileno()))
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
