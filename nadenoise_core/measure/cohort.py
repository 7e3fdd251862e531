"""A cohort without a reference: what every scan reads, with errors, and how its tubes did; a folder of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nadenoise_core import __version__
from nadenoise_core.files import write_whole
from nadenoise_core.measure.measure import Measured
from nadenoise_core.measure.table import write_table
from nadenoise_core.measure.tube_quality import (
    CHARTED,
    Chart,
    TubeQuality,
    by_date,
    common_slope,
    control_chart,
    write_tubes,
)
from nadenoise_core.quantify.readings import RegionMethod, RegionReading
from nadenoise_core.replay.html import number, render
from nadenoise_core.replay.results import folder_in_progress

METHODS = (RegionMethod.FIT, RegionMethod.MEAN, RegionMethod.DENOISED_MEAN)
"""Ways in which a cohort is read."""

FILES = ("regions.csv", "regions.json", "tubes.csv", "report.html")
"""What the folder of a cohort holds."""

_WIDTH, _HEIGHT, _LEFT, _EDGE = 640.0, 150.0, 70.0, 14.0  # of a chart, and its margins


@dataclass(frozen=True)
class Row:
    """A region of a scan, read in several ways.

    Attributes:
        readings: by method.
    """

    scan: str
    place: str
    averages: int
    region: str
    readings: dict[RegionMethod, RegionReading]


def write_cohort(out: Path, measured: Sequence[Measured], tubes: Sequence[TubeQuality], failed: dict[str, str]) -> Path:
    """Write the folder of a cohort: tables of regions and tubes, and a page.

    Args:
        out: the folder; it replaces an earlier one.
        measured: readings of all scans.
        tubes: of all scans.
        failed: scans that could not be measured, and why.

    Returns:
        Path of the page.

    Raises:
        OutputError: it cannot be written, or holds what is not of ours.
    """
    ordered = by_date(tubes)
    with folder_in_progress(out, FILES) as folder:
        write_table(folder / "regions.csv", measured)
        write_tubes(folder / "tubes.csv", ordered)
        page = cohort_page(measured, ordered, failed)
        write_whole(folder / "report.html", page.encode())
    return out / "report.html"


def cohort_page(measured: Sequence[Measured], tubes: Sequence[TubeQuality], failed: dict[str, str]) -> str:
    """The page; tubes are in the order of their dates."""
    rows = _rows(measured)
    methods = [method for method in RegionMethod if any(method in row.readings for row in rows)]
    charts = [control_chart(name, [getattr(one, name) for one in tubes]) for name in CHARTED]
    return render(
        "nadenoise_core.measure",
        "cohort.html.j2",
        title="Sodium in a cohort",
        version=__version__,
        scans=len(tubes),
        methods=methods,
        rows=rows,
        dates={one.scan: one.date for one in tubes},
        summary=_summary(rows, methods),
        charts=[(CHARTED[chart.name], chart, chart_svg(chart, [one.scan for one in tubes])) for chart in charts],
        outside={chart.name: [tubes[place].scan for place in chart.outside] for chart in charts},
        tubes=tubes,
        slope=common_slope(tubes),
        failed=failed,
    )


def chart_svg(chart: Chart, scans: Sequence[str]) -> str:
    """A control chart as SVG: points in order, centre and limits, and in red what lies beyond them."""
    known = [value for value in (*chart.values, chart.low, chart.high) if np.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return _EDGE + (_HEIGHT - 2 * _EDGE) * (high - value) / span

    step = (_WIDTH - _LEFT - 2 * _EDGE) / max(len(chart.values) - 1, 1)
    parts = []
    for value, dash in ((chart.centre, ""), (chart.low, "4 3"), (chart.high, "4 3")):
        if np.isfinite(value):
            parts.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#888" '
                f'stroke-dasharray="{dash}"/><text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" '
                f'font-size="11">{value:.4g}</text>'
            )
    for place, (value, scan) in enumerate(zip(chart.values, scans, strict=True)):
        if np.isfinite(value):
            colour = "#c0392b" if place in chart.outside else "#3a6ea5"
            parts.append(
                f'<circle cx="{_LEFT + _EDGE + place * step:.1f}" cy="{y(value):.1f}" r="4" fill="{colour}">'
                f"<title>{escape(scan)}: {value:.4g}</title></circle>"
            )
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" width="100%">{"".join(parts)}</svg>'


def _rows(measured: Iterable[Measured]) -> list[Row]:
    found: dict[tuple[str, str, int, str], Row] = {}
    for one in measured:
        counters = {"slice": one.slice, "echo": one.contrast, "repetition": one.repetition}
        place = ", ".join(f"{name} {count + 1}" for name, count in counters.items() if count)
        key = (one.scan, place, one.averages, one.reading.title)
        found.setdefault(key, Row(*key, {})).readings[one.reading.method] = one.reading
    return list(found.values())


def _summary(rows: Sequence[Row], methods: Sequence[RegionMethod]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the scans, a row a region."""
    made = []
    for region in dict.fromkeys(row.region for row in rows):
        cells = []
        for method in methods:
            values = [row.readings[method].atsc for row in rows if row.region == region and method in row.readings]
            spread = f" ({number(float(np.std(values, ddof=1)), 1)})" if len(values) > 1 else ""
            cells.append(f"{number(float(np.mean(values)), 1)}{spread}, n {len(values)}" if values else "")
        made.append({"region": region, "cells": cells})
    return made
