"""The configuration of a study: what is shipped, and how what is wrong is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nadenoise_core.errors import BadInputError, ConfigError
from nadenoise_core.simulate.cohort import Cohort
from nadenoise_core.study.config import (
    FileSubjects,
    MethodSettings,
    StudyConfig,
    VirtualSubjects,
    load_study,
    shipped_studies,
)
from nadenoise_core.study.subjects import list_subjects


def keys_of(values: dict[str, Any], above: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        found += keys_of(value, f"{above}{name}.") if isinstance(value, dict) else [above + name]
    return found


def test_the_shipped_study_is_complete_commented_and_the_default() -> None:
    (path,) = shipped_studies().values()
    assert keys_of(yaml.safe_load(path.read_text())) == keys_of(load_study("paper").plain())
    decay = {"tissue_t2_star": "3.3, 12.9", "tube_t2_star": "3.3, 12.9"}  # which a site must know of its own tubes
    assert load_study("paper") == StudyConfig(
        subjects=VirtualSubjects(kind="virtual"), methods=MethodSettings(fit=decay)
    )
    assert path.read_text().count("#") > 25


def test_volunteers_of_the_shipped_study_are_those_of_the_paper() -> None:
    import numpy as np

    subjects = list_subjects(load_study("paper").subjects)
    assert len(subjects) == 10 and len({subject.name for subject in subjects}) == 10
    made = [subject.measurement for subject in subjects]
    assert {measurement.averages for measurement in made} == {150}
    for name in ("muscle", "skin", "skin_thickness", "noise", "tube_tilt", "off_resonance"):
        low, middle, high = np.percentile([getattr(measurement, name) for measurement in made], (25, 50, 75))
        assert (middle, high - low) == pytest.approx(getattr(Cohort(), name)), name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "subjects:\n  kind: virtuel\n",
            "my.yaml:2: subjects.kind is 'virtuel'; allowed is virtual, files; did you mean",
        ),
        ("subjects:\n  kind: virtual\n  cuont: 3\n", "my.yaml:3: there is no key subjects.cuont; did you mean 'count'"),
        ("subjects:\n  kind: virtual\n  count: one\n", "my.yaml:3: subjects.count is 'one'; allowed is a whole number"),
        ("subjects:\n  kind: virtual\n  noise: -1\n", "my.yaml:3: subjects.noise is -1; allowed is"),
        ("title: x\n", "subjects is missing"),
        (
            "subjects:\n  kind: virtual\nmethods:\n  averages: [30, 0]\n",
            "my.yaml:4: methods.averages is [30, 0]; allowed is a list of up to 64 whole numbers",
        ),
        ("subjects:\n  kind: virtual\nmethods:\n  averages: [30, 30]\n", "each number of averages is wanted once"),
        ("subjects:\n  kind: virtual\nmethods:\n  tubes: owm\n", "methods.tubes is 'owm'; allowed is reference, own"),
        ("subjects:\n  kind: virtual\nreport:\n  map_window: [60, 0]\n", "the first number must be below the second"),
        ("subjects:\n  kind: files\n  folder: raw\n", "subjects.regions is missing"),
        (
            "subjects:\n  kind: files\n  folder: raw\n  regions: r\n  labels: {muscle: 1, skin: 1, background: 2}\n",
            "must be three different labels",
        ),
        ("- a\n", "my.yaml: is no table of keys and values"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_study(str(path))
    assert words in str(caught.value), str(caught.value)


def test_a_study_that_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(ConfigError, match="no shipped configuration 'papre'; did you mean 'paper'"):
        load_study("papre")


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(
        "subjects: {kind: files, folder: raw, regions: drawn}\nreport: {readers: readers.json}\n"
    )
    config = load_study(str(tmp_path / "my.yaml"))
    assert isinstance(config.subjects, FileSubjects)
    assert (config.subjects.folder, config.subjects.regions) == (tmp_path / "raw", tmp_path / "drawn")
    assert config.report.readers == tmp_path / "readers.json"


def test_subjects_that_cannot_be_found_are_told(tmp_path: Path) -> None:
    settings = FileSubjects(kind="files", folder=tmp_path / "raw", regions=tmp_path)
    with pytest.raises(BadInputError, match="no such folder; set subjects.folder"):
        list_subjects(settings)
    (tmp_path / "raw").mkdir()
    with pytest.raises(BadInputError, match="no file fits subjects.pattern"):
        list_subjects(settings)
    (tmp_path / "raw" / "calf.h5").write_bytes(b"")
    with pytest.raises(BadInputError, match=r"has no label map .*calf.nii.gz; draw one in ITK-SNAP .* study export"):
        list_subjects(settings)
    with pytest.raises(BadInputError, match="muscle: a range of 5 about 1 reaches below 0"):
        list_subjects(VirtualSubjects(kind="virtual", muscle=(1.0, 5.0)))
