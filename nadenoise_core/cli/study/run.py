"""`nadenoise study run`: the paper's evaluation, from raw files or virtual volunteers to tables and figures."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from nadenoise_core.console import note, progress_bar, say, show_table
from nadenoise_core.replay.bids import check_bids
from nadenoise_core.study.bids import write_study_bids
from nadenoise_core.study.config import StudyConfig, load_study
from nadenoise_core.study.report import Report, make_report, write_report, write_results
from nadenoise_core.study.run import StudyRun, run_study
from nadenoise_core.study.subjects import list_subjects


def command(
    config: Annotated[str, typer.Argument(help="YAML file, or name of a configuration that came with nadenoise.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; what is done there is not done again.")] = Path(
        "study"
    ),
    jobs: Annotated[int, typer.Option(min=0, help="Volunteers at once, a process each; 0: one for every core.")] = 0,
    results: Annotated[Path | None, typer.Option(help="Markdown file to write the tables to, too.")] = None,
    bids: Annotated[
        Path | None, typer.Option(help="BIDS dataset to put images, maps and label maps of all volunteers into, too.")
    ] = None,
    ranks: Annotated[
        Path | None, typer.Option("--readers", help="readers.json of `nadenoise study readers analyse`, for Table 3.")
    ] = None,
) -> None:
    """Evaluate every volunteer, and write the report."""
    start = perf_counter()
    chosen = load_study(config)
    if ranks is not None:
        chosen = chosen.model_copy(update={"report": chosen.report.model_copy(update={"readers": ranks})})
    if bids is not None:
        check_bids(bids, [subject.name for subject in list_subjects(chosen.subjects)], overwrite=True)
    done = _run_with_progress(chosen, out, jobs or _cores())
    report = make_report(chosen, done)
    page, data = write_report(report, out)
    if results is not None:
        write_results(report, results, _command_line())
    if bids is not None:
        write_study_bids(bids, done)
    _show_agreement(report)
    for name, reason in done.failures.items():
        note(f"warning: {name} was left out: {reason}")
    skipped = f", {len(done.skipped)} done before" if done.skipped else ""
    say(f"{len(done.records)} volunteers{skipped}; {perf_counter() - start:.1f} s")
    places = {"report": page, "as JSON": data, "long table": out / "measures.csv"} | ({"BIDS": bids} if bids else {})
    for words, path in places.items():
        say(f"{words + ':':12}{path}")
    if done.failures:
        raise typer.Exit(1)


def _run_with_progress(config: StudyConfig, out: Path, jobs: int) -> StudyRun:
    with progress_bar() as progress:
        task = progress.add_task("volunteers", total=None)
        return run_study(
            config, out, jobs, lambda name, done, total: progress.update(task, completed=done, total=total)
        )


def _show_agreement(report: Report) -> None:
    """Tables 4 and 5 in short."""
    rows = []
    for averages in report.run.measures.averages:
        for method in ("NUFFT", "CS", "CNN"):
            cells = []
            for region in ("muscle", "skin"):
                row = report.tables.find(region, method, averages)
                found = row.agreement if row else None
                cells.append(f"{found.bias:+.2f} ({found.lower:.2f} to {found.upper:.2f})" if found else "")
            rows.append((str(averages), method, *cells))
    columns = ("averages", "method", "muscle: bias (limits)", "skin: bias (limits)")
    show_table(columns, rows, title="against the reference, mmol/L")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _command_line() -> str:
    """The command line as one would write it."""
    return shlex.join(["nadenoise", *sys.argv[1:]])
