"""The figures of a report with their captions: Figures 2 to 4 of the paper, and the calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nadenoise_core.errors import BadInputError
from nadenoise_core.replay.html import embedded
from nadenoise_core.study.config import ReportSettings
from nadenoise_core.study.figures import draw_agreement, draw_calibration, draw_grid, read_images
from nadenoise_core.study.merge import StudyRun
from nadenoise_core.study.tables import REGIONS

_MIME = {"png": "image/png", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class ReportFigure:
    """A figure, drawn.

    Attributes:
        name: short, for a file.
        title, caption: for its reader.
        content: the file.
        form: of the file.
    """

    name: str
    title: str
    caption: str
    content: bytes
    form: Literal["png", "svg"]

    @property
    def url(self) -> str:
        """The file itself, as a data URL."""
        return f"data:{_MIME[self.form]};base64,{embedded(self.content)}"


def figures_of(run: StudyRun, shown: ReportSettings) -> Iterator[ReportFigure]:
    """All figures, one after the other.

    Raises:
        BadInputError: the example is no volunteer, or an image cannot be read.
    """
    names = run.measures.volunteers
    example = shown.example or names[0]
    if example not in names:
        raise BadInputError(f"report.example is '{example}'; there are {', '.join(names)}")
    record = next(record for record in run.records if record["volunteer"] == example)
    reference, averages = int(record["averages"]), run.measures.averages
    folder = run.folder / "volunteers" / example
    magnitudes = read_images(folder, reference, averages, "")
    top = float(np.percentile(magnitudes["reference", reference], 99.8))
    seconds = record["seconds_per_average"]
    timed = " (acquisition time, min:s)" if seconds else ""
    yield ReportFigure(
        "images",
        "Figure 2: images",
        f"{example}: magnitudes of NUFFT, compressed sensing (CS) and network (CNN) by number of averages{timed}, all "
        "in one window.",
        draw_grid(magnitudes, reference, averages, (0, top), "signal", "gray", seconds),
        "png",
    )
    maps = read_images(folder, reference, averages, "_atsc")
    yield ReportFigure(
        "maps",
        "Figure 3: aTSC maps",
        f"{example}: apparent tissue sodium concentration, of the same images, all in one window.",
        draw_grid(maps, reference, averages, shown.map_window, "aTSC, mmol/L", "viridis", seconds),
        "png",
    )
    count = shown.figure_averages if shown.figure_averages in averages else averages[0]
    for region, letter in zip(REGIONS, "ab", strict=True):
        yield ReportFigure(
            region,
            f"Figure 4{letter}: {region} aTSC at {count} averages",
            "Above: correlation with the reference, and the line of identity. Below: Bland-Altman plot with bias "
            "(solid), limits of agreement (dashed) and their 95 % confidence intervals (grey, at the right).",
            draw_agreement(run.measures, region, count),
            "svg",
        )
    yield ReportFigure(
        "calibration",
        "Calibration",
        "What the reference tubes of every volunteer read after calibration, against their concentration.",
        draw_calibration(run.measures, count),
        "svg",
    )
