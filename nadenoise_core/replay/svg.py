"""Panels as drawings of a page: sharp at any size, and no larger than the image itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.facts import AtscFacts
from nadenoise_core.replay.html import embedded
from nadenoise_core.replay.panels import Panel

OUTLINES = ("#ffffff", "#ff9d3c", "#ff7fd0", "#5fe3ff", "#ff5a4d", "#d6e04a")
BEFORE = "#a8a8a8"  # outlines before their pose was fitted
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
        outlines=tuple(_outlines(panel)),
        dark=panel.low >= 0,
    )


def outline_colours(labels: Iterable[int]) -> dict[int, str]:
    """Colour of every label, in the order of the labels."""
    return {label: OUTLINES[number % len(OUTLINES)] for number, label in enumerate(sorted(set(labels)))}


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
    import matplotlib.image

    encoded = BytesIO()
    matplotlib.image.imsave(encoded, values, cmap=panel.colours, vmin=panel.low, vmax=panel.high, format="png")
    return embedded(encoded.getvalue())


def _outlines(panel: Panel) -> list[tuple[str, str]]:
    """The edges of the pixels of every region, as SVG paths in mm; first, in grey, as they were drawn before a pose."""
    found = []
    if panel.drawn is not None:
        found.append((_edges(panel.drawn, panel), BEFORE))
    if panel.labels is not None:
        colours = outline_colours(int(label) for label in np.unique(panel.labels) if label > 0)
        found += [(_edges(np.where(panel.labels == label, 1, 0), panel), colour) for label, colour in colours.items()]
    return found


def _edges(labels: NDArray[np.int64], panel: Panel) -> str:
    """The edges between the labels of a map, as an SVG path in mm."""
    left, right, bottom, top = panel.extent
    rows, columns = labels.shape
    width, height = (right - left) / columns, (bottom - top) / rows
    padded = np.pad(labels, 1)
    across = np.argwhere(np.diff(padded, axis=0)[:, 1:-1])  # edges that run along a row, above row r
    down = np.argwhere(np.diff(padded, axis=1)[1:-1])
    parts = [f"M{left + c * width:.2f} {top + r * height:.2f}h{width:.2f}" for r, c in across.tolist()]
    parts += [f"M{left + c * width:.2f} {top + r * height:.2f}v{height:.2f}" for r, c in down.tolist()]
    return "".join(parts)
