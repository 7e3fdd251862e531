"""Concentrations of regions as a structured report (TID 1500 of PS3.16), by highdicom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from pydicom.dataset import Dataset

from nadenoise_core import __version__
from nadenoise_core.dicom.codes import MILLIMOLE_PER_LITRE, Code
from nadenoise_core.dicom.derived import concept, identity, made_again
from nadenoise_core.dicom.segmentation import tissue_of
from nadenoise_core.dicom.uids import derived_uid
from nadenoise_core.quantify.readings import RegionMethod, RegionReading

_SCHEME = "99NADENOISE"
CONCENTRATION = Code("ATSC", _SCHEME, "Apparent tissue sodium concentration")
LOW = Code("ATSC_LOW", _SCHEME, "Lower end of the 95 % interval")
HIGH = Code("ATSC_HIGH", _SCHEME, "Upper end of the 95 % interval")
NOISE_ERROR = Code("ATSC_SE", _SCHEME, "Standard error by noise and calibration")
OUTLINE_ERROR = Code("ATSC_LABEL_SE", _SCHEME, "Standard error by outlines")
RESIDUAL = Code("ATSC_RESIDUAL", _SCHEME, "Residual of the fit in units of noise")
METHODS: Mapping[RegionMethod, Code] = {
    RegionMethod.FIT: Code("FIT", _SCHEME, "Least-squares fit to averaged k-space"),
    RegionMethod.GTM: Code("GTM", _SCHEME, "Geometric transfer matrix on the image"),
    RegionMethod.MEAN: Code("MEAN", _SCHEME, "Mean of the pixels"),
    RegionMethod.DENOISED_MEAN: Code("DENOISED_MEAN", _SCHEME, "Mean of the denoised pixels"),
}
_AREA = Code("42798000", "SCT", "Area")
_SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
_NO_UNIT = Code("1", "UCUM", "no units")
_MAGNETIC_RESONANCE = Code("113091000", "SCT", "Magnetic resonance imaging")
_REPORT = Code("126000", "DCM", "Imaging Measurement Report")


def region_report(
    source: Dataset,
    readings: Sequence[RegionReading],
    outlines: Dataset | None = None,
    segments: Mapping[str, int] | None = None,
) -> Dataset:
    """One measurement group a region: concentration with its 95 % interval, errors, area and method.

    The same arguments give the same bytes.

    Args:
        source: the map that the regions were read in.
        readings: of the regions.
        outlines: the segmentation, where there is one.
        segments: numbers of its segments by the name of a region.
    """
    import highdicom as hd

    observer = hd.sr.ObserverContext(
        observer_type=concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("nadenoise", __version__), name="nadenoise", model_name=f"nadenoise {__version__}"
        ),
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=concept(_MAGNETIC_RESONANCE),
        imaging_measurements=[_group(source, reading, outlines, segments or {}) for reading in readings],
        title=concept(_REPORT),
    )
    made = hd.sr.Comprehensive3DSR(
        evidence=[source, *([outlines] if outlines is not None else [])],
        content=report,
        **identity(source, "report", 20000),
        is_complete=True,
        series_description="23Na concentrations of regions",
    )
    return made_again(made, source)


def _group(source: Dataset, reading: RegionReading, outlines: Dataset | None, segments: Mapping[str, int]) -> Any:
    import highdicom as hd

    tracking = hd.sr.TrackingIdentifier(
        uid=derived_uid(source.SOPInstanceUID, "segment", reading.title), identifier=reading.title
    )
    common = {
        "tracking_identifier": tracking,
        "finding_type": concept(tissue_of(reading.title)),
        "method": concept(METHODS[reading.method]),
        "measurements": list(_measurements(source, reading)),
    }
    if outlines is None or reading.title not in segments:
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            **common,
            source_images=[hd.sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
        )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **common,
        referenced_segment=hd.sr.ReferencedSegment(
            outlines.SOPClassUID,
            outlines.SOPInstanceUID,
            segment_number=segments[reading.title],
            source_images=[hd.sr.SourceImageForSegmentation(source.SOPClassUID, source.SOPInstanceUID)],
        ),
    )


def _measurements(source: Dataset, reading: RegionReading) -> Iterator[Any]:
    """The numbers that are known."""
    import highdicom as hd

    low, high = reading.interval
    yield hd.sr.Measurement(
        concept(CONCENTRATION),
        round(reading.atsc, 4),
        concept(MILLIMOLE_PER_LITRE),
        referenced_images=[hd.sr.SourceImageForMeasurement(source.SOPClassUID, source.SOPInstanceUID)],
    )
    for name, value, unit in (
        (LOW, low, MILLIMOLE_PER_LITRE),
        (HIGH, high, MILLIMOLE_PER_LITRE),
        (NOISE_ERROR, reading.standard_error, MILLIMOLE_PER_LITRE),
        (OUTLINE_ERROR, reading.label_error, MILLIMOLE_PER_LITRE),
        (_AREA, reading.area, _SQUARE_MILLIMETRE),
        (RESIDUAL, reading.residual, _NO_UNIT),
    ):
        if not isnan(value):
            yield hd.sr.Measurement(concept(name), round(value, 4), concept(unit))
