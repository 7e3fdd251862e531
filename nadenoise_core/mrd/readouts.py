"""Acquisitions as readouts: what was measured, and which interleaf, average and half-pulse it is of."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.mrd.acquisitions import has_trajectory, kept_samples
from nadenoise_core.mrd.measured_trajectories import ArmNumbers
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import ARRIVAL, NONE, TRAJECTORY, AveragingSettings
from nadenoise_core.mrd.trajectory import Positions, Trajectories

_log = logging.getLogger("nadenoise.accumulate")
_LEAST_SAMPLES = 3  # of a readout
_NO_TRAJECTORY = "no trajectory"
_LEAST_HOPE = 256  # acquisitions without a readout, after which none is waited for


@dataclass(frozen=True)
class Readout:
    """One acquisition of an image.

    Attributes:
        interleaf, half: as they are counted.
        average: counted from 0.
        samples: (coils, samples) complex64, without those that the receiver discards.
        number: of the acquisition on the stream.
        place: where the samples lie, of the places of the interleaf.
    """

    interleaf: int
    average: int
    half: int
    samples: NDArray[np.complex64]
    number: int
    place: int = 0

    @property
    def name(self) -> str:
        """Of the acquisition, for messages."""
        return f"acquisition {self.number} (interleaf {self.interleaf}, average {self.average}, half-pulse {self.half})"


class ReadoutReader:
    """Reads the acquisitions of one image and checks that they belong together.

    Args:
        settings: which counters count what, and how trajectory and samples are to be taken.
        scan: of the header.
        positions: see `open_positions`.

    Attributes:
        trajectories: of the interleaves that came.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, positions: Positions) -> None:
        self._settings = settings
        self._shape: tuple[int, ...] | None = None
        counter = settings.average_counter
        self._first_average = scan.limits[counter].start if counter in scan.limits else 0
        # As plain text, which is quicker to look up; empty where nothing is counted.
        counters = (settings.interleaf_counter, settings.average_counter, settings.half_pulse_counter)
        self._counters = ["" if name in (ARRIVAL, NONE, TRAJECTORY) else str(name) for name in counters]
        self._arms = ArmNumbers() if settings.interleaf_counter == TRAJECTORY else None
        self.trajectories = Trajectories(settings, scan, positions)
        self._left_out: dict[str, int] = {}
        self._has_warned_of_followers = False

    @property
    def samples(self) -> int:
        """How many samples a readout has; 0 before the first came."""
        return self._shape[1] if self._shape else 0

    def read(self, acquisition: ismrmrd.Acquisition, number: int) -> Readout | None:
        """A readout of an acquisition; None if it holds none: navigators without their flag, rows that nobody filled.

        Args:
            acquisition: of the image.
            number: of the acquisition on the stream, for messages.

        Raises:
            RawDataError: another shape than that of the first readout, or values that are not finite.
            TrajectoryError: see `Trajectories.locate`.
        """
        samples: NDArray[np.complex64] = acquisition.data[:, kept_samples(acquisition)]
        energy = float(np.vdot(samples, samples).real)
        idx = acquisition.idx
        interleaf, average, half = (int(getattr(idx, name)) if name else 0 for name in self._counters)
        nothing = self._nothing_in(acquisition, energy)
        if nothing == _NO_TRAJECTORY and self._follows(samples, interleaf, half, average - self._first_average):
            nothing = ""
        if nothing:
            self._left_out[nothing] = self._left_out.get(nothing, 0) + 1
            if self._shape is None and self._left_out[nothing] > _LEAST_HOPE:
                raise self._without_readouts()
            return None
        if self._arms is not None:
            interleaf = self._arms.number_of(acquisition.traj[kept_samples(acquisition)])
        if average < self._first_average:  # the header's minimum is wrong
            self._first_average = 0
        samples = samples.conj() if self._settings.conjugate_kspace else samples
        readout = Readout(interleaf, average - self._first_average, half, samples, number)
        self._check(readout, energy)
        try:
            place = self.trajectories.locate(acquisition, interleaf, half, readout.average)
        except RawDataError as error:
            raise type(error)(f"{readout.name}: {error}") from None
        return replace(readout, place=place) if place else readout

    def finish(self) -> None:
        """Say what was left out.

        Raises:
            RawDataError: nothing else came.
        """
        if self._left_out and self._shape is None:
            raise self._without_readouts()
        for reason, count in self._left_out.items():
            _log.warning("%d acquisitions have %s and were left out", count, reason)

    @contextmanager
    def left_out_named(self) -> Iterator[None]:
        """Say in errors what was left out, which may be what is missing."""
        try:
            yield
        except RawDataError as error:
            reasons = "; ".join(f"{count} acquisitions have {reason}" for reason, count in self._left_out.items())
            raise type(error)(f"{error}; {reasons} and were left out" if reasons else str(error)) from None

    def _nothing_in(self, acquisition: ismrmrd.Acquisition, energy: float) -> str:
        """Why an acquisition cannot be a readout of the image; empty if it can."""
        if acquisition.data.shape[-1] < _LEAST_SAMPLES:
            return f"less than {_LEAST_SAMPLES} samples"
        if energy == 0 and not acquisition.data.any():
            return "nothing but zeros"
        from_acquisitions = self._settings.trajectory == "acquisition"
        return _NO_TRAJECTORY if from_acquisitions and not has_trajectory(acquisition) else ""

    def _follows(self, samples: NDArray[np.complex64], interleaf: int, half: int, average: int) -> bool:
        """Whether a readout without a trajectory is a later average of one that had it, and no navigator."""
        like_first = self._arms is None and _NO_TRAJECTORY not in self._left_out and samples.shape == self._shape
        if not (like_first and self.trajectories.can_follow(interleaf, half, average)):
            return False
        if not self._has_warned_of_followers:
            self._has_warned_of_followers = True
            _log.warning("later averages carry no trajectory, and are taken to have that of the first")
        return True

    def _without_readouts(self) -> RawDataError:
        if _NO_TRAJECTORY in self._left_out:
            return TrajectoryError(
                "the acquisitions carry no trajectory; convert the raw data with one, or set trajectory to 'spiral'"
            )
        return RawDataError(f"all acquisitions have {' or '.join(self._left_out)}; the scan is empty")

    def _check(self, readout: Readout, energy: float) -> None:
        samples = readout.samples
        if self._shape is None:
            self._shape = samples.shape
        if samples.shape[1] < _LEAST_SAMPLES:
            raise RawDataError(
                f"{readout.name}: {samples.shape[1]} samples are left by discard_pre and discard_post; convert the raw "
                "data anew, without them"
            )
        if samples.shape != self._shape:
            coils, count = samples.shape
            raise RawDataError(
                f"{readout.name}: {count} samples of {coils} coils, the scan has {self._shape[1]} of {self._shape[0]}; "
                "the raw file is damaged or holds another scan"
            )
        # The energy is finite where all samples are, and quicker to get; it may overflow where they are.
        if not (math.isfinite(energy) or np.isfinite(samples).all()):
            coils = ", ".join(f"{coil}" for coil in np.flatnonzero(~np.isfinite(samples).all(axis=1)))
            raise RawDataError(
                f"{readout.name}: holds NaN or infinite samples in coil {coils} (from 0); the raw file is damaged"
            )
