"""The table of measured regions: a row a reading, with a file beside it that says what every column is."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from nadenoise_core import __version__
from nadenoise_core.files import write_whole
from nadenoise_core.measure.measure import Measured

COLUMNS: Mapping[str, tuple[str, str]] = {
    "scan": ("name of the raw file", ""),
    "averages": ("averages in the image", ""),
    "region": ("name of the region", ""),
    "label": ("number of the region in the label map; empty for several, or tissue without one", ""),
    "method": (
        "fit: least squares on the averaged k-space; GTM: the same on the image alone; mean: of the pixels of the "
        "plain map; denoised mean: of the pixels of the denoised map",
        "",
    ),
    "atsc": ("apparent tissue sodium concentration", "mmol/L"),
    "standard_error": ("of atsc, by noise and calibration", "mmol/L"),
    "label_error": ("standard error of atsc by outlines that lie off by their uncertainty", "mmol/L"),
    "low": ("lower end of the 95 % interval, both errors together", "mmol/L"),
    "high": ("upper end of the 95 % interval, both errors together", "mmol/L"),
    "area_mm2": ("area of the region in the slice", "mm2"),
    "residual": ("root mean square of what the fit leaves in the region, 1 is noise", "1"),
    "residual_limit": ("of residual, which a right model exceeds once in a thousand scans", "1"),
    "shift_x_mm": ("shift of the labels along the columns that was fitted", "mm"),
    "shift_y_mm": ("shift of the labels along the rows that was fitted", "mm"),
    "angle_deg": ("turn of the labels that was fitted", "degree"),
    "scale": ("stretch of the labels that was fitted", "1"),
    "slope": ("signal per mmol/L by which the fit calibrated the region", "signal L/mmol"),
    "slope_error": ("standard error of slope", "signal L/mmol"),
    "slice": ("slice, counted from 0", ""),
    "contrast": ("echo, counted from 0", ""),
    "repetition": ("repetition, counted from 0", ""),
}
"""Columns of the table: what they are, and their unit."""


def values_of(measured: Measured) -> dict[str, str | int | float]:
    """What a reading says, by the names of the columns; NaN where a number is not known."""
    reading, pose, slope = measured.reading, measured.pose, measured.slope
    low, high = reading.interval
    return {
        "scan": measured.scan,
        "averages": measured.averages,
        "region": reading.title,
        "label": reading.label or "",
        "method": reading.method.value,
        "atsc": reading.atsc,
        "standard_error": reading.standard_error,
        "label_error": reading.label_error,
        "low": low,
        "high": high,
        "area_mm2": reading.area,
        "residual": reading.residual,
        "residual_limit": reading.residual_limit,
        "shift_x_mm": pose.shift[0] if pose is not None else math.nan,
        "shift_y_mm": pose.shift[1] if pose is not None else math.nan,
        "angle_deg": pose.angle if pose is not None else math.nan,
        "scale": pose.scale if pose is not None else math.nan,
        "slope": slope.value if slope is not None else math.nan,
        "slope_error": slope.standard_error if slope is not None else math.nan,
        "slice": measured.slice,
        "contrast": measured.contrast,
        "repetition": measured.repetition,
    }


def as_row(measured: Measured) -> dict[str, str]:
    """The cells of a reading; what is not known is empty."""
    return {name: _cell(value) for name, value in values_of(measured).items()}


def _cell(value: str | int | float) -> str:
    if isinstance(value, str | int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def is_table(path: Path) -> bool:
    """Whether a file is a table of ours, of this version or an earlier one."""
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = file.readline(1 << 16).rstrip("\n").split(",")
    return columns[:3] == list(COLUMNS)[:3] and set(columns) <= set(COLUMNS)


def write_table(path: Path, rows: Iterable[Measured]) -> Path:
    """Write the table as CSV, and what its columns are as JSON beside it, in the way of BIDS.

    Returns:
        Path of the JSON file.

    Raises:
        OutputError: a file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(as_row(row) for row in rows)
    sidecar = path.with_suffix(".json")
    described: dict[str, object] = {
        name: {"Description": description} | ({"Units": unit} if unit else {})
        for name, (description, unit) in COLUMNS.items()
    }
    described["GeneratedBy"] = {"Name": "nadenoise", "Version": __version__}
    write_whole(path, text.getvalue().encode())
    write_whole(sidecar, (json.dumps(described, indent=2) + "\n").encode())
    return sidecar
