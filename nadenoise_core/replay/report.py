"""What `report.json` says of a scan and its images: names and numbers that JSON can hold."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nadenoise_core.mrd.facts import AtscFacts, known
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.quantify.readings import RegionReading

if TYPE_CHECKING:
    import ismrmrd


def described_scan(scan: Scan) -> dict[str, Any]:
    """How was measured; nothing that tells who."""
    sequence, encoding = scan.sequence, scan.encoding
    return {
        "date": scan.words.acquisition_date or scan.words.study_date or None,
        "repetition_times_ms": list(sequence.repetition_times),
        "echo_times_ms": list(sequence.echo_times),
        "flip_angles_deg": list(sequence.flip_angles),
        "field_strength_T": scan.words.field_strength,
        "matrix": list(encoding.matrix),
        "field_of_view_mm": list(encoding.field_of_view),
        "slice_thickness_mm": scan.slice_thickness,
        "virtual": scan.is_virtual,
    }


def described_image(image: ismrmrd.Image) -> dict[str, Any]:
    """What is known of an image."""
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
        if facts.atsc.pose is not None:
            described["pose"] = asdict(facts.atsc.pose)
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
    low, high = region.interval
    return {
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


def _known(**numbers: float) -> dict[str, float]:
    """The numbers but NaN, which JSON does not know."""
    return {name: number for name, number in numbers.items() if not math.isnan(number)}
