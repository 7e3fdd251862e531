"""What `report.json` holds: every key with its type, unit and meaning, and from them the JSON schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import NotRequired, TypedDict

from nadenoise_core.configuration.fields import Unit

_MMOL = Unit("mmol/L")
_MM = Unit("mm")
_closed = with_config(ConfigDict(extra="forbid"))


@_closed
class RawReport(TypedDict):
    """The raw file."""

    file: Annotated[str, Field(description="name of the file")]
    acquisitions: Annotated[int, Field(description="in it, noise scans included")]
    sha256: Annotated[str, Field(description="checksum of the file")]
    checksums: Annotated[bool, Field(description="whether the file has checksums of its own, which were verified")]


@_closed
class ChainReport(TypedDict):
    """The chain as it was run."""

    name: Annotated[str, Field(description="of the chain")]
    stages: Annotated[
        list[dict[str, Any]],
        Field(description="each with the name of its gadget and all of its properties; units are those of the gadgets"),
    ]


@_closed
class ScanReport(TypedDict):
    """How was measured; nothing that tells who."""

    date: Annotated[str | None, Field(description="of the acquisition, else of the study")]
    repetition_times_ms: Annotated[list[float], Unit("ms"), Field(description="TR")]
    echo_times_ms: Annotated[list[float], Unit("ms"), Field(description="TE")]
    flip_angles_deg: Annotated[list[float], Unit("degrees"), Field(description="of the excitations")]
    field_strength_T: Annotated[float | None, Unit("T"), Field(description="of the main field")]
    matrix: Annotated[list[int], Unit("pixels"), Field(description="rows, columns of an image")]
    field_of_view_mm: Annotated[list[float], _MM, Field(description="of the rows, of the columns")]
    slice_thickness_mm: Annotated[float, _MM, Field(description="as the header says")]
    virtual: Annotated[bool, Field(description="whether the scan was simulated")]


@_closed
class ResidualReport(TypedDict):
    """What the network took away, within the disc of the field of view."""

    size: Annotated[float, Field(description="standard deviation, over that of the noise")]
    correlation: Annotated[float, Field(description="of neighbouring pixels, minus what noise has")]
    at_edges: Annotated[float, Field(description="power at the steepest edges over the power elsewhere")]
    largest_mean: Annotated[
        float, Field(description="largest mean over a disc or line, in standard deviations of that of noise")
    ]


@_closed
class BundleReport(TypedDict):
    """The network."""

    name: Annotated[str, Field(description="of the bundle")]
    version: Annotated[str, Field(description="of the bundle")]
    sha256: Annotated[str, Field(description="checksum of its file")]


@_closed
class TubeReport(TypedDict):
    """A reference tube."""

    concentration: Annotated[float, _MMOL, Field(description="as prepared")]
    signal: Annotated[float, Unit("signal"), Field(description="mean in its centre, corrected for blur and ringing")]
    std: Annotated[float, Unit("signal"), Field(description="standard deviation of the pixels in its centre")]
    pixels: Annotated[float, Unit("pixels"), Field(description="size of its centre")]
    x: Annotated[float, _MM, Field(description="of its centre, from that of the field of view, along the rows")]
    y: Annotated[float, _MM, Field(description="of its centre, from that of the field of view, along the columns")]
    measured: Annotated[float, _MMOL, Field(description="concentration that the map reads in it")]
    standard_error: NotRequired[Annotated[float, _MMOL, Field(description="of `measured`, where it is known")]]


@_closed
class CalibrationReport(TypedDict):
    """The line that turns signal into concentration: signal = slope * concentration + intercept."""

    slope: Annotated[float, Unit("signal per mmol/L"), Field(description="of the line")]
    intercept: Annotated[float, Unit("signal"), Field(description="of the line")]
    r2: Annotated[float, Field(description="coefficient of determination")]
    standard_error: Annotated[float | None, _MMOL, Field(description="of one pixel of tissue, median")]
    tubes: Annotated[list[TubeReport], Field(description="that the line was fitted to")]


@_closed
class PoseReport(TypedDict):
    """How the labels of the regions were found to lie against the scan."""

    shift: Annotated[list[float], _MM, Field(description="x, y")]
    angle: Annotated[float, Unit("degrees"), Field(description="from x towards y")]
    scale: Annotated[float, Field(description="1 leaves the labels as large as they are")]
    standard_error: Annotated[
        list[float], Field(description="of shift x, shift y, angle and scale, in their units; 0: not fitted")
    ]


@_closed
class RegionReport(TypedDict):
    """The concentration of a region; what is not known is left out."""

    label: Annotated[int, Field(description="number in the label map; 0: tissue without a label, or several merged")]
    name: Annotated[str, Field(description="of the region")]
    method: Annotated[
        Literal["fit", "GTM", "mean", "denoised mean"],
        Field(description="fit to k-space, geometric transfer matrix, mean of pixels, mean of denoised pixels"),
    ]
    atsc: Annotated[float, _MMOL, Field(description="apparent tissue sodium concentration")]
    interval_95: NotRequired[Annotated[list[float], _MMOL, Field(description="95 % confidence interval")]]
    standard_error: NotRequired[Annotated[float, _MMOL, Field(description="by noise and calibration")]]
    label_error: NotRequired[Annotated[float, _MMOL, Field(description="standard error by outlines that lie off")]]
    std: NotRequired[Annotated[float, _MMOL, Field(description="standard deviation of its pixels")]]
    pixels: NotRequired[Annotated[float, Unit("pixels"), Field(description="size of the region")]]
    area_mm2: NotRequired[Annotated[float, Unit("mm^2"), Field(description="size of the region")]]
    residual: NotRequired[Annotated[float, Unit("noise levels"), Field(description="what the method left unexplained")]]
    residual_limit: NotRequired[
        Annotated[float, Unit("noise levels"), Field(description="exceeded by `residual` once in 1000 if all is right")]
    ]


@_closed
class ImageReport(TypedDict):
    """An image."""

    kind: Annotated[
        Literal["plain", "denoised", "atsc", "error"],
        Field(description="signal, denoised, concentration, or its standard error"),
    ]
    series: Annotated[str, Field(description="description of its DICOM series")]
    index: Annotated[int, Field(description="number of the image; images of the same data have the same")]
    slice: Annotated[int, Field(description="from 0")]
    contrast: Annotated[int, Field(description="echo, from 0")]
    repetition: Annotated[int, Field(description="from 0")]
    position: Annotated[list[float], _MM, Field(description="of its centre, LPS")]
    averages: Annotated[int, Field(description="in the image")]
    noise_std: Annotated[
        float | None,
        Unit("signal"),
        Field(description="standard deviation of the real part of a pixel of the plain image, where it is known"),
    ]
    history: Annotated[list[str], Field(description="stages that made it, with their parameters")]
    comments: Annotated[list[str], Field(description="as in DICOM: what a reader must know")]
    residual: NotRequired[ResidualReport]
    bundle: NotRequired[BundleReport]
    source: NotRequired[
        Annotated[Literal["plain", "denoised"], Field(description="of a map: kind of the image that was calibrated")]
    ]
    calibration: NotRequired[CalibrationReport]
    pose: NotRequired[PoseReport]
    regions: NotRequired[Annotated[list[RegionReport], Field(description="of the label map")]]


@_closed
class DeidentificationReport(TypedDict):
    """What was taken out; DICOM objects name the profile that they follow."""

    profile: Annotated[str, Field(description="that was followed")]
    patient: Annotated[str, Field(description="pseudonym; empty where the header names nobody")]
    measurement: Annotated[str, Field(description="pseudonym")]
    removed: Annotated[list[str], Field(description="elements of the header")]
    replaced: Annotated[list[str], Field(description="elements of the header that pseudonyms stand for")]


@_closed
class Report(TypedDict):
    """What `report.json` holds."""

    raw: RawReport
    fingerprint: Annotated[
        str, Field(description="checksum of raw data, chain, networks and version: results are not made again for one")
    ]
    versions: Annotated[dict[str, str], Field(description="of nadenoise, Python and what results depend on")]
    chain: ChainReport
    scan: ScanReport
    images: Annotated[list[ImageReport], Field(description="in the order in which they were made")]
    milliseconds: Annotated[dict[str, float], Unit("ms"), Field(description="that each stage took")]
    warnings: Annotated[list[str], Field(description="of the gadgets")]
    deidentification: NotRequired[DeidentificationReport]


def report_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of `report.json`; `unit` is the unit of a number."""
    schema = TypeAdapter(Report).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "nadenoise report.json", **schema}
