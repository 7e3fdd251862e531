"""Log messages: all of ours are below "nadenoise", and one way to collect what a piece of work warns of."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ROOT = "nadenoise"


def printable(text: str, kept: str = "") -> str:
    """Text with control characters, which could be commands to a terminal, as escapes, but those that are kept."""
    return "".join(
        letter if letter.isprintable() or letter in kept else letter.encode("unicode_escape").decode()
        for letter in text
    )


class _OneLine(logging.Formatter):
    """Messages may hold what somebody else named a file or a chain; tracebacks stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))


def log_on_stderr(level: int, debug: bool = False) -> None:
    """Show log messages from a level on, all of them for who debugs; warnings reach who collects them in any case."""
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.DEBUG if debug else level)
    console.setFormatter(_OneLine("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[console])


@contextmanager
def warnings_sent_to(receive: Callable[[int, str], object]) -> Iterator[None]:
    """Within it, warnings and errors that this thread logs are given: their level, and "where: what" as text."""
    thread = threading.get_ident()

    class Sender(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                receive(record.levelno, f"{record.name.removeprefix(f'{ROOT}.')}: {record.getMessage()}")

    sender, logger = Sender(logging.WARNING), logging.getLogger(ROOT)
    if not logger.isEnabledFor(logging.WARNING):
        logger.setLevel(logging.WARNING)
    logger.addHandler(sender)
    try:
        yield
    finally:
        logger.removeHandler(sender)


@contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """The warnings that this thread logs, as text; each once."""
    recorded: list[str] = []

    def keep(_: int, message: str) -> None:
        if message not in recorded:
            recorded.append(message)

    with warnings_sent_to(keep):
        yield recorded


@contextmanager
def hushed() -> Iterator[None]:
    """Within it, nothing that this thread logs is shown but errors: it is of no scan."""
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno >= logging.ERROR

    handlers = [*logging.getLogger().handlers, *logging.getLogger(ROOT).handlers]
    for handler in handlers:
        handler.addFilter(keep)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(keep)
