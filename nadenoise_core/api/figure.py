"""The images of a scan as a figure of matplotlib, to be changed or put among others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.facts import AtscFacts, Kind
from nadenoise_core.replay.panels import Panel, panels_of
from nadenoise_core.replay.places import places_of

if TYPE_CHECKING:
    import ismrmrd
    from matplotlib.figure import Figure

_MOST_ROWS = 8
_EDGES = (  # where the letters of the patient stand: left, right, top, bottom
    (0.02, 0.5, "left", "center"),
    (0.98, 0.5, "right", "center"),
    (0.5, 0.98, "center", "top"),
    (0.5, 0.02, "center", "bottom"),
)
_OUTLINES = ("white", "tab:orange", "tab:pink", "tab:cyan", "tab:red", "tab:olive")
_BEFORE = "lightgray"  # outlines before their pose was fitted


def figure_of(images: Sequence[ismrmrd.Image]) -> Figure:
    """Draw the first places, a row each: signal, what the network took away, aTSC in mmol/L, calibration line.

    Args:
        images: those that a chain gave, in order.
    """
    from matplotlib.figure import Figure

    places = places_of(images)
    rows = [(place, panels_of(place)) for place in places[:_MOST_ROWS]]
    maps = [place.facts(Kind.ATSC) for place, _ in rows]
    columns = max((len(panels) + (facts is not None) for (_, panels), facts in zip(rows, maps, strict=True)), default=1)
    figure = Figure(figsize=(4.2 * columns, 4.4 * max(len(rows), 1)), layout="constrained", dpi=110)
    grid = figure.subplots(max(len(rows), 1), columns, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, (place, panels), facts in zip(grid, rows, maps, strict=False):
        for axis, panel in zip(axes, panels, strict=False):
            _draw_panel(axis, panel, f"{place.name}: {panel.title}" if place.name else panel.title)
        if facts is not None and facts.atsc is not None:
            _draw_calibration(axes[-1], facts.atsc)
    averages = {place.averages for place in places}
    figure.suptitle(f"23Na, {', '.join(str(number) for number in sorted(averages))} averages", fontsize=11)
    return figure


def _draw_panel(axis: Any, panel: Panel, title: str) -> None:
    from matplotlib.patches import Circle

    axis.set_axis_on()
    drawn = axis.imshow(
        panel.values,
        cmap=panel.colours,
        vmin=panel.low,
        vmax=panel.high,
        extent=panel.extent,
        interpolation="nearest",
    )
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("mm")
    if panel.unit:
        axis.figure.colorbar(drawn, ax=axis, label=panel.unit, shrink=0.8)
    ink = "black" if panel.low < 0 else "white"
    for letters, (x, y, side, height) in zip(panel.marks, _EDGES, strict=True):
        look = {"ha": side, "va": height, "color": ink, "fontsize": 11, "fontweight": "bold"}
        axis.text(x, y, letters, transform=axis.transAxes, **look)
    for x, y, diameter in panel.tubes:
        axis.add_patch(Circle((x, y), diameter / 2, fill=False, edgecolor="white", linewidth=0.8))
    if panel.drawn is not None:
        _draw_outlines(axis, panel, panel.drawn, ":", (_BEFORE,))
    if panel.labels is not None:
        _draw_outlines(axis, panel, panel.labels, "-", _OUTLINES)


def _draw_outlines(axis: Any, panel: Panel, labels: NDArray[np.int64], line: str, colours: Sequence[str]) -> None:
    left, right, bottom, top = panel.extent
    rows, columns = labels.shape
    x = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    for number, label in enumerate(label for label in np.unique(labels) if label > 0):
        colour = colours[number % len(colours)]
        axis.contour(x, y, labels == label, levels=[0.5], colors=colour, linewidths=1.0, linestyles=line)


def _draw_calibration(axis: Any, atsc: AtscFacts) -> None:
    axis.set_axis_on()
    concentrations = np.array([tube.concentration for tube in atsc.tubes])
    errors = [tube.std / np.sqrt(tube.pixels) for tube in atsc.tubes]
    ends = np.array([0, concentrations.max()])
    axis.plot(ends, atsc.line.slope * ends + atsc.line.intercept, color="tab:gray")
    signals = [tube.signal for tube in atsc.tubes]
    axis.errorbar(concentrations, signals, yerr=errors, fmt="o", color="tab:blue", capsize=3)
    axis.set_title(f"calibration, R$^2$ = {atsc.line.r2:.4f}", fontsize=10)
    axis.set_xlabel("tube, mmol/L")
    axis.set_ylabel("signal")
