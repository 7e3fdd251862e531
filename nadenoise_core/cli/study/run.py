"""`nadenoise study run`: the paper's evaluation, from raw files or virtual volunteers to tables and figures."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from nadenoise_core.cli.engine import Cluster, ClusterConfig, Jobs, Scheduler, engine_of
from nadenoise_core.console import counting_bar, note, say, show_table
from nadenoise_core.errors import BadInputError
from nadenoise_core.replay.bids import check_bids
from nadenoise_core.study.bids import write_study_bids
from nadenoise_core.study.config import StudyConfig, load_study
from nadenoise_core.study.merge import StudyRun
from nadenoise_core.study.prose import headline
from nadenoise_core.study.report import Report, make_report, write_report, write_results
from nadenoise_core.study.run import Evaluated, Shard, run_shard, run_study
from nadenoise_core.study.subjects import list_subjects

Config = Annotated[str, typer.Argument(help="YAML file, or name of a configuration that came with nadenoise.")]
Bids = Annotated[
    Path | None, typer.Option(help="BIDS dataset to put images, maps and label maps of all volunteers into, too.")
]
Results = Annotated[Path | None, typer.Option(help="Markdown file to write the tables to, too.")]
Ranks = Annotated[
    Path | None, typer.Option("--readers", help="readers.json of `nadenoise study readers analyse`, for Table 3.")
]


def command(
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder of the study; what is done there is not done again.")] = Path(
        "study"
    ),
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    cluster_config: ClusterConfig = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Evaluate a share, and leave the report to `nadenoise study merge`.", metavar="NUMBER/COUNT"),
    ] = None,
    results: Results = None,
    bids: Bids = None,
    ranks: Ranks = None,
) -> None:
    """Evaluate every volunteer, and write the report.

    With --shard 3/40 this is the third of forty processes that share the study out, each started on its own, with one
    folder --out.
    """
    start = perf_counter()
    part = None if shard is None else _shard(shard)
    chosen = study_of(config, ranks, bids)
    with engine_of(jobs, scheduler, cluster, cluster_config) as engine, counting_bar("volunteers") as progress:
        if part is not None:
            found = run_shard(chosen, out, part, engine, progress)
        else:
            done = run_study(chosen, out, engine, progress)
    if part is not None:
        _show_shard(found, part, perf_counter() - start)
    else:
        tell_report(chosen, done, out, results, bids, perf_counter() - start)


def study_of(config: str, ranks: Path | None, bids: Path | None) -> StudyConfig:
    """The configuration of a study, with the ranks of readers where they are given; the BIDS dataset is checked."""
    chosen = load_study(config)
    if ranks is not None:
        chosen = chosen.model_copy(update={"report": chosen.report.model_copy(update={"readers": ranks})})
    if bids is not None:
        check_bids(bids, [subject.name for subject in list_subjects(chosen.subjects)], overwrite=True)
    return chosen


def tell_report(
    config: StudyConfig, done: StudyRun, out: Path, results: Path | None, bids: Path | None, seconds: float
) -> None:
    """Write the report, and tell what it says and where it is; volunteers that failed make the exit status 1."""
    report = make_report(config, done)
    page, data = write_report(report, out)
    if results is not None:
        write_results(report, results, _command_line())
    if bids is not None:
        write_study_bids(bids, done)
    _show_agreement(report)
    say(headline(report.tables, done))
    for name, reason in done.failures.items():
        note(f"warning: {name} was left out: {reason}")
    skipped = f", {len(done.skipped)} done before" if done.skipped else ""
    say(f"{len(done.records)} volunteers{skipped}; {seconds:.1f} s")
    places = {"report": page, "as JSON": data, "long table": out / "measures.csv"} | ({"BIDS": bids} if bids else {})
    for words, path in places.items():
        say(f"{words + ':':12}{path}")
    if done.failures:
        raise typer.Exit(1)


def _shard(text: str) -> Shard:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise BadInputError(f"--shard {text}: write NUMBER/COUNT, such as 3/40")
    return Shard(int(number), int(count))


def _show_shard(found: Evaluated, shard: Shard, seconds: float) -> None:
    for name, error in found.failures.items():
        note(f"warning: {name} failed: {error}")
    counts = {
        "evaluated": len(found.done),
        "done before": len(found.skipped),
        "with other shards": len(found.elsewhere),
        "failed": len(found.failures),
    }
    told = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    say(f"shard {shard.number}/{shard.count}: {told}; {seconds:.1f} s")
    if found.failures:
        raise typer.Exit(1)


def _show_agreement(report: Report) -> None:
    """Tables 4 and 5 in short."""
    rows = []
    for averages in report.run.measures.averages:
        for method in ("NUFFT", "CS", "CNN", *report.tables.fits):
            cells = []
            for region in ("muscle", "skin"):
                row = report.tables.find(region, method, averages)
                found = row.agreement if row else None
                cells.append(f"{found.bias:+.2f} ({found.lower:.2f} to {found.upper:.2f})" if found else "")
            rows.append((str(averages), method, *cells))
    columns = ("averages", "method", "muscle: bias (limits)", "skin: bias (limits)")
    show_table(columns, rows, title="against the reference, mmol/L")


def _command_line() -> str:
    """The command line as one would write it."""
    return shlex.join(["nadenoise", *sys.argv[1:]])
