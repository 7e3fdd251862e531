"""Run a study: every volunteer that is not done yet, several at once, each in a process with one thread."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nadenoise_core.errors import NadenoiseError, OutputError, as_ours
from nadenoise_core.files import make_folder, write_whole
from nadenoise_core.study.config import FileSubjects, MethodSettings, StudyConfig
from nadenoise_core.study.measures import METHODS, Measures, read_measures, write_measures
from nadenoise_core.study.nifti import nifti_stem
from nadenoise_core.study.subjects import Subject, list_subjects
from nadenoise_core.study.volunteer import evaluate, fingerprint, is_done

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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


def run_study(
    config: StudyConfig, out: Path, jobs: int = 1, progress: Callable[[str, int, int], None] | None = None
) -> StudyRun:
    """Evaluate the volunteers of a study and write its long table.

    `out` gets `volunteers/<name>/` for each, `measures.csv` with all rows, and `cases.csv`, the images of each case
    for a reader study. A volunteer that is there with the same fingerprint is not done again; one that fails does not
    stop the others.

    Args:
        config: of the study.
        out: folder of the study.
        jobs: processes; 1: this one.
        progress: called with (volunteer, volunteers done, volunteers in all).

    Raises:
        NadenoiseError: the first failure, if no volunteer could be evaluated; or `out` cannot be written.
    """
    subjects = list_subjects(config.subjects)
    folders = {subject.name: out / "volunteers" / subject.name for subject in subjects}
    marks: dict[str, str] = {}
    failures: dict[str, NadenoiseError] = {}
    for subject in subjects:
        try:
            marks[subject.name] = fingerprint(subject, config.methods)
        except NadenoiseError as error:
            failures[subject.name] = error
    skipped = [name for name, mark in marks.items() if is_done(folders[name], mark)]
    waiting = [subject for subject in subjects if subject.name in marks and subject.name not in skipped]
    _make(out)
    done = len(skipped)
    if progress is not None:
        progress("", done, len(subjects))
    with closing(_evaluated(waiting, config.methods, folders, marks, jobs)) as outcomes:
        for name, failure in outcomes:
            done += 1
            if failure is not None:
                failures[name] = failure
            if progress is not None:
                progress(name, done, len(subjects))
    names = [subject.name for subject in subjects if subject.name not in failures]
    if not names:
        raise next(iter(failures.values()))
    measures = read_measures([folders[name] / "measures.csv" for name in names])
    write_measures(out / "measures.csv", measures.rows)
    write_whole(out / "cases.csv", _cases(measures).encode())
    records = tuple(json.loads((folders[name] / "record.json").read_text(encoding="utf-8")) for name in names)
    told = {name: str(error) for name, error in failures.items()}
    declared = isinstance(config.subjects, FileSubjects) and config.subjects.virtual
    virtual = sum(declared or record["virtual"] for record in records)
    return StudyRun(out, measures, records, told, tuple(skipped), virtual)


def _evaluated(
    subjects: Sequence[Subject], methods: MethodSettings, folders: dict[str, Path], marks: dict[str, str], jobs: int
) -> Generator[tuple[str, NadenoiseError | None], None, None]:
    """Each volunteer as it is done, with what went wrong."""
    if jobs <= 1 or len(subjects) <= 1:
        for subject in subjects:
            yield subject.name, _attempt(subject, methods, folders[subject.name], marks[subject.name])
        return
    # Processes are started afresh, not forked: threads of numerical libraries do not survive a fork.
    count, fresh = min(jobs, len(subjects)), get_context("spawn")
    with _one_thread(), ProcessPoolExecutor(count, fresh, initializer=_leave_interrupts) as pool:
        futures = {
            pool.submit(_attempt, subject, methods, folders[subject.name], marks[subject.name]): subject.name
            for subject in subjects
        }
        try:
            for future in as_completed(futures):
                yield futures[future], _outcome(future, futures[future])
        except BaseException:  # an interrupt: volunteers that wait are not begun
            pool.shutdown(cancel_futures=True)
            raise


def _outcome(future: Future[NadenoiseError | None], name: str) -> NadenoiseError | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return OutputError(f"{name}: its process was ended, most likely for want of memory; use fewer --jobs")


def _leave_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal; the first one tells the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _attempt(subject: Subject, methods: MethodSettings, folder: Path, mark: str) -> NadenoiseError | None:
    try:
        evaluate(subject, methods, folder, mark)
    except Exception as error:  # the other volunteers go on
        return as_ours(error)
    return None


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started within have one thread for each library."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose another --out") from None


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
