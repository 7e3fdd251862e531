"""Reference tubes in k-space: discs in closed form, with their place and diameter free to be fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, j1

from nadenoise_core.quantify.readouts import Readouts, turns

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex64]
_STEP = 2.0  # mm, over which the slope of a field is taken


@dataclass(frozen=True, eq=False)
class TubeDiscs:
    """Places of the reference tubes.

    Attributes:
        centres: (tubes, 2) as (x, y), mm from the centre of the field of view.
        diameter: of all of them, mm.
    """

    centres: Floats
    diameter: float


class TubeColumns:
    """Reference tubes as a scan sees them.

    Args:
        readouts: of the scan.
        gain: signal of tube solution relative to that of tissue under the scan's fields, (tubes,); None: 1.
        decay: (samples,) signal that is left at every sample; None: all of it.

    Within a tube a field is taken as its value in the middle, times a phase that changes evenly: a shift in k-space.
    """

    def __init__(self, readouts: Readouts, gain: Floats | None = None, decay: Floats | None = None) -> None:
        self._scan, self._gain = readouts, gain
        coils, interleaves, samples = readouts.kspace.shape
        self._shape = (coils, interleaves * samples)
        shares = readouts.shares if decay is None else readouts.shares * decay
        self._shares = np.tile(shares, (1, interleaves)).astype(np.complex64)
        self._slopes = np.tile(-2j * np.pi * readouts.k.T, (1, coils)).astype(np.complex64)  # (2, samples)

    def columns(self, discs: TubeDiscs, with_diameter: bool = True) -> tuple[Complexes, Complexes, Complexes]:
        """Samples of each tube, and their change with its place and its diameter.

        Args:
            with_diameter: whether the change with the diameter is wanted; else it is left 0.

        Returns:
            (tubes, samples) of amplitude 1, (tubes, 2, samples) per mm of x and y, (tubes, samples) per mm of diameter.
        """
        k = self._scan.k
        size = int(np.prod(self._shape))
        count = len(discs.centres)
        columns, wider = np.empty((count, size), np.complex64), np.zeros((count, size), np.complex64)
        moved = np.empty((count, 2, size), np.complex64)
        for index, centre in enumerate(discs.centres):
            fields, slopes = self._field(centre)
            gain = 1.0 if self._gain is None else float(self._gain[index])
            place = (gain / self._scan.pixel_area) * turns(-(k @ centre))
            columns[index] = (self._discs(k, discs.diameter, fields, slopes, _area) * place).reshape(-1)
            if with_diameter:
                wider[index] = (self._discs(k, discs.diameter, fields, slopes, _rim) * place).reshape(-1)
            for axis in range(2):
                np.multiply(columns[index], self._slopes[axis], out=moved[index, axis])
        return columns, moved, wider

    def _discs(
        self,
        k: Floats,
        diameter: float,
        fields: NDArray[np.complex128],
        slopes: Floats,
        profile: Callable[[Floats, float], Floats],
    ) -> Complexes:
        """(coils, k) a radial profile in a field."""
        disc = np.zeros(self._shape, np.complex64)
        for segment, share in enumerate(self._shares):
            for coil in range(self._shape[0]):
                radius = np.hypot(k[:, 0] - slopes[segment, coil, 0], k[:, 1] - slopes[segment, coil, 1])
                disc[coil] += share * np.complex64(fields[segment, coil]) * profile(radius, diameter).astype(np.float32)
        return disc

    def _field(self, centre: Floats) -> tuple[NDArray[np.complex128], Floats]:
        """(segments, coils) fields in the middle of a tube, and (segments, coils, 2) slopes of phase, cycles/mm."""
        x = centre[0] + _STEP * np.array([0.0, 1.0, -1.0, 0.0, 0.0])
        y = centre[1] + _STEP * np.array([0.0, 0.0, 0.0, 1.0, -1.0])
        at = self._scan.fields_at(x, y).astype(np.complex128)
        turns = [np.angle(at[..., 1 + 2 * axis] * at[..., 2 + 2 * axis].conj()) for axis in range(2)]
        return at[..., 0], np.stack(turns, axis=-1) / (2 * np.pi * 2 * _STEP)


def _area(radius: Floats, diameter: float) -> Floats:
    """Transform of a disc of value 1."""
    argument = np.maximum(np.pi * diameter * radius, 1e-6)
    return np.asarray(np.pi * diameter**2 / 2 * j1(argument) / argument)


def _rim(radius: Floats, diameter: float) -> Floats:
    """Its change per mm of diameter."""
    return np.asarray(np.pi * diameter / 2 * j0(np.pi * diameter * radius))
