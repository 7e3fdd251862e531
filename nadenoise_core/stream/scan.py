"""What the chain needs to know of a scan, read from its ISMRMRD header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ismrmrd

from nadenoise_core.errors import RawDataError
from nadenoise_core.sampling.trajectory import Encoding

# The counters of an acquisition (ISMRMRD `idx`) and the names of their limits in the header.
COUNTER_LIMITS = {
    "kspace_encode_step_1": "kspace_encoding_step_1",
    "kspace_encode_step_2": "kspace_encoding_step_2",
    "average": "average",
    "slice": "slice",
    "contrast": "contrast",
    "phase": "phase",
    "repetition": "repetition",
    "set": "set",
    "segment": "segment",
}


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
        limit = getattr(limits, COUNTER_LIMITS[counter], None) if limits is not None else None
        return None if limit is None else int(limit.maximum) + 1


def parse_header(xml: bytes | str) -> Any:
    """An ISMRMRD header from XML; FIRE ends it with a NUL.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    data = xml if isinstance(xml, bytes) else xml.encode("utf-8")
    try:
        return ismrmrd.xsd.CreateFromDocument(data.rstrip(b"\0 \n"))
    except Exception as error:  # xsdata raises types of its own, and of the XML parser beneath it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RawDataError(f"the ISMRMRD header cannot be read ({reason}); convert the raw data anew") from None


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
        if min(sizes) <= 0:
            raise RawDataError(f"the header's {name} has matrix or field of view 0; convert the raw data anew")
    recon, encoded = encoding.reconSpace, encoding.encodedSpace
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
