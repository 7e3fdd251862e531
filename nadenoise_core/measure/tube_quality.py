"""How well the reference tubes serve: a control chart of each number, with limits from the scans themselves."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import CalibrationError
from nadenoise_core.files import write_whole
from nadenoise_core.mrd.facts import AtscFacts
from nadenoise_core.quantify.calibration import fit_calibration

_SPAN = 2.66  # of a mean moving range: three standard deviations (Shewhart's chart of individuals, 3 / 1.128)
_LEAST = 5
"""Scans without which limits say nothing."""

CHARTED = {
    "slope": "slope, signal per mmol/L",
    "intercept": "intercept of a free line, mmol/L",
    "residual": "scatter of the tubes about the line, mmol/L",
}
"""Numbers of a chart, for people."""


@dataclass(frozen=True)
class TubeQuality:
    """What the tubes of one image say.

    Attributes:
        scan: name of the raw file.
        date: of the scan, as the header has it; empty: unknown.
        averages: in the image.
        slope: signal per mmol/L, of the line that the map was calibrated by.
        intercept: of a line that is free to have one, as a concentration, mmol/L; 0 where nothing is wrong.
        residual: standard deviation of what the tubes read about their concentrations, mmol/L.
        fit_slope, fit_slope_error: by the fit of regions; NaN where nothing was fitted.
    """

    scan: str
    date: str
    averages: int
    slope: float
    intercept: float
    residual: float
    fit_slope: float = float("nan")
    fit_slope_error: float = float("nan")


@dataclass(frozen=True)
class Chart:
    """A control chart of individuals.

    Attributes:
        name: of the number.
        values: in the order of the scans.
        centre: their mean.
        low, high: control limits; NaN for too few scans.
        outside: scans beyond the limits, by their place.
    """

    name: str
    values: tuple[float, ...]
    centre: float
    low: float
    high: float
    outside: tuple[int, ...]


def tube_quality(scan: str, date: str, averages: int, atsc: AtscFacts) -> TubeQuality:
    """What the tubes of a map say."""
    known = np.array([tube.concentration for tube in atsc.tubes])
    signals = np.array([tube.signal for tube in atsc.tubes])
    try:
        free = fit_calibration(known.tolist(), signals.tolist())
        intercept = free.intercept / free.slope
    except CalibrationError:
        intercept = float("nan")
    off = np.array([atsc.measured(tube) for tube in atsc.tubes]) - known
    slope = atsc.fit_slope
    return TubeQuality(
        scan=scan,
        date=date,
        averages=averages,
        slope=atsc.line.slope,
        intercept=intercept,
        residual=float(np.sqrt(np.sum(off**2) / (len(off) - 1))),
        fit_slope=slope.value if slope is not None else float("nan"),
        fit_slope_error=slope.standard_error if slope is not None else float("nan"),
    )


def control_chart(name: str, values: Sequence[float]) -> Chart:
    """Limits at three standard deviations, which the differences of one scan to the next tell.

    What drifts slowly widens a plain standard deviation, and so its own limits; the moving range does not see it.
    """
    known: NDArray[np.float64] = np.array([value for value in values if np.isfinite(value)])
    centre = float(known.mean()) if len(known) else float("nan")
    reach = _SPAN * float(np.abs(np.diff(known)).mean()) if len(known) >= _LEAST else float("nan")
    outside = tuple(place for place, value in enumerate(values) if abs(value - centre) > reach)
    return Chart(name, tuple(values), centre, centre - reach, centre + reach, outside)


def by_date(tubes: Sequence[TubeQuality]) -> list[TubeQuality]:
    """In the order in which they were scanned; those without a date last, by name."""
    return sorted(tubes, key=lambda one: (not one.date, one.date, one.scan))


def common_slope(tubes: Sequence[TubeQuality]) -> tuple[float, float] | None:
    """Mean slope of the fits of several scans, and the standard deviation of one scan's true slope about it.

    The scatter of the scans holds their own errors, too, which are taken off; what is left is what a scan's slope
    differs by from that of the others. None for fewer than five scans.
    """
    fitted = [(one.fit_slope, one.fit_slope_error) for one in tubes if np.isfinite(one.fit_slope)]
    if len(fitted) < _LEAST:
        return None
    slopes, errors = np.array(fitted).T
    weights = 1 / errors**2
    mean = float(weights @ slopes / weights.sum())
    between = max(float(np.var(slopes, ddof=1) - np.mean(errors**2)), 0.0)
    return mean, float(np.sqrt(between + 1 / weights.sum()))


def write_tubes(path: Path, tubes: Sequence[TubeQuality]) -> None:
    """Write a row a scan, as CSV.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(TubeQuality)]
    writer.writerow(names)
    for one in tubes:
        values = (getattr(one, name) for name in names)
        writer.writerow(
            [("" if value != value else f"{value:.6g}") if isinstance(value, float) else value for value in values]
        )
    write_whole(path, text.getvalue().encode())
