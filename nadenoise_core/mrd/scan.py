"""What the header of a scan says, read once: all else reads these attributes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.header import Section, parse_header
from nadenoise_core.sampling.spiral import PROTON_GAMMA, SODIUM_GAMMA
from nadenoise_core.sampling.trajectory import Encoding

_log = logging.getLogger("nadenoise.scan")
_ASPECT_TOLERANCE = 0.05
_LEAST_FIELD_OF_VIEW = 1.0  # mm; what is smaller is in metres
_LARGEST_COUNTER = 65535  # 16 bits
_SPIRAL = "spiral"

VIRTUAL_SYSTEM = "virtual calf"
"""What the header of a simulated scan says of the scanner."""


@dataclass(frozen=True)
class HeaderWords:
    """What the header says of patient, study, scanner and sequence, in DICOM's terms; empty or None: it does not say.

    Attributes:
        repetition_time, echo_time: ms, the first of several.
        flip_angle: degrees, the first of several.
        field_strength: T.
        imaging_frequency: of 23Na, MHz; converters put either nucleus' into `H1resonanceFrequency_Hz`.
    """

    patient_name: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    patient_birth_date: str = field(default="", repr=False)
    patient_sex: str = ""
    patient_weight: float | None = None  # kg
    study_instance_uid: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = field(default="", repr=False)
    referring_physician: str = field(default="", repr=False)
    study_description: str = ""
    frame_of_reference_uid: str = ""
    body_part: str = "LEG"
    institution: str = ""
    station: str = ""
    manufacturer: str = ""
    model: str = ""
    device_id: str = ""
    field_strength: float | None = None
    protocol_name: str = ""
    repetition_time: float | None = None
    echo_time: float | None = None
    flip_angle: float | None = None
    imaging_frequency: float | None = None
    acquisition_date: str = ""
    acquisition_time: str = ""


@dataclass(frozen=True)
class Sequence:
    """Timing of the sequence; nothing but numbers above 0, and none where the header gives none.

    Attributes:
        repetition_times, echo_times: ms.
        flip_angles: degrees.
    """

    repetition_times: tuple[float, ...] = ()
    echo_times: tuple[float, ...] = ()
    flip_angles: tuple[float, ...] = ()

    def the_only(self, name: str, needed_by: str) -> float:
        """The one value of "TR" (ms), "TE" (ms) or "flipAngle_deg" (degrees).

        Args:
            needed_by: property of a chain, for the error.

        Raises:
            RawDataError: the header has none, or several.
        """
        values = {"TR": self.repetition_times, "TE": self.echo_times, "flipAngle_deg": self.flip_angles}[name]
        different = set(values)
        if len(different) != 1:
            raise RawDataError(
                f"the header's sequenceParameters have {len(different) or 'no'} {name} above 0, and {needed_by} needs "
                f"one; convert the raw data with it, or leave {needed_by} out of the chain"
            )
        return different.pop()


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
        words: of patient, study and scanner.
        patient_position: how the patient lies, such as "HFS"; empty where the header does not say.
        noise_bandwidth: of the receiver against its sampling bandwidth (relativeReceiverNoiseBandwidth).
        measurement_id: that of the header, which need not be unique.
        fingerprint: 16 digits that tell one header from another, before and after Gadgetron passed it on.
        budget: what the scan may need.
    """

    encoding: Encoding
    slice_thickness: float
    encoding_space: int
    says_spiral: bool
    limits: Mapping[str, range]
    sequence: Sequence
    words: HeaderWords
    patient_position: str
    noise_bandwidth: float
    measurement_id: str
    fingerprint: str
    budget: Budget = USUAL

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
        return self.words.model == VIRTUAL_SYSTEM


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
    sequence = _read_sequence(header.section("sequenceParameters"))
    words, measurement = _read_words(header, sequence), header.section("measurementInformation")
    identified = {"position": measurement.text("patientPosition"), "measurement": measurement.text("measurementID")}
    spans = {counter: (span.start, span.stop) for counter, span in limits.items()}
    parts = [asdict(encoding), slice_thickness, spans, asdict(sequence), asdict(words), identified]
    return Scan(
        encoding=encoding,
        slice_thickness=slice_thickness,
        encoding_space=number,
        says_spiral=imaged.text("trajectory") == _SPIRAL,
        limits=limits,
        sequence=sequence,
        words=words,
        patient_position=identified["position"],
        noise_bandwidth=_above_0(header.section("acquisitionSystemInformation"), "relativeReceiverNoiseBandwidth", 1.0),
        measurement_id=identified["measurement"],
        fingerprint=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16],
        budget=budget,
    )


def _choose_encoding(encodings: list[Section]) -> tuple[int, Section]:
    """The encoding that is imaged, and its number: the first spiral, else the first that may be one.

    Simulators and converters write 'other' for what they have no name for.
    """
    kinds = [encoding.text("trajectory") for encoding in encodings]
    if not kinds:
        raise RawDataError("the ISMRMRD header has no encoding; convert the raw data anew")
    for wanted in (_SPIRAL, "other"):
        if wanted in kinds:
            number = kinds.index(wanted)
            if number or kinds.count(wanted) > 1:
                _log.warning(
                    "the header has %d encodings; number %d (from 0) is used, '%s'", len(kinds), number, wanted
                )
            return number, encodings[number]
    said = ", ".join(f"'{kind}'" for kind in kinds)
    raise RawDataError(f"the header says trajectory {said}; nadenoise reconstructs 'spiral' scans")


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
    texts = [part.text(axis) for part in (matrix, size) for axis in "yx"]
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


def _read_sequence(section: Section) -> Sequence:
    times, echoes, angles = (
        tuple(value for value in section.numbers(name) if value > 0) for name in ("TR", "TE", "flipAngle_deg")
    )
    return Sequence(times, echoes, angles)


def _read_words(header: Section, sequence: Sequence) -> HeaderWords:
    subject, study = header.section("subjectInformation"), header.section("studyInformation")
    measurement, system = header.section("measurementInformation"), header.section("acquisitionSystemInformation")
    field_strength = system.number("systemFieldStrength_T")
    frequency = header.section("experimentalConditions").number("H1resonanceFrequency_Hz")
    return HeaderWords(
        patient_name=subject.text("patientName"),
        patient_id=subject.text("patientID"),
        patient_birth_date=subject.text("patientBirthdate"),
        patient_sex=subject.text("patientGender"),
        patient_weight=subject.number("patientWeight_kg"),
        study_instance_uid=study.text("studyInstanceUID"),
        study_id=study.text("studyID"),
        study_date=study.text("studyDate"),
        study_time=study.text("studyTime"),
        accession_number=study.text("accessionNumber"),
        referring_physician=study.text("referringPhysicianName"),
        study_description=study.text("studyDescription"),
        frame_of_reference_uid=measurement.text("frameOfReferenceUID"),
        body_part=study.text("bodyPartExamined") or "LEG",
        institution=system.text("institutionName"),
        station=system.text("stationName"),
        manufacturer=system.text("systemVendor"),
        model=system.text("systemModel"),
        device_id=system.text("deviceID"),
        field_strength=field_strength,
        protocol_name=measurement.text("protocolName"),
        repetition_time=next(iter(sequence.repetition_times), None),
        echo_time=next(iter(sequence.echo_times), None),
        flip_angle=next(iter(sequence.flip_angles), None),
        imaging_frequency=_sodium_frequency(frequency, field_strength),
        acquisition_date=measurement.text("seriesDate"),
        acquisition_time=measurement.text("seriesTime"),
    )


def _sodium_frequency(frequency: float | None, field_strength: float | None) -> float | None:
    """The frequency of 23Na in MHz, of either nucleus' in Hz."""
    if not frequency or not field_strength:
        return None
    nearest = min((PROTON_GAMMA, SODIUM_GAMMA), key=lambda gamma: abs(1e-6 * frequency / field_strength - gamma))
    return 1e-6 * frequency * SODIUM_GAMMA / nearest


def _above_0(section: Section, name: str, otherwise: float) -> float:
    value = section.number(name)
    return value if value is not None and value > 0 else otherwise
