"""Average repeated spiral interleaves in k-space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH, Unit
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.sampling.spiral import PAPER_SPIRAL
from nadenoise_core.sampling.trajectory import TrajectoryUnit

if TYPE_CHECKING:
    from nadenoise_core.mrd.scan import Scan

Average = Annotated[int, Field(ge=1, le=65535)]
_LEAST_DELAY = 0.001  # us; what is below is in seconds


class Accumulate(Gadget):
    """Average repeated spiral interleaves in k-space.

    Half-pulses are summed, averages averaged, in any order of arrival; the repeats tell the noise level. Each slice,
    contrast and repetition is averaged on its own.
    """

    class Parameters(GadgetParameters):
        emit_at: Annotated[tuple[Average, ...], CONSOLE] = Field(
            (),
            max_length=256,
            description="numbers of averages to emit an image at, e.g. 5, 10, 30; empty: all averages only",
        )
        jackknife_groups: int = Field(
            0,
            ge=0,
            le=50,
            description="number of sets of averages that are left out in turn (jackknife): the replicas of each image "
            "give 'quantify' the standard errors of its tubes and means over regions, the network's part included. "
            "10 is a good choice; 0: none",
        )
        interleaf_counter: Counter | Literal["trajectory"] = Field(
            Counter.KSPACE_ENCODE_STEP_1,
            description="acquisition counter of the interleaf; trajectory: none, readouts of equal trajectory are one",
        )
        average_counter: Counter | Literal["arrival"] = Field(
            Counter.AVERAGE, description="acquisition counter of the average; arrival: counted by the order of arrival"
        )
        half_pulse_counter: Counter | Literal["none"] = Field(
            Counter.SET, description="acquisition counter of the half-pulse; none: the scan has no half-pulses"
        )
        interleaves: int = Field(
            0, ge=0, le=65536, description="number of interleaves; 0: as the header or the arms themselves say"
        )
        correct_half_pulse_phase: Annotated[bool, CONSOLE] = Field(
            False, description="turn the second half-pulse back by its bulk phase before the sum"
        )
        correct_average_phase: bool = Field(
            False, description="turn every average back to the phase of the first, where the frequency drifts"
        )
        conjugate_kspace: Annotated[bool, CONSOLE] = Field(
            False,
            description="take the complex conjugate of the samples, where vendor and converter count phase the other "
            "way round; the sign that it is needed is an image turned by 180 degrees",
        )
        trajectory: Literal["acquisition", "spiral", "file"] = Field(
            "acquisition",
            description="sample positions: from the acquisitions, a designed uniform spiral, or trajectory_file",
        )
        trajectory_file: Annotated[str, PATH] = Field(
            "",
            description="trajectory that was measured or designed elsewhere: NumPy (.npy, .npz), HDF5 (.h5, a dataset "
            "trajectory) of shape interleaves x samples x 2, or Pulseq (.seq)",
        )
        trajectory_unit: TrajectoryUnit | Literal["auto"] = Field(
            "auto", description="unit of the trajectory of acquisitions or file"
        )
        max_gradient: Annotated[float, Unit("mT/m")] = Field(
            PAPER_SPIRAL.max_gradient, ge=0.1, le=500, description="designed spiral: gradient limit"
        )
        rise_time: Annotated[float, Unit("us per mT/m")] = Field(
            PAPER_SPIRAL.rise_time, ge=0.1, le=1000, description="designed spiral: inverse slew rate"
        )
        oversampling: float = Field(
            PAPER_SPIRAL.oversampling, ge=1, le=16, description="designed spiral: samples per Nyquist interval"
        )
        gradient_delay: Annotated[float, Unit("us")] = Field(
            PAPER_SPIRAL.delay, ge=-100, le=100, description="designed spiral: lag of the gradients"
        )
        trajectory_delay: Annotated[float, Unit("us"), CONSOLE] = Field(
            0,
            ge=-100,
            le=100,
            description="trajectory of acquisitions or file: lag of the gradients behind the samples; the sample "
            "placed at k(t) was taken at k(t - delay). A designed spiral has gradient_delay instead",
        )
        girf: Annotated[str, PATH] = Field(
            "",
            description="text file of the gradient impulse response function, which corrects the trajectory, a "
            "designed one too: a first line frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im, then rising frequencies, one- "
            "or two-sided, with the responses of the scanner's axes (1 is ideal, a delay of t is exp(-2 pi i f t)); "
            "a delay that it holds is not to be set again. Empty: off",
        )

        def open_inputs(self) -> None:
            from nadenoise_core.sampling.gradients import read_response

            if self.girf:
                read_response(Path(self.girf))

        @field_validator("emit_at")
        @classmethod
        def _rising(cls, levels: tuple[int, ...]) -> tuple[int, ...]:
            if list(levels) != sorted(set(levels)):
                raise ValueError("each must be larger than the one before")
            return levels

        @field_validator("jackknife_groups")
        @classmethod
        def _more_than_one(cls, groups: int) -> int:
            if groups == 1:
                raise ValueError("one group left out leaves nothing; use 0, or 2 and more")
            return groups

        @model_validator(mode="after")
        def _one_delay(self) -> Self:
            if self.trajectory == "spiral" and self.trajectory_delay:
                raise ValueError("trajectory_delay is not for designed spirals; set gradient_delay")
            if (self.trajectory == "file") != bool(self.trajectory_file):
                raise ValueError("trajectory 'file' and trajectory_file go together; set both or neither")
            if self.interleaf_counter == "trajectory" and self.trajectory != "acquisition":
                raise ValueError("interleaf_counter 'trajectory' needs the trajectory of the acquisitions")
            if 0 < abs(self.trajectory_delay) < _LEAST_DELAY:
                raise ValueError(f"trajectory_delay is in us, and {self.trajectory_delay:g} us is none")
            used = [str(self.interleaf_counter), str(self.average_counter), str(self.half_pulse_counter)]
            if len(set(used)) < len(used):
                raise ValueError(f"no counter counts two of interleaves, averages, half-pulses: {', '.join(used)}")
            return self

    parameters: Parameters
    takes = ItemType.ACQUISITION
    gives = ItemType.RECON_DATA

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        from nadenoise_core.mrd.scan_averaging import ScanAverager
        from nadenoise_core.mrd.settings import AveragingSettings

        super().__init__(parameters, scan)
        self._averager = ScanAverager(AveragingSettings(**parameters.model_dump()), scan)

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        import ismrmrd

        from nadenoise_core.mrd.acquisitions import is_image_data

        for number, item in enumerate(items):
            if isinstance(item, ismrmrd.Acquisition) and is_image_data(item, self.scan):
                yield from self._averager.add(item, number)
            else:
                if isinstance(item, ismrmrd.Acquisition):
                    self._averager.pass_over(item)
                yield item
        yield from self._averager.finish()
