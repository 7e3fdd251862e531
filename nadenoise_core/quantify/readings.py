"""What is read in an image: reference tubes, and regions of tissue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import nan


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


class RegionMethod(Enum):
    """How the concentration of a region was found."""

    FIT = "fit"  # of the regions' amplitudes to the averaged k-space
    GTM = "GTM"  # geometric transfer matrix, on the image
    MEAN = "mean"  # of the pixels of the plain map
    DENOISED_MEAN = "denoised mean"


@dataclass(frozen=True)
class RegionReading:
    """The concentration of one region. What is not known is NaN, or an empty text.

    Attributes:
        label: number of the region in its label map.
        atsc: mmol/L.
        method: how it was found.
        std: standard deviation of its pixels, mmol/L.
        pixels: its size, in pixels.
        standard_error: of `atsc`, mmol/L.
        name: of the region.
        area: mm^2.
        residual: what the method left unexplained in the region, in units of noise.
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
