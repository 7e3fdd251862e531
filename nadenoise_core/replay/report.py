"""What `report.json` says of a scan and its images: names and numbers that JSON can hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from nadenoise_core.mrd.deidentification import EDITION, Deidentification
from nadenoise_core.mrd.facts import AtscFacts, Kind, known
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.readings import RegionReading, Tube
from nadenoise_core.replay.schema import (
    CalibrationReport,
    DeidentificationReport,
    ImageReport,
    RegionReport,
    ScanReport,
    TubeReport,
)

if TYPE_CHECKING:
    import ismrmrd


def described_scan(scan: Scan) -> ScanReport:
    """How was measured; nothing that tells who."""
    sequence, encoding = scan.sequence, scan.encoding
    return {
        "date": scan.study.acquisition_date or scan.study.study_date or None,
        "repetition_times_ms": list(sequence.repetition_times),
        "echo_times_ms": list(sequence.echo_times),
        "flip_angles_deg": list(sequence.flip_angles),
        "field_strength_T": scan.study.field_strength,
        "matrix": list(encoding.matrix),
        "field_of_view_mm": list(encoding.field_of_view),
        "slice_thickness_mm": scan.slice_thickness,
        "virtual": scan.is_virtual,
    }


def described_deidentification(done: Deidentification) -> DeidentificationReport:
    """What was taken out of a scan; no value that was."""
    return {
        "profile": f"DICOM PS3.15 {EDITION}, Basic Application Confidentiality Profile",
        "patient": done.patient,
        "measurement": done.measurement,
        "removed": list(done.removed),
        "replaced": list(done.replaced),
    }


def described_image(image: ismrmrd.Image) -> ImageReport:
    """What is known of an image."""
    facts, head = known_facts(image), image.getHead()
    described: ImageReport = {
        "kind": facts.kind.value,
        "series": facts.description,
        "index": head.image_index,
        "slice": head.slice,
        "contrast": head.contrast,
        "repetition": head.repetition,
        "position": [float(x) for x in head.position],
        "averages": facts.averages,
        "noise_std": known(facts.noise_std),
        "history": list(facts.history),
        "comments": list(facts.comments),
    }
    if (residual := facts.residual) is not None:
        described["residual"] = {
            "size": residual.size,
            "correlation": residual.correlation,
            "at_edges": residual.at_edges,
            "largest_mean": residual.largest_mean,
        }
    if (network := facts.network) is not None:
        described["bundle"] = {"name": network.name, "version": network.version, "sha256": network.sha256}
    if (atsc := facts.atsc) is not None:
        described["source"] = "denoised" if atsc.source is Kind.DENOISED else "plain"
        described["calibration"] = _calibration(atsc)
        if (pose := atsc.pose) is not None:
            described["pose"] = {
                "shift": list(pose.shift),
                "angle": pose.angle,
                "scale": pose.scale,
                "standard_error": list(pose.standard_error),
            }
        if atsc.regions:
            described["regions"] = [_region(region) for region in atsc.regions]
    return described


def _calibration(atsc: AtscFacts) -> CalibrationReport:
    return {
        "slope": atsc.line.slope,
        "intercept": atsc.line.intercept,
        "r2": atsc.line.r2,
        "standard_error": known(atsc.standard_error),
        "tubes": [_tube(tube, atsc.measured(tube)) for tube in atsc.tubes],
    }


def _tube(tube: Tube, measured: float) -> TubeReport:
    described = {
        "concentration": tube.concentration,
        "signal": tube.signal,
        "std": tube.std,
        "pixels": tube.pixels,
        "x": tube.centre[0],
        "y": tube.centre[1],
        "measured": measured,
        **_known(standard_error=tube.standard_error),
    }
    return cast(TubeReport, described)


def _region(region: RegionReading) -> RegionReport:
    """What a region reads, mmol/L; what is not known is left out."""
    low, high = region.interval
    described = {
        "label": region.label,
        "name": region.title,
        "method": region.method.value,
        "atsc": region.atsc,
        **({} if math.isnan(low) else {"interval_95": [low, high]}),
        **_known(
            standard_error=region.standard_error,
            label_error=region.label_error,
            std=region.std,
            pixels=region.pixels,
            area_mm2=region.area,
            residual=region.residual,
            residual_limit=region.residual_limit,
        ),
    }
    return cast(RegionReport, described)


def _known(**numbers: float) -> dict[str, float]:
    """The numbers but NaN, which JSON does not know."""
    return {name: number for name, number in numbers.items() if not math.isnan(number)}
