"""Where the readouts of one image were taken: they must be of one slice."""

from __future__ import annotations

import logging

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError

_log = logging.getLogger("nadenoise.accumulate")
_LARGEST_TURN = 5.0  # degrees, as motion is followed; another slice is turned by more
_SMALLEST_TURN = 0.5  # degrees, that are warned of


class SliceCheck:
    """Compares where the readouts of an image were taken with where the first was.

    Args:
        slice_thickness: mm.
        pixel: (row, column) spacing, mm.
    """

    def __init__(self, slice_thickness: float, pixel: tuple[float, float]) -> None:
        self._apart, self._moved = slice_thickness / 2, min(pixel) / 2
        self._first: tuple[float, ...] | None = None
        self._has_warned = False

    def check(self, acquisition: ismrmrd.Acquisition) -> None:
        """Check a readout; one of a slice that follows motion warns, once.

        Raises:
            RawDataError: it is of another slice.
        """
        place = (*acquisition.position, *acquisition.read_dir, *acquisition.phase_dir)
        if self._first is None:
            self._first = place
        if place != self._first:
            self._compare(np.array(self._first).reshape(3, 3), np.array(place).reshape(3, 3))

    def _compare(self, first: NDArray[np.float64], place: NDArray[np.float64]) -> None:
        shift, turn = place[0] - first[0], max(_angle(first[1], place[1]), _angle(first[2], place[2]))
        normal = np.cross(first[1], first[2])
        along = abs(float(shift @ normal)) if normal.any() else float(np.linalg.norm(shift))
        if along > self._apart or turn > _LARGEST_TURN:
            raise RawDataError(
                f"it lies {along:.3g} mm and {turn:.3g} degrees from the slice of the readouts before; where a counter "
                "counts slices, set half_pulse_counter, average_counter or interleaf_counter to others"
            )
        distance = float(np.linalg.norm(shift))
        if not self._has_warned and (distance > self._moved or turn > _SMALLEST_TURN):
            self._has_warned = True
            _log.warning(
                "the slice moves by %.3g mm and %.3g degrees during the scan; the image is put where it was first",
                distance, turn,
            )  # fmt: skip


def _angle(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Between two directions, degrees; 0 where one is none."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float(one @ other) / lengths if lengths > 0 else 1.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
