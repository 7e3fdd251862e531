"""A job, what becomes of it, and what runs many of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from nadenoise_core.errors import NadenoiseError, as_ours

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job(Generic[Result]):
    """A piece of work that leaves a whole folder or none: it may run twice, and be killed anywhere.

    Attributes:
        name: what people call it, such as the raw file.
        work: a pure function of what it holds (files, chain, settings); it can be pickled, and so can its result.
    """

    name: str
    work: Callable[[], Result]


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of a job.

    Attributes:
        name: of the job.
        result: of its work; None where that failed.
        error: why it failed; None where it did not.
        trace: of the error, for who debugs.
    """

    name: str
    result: Result | None = None
    error: NadenoiseError | None = None
    trace: str = ""


class Engine(Protocol):
    """Runs jobs."""

    def run(self, jobs: Iterable[Job[Result]]) -> Generator[Outcome[Result], None, None]:
        """The outcome of each job as it is done, in any order; a job is asked for when there is room for it.

        Whoever does not take all of them closes the generator, which ends what is in work.
        """
        ...


def attempt(job: Job[Result]) -> Outcome[Result]:
    """Run a job here; what goes wrong is its outcome."""
    try:
        return Outcome(job.name, job.work())
    except Exception as error:
        return Outcome(job.name, error=as_ours(error), trace="".join(traceback.format_exception(error)))


class InThisProcess:
    """Jobs one after another, in this process."""

    def run(self, jobs: Iterable[Job[Result]]) -> Generator[Outcome[Result], None, None]:
        """See `Engine`."""
        for job in jobs:
            yield attempt(job)
