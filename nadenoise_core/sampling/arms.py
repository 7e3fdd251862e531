"""What the samples themselves say of a spiral: whether it is one, and whether all of its arms are there.

Headers are often wrong about the number of interleaves; the arms are not. A set of arms is whole when they are rotated
copies of one, all around the circle, and close enough for the field of view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_TURN = np.pi / 4  # of a spiral arm, radians; a spoke has none, but for its errors
_LARGEST_START = 0.2  # of the largest radius
_LARGEST_MISS = (
    0.05  # of the largest radius, by which a readout in and out may miss the centre; a row misses it by more
)
_ROTATED = 0.1  # how far copies may differ, of their size
_LEAST_GAP, _LARGEST_GAP = 0.3, 1.5  # of the mean angle between arms
_LARGEST_STEP = 1.5  # Nyquist intervals from one arm to the next
_TWIN = 0.01  # of the mean angle between arms
_INSIDE = 0.1  # of a readout, from either end
_CONTINUOUS = 0.25  # of the largest radius from one sample to the next
_WHOLE = 0.1  # how near to a whole number of steps a gap is


@dataclass(frozen=True)
class Arms:
    """Angles between the arms of a spiral.

    Attributes:
        gaps: (arms,) angles from each arm to the next, radians; they sum to 2 pi.
        step: radial distance from one arm to the next, if they are evenly around, in Nyquist intervals.
    """

    gaps: NDArray[np.float64]
    step: float

    @property
    def whole(self) -> bool:
        """Whether the arms cover k-space: evenly around, and at Nyquist's distance."""
        relative = self.gaps / self.gaps.mean()
        even = bool(relative.min() >= _LEAST_GAP and relative.max() <= _LARGEST_GAP)
        return even and not self.missing and self.step <= _LARGEST_STEP

    @property
    def widest(self) -> float:
        """Radial distance from one arm to the next where it is largest, in Nyquist intervals."""
        return float(self.step * self.gaps.max() / self.gaps.mean())

    @property
    def twins(self) -> bool:
        """Whether some arms lie upon each other."""
        return len(self.gaps) > 1 and bool(self.gaps.min() < _TWIN * self.gaps.mean())

    @property
    def missing(self) -> int:
        """How many arms of an even set are not there; 0 where the set is not even, or whole."""
        if self.gaps.min() < 0.1 * self.gaps.mean():
            return 0
        steps = self.gaps / self.gaps.min()
        even = bool(np.all(np.abs(steps - np.rint(steps)) < _WHOLE))
        return int(np.rint(steps).sum()) - len(steps) if even else 0


def echo(k: NDArray[np.floating]) -> int:
    """The sample of a readout that is nearest to the centre of k-space: the first of arms that run outwards.

    Args:
        k: (arms, samples, 2), in any unit.
    """
    return int(np.median(np.linalg.norm(k, axis=-1), axis=0).argmin())


def outer_half(k: NDArray[np.floating]) -> slice | NDArray[np.intp]:
    """Which samples of an arm are the half that is farther from the centre of k-space, whichever way it runs.

    Args:
        k: (samples, 2), in any unit.
    """
    radius = np.linalg.norm(k, axis=-1)
    outer = np.sort(np.argsort(radius, kind="stable")[len(radius) // 2 :])
    start, stop = int(outer[0]), int(outer[-1]) + 1
    return slice(start, stop) if stop - start == len(outer) else outer


def is_spiral(arm: NDArray[np.floating]) -> bool:
    """Whether a readout, (samples, 2), winds about the centre of k-space, from it, towards it, or both."""
    radius, angle = _polar(arm)
    centre = int(radius.argmin())
    inside = 0 < centre < len(radius) - 1
    if radius[centre] > (_LARGEST_MISS if inside else _LARGEST_START) * radius.max() or not is_continuous(arm):
        return False
    return any(_winds(radius[part], angle[part]) for part in (slice(centre), slice(centre, None)))


def is_continuous(arm: NDArray[np.floating]) -> bool:
    """Whether the samples of a readout, (samples, 2), follow one another: gradients cannot leap."""
    largest, leap = (float((part * part).sum(axis=1).max(initial=0)) for part in (arm, np.diff(arm, axis=0)))
    return leap <= _CONTINUOUS**2 * largest


def compare_arms(k: NDArray[np.floating], matrix: int) -> Arms | None:
    """The angles between arms, None where they are no rotated copies of one another.

    Args:
        k: (arms, samples, 2) in cycles/pixel.
        matrix: pixels along the field of view.
    """
    arms = k[..., 0] + 1j * k[..., 1]
    turned = np.array([np.vdot(arms[0], arm) for arm in arms])
    size = float(np.vdot(arms[0], arms[0]).real)
    if not size > 0:
        return None
    rotations = turned / np.where(np.abs(turned) > 0, np.abs(turned), 1)
    if np.max(np.sum(np.abs(arms - rotations[:, None] * arms[0]) ** 2, axis=1)) > _ROTATED**2 * size:
        return None
    radius, angle = _polar(k[0])
    inside = _INSIDE * len(radius) < radius.argmin() < (1 - _INSIDE) * len(radius)
    # A readout in and out is two arms, opposite one another.
    angles = np.sort(np.angle(np.concatenate([rotations, -rotations]) if inside else rotations))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    outer = radius > 0.1 * radius.max()
    turns = np.abs(np.diff(angle[outer])) / (2 * np.pi)
    steps = np.abs(np.diff(radius[outer]))[turns > 0] / turns[turns > 0]
    return Arms(gaps, float(np.median(steps)) * matrix / len(angles) if len(steps) else float("inf"))


def _winds(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> bool:
    outer = radius > 0.1 * radius.max(initial=0)
    return bool(np.count_nonzero(outer) >= 3 and abs(angle[outer][-1] - angle[outer][0]) > _LEAST_TURN)


def _polar(arm: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    z = np.asarray(arm[..., 0] + 1j * arm[..., 1], np.complex128)
    return np.abs(z), np.unwrap(np.angle(z))
