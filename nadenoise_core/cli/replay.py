"""`nadenoise replay`: raw files through a chain, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typing_extensions import TypedDict, Unpack

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import Assignments, ChainName, Deidentify, Group, MaxMatrix, MaxMemory, Raws
from nadenoise_core.cli.pseudonyms import pseudonyms_by
from nadenoise_core.cli.raws import raw_files
from nadenoise_core.console import note, progress_bar, say, show_table, tell
from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.replay.bids import check_bids, write_bids
from nadenoise_core.replay.replay import ReplayResult
from nadenoise_core.replay.replay import replay as replay_file
from nadenoise_core.replay.schema import RegionReport


def command(
    raws: Raws,
    chain: ChainName = "sodium_calf",
    assignments: Assignments = None,
    out: Annotated[Path, typer.Option(help="Folder of the results; a folder in it for each raw file.")] = Path(
        "results"
    ),
    group: Group = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
    bids: Annotated[
        Path | None, typer.Option(help="BIDS dataset to put the images into, too, under the name of the raw file.")
    ] = None,
    max_matrix: MaxMatrix = USUAL.matrix,
    max_memory: MaxMemory = USUAL.memory >> 20,
    deidentify: Deidentify = None,
) -> None:
    """Replay raw files: DICOM, ISMRMRD images, a report and a picture for each."""
    chosen = read_chain(find_chain(chain)).with_assignments(assignments or ())
    raws = raw_files(raws)
    names = [raw.stem for raw in raws]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInputError(f"several raw files are called {', '.join(twice)}; replay them with an --out each")
    settings: ReplaySettings = {
        "group": group,
        "overwrite": overwrite,
        "budget": Budget(max_matrix, max_memory << 20),
        "pseudonyms": pseudonyms_by(deidentify),
    }
    if bids is not None:
        check_bids(bids, names if deidentify is None else (), overwrite)  # pseudonyms are not known before
    worst = 0
    for raw in raws:
        try:
            result = replay_with_progress(raw, chosen, out, **settings)
            put = None if bids is None else write_bids(bids, result.folder.name, result.folder, overwrite)
        except Exception as error:
            if len(raws) == 1:
                raise
            worst = max(worst, tell(error))
        else:
            show_images(result)
            for warning in result.report["warnings"]:
                note(f"warning: {warning}")
            say(f"results in {result.folder}{'' if put is None else f', and in {put}'}")
    if worst:
        raise typer.Exit(worst)


class ReplaySettings(TypedDict, total=False):
    """See `nadenoise_core.replay.replay.replay`."""

    group: str | None
    overwrite: bool
    budget: Budget
    pseudonyms: Pseudonyms | None


def replay_with_progress(raw: Path, chain: Chain, out: Path, **settings: Unpack[ReplaySettings]) -> ReplayResult:
    """Replay one file, with a progress bar on stderr."""
    with progress_bar() as progress:
        task = progress.add_task(raw.name, total=None)
        return replay_file(
            raw,
            chain,
            out,
            **settings,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def show_images(result: ReplayResult) -> None:
    """What was made: a line an image."""
    rows = []
    for image in result.report["images"]:
        line = image.get("calibration")
        known = image["kind"] == "plain" and image["noise_std"] is not None
        noise = f"{image['noise_std']:.3g}" if known else ""
        words = f"{line['slope']:.4g} per mmol/L, R2 {line['r2']:.4f}" if line else ""
        rows.append((image["series"], str(image["averages"]), noise, words))
    columns = ("series", "averages", "noise (1 SD)", "calibration")
    show_table(columns, rows, title=result.report["raw"]["file"])
    regions = [
        (image["series"], region["name"], region["method"], *_numbers_of(region))
        for image in result.report["images"]
        for region in image.get("regions", [])
    ]
    if regions:
        show_table(("map", "region", "method", "aTSC, mmol/L", "95 % interval"), regions)


def _numbers_of(region: RegionReport) -> tuple[str, str]:
    """Concentration and interval of a region of the report; the interval is empty where it is not known."""
    interval = region.get("interval_95")
    return f"{region['atsc']:.2f}", f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
