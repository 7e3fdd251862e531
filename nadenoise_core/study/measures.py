"""The long table of a study: one row for each volunteer, method, number of averages and measure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole

Method = Literal["reference", "NUFFT", "CS", "CNN", "fit", "fit, slope known", "reference fit", "noiseless", "truth"]
METHODS: tuple[Method, ...] = ("NUFFT", "CS", "CNN")
ALL_METHODS: tuple[Method, ...] = ("reference", *METHODS)
"""In the order of the paper's tables."""

FIT: Method = "fit"
FIT_KNOWN_SLOPE: Method = "fit, slope known"
REFERENCE_FIT: Method = "reference fit"
FITS: tuple[Method, ...] = (FIT, FIT_KNOWN_SLOPE)
"""Regions fitted to k-space: with the slope of the same averages, or with that of the whole scan."""

COLUMNS = ("volunteer", "method", "averages", "measure", "value")


@dataclass(frozen=True)
class Row:
    """One number.

    Attributes:
        volunteer: its name.
        method: of the image, or the fit of regions; of a virtual volunteer "noiseless" is the reference without noise,
            and "truth" what is true of it, both with averages 0.
        averages: of the image.
        measure: snr, sharpness (mmol/L per mm), atsc_muscle, atsc_skin (mmol/L), noise_std, slope, intercept, r2,
            tube_<concentration> (signal); error_muscle, error_skin (standard error of a fit, mmol/L); of the truth
            tissue_muscle, tissue_skin (mmol/L), and muscle_share, skin_share (of the region's area).
        value: NaN where it could not be measured.
    """

    volunteer: str
    method: str
    averages: int
    measure: str
    value: float


@dataclass(frozen=True)
class Measures:
    """Rows, asked by what they are of."""

    rows: tuple[Row, ...]

    @property
    def volunteers(self) -> list[str]:
        """Names, in order of appearance."""
        return list(dict.fromkeys(row.volunteer for row in self.rows))

    @property
    def averages(self) -> list[int]:
        """Numbers of averages of all methods but the reference, falling."""
        return sorted({row.averages for row in self.rows if row.method in METHODS}, reverse=True)

    @property
    def fits(self) -> tuple[Method, ...]:
        """Ways in which regions were fitted."""
        there = {row.method for row in self.rows}
        return tuple(method for method in FITS if method in there)

    def reference_averages(self) -> list[int]:
        """Numbers of averages of the references; of one kind where the volunteers were scanned alike."""
        return sorted({row.averages for row in self.rows if row.method == "reference"})

    def values(self, measure: str, method: str, averages: int | None = None) -> NDArray[np.float64]:
        """(volunteers,) of a measure; NaN where there is none. For the reference and the truth, averages are None."""
        found = {
            row.volunteer: row.value
            for row in self.rows
            if row.measure == measure and row.method == method and (averages is None or row.averages == averages)
        }
        return np.array([found.get(name, math.nan) for name in self.volunteers])


def write_measures(path: Path, rows: Iterable[Row]) -> None:
    """Write a table as CSV; a value that could not be measured is empty.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        value = repr(row.value) if math.isfinite(row.value) else ""
        writer.writerow((row.volunteer, row.method, row.averages, row.measure, value))
    write_whole(path, text.getvalue().encode())


def read_measures(paths: Sequence[Path]) -> Measures:
    """Read tables, one below the other.

    Raises:
        BadInputError: a file is not there, or not such a table.
    """
    return Measures(tuple(row for path in paths for row in _rows(path)))


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path}: cannot be read as a table of measures ({error})") from None
    if not lines or tuple(lines[0]) != COLUMNS:
        raise BadInputError(f"{path}: is no table of measures; its first line must be {','.join(COLUMNS)}")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        try:
            volunteer, method, averages, measure, value = line
            rows.append(Row(volunteer, method, int(averages), measure, float(value) if value else math.nan))
        except ValueError:
            raise BadInputError(f"{path}:{number}: is no row of {','.join(COLUMNS)}") from None
    return rows
