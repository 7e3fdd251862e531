"""Run a study: every volunteer that is not done yet is a job for an engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from nadenoise_core.errors import BadInputError, NadenoiseError, OutputError
from nadenoise_core.files import make_folder
from nadenoise_core.jobs.claims import SILENCE, Claimed, Claims
from nadenoise_core.jobs.job import Engine, InThisProcess, Job
from nadenoise_core.progress import ProgressCallback
from nadenoise_core.study.chains import read_chains
from nadenoise_core.study.config import MethodSettings, StudyConfig
from nadenoise_core.study.merge import CLAIMS, StudyRun, put_together, volunteer_folder
from nadenoise_core.study.products import bundles_of
from nadenoise_core.study.subjects import Subject, list_subjects
from nadenoise_core.study.volunteer import Volunteer


@dataclass(frozen=True)
class Shard:
    """One of several processes that share a study out among them, each started on its own.

    Attributes:
        number: from 1.
        count: of the shards.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise BadInputError(f"shard {self.number}/{self.count}: the first number is from 1 to the second")

    def in_turn(self, subjects: Sequence[Subject]) -> list[Subject]:
        """All volunteers, its own share first: what is left of the others' comes then, should one be dead."""
        turns = range(len(subjects))
        return [subjects[turn] for turn in sorted(turns, key=lambda turn: (turn - self.number + 1) % self.count)]


@dataclass
class Evaluated:
    """What became of the volunteers.

    Attributes:
        done, skipped, elsewhere: names of those that were evaluated now, before, and that other shards work on.
        failures: why the others could not be.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    failures: dict[str, NadenoiseError] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Of all of them."""
        return len(self.done) + len(self.skipped) + len(self.elsewhere) + len(self.failures)


def run_study(
    config: StudyConfig, out: Path, engine: Engine | None = None, progress: ProgressCallback | None = None
) -> StudyRun:
    """Evaluate the volunteers of a study and write its long table.

    `out` gets `volunteers/<name>/` for each, `measures.csv` with all rows, and `cases.csv`, the images of each case
    for a reader study. A volunteer that is there with the same fingerprint is not done again; one that fails does not
    stop the others.

    Args:
        config: of the study.
        out: folder of the study.
        engine: that runs the jobs; this process unless given.
        progress: called with (volunteers done, volunteers in all).

    Raises:
        NadenoiseError: the first failure, if no volunteer could be evaluated; or `out` cannot be written.
    """
    subjects = list_subjects(config.subjects)
    found = _evaluate(subjects, config.methods, out, engine or InThisProcess(), progress)
    skipped = [subject.name for subject in subjects if subject.name in found.skipped]
    return put_together(config, out, subjects, found.failures, skipped)


def run_shard(
    config: StudyConfig,
    out: Path,
    shard: Shard,
    engine: Engine | None = None,
    progress: ProgressCallback | None = None,
    silence: float = SILENCE,
) -> Evaluated:
    """Evaluate the share of a shard, and then what others have left, into a folder that all of them share.

    What another shard works on is left to it, unless it has shown no sign of life. `merge_study` makes the long table.

    Args:
        config: of the study, the same for all.
        out: folder of the study.
        shard: which one this is.
        engine: that runs the jobs; this process unless given.
        progress: called with (volunteers done, volunteers in all).
        silence: seconds after which another shard counts as dead.

    Raises:
        NadenoiseError: a chain or a network is not usable, or `out` cannot be written.
    """
    subjects = shard.in_turn(list_subjects(config.subjects))
    claims = Claims(out.absolute() / CLAIMS, silence)
    engine = engine or InThisProcess()
    found = _evaluate(subjects, config.methods, out, engine, progress, claims)
    if found.elsewhere:  # meanwhile done there, or the other shard has died
        others = [subject for subject in subjects if subject.name in found.elsewhere]
        again = _evaluate(others, config.methods, out, engine, None, claims)
        found = Evaluated(
            found.done + again.done,
            found.skipped + again.skipped,
            again.elsewhere,
            {**found.failures, **again.failures},
        )
    return found


def _evaluate(
    subjects: Sequence[Subject],
    methods: MethodSettings,
    out: Path,
    engine: Engine,
    progress: ProgressCallback | None,
    claims: Claims | None = None,
) -> Evaluated:
    read_chains(methods)  # what is wrong with all volunteers is told once
    bundles_of(methods)
    try:
        make_folder(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose another --out") from None
    found = Evaluated()
    if progress is not None:
        progress(0, len(subjects))
    jobs = (_job(subject, methods, out, claims) for subject in subjects)
    with closing(engine.run(jobs)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                found.failures[outcome.name] = outcome.error
            else:
                kind = {True: found.done, False: found.skipped, None: found.elsewhere}[outcome.result]
                kind.append(outcome.name)
            if progress is not None:
                progress(found.count, len(subjects))
    return found


def _job(subject: Subject, methods: MethodSettings, out: Path, claims: Claims | None) -> Job[bool | None]:
    work = Volunteer(subject, methods, volunteer_folder(out.absolute(), subject.name))
    return Job(subject.name, work if claims is None else Claimed(work, subject.name, claims))
