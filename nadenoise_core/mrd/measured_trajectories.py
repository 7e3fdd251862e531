"""The trajectories of the averages of one interleaf, as a field camera measures one for each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR = 0.05  # cycles/FOV; at the edge of the field of view that costs (pi * 0.05)^2 / 2, 1.2 %
FAR = 2.0  # cycles/FOV; no drift of gradients moves a sample so far
_ROUNDING = 1e-4  # of its reach: what rounding may change between averages


@dataclass
class MeasuredTrajectory:
    """A trajectory as it came first, and the sum of all that are near to it if they differ.

    Attributes:
        given: as it was written.
        k: (samples, 2) in cycles/pixel.
        total: the sum of `count` trajectories; None where all are the first.
    """

    given: NDArray[np.float32]
    k: NDArray[np.float32]
    total: NDArray[np.float64] | None = None
    count: int = 1

    @property
    def mean(self) -> NDArray[np.float64]:
        """(samples, 2) in cycles/pixel."""
        return np.asarray(self.k if self.total is None else self.total / self.count, np.float64)

    def add(self, k: NDArray[np.float32]) -> None:
        """Take another trajectory that is near."""
        if self.total is None:
            self.total = np.asarray(self.k, np.float64) * self.count
        self.total += k
        self.count += 1

    def repeat(self) -> None:
        """Take the first trajectory once more."""
        self.count += 1
        if self.total is not None:
            self.total += self.k


class MeasuredTrajectories:
    """The trajectories of one interleaf and half-pulse: one where all averages are near to one another, else several.

    Args:
        given: the first trajectory, as it was written.
        k: the same, (samples, 2) in cycles/pixel.
        average: that it came with.
        matrix: (rows, columns) of the image.
    """

    def __init__(
        self, given: NDArray[np.float32], k: NDArray[np.float32], average: int, matrix: tuple[int, int]
    ) -> None:
        self.average = average
        self._to_field_of_view = np.array(matrix[::-1], np.float32)
        self._all = [MeasuredTrajectory(given, k)]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, number: int) -> MeasuredTrajectory:
        return self._all[number]

    def repeated(self, given: NDArray[np.float32]) -> int | None:
        """The number of a trajectory that is written as one before, the first or the last; None: it is another."""
        for number in {0, len(self._all) - 1}:
            if _is_same(given, self._all[number].given):
                self._all[number].repeat()
                return number
        return None

    def add(self, given: NDArray[np.float32], k: NDArray[np.float32]) -> tuple[int, float]:
        """The number of another trajectory, and how far it is from the first, cycles/FOV; beyond `FAR` it has none."""
        distance = self.distance(k, 0)
        if distance > FAR:
            return 0, distance
        for number in {0, len(self._all) - 1}:
            if self.distance(k, number) <= NEAR:
                self._all[number].add(k)
                return number, distance
        self._all.append(MeasuredTrajectory(given, k))
        return len(self._all) - 1, distance

    def distance(self, k: NDArray[np.floating], number: int) -> float:
        """How far a trajectory is from that of a number, at most, cycles/FOV."""
        return float(np.abs((k - self._all[number].k) * self._to_field_of_view).max())


class ArmNumbers:
    """Numbers for interleaves that no counter counts: those with one trajectory have one number, by their arrival."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._arms: list[NDArray[np.float32]] = []

    def number_of(self, given: NDArray[np.float32]) -> int:
        """The number of the interleaf of a trajectory, (samples, 2 or 3) as it was written."""
        written = given.tobytes()
        number = self._numbers.get(written)
        if number is None:
            same = (n for n, arm in enumerate(self._arms) if _is_same(given, arm))
            number = self._numbers[written] = next(same, len(self._arms))
            if number == len(self._arms):
                self._arms.append(given)
        return number


def _is_same(trajectory: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two trajectories are the same but for rounding."""
    if trajectory.tobytes() == other.tobytes() and trajectory.shape == other.shape:
        return True
    tolerance = _ROUNDING * float(np.abs(other).max(initial=0))
    return trajectory.shape == other.shape and bool(np.all(np.abs(trajectory - other) <= tolerance))
