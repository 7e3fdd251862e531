"""`nadenoise replay`: raw files through a chain, here or on a cluster."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from typing_extensions import Unpack

from nadenoise_core.chain.chain import Chain, check_runs_here
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.engine import Cluster, ClusterConfig, Jobs, Scheduler, engine_of
from nadenoise_core.cli.many import Lines, run_all
from nadenoise_core.cli.options import Assignments, ChainName, Deidentify, Group, MaxMatrix, MaxMemory, Raws
from nadenoise_core.cli.pseudonyms import pseudonyms_by
from nadenoise_core.cli.raws import check_names, raw_files
from nadenoise_core.console import counting_bar, note, say, show_table
from nadenoise_core.denoise.apart import networks_apart
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.replay.job import ReplayResult, ReplaySettings, put_into_bids, replay_job
from nadenoise_core.replay.places import place_names
from nadenoise_core.replay.schema import RegionReport


def command(
    raws: Raws,
    chain: ChainName = "sodium_calf",
    assignments: Assignments = None,
    out: Annotated[Path, typer.Option(help="Folder of the results; a folder in it for each raw file.")] = Path(
        "results"
    ),
    group: Group = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Make results anew that are there.")] = False,
    bids: Annotated[
        Path | None, typer.Option(help="BIDS dataset to put the images into, too, under the name of the raw file.")
    ] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    cluster_config: ClusterConfig = None,
    max_matrix: MaxMatrix = USUAL.matrix,
    max_memory: MaxMemory = USUAL.memory >> 20,
    deidentify: Deidentify = None,
) -> None:
    """Replay raw files: DICOM, ISMRMRD images, a report and a picture for each.

    Results that are there of the same raw data, chain and version are not made again, so that the same command goes on
    where it was stopped.
    """
    chosen = read_chain(find_chain(chain)).with_assignments(assignments or ())
    raws = raw_files(raws)
    check_names(raws, "replay them with an --out each")
    settings: ReplaySettings = {
        "group": group,
        "overwrite": overwrite,
        "budget": Budget(max_matrix, max_memory << 20),
        "pseudonyms": pseudonyms_by(deidentify),
    }
    if bids is not None:
        from nadenoise_core.replay.bids import check_bids, start_dataset

        # Pseudonyms are not known before; what is there of earlier scans is looked at with each.
        check_bids(bids, [raw.stem for raw in raws] if deidentify is None else (), overwrite or len(raws) > 1)
        start_dataset(bids)
    if len(raws) == 1 and not (scheduler or cluster):
        result = replay_with_progress(raws[0], chosen, out, **settings)
        _show(result, None if bids is None else put_into_bids(bids, result, overwrite))
        return
    began = perf_counter()
    before = 0

    def lines(result: ReplayResult) -> Lines:
        nonlocal before
        before += result.done_before
        if result.done_before:
            return [], []
        name = result.report["raw"]["file"]
        warnings = [f"warning: {name}: {warning}" for warning in result.report["warnings"]]
        return [f"{name}: {len(result.report['images'])} images in {result.folder}"], warnings

    check_runs_here(chosen)
    with engine_of(jobs, scheduler, cluster, cluster_config) as engine:
        tally = run_all(engine, (replay_job(raw, chosen, out, bids, **settings) for raw in raws), len(raws), lines)
    done = [f"{tally.done - before} replayed", f"{before} done before" if before else ""]
    failed = f"{len(tally.failed)} failed" if tally.failed else ""
    say(", ".join(filter(None, [*done, failed])) + f"; {perf_counter() - began:.1f} s, results in {out}")
    if tally.failed:
        raise typer.Exit(tally.exit_status)


def replay_with_progress(raw: Path, chain: Chain, out: Path, **settings: Unpack[ReplaySettings]) -> ReplayResult:
    """Replay one file, with a progress bar on stderr."""
    with networks_apart(chain.has("denoise")), counting_bar(raw.name) as progress:
        from nadenoise_core.replay.replay import replay  # after that process has begun: it takes as long as torch

        return replay(raw, chain, out, **settings, progress=progress)


def _show(result: ReplayResult, put: Path | None) -> None:
    """What is told of the only raw file."""
    show_images(result)
    for warning in result.report["warnings"]:
        note(f"warning: {warning}")
    also = "" if put is None else f", and in {put}"
    say(f"results in {result.folder}{also}{', done before; --overwrite makes them anew' if result.done_before else ''}")


def show_images(result: ReplayResult) -> None:
    """What was made: a line an image, with its place where a scan has several; and a line a region."""
    images = result.report["images"]
    places = place_names([(image["slice"], image["contrast"], 0, image["repetition"]) for image in images])
    many = any(places)
    rows, regions = [], []
    for place, image in zip(places, images, strict=True):
        line = image.get("calibration")
        known = image["kind"] == "plain" and image["noise_std"] is not None
        noise = f"{image['noise_std']:.3g}" if known else ""
        calibration = f"{line['slope']:.4g} per mmol/L, R2 {line['r2']:.4f}" if line else ""
        where = (image["series"], place) if many else (image["series"],)
        rows.append((*where, str(image["averages"]), noise, calibration))
        regions += [
            (*where, region["name"], region["method"], *_numbers_of(region)) for region in image.get("regions", [])
        ]
    place_column = ("place",) if many else ()
    columns = ("series", *place_column, "averages", "noise (1 SD)", "calibration")
    show_table(columns, rows, title=result.report["raw"]["file"])
    if regions:
        show_table(("map", *place_column, "region", "method", "aTSC, mmol/L", "95 % interval"), regions)


def _numbers_of(region: RegionReport) -> tuple[str, str]:
    """Concentration and interval of a region of the report; the interval is empty where it is not known."""
    interval = region.get("interval_95")
    return f"{region['atsc']:.2f}", f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
