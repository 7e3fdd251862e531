"""What a header says of patient, study, scanner and sequence."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.header import Section
from nadenoise_core.sampling.spiral import PROTON_GAMMA, SODIUM_GAMMA

_log = logging.getLogger("nadenoise.header")
POSITIONS = frozenset(
    f"{lying}{side}" for lying in ("HF", "FF", "LF", "RF", "AF", "PF") for side in ("P", "S", "DR", "DL")
)
"""How a patient may lie (DICOM PS3.3 C.7.3.1.1.2)."""
_LEAST_TR = 1.0  # ms; what is below is in seconds
_LONGEST_TR = 10000.0  # ms; 150 times the T1 of sodium in water
_SAME_NUCLEUS = 0.05  # of the gyromagnetic ratio: fields are rounded to 3 T where they are 2.89


@dataclass(frozen=True)
class StudyHeader:
    """What the header says of patient, study, scanner and sequence, in DICOM's terms; empty or None: it does not say.

    Attributes:
        repetition_time, echo_time: ms, the first of several.
        flip_angle: degrees, the first of several.
        field_strength: T.
        imaging_frequency: of 23Na, MHz; converters put either nucleus' into `H1resonanceFrequency_Hz`. None, too, if
            that is neither's.
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


def read_patient_position(measurement: Section) -> str:
    """How the patient lies, as DICOM has it; empty where the header does not say."""
    position = measurement.text("patientPosition").upper()
    if position and position not in POSITIONS:
        _log.warning("the header's patientPosition %.20s is none of DICOM's and is left out", position)
        return ""
    return position


def read_sequence(section: Section) -> Sequence:
    """The timing in `sequenceParameters`."""
    times, echoes, angles = (
        tuple(value for value in section.numbers(name) if value > 0) for name in ("TR", "TE", "flipAngle_deg")
    )
    if times and max(times) < _LEAST_TR:
        _log.warning("the header's TR is below %g ms and is taken as seconds, and TE if it is shorter", _LEAST_TR)
        echoes = _milliseconds(echoes) if echoes and max(echoes) < max(times) else echoes
        times = _milliseconds(times)
    if times and max(times) > _LONGEST_TR:
        _log.warning("the header's TR is above %g ms, as if in us; saturation would be taken as none", _LONGEST_TR)
    if angles and max(angles) <= math.pi and not all(angle.is_integer() for angle in angles):
        _log.warning("the header's flipAngle_deg is not above pi, and no whole number: it is taken as radians")
        angles = tuple(float(f"{math.degrees(angle):.9g}") for angle in angles)
    return Sequence(times, echoes, angles)


def _milliseconds(seconds: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(f"{1000 * value:.9g}") for value in seconds)


def read_study(header: Section, sequence: Sequence) -> StudyHeader:
    """What a whole header says."""
    subject, study = header.section("subjectInformation"), header.section("studyInformation")
    measurement, system = header.section("measurementInformation"), header.section("acquisitionSystemInformation")
    return StudyHeader(
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
        field_strength=system.number("systemFieldStrength_T") or None,  # 0 is not known
        protocol_name=measurement.text("protocolName"),
        repetition_time=next(iter(sequence.repetition_times), None),
        echo_time=next(iter(sequence.echo_times), None),
        flip_angle=next(iter(sequence.flip_angles), None),
        imaging_frequency=_sodium_frequency(header),
        acquisition_date=measurement.text("seriesDate"),
        acquisition_time=measurement.text("seriesTime"),
    )


def doubt_of_nucleus(header: Section) -> str:
    """Why the scan may be of another nucleus than sodium, by frequency and field strength; empty: no reason."""
    found = _frequency_and_gamma(header)
    if found is None or abs(found[1] / SODIUM_GAMMA - 1) <= _SAME_NUCLEUS:
        return ""
    frequency, gamma = found
    given = f"the header's H1resonanceFrequency_Hz is {frequency:.6g} MHz, {gamma:.4g} MHz/T"
    if abs(gamma / PROTON_GAMMA - 1) <= _SAME_NUCLEUS:
        return f"{given}, that of protons: a scan of protons has no concentrations of sodium"
    return f"{given}, neither that of 23Na nor of protons: a scan of another nucleus has no concentrations of sodium"


def _sodium_frequency(header: Section) -> float | None:
    """The frequency of 23Na in MHz, of either nucleus' in Hz; None where it is of neither."""
    found = _frequency_and_gamma(header)
    if found is None:
        return None
    frequency, gamma = found
    near = [known for known in (PROTON_GAMMA, SODIUM_GAMMA) if abs(gamma / known - 1) <= _SAME_NUCLEUS]
    return frequency * SODIUM_GAMMA / near[0] if near else None


def _frequency_and_gamma(header: Section) -> tuple[float, float] | None:
    """The frequency, MHz, and what it makes of the field strength, MHz/T; None where the header does not say both."""
    field_strength = header.section("acquisitionSystemInformation").number("systemFieldStrength_T")
    frequency = header.section("experimentalConditions").number("H1resonanceFrequency_Hz")
    if not field_strength or not frequency or field_strength < 0:
        return None
    return 1e-6 * frequency, 1e-6 * frequency / field_strength
