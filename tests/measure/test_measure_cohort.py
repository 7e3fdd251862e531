"""A cohort of short scans without a reference: tables and page."""

from __future__ import annotations

import csv
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nadenoise_core.cli.study.cohort import command
from nadenoise_core.errors import OutputError
from nadenoise_core.measure.cohort import chart_svg, cohort_page, write_cohort
from nadenoise_core.measure.measure import Measured
from nadenoise_core.measure.tube_quality import TubeQuality, control_chart
from nadenoise_core.quantify.readings import RegionMethod, RegionReading


class Cells(HTMLParser):
    """Rows of tables of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("td", "th")
        if self._open:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data.strip()


def measured(scan: str, value: float) -> list[Measured]:
    fit = RegionReading(2, value, RegionMethod.FIT, standard_error=0.5, name="muscle", residual=2.0, residual_limit=1.5)
    mean = RegionReading(2, value - 1, RegionMethod.MEAN, name="muscle")
    return [Measured(scan, 0, 0, 0, 30, reading, None, None) for reading in (fit, mean)]


def tube(scan: str, date: str, slope: float) -> TubeQuality:
    return TubeQuality(scan, date, 30, slope, 0.1, 0.6, slope, 0.01)


SCANS = {f"<s{number}>": value for number, value in enumerate((20.0, 21.0, 22.0, 23.0, 24.0, 25.0))}
SLOPES = (1.0, 1.01, 0.99, 1.0, 1.01, 1.5)


def cohort() -> tuple[list[Measured], list[TubeQuality]]:
    rows = [row for scan, value in SCANS.items() for row in measured(scan, value)]
    days = range(len(SCANS), 0, -1)  # the last was scanned first
    return rows, [tube(scan, f"2024-01-{day:02d}", slope) for scan, day, slope in zip(SCANS, days, SLOPES, strict=True)]


def test_the_page_says_each_scan_with_its_errors_and_no_reference() -> None:
    page = cohort_page(*cohort(), {"lost": "no tubes"})
    rows = Cells(page).rows
    assert ["muscle", "22.5 (1.9), n 6", "21.5 (1.9), n 6"] in rows
    assert ["<s0>", "2024-01-06", "30", "muscle", "20.0 [19.0, 21.0] !", "19.0"] in rows
    assert "<li>lost: no tubes</li>" in page and "<s0>" not in page  # escaped
    assert "paper" not in page.split("</style>")[1] and "denoised mean" not in page


def test_the_folder_is_tables_and_the_page_in_order_of_dates(tmp_path: Path) -> None:
    page = write_cohort(tmp_path / "cohort", *cohort(), {})
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "regions.csv",
        "regions.json",
        "report.html",
        "tubes.csv",
    ]
    tubes = list(csv.DictReader((tmp_path / "cohort" / "tubes.csv").read_text().splitlines()))
    assert [row["scan"] for row in tubes] == list(SCANS)[::-1]
    (tmp_path / "cohort" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="mine.txt, which may be yours"):
        write_cohort(tmp_path / "cohort", *cohort(), {})


def test_a_scan_beyond_the_limits_is_red() -> None:
    values = [1.0, 1.01, 0.99, 1.0, 1.01, 1.0, 0.99, 1.5]
    drawn = chart_svg(control_chart("slope", values), [f"s{number}" for number in range(8)])
    assert drawn.count("#c0392b") == 1 and drawn.index("#c0392b") > drawn.rindex("#3a6ea5")
    assert chart_svg(control_chart("slope", [float("nan")]), ["s"]) == ""


def test_the_command_measures_plain_and_denoised(scan_file, measured, label_file, names_file, tmp_path: Path) -> None:
    quiet = {"seed": 5, "averages": 5, "noise": 4.5}  # a network is there from 5 averages
    calf = measured(**quiet)[0].calf()
    labels = label_file(measured(**quiet)[0])
    command([scan_file(**quiet)], labels=str(labels), out=tmp_path / "out", names=names_file)
    rows = list(csv.DictReader((tmp_path / "out" / "regions.csv").read_text().splitlines()))
    muscle = {row["method"]: float(row["atsc"]) for row in rows if row["region"] == "muscle"}
    assert set(muscle) == {"fit", "mean", "denoised mean"}
    assert all(abs(value - calf.muscle) < 1.5 for value in muscle.values())
    (tubes,) = csv.DictReader((tmp_path / "out" / "tubes.csv").read_text().splitlines())
    assert abs(float(tubes["fit_slope"]) - 1) < 0.03 and abs(float(tubes["residual"])) < 2
