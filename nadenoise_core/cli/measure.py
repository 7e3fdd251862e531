"""`nadenoise measure`: concentrations of regions in many scans, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import Assignments, ChainName, Group, Raws
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.console import note, progress_bar, say, show_table, tell
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.log import recorded_warnings
from nadenoise_core.measure.measure import Measured, MeasureSettings, measure, measuring_chain
from nadenoise_core.measure.table import as_row, is_table, write_table
from nadenoise_core.quantify.pose import PoseKind
from nadenoise_core.quantify.readings import RegionMethod

_SHOWN = ("scan", "averages", "region", "method", "atsc", "standard_error", "label_error", "area_mm2", "residual")


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
    csv: Annotated[Path, typer.Option(help="Table to write; what its columns are goes into a JSON file beside it.")],
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier table.")] = False,
) -> None:
    """Measure the regions of a label map in raw files, and write them as one table."""
    if csv.suffix.lower() != ".csv":
        raise BadInputError(f"{csv}: the table is CSV; give it a name that ends in .csv")
    if csv.exists() and not overwrite:
        raise OutputError(f"{csv}: exists already; choose another --csv, or --overwrite it")
    if csv.exists() and not is_table(csv):
        raise OutputError(f"{csv}: is not replaced, since it is no table of nadenoise; choose another --csv")
    settings = MeasureSettings(labels, names, _numbers(averages), _methods(methods), pose)
    raws = raw_files(raws)
    if len(raws) > 1 and (twice := sorted({raw.stem for raw in raws if [r.stem for r in raws].count(raw.stem) > 1})):
        raise BadInputError(
            f"several raw files are called {', '.join(twice)}; rename them, the table tells them by name"
        )
    chosen = read_chain(find_chain(chain)).with_assignments(assignments or ())
    chosen = measuring_chain(chosen, settings)
    rows: list[Measured] = []
    worst = 0
    for raw in raws:
        try:
            rows += _measured(raw, chosen, settings, group)
        except Exception as error:
            if len(raws) == 1:
                raise
            worst = max(worst, tell(error))
    if rows:
        sidecar = write_table(csv, rows)
        shown = [as_row(row) for row in rows]
        show_table(_SHOWN, [[row[name] for name in _SHOWN] for row in shown])
        say(f"{len(rows)} rows in {csv}, their columns in {sidecar}")
    if worst:
        raise typer.Exit(worst)


def _measured(raw: Path, chain: Chain, settings: MeasureSettings, group: str | None) -> list[Measured]:
    """One scan, with a progress bar and its warnings on stderr."""
    with progress_bar() as progress, recorded_warnings() as warnings:
        task = progress.add_task(raw.name, total=None)
        rows = measure(
            raw,
            chain,
            settings,
            group=group,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for warning in dict.fromkeys(warnings):
        note(f"warning: {raw.name}: {warning}")
    return rows


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
