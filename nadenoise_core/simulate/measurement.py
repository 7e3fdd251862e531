"""A virtual scan as an ISMRMRD measurement, as a scanner would write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError
from nadenoise_core.paper import NOISE
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
from nadenoise_core.simulate.header import ECHO_TIME, FLIP_ANGLE, REPETITION_TIME, SLICE_THICKNESS, header_of

_NOISE_SAMPLES = 4096
_LARGEST_DELAY = 100.0  # us


@dataclass(frozen=True, eq=False)
class SlicePlace:
    """Where a slice lies.

    Attributes:
        position: of its centre, LPS mm.
        directions: (3, 3) rows: read, phase and slice direction, LPS.
        depth: from the middle of its stack, along the slice direction, mm.
    """

    position: tuple[float, ...]
    directions: NDArray[np.float64]
    depth: float


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
        slices: of a stack. The leg is the same in all of them; tubes that lean move on.
        slice_distance: from one slice's centre to the next's, mm.
        stacks: groups of slices, all around `position`; the leg is drawn in each as in the first.
        stack_angle: by which a stack is turned about the read direction against the one before, degrees.
        repetitions: of all that, one after another.
        echo_times: of each readout of an excitation, ms; the signal is less in later ones with relaxation. The phase of
            off-resonance begins anew with every readout.

    Raises:
        BadInputError: the trajectory's unit is unknown, or a number is out of range.
    """

    seed: int = 1
    averages: int = 30
    noise: float = NOISE
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
    slices: int = 1
    slice_distance: float = SLICE_THICKNESS
    stacks: int = 1
    stack_angle: float = 20.0
    repetitions: int = 1
    echo_times: tuple[float, ...] = (ECHO_TIME,)

    def __post_init__(self) -> None:
        for name in ("averages", "slices", "stacks", "repetitions"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= 1):
                raise BadInputError(f"{name} must be a whole number of 1 or more, not {getattr(self, name)}")
        if not self.echo_times or not all(a < b for a, b in pairwise((0.0, *self.echo_times))):
            raise BadInputError(f"echo_times must be positive numbers of ms that rise, not {self.echo_times}")
        if self.trajectory_unit not in TRAJECTORY_UNITS:
            raise BadInputError(f"unknown trajectory unit '{self.trajectory_unit}'; use {', '.join(TRAJECTORY_UNITS)}")
        if not abs(self.trajectory_delay) <= _LARGEST_DELAY:
            raise BadInputError(f"trajectory_delay must be within {_LARGEST_DELAY:g} us, not {self.trajectory_delay}")
        self.field_map()

    def calf(self, depth: float = 0.0) -> Calf:
        """The individual, cut at a depth (mm along the normal of the slice) where tubes that lean have moved on."""
        calf = random_calf(
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
        return calf.at(depth) if depth else calf

    def places(self) -> list[SlicePlace]:
        """Where the slices lie, in the order of their numbers: stack after stack."""
        return [place for stack in range(self.stacks) for place in self._stack(stack)]

    def scan(self, number: int = 0, echo: int = 0) -> VirtualScan:
        """The scan of a slice and an echo, on the paper's trajectory or, with a delay, where its samples really lie.

        Its averages are those of all repetitions.
        """
        nominal = PAPER_SPIRAL.trajectory()
        weights = sample_weights(nominal * _pixel(), (PAPER_SPIRAL.matrix, PAPER_SPIRAL.matrix))
        gain = image_noise_std(np.ones(PAPER_SPIRAL.interleaves), weights)
        return VirtualScan(
            self.calf(self.places()[number].depth),
            replace(PAPER_SPIRAL, delay=PAPER_SPIRAL.delay + self.trajectory_delay).trajectory(),
            _pixel(),
            averages=self.averages * self.repetitions,
            half_pulses=self.half_pulses,
            half_pulse_phase=self.half_pulse_phase,
            noise_std=self.noise / gain,
            coils=self.coils,
            seed=self.seed,
            physics=self.physics(echo),
            noise_stream=number * len(self.echo_times) + echo,
        )

    def field_map(self) -> FieldMap:
        """Off-resonance of the scan."""
        return FieldMap(self.frequency_offset, self.off_resonance)

    def physics(self, echo: int = 0) -> Physics | None:
        """Off-resonance and relaxation of an echo; None where there is neither."""
        if not (self.off_resonance or self.frequency_offset or self.relaxation):
            return None
        times = {**ILLUSTRATIVE_TIMES, "tube": GEL_TIMES} if self.tube_gel else ILLUSTRATIVE_TIMES
        relaxation = Relaxation(REPETITION_TIME, FLIP_ANGLE, self.echo_times[echo], times) if self.relaxation else None
        return Physics(PAPER_SPIRAL.dwell_time, self.field_map(), relaxation)

    def header_xml(self) -> str:
        """The ISMRMRD header."""
        return header_of(self)

    def acquisitions(self) -> Iterator[ismrmrd.Acquisition]:
        """The acquisitions as they come from the scanner: one excitation of every slice, all its echoes, and on."""
        places = self.places()
        images = [(number, echo) for number in range(len(places)) for echo in range(len(self.echo_times))]
        scans = [self.scan(*image) for image in images]
        trajectory = (PAPER_SPIRAL.trajectory() * self._per_cycle_per_mm()).astype(np.float32)
        counter = 0
        if self.coils > 1:
            yield self._noise_scan(scans[0])
            counter = 1
        for repetition in range(self.repetitions):
            averages = range(repetition * self.averages, (repetition + 1) * self.averages)
            for readouts in zip(*(scan.acquisitions(self.order, averages) for scan in scans), strict=True):
                for readout, (number, echo) in zip(readouts, images, strict=True):
                    acquisition = self._acquisition(readout, trajectory[readout.interleaf])
                    acquisition.idx.slice, acquisition.idx.contrast = number, echo
                    acquisition.idx.repetition = repetition
                    self._place(acquisition, counter, places[number])
                    counter += 1
                    yield acquisition

    def acquisition_count(self) -> int:
        """How many acquisitions there will be."""
        images = self.slices * self.stacks * len(self.echo_times) * self.repetitions
        readouts = self.averages * PAPER_SPIRAL.interleaves * (2 if self.half_pulses else 1)
        return images * readouts + (self.coils > 1)

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
            "slices": [
                {
                    "position": place.position,
                    "tubes": [
                        {"concentration": t.concentration, "centre": t.centre} for t in calf.at(place.depth).tubes
                    ],
                }
                for place in self.places()
            ],
        }

    def _per_cycle_per_mm(self) -> float:
        """What one cycle/mm is in the unit of the trajectory."""
        return {
            "cycles/pixel": _pixel(),
            "radians/pixel": 2 * np.pi * _pixel(),
            "cycles/FOV": PAPER_SPIRAL.field_of_view,
            "1/m": 1000.0,
        }[self.trajectory_unit]

    def _stack(self, number: int) -> list[SlicePlace]:
        turned = Rotation.from_euler("xyz", self.angles, degrees=True) * Rotation.from_euler(
            "x", number * self.stack_angle, degrees=True
        )
        directions = np.asarray(turned.as_matrix().T)
        depths = (np.arange(self.slices) - (self.slices - 1) / 2) * self.slice_distance
        return [
            SlicePlace(tuple((np.asarray(self.position) + depth * directions[2]).tolist()), directions, float(depth))
            for depth in depths
        ]

    def _acquisition(self, readout: VirtualAcquisition, trajectory: NDArray[np.float32]) -> ismrmrd.Acquisition:
        acquisition = ismrmrd.Acquisition.from_array(self._written(readout.samples), trajectory)
        acquisition.idx.kspace_encode_step_1 = readout.interleaf
        acquisition.idx.average = readout.average % self.averages
        acquisition.idx.set = readout.half
        acquisition.center_sample = 0
        return acquisition

    def _noise_scan(self, scan: VirtualScan) -> ismrmrd.Acquisition:
        acquisition = ismrmrd.Acquisition.from_array(self._written(scan.noise_scan(_NOISE_SAMPLES)))
        acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        self._place(acquisition, 0, self.places()[0])
        return acquisition

    def _written(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        return samples.conj() if self.conjugate else samples

    def _place(self, acquisition: ismrmrd.Acquisition, counter: int, place: SlicePlace) -> None:
        acquisition.scan_counter = counter
        acquisition.measurement_uid = self.seed % 2**32
        acquisition.sample_time_us = PAPER_SPIRAL.dwell_time
        excitation = counter // len(self.echo_times)
        acquisition.acquisition_time_stamp = int(excitation * REPETITION_TIME / 2.5)  # ticks of 2.5 ms
        acquisition.position[:] = place.position
        read, phase, normal = place.directions
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = read, phase, normal


def _pixel() -> float:
    return PAPER_SPIRAL.field_of_view / PAPER_SPIRAL.matrix
