"""From scans to a report that a browser shows, with the ranks of readers in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nadenoise_core.jobs.here import Processes
from nadenoise_core.readers.analyse import analyse_study, write_analysis
from nadenoise_core.readers.build import build_study
from nadenoise_core.readers.cases import find_cases
from nadenoise_core.readers.formats import Answer, Results
from nadenoise_core.study.config import MethodSettings, ReportSettings, StudyConfig, VirtualSubjects
from nadenoise_core.study.report import make_report, write_report
from nadenoise_core.study.run import run_study

CONFIG = StudyConfig(
    subjects=VirtualSubjects(
        kind="virtual", count=4, seed=81, averages=40, noise=(30.0, 0.0), off_resonance=(0.0, 0.0)
    ),
    methods=MethodSettings(averages=(30, 10)),
)
ORDER = {"cnn": 1, "reference": 2, "cs": 3, "nufft": 4}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Any:
    return run_study(CONFIG, tmp_path_factory.mktemp("study"), engine=Processes(2))


@pytest.fixture(scope="module")
def ranked(study, tmp_path_factory) -> Path:
    """readers.json of two readers, who rank all images of the study alike but for one tie."""
    folder = tmp_path_factory.mktemp("readers")
    built = build_study(folder, find_cases([study.folder / "cases.csv"]), seed=3)
    files = []
    for reader in ("one", "two"):
        answers = {}
        for number, showing in enumerate(built.key.showings):
            ranks = {image: ORDER[method] for image, method in showing.images.items()}
            if reader == "two" and number == 0:
                ranks = {image: 1 if rank <= 2 else rank for image, rank in ranks.items()}
            answers[showing.id] = Answer(ranks=ranks)
        files.append(folder / f"{reader}.json")
        files[-1].write_bytes(Results(study=built.key.study, reader=reader, answers=answers).sealed().to_json())
    json_file, _ = write_analysis(analyse_study(built.key_file, files), folder)
    return json_file


def test_ranks_of_readers_become_table_3(study, ranked, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"report": ReportSettings(readers=ranked)})
    _, data = write_report(make_report(config, study), tmp_path)
    found = json.loads(data.read_text())["table_3"]
    assert found["readers"] == 2 and len(found["rows"]) == 8
    means = {(row["averages"], row["method"]): row["mean"] for row in found["rows"]}
    for averages in (30, 10):
        assert [means[averages, name] for name in ("CS", "NUFFT")] == [3, 4]
        assert means[averages, "CNN"] == 1
    # Eight readings at each number of averages; the one tie lets a reference be first once.
    assert sorted(means[averages, "reference"] for averages in (30, 10)) == [15 / 8, 2]
    assert {row["method"]: row["published"]["middle"] for row in found["rows"] if row["averages"] == 30} == {
        "reference": 1.6, "NUFFT": 3.4, "CS": 3.0, "CNN": 1.4
    }  # fmt: skip


def test_a_browser_shows_the_report_from_its_file(study, ranked, page, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"report": ReportSettings(readers=ranked)})
    html, _ = write_report(make_report(config, study), tmp_path)
    page.goto(html.as_uri())
    assert page.locator("body > *").first.inner_text().startswith("These 4 subjects are virtual")
    pictures = page.locator("img")
    assert pictures.count() == 5
    assert all(width > 300 for width in pictures.evaluate_all("all => all.map(one => one.naturalWidth)"))
    for number in range(1, 6):
        heading = page.locator("h2", has_text=f"Table {number}:")
        assert heading.count() == 1 and heading.is_visible()
    cells = page.locator("td", has_text="1.0 (0.0)").all_inner_texts()
    assert len(cells) == 2  # ranks of the network, at 30 and 10 averages
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    page.set_viewport_size({"width": 420, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
