"""Replay a raw file through a chain, into a folder of results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ismrmrd

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.errors import OutputError
from nadenoise_core.log import recorded_warnings
from nadenoise_core.mrd.image import told, told_number, told_numbers, words_of
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.replay.overview import draw_overview
from nadenoise_core.replay.page import replay_page
from nadenoise_core.replay.provenance import sha256_of, versions
from nadenoise_core.replay.results import ImagesFile, folder_in_progress


@dataclass(frozen=True)
class ReplayResult:
    """What a replay left.

    Attributes:
        folder: of the results.
        report: what `report.json` holds.
    """

    folder: Path
    report: dict[str, Any]


def replay(
    raw: Path,
    chain: Chain,
    out: Path,
    *,
    group: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReplayResult:
    """Run a chain over a raw file; write `dicom/`, `images.h5`, `report.json`, `report.html` and `overview.png`.

    The results appear, all at once, in the folder `out / <name of the raw file>` when everything is done.

    Args:
        raw: ISMRMRD file.
        chain: to run.
        out: folder of the results of all raw files.
        group: of the measurement in the raw file; None takes the only one.
        overwrite: replace the results of an earlier replay.
        progress: called with (acquisitions read, acquisitions in all).

    Raises:
        NadenoiseError: the raw file, the chain or the output folder is not usable; nothing is left behind.
    """
    check_runs_here(chain)
    final = out / raw.stem
    if final.exists() and not overwrite:
        raise OutputError(f"{final}: exists already; choose another --out, or --overwrite it")
    with RawFile(raw, group) as file, folder_in_progress(final) as folder, named_in_errors(raw):
        scan = read_scan(file.header_xml)
        gadgets = build(chain.with_property("deliver", "folder", str(folder / "dicom")), scan)
        clock = StageClock()
        with recorded_warnings() as warnings:
            with ImagesFile(folder / "images.h5", file.header_xml) as stored:
                images = stored.all_of(run(gadgets, counted(file, progress), clock))
            report = {
                "raw": {"file": raw.name, "acquisitions": len(file), "sha256": sha256_of(raw)},
                "versions": versions(),
                "chain": {"name": chain.name, "stages": chain.describe()},
                "images": [_described(image) for image in images],
                "milliseconds": {stage: round(time, 3) for stage, time in clock.milliseconds().items()},
                "warnings": warnings,
            }
        draw_overview(images, folder / "overview.png")
        page = replay_page(report, (folder / "overview.png").read_bytes(), scan.is_virtual)
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return ReplayResult(final, report)


def counted(file: RawFile, progress: Callable[[int, int], None] | None) -> Iterator[ismrmrd.Acquisition]:
    """The acquisitions of a file; progress is told after each."""
    total = len(file)
    for number, acquisition in enumerate(file.acquisitions(), 1):
        yield acquisition
        if progress is not None:
            progress(number, total)


def _described(image: ismrmrd.Image) -> dict[str, Any]:
    """What the report says of an image."""
    kind, head = told(image, "kind"), image.getHead()
    described: dict[str, Any] = {
        "kind": kind,
        "series": " ".join(words_of(image, "SeriesDescription")),
        "index": head.image_index,
        "slice": head.slice,
        "repetition": head.repetition,
        "position": [float(x) for x in head.position],
        "averages": int(told_number(image, "averages")),
        "noise_std": _known(told_number(image, "noise_std")),
        "history": words_of(image, "ImageProcessingHistory"),
        "comments": words_of(image, "ImageComment"),
    }
    if told(image, "residual_size"):
        names = ("size", "correlation", "at_edges", "largest_mean")
        described["residual"] = {name: told_number(image, f"residual_{name}") for name in names}
    if told(image, "bundle"):
        described["bundle"] = {
            key: told(image, word)
            for key, word in {"name": "bundle", "version": "bundle_version", "sha256": "bundle_sha256"}.items()
        }
    if kind == "atsc":
        described["source"] = told(image, "source")
        described["calibration"] = _calibration(image)
        if told(image, "region_label"):
            described["regions"] = _regions(image)
    return described


def _known(number: float) -> float | None:
    """None for NaN, which JSON does not know."""
    return None if math.isnan(number) else number


def _calibration(image: ismrmrd.Image) -> dict[str, Any]:
    slope, intercept = told_number(image, "slope"), told_number(image, "intercept")
    columns = {
        name: told_numbers(image, f"tube_{name}") for name in ("concentration", "signal", "std", "pixels", "x", "y")
    }
    tubes = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for tube in tubes:
        tube["measured"] = (tube["signal"] - intercept) / slope
    for tube, error in zip(tubes, told_numbers(image, "tube_standard_error"), strict=False):
        tube["standard_error"] = error
    return {
        "slope": slope,
        "intercept": intercept,
        "r2": told_number(image, "r2"),
        "standard_error": told_number(image, "standard_error"),
        "tubes": tubes,
    }


def _regions(image: ismrmrd.Image) -> list[dict[str, Any]]:
    """What the regions of the chain's label map read, mmol/L."""
    names = [name for name in ("label", "mean", "std", "pixels", "standard_error") if told(image, f"region_{name}")]
    columns = {name: told_numbers(image, f"region_{name}") for name in names}
    regions = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [{**region, "label": int(region["label"])} for region in regions]
