"""What is read in an image: reference tubes, and regions of tissue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot, isnan, nan

from nadenoise_core.enums import StrEnum

QUANTILE = 1.959963984540054
"""Of the normal distribution: 95 % lie within so many standard errors."""

LABEL_UNCERTAINTY = 0.1
"""Of a boundary, mm, where none is given: a fifth of a pixel of a good 1H image, all along the boundary."""


@dataclass(frozen=True)
class Tube:
    """One reference tube in an image.

    Attributes:
        concentration: mmol/L, as prepared.
        centre: (x, y) in mm from the centre of the field of view.
        diameter: mm.
        signal: mean in the centre of the tube, corrected for blur and ringing of a disc of this diameter.
        std: standard deviation of the pixels in the centre.
        pixels: size of that region, in pixels.
        standard_error: of the concentration that the calibration line reads here, mmol/L; NaN if it is not known.
    """

    concentration: float
    centre: tuple[float, float]
    diameter: float
    signal: float
    std: float
    pixels: float
    standard_error: float = nan


class RegionMethod(StrEnum):
    """How the concentration of a region was found, from the best to the worst."""

    FIT = "fit"  # of the regions' amplitudes to the averaged k-space
    GTM = "GTM"  # geometric transfer matrix, on the image
    MEAN = "mean"  # of the pixels of the plain map
    DENOISED_MEAN = "denoised mean"


BY_FIT = (RegionMethod.FIT, RegionMethod.GTM)
"""Free of partial volume."""


@dataclass(frozen=True)
class RegionReading:
    """The concentration of one region. What is not known is NaN, or an empty text.

    Attributes:
        label: number of the region in its label map; 0 for tissue without a label, and for several labels merged.
        atsc: mmol/L.
        method: how it was found.
        std: standard deviation of its pixels, mmol/L.
        pixels: its size, in pixels.
        standard_error: of `atsc` by noise and calibration, mmol/L.
        name: of the region.
        area: mm^2.
        residual: what the method left unexplained in the region, in units of noise.
        residual_limit: of `residual`, which a model that is right exceeds once in a thousand scans.
        label_error: standard error of `atsc` by outlines that lie off by their uncertainty, mmol/L.
        freedom: degrees of freedom that `standard_error` is told by; NaN: as good as infinite.
    """

    label: int
    atsc: float
    method: RegionMethod
    std: float = nan
    pixels: float = nan
    standard_error: float = nan
    name: str = ""
    area: float = nan
    residual: float = nan
    residual_limit: float = nan
    label_error: float = nan
    freedom: float = nan

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name or f"label {self.label}"

    @property
    def total_error(self) -> float:
        """Standard error by noise, calibration and, where it is known, outlines together."""
        return self.standard_error if isnan(self.label_error) else hypot(self.standard_error, self.label_error)

    @property
    def quantile(self) -> float:
        """Standard errors within which 95 % lie."""
        if isnan(self.freedom):
            return QUANTILE
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.975))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `total_error`; Student's, where few degrees of freedom tell it."""
        reach = self.quantile * self.total_error
        return self.atsc - reach, self.atsc + reach

    @property
    def is_explained(self) -> bool:
        """Whether the method left nothing but noise, as far as it is known."""
        return not self.residual > self.residual_limit


def best_of(readings: Iterable[RegionReading]) -> tuple[RegionReading, ...]:
    """Each region by the best method that it was read by, in the order in which they first came."""
    best: dict[str, RegionReading] = {}
    order = list(RegionMethod)
    for reading in readings:
        other = best.get(reading.title)
        if other is None or order.index(reading.method) < order.index(other.method):
            best[reading.title] = reading
    return tuple(best.values())
