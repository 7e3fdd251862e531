"""One picture of a replay: every place's images, its aTSC map and its calibration line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nadenoise_core.colours import coloured
from nadenoise_core.files import whole_file
from nadenoise_core.mrd.facts import AtscFacts, Kind
from nadenoise_core.replay.outlines import outlines
from nadenoise_core.replay.panels import Panel, panels_of
from nadenoise_core.replay.places import places_of
from nadenoise_core.replay.svg import calibration_plot

if TYPE_CHECKING:
    import ismrmrd

_MOST_ROWS = 8
_FINER = 2  # drawn larger and then reduced, so that lines are smooth
_SIDE = 360 * _FINER  # of a panel
_RIGHT, _ABOVE, _GAP = 84 * _FINER, 34 * _FINER, 14 * _FINER  # room for the colours, for the title, around all
_HEIGHT = _SIDE + _ABOVE + _GAP  # of a panel with its room
_BAR, _BAR_STEPS = 14 * _FINER, 64
_RULER = 20  # mm
_LINE, _SMALL, _LARGE = _FINER, 13 * _FINER, 16 * _FINER
_PAPER, _INK, _SOFT, _POINT = "#ffffff", "#111111", "#8a94a3", "#2b6cb0"


def draw_overview(images: Sequence[ismrmrd.Image], path: Path) -> None:
    """Write the picture of a replay as a PNG file."""
    with whole_file(path) as unfinished:
        picture_of(images).save(unfinished, format="PNG", compress_level=4)


def picture_of(images: Sequence[ismrmrd.Image]) -> Image.Image:
    """Draw the first places, a row each: signal, what the network took away, aTSC in mmol/L, calibration line.

    Args:
        images: those that a chain gave, in order.
    """
    places = places_of(images)
    rows = [(place.name, panels_of(place), place.facts(Kind.ATSC)) for place in places[:_MOST_ROWS]]
    columns = max((len(panels) + (atsc is not None) for _, panels, atsc in rows), default=1)
    with_bar = {column for _, panels, _ in rows for column, panel in enumerate(panels) if panel.unit}
    lefts = list(accumulate((_SIDE + _GAP + _RIGHT * (column in with_bar) for column in range(columns)), initial=_GAP))
    picture = Image.new("RGB", (lefts[-1], max(len(rows), 1) * _HEIGHT + 2 * _ABOVE), _PAPER)
    averages = ", ".join(str(number) for number in sorted({place.averages for place in places}))
    _Cell(picture, 0, _GAP).text(0, -_ABOVE, f"23Na, {averages} averages", "ld", _LARGE)
    for row, (name, panels, facts) in enumerate(rows):
        for column, panel in enumerate(panels):
            _draw_panel(_Cell(picture, row, lefts[column]), panel, f"{name}: {panel.title}" if name else panel.title)
        if facts is not None and facts.atsc is not None:
            _draw_calibration(_Cell(picture, row, lefts[columns - 1]), facts.atsc)
    return picture.reduce(_FINER)


class _Cell:
    """Where a panel is drawn: positions are in pixels from its upper left corner."""

    def __init__(self, picture: Image.Image, row: int, left: int) -> None:
        self._picture, self._draw = picture, ImageDraw.Draw(picture)
        self._origin = np.array([left, 2 * _ABOVE + row * _HEIGHT])

    def image(self, colours: NDArray[np.uint8], box: NDArray[np.floating]) -> None:
        """Colours (rows, columns, 3) in a box (left, top, right, bottom); a pixel stays a rectangle."""
        left, top, right, bottom = (box + np.tile(self._origin, 2)).round().astype(int).tolist()
        drawn = Image.fromarray(colours).resize((right - left, bottom - top), Image.Resampling.NEAREST)
        self._picture.paste(drawn, (left, top))

    def lines(self, ends: NDArray[np.floating], colour: str, width: int = _LINE) -> None:
        """Straight lines, (lines, 4): x, y of both ends."""
        for line in (ends + np.tile(self._origin, 2)).tolist():
            self._draw.line(line, colour, width)

    def circle(self, x: float, y: float, radius: float, colour: str, fill: str | None = None) -> None:
        """A circle, or a disc."""
        centre = self._origin + (x, y)
        self._draw.ellipse((*(centre - radius), *(centre + radius)), fill, colour, _LINE)

    def text(self, x: float, y: float, label: str, anchor: str, size: int = _SMALL, colour: str = _INK) -> None:
        """Words; `anchor` as Pillow names it."""
        self._draw.text(tuple(self._origin + (x, y)), label, colour, _font(size), anchor)


def _draw_panel(cell: _Cell, panel: Panel, title: str) -> None:
    left, right, bottom, top = panel.extent
    scale = _SIDE / max(right - left, bottom - top)
    width, height = (right - left) * scale, (bottom - top) * scale
    cell.text(0, -_LINE, title, "ld")
    cell.image(coloured(panel.values, panel.low, panel.high, panel.colours), np.array([0, 0, width, height]))
    for edges, colour in outlines(panel):
        cell.lines((edges - [left, top] * 2) * scale, colour)
    for x, y, diameter in panel.tubes:
        cell.circle((x - left) * scale, (y - top) * scale, diameter / 2 * scale, "#ffffff")
    ink, edge = "black" if panel.low < 0 else "white", 0.02 * _SIDE
    spots = ((edge, height / 2, "lm"), (width - edge, height / 2, "rm"), (width / 2, edge, "ma"))
    for letters, (x, y, anchor) in zip(panel.marks, (*spots, (width / 2, height - edge, "md")), strict=True):
        cell.text(x, y, letters, anchor, _LARGE, ink)
    cell.lines(np.array([[edge, height - edge, edge + _RULER * scale, height - edge]]), ink, 2 * _LINE)
    cell.text(edge, height - 1.5 * edge, f"{_RULER} mm", "ld", colour=ink)
    if panel.unit:
        _draw_bar(cell, panel, width + _GAP / 2, height)


def _draw_bar(cell: _Cell, panel: Panel, x: float, height: float) -> None:
    """The colours beside a panel, with the values at their ends and in the middle."""
    ramp = coloured(np.linspace(panel.high, panel.low, _BAR_STEPS)[:, None], panel.low, panel.high, panel.colours)
    cell.image(ramp, np.array([x, 0.1 * height, x + _BAR, 0.9 * height]))
    for share in (0.0, 0.5, 1.0):
        value = panel.low + share * (panel.high - panel.low)
        cell.text(x + 1.3 * _BAR, (0.9 - 0.8 * share) * height, f"{value:g}", "lm")
    cell.text(x, 0.92 * height, panel.unit, "la")


def _draw_calibration(cell: _Cell, atsc: AtscFacts) -> None:
    """The tubes and the line through them."""
    plot = calibration_plot(atsc)
    scale = _SIDE / plot.width
    cell.text(0, -_LINE, f"calibration, R2 = {atsc.line.r2:.4f}", "ld")
    axes = [[plot.left, 0, plot.left, plot.base], [plot.left, plot.base, plot.width, plot.base]]
    cell.lines(np.array([*axes, plot.line]) * scale, _SOFT)
    for x, y, error, concentration in plot.points:
        cell.lines(np.array([[x, y - error, x, y + error]]) * scale, _POINT)
        cell.circle(x * scale, y * scale, 4 * _FINER, _POINT, _POINT)
        cell.text(x * scale, (plot.base + 4) * scale, f"{concentration:g}", "ma")
    cell.text(plot.left * scale, 0, "signal ", "ra")
    cell.text(plot.width * scale, (plot.base + 20) * scale, "tube, mmol/L", "ra")


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
