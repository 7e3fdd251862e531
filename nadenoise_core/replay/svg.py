"""Panels as drawings of a page: sharp at any size, and no larger than the image itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.colours import coloured, png
from nadenoise_core.mrd.facts import AtscFacts
from nadenoise_core.replay.html import embedded
from nadenoise_core.replay.outlines import outlines
from nadenoise_core.replay.panels import Panel

_BAR_STEPS = 64
_PLOT = (300.0, 220.0)  # width and height of a calibration plot
_MARGINS = (46.0, 14.0, 16.0, 36.0)  # left, right, top, bottom


@dataclass(frozen=True)
class Drawing:
    """A panel for the template: what is drawn, in mm.

    Attributes:
        title, unit, low, high, marks, tubes: as of the panel.
        png: the image, base64; one pixel a pixel.
        bar: the colours from low to high, base64.
        left, top, width, height: mm.
        outlines: (path, colour) of every region.
        dark: whether marks are drawn in white.
    """

    title: str
    unit: str
    low: float
    high: float
    marks: tuple[str, str, str, str]
    tubes: tuple[tuple[float, float, float], ...]
    png: str
    bar: str
    left: float
    top: float
    width: float
    height: float
    outlines: tuple[tuple[str, str], ...]
    dark: bool


def drawing(panel: Panel) -> Drawing:
    """A panel as the template takes it."""
    left, right, bottom, top = panel.extent
    ramp = np.linspace(panel.low, panel.high, _BAR_STEPS, dtype=np.float32)[None]
    return Drawing(
        title=panel.title,
        unit=panel.unit,
        low=panel.low,
        high=panel.high,
        marks=panel.marks,
        tubes=panel.tubes,
        png=_png(panel.values, panel),
        bar=_png(ramp, panel),
        left=left,
        top=top,
        width=right - left,
        height=bottom - top,
        outlines=tuple((_path(edges), colour) for edges, colour in outlines(panel)),
        dark=panel.low >= 0,
    )


@dataclass(frozen=True)
class CalibrationPlot:
    """Points and line in units of a drawing of `width` x `height`.

    Attributes:
        points: (x, y, half of the error bar, concentration) of every tube.
        line: (x, y, x, y) of its ends.
        base: y of the axis.
    """

    width: float
    height: float
    left: float
    base: float
    points: tuple[tuple[float, float, float, float], ...]
    line: tuple[float, float, float, float]


def calibration_plot(atsc: AtscFacts) -> CalibrationPlot:
    """The tubes and the line through them."""
    width, height = _PLOT
    left, right, top, bottom = _MARGINS
    reach = max(tube.concentration for tube in atsc.tubes)
    ends = (atsc.line.intercept, atsc.line.slope * reach + atsc.line.intercept)
    highest, lowest = max(*ends, *(tube.signal for tube in atsc.tubes)), min(0.0, ends[0])
    span = highest - lowest

    def place(concentration: float, signal: float) -> tuple[float, float]:
        x = left + concentration / reach * (width - left - right)
        return x, height - bottom - (signal - lowest) / span * (height - top - bottom)

    errors = [tube.std / tube.pixels**0.5 / span * (height - top - bottom) for tube in atsc.tubes]
    return CalibrationPlot(
        width=width,
        height=height,
        left=left,
        base=height - bottom,
        points=tuple(
            (*place(tube.concentration, tube.signal), error, tube.concentration)
            for tube, error in zip(atsc.tubes, errors, strict=True)
        ),
        line=(*place(0.0, ends[0]), *place(reach, ends[1])),
    )


def _png(values: NDArray[np.float32], panel: Panel) -> str:
    return embedded(png(coloured(values, panel.low, panel.high, panel.colours)))


def _path(edges: NDArray[np.float64]) -> str:
    """Lines (lines, 4) as an SVG path."""
    return "".join(f"M{x0:.2f} {y0:.2f}L{x1:.2f} {y1:.2f}" for x0, y0, x1, y1 in edges.tolist())
