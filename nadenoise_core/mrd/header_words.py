"""What a header says of patient, study, scanner and sequence."""

from __future__ import annotations

from dataclasses import dataclass, field

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.header import Section
from nadenoise_core.sampling.spiral import PROTON_GAMMA, SODIUM_GAMMA


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


def read_sequence(section: Section) -> Sequence:
    """The timing in `sequenceParameters`."""
    times, echoes, angles = (
        tuple(value for value in section.numbers(name) if value > 0) for name in ("TR", "TE", "flipAngle_deg")
    )
    return Sequence(times, echoes, angles)


def read_words(header: Section, sequence: Sequence) -> HeaderWords:
    """The words of a whole header."""
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
