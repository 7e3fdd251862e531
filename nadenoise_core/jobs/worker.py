"""A worker: a process with one thread that takes one job after another, and stays warm between them."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from nadenoise_core.errors import NadenoiseError, as_ours
from nadenoise_core.interrupts import begun_deaf
from nadenoise_core.jobs.job import Job, Outcome, attempt
from nadenoise_core.log import log_on_stderr

_LEAVING = 10.0  # s in which a worker clears up after itself
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class WorkerDied(NadenoiseError):
    """The process of a job has ended before the job did."""


class Worker:
    """A process and the job that it works on.

    Args:
        job: its first one.

    Attributes:
        connection: has something to read when the job is done, or the process has ended.
        alive: whether it can be given another job.
    """

    def __init__(self, job: Job[Any]) -> None:
        # A fresh interpreter: threads of numerical libraries do not survive a fork, and nothing else of this process
        # holds the other end of the pipe, so that each sees the end of the other, however it came.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        with _one_thread(), begun_deaf(signal.SIGINT):  # Ctrl-C is for the first process, which tells the others
            self._process.start()
        theirs.close()
        self.alive = True
        self.give(job)

    def give(self, job: Job[Any]) -> None:
        """Let it begin a job."""
        self._job = job
        try:
            self.connection.send_bytes(pickle.dumps(job))
        except OSError:  # it has ended meanwhile, which reading will show
            self.alive = False

    def outcome(self) -> Outcome[Any]:
        """What became of the job; waits for it."""
        try:
            outcome: Outcome[Any] = pickle.loads(self.connection.recv_bytes())
            return outcome
        except (EOFError, OSError):
            self.alive = False
            return Outcome(self._job.name, error=WorkerDied(f"{self._job.name}: {self._how_it_ended()}"))

    def ask_to_leave(self) -> None:
        """Tell the process to clear up and end; it ends by itself where it waits for a job."""
        self.connection.close()
        self._process.terminate()

    def join(self) -> None:
        """Wait until it has ended."""
        self._process.join(_LEAVING)
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()

    def _how_it_ended(self) -> str:
        self._process.join(_LEAVING)
        code = self._process.exitcode
        if code is not None and code < 0:
            memory = ", most likely for want of memory; use fewer --jobs" if -code == signal.SIGKILL else ""
            return f"its process was ended by signal {signal.Signals(-code).name}{memory}"
        return f"its process has ended by itself, with exit status {code}"


def _work(connection: Connection) -> None:
    """Do jobs as they come, until nobody is left who gives any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    log_on_stderr(logging.ERROR)  # warnings are in the reports
    logging.captureWarnings(True)
    try:
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))
    except (EOFError, OSError):
        return
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it leaves; to be told so once more would break its clearing up


def _answer(content: bytes) -> bytes:
    """The outcome of a job, both as bytes; a job or a result that cannot be pickled is a fault like any other."""
    name = ""
    try:
        job: Job[Any] = pickle.loads(content)
        name = job.name
        return pickle.dumps(attempt(job))
    except Exception as error:
        return pickle.dumps(Outcome(name, error=as_ours(error), trace=traceback.format_exc()))


def _leave(*_: object) -> NoReturn:
    sys.exit(0)  # through every `finally`, so that nothing is left half-written


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started within have one thread for each library."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
