"""What a study has left: the volunteers that are done, put together into one long table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nadenoise_core.errors import BadInputError, NadenoiseError
from nadenoise_core.files import write_whole
from nadenoise_core.study.config import FileSubjects, StudyConfig
from nadenoise_core.study.measures import METHODS, Measures, read_measures, write_measures
from nadenoise_core.study.nifti import nifti_stem
from nadenoise_core.study.subjects import Subject, list_subjects
from nadenoise_core.study.volunteer import fingerprint, is_done

CLAIMS = ".claims"
"""Folder in that of the study, of what shards have claimed."""


@dataclass(frozen=True)
class StudyRun:
    """What a study left in its folder.

    Attributes:
        folder: of the study.
        measures: the long table of all volunteers.
        records: `record.json` of each volunteer.
        failures: name of a volunteer that could not be evaluated, and why.
        skipped: volunteers that were done before.
        virtual: how many of the volunteers measured are virtual.
    """

    folder: Path
    measures: Measures
    records: tuple[dict[str, Any], ...]
    failures: dict[str, str]
    skipped: tuple[str, ...]
    virtual: int


def volunteer_folder(out: Path, name: str) -> Path:
    """Where a volunteer is in the folder of a study."""
    return out / "volunteers" / name


def merge_study(config: StudyConfig, out: Path) -> StudyRun:
    """Put together what shards have left; volunteers that are missing are failures.

    Args:
        config: of the study; the volunteers must be done by it.
        out: folder of the study.

    Raises:
        NadenoiseError: no volunteer is done, or `out` cannot be written.
    """
    subjects = list_subjects(config.subjects)
    failures = {}
    for subject in subjects:
        try:
            if not is_done(volunteer_folder(out, subject.name), fingerprint(subject, config.methods)):
                failures[subject.name] = NadenoiseError("is not done by this configuration; run its shard again")
        except NadenoiseError as error:
            failures[subject.name] = error
    if len(failures) == len(subjects):
        raise BadInputError(
            f"{out}: no volunteer of the study is done there; run its shards first, or give their folder"
        )
    done = tuple(subject.name for subject in subjects if subject.name not in failures)
    merged = put_together(config, out, subjects, failures, done)
    if not failures:
        shutil.rmtree(out / CLAIMS, ignore_errors=True)
    return merged


def put_together(
    config: StudyConfig,
    out: Path,
    subjects: Sequence[Subject],
    failures: Mapping[str, NadenoiseError],
    skipped: Sequence[str],
) -> StudyRun:
    """Write `measures.csv`, with all rows, and `cases.csv`, the images of each case for a reader study.

    Raises:
        NadenoiseError: the first failure, if there is no volunteer else; or a file cannot be read or written.
    """
    names = [subject.name for subject in subjects if subject.name not in failures]
    if not names:
        raise next(iter(failures.values()))
    measures = read_measures([volunteer_folder(out, name) / "measures.csv" for name in names])
    write_measures(out / "measures.csv", measures.rows)
    write_whole(out / "cases.csv", _cases(measures).encode())
    records = tuple(
        json.loads((volunteer_folder(out, name) / "record.json").read_text(encoding="utf-8")) for name in names
    )
    reasons = {name: str(error) for name, error in failures.items()}
    declared = isinstance(config.subjects, FileSubjects) and config.subjects.virtual
    virtual = sum(declared or record["virtual"] for record in records)
    return StudyRun(out, measures, records, reasons, tuple(skipped), virtual)


def _cases(measures: Measures) -> str:
    """The magnitudes of each volunteer and number of averages, as `nadenoise study readers build` takes them."""
    known = {(row.volunteer, row.method, row.averages) for row in measures.rows}
    references = {row.volunteer: row.averages for row in measures.rows if row.method == "reference"}
    lines = ["case,method,file,averages"]
    for averages in measures.averages:
        for volunteer in measures.volunteers:
            if not all((volunteer, method, averages) in known for method in METHODS):
                continue
            images = [("reference", references[volunteer]), *((method, averages) for method in METHODS)]
            for method, count in images:
                file = f"volunteers/{volunteer}/nifti/{nifti_stem(method, count)}.nii.gz"
                lines.append(f"{volunteer}-{averages:03d},{method},{file},{averages}")
    return "\n".join(lines) + "\n"
