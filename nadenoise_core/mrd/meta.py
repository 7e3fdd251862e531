"""The meta of an image: its facts as text, for the wire and for files.

The keys are those that Gadgetron and FIRE read, and our own with the prefix `nadenoise_`. No other module writes or
reads meta, so that no fact is text within a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from enum import Enum
from math import isfinite, isnan, nan
from typing import Any, TypeVar

from nadenoise_core.denoise.guard import Residual
from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.facts import AtscFacts, Corrections, ImageFacts, Kind, Network, Replica, as_text
from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.precision import Progress
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.recon.settings import Method

Meta = dict[str, "str | list[str]"]
_Member = TypeVar("_Member", bound=Enum)

_PREFIX = "nadenoise_"
_SHARED_KEYS = {
    *("ImageRowDir", "ImageColumnDir", "Keep_image_geometry", "ImageType", "ImageProcessingHistory"),
    *("DataRole", "GADGETRON_DataRole", "SeriesDescription", "GADGETRON_SeqDescription"),
    *("ImageComment", "GADGETRON_ImageComment", "RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "GADGETRON_WindowCenter", "GADGETRON_WindowWidth"),
}
_IMAGE_TYPES = {Kind.PLAIN: "PLAIN", Kind.DENOISED: "DNCNN", Kind.ATSC: "ATSC"}
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
    return key in _SHARED_KEYS or key.startswith(_PREFIX)


def to_meta(facts: ImageFacts, directions: Sequence[Sequence[float]]) -> Meta:
    """The meta of an image; what is not known has no key.

    Args:
        directions: of read and phase in the patient, three numbers each.
    """
    role = "Quantitative" if facts.kind is Kind.ATSC else "Image"
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
        _PREFIX + name: _texts(value) if isinstance(value, list | tuple) else as_text(value)
        for name, value in values.items()
    }


def from_meta(meta: Mapping[str, Any]) -> ImageFacts | None:
    """The facts that a meta holds; None if it is not of an image of ours.

    Raises:
        RawDataError: it is, and cannot be understood.
    """
    if _PREFIX + "kind" not in meta:
        return None
    read = _Reader(meta)
    kind = read.member("kind", Kind)
    name, slope, intercept = read.text("bundle"), read.shared("RescaleSlope"), read.shared("RescaleIntercept")
    names = [field.name for field in fields(Residual)]
    left = [read.number(f"residual_{name}") for name in names]
    rows = zip(read.numbers("replica_averages"), read.numbers("replica_noise_std"), strict=False)
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
        rescale=(float(slope[0]), float(intercept[0])) if slope and intercept else None,
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
    values |= made.factors
    if made.maps:
        values |= {"corrected_by": made.maps, "uncovered": made.uncovered}
    return values


def _read_map(read: _Reader) -> AtscFacts:
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
        progress=tuple(
            Progress(name, reach, target, int(averages))
            for name, (reach, target, averages) in zip(
                read.texts("precision_name"), read.rows("precision", _PROGRESS[1:]), strict=False
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


def _read_pose(read: _Reader) -> Pose | None:
    numbers = read.numbers("pose")
    if not numbers:
        return None
    if len(numbers) != 8:
        raise read.wrong("pose")
    x, y, angle, scale, *errors = numbers
    return Pose((x, y), angle, scale, (errors[0], errors[1], errors[2], errors[3]))


def _read_regions(read: _Reader, source: Kind) -> Iterable[RegionReading]:
    usual = RegionMethod.DENOISED_MEAN if source is Kind.DENOISED else RegionMethod.MEAN
    names, methods = read.texts("region_name"), read.members("region_method", RegionMethod)
    for number, row in enumerate(read.rows("region", tuple(_REGION_NUMBERS))):
        values = dict(zip(_REGION_NUMBERS.values(), row, strict=True))
        label = int(values.pop("label"))
        name = names[number] if number < len(names) else ""
        yield RegionReading(label, method=methods[number] if methods else usual, name=name, **values)


def _texts(values: Iterable[object]) -> list[str]:
    return [as_text(value) for value in values]


class _Reader:
    """A meta, read with suspicion: it may come from a peer."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self._meta = meta

    def shared(self, key: str) -> list[str]:
        """All values of a key."""
        value = self._meta.get(key, [])
        several = value if isinstance(value, list) else [value]
        return ["" if part is None else str(part) for part in several]  # an empty text comes off the wire as None

    def texts(self, name: str) -> list[str]:
        """All values of a key of ours."""
        return self.shared(_PREFIX + name)

    def text(self, name: str) -> str:
        return next(iter(self.texts(name)), "")

    def numbers(self, name: str) -> list[float]:
        texts = self.texts(name)
        try:
            return [float(text) for text in texts]
        except ValueError:
            raise self.wrong(name) from None

    def number(self, name: str) -> float:
        return next(iter(self.numbers(name)), nan)

    def optional(self, name: str) -> float | None:
        return next(iter(self.numbers(name)), None)

    def needed(self, name: str) -> float:
        value = self.number(name)
        if not isfinite(value):
            raise self.wrong(name)
        return value

    def count(self, name: str, otherwise: int | None = None) -> int:
        return int(self.needed(name)) if otherwise is None or self.texts(name) else otherwise

    def members(self, name: str, of: type[_Member]) -> list[_Member]:
        try:
            return [of(text) for text in self.texts(name)]
        except ValueError:
            raise self.wrong(name) from None

    def member(self, name: str, of: type[_Member]) -> _Member:
        found = self.members(name, of)
        if len(found) != 1:
            raise self.wrong(name)
        return found[0]

    def rows(self, table: str, names: tuple[str, ...]) -> list[tuple[float, ...]]:
        """The rows of a table that is written in columns; NaN in a column that is missing; the first never is."""
        columns = [self.numbers(f"{table}_{name}") for name in names]
        length = len(columns[0])
        if any(len(column) not in (0, length) for column in columns) or not all(map(isfinite, columns[0])):
            raise self.wrong(f"{table}_{names[0]}")
        return list(zip(*(column or [nan] * length for column in columns), strict=True))

    def wrong(self, name: str) -> RawDataError:
        """The error that says so."""
        return RawDataError(
            f"the meta of an image has {_PREFIX}{name} = {' '.join(self.texts(name)) or 'nothing'}, which nadenoise "
            "does not understand; check the gadgets that it came through"
        )
