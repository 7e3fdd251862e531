"""Replay a raw file through a chain, into a folder of results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ismrmrd

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.errors import OutputError
from nadenoise_core.log import recorded_warnings
from nadenoise_core.mrd.facts import AtscFacts, known
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.quantify.readings import RegionReading
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
                "raw": {
                    "file": raw.name,
                    "acquisitions": len(file),
                    "sha256": sha256_of(raw),
                    "checksums": file.has_checksums,
                },
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
    facts, head = known_facts(image), image.getHead()
    described: dict[str, Any] = {
        "kind": facts.kind.value,
        "series": facts.description,
        "index": head.image_index,
        "slice": head.slice,
        "repetition": head.repetition,
        "position": [float(x) for x in head.position],
        "averages": facts.averages,
        "noise_std": known(facts.noise_std),
        "history": list(facts.history),
        "comments": list(facts.comments),
    }
    if facts.residual is not None:
        described["residual"] = asdict(facts.residual)
    if facts.network is not None:
        described["bundle"] = asdict(facts.network)
    if facts.atsc is not None:
        described["source"] = facts.atsc.source.value
        described["calibration"] = _calibration(facts.atsc)
        if facts.atsc.regions:
            described["regions"] = [_region(region) for region in facts.atsc.regions]
    return described


def _calibration(atsc: AtscFacts) -> dict[str, Any]:
    return {
        "slope": atsc.line.slope,
        "intercept": atsc.line.intercept,
        "r2": atsc.line.r2,
        "standard_error": known(atsc.standard_error),
        "tubes": [
            {
                "concentration": tube.concentration,
                "signal": tube.signal,
                "std": tube.std,
                "pixels": tube.pixels,
                "x": tube.centre[0],
                "y": tube.centre[1],
                "measured": atsc.measured(tube),
                **_known(standard_error=tube.standard_error),
            }
            for tube in atsc.tubes
        ],
    }


def _region(region: RegionReading) -> dict[str, Any]:
    """What a region reads, mmol/L; what is not known is left out."""
    return {
        "label": region.label,
        "mean": region.atsc,
        **_known(std=region.std, pixels=region.pixels, standard_error=region.standard_error),
    }


def _known(**numbers: float) -> dict[str, float]:
    """The numbers but NaN, which JSON does not know."""
    return {name: number for name, number in numbers.items() if not math.isnan(number)}
