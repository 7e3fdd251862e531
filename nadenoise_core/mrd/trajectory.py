"""Where the samples of every interleaf lie: from its acquisitions, or designed; with the gradients corrected."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import TrajectoryError
from nadenoise_core.mrd.acquisitions import has_trajectory, kept_samples
from nadenoise_core.mrd.measured_trajectories import FAR, MeasuredTrajectories
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.slice_check import SliceCheck
from nadenoise_core.sampling.arms import is_continuous, is_spiral, outer_half
from nadenoise_core.sampling.gradients import GradientCorrection, read_response
from nadenoise_core.sampling.spiral import SpiralDesign
from nadenoise_core.sampling.trajectory import TrajectoryUnit, normalise_trajectory
from nadenoise_core.sampling.trajectory_file import TrajectoryFile, read_trajectory

_log = logging.getLogger("nadenoise.accumulate")
_LARGEST_OF_HALVES = 0.01  # cycles/FOV; what lies outside the slice cancels to pi * 0.01, 3 %, at the edge
_FARTHEST = 1e5  # mm that a position may lie from the isocentre


@dataclass(frozen=True)
class Positions:
    """What places samples beside the acquisitions themselves.

    Attributes:
        gradients: how the gradients differ from what was asked for.
        file: trajectories from elsewhere.
    """

    gradients: GradientCorrection
    file: TrajectoryFile | None


class Trajectories:
    """The trajectories of the interleaves of an image.

    Args:
        settings: of the averaging.
        scan: of the header.
        positions: see `open_positions`.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, positions: Positions) -> None:
        self.headers: dict[int, ismrmrd.AcquisitionHeader] = {}  # of the first acquisition of every interleaf
        self._settings = settings
        self._encoding = scan.encoding
        self._says_spiral = scan.says_spiral
        self._gradients = positions.gradients
        self._arms: dict[tuple[int, int], MeasuredTrajectories] = {}  # by interleaf and half-pulse
        self._file = positions.file
        self._found: str | None = None  # unit
        self._has_warned_of_places = False
        self._slice = SliceCheck(scan.slice_thickness, scan.encoding.pixel)

    @property
    def unit_is_given(self) -> bool:
        """Whether the unit is known, and was not found out."""
        stated = self._settings.trajectory == "spiral" or (self._file is not None and self._file.unit is not None)
        return stated or self._unit is not None

    @property
    def dwell_time(self) -> float:
        """Of the first interleaf, us; 0 where it is not known."""
        return next((float(head.sample_time_us) for head in self.headers.values()), 0.0)

    @property
    def interleaves(self) -> int | None:
        """How many interleaves there are, where a file says so."""
        return None if self._file is None else len(self._file.k)

    def locate(self, acquisition: ismrmrd.Acquisition, interleaf: int, half: int, average: int) -> int:
        """Keep trajectory and header of an interleaf when it first comes; give the number of its place.

        Later averages may each have a trajectory of their own, as field cameras measure it. Those near to one another
        share a place, at their mean, which is exact to first order in their distance; others get one of their own.

        Raises:
            RawDataError: the acquisition is of another slice.
            TrajectoryError: no trajectory, one far from that of the interleaf before, or one that cannot be read.
        """
        if interleaf not in self.headers:
            self.headers[interleaf] = _placed(acquisition.getHead())
        if interleaf == next(iter(self.headers)):
            self._slice.check(acquisition)
        if self._settings.trajectory != "acquisition":
            return 0
        if not has_trajectory(acquisition):  # see `can_follow`
            return 0
        given = acquisition.traj[kept_samples(acquisition)]
        trajectories = self._arms.get((interleaf, half))
        if trajectories is None:
            k = self._read(given, acquisition.getHead())
            self._arms[interleaf, half] = MeasuredTrajectories(given, k, average, self._encoding.matrix)
            return 0
        number = trajectories.repeated(given)
        if number is not None:
            return number
        number, distance = trajectories.add(given, self._read(given, acquisition.getHead()))
        if distance > FAR:
            raise TrajectoryError(
                f"its trajectory differs from that of the same interleaf before by {distance:.2g} cycles/FOV, and may "
                f"by {FAR:g}; if another counter counts interleaves, set interleaf_counter; if none does, set it to "
                "trajectory"
            )
        if number and not self._has_warned_of_places:
            self._has_warned_of_places = True
            _log.warning(
                "averages were taken at places of their own; all samples are gridded together, and their noise, which "
                "is told by how they differ, may be less than what is said"
            )
        return number

    def can_follow(self, interleaf: int, half: int, average: int) -> bool:
        """Whether a readout without a trajectory may have that of another average: none came for this one."""
        arm = self._arms.get((interleaf, half))
        return arm is not None and arm.average != average

    def outer_samples(self, samples: int) -> slice | NDArray[np.intp]:
        """Which of so many samples of a readout are far from the centre of k-space, by the first arm that is known."""
        arm = next(iter(self._arms.values()), None)
        if arm is not None:
            return outer_half(arm[0].k)
        if self._file is not None:
            k = self._file.k[0][_kept(self._file, next(iter(self.headers.values())), samples)]
            if len(k) == samples:
                return outer_half(k)
        return slice(samples // 2, None)  # a designed spiral runs outwards

    def _read(self, given: NDArray[np.float32], head: ismrmrd.AcquisitionHeader) -> NDArray[np.float32]:
        """Where the samples of an acquisition lie, (samples, 2) in cycles/pixel."""
        k, found = normalise_trajectory(given, self._encoding, self._unit or self._found)
        if not is_continuous(k):
            raise TrajectoryError(
                "its trajectory leaps from one sample to the next; where its columns are written as rows, convert the "
                "raw data anew"
            )
        if self._found is None:
            self._found = found
            _log.info("trajectory in %s", found)
            if self._says_spiral and not is_spiral(k):
                _log.warning("the header says that the trajectory is a spiral, and it is none")
        if not self._says_spiral and not is_spiral(k):
            raise TrajectoryError(
                "the header does not say that its trajectory is a spiral, and it is none; give a scan of spirals"
            )
        return self._correct(k, head)

    def given(self, arms: Sequence[tuple[int, int]]) -> NDArray[np.float32] | None:
        """(arms, samples, 2) in cycles/pixel, as the acquisitions say; None if it comes from elsewhere.

        Args:
            arms: interleaf and place of each.

        Raises:
            TrajectoryError: half-pulses were taken at different places, so that what lies outside does not cancel.
        """
        if self._settings.trajectory != "acquisition":
            return None
        return np.stack([self._mean(interleaf, place) for interleaf, place in arms])

    def _mean(self, interleaf: int, place: int) -> NDArray[np.float32]:
        first, *others = [trajectories for (number, _), trajectories in self._arms.items() if number == interleaf]
        for other in others:
            if len(first) > 1 or len(other) > 1:
                raise TrajectoryError(
                    f"averages of interleaf {interleaf} were taken at places of their own, where half-pulses do not "
                    "cancel what lies outside the slice; set half_pulse_counter to none for an image of each"
                )
            difference = (other[0].mean - first[0].mean) * self._encoding.matrix[::-1]
            if (furthest := float(np.abs(difference).max())) > _LARGEST_OF_HALVES:
                raise TrajectoryError(
                    f"its trajectory differs from that of the other half-pulse of interleaf {interleaf} by "
                    f"{furthest:.2g} cycles/FOV, and may by {_LARGEST_OF_HALVES:g}"
                )
        return np.asarray(np.mean([trajectories[place].mean for trajectories in (first, *others)], axis=0), np.float32)

    def stacked(self, arms: Sequence[tuple[int, int]], samples: int) -> NDArray[np.float32]:
        """(arms, samples, 2) in cycles/pixel.

        Args:
            arms: interleaf and place of each.
            samples: of a readout.

        Raises:
            TrajectoryError: a designed spiral or the file has another number of samples.
        """
        given = self.given(arms)
        if given is not None:
            return given
        interleaves = [interleaf for interleaf, _ in arms]
        if self._file is not None:
            return self._from_file(self._file, interleaves, samples)
        k = self._design(len(interleaves), self.headers[interleaves[0]].sample_time_us).trajectory()
        if k.shape[1] != samples:
            raise TrajectoryError(
                f"the designed spiral has {k.shape[1]} samples, the acquisitions have {samples}; correct max_gradient, "
                "rise_time and oversampling in the chain"
            )
        k = k * self._encoding.pixel[::-1]
        return np.stack(
            [self._correct(arm, self.headers[interleaf]) for interleaf, arm in zip(interleaves, k, strict=True)]
        )

    def _from_file(self, file: TrajectoryFile, interleaves: Sequence[int], samples: int) -> NDArray[np.float32]:
        """The arms of a file, in the order of the interleaves; it may hold the samples that are discarded, too."""
        path, (arms, length, _) = self._settings.trajectory_file, file.k.shape
        if arms != len(interleaves):
            raise TrajectoryError(
                f"{path}: has {arms} interleaves, the scan has {len(interleaves)}; give that of this scan"
            )
        kept = _kept(file, self.headers[interleaves[0]], samples)
        if len(range(length)[kept]) != samples:
            raise TrajectoryError(
                f"{path}: has {length} samples a readout, the acquisitions have {samples}; give that of this scan"
            )
        try:
            k, found = normalise_trajectory(file.k[:, kept], self._encoding, file.unit or self._unit)
            corrected = [
                self._correct(arm, self.headers[interleaf]) for interleaf, arm in zip(interleaves, k, strict=True)
            ]
        except TrajectoryError as error:
            raise TrajectoryError(f"{path}: {error}") from None
        _log.info("trajectory of the file in %s", found)
        return np.stack(corrected)

    @property
    def _unit(self) -> TrajectoryUnit | None:
        return None if self._settings.trajectory_unit == "auto" else self._settings.trajectory_unit

    def _design(self, interleaves: int, dwell_time: float) -> SpiralDesign:
        return SpiralDesign(
            matrix=self._encoding.matrix[1],
            field_of_view=self._encoding.field_of_view[1],
            interleaves=interleaves,
            max_gradient=self._settings.max_gradient,
            rise_time=self._settings.rise_time,
            dwell_time=dwell_time,
            oversampling=self._settings.oversampling,
            delay=self._settings.gradient_delay,
        )

    def _correct(self, k: NDArray[np.floating], head: ismrmrd.AcquisitionHeader) -> NDArray[np.float32]:
        """Where the samples of an interleaf really lie, (samples, 2) in cycles/pixel."""
        return self._gradients.apply(k, head.sample_time_us, self._encoding.pixel, head.read_dir, head.phase_dir)


def open_positions(settings: AveragingSettings, scan: Scan) -> Positions:
    """Read the files that the settings name.

    Raises:
        BadInputError: a file cannot be read, or the header has no patient position for a gradient response.
    """
    response = read_response(Path(settings.girf)) if settings.girf else None
    file = read_trajectory(Path(settings.trajectory_file)) if settings.trajectory == "file" else None
    return Positions(GradientCorrection(settings.trajectory_delay, response, scan.patient_position), file)


def _kept(file: TrajectoryFile, head: ismrmrd.AcquisitionHeader, samples: int) -> slice:
    """The samples of a file's arms: all, but those that the receiver discards where the file holds these, too."""
    whole = file.k.shape[1] == head.number_of_samples
    return slice(head.discard_pre, head.discard_pre + samples) if whole else slice(None)


def _placed(head: ismrmrd.AcquisitionHeader) -> ismrmrd.AcquisitionHeader:
    """A header whose positions are within a hall, and whose dwell time is one: else they are 0, with a warning."""
    if not 0 <= head.sample_time_us < np.inf:
        _log.warning("the sample_time_us of the acquisitions is %g, and is taken as not known", head.sample_time_us)
        head.sample_time_us = 0
    for name in ("position", "patient_table_position"):
        if not (np.abs(getattr(head, name)[:]) < _FARTHEST).all():  # NaN is not either
            _log.warning("the %s of the acquisitions is no place in mm, and is taken as 0", name)
            getattr(head, name)[:] = (0.0, 0.0, 0.0)
    return head
