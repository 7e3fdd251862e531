"""The two consoles of the command lines: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from nadenoise_core.errors import as_ours
from nadenoise_core.log import printable
from nadenoise_core.progress import ProgressCallback

output = Console(emoji=False)
errors = Console(stderr=True, emoji=False)
_STEPS = 50  # of a progress bar: each takes as long as an acquisition


def say(text: str) -> None:
    """One line on stdout, as it is but for control characters."""
    output.print(printable(text, "\n\t"), highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """One line on stderr, as it is but for control characters."""
    errors.print(printable(text, "\n\t"), highlight=False, markup=False, soft_wrap=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """A table on stdout: drawn in a terminal, plain aligned columns in a pipe; nothing is cut."""
    cells = [list(row) for row in rows]
    if output.is_terminal:
        table = Table(title=escape(title) or None, title_justify="left", show_lines=True)
        for column in columns:
            table.add_column(escape(column), overflow="fold")
        for row in cells:
            table.add_row(*map(escape, row))
        output.print(table)
        return
    if title:
        say(title)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_json(data: Any) -> None:
    """JSON on stdout."""
    say(json.dumps(data, indent=2))


def show_markdown(text: str) -> None:
    """Markdown on stdout: typeset in a terminal, as it is in a pipe."""
    if output.is_terminal:
        from rich.markdown import Markdown

        output.print(Markdown(text))
    else:
        say(text.rstrip())


def show_error(error: Exception) -> int:
    """Show an error in one line on stderr, after its traceback where debugging is on.

    Returns:
        The exit status: 2 for bad input, 1 for failed work.
    """
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    ours = as_ours(error)
    print_error(ours)
    return ours.exit_status


def print_error(error: Exception) -> None:
    """An error in one line on stderr."""
    line = printable(" ".join(str(error).split()))
    errors.print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True, highlight=False)


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


@contextmanager
def counting_bar(name: str) -> Iterator[ProgressCallback]:
    """A progress bar on stderr, as what is called with (items done, items in all)."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int) -> None:
            if done % max(total // _STEPS, 1) == 0 or done == total:
                bar.update(task, completed=done, total=total)

        yield show
