"""Average repeated spiral interleaves in k-space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import ismrmrd
import numpy as np
from gadgetron.types.recon_data import ReconData
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, Item, ItemType
from nadenoise_core.configuration.fields import CONSOLE, PATH, Unit
from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.mrd.buffer import pack
from nadenoise_core.mrd.counters import Counter
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.recon.averaging import AveragedKspace, KspaceAverager
from nadenoise_core.sampling.gradients import GradientCorrection, read_response
from nadenoise_core.sampling.spiral import PAPER_SPIRAL, SpiralDesign
from nadenoise_core.sampling.trajectory import TrajectoryUnit, normalise_trajectory

_NO_IMAGE_DATA = (
    ismrmrd.ACQ_IS_NOISE_MEASUREMENT,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
)
_NO_IMAGE_DATA_BITS = sum(1 << (flag - 1) for flag in _NO_IMAGE_DATA)  # ISMRMRD counts flags from 1
_LARGE_HALF_PULSE_PHASE = 10.0  # degrees; costs 0.4 % of the signal
_NAMED = 6  # missing readouts in a warning
_CERTAIN = 4.0  # standard errors
_SAME_TRAJECTORY = 1e-4  # of its reach: what rounding may change between averages

Average = Annotated[int, Field(ge=1, le=65535)]


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
            description="sets of averages that are left out in turn; the replicas of each image made so, which "
            "'quantify' takes off again, tell the standard error of its regions, through the network too. 10 is a "
            "good choice; 0: none",
        )
        interleaf_counter: Counter = Field(
            Counter.KSPACE_ENCODE_STEP_1, description="acquisition counter of the interleaf"
        )
        average_counter: Counter = Field(Counter.AVERAGE, description="acquisition counter of the average")
        half_pulse_counter: Counter = Field(Counter.SET, description="acquisition counter of the half-pulse")
        correct_half_pulse_phase: Annotated[bool, CONSOLE] = Field(
            False, description="turn the second half-pulse back by its bulk phase before the sum"
        )
        conjugate_kspace: Annotated[bool, CONSOLE] = Field(
            False,
            description="take the complex conjugate of the samples, where vendor and converter count phase the other "
            "way round; the sign that it is needed is an image turned by 180 degrees",
        )
        trajectory: Literal["acquisition", "spiral"] = Field(
            "acquisition", description="sample positions: from the acquisitions, or designed as a uniform spiral"
        )
        trajectory_unit: TrajectoryUnit | Literal["auto"] = Field(
            "auto", description="unit of the acquisitions' trajectory"
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
            description="trajectory of the acquisitions: lag of the gradients behind the samples; the sample placed at "
            "k(t) was taken at k(t - delay). A designed spiral has gradient_delay instead",
        )
        girf: Annotated[str, PATH] = Field(
            "",
            description="text file of the gradient impulse response function, which corrects the trajectory, a "
            "designed one too: a first line frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im, then rising frequencies, one- "
            "or two-sided, with the responses of the scanner's axes (1 is ideal, a delay of t is exp(-2 pi i f t)); "
            "a delay that it holds is not to be set again. Empty: off",
        )

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
                raise ValueError("trajectory_delay is for trajectories of the acquisitions; set gradient_delay")
            return self

    parameters: Parameters
    takes = ItemType.ACQUISITION
    gives = ItemType.RECON_DATA

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        super().__init__(parameters, scan)
        used = (self.parameters.interleaf_counter, self.parameters.average_counter, self.parameters.half_pulse_counter)
        counters = ("kspace_encode_step_2", "slice", "contrast", "phase", "repetition")
        self.gradients = GradientCorrection(
            self.parameters.trajectory_delay,
            read_response(Path(self.parameters.girf)) if self.parameters.girf else None,
            _patient_position(scan.header),
        )
        # The counters that are not averaged over: they tell one image from another.
        self._image_counters = [counter for counter in counters if counter not in used]

    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        images: dict[tuple[int, ...], _ImageInProgress] = {}
        for number, item in enumerate(items):
            if not isinstance(item, ismrmrd.Acquisition) or _is_no_image_data(item):
                yield item
                continue
            image = images.get(self._image_of(item))
            if image is None:
                image = images[self._image_of(item)] = _ImageInProgress(self)
            yield from image.take(item, number)
        if not images:
            raise RawDataError("no acquisition came; the scan is empty")
        yield from self._finish(images)

    def _finish(self, images: dict[tuple[int, ...], _ImageInProgress]) -> Iterator[Item]:
        """What is left of every image; one that cannot be made does not take the others with it."""
        failures = []
        for counters, image in images.items():
            try:
                yield from image.finish()
            except RawDataError as error:
                named = zip(self._image_counters, counters, strict=True)
                name = ", ".join(f"{counter} {value}" for counter, value in named)
                failures.append(error if len(images) == 1 else RawDataError(f"{name}: {error}"))
        if len(failures) == len(images):
            raise failures[0]
        for failure in failures:
            self.log.warning("%s", failure)

    def _image_of(self, acquisition: ismrmrd.Acquisition) -> tuple[int, ...]:
        """Which image an acquisition belongs to."""
        return tuple(getattr(acquisition.idx, counter) for counter in self._image_counters)


class _ImageInProgress:
    """The running average of one slice, contrast and repetition."""

    def __init__(self, gadget: Accumulate) -> None:
        self._gadget = gadget
        self._parameters = gadget.parameters
        self._interleaves = gadget.scan.count(self._parameters.interleaf_counter)
        self._half_pulses = gadget.scan.count(self._parameters.half_pulse_counter)
        # A limit of one average is what converters write that do not know it.
        announced = gadget.scan.count(self._parameters.average_counter) or 1
        self._levels = list(self._parameters.emit_at or ([announced] if announced > 1 else []))
        self._averager: KspaceAverager | None = None
        self._shape = (0, 0)
        self._headers: dict[int, ismrmrd.AcquisitionHeader] = {}
        self._trajectory: dict[int, NDArray[np.float32]] = {}
        self._raw_trajectory: dict[int, NDArray[np.float32]] = {}
        self._repeated = 0

    def take(self, acquisition: ismrmrd.Acquisition, number: int) -> Iterator[ReconData]:
        """Add an acquisition; give an image's data when a number of averages to emit at is complete."""
        idx = acquisition.idx
        interleaf = getattr(idx, self._parameters.interleaf_counter)
        average = getattr(idx, self._parameters.average_counter)
        half = getattr(idx, self._parameters.half_pulse_counter)
        name = f"acquisition {number} (interleaf {interleaf}, average {average}, half-pulse {half})"
        samples = self._checked(acquisition, interleaf, half, name)
        if self._averager is None:
            outer = slice(samples.shape[1] // 2, None)
            groups = max(self._parameters.jackknife_groups, 1)
            self._averager = KspaceAverager(tuple(self._levels), noise_samples=outer, groups=groups)
        self._locate(acquisition, interleaf, name)
        if not self._averager.add(average, interleaf, half, samples):
            self._repeated += 1
            return
        if self._interleaves is None or self._half_pulses is None:
            return  # how many there must be is known only when all have come
        readouts = self._interleaves * self._half_pulses
        while self._levels and self._averager.is_complete(self._levels[0], readouts):
            yield self._emit(self._levels.pop(0))

    def finish(self) -> Iterator[ReconData]:
        """What is left at the end of the stream: incomplete averages, or a scan that was shorter than announced."""
        if self._averager is None:
            return
        self._interleaves = self._interleaves or self._averager.interleaves
        self._half_pulses = self._half_pulses or self._averager.half_pulses
        if self._repeated:
            self._gadget.log.warning("%d acquisitions came twice and were left out", self._repeated)
        came = self._averager.averages
        wanted = [level for level in self._levels if level <= came]
        short = [level for level in self._levels if level > came]
        unused = not self._parameters.emit_at and came > max(self._averager.levels, default=0)
        for level in wanted:
            yield self._emit(level)
        if short or unused:
            if short:
                hint = "; if another counter counts them, set average_counter" if came == 1 else ""
                self._gadget.log.warning("the scan has %d averages, %d were expected%s", came, short[-1], hint)
            if came not in wanted:
                yield self._emit(came)

    def _checked(self, acquisition: ismrmrd.Acquisition, interleaf: int, half: int, name: str) -> NDArray[np.complex64]:
        """The samples, (coils, samples), without what the receiver marks as discarded."""
        samples: NDArray[np.complex64] = acquisition.data[:, _kept(acquisition)]
        if self._parameters.conjugate_kspace:
            samples = samples.conj()
        if self._interleaves is not None and interleaf >= self._interleaves:
            raise RawDataError(f"{name}: the header announces {self._interleaves} interleaves, counted from 0")
        if self._half_pulses is not None and half >= self._half_pulses:
            raise RawDataError(f"{name}: the header announces {self._half_pulses} half-pulses, counted from 0")
        if self._averager is None:
            self._shape = samples.shape
        if samples.shape != self._shape or samples.shape[1] < 3:
            raise RawDataError(
                f"{name}: {samples.shape[1]} samples of {samples.shape[0]} coils, the scan has {self._shape[1]} of "
                f"{self._shape[0]}; the raw file is damaged or holds another scan"
            )
        if not np.isfinite(samples).all():
            raise RawDataError(f"{name}: holds NaN or infinite samples; the raw file is damaged")
        return samples

    def _locate(self, acquisition: ismrmrd.Acquisition, interleaf: int, name: str) -> None:
        """Keep trajectory and header of an interleaf when it first comes; later ones must have the same trajectory."""
        traj = acquisition.traj[_kept(acquisition)]
        if interleaf in self._headers:
            if self._parameters.trajectory == "acquisition" and not _same(traj, self._raw_trajectory[interleaf]):
                raise TrajectoryError(f"{name}: its trajectory differs from that of the same interleaf before")
            return
        self._headers[interleaf] = acquisition.getHead()
        if self._parameters.trajectory == "spiral":
            return
        if traj.shape[1] < 2:
            raise TrajectoryError(
                f"{name}: carries no trajectory; convert the raw data with one, or set trajectory to 'spiral'"
            )
        unit = None if self._parameters.trajectory_unit == "auto" else self._parameters.trajectory_unit
        try:
            k, found = normalise_trajectory(traj, self._gadget.scan.encoding, unit)
            k = self._corrected(k, interleaf)
        except TrajectoryError as error:
            raise TrajectoryError(f"{name}: {error}") from None
        if not self._trajectory:
            self._gadget.log.info("trajectory in %s", found)
        self._trajectory[interleaf], self._raw_trajectory[interleaf] = k, traj

    def _emit(self, level: int) -> ReconData:
        """The data of the image of the first `level` averages, with warnings for what is missing in it."""
        averager, interleaves, half_pulses = self._averager, self._interleaves, self._half_pulses
        assert averager is not None and interleaves is not None and half_pulses is not None
        turned = self._parameters.correct_half_pulse_phase
        averaged = averager.average(level, interleaves, half_pulses, turned).whitened()
        missing = averager.missing(level, interleaves, half_pulses)
        if missing:
            named = [f"interleaf {i}, half-pulse {h}: {count}" for (i, h), count in missing.items()]
            more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
            lost = "; ".join(named[:_NAMED]) + more
            self._gadget.log.warning("%s of %d averages are missing", lost, level)
        certain = abs(averaged.half_pulse_phase) > _CERTAIN * averaged.half_pulse_phase_error
        large = abs(averaged.half_pulse_phase) > _LARGE_HALF_PULSE_PHASE
        if large and certain and not self._parameters.correct_half_pulse_phase:
            self._gadget.log.warning(
                "the half-pulses differ by %.0f degrees, which costs signal; set correct_half_pulse_phase",
                averaged.half_pulse_phase,
            )
        headers = [self._headers[interleaf] for interleaf in range(interleaves)]
        replicas = self._replicas(averager, level, interleaves, half_pulses)
        return pack(averaged, self._complete_trajectory(interleaves), headers, self._gadget.scan.encoding, replicas)

    def _replicas(
        self, averager: KspaceAverager, level: int, interleaves: int, half_pulses: int
    ) -> list[AveragedKspace]:
        """The means without each group of averages in turn; none where there are too few averages."""
        groups = min(self._parameters.jackknife_groups, level, averager.averages)
        if groups < 2:
            return []
        turned = self._parameters.correct_half_pulse_phase
        try:
            return [
                averager.average(level, interleaves, half_pulses, turned, without=group).whitened()
                for group in range(groups)
            ]
        except RawDataError:
            self._gadget.log.warning(
                "no standard errors of %d averages: an interleaf has come in one group of them alone", level
            )
            return []

    def _complete_trajectory(self, interleaves: int) -> NDArray[np.float32]:
        """(interleaves, samples, 2) in cycles/pixel."""
        if self._parameters.trajectory == "acquisition":
            return np.stack([self._trajectory[interleaf] for interleaf in range(interleaves)])
        encoding = self._gadget.scan.encoding
        design = SpiralDesign(
            matrix=encoding.matrix[1],
            field_of_view=encoding.field_of_view[1],
            interleaves=interleaves,
            max_gradient=self._parameters.max_gradient,
            rise_time=self._parameters.rise_time,
            dwell_time=self._headers[0].sample_time_us,
            oversampling=self._parameters.oversampling,
            delay=self._parameters.gradient_delay,
        )
        k = design.trajectory()
        if k.shape[1] != self._shape[1]:
            raise TrajectoryError(
                f"the designed spiral has {k.shape[1]} samples, the acquisitions have {self._shape[1]}; correct "
                "max_gradient, rise_time and oversampling in the chain"
            )
        k = k * encoding.pixel[::-1]
        return np.stack([self._corrected(arm, interleaf) for interleaf, arm in enumerate(k)])

    def _corrected(self, k: NDArray[np.floating], interleaf: int) -> NDArray[np.float32]:
        """Where the samples of an interleaf really lie, (samples, 2) in cycles/pixel."""
        head = self._headers[interleaf]
        pixel = self._gadget.scan.encoding.pixel
        return self._gadget.gradients.apply(k, head.sample_time_us, pixel, head.read_dir, head.phase_dir)


def _same(trajectory: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two trajectories are the same but for rounding."""
    if np.array_equal(trajectory, other, equal_nan=True):
        return True
    tolerance = _SAME_TRAJECTORY * float(np.abs(other).max(initial=0))
    return trajectory.shape == other.shape and bool(np.all(np.abs(trajectory - other) <= tolerance))


def _patient_position(header: Any) -> str:
    """How the patient lies, such as "HFS"; empty where the header does not say."""
    position = getattr(header.measurementInformation, "patientPosition", None)
    return str(getattr(position, "value", position) or "")


def _is_no_image_data(acquisition: ismrmrd.Acquisition) -> bool:
    """Noise, dummy, navigator, calibration and feedback readouts, and those of another encoding than the image's."""
    return acquisition.encoding_space_ref != 0 or bool(acquisition.flags & _NO_IMAGE_DATA_BITS)


def _kept(acquisition: ismrmrd.Acquisition) -> slice:
    """The samples that the receiver does not mark as discarded."""
    return slice(acquisition.discard_pre, max(acquisition.number_of_samples - acquisition.discard_post, 0))
