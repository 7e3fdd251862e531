"""`nadenoise measure`: concentrations of regions in many scans, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.engine import Jobs
from nadenoise_core.cli.options import Assignments, ChainName, Group, Raws
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.cli.scans import measure_scans
from nadenoise_core.console import say, show_table
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.measure.measure import Measured, MeasureSettings, measuring_chain
from nadenoise_core.measure.table import is_table, write_table
from nadenoise_core.quantify.pose import PoseKind
from nadenoise_core.quantify.readings import RegionMethod
from nadenoise_core.replay.places import place_names


def command(
    raws: Raws,
    labels: Annotated[
        str,
        typer.Option(
            help="Label map, NIfTI or NRRD, of any resolution and orientation; {name} stands for the name of a raw "
            "file, for a map each.",
            metavar="PATH",
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Table to write, with all columns; what they are goes into a JSON file beside it. Unless given, the "
            "concentrations are shown and nothing is written."
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="Names of labels: of ITK-SNAP, 3D Slicer, or a number and a name a line.")
    ] = None,
    averages: Annotated[
        str, typer.Option(help="Numbers of averages to measure at, e.g. 10,30; else all averages.", metavar="N,N,...")
    ] = "",
    pose: Annotated[
        PoseKind | None,
        typer.Option(help="What of the labels' pose against the scan is fitted; else as the chain says."),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="How regions are read: fit, mean, denoised mean.", metavar="METHOD,...")
    ] = "fit",
    chain: ChainName = "sodium_calf",
    assignments: Assignments = None,
    group: Group = None,
    jobs: Jobs = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier table.")] = False,
) -> None:
    """Measure the regions of a label map in raw files, and write them as one table."""
    if csv is not None:
        _check_table(csv, overwrite)
    settings = MeasureSettings(labels, names, _numbers(averages), _methods(methods), pose)
    chosen = read_chain(find_chain(chain)).with_assignments(assignments or ())
    scans, tally = measure_scans(raw_files(raws), measuring_chain(chosen, settings), settings, group, jobs)
    rows = [reading for scan in scans for reading in scan.readings]
    if rows:
        _show(rows)
    if rows and csv is not None:
        say(f"{len(rows)} rows in {csv}, their columns in {write_table(csv, rows)}")
    if tally.failed:
        raise typer.Exit(tally.exit_status)


def _check_table(csv: Path, overwrite: bool) -> None:
    if csv.suffix.lower() != ".csv":
        raise BadInputError(f"{csv}: the table is CSV; give it a name that ends in .csv")
    if csv.exists() and not overwrite:
        raise OutputError(f"{csv}: exists already; choose another --csv, or --overwrite it")
    if csv.exists() and not is_table(csv):
        raise OutputError(f"{csv}: is not replaced, since it is no table of nadenoise; choose another --csv")


def _show(rows: Sequence[Measured]) -> None:
    """A line a reading, with its place where a scan has several."""
    places = place_names([(row.slice, row.contrast, 0, row.repetition) for row in rows])
    many = any(places)
    lines = []
    for row, place in zip(rows, places, strict=True):
        reading, (low, high) = row.reading, row.reading.interval
        numbers = (
            f"{reading.atsc:.2f}",
            "" if isnan(low) else f"{low:.2f} to {high:.2f}",
            "" if isnan(reading.residual) else f"{reading.residual:.2f}",
        )
        where = (row.scan, place) if many else (row.scan,)
        lines.append((*where, str(row.averages), reading.title, reading.method, *numbers))
    columns = ("averages", "region", "method", "aTSC, mmol/L", "95 % interval", "residual (1 is noise)")
    show_table(("scan", "place", *columns) if many else ("scan", *columns), lines)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise BadInputError(f"--averages {text}: write whole numbers above 0, such as 10,30")
    return tuple(sorted({int(part) for part in parts}))


def _methods(text: str) -> tuple[RegionMethod, ...]:
    asked: Sequence[str] = [part.strip() for part in text.split(",") if part.strip()]
    known = {method.value: method for method in RegionMethod if method is not RegionMethod.GTM}
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise BadInputError(f"--methods {text}: use one or more of {', '.join(known)}")
    return tuple(dict.fromkeys(known[name] for name in asked))
