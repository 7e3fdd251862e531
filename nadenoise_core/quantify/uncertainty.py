"""Standard errors from the averages themselves: the jackknife."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.readings import Tube


def jackknife_error(
    whole: ArrayLike, replicas: NDArray[np.floating], averages: int, left: Sequence[int]
) -> NDArray[np.float64]:
    """Standard error of what all averages tell, from what they tell without a group of them each.

    The delete-m_j jackknife (Busing, Meijer & van der Leeden, Statistics and Computing 9:3, 1999, eq. 6), whose groups
    need not be of one size. It holds for anything that depends smoothly on the averages: for a mean over a region of a
    denoised and calibrated image, the network's and the calibration's part of the error is in it.

    Args:
        whole: value of all averages, of any shape.
        replicas: (replicas, ...) values without a group.
        averages: number of averages in all.
        left: (replicas,) how many are left in each replica.

    Returns:
        Of the shape of `whole`; NaN for fewer than two groups.
    """
    whole = np.asarray(whole, np.float64)
    groups = len(left)
    if groups < 2:
        return np.full(whole.shape, np.nan)
    share = averages / (averages - np.asarray(left, np.float64).reshape(-1, *[1] * whole.ndim))  # 1 / part of a group
    pseudo = share * whole - (share - 1) * replicas
    mean = groups * whole - np.sum((1 - 1 / share) * replicas, axis=0)
    return np.asarray(np.sqrt(np.mean((pseudo - mean) ** 2 / (share - 1), axis=0)))


@dataclass(frozen=True, eq=False)
class Jackknife:
    """What an image tells without a group of its averages each, mmol/L.

    Attributes:
        maps: (replicas, rows, columns) aTSC.
        tubes: (replicas, tubes) what the tubes read.
        averages: in the image.
        left: (replicas,) averages in each replica.
    """

    maps: NDArray[np.float64]
    tubes: NDArray[np.float64]
    averages: int
    left: tuple[int, ...]

    def error_of_mean(self, mean: float, weights: NDArray[np.floating]) -> float:
        """Standard error of the mean of the map with weights, (rows, columns)."""
        means = np.tensordot(self.maps, weights, axes=2) / weights.sum()
        return float(jackknife_error(mean, means, self.averages, self.left))

    def error_of_map(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """(rows, columns) standard error of every pixel of the map."""
        return np.asarray(jackknife_error(values, self.maps, self.averages, self.left), np.float32)

    def with_errors(self, tubes: Sequence[Tube], line: Line) -> tuple[Tube, ...]:
        """The tubes, with the standard errors of what a line reads in them."""
        measured = line.concentration(np.array([tube.signal for tube in tubes]))
        errors = jackknife_error(measured, self.tubes, self.averages, self.left).tolist()
        return tuple(replace(tube, standard_error=error) for tube, error in zip(tubes, errors, strict=True))
