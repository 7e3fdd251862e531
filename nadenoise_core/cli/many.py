"""Many jobs on the console: a line for each that is done, time left, and at the end a line for each that failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

from rich.progress import Progress

from nadenoise_core.console import note, output, print_error, progress_bar, say
from nadenoise_core.errors import NadenoiseError
from nadenoise_core.jobs.job import Engine, Job, Outcome, Result

Lines: TypeAlias = tuple[Sequence[str], Sequence[str]]
"""For stdout, and for stderr."""


@dataclass
class Tally:
    """What became of many jobs.

    Attributes:
        done: how many are done.
        failed: by name.
    """

    done: int = 0
    failed: dict[str, NadenoiseError] = field(default_factory=dict)

    @property
    def exit_status(self) -> int:
        """The worst of the failures; 0 where there is none."""
        return max((error.exit_status for error in self.failed.values()), default=0)


def run_all(engine: Engine, jobs: Iterable[Job[Result]], count: int, lines: Callable[[Result], Lines]) -> Tally:
    """Run jobs, and tell of each; whatever ends this early, the failures so far are listed.

    Args:
        engine: that runs them.
        jobs: asked for as there is room.
        count: of the jobs.
        lines: to be shown of a result.
    """
    tally = Tally()
    try:
        with progress_bar() as progress, closing(engine.run(jobs)) as outcomes:
            task = progress.add_task("files", total=count)
            for outcome in outcomes:
                if outcome.result is not None:
                    tally.done += 1
                    _show(progress, *lines(outcome.result))
                elif outcome.error is not None:
                    tally.failed[outcome.name] = outcome.error
                    _trace(outcome)
                failed = f", {len(tally.failed)} failed" if tally.failed else ""
                progress.update(task, advance=1, description=f"files{failed}")
    finally:
        for name, error in tally.failed.items():
            print_error(error if name in str(error) else NadenoiseError(f"{name}: {error}"))
    return tally


def _show(progress: Progress, lines: Sequence[str], warnings: Sequence[str]) -> None:
    """Lines on their console; in a terminal above the progress bar, which would draw over them."""
    for line in lines:
        if output.is_terminal and not progress.disable:
            note(line)
        else:
            say(line)
    for warning in warnings:
        note(warning)


def _trace(outcome: Outcome[Result]) -> None:
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        note(outcome.trace.rstrip())
