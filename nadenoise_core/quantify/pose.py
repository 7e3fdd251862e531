"""Where labels lie against the scan: a shift, a turn and a stretch about their own middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.enums import StrEnum

Floats = NDArray[np.float64]


class PoseKind(StrEnum):
    """What of the pose is fitted."""

    OFF = "off"
    SHIFT = "shift"
    RIGID = "rigid"
    SIMILARITY = "similarity"

    @property
    def parameters(self) -> int:
        """How many of (shift x, shift y, angle, scale) are free."""
        return {"off": 0, "shift": 2, "rigid": 3, "similarity": 4}[self.value]


@dataclass(frozen=True)
class Pose:
    """A place r of the labels lies at `middle + shift + scale * R(angle) (r - middle)` in the scan.

    Attributes:
        shift: (x, y) mm.
        angle: degrees, from x towards y.
        scale: 1 leaves the labels as large as they are.
        standard_error: of (shift x, shift y, angle, scale) in the same units; 0 for what is not fitted.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    scale: float = 1.0
    standard_error: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)

    LARGEST_SHIFT = 15.0
    LARGEST_ANGLE = 15.0
    LARGEST_STRETCH = 0.08

    @property
    def within_limits(self) -> bool:
        """Whether labels of the same leg can lie so: within 15 mm, 15 degrees and 8 %."""
        return (
            bool(np.hypot(*self.shift) <= self.LARGEST_SHIFT)
            and abs(self.angle) <= self.LARGEST_ANGLE
            and abs(self.scale - 1) <= self.LARGEST_STRETCH
        )

    @property
    def matrix(self) -> Floats:
        """(2, 2) scale * R(angle)."""
        turn = np.radians(self.angle)
        return self.scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def moved(self, step: Floats) -> Pose:
        """The pose after a step in the free ones of (shift x, shift y, angle in radians, relative stretch)."""
        dx, dy, turn, stretch = np.concatenate([step, np.zeros(4 - len(step))])
        return Pose(
            (self.shift[0] + float(dx), self.shift[1] + float(dy)),
            self.angle + float(np.degrees(turn)),
            self.scale * (1 + float(stretch)),
        )
