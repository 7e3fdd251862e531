"""How acquisitions are to be read and averaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from nadenoise_core.errors import ConfigError
from nadenoise_core.mrd.acquisitions import IMAGE_COUNTERS
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.sampling.spiral import PAPER_SPIRAL
from nadenoise_core.sampling.trajectory import TrajectoryUnit

ARRIVAL: Final = "arrival"
NONE: Final = "none"
TRAJECTORY: Final = "trajectory"
TrajectorySource = Literal["acquisition", "spiral", "file"]
InterleafCounter = Counter | Literal["trajectory"]
AverageCounter = Counter | Literal["arrival"]
HalfPulseCounter = Counter | Literal["none"]


@dataclass(frozen=True)
class AveragingSettings:
    """How acquisitions become averaged k-space: the properties of a chain's `accumulate`, under their names.

    Attributes:
        emit_at: rising numbers of averages to make an image of; empty: all averages only.
        jackknife_groups: sets of averages that are left out in turn; 0: none.
        interleaf_counter: counter (`idx` field) of the interleaf, or "trajectory": equal ones are of one interleaf.
        average_counter: counter of the average, or "arrival": averages are counted by their order.
        half_pulse_counter: counter of the half-pulse, or "none".
        interleaves: how many there are; 0: as the header says, or the arms themselves.
        correct_half_pulse_phase: turn the second half-pulse back by its bulk phase before the sum.
        correct_average_phase: turn every average back to the phase of the first.
        conjugate_kspace: take the complex conjugate of the samples.
        trajectory: sample positions from the acquisitions, of a designed spiral, or from a file.
        trajectory_file: path of that file, see `read_trajectory`.
        trajectory_unit: of the acquisitions' trajectory or the file's; "auto" finds out.
        max_gradient, rise_time, oversampling, gradient_delay: of a designed spiral, see `SpiralDesign`.
        trajectory_delay: us by which the gradients lag behind the samples; not for a designed spiral.
        girf: path of the gradient impulse response function; empty: none.
    """

    emit_at: tuple[int, ...] = ()
    jackknife_groups: int = 0
    interleaf_counter: InterleafCounter = Counter.KSPACE_ENCODE_STEP_1
    average_counter: AverageCounter = Counter.AVERAGE
    half_pulse_counter: HalfPulseCounter = Counter.SET
    interleaves: int = 0
    correct_half_pulse_phase: bool = False
    correct_average_phase: bool = False
    conjugate_kspace: bool = False
    trajectory: TrajectorySource = "acquisition"
    trajectory_file: str = ""
    trajectory_unit: TrajectoryUnit | Literal["auto"] = "auto"
    max_gradient: float = PAPER_SPIRAL.max_gradient
    rise_time: float = PAPER_SPIRAL.rise_time
    oversampling: float = PAPER_SPIRAL.oversampling
    gradient_delay: float = PAPER_SPIRAL.delay
    trajectory_delay: float = 0.0
    girf: str = ""

    @property
    def used_counters(self) -> tuple[InterleafCounter | AverageCounter | HalfPulseCounter, ...]:
        """The counters that count within an image."""
        return self.interleaf_counter, self.average_counter, self.half_pulse_counter

    @property
    def image_counters(self) -> tuple[Counter, ...]:
        """The counters that tell one image from another."""
        return tuple(counter for counter in IMAGE_COUNTERS if counter not in self.used_counters)


def averaging_settings(assignments: Iterable[str]) -> AveragingSettings:
    """Settings of texts such as "average_counter=repetition".

    Raises:
        ConfigError: an unknown name, or a value of the wrong type.
    """
    given = dict(assignment.partition("=")[::2] for assignment in assignments)
    known = [field.name for field in fields(AveragingSettings)]
    for name in given:
        if name not in known:
            raise ConfigError(f"'accumulate' has no property '{name}'; it has {', '.join(known)}")
    try:
        return TypeAdapter(AveragingSettings).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        wrong = str(first["loc"][0])
        raise ConfigError(f"accumulate, {wrong} is '{given[wrong]}': {first['msg'].lower()}") from None
