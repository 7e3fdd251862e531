"""Signals that reach all processes of a terminal or of a service, and those that have only begun."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def begun_deaf(*signals: int) -> Iterator[None]:
    """Processes that this thread begins within are deaf to signals, which Python would else die of as it starts.

    This process hears afterwards what came meanwhile. Without POSIX, nothing is changed.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
