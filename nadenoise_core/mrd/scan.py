"""What the chain needs to know of a scan, read from its ISMRMRD header."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass
from typing import Any

from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.formats.dataclass.serializers.config import SerializerConfig

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.header import parse_header as parse_header
from nadenoise_core.sampling.trajectory import Encoding

_log = logging.getLogger("nadenoise.scan")
_ASPECT_TOLERANCE = 0.05

VIRTUAL_SYSTEM = "virtual calf"
"""What the header of a simulated scan says of the scanner."""


@dataclass(frozen=True)
class Scan:
    """The ISMRMRD header of a measurement, checked.

    Attributes:
        header: ismrmrd.xsd.ismrmrdHeader, as it came.
        encoding: matrix and field of view.
        slice_thickness: mm.
    """

    header: Any
    encoding: Encoding
    slice_thickness: float

    def count(self, counter: str) -> int | None:
        """How many values of a counter (`idx` field) the header announces; None if it does not say."""
        limits = self.header.encoding[0].encodingLimits
        limit = getattr(limits, Counter(counter).limit, None) if limits is not None else None
        if limit is None:
            return None
        try:
            return int(limit.maximum) + 1
        except (TypeError, ValueError):
            raise RawDataError(f"the header's limit of {counter} is no number; convert the raw data anew") from None


def serialise_header(header: Any) -> str:
    """An ISMRMRD header as XML; `ismrmrd.xsd.ToXML` of ismrmrd 1.14 fails with the xsdata that Gadgetron has."""
    serialiser = XmlSerializer(context=XmlContext(), config=SerializerConfig(encoding="utf-8"))
    return serialiser.render(header, ns_map={"": "http://www.ismrm.org/ISMRMRD"})


def header_fingerprint(header: Any) -> str:
    """16 digits that tell one header from another, whatever version of ismrmrd read it."""
    said = json.dumps(_without_empty(asdict(header)), sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _without_empty(value: Any) -> Any:
    """The same data without what is not said: None and empty lists."""
    if isinstance(value, dict):
        parts = {key: _without_empty(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part not in (None, [], {})}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


def read_scan(header: Any) -> Scan:
    """Check a header and take from it what the chain needs.

    Raises:
        RawDataError: no encoding, a trajectory other than spiral, or a matrix or field of view that is not above 0.
    """
    if not header.encoding:
        raise RawDataError("the ISMRMRD header has no encoding; convert the raw data anew")
    encoding = header.encoding[0]
    kind = getattr(encoding.trajectory, "value", encoding.trajectory)
    if kind != "spiral":
        raise RawDataError(f"the header says trajectory '{kind}'; nadenoise reconstructs 'spiral' scans")
    spaces = {"reconSpace": encoding.reconSpace, "encodedSpace": encoding.encodedSpace}
    for name, space in spaces.items():
        if space is None or space.matrixSize is None or space.fieldOfView_mm is None:
            raise RawDataError(f"the header has no matrixSize or fieldOfView_mm in {name}; convert the raw data anew")
        sizes = (space.matrixSize.x, space.matrixSize.y, space.fieldOfView_mm.x, space.fieldOfView_mm.y)
        if not all(_is_above_0(size) for size in sizes):
            raise RawDataError(
                f"the header's {name} has matrix {sizes[0]}x{sizes[1]} and field of view {sizes[2]}x{sizes[3]} mm; "
                "both must be above 0: convert the raw data anew"
            )
    recon, encoded = encoding.reconSpace, encoding.encodedSpace
    if abs(_aspect(encoded) / _aspect(recon) - 1) > _ASPECT_TOLERANCE:
        # Some converters put the number of interleaves there; a spiral reaches equally far along both axes.
        _log.warning("the header's encodedSpace has pixels of another shape than reconSpace's; reconSpace is used")
        encoded = recon
    if not _is_above_0(recon.fieldOfView_mm.z):
        raise RawDataError(
            f"the header's reconSpace has fieldOfView_mm z, the slice thickness, {recon.fieldOfView_mm.z}; it must be "
            "above 0: convert the raw data anew"
        )
    return Scan(
        header=header,
        encoding=Encoding(
            matrix=(int(recon.matrixSize.y), int(recon.matrixSize.x)),
            field_of_view=(float(recon.fieldOfView_mm.y), float(recon.fieldOfView_mm.x)),
            encoded_matrix=(int(encoded.matrixSize.y), int(encoded.matrixSize.x)),
            encoded_field_of_view=(float(encoded.fieldOfView_mm.y), float(encoded.fieldOfView_mm.x)),
        ),
        slice_thickness=float(recon.fieldOfView_mm.z),
    )


def is_virtual(header: Any) -> bool:
    """Whether a header (ismrmrd.xsd.ismrmrdHeader) is that of a simulated scan."""
    return getattr(header.acquisitionSystemInformation, "systemModel", None) == VIRTUAL_SYSTEM


def _aspect(space: Any) -> float:
    """Height of a pixel over its width."""
    height, width = space.fieldOfView_mm.y / space.matrixSize.y, space.fieldOfView_mm.x / space.matrixSize.x
    return float(height / width)


def _is_above_0(value: Any) -> bool:
    """Whether a value of a header is a finite number above 0; xsdata leaves text that it cannot convert as it is."""
    return isinstance(value, int | float) and 0 < value < math.inf
