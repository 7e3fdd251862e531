"""What commands share: the log on stderr, and the end by a signal."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from nadenoise_core.log import ROOT


def show_log(level: int) -> None:
    """Show log messages from a level on; the console of a command shows errors alone, unless it is told."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(min(level, handler.level))
    logging.getLogger(ROOT).setLevel(level)


def when_stopped(action: Callable[[], object]) -> None:
    """Do this at SIGTERM and at Ctrl-C, also where a shell has made a background job deaf to it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: action())
