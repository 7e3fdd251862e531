"""The calibration line: signal against known concentration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import CalibrationError

LEAST_R2 = 0.9


class Intercept(StrEnum):
    """Calibration lines: through the 0 of air, or with an intercept of their own."""

    ZERO = "zero"
    FITTED = "fitted"


@dataclass(frozen=True)
class Slope:
    """Signal per mmol/L, as tubes tell it.

    Attributes:
        value: in the unit of the image per mmol/L.
        standard_error: in the same unit.
    """

    value: float
    standard_error: float


@dataclass(frozen=True)
class Line:
    """`signal = slope * concentration + intercept` (paper, section 2.6).

    Attributes:
        slope: signal per mmol/L.
        intercept: signal at 0 mmol/L; 0 for a line through zero.
        r2: share of the variance of the signals that the line explains.
    """

    slope: float
    intercept: float
    r2: float

    def concentration(self, signal: NDArray[np.floating]) -> NDArray[np.float64]:
        """Concentration in mmol/L of a signal; any shape."""
        return (np.asarray(signal, np.float64) - self.intercept) / self.slope


@dataclass(frozen=True)
class Calibration(Line):
    """The line with its errors.

    Attributes:
        covariance: (2, 2) of (slope, intercept), from the scatter of the tubes about the line.
    """

    covariance: tuple[tuple[float, float], tuple[float, float]]

    @property
    def line(self) -> Line:
        """The line alone."""
        return Line(self.slope, self.intercept, self.r2)

    def standard_error(
        self, concentration: NDArray[np.floating], noise_std: float | NDArray[np.floating], pixels: float = 1.0
    ) -> NDArray[np.float64]:
        """Standard error of a concentration, mmol/L, to first order in noise and in the scatter of the tubes.

        Args:
            concentration: any shape, mmol/L.
            noise_std: standard deviation of the signal of one pixel; a number, or one a pixel.
            pixels: independent pixels that were averaged.
        """
        c = np.asarray(concentration, np.float64)
        (slope_variance, shared), (_, intercept_variance) = self.covariance
        line = c**2 * slope_variance + 2 * c * shared + intercept_variance
        return np.sqrt(np.maximum(line, 0) + noise_std**2 / pixels) / abs(self.slope)


def fit_calibration(
    concentrations: Sequence[float], signals: Sequence[float], through_zero: bool = False
) -> Calibration:
    """Fit the calibration line of the tubes by least squares.

    Args:
        concentrations: mmol/L.
        signals: means in the tubes.
        through_zero: without intercept, for images in which air has mean 0 (complex images in phase). With five tubes
            this more than halves the error of the line at the concentration of muscle.

    Raises:
        CalibrationError: fewer than three tubes or a line that rises by chance: slope not above 0, or R2 below 0.9.
    """
    c = np.asarray(concentrations, np.float64)
    s = np.asarray(signals, np.float64)
    if np.unique(c).size < 3:
        raise CalibrationError(
            f"calibration needs at least three concentrations, there are {np.unique(c).size}; name all tubes"
        )
    design = c[:, None] if through_zero else np.stack([c, np.ones_like(c)], axis=1)
    line = np.linalg.lstsq(design, s, rcond=None)[0]
    slope, intercept = (*line, 0.0)[:2]
    scatter = float(np.sum((s - design @ line) ** 2))
    r2 = 1 - scatter / float(np.sum((s - s.mean()) ** 2)) if np.ptp(s) > 0 else 0.0
    if not (slope > 0 and r2 >= LEAST_R2):
        raise CalibrationError(
            f"the tubes do not give a calibration line: slope {slope:.3g}, R2 {r2:.3f} (at least {LEAST_R2} needed); "
            "check tube_diameter, tube_positions and concentrations"
        )
    covariance = np.zeros((2, 2))
    covariance[: line.size, : line.size] = scatter / (c.size - line.size) * np.linalg.inv(design.T @ design)
    return Calibration(
        slope=float(slope),
        intercept=float(intercept),
        r2=r2,
        covariance=(
            (float(covariance[0, 0]), float(covariance[0, 1])),
            (float(covariance[1, 0]), float(covariance[1, 1])),
        ),
    )
