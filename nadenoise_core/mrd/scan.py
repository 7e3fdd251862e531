"""What the header of a scan says, read once: all else reads these attributes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.header import Section, parse_header
from nadenoise_core.mrd.study_header import (
    Sequence,
    StudyHeader,
    doubt_of_nucleus,
    read_patient_position,
    read_sequence,
    read_study,
)
from nadenoise_core.sampling.trajectory import Encoding

if TYPE_CHECKING:
    from nadenoise_core.mrd.deidentification import Deidentification

_log = logging.getLogger("nadenoise.scan")
_ASPECT_TOLERANCE = 0.05
_LEAST_FIELD_OF_VIEW = 1.0  # mm; what is smaller is in metres
_LARGEST_COUNTER = 65535  # 16 bits
_SPIRAL = "spiral"
_NO_SPIRALS = ("cartesian", "epi", "radial", "goldenangle")

VIRTUAL_SYSTEM = "virtual calf"
"""What the header of a simulated scan says of the scanner."""


@dataclass(frozen=True)
class Scan:
    """A measurement by its header, checked.

    Attributes:
        encoding: matrix and field of view.
        slice_thickness: mm.
        encoding_space: number of the encoding that is imaged; acquisitions of others are no image data.
        says_spiral: whether the header says so; else the trajectory itself must be one.
        limits: the values of a counter (`idx` field) that the header announces; without those of which it says nothing.
        sequence: timing.
        study: patient, study, scanner and sequence, in DICOM's terms.
        patient_position: how the patient lies, such as "HFS"; empty where the header does not say.
        noise_bandwidth: of the receiver against its sampling bandwidth (relativeReceiverNoiseBandwidth).
        measurement_id: that of the header, which need not be unique.
        fingerprint: 16 digits that tell one header from another, before and after Gadgetron passed it on.
        nucleus_doubt: why the scan may be of another nucleus than sodium; empty: no reason.
        budget: what the scan may need.
        deidentification: how the header was de-identified, and objects are to be; None: they are not.
    """

    encoding: Encoding
    slice_thickness: float
    encoding_space: int
    says_spiral: bool
    limits: Mapping[str, range]
    sequence: Sequence
    study: StudyHeader
    patient_position: str
    noise_bandwidth: float
    measurement_id: str
    fingerprint: str
    nucleus_doubt: str = ""
    budget: Budget = USUAL
    deidentification: Deidentification | None = None

    def count(self, counter: str) -> int | None:
        """How many values of a counter the header announces; None if it does not say."""
        announced = self.limits.get(counter)
        return None if announced is None else len(announced)

    @property
    def repetition_time(self) -> float | None:
        """Seconds from one readout to the next; None if the header does not say."""
        times = self.sequence.repetition_times
        return 1e-3 * times[0] if times else None

    @property
    def is_virtual(self) -> bool:
        """Whether the scan is simulated."""
        return self.study.model == VIRTUAL_SYSTEM


def read_scan(header_xml: bytes | str, budget: Budget = USUAL) -> Scan:
    """Read an ISMRMRD header, and check what the chain needs of it.

    Raises:
        RawDataError: no header, no encoding, a trajectory that is said to be no spiral, a matrix or field of view that
            is not above 0, or a matrix beyond the budget.
    """
    header = parse_header(header_xml)
    number, imaged = _choose_encoding(header.sections("encoding"))
    encoding, slice_thickness = _read_encoding(imaged)
    budget.check_matrix(encoding)
    limits = _read_limits(imaged.section("encodingLimits"))
    sequence = read_sequence(header.section("sequenceParameters"))
    study, measurement = read_study(header, sequence), header.section("measurementInformation")
    identified = {"position": read_patient_position(measurement), "measurement": measurement.text("measurementID")}
    spans = {counter: (span.start, span.stop) for counter, span in limits.items()}
    doubt = doubt_of_nucleus(header)
    if doubt:
        _log.warning("%s", doubt)
    parts = [asdict(encoding), slice_thickness, spans, asdict(sequence), asdict(study), identified]
    return Scan(
        encoding=encoding,
        slice_thickness=slice_thickness,
        encoding_space=number,
        says_spiral=imaged.text("trajectory").lower() == _SPIRAL,
        limits=limits,
        sequence=sequence,
        study=study,
        patient_position=identified["position"],
        noise_bandwidth=_above_0(header.section("acquisitionSystemInformation"), "relativeReceiverNoiseBandwidth", 1.0),
        measurement_id=identified["measurement"],
        fingerprint=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16],
        nucleus_doubt=doubt,
        budget=budget,
    )


def _choose_encoding(encodings: list[Section]) -> tuple[int, Section]:
    """The encoding that is imaged, and its number: the first spiral, else the first that may be one.

    Simulators and converters write 'other', nothing, or a word of their own for what they have no name for.
    """
    kinds = [encoding.text("trajectory").lower() for encoding in encodings]
    if not kinds:
        raise RawDataError("the ISMRMRD header has no encoding; convert the raw data anew")
    likely = [kind for kind in kinds if kind == _SPIRAL] or [kind for kind in kinds if kind not in _NO_SPIRALS]
    if not likely:
        named = ", ".join(f"'{kind}'" for kind in kinds[:4])
        raise RawDataError(f"the header says trajectory {named}; nadenoise reconstructs 'spiral' scans")
    number = kinds.index(likely[0])
    if number or len(likely) > 1:
        _log.warning(
            "the header has %d encodings; number %d (from 0) is used, '%.40s'", len(kinds), number, kinds[number]
        )
    return number, encodings[number]


def _read_encoding(section: Section) -> tuple[Encoding, float]:
    """Matrix and field of view, and the slice thickness in mm."""
    recon = _read_space(section, "reconSpace")
    try:
        encoded = _read_space(section, "encodedSpace")
    except RawDataError:
        encoded = None
    if recon is None or encoded is None:
        known = recon or encoded
        if known is None:
            raise RawDataError(
                "the header has no matrixSize or fieldOfView_mm in reconSpace; convert the raw data anew"
            )
        _log.warning("the header's %s cannot be used; the other is", "encodedSpace" if recon else "reconSpace")
        recon = encoded = known
    if abs(_aspect(*encoded) / _aspect(*recon) - 1) > _ASPECT_TOLERANCE:
        # Some converters put the number of interleaves there; a spiral reaches equally far along both axes.
        _log.warning("the header's encodedSpace has pixels of another shape than reconSpace's; reconSpace is used")
        encoded = recon
    return Encoding(*recon, *encoded), _read_thickness(section)


def _read_thickness(section: Section) -> float:
    """The slice thickness, mm."""
    sizes = [section.section(name).section("fieldOfView_mm") for name in ("reconSpace", "encodedSpace")]
    for size in sizes:
        thickness = size.number("z")
        if thickness is not None and thickness > 0:
            return thickness * _millimetres(size)
    raise RawDataError(
        f"the header's reconSpace has fieldOfView_mm z, the slice thickness, '{sizes[0].text('z')}'; it must be above "
        "0: convert the raw data anew"
    )


def _read_space(section: Section, name: str) -> tuple[tuple[int, int], tuple[float, float]] | None:
    """Matrix and field of view (mm) of an encoding space, (rows, columns) = (y, x); None if it is not there."""
    space = section.section(name)
    matrix, size = space.section("matrixSize"), space.section("fieldOfView_mm")
    texts = [part.text(axis)[:20] for part in (matrix, size) for axis in "yx"]
    if not all(texts):
        return None
    rows, columns, height, width = (part.number(axis) or 0.0 for part in (matrix, size) for axis in "yx")
    if not (rows.is_integer() and columns.is_integer() and min(rows, columns, height, width) > 0):
        raise RawDataError(
            f"the header's {name} has matrix {texts[1]}x{texts[0]} and field of view {texts[3]}x{texts[2]} mm; both "
            "must be above 0: convert the raw data anew"
        )
    unit = _millimetres(size)
    return (int(rows), int(columns)), (height * unit, width * unit)


def _millimetres(size: Section) -> float:
    """What the unit of a field of view is in mm: some converters write metres."""
    if max(size.number(axis) or 0.0 for axis in "xy") >= _LEAST_FIELD_OF_VIEW:
        return 1.0
    _log.warning("the header's fieldOfView_mm is below %g mm and is taken as metres", _LEAST_FIELD_OF_VIEW)
    return 1000.0


def _aspect(matrix: tuple[int, int], field_of_view: tuple[float, float]) -> float:
    """Height of a pixel over its width."""
    return (field_of_view[0] / matrix[0]) / (field_of_view[1] / matrix[1])


def _read_limits(limits: Section) -> dict[str, range]:
    found = {}
    for counter in Counter:
        limit = limits.section(counter.limit)
        minimum, maximum = limit.number("minimum") or 0.0, limit.number("maximum")
        if maximum is not None and 0 <= minimum <= maximum <= _LARGEST_COUNTER:
            found[counter.value] = range(int(minimum), int(maximum) + 1)
    return found


def _above_0(section: Section, name: str, otherwise: float) -> float:
    value = section.number(name)
    return value if value is not None and value > 0 else otherwise
