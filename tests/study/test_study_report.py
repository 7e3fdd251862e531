"""The report: one file, labelled, complete, escaped; its numbers are those of the long table."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nadenoise_core import paper
from nadenoise_core.errors import BadInputError
from nadenoise_core.jobs.here import Processes
from nadenoise_core.replay.html import number, p_value
from nadenoise_core.study.config import MethodSettings, ReportSettings, StudyConfig, VirtualSubjects
from nadenoise_core.study.prose import subjects_line, warnings_of
from nadenoise_core.study.report import make_report, write_report, write_results
from nadenoise_core.study.run import run_study
from nadenoise_core.study.tables import compute_tables

CONFIG = StudyConfig(
    title="Calves & <tubes>",
    subjects=VirtualSubjects(
        kind="virtual", count=3, seed=61, averages=40, noise=(30.0, 0.0), off_resonance=(0.0, 0.0)
    ),
    methods=MethodSettings(averages=(30, 10)),
)


class Page(HTMLParser):
    """Text, links and rows of tables of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._silent = 0
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._silent += tag in ("style", "title")
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "title")
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.words.append(" ".join(data.split()))
            if self._in_cell:
                self.rows[-1][-1] = f"{self.rows[-1][-1]} {data.strip()}".strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Any:
    """A study with its report: (run, page, data, folder)."""
    folder = tmp_path_factory.mktemp("study")
    run = run_study(CONFIG, folder, engine=Processes(2))
    page, data = write_report(make_report(CONFIG, run), folder)
    return run, Page(page.read_text()), json.loads(data.read_text()), folder


def test_the_first_line_says_that_subjects_are_virtual(made) -> None:
    _, page, data, _ = made
    assert page.words[0].startswith("These 3 subjects are virtual")
    assert data["virtual"] is True and data["subjects"] == page.words[0]


def test_subjects_are_called_virtual_where_they_are(made) -> None:
    for virtual, words in ((0, "None of the 3 subjects is"), (2, "2 of 3 are virtual"), (3, "These 3 subjects are")):
        assert subjects_line(replace(made[0], virtual=virtual)).startswith(words)


def test_the_page_needs_nothing_else(made) -> None:
    _, page, _, folder = made
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    assert (
        len([link for link in page.links if link.startswith("data:image/")]) == 5
    )  # Figures 2, 3, 4a, 4b, calibration
    assert not {"script", "iframe", "link"} & page.tags
    assert "url(" not in (folder / "report.html").read_text()


def test_every_table_and_figure_is_there(made) -> None:
    text = " ".join(made[1].words)
    for title in (
        "Table 1: test set", "Table 2: image quality", "Table 3: ranking", "Table 4: muscle aTSC", "Table 5: skin aTSC",
        "Table 6: against the true concentration",
        "Figure 2: images", "Figure 3: aTSC maps", "Figure 4a: muscle", "Figure 4b: skin", "Calibration", "Methods",
        "Warnings",
    ):  # fmt: skip
        assert title in text, title
    for words in ("seeds 61 to 63", "noise_aware", "% is skin (partial volume)", "nadenoise study readers build"):
        assert words in text, words


def test_titles_are_escaped(made) -> None:
    _, page, _, folder = made
    assert "Calves & <tubes>" in page.words
    assert "<tubes>" not in (folder / "report.html").read_text()


def test_the_headline_is_of_muscle_at_ten_averages_beside_the_papers(made) -> None:
    run, page, data, _ = made
    own = run.measures.values("atsc_muscle", "fit", 10) - run.measures.values("atsc_muscle", "reference fit")
    width = 2 * 1.959964 * own.std(ddof=1)
    assert (
        f"Muscle, fitted to 10 averages (40 s): bias {own.mean():.2f}, limits of agreement {width:.2f}"
        in (data["headline"])
    )
    errors = run.measures.values("error_muscle", "fit", 10)
    foretold = 2 * 1.96 * np.sqrt(np.mean(errors**2) * (1 - 10 / 40))
    assert f"({foretold:.2f} by the standard errors of the fits)" in data["headline"]
    assert data["headline"].endswith("The paper's network at 30 averages: bias 0.47, limits of agreement 1.62 wide.")
    assert data["headline"] in page.words


def test_tables_hold_ours_beside_the_papers(made) -> None:
    run, page, data, _ = made
    rows = {tuple(row[:2]): row for row in page.rows if len(row) == 10}
    values = run.measures.values("atsc_muscle", "CNN", 30) - run.measures.values("atsc_muscle", "reference")
    row = rows["30", "CNN"]  # of Table 5, which is the later
    assert row[-1].startswith("−0.84 (−2.70 to 1.02)")
    bias = values.mean()
    assert any(number(bias) in cell for row in page.rows if row[:2] == ["30", "CNN"] for cell in row)
    agreement = next(
        row
        for row in data["tables"]["agreement"]
        if (row["region"], row["method"], row["averages"]) == ("muscle", "CNN", 30)
    )
    assert agreement["agreement"]["bias"] == pytest.approx(bias)
    assert agreement["published"]["bias"] == paper.TABLES_4_5["muscle", "CNN", 30].bias
    snr = [row for row in page.rows if row[:2] == ["30", "NUFFT"] and len(row) == 6]
    assert len(snr) == 1 and number(float(np.median(run.measures.values("snr", "NUFFT", 30))), 1) in snr[0][2]
    assert snr[0][3] == "3.6 (0.5)"


def test_json_is_strict_and_tells_no_path(made) -> None:
    _, _, data, folder = made
    json.dumps(data, allow_nan=False)
    assert str(folder) not in json.dumps(data)
    assert {"table_1", "table_3", "tables", "methods", "warnings", "volunteers"} <= set(data)
    assert data["config"]["methods"]["averages"] == [30, 10] and re.fullmatch(r"[0-9a-f]{12}\+?|", data["commit"])


def test_table_1_sets_the_networks_side_by_side_at_the_averages_they_are_made_for(made) -> None:
    _, _, data, _ = made
    for averages in (50, 40, 30, 20, 10):
        named = {
            row["bundle"]: row for row in data["table_1"] if (row["averages"], row["image"]) == (averages, "denoised")
        }
        assert set(named) == {"noise_aware", f"paper_{averages}"}
        published = {tuple(row["published"]["ssim"].values()) for row in named.values()}
        assert published == {tuple(asdict(paper.TABLE_1[averages][1][1]).values())}


def test_results_are_markdown_tables_of_one_width_each(made, tmp_path: Path) -> None:
    run, *_ = made
    write_results(make_report(CONFIG, run), tmp_path / "docs" / "results.md", "nadenoise study run paper")
    lines = (tmp_path / "docs" / "results.md").read_text().splitlines()
    assert lines[0] == "# Results" and lines[2].startswith("These 3 subjects are virtual")
    assert "nadenoise study run paper" in lines
    pictures = [line.split("](")[1].rstrip(")") for line in lines if line.startswith("![")]
    assert pictures == ["results_images.png", "results_maps.png", "results_muscle.svg", "results_skin.svg"]
    assert all((tmp_path / "docs" / name).stat().st_size > 1000 for name in pictures)
    tables: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("|"):
            assert line.endswith("|"), line
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    widths = [{line.replace("\\|", "").count("|") for line in rows} for rows in tables if rows]
    assert len(widths) == 6 and all(len(width) == 1 for width in widths), widths


def test_table_3_is_taken_from_the_reader_study(made, tmp_path: Path) -> None:
    ranks = [("reference", 1.5, 0.5), ("nufft", 3.6, 0.6), ("cs", 2.9, 0.4), ("cnn", 1.4, 0.7)]
    analysis = {
        "readers": ["A", "B"],
        "groups": [
            {
                "averages": 30,
                "cases": 3,
                "methods": [{"method": m, "mean": mean, "sd": sd, "first": 1, "readings": 6} for m, mean, sd in ranks],
                "t_tests": [
                    {"first": "reference", "second": "nufft", "p_bonferroni": 0.001},
                    {"first": "cnn", "second": "cs", "p_bonferroni": 0.01},
                    {"first": "reference", "second": "cnn", "p_bonferroni": 1.0},
                    {"first": "nufft", "second": "cnn", "p_bonferroni": None},
                ],
            }
        ],
    }
    path = tmp_path / "readers.json"
    path.write_text(json.dumps(analysis))
    config = CONFIG.model_copy(update={"report": ReportSettings(readers=path)})
    page, data = write_report(make_report(config, made[0]), tmp_path)
    rows = [row for row in Page(page.read_text()).rows if len(row) == 4 and row[0] == "30"]
    assert [row[1] for row in rows] == ["reference", "NUFFT", "CS", "CNN"]
    assert [row[2] for row in rows] == ["1.5 (0.5)", "* 3.6 (0.6)", "2.9 (0.4)", "+ 1.4 (0.7)"]
    assert [row[3] for row in rows] == ["1.6 (0.5)", "3.4 (0.8)", "3.0 (0.5)", "1.4 (0.7)"]
    assert json.loads(data.read_text())["table_3"]["readers"] == 2
    path.write_text("{}")
    with pytest.raises(BadInputError, match="readers.json: is no result of a reader study"):
        make_report(config, made[0])
    path.unlink()
    with pytest.raises(BadInputError, match="readers.json: cannot be read"):
        make_report(config, made[0])


def test_an_example_that_is_not_there_is_told(made, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"report": ReportSettings(example="virtual9")})
    with pytest.raises(BadInputError, match="report.example is 'virtual9'; there are virtual01, virtual02, virtual03"):
        write_report(make_report(config, made[0]), tmp_path)


def test_failures_and_warnings_are_listed(made) -> None:
    run = replace(made[0], failures={"virtual04": "the disc is full"})
    assert warnings_of(run, compute_tables(run.measures))[0] == "virtual04 was left out: the disc is full"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-0.001, 2, "0.00"), (-1.25, 1, "−1.2"), (float("nan"), 2, "–"), (None, 2, "–"), (12.0, 0, "12")],
)
def test_numbers_are_written_as_people_read_them(value: float | None, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_p_values_are_written_as_in_the_paper() -> None:
    assert [p_value(p) for p in (0.0004, 0.01171875, 1.0, None)] == ["< 0.001", "0.012", "1.000", "–"]
