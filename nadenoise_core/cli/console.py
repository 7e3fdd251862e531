"""The two consoles: results on stdout, everything else on stderr."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

output = Console()
errors = Console(stderr=True)


def progress_bar() -> Progress:
    """A progress bar on stderr; none where stderr is no terminal, so that a log holds warnings and errors only."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
    )


def show_log(level: int) -> None:
    """Show log messages from a level on; the console of a command shows errors alone, unless it is told."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(min(level, handler.level))
    logging.getLogger("nadenoise").setLevel(level)


def when_stopped(action: Callable[[], object]) -> None:
    """Do this at SIGTERM and at Ctrl-C, also where a shell has made a background job deaf to it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: action())


def print_error(error: Exception) -> None:
    """Tell an error in one line on stderr."""
    errors.print(f"[bold red]error:[/] {escape(' '.join(str(error).split()))}", soft_wrap=True, highlight=False)
