"""What a fit tells: a CSV file, TensorBoard where it is installed, and a progress bar or lines."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import Progress, TaskID

from nadenoise_core.console import errors, progress_bar, say
from nadenoise_core.files import whole_file

LOG = "log.csv"


@dataclass(frozen=True)
class Row:
    """One epoch."""

    epoch: int
    step: int
    minutes: float
    learning_rate: float
    training_loss: float
    validation_loss: float
    best: bool


class RunLog:
    """The log of a run, from a step on; rows beyond it, of a run that was killed, are dropped.

    Args:
        folder: of the run.
        step: that the run goes on from.
        steps: in all.
        quiet: write the files only.
    """

    def __init__(self, folder: Path, step: int, steps: int, quiet: bool = False) -> None:
        self._path = folder / LOG
        self._start(step)
        self._board = _tensorboard(folder / "tensorboard", step)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if not quiet:
            self._bar = progress_bar(
                "loss {task.fields[loss]}", "validation {task.fields[validation]}", "{task.fields[left]} left"
            )
            self._task = self._bar.add_task("fit", total=steps, completed=step, loss="-", validation="-", left="-")

    def __enter__(self) -> RunLog:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._board is not None:
            self._board.close()

    def step(self, step: int, loss: Callable[[], float], seconds_left: float) -> None:
        """Tell of a step; the loss is fetched only where somebody looks."""
        if self._bar is not None and not self._bar.disable:
            self._bar.update(self._task, completed=step, loss=f"{loss():.4g}", left=_duration(seconds_left))

    def epoch(self, row: Row) -> None:
        """Keep a row."""
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow(_cells(row))
        if self._board is not None:
            self._board.add_scalar("loss/training", row.training_loss, row.step)
            self._board.add_scalar("loss/validation", row.validation_loss, row.step)
            self._board.add_scalar("learning rate", row.learning_rate, row.step)
            self._board.flush()
        if self._bar is not None:
            self._bar.update(self._task, validation=f"{row.validation_loss:.4g}")
            if not errors.is_terminal:
                best = ", the best so far" if row.best else ""
                say(
                    f"epoch {row.epoch}: loss {row.training_loss:.5g}, validation {row.validation_loss:.5g}{best}; "
                    f"{row.minutes:.1f} min"
                )

    def _start(self, step: int) -> None:
        """The header and the rows up to a step."""
        names = [field.name for field in fields(Row)]
        rows: list[list[str]] = []
        if self._path.exists():
            with self._path.open(newline="") as file:
                rows = [row for row in list(csv.reader(file))[1:] if len(row) == len(names) and int(row[1]) <= step]
        with whole_file(self._path) as unfinished, unfinished.open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])


def _cells(row: Row) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else str(int(value)) for value in astuple(row)]


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step or None)


def _duration(seconds: float) -> str:
    if seconds != seconds or seconds == float("inf"):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
