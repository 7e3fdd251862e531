"""`nadenoise replay`: raw files through a chain, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.console import errors, output, print_error, progress_bar
from nadenoise_core.errors import BadInputError, NadenoiseError
from nadenoise_core.replay.replay import ReplayResult
from nadenoise_core.replay.replay import replay as replay_file


def replay(
    raws: Annotated[list[Path], typer.Argument(help="ISMRMRD files.", metavar="RAW...")],
    chain: Annotated[str, typer.Option(help="Name of a chain, or path of a chain file.")] = "sodium_calf",
    out: Annotated[Path, typer.Option(help="Folder of the results; a folder in it for each raw file.")] = Path(
        "results"
    ),
    group: Annotated[str | None, typer.Option(help="Measurement in the raw file, if it holds several.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
) -> None:
    """Replay raw files: DICOM, ISMRMRD images, a report and a picture for each."""
    chosen = read_chain(find_chain(chain))
    names = [raw.stem for raw in raws]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInputError(f"several raw files are called {', '.join(twice)}; replay them with an --out each")
    worst = 0
    for raw in raws:
        try:
            result = replay_with_progress(raw, chosen, out, group=group, overwrite=overwrite)
        except NadenoiseError as error:
            if len(raws) == 1:
                raise
            print_error(error)
            worst = max(worst, error.exit_status)
        else:
            output.print(image_table(result))
            for warning in result.report["warnings"]:
                errors.print(f"warning: {warning}", soft_wrap=True, highlight=False, markup=False)
            output.print(f"results in {result.folder}", highlight=False, markup=False, soft_wrap=True)
    if worst:
        raise typer.Exit(worst)


def replay_with_progress(
    raw: Path, chain: Chain, out: Path, *, group: str | None = None, overwrite: bool = False
) -> ReplayResult:
    """Replay one file, with a progress bar on stderr."""
    with progress_bar() as progress:
        task = progress.add_task(raw.name, total=None)
        return replay_file(
            raw,
            chain,
            out,
            group=group,
            overwrite=overwrite,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def image_table(result: ReplayResult) -> Table:
    """What was made: a line an image."""
    table = Table("series", "averages", "noise (1 SD)", "calibration", title=escape(result.report["raw"]["file"]))
    for image in result.report["images"]:
        line = image.get("calibration")
        known = image["kind"] == "plain" and image["noise_std"] is not None
        noise = f"{image['noise_std']:.3g}" if known else ""
        words = f"{line['slope']:.4g} per mmol/L, R2 {line['r2']:.4f}" if line else ""
        table.add_row(escape(image["series"]), str(image["averages"]), noise, words)
    return table
