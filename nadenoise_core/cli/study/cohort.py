"""`nadenoise study cohort`: scans of many people without a reference, and how their tubes did over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import Assignments, ChainName, Raws
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.console import note, progress_bar, say
from nadenoise_core.errors import BadInputError, NadenoiseError, OutputError
from nadenoise_core.log import recorded_warnings
from nadenoise_core.measure.cohort import METHODS, write_cohort
from nadenoise_core.measure.measure import Measured, MeasureSettings, measure_with_tubes, measuring_chain
from nadenoise_core.measure.tube_quality import TubeQuality
from nadenoise_core.quantify.pose import PoseKind


def command(
    raws: Raws,
    labels: Annotated[
        str,
        typer.Option(
            help="Label map, NIfTI or NRRD; {name} stands for the name of a raw file, for a map each.", metavar="PATH"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the tables and the page.")] = Path("cohort"),
    names: Annotated[
        Path | None, typer.Option(help="Names of labels: of ITK-SNAP, 3D Slicer, or a number and a name a line.")
    ] = None,
    pose: Annotated[
        PoseKind | None,
        typer.Option(help="What of the labels' pose against the scan is fitted; else as the chain says."),
    ] = None,
    chain: ChainName = "sodium_calf",
    assignments: Assignments = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier cohort.")] = False,
) -> None:
    """Measure short scans that have no reference: concentrations with errors, plain and denoised, and control charts
    of the tubes."""
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists already; choose another --out, or --overwrite it")
    files = raw_files(raws)
    if len({raw.stem for raw in files}) < len(files):
        raise BadInputError("several raw files have the same name; rename them, the tables tell them by name")
    settings = MeasureSettings(labels, names, (), METHODS, pose)
    chosen = measuring_chain(read_chain(find_chain(chain)).with_assignments(assignments or ()), settings)
    rows: list[Measured] = []
    tubes: list[TubeQuality] = []
    failed: dict[str, str] = {}
    with progress_bar() as progress, recorded_warnings() as warnings:
        for raw in progress.track(files, description="scans"):
            try:
                read, tube = measure_with_tubes(raw, chosen, settings)
            except NadenoiseError as error:
                if len(files) == 1:
                    raise
                failed[raw.stem] = str(error)
            else:
                rows += read
                tubes.append(tube)
    for warning in dict.fromkeys(warnings):
        note(f"warning: {warning}")
    if not rows:
        raise BadInputError(f"no scan could be measured: {next(iter(failed.values()))}")
    page = write_cohort(out, rows, tubes, failed)
    for scan, reason in failed.items():
        note(f"warning: {scan} was left out: {reason}")
    say(f"{len(tubes)} scans in {page}")
    if failed:
        raise typer.Exit(1)
