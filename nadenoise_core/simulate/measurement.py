"""A virtual scan as an ISMRMRD measurement, as a scanner would write it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import ismrmrd
import numpy as np
from ismrmrd import xsd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.scan import VIRTUAL_SYSTEM
from nadenoise_core.phantom import (
    GEL_TIMES,
    ILLUSTRATIVE_TIMES,
    Calf,
    FieldMap,
    LoopOrder,
    Physics,
    Relaxation,
    VirtualAcquisition,
    VirtualScan,
    random_calf,
    true_muscle,
)
from nadenoise_core.recon.model import image_noise_std
from nadenoise_core.sampling import PAPER_SPIRAL, TRAJECTORY_UNITS, sample_weights
from nadenoise_core.sampling.spiral import SODIUM_GAMMA

# Noise of the real part of the image of one average, mmol/L. With it, muscle has the paper's estimated SNR (Table 2),
# 6.7 at 150 averages and 3.6 at 30: mean of the magnitude over the standard deviation of the background's.
PAPER_NOISE = 58.0

_FIELD_STRENGTH = 3.0  # T
_REPETITION_TIME = 100.0  # ms
_ECHO_TIME = 0.23  # ms
_FLIP_ANGLE = 90.0  # degrees
_SLICE_THICKNESS = 30.0  # mm
_NOISE_SAMPLES = 4096
_LARGEST_DELAY = 100.0  # us
# Effects that may be off; what is off is no part of a measurement's ID.
_EFFECTS = (
    "skin_thickness",
    "tube_wall",
    "tube_tilt",
    "trajectory_delay",
    "off_resonance",
    "frequency_offset",
    "relaxation",
    "tube_gel",
    "conjugate",
)


@dataclass(frozen=True)
class VirtualMeasurement:
    """What to simulate; the defaults are the paper's two-minute scan.

    Attributes:
        seed: makes the individual, and the noise.
        averages: repeats of all interleaves.
        noise: standard deviation of the real part of the image of one average, mmol/L.
        coils: receive channels; more than one come with a noise scan.
        half_pulses: whether an interleaf is the sum of two acquisitions.
        half_pulse_phase: bulk phase of the second half-pulse, degrees.
        order: where the loop of averages is.
        position: centre of the slice, LPS mm.
        angles: rotations of the slice about the patient's x, y, z axes, degrees; 0, 0, 0 is transverse.
        trajectory_unit: in which the trajectory is written.
        muscle, skin: concentrations, mmol/L; None draws them for the individual.
        skin_thickness: mm; None draws it for the individual.
        tube_diameter, tube_radius: of what fills the reference tubes, and of the circle they stand on, mm.
        tube_wall: of the reference tubes, mm; it gives no signal.
        tube_tilt: by which every tube leans against the normal of the slice, degrees.
        trajectory_delay: us by which the gradients lag further behind the samples than the written trajectory says:
            a sample written as k(t) was taken at k(t - delay).
        off_resonance: amplitude of a field map that varies along x, `amplitude * sin(2 pi x / 200 mm)`, Hz.
        frequency_offset: constant off-resonance, Hz.
        relaxation: whether tissues and tubes are saturated and decay, with `phantom.ILLUSTRATIVE_TIMES` and the
            header's TR, TE and flip angle.
        tube_gel: whether tubes hold gel, `phantom.GEL_TIMES`, and not water; it matters with relaxation.
        conjugate: whether samples are written as their complex conjugates, as some vendors do.

    Raises:
        BadInputError: the trajectory's unit is unknown, or an effect is out of range.
    """

    seed: int = 1
    averages: int = 30
    noise: float = PAPER_NOISE
    coils: int = 1
    half_pulses: bool = True
    half_pulse_phase: float = 0.0
    order: LoopOrder = LoopOrder.OUTERMOST
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)
    trajectory_unit: str = "cycles/pixel"
    muscle: float | None = None
    skin: float | None = None
    skin_thickness: float | None = None
    tube_diameter: float = 20.0
    tube_radius: float = 74.0
    tube_wall: float = 0.0
    tube_tilt: float = 0.0
    trajectory_delay: float = 0.0
    off_resonance: float = 0.0
    frequency_offset: float = 0.0
    relaxation: bool = False
    tube_gel: bool = False
    conjugate: bool = False

    def __post_init__(self) -> None:
        if self.trajectory_unit not in TRAJECTORY_UNITS:
            raise BadInputError(f"unknown trajectory unit '{self.trajectory_unit}'; use {', '.join(TRAJECTORY_UNITS)}")
        if not abs(self.trajectory_delay) <= _LARGEST_DELAY:
            raise BadInputError(f"trajectory_delay must be within {_LARGEST_DELAY:g} us, not {self.trajectory_delay}")
        self.field_map()

    def calf(self) -> Calf:
        """The individual."""
        return random_calf(
            self.seed,
            muscle=self.muscle,
            skin=self.skin,
            tube_diameter=self.tube_diameter,
            tube_radius=self.tube_radius,
            field_of_view=PAPER_SPIRAL.field_of_view,
            skin_thickness=self.skin_thickness,
            tube_wall=self.tube_wall,
            tube_tilt=self.tube_tilt,
        )

    def scan(self) -> VirtualScan:
        """The scan of the individual, on the paper's trajectory or, with a delay, where its samples really lie."""
        nominal = PAPER_SPIRAL.trajectory()
        weights = sample_weights(nominal * _pixel(), (PAPER_SPIRAL.matrix, PAPER_SPIRAL.matrix))
        gain = image_noise_std(np.ones(PAPER_SPIRAL.interleaves), weights)
        return VirtualScan(
            self.calf(),
            replace(PAPER_SPIRAL, delay=PAPER_SPIRAL.delay + self.trajectory_delay).trajectory(),
            _pixel(),
            averages=self.averages,
            half_pulses=self.half_pulses,
            half_pulse_phase=self.half_pulse_phase,
            noise_std=self.noise / gain,
            coils=self.coils,
            seed=self.seed,
            physics=self.physics(),
        )

    def field_map(self) -> FieldMap:
        """Off-resonance of the scan."""
        return FieldMap(self.frequency_offset, self.off_resonance)

    def physics(self) -> Physics | None:
        """Off-resonance and relaxation; None where there is neither."""
        if not (self.off_resonance or self.frequency_offset or self.relaxation):
            return None
        times = {**ILLUSTRATIVE_TIMES, "tube": GEL_TIMES} if self.tube_gel else ILLUSTRATIVE_TIMES
        relaxation = Relaxation(_REPETITION_TIME, _FLIP_ANGLE, _ECHO_TIME, times) if self.relaxation else None
        return Physics(PAPER_SPIRAL.dwell_time, self.field_map(), relaxation)

    def header_xml(self) -> str:
        """The ISMRMRD header."""
        return serialise_header(self._header())

    def acquisitions(self) -> Iterator[ismrmrd.Acquisition]:
        """The acquisitions as they come from the scanner."""
        scan = self.scan()
        trajectory = (PAPER_SPIRAL.trajectory() * self._per_cycle_per_mm()).astype(np.float32)
        counter = 0
        if self.coils > 1:
            yield self._noise_scan(scan)
            counter = 1
        for readout in scan.acquisitions(self.order):
            yield self._acquisition(readout, trajectory[readout.interleaf], counter)
            counter += 1

    def acquisition_count(self) -> int:
        """How many acquisitions there will be."""
        return self.averages * PAPER_SPIRAL.interleaves * (2 if self.half_pulses else 1) + (self.coils > 1)

    def truth(self) -> dict[str, Any]:
        """What is to be found in the scan, as plain data."""
        calf, physics = self.calf(), self.physics()
        return {
            "muscle": true_muscle(calf, PAPER_SPIRAL.matrix, PAPER_SPIRAL.field_of_view, margin=_pixel()),
            "tubes": [{"concentration": tube.concentration, "centre": tube.centre} for tube in calf.tubes],
            "field_map": self.field_map().to_dict(),
            "relaxation": physics.relaxation.to_dict() if physics and physics.relaxation else None,
            "measurement": asdict(self),
            "calf": calf.to_dict(),
        }

    def _per_cycle_per_mm(self) -> float:
        """What one cycle/mm is in the unit of the trajectory."""
        return {
            "cycles/pixel": _pixel(),
            "radians/pixel": 2 * np.pi * _pixel(),
            "cycles/FOV": PAPER_SPIRAL.field_of_view,
            "1/m": 1000.0,
        }[self.trajectory_unit]

    def _directions(self) -> NDArray[np.float64]:
        """Rows: read, phase and slice direction."""
        return np.asarray(Rotation.from_euler("xyz", self.angles, degrees=True).as_matrix().T)

    def _acquisition(
        self, readout: VirtualAcquisition, trajectory: NDArray[np.float32], counter: int
    ) -> ismrmrd.Acquisition:
        acquisition = ismrmrd.Acquisition.from_array(self._written(readout.samples), trajectory)
        acquisition.idx.kspace_encode_step_1 = readout.interleaf
        acquisition.idx.average = readout.average
        acquisition.idx.set = readout.half
        acquisition.center_sample = 0
        self._place(acquisition, counter)
        return acquisition

    def _noise_scan(self, scan: VirtualScan) -> ismrmrd.Acquisition:
        acquisition = ismrmrd.Acquisition.from_array(self._written(scan.noise_scan(_NOISE_SAMPLES)))
        acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        self._place(acquisition, 0)
        return acquisition

    def _written(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        return samples.conj() if self.conjugate else samples

    def _place(self, acquisition: ismrmrd.Acquisition, counter: int) -> None:
        acquisition.scan_counter = counter
        acquisition.measurement_uid = self.seed % 2**32
        acquisition.sample_time_us = PAPER_SPIRAL.dwell_time
        acquisition.acquisition_time_stamp = int(counter * _REPETITION_TIME / 2.5)  # ticks of 2.5 ms
        acquisition.position[:] = self.position
        read, phase, normal = self._directions()
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = read, phase, normal

    def _header(self) -> Any:
        present = {name: value for name, value in asdict(self).items() if value or name not in _EFFECTS}
        described = json.dumps(present, sort_keys=True)
        space = xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=PAPER_SPIRAL.matrix, y=PAPER_SPIRAL.matrix, z=1),
            fieldOfView_mm=xsd.fieldOfViewMm(
                x=PAPER_SPIRAL.field_of_view, y=PAPER_SPIRAL.field_of_view, z=_SLICE_THICKNESS
            ),
        )
        limits = xsd.encodingLimitsType(
            kspace_encoding_step_1=_limit(PAPER_SPIRAL.interleaves),
            average=_limit(self.averages),
            set=_limit(2 if self.half_pulses else 1),
        )
        return xsd.ismrmrdHeader(
            subjectInformation=xsd.subjectInformationType(patientName="Virtual^Calf", patientID=f"calf-{self.seed}"),
            measurementInformation=xsd.measurementInformationType(
                measurementID=f"calf-{self.seed}-{hashlib.sha256(described.encode()).hexdigest()[:12]}",
                patientPosition=xsd.patientPositionType.HFS,
                protocolName="23Na spiral",
            ),
            acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
                systemVendor="nadenoise",
                systemModel=VIRTUAL_SYSTEM,
                systemFieldStrength_T=_FIELD_STRENGTH,
                receiverChannels=self.coils,
                relativeReceiverNoiseBandwidth=1.0,
            ),
            experimentalConditions=xsd.experimentalConditionsType(
                H1resonanceFrequency_Hz=round(SODIUM_GAMMA * _FIELD_STRENGTH * 1e6)
            ),
            encoding=[
                xsd.encodingType(
                    encodedSpace=space, reconSpace=space, encodingLimits=limits, trajectory=xsd.trajectoryType.SPIRAL
                )
            ],
            sequenceParameters=xsd.sequenceParametersType(
                TR=[_REPETITION_TIME], TE=[_ECHO_TIME], flipAngle_deg=[_FLIP_ANGLE]
            ),
        )


def _pixel() -> float:
    return PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix


def _limit(count: int) -> Any:
    return xsd.limitType(minimum=0, maximum=count - 1, center=0)
