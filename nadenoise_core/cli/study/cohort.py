"""`nadenoise study cohort`: scans of many people without a reference, and how their tubes did over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.engine import Jobs
from nadenoise_core.cli.options import Assignments, ChainName, Group, Raws
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.cli.scans import measure_scans
from nadenoise_core.console import say
from nadenoise_core.errors import OutputError
from nadenoise_core.measure.cohort import METHODS, write_cohort
from nadenoise_core.measure.measure import MeasureSettings, measuring_chain
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
    group: Group = None,
    jobs: Jobs = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier cohort.")] = False,
) -> None:
    """Measure short scans that have no reference: concentrations with errors, plain and denoised, and control charts
    of the tubes."""
    if out.exists() and not overwrite:
        raise OutputError(f"{out}: exists already; choose another --out, or --overwrite it")
    settings = MeasureSettings(labels, names, (), METHODS, pose)
    chosen = measuring_chain(read_chain(find_chain(chain)).with_assignments(assignments or ()), settings)
    scans, tally = measure_scans(raw_files(raws), chosen, settings, group, jobs)
    if scans:
        rows = [reading for scan in scans for reading in scan.readings]
        failed = {Path(name).stem: str(error) for name, error in tally.failed.items()}
        page = write_cohort(out, rows, [scan.tubes for scan in scans], failed)
        say(f"{len(scans)} scans in {page}")
    if tally.failed:
        raise typer.Exit(tally.exit_status)
