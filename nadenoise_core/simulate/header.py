"""The ISMRMRD header of a virtual scan, as a scanner would write it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ismrmrd import xsd

from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.scan import VIRTUAL_SYSTEM
from nadenoise_core.sampling import PAPER_SPIRAL
from nadenoise_core.sampling.spiral import SODIUM_GAMMA

if TYPE_CHECKING:
    from nadenoise_core.simulate.measurement import VirtualMeasurement

REPETITION_TIME = 100.0  # ms
ECHO_TIME = 0.23  # ms
FLIP_ANGLE = 90.0  # degrees
SLICE_THICKNESS = 30.0  # mm

_FIELD_STRENGTH = 3.0  # T
# Effects and loops that may be off; what is off is no part of a measurement's ID.
_MAY_BE_OFF = (
    "skin_thickness",
    "tube_wall",
    "tube_tilt",
    "trajectory_delay",
    "off_resonance",
    "frequency_offset",
    "relaxation",
    "tube_gel",
    "conjugate",
    "slices",
    "slice_distance",
    "stacks",
    "stack_angle",
    "repetitions",
    "echo_times",
)


def header_of(measurement: VirtualMeasurement) -> str:
    """The header as XML."""
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=PAPER_SPIRAL.matrix, y=PAPER_SPIRAL.matrix, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=PAPER_SPIRAL.field_of_view, y=PAPER_SPIRAL.field_of_view, z=SLICE_THICKNESS),
    )
    encoding = xsd.encodingType(
        encodedSpace=space, reconSpace=space, encodingLimits=_limits(measurement), trajectory=xsd.trajectoryType.SPIRAL
    )
    header = xsd.ismrmrdHeader(
        subjectInformation=xsd.subjectInformationType(patientName="Virtual^Calf", patientID=f"calf-{measurement.seed}"),
        measurementInformation=xsd.measurementInformationType(
            measurementID=_identity(measurement),
            patientPosition=xsd.patientPositionType.HFS,
            protocolName="23Na spiral",
        ),
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
            systemVendor="nadenoise",
            systemModel=VIRTUAL_SYSTEM,
            systemFieldStrength_T=_FIELD_STRENGTH,
            receiverChannels=measurement.coils,
            relativeReceiverNoiseBandwidth=1.0,
        ),
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=round(SODIUM_GAMMA * _FIELD_STRENGTH * 1e6)
        ),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(
            TR=[REPETITION_TIME], TE=list(measurement.echo_times), flipAngle_deg=[FLIP_ANGLE]
        ),
    )
    return serialise_header(header)


def _limits(measurement: VirtualMeasurement) -> Any:
    loops = {
        "slice": measurement.slices * measurement.stacks,
        "contrast": len(measurement.echo_times),
        "repetition": measurement.repetitions,
    }
    return xsd.encodingLimitsType(
        kspace_encoding_step_1=_limit(PAPER_SPIRAL.interleaves),
        average=_limit(measurement.averages),
        set=_limit(2 if measurement.half_pulses else 1),
        **{name: _limit(count) for name, count in loops.items() if count > 1},
    )


def _limit(count: int) -> Any:
    return xsd.limitType(minimum=0, maximum=count - 1, center=0)


def _identity(measurement: VirtualMeasurement) -> str:
    """The same for equal measurements alone."""
    usual = {field.name: field.default for field in fields(measurement)}
    decisive = {
        name: value for name, value in asdict(measurement).items() if name not in _MAY_BE_OFF or value != usual[name]
    }
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    return f"calf-{measurement.seed}-{digest[:12]}"
