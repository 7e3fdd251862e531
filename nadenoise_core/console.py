"""The two consoles of the command lines: results on stdout, everything else on stderr."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

output = Console()
errors = Console(stderr=True)


def say(text: str) -> None:
    """One line on stdout, as it is."""
    output.print(text, highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """One line on stderr, as it is."""
    errors.print(text, highlight=False, markup=False, soft_wrap=True)


def print_error(error: Exception) -> None:
    """An error in one line on stderr."""
    errors.print(f"[bold red]error:[/] {escape(' '.join(str(error).split()))}", soft_wrap=True, highlight=False)


def progress_bar(*columns: str) -> Progress:
    """A progress bar on stderr, with columns of its own or the time left.

    There is none where stderr is no terminal, so that a log holds warnings and errors only.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(column) for column in columns),
        *(() if columns else (TimeRemainingColumn(),)),
        console=errors,
        disable=not errors.is_terminal,
    )
