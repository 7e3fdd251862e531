"""Replay a raw file through a chain, into a folder of results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import ismrmrd

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.gadget import Item
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.errors import OutputError
from nadenoise_core.files import write_whole
from nadenoise_core.log import recorded_warnings
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.deidentification import deidentified
from nadenoise_core.mrd.image import facts_of
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.mrd.scan import Scan, read_scan
from nadenoise_core.progress import ProgressCallback, counted
from nadenoise_core.replay.fingerprint import Origin, origin_of
from nadenoise_core.replay.job import ReplayResult
from nadenoise_core.replay.page import replay_page
from nadenoise_core.replay.picture import draw_overview
from nadenoise_core.replay.places import places_of
from nadenoise_core.replay.provenance import versions
from nadenoise_core.replay.report import described_deidentification, described_image, described_scan
from nadenoise_core.replay.results import ImagesFile, folder_in_progress
from nadenoise_core.replay.schema import Report
from nadenoise_core.replay.volumes import write_volumes


def replay(
    raw: Path,
    chain: Chain,
    out: Path,
    *,
    group: str | None = None,
    overwrite: bool = False,
    budget: Budget = USUAL,
    pseudonyms: Pseudonyms | None = None,
    progress: ProgressCallback | None = None,
) -> ReplayResult:
    """Run a chain over a raw file; write `dicom/`, `nifti/`, `images.h5`, `report.json`, `report.html`, `overview.png`.

    The results appear, all at once, in the folder `out / <name of the raw file>` when everything is done. Results that
    are there of the same raw data, chain, networks and version stay, and are given.

    Args:
        raw: ISMRMRD file.
        chain: to run.
        out: folder of the results of all raw files.
        group: of the measurement in the raw file; None takes the only one.
        overwrite: make them anew, and replace whatever is there.
        budget: what the scan may need.
        pseudonyms: by which the results are de-identified (DICOM PS3.15), the name of their folder, too; None: they
            are not.
        progress: called with (acquisitions read, acquisitions in all).

    Raises:
        NadenoiseError: the raw file, the chain or the output folder is not usable; nothing is left behind.
    """
    check_runs_here(chain)
    with RawFile(raw, group) as file, named_in_errors(raw), recorded_warnings() as warnings:
        hidden = None
        if pseudonyms is not None:
            names = (str(raw), raw.name, raw.stem, *chain.paths())
            hidden = deidentified(file.header_xml, pseudonyms).without(names)
        final = out / (hidden.name if hidden is not None else raw.stem)
        origin = origin_of(raw, chain, group, pseudonyms)
        if final.exists() and not overwrite:
            return _earlier(final, origin)
        header_xml = file.header_xml if hidden is None else hidden.header_xml
        scan = replace(read_scan(header_xml, budget), deidentification=hidden)
        with folder_in_progress(final) as folder:
            items = counted(file.acquisitions(), len(file), progress)
            images, clock = _run_chain(chain, scan, items, header_xml, folder)
            report = _report(file, chain, scan, origin, images, clock, warnings)
            _write_report(report, images, folder)
    return ReplayResult(final, report)


def _run_chain(
    chain: Chain, scan: Scan, items: Iterable[Item], header_xml: bytes, folder: Path
) -> tuple[list[ismrmrd.Image], StageClock]:
    """The images of a scan, which `images.h5` gets as they come, and the time that each stage took."""
    gadgets = build(chain.with_property("deliver", "folder", str(folder / "dicom")), scan)
    clock, hidden = StageClock(), scan.deidentification
    made = run(gadgets, items, clock)
    with ImagesFile(folder / "images.h5", header_xml) as stored:
        return stored.all_of(made if hidden is None else hidden.images(made)), clock


def _report(
    file: RawFile,
    chain: Chain,
    scan: Scan,
    origin: Origin,
    images: Sequence[ismrmrd.Image],
    clock: StageClock,
    warnings: list[str],
) -> Report:
    """What `report.json` holds."""
    report: Report = {
        "raw": {
            "file": file.path.name,
            "acquisitions": len(file),
            "sha256": origin.raw_sha256,
            "checksums": file.has_checksums,
        },
        "fingerprint": origin.fingerprint,
        "versions": versions(),
        "chain": {"name": chain.name, "stages": chain.describe()},
        "scan": described_scan(scan),
        "images": [described_image(image) for image in images if facts_of(image) is not None],
        "milliseconds": {stage: round(time, 3) for stage, time in clock.milliseconds().items()},
        "warnings": warnings,
    }
    hidden = scan.deidentification
    if hidden is not None:
        report = hidden.cleaned(report)
        report["deidentification"] = described_deidentification(hidden)
    return report


def _write_report(report: Report, images: Sequence[ismrmrd.Image], folder: Path) -> None:
    """Write what people look at: volumes, picture, `report.json` and the page, which lists all files."""
    places = places_of(images)
    write_volumes(images, folder / "nifti")
    draw_overview(images, folder / "overview.png")
    write_whole(folder / "report.json", (json.dumps(report, indent=2) + "\n").encode())
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    write_whole(folder / "report.html", replay_page(report, places, files).encode())


def _earlier(final: Path, origin: Origin) -> ReplayResult:
    """Results that are there, if a replay would make the same."""
    try:
        report = json.loads((final / "report.json").read_text(encoding="utf-8"))
        if report["fingerprint"] == origin.fingerprint:
            return ReplayResult(final, report, done_before=True)
    except (OSError, ValueError, TypeError, KeyError):
        pass  # no results, or of another version
    raise OutputError(
        f"{final}: exists already, and not from this raw file, chain and version; choose another --out, or --overwrite "
        "it"
    )
