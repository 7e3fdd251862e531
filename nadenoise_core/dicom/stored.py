"""Pixels as 16-bit stored values, and the numbers that turn them back into units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nadenoise_core.dicom.product import Product
from nadenoise_core.mrd.facts import Kind

ATSC_STEP = 0.01  # mmol/L: 16 bits with a sign reach +-327 mmol/L, so noise below zero is kept

_ATSC_WINDOW = (50.0, 100.0)
_ERROR_WINDOW = (15.0, 30.0)
_MAGNITUDE_PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True, eq=False)
class Stored:
    """values: (rows, columns) little-endian int16 or uint16; value * slope is in the units of the product.

    window: (centre, width) in the same units.
    """

    values: npt.NDArray[Any]
    slope: float
    window: tuple[float, float]

    @property
    def signed(self) -> bool:
        """Whether the values are int16."""
        return self.values.dtype.kind == "i"

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest value that can be stored."""
        info = np.iinfo(self.values.dtype)
        return int(info.min), int(info.max)


def store(product: Product) -> Stored:
    """Round the pixels to stored values; what lies outside the range is clipped."""
    if product.facts.kind.is_concentration:
        window = _ERROR_WINDOW if product.facts.kind is Kind.ERROR else _ATSC_WINDOW
        return Stored(_round(product.pixels, ATSC_STEP, "<i2"), ATSC_STEP, product.window or window)
    slope = float(product.scale)
    window = product.window or _magnitude_window(product.pixels, slope)
    return Stored(_round(product.pixels, slope, "<u2"), slope, window)


def _round(pixels: npt.NDArray[Any], slope: float, dtype: str) -> npt.NDArray[Any]:
    info = np.iinfo(dtype)
    return np.rint(pixels.astype(np.float64) / slope).clip(info.min, info.max).astype(dtype)


def _magnitude_window(pixels: npt.NDArray[Any], slope: float) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(pixels, _MAGNITUDE_PERCENTILES))
    return (low + high) / 2, max(high - low, slope)
