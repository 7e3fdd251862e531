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
_SOFT = 4 / 3
"""Variance of a slice's profile over that of a box: half-pulses of few lobes have edges of a sixth of the thickness."""


@dataclass(frozen=True, eq=False)
class TubeDiscs:
    """Places of the reference tubes.

    Attributes:
        centres: (tubes, 2) as (x, y), mm from the centre of the field of view.
        diameter: of all of them, mm.
        spread: (tubes, 3) xx, xy and yy of what the lean of a tube adds to its image: the square of the line along
            which the layers of the slice see it, mm^2; None: they stand upright.
    """

    centres: Floats
    diameter: float
    spread: Floats | None = None


class TubeColumns:
    """Reference tubes as a scan sees them.

    Args:
        readouts: of the scan.
        gain: signal of tube solution relative to that of tissue under the scan's fields, (tubes,); None: 1.
        decay: (samples,) signal that is left at every sample; None: all of it.
        thickness: of the slice, mm; without it tubes cannot lean.

    Within a tube a field is taken as its value in the middle, times a phase that changes evenly: a shift in k-space.
    """

    def __init__(
        self,
        readouts: Readouts,
        gain: Floats | None = None,
        decay: Floats | None = None,
        thickness: float | None = None,
    ) -> None:
        self._scan, self._gain, self.thickness = readouts, gain, thickness
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
            if discs.spread is not None:
                columns[index] *= self._lean(discs, index)[0]
            if with_diameter:
                wider[index] = (self._discs(k, discs.diameter, fields, slopes, _rim) * place).reshape(-1)
                if discs.spread is not None:
                    wider[index] *= self._lean(discs, index)[0]
            for axis in range(2):
                np.multiply(columns[index], self._slopes[axis], out=moved[index, axis])
        return columns, moved, wider

    def leaning(self, discs: TubeDiscs, columns: Complexes) -> Complexes:
        """(tubes, 3, samples) change of the columns per mm^2 of `TubeDiscs.spread`."""
        out = np.empty((len(columns), 3, columns.shape[1]), np.complex64)
        for index, column in enumerate(columns):
            factor, slopes = self._lean(discs, index)
            # Where a leaning tube has a zero, its change has none that matters.
            plain = column / np.where(np.abs(factor) > 1e-3, factor, 1e-3)
            out[index] = plain * slopes
        return out

    def tilt(self, discs: TubeDiscs, index: int) -> float:
        """By how much a tube leans against the normal of the slice, degrees."""
        if discs.spread is None or self.thickness is None:
            return 0.0
        return float(np.degrees(np.arctan(np.sqrt(max(self._tangent_squared(discs, index), 0.0)))))

    def _tangent_squared(self, discs: TubeDiscs, index: int) -> float:
        assert discs.spread is not None and self.thickness is not None
        return float(discs.spread[index, 0] + discs.spread[index, 2]) / self._depth_squared(discs)

    def _depth_squared(self, discs: TubeDiscs) -> float:
        """Square of the depth that spreads a tube by its tangent: of the slice, and of the longer section."""
        assert self.thickness is not None
        return _SOFT * self.thickness**2 + 3 * (discs.diameter / 2) ** 2

    def _lean(self, discs: TubeDiscs, index: int) -> tuple[Floats, Floats]:
        """(samples,) factor of a tube that leans, and its change (3, samples) with the spread.

        A cylinder that leans is seen a little further on by each layer, and cut in a longer section, of larger area.
        """
        spread = np.zeros(3) if discs.spread is None else discs.spread[index]
        x, y = self._scan.k.T
        forms = np.stack([x**2, 2 * x * y, y**2])
        blur, change = _line(spread @ forms)
        depth = self._depth_squared(discs)
        area = np.sqrt(1 + max(spread[0] + spread[2], 0.0) / depth)
        slopes = area * change * forms
        slopes[[0, 2]] += blur / (2 * area * depth)
        coils = self._shape[0]
        return np.tile(area * blur, coils), np.tile(slopes, (1, coils))

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


def _line(squared: Floats) -> tuple[Floats, Floats]:
    """sin(pi q) / (pi q) of q^2, which may be below 0, and its change with q^2."""
    root = np.pi * np.sqrt(np.maximum(np.abs(squared), 1e-6))
    positive = squared >= 0
    root_of_negative = np.minimum(root, 3.0)
    value = np.where(positive, np.sin(root) / root, np.sinh(root_of_negative) / root_of_negative)
    even = np.where(positive, np.cos(root), np.cosh(root_of_negative))
    return value, (even - value) / (2 * np.where(positive, 1, -1) * root**2 / np.pi**2)


def _area(radius: Floats, diameter: float) -> Floats:
    """Transform of a disc of value 1."""
    argument = np.maximum(np.pi * diameter * radius, 1e-6)
    return np.asarray(np.pi * diameter**2 / 2 * j1(argument) / argument)


def _rim(radius: Floats, diameter: float) -> Floats:
    """Its change per mm of diameter."""
    return np.asarray(np.pi * diameter / 2 * j0(np.pi * diameter * radius))
