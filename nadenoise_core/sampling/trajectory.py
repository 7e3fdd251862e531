"""One unit for every trajectory: cycles per pixel of the image to be made.

ISMRMRD does not say in which unit `traj` is. Four are usual, and those of simulators and field cameras occur; they are
told apart by how far the samples reach compared with the edge of k-space that the encoded matrix implies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import TrajectoryError


class TrajectoryUnit(StrEnum):
    """Units in which trajectories are written."""

    CYCLES_PER_PIXEL = "cycles/pixel"
    RADIANS_PER_PIXEL = "radians/pixel"
    CYCLES_PER_FOV = "cycles/FOV"
    PER_METRE = "1/m"
    PER_CENTIMETRE = "1/cm"
    PER_MILLIMETRE = "1/mm"
    RADIANS_PER_METRE = "radians/m"
    RADIANS_PER_MILLIMETRE = "radians/mm"


TRAJECTORY_UNITS = tuple(TrajectoryUnit)
_USUAL = TRAJECTORY_UNITS[:4]

# A full-resolution spiral reaches the edge; one that covers less than this part of the way is not recognised.
_LEAST_REACH = 0.4
_FULL_REACH = 0.9  # of a full-resolution spiral
_BESIDE_PLANE = 0.01  # of the largest value; a density weight is not negative
# Measured trajectories overshoot a little.
BEYOND_EDGE = 1.02


@dataclass(frozen=True)
class Encoding:
    """What the scan encodes and what is to be made of it; lengths in mm, (rows, columns) = (phase, read)."""

    matrix: tuple[int, int]
    field_of_view: tuple[float, float]
    encoded_matrix: tuple[int, int]
    encoded_field_of_view: tuple[float, float]

    @property
    def pixel(self) -> tuple[float, float]:
        """Pixel size of the image, mm."""
        return self.field_of_view[0] / self.matrix[0], self.field_of_view[1] / self.matrix[1]

    @property
    def encoded_pixel(self) -> tuple[float, float]:
        """Pixel size of the encoded matrix, mm: the one that trajectory units refer to."""
        return (
            self.encoded_field_of_view[0] / self.encoded_matrix[0],
            self.encoded_field_of_view[1] / self.encoded_matrix[1],
        )


def normalise_trajectory(
    raw: NDArray[np.floating], encoding: Encoding, unit: str | None = None
) -> tuple[NDArray[np.float32], str]:
    """Convert a trajectory to cycles/pixel of the image, once.

    Args:
        raw: (..., samples, 2 or 3), columns (read, phase[, density weight]) in any of `TRAJECTORY_UNITS`.
        encoding: matrix and field of view of the scan and of the image.
        unit: one of `TRAJECTORY_UNITS`, or None to find out.

    Returns:
        (..., samples, 2) float32 in cycles/pixel, columns (read, phase), and the unit it was given in.

    Raises:
        TrajectoryError: values that are not finite, no or several units that fit, or samples beyond the matrix.
    """
    if np.shape(raw)[-1] not in (2, 3) or np.size(raw) == 0:
        raise TrajectoryError(
            f"the trajectory has shape {np.shape(raw)}; it needs samples, and 2 or 3 columns: read, phase, weight"
        )
    k = np.asarray(raw, dtype=np.float64)[..., :2]
    if not np.all(np.isfinite(k)):
        raise TrajectoryError("the trajectory holds NaN or infinite values; the raw file must be written anew")
    if not k.any():
        raise TrajectoryError("the trajectory is 0 throughout; convert the raw data with one")
    if np.any(np.asarray(raw)[..., 2:] < -_BESIDE_PLANE * np.abs(k).max()):
        raise TrajectoryError(
            "the third column of the trajectory is no density weight, since it is negative, but kz: nadenoise "
            "reconstructs slices"
        )
    edge = _units_at_edge(encoding)
    if unit is None:
        # In units of the edge of encoded k-space, were the values given in each of the units.
        largest = np.abs(k).reshape(-1, 2).max(axis=0)
        reach = {name: float(np.max(largest / values)) for name, values in edge.items()}
        unit = _detect(reach, float(np.max(np.linalg.norm(k, axis=-1))))
    elif unit not in edge:
        raise TrajectoryError(f"unknown trajectory unit '{unit}'; use one of {', '.join(TRAJECTORY_UNITS)}")
    encoded = 0.5 * k / edge[unit]
    pixel = np.asarray(encoding.pixel[::-1]) / np.asarray(encoding.encoded_pixel[::-1])
    cycles_per_pixel = encoded * pixel
    furthest = float(np.max(np.abs(cycles_per_pixel)))
    if furthest > 0.5 * BEYOND_EDGE:
        raise TrajectoryError(
            f"the trajectory reaches {furthest:.3f} cycles/pixel (read as {unit}), beyond the 0.5 of matrix "
            f"{encoding.matrix[1]}x{encoding.matrix[0]}; correct reconSpace in the header or set trajectory_unit"
        )
    return cycles_per_pixel.astype(np.float32), unit


def _units_at_edge(encoding: Encoding) -> dict[str, NDArray[np.float64]]:
    """The value of each unit at the edge of encoded k-space, along (read, phase)."""
    matrix = np.asarray(encoding.encoded_matrix[::-1], dtype=np.float64)
    per_mm = 1 / (2 * np.asarray(encoding.encoded_pixel[::-1]))
    return {
        TrajectoryUnit.CYCLES_PER_PIXEL: np.full(2, 0.5),
        TrajectoryUnit.RADIANS_PER_PIXEL: np.full(2, np.pi),
        TrajectoryUnit.CYCLES_PER_FOV: matrix / 2,
        TrajectoryUnit.PER_METRE: 1000 * per_mm,
        TrajectoryUnit.PER_CENTIMETRE: 10 * per_mm,
        TrajectoryUnit.PER_MILLIMETRE: per_mm,
        TrajectoryUnit.RADIANS_PER_METRE: 2000 * np.pi * per_mm,
        TrajectoryUnit.RADIANS_PER_MILLIMETRE: 2 * np.pi * per_mm,
    }


def _detect(reach: dict[str, float], furthest: float) -> str:
    usual = [name for name in _USUAL if _LEAST_REACH <= reach[name] <= BEYOND_EDGE]
    full = [name for name, part in reach.items() if _FULL_REACH <= part <= BEYOND_EDGE]
    # What reaches the edge in a usual unit is in that; else a unit in which it does so counts as much as a usual one.
    fitting = usual if set(usual) & set(full) else list(dict.fromkeys([*usual, *full]))
    if len(fitting) == 1:
        return fitting[0]
    parts = ", ".join(f"{name} {part:.2g}" for name, part in reach.items())
    if fitting:
        problem = f"fits several units ({', '.join(fitting)})"
    else:
        problem = f"fits no unit: it would reach these parts of the way to the edge of k-space: {parts}"
    raise TrajectoryError(
        f"the trajectory, with max |k| = {furthest:.4g}, {problem}; it may lie beyond the matrix of the header, "
        f"else set trajectory_unit to one of {', '.join(TRAJECTORY_UNITS)}"
    )
