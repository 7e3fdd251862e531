"""Acquisitions as readouts: what was measured, and which interleaf, average and half-pulse it is of."""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.mrd.acquisitions import kept_samples
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.settings import AveragingSettings
from nadenoise_core.mrd.trajectory import Trajectories
from nadenoise_core.sampling.gradients import GradientCorrection


@dataclass(frozen=True)
class Readout:
    """One acquisition of an image.

    Attributes:
        interleaf, average, half: counted from 0.
        samples: (coils, samples) complex64, without those that the receiver discards.
    """

    interleaf: int
    average: int
    half: int
    samples: NDArray[np.complex64]


class ReadoutReader:
    """Reads the acquisitions of one image and checks that they belong together.

    Args:
        settings: which counters count what, and how trajectory and samples are to be taken.
        scan: of the header.
        gradients: see `gradient_correction`.

    Attributes:
        interleaves, half_pulses: how many the header announces; None if it does not say.
        trajectories: of the interleaves that came.
        samples: of a readout; 0 before the first came.
    """

    def __init__(self, settings: AveragingSettings, scan: Scan, gradients: GradientCorrection) -> None:
        self._settings = settings
        self._shape: tuple[int, ...] | None = None
        self.interleaves = scan.count(settings.interleaf_counter)
        self.half_pulses = scan.count(settings.half_pulse_counter)
        self.trajectories = Trajectories(settings, scan, gradients)

    @property
    def samples(self) -> int:
        """How many samples a readout has; 0 before the first came."""
        return self._shape[1] if self._shape else 0

    def read(self, acquisition: ismrmrd.Acquisition, number: int) -> Readout:
        """A readout of an acquisition.

        Args:
            acquisition: of the image.
            number: of the acquisition on the stream, for messages.

        Raises:
            RawDataError: a counter beyond what the header announces, another shape than that of the first readout,
                or values that are not finite.
            TrajectoryError: see `Trajectories.locate`.
        """
        idx, given = acquisition.idx, self._settings
        counters = (given.interleaf_counter, given.average_counter, given.half_pulse_counter)
        interleaf, average, half = (getattr(idx, counter.value) for counter in counters)
        name = f"acquisition {number} (interleaf {interleaf}, average {average}, half-pulse {half})"
        samples: NDArray[np.complex64] = acquisition.data[:, kept_samples(acquisition)]
        self._check(samples, interleaf, half, name)
        try:
            self.trajectories.locate(acquisition, interleaf)
        except TrajectoryError as error:
            raise TrajectoryError(f"{name}: {error}") from None
        return Readout(interleaf, average, half, samples.conj() if given.conjugate_kspace else samples)

    def _check(self, samples: NDArray[np.complex64], interleaf: int, half: int, name: str) -> None:
        if self.interleaves is not None and interleaf >= self.interleaves:
            raise RawDataError(f"{name}: the header announces {self.interleaves} interleaves, counted from 0")
        if self.half_pulses is not None and half >= self.half_pulses:
            raise RawDataError(f"{name}: the header announces {self.half_pulses} half-pulses, counted from 0")
        if self._shape is None:
            self._shape = samples.shape
        if samples.shape != self._shape or samples.shape[1] < 3:
            raise RawDataError(
                f"{name}: {samples.shape[1]} samples of {samples.shape[0]} coils, the scan has {self._shape[1]} of "
                f"{self._shape[0]}; the raw file is damaged or holds another scan"
            )
        if not np.isfinite(samples).all():
            raise RawDataError(f"{name}: holds NaN or infinite samples; the raw file is damaged")
