"""Work of a library that may hang, crash or take all memory: done in a process of its own, which ends with it.

The process is forked, so it costs milliseconds and no imports; where there is no fork (Windows), the work is done here.
"""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

from nadenoise_core.errors import NadenoiseError, reason_of

_T = TypeVar("_T")
_MEMORY = 4 << 30  # bytes beyond what this process has mapped
_PAGES = Path("/proc/self/statm")


class HelperFailed(NadenoiseError):
    """The work failed in the library: with an error of its own, too long, with too much memory, or by a crash."""


class Helper(Generic[_T]):
    """The items of an iterator that runs in another process; an iterator, and a context manager that ends it.

    Args:
        work: makes the iterator, there. Its items are pickled; an error of ours is raised here.
        seconds: that the work for one item may take, in a few GiB; None: it is trusted, and has no limits.

    Raises:
        HelperFailed: while iterating; the message says in what way it failed.
    """

    def __init__(self, work: Callable[[], Iterator[_T]], seconds: float | None) -> None:
        self._seconds = seconds
        self._here: Iterator[_T] | None = None
        self._child = 0
        if not hasattr(os, "fork"):
            self._here = _items_of(work)
            return
        self._answers, answers = Pipe(duplex=False)
        with warnings.catch_warnings():  # of Python 3.12 on, about threads: the child uses no lock of theirs
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            self._answers.close()  # else nobody would notice that this process is gone
            _work(work, answers, seconds)
        answers.close()

    def __iter__(self) -> Iterator[_T]:
        return self

    def __next__(self) -> _T:
        if self._here is not None:
            return next(self._here)
        if not self._child:
            raise StopIteration
        try:
            item, error = self._answers.recv()
        except (EOFError, OSError):  # the latter if it ended amid an item
            raise HelperFailed(self._reason(self._end())) from None
        if error is not None:
            self._end()
            raise error
        if item is None:
            self._end()
            raise StopIteration
        return item[0]  # type: ignore[no-any-return]

    def __enter__(self) -> Helper[_T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the work, wherever it is."""
        if self._child:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            self._end()

    def _end(self) -> int:
        """Wait for the end of the process: its status, as `os.waitstatus_to_exitcode` gives it."""
        child, self._child = self._child, 0
        self._answers.close()
        try:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except ChildProcessError:  # somebody else has waited for it
            return 0

    def _reason(self, status: int) -> str:
        if status == -signal.SIGALRM:
            return f"it took more than {self._seconds:g} s"
        return f"the library that reads it failed ({signal.Signals(-status).name})" if status < 0 else "no answer came"


def _work(work: Callable[[], Iterator[Any]], answers: Connection, seconds: float | None) -> None:
    """Run the work in the child, and end it. What runs too long is ended by the system, even deep in a library."""
    try:
        gc.disable()  # what is collected could be of a library that does not stand a fork, as on a GPU
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        if seconds is not None:
            _limit_memory()
        limit = seconds or 0  # of the timer, for which 0 is none
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            for item in _items_of(work):
                signal.setitimer(signal.ITIMER_REAL, 0)  # to wait for who reads takes no time of the work
                answers.send(((item,), None))
                signal.setitimer(signal.ITIMER_REAL, limit)
            answers.send((None, None))
        except NadenoiseError as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            answers.send((None, error))
    except BaseException:  # nobody reads any more
        os._exit(1)
    os._exit(0)


def _items_of(work: Callable[[], Iterator[_T]]) -> Iterator[_T]:
    """The items of the work; what the library raises, of whatever type it chooses, as an error of ours."""
    try:
        yield from work()
    except NadenoiseError:
        raise
    except MemoryError:
        raise HelperFailed("it takes too much memory") from None
    except Exception as error:
        raise HelperFailed(reason_of(error)) from None


def _limit_memory() -> None:
    """Let no damaged length take all memory."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        mapped = int(_PAGES.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = mapped + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))
