"""The meta of an image: its facts as text, for the wire and for files.

The keys are those that Gadgetron and FIRE read, and our own with the prefix `nadenoise_`. No other module writes or
reads meta, so that no fact is text within a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from math import isnan
from typing import Any

from nadenoise_core.denoise.guard import Residual
from nadenoise_core.mrd.facts import AtscFacts, Corrections, ImageFacts, Kind, Network, Replica, as_text
from nadenoise_core.mrd.meta_reading import PREFIX, MetaReader
from nadenoise_core.quantify.calibration import Line, Slope
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.recon.settings import Method

Meta = dict[str, "str | list[str]"]

_SHARED_KEYS = {
    *("ImageRowDir", "ImageColumnDir", "Keep_image_geometry", "ImageType", "ImageProcessingHistory"),
    *("DataRole", "GADGETRON_DataRole", "SeriesDescription", "GADGETRON_SeqDescription"),
    *("ImageComment", "GADGETRON_ImageComment", "RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "GADGETRON_WindowCenter", "GADGETRON_WindowWidth"),
}
_IMAGE_TYPES = {Kind.PLAIN: "PLAIN", Kind.DENOISED: "DNCNN", Kind.ATSC: "ATSC", Kind.ERROR: "ATSC_ERROR"}
_ATSC_WINDOW = (50.0, 100.0)  # mmol/L, centre and width in which a map is shown
_TUBE_NUMBERS = ("concentration", "signal", "std", "pixels", "diameter")
_REGION_NUMBERS = {
    **{"label": "label", "mean": "atsc", "std": "std", "pixels": "pixels", "standard_error": "standard_error"},
    **{"area": "area", "residual": "residual", "residual_limit": "residual_limit", "label_error": "label_error"},
    "freedom": "freedom",
}
_PROGRESS = ("name", "reach", "target", "averages")


def is_ours(key: str) -> bool:
    """Whether a key is written by us; others belong to the gadgets that wrote them."""
    return key in _SHARED_KEYS or key.startswith(PREFIX)


def to_meta(facts: ImageFacts, directions: Sequence[Sequence[float]]) -> Meta:
    """The meta of an image; what is not known has no key.

    Args:
        directions: of read and phase in the patient, three numbers each.
    """
    role = "Quantitative" if facts.kind.is_concentration else "Image"
    meta: Meta = {
        "ImageRowDir": _texts(directions[0]),
        "ImageColumnDir": _texts(directions[1]),
        "Keep_image_geometry": "1",
        "ImageType": _IMAGE_TYPES[facts.kind],
        **dict.fromkeys(("DataRole", "GADGETRON_DataRole"), role),
        **dict.fromkeys(("SeriesDescription", "GADGETRON_SeqDescription"), facts.description),
    }
    if facts.comments:
        meta |= {key: list(facts.comments) for key in ("ImageComment", "GADGETRON_ImageComment")}
    if facts.history:
        meta["ImageProcessingHistory"] = list(facts.history)
    if facts.kind is Kind.ATSC:
        for prefix in ("", "GADGETRON_"):
            meta[f"{prefix}WindowCenter"], meta[f"{prefix}WindowWidth"] = _texts(_ATSC_WINDOW)
    if facts.rescale is not None:
        meta["RescaleSlope"], meta["RescaleIntercept"] = _texts(facts.rescale)
    values = _of_image(facts) | ({} if facts.atsc is None else _of_map(facts.atsc))
    return meta | {
        PREFIX + name: _texts(value) if isinstance(value, list | tuple) else as_text(value)
        for name, value in values.items()
    }


def from_meta(meta: Mapping[str, Any]) -> ImageFacts | None:
    """The facts that a meta holds; None if it is not of an image of ours.

    Raises:
        RawDataError: it is, and cannot be understood.
    """
    if PREFIX + "kind" not in meta:
        return None
    read = MetaReader(meta)
    kind = read.member("kind", Kind)
    name, slope, intercept = read.text("bundle"), *(read.known(f"Rescale{part}") for part in ("Slope", "Intercept"))
    names = [field.name for field in fields(Residual)]
    left = [read.number(f"residual_{name}") for name in names]
    rows = read.rows("replica", ("averages", "noise_std"))
    methods = {method.label: method for method in Method}
    return ImageFacts(
        kind=kind,
        averages=read.count("averages"),
        method=methods.get(read.text("method"), Method.GRIDDING),
        noise_std=read.number("noise_std"),
        k_max=read.number("k_max"),
        version=read.text("version"),
        network=Network(name, read.text("bundle_version"), read.text("bundle_sha256")) if name else None,
        residual=None if isnan(left[0]) else Residual(*left),
        denoised_beside=bool(read.text("denoised")),
        replicas=tuple(Replica(int(averages), noise_std) for averages, noise_std in rows),
        surroundings=read.count("surroundings", 0),
        rescale=None if slope is None or intercept is None else (slope, intercept),
        announced=read.count("announced", 0),
        comments=tuple(read.shared("ImageComment")),
        history=tuple(read.shared("ImageProcessingHistory")),
        atsc=_read_map(read) if kind is Kind.ATSC else None,
    )


def _of_image(facts: ImageFacts) -> dict[str, object]:
    """Our own keys of any image, without their prefix."""
    values: dict[str, object] = {
        "version": facts.version,
        "kind": facts.kind.value,
        "averages": facts.averages,
        "noise_std": facts.noise_std,
        "method": facts.method.label,
        "k_max": facts.k_max,
    }
    if facts.announced:
        values["announced"] = facts.announced
    if facts.denoised_beside:
        values["denoised"] = "beside"
    if facts.network is not None:
        network = facts.network
        values |= {"bundle": network.name, "bundle_version": network.version, "bundle_sha256": network.sha256}
    if facts.residual is not None:
        values |= {f"residual_{name}": value for name, value in asdict(facts.residual).items()}
    if facts.replicas:
        values["replica_averages"] = [replica.averages for replica in facts.replicas]
        values["replica_noise_std"] = [replica.noise_std for replica in facts.replicas]
    if facts.surroundings:
        values["surroundings"] = facts.surroundings
    return values


def _of_map(atsc: AtscFacts) -> dict[str, object]:
    """Our own keys of an aTSC map: a column a number of its tubes and regions, where any of them has it."""
    line, tubes, regions, made = atsc.line, atsc.tubes, atsc.regions, atsc.corrections
    values: dict[str, object] = {"unit": "mmol/L", "source": atsc.source.value, "standard_error": atsc.standard_error}
    values |= {"slope": line.slope, "intercept": line.intercept, "r2": line.r2}
    values |= {f"tube_{name}": [getattr(tube, name) for tube in tubes] for name in _TUBE_NUMBERS}
    values |= {f"tube_{axis}": [tube.centre[number] for tube in tubes] for number, axis in enumerate("xy")}
    if not all(isnan(tube.standard_error) for tube in tubes):
        values["tube_standard_error"] = [tube.standard_error for tube in tubes]
    if atsc.replicas:
        values["replicas"] = atsc.replicas
    for name, attribute in _REGION_NUMBERS.items():
        column = [getattr(region, attribute) for region in regions]
        if not all(isnan(value) for value in column):
            values[f"region_{name}"] = column
    if any(region.name for region in regions):
        values["region_name"] = [region.name for region in regions]
    if any(region.method is not atsc.mean_of for region in regions):
        values["region_method"] = [region.method.value for region in regions]
    for name in _PROGRESS if atsc.progress else ():
        values[f"precision_{name}"] = [getattr(part, name) for part in atsc.progress]
    if atsc.pose is not None:
        values["pose"] = [*atsc.pose.shift, atsc.pose.angle, atsc.pose.scale, *atsc.pose.standard_error]
    if atsc.fit_slope is not None:
        values["fit_slope"] = [atsc.fit_slope.value, atsc.fit_slope.standard_error]
    values |= made.factors
    if made.maps:
        values |= {"corrected_by": made.maps, "uncovered": made.uncovered}
    return values


def _read_map(read: MetaReader) -> AtscFacts:
    source = read.member("source", Kind)
    return AtscFacts(
        source=source,
        line=Line(read.needed("slope"), read.needed("intercept"), read.needed("r2")),
        standard_error=read.number("standard_error"),
        tubes=tuple(
            Tube(concentration, (x, y), diameter, signal, std, pixels, standard_error)
            for concentration, signal, std, pixels, diameter, x, y, standard_error in read.rows(
                "tube", (*_TUBE_NUMBERS, "x", "y", "standard_error")
            )
        ),
        regions=tuple(_read_regions(read, source)),
        pose=_read_pose(read),
        fit_slope=Slope(*numbers) if (numbers := read.exactly("fit_slope", 2)) else None,
        progress=tuple(
            Progress(name, reach, target, int(averages))
            for name, (averages, reach, target) in zip(
                read.texts("precision_name"), read.rows("precision", ("averages", "reach", "target")), strict=False
            )
        ),
        replicas=read.count("replicas", 0),
        corrections=Corrections(
            saturation_factor=read.optional("saturation_factor"),
            t2_star_factor=read.optional("t2_star_factor"),
            maps=tuple(read.texts("corrected_by")),
            uncovered=read.number("uncovered"),
        ),
    )


def _read_pose(read: MetaReader) -> Pose | None:
    numbers = read.exactly("pose", 8)
    if not numbers:
        return None
    x, y, angle, scale, *errors = numbers
    return Pose((x, y), angle, scale, (errors[0], errors[1], errors[2], errors[3]))


def _read_regions(read: MetaReader, source: Kind) -> Iterable[RegionReading]:
    usual = RegionMethod.DENOISED_MEAN if source is Kind.DENOISED else RegionMethod.MEAN
    names, methods = read.texts("region_name"), read.members("region_method", RegionMethod)
    rows = read.rows("region", tuple(_REGION_NUMBERS))
    if len(methods) not in (0, len(rows)):
        raise read.wrong("region_method")
    for number, row in enumerate(rows):
        values = dict(zip(_REGION_NUMBERS.values(), row, strict=True))
        label = int(values.pop("label"))
        name = names[number] if number < len(names) else ""
        yield RegionReading(label, method=methods[number] if methods else usual, name=name, **values)


def _texts(values: Iterable[object]) -> list[str]:
    return [as_text(value) for value in values]
