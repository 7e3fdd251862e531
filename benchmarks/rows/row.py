"""A row: a task, those who do it, and how their results are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from benchmarks.machine import missing
from benchmarks.problem import Problem
from benchmarks.task import Candidate
from benchmarks.timing import Timing, measure


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        library, call: who, and how.
        timing: None: it did not run, and `note` says why.
        difference: to our result, relative root mean square within the disc; None for ours.
        error: to the exact truth, likewise; None where there is none.
        figures: what else there is to know.
        note: likewise, in words.
    """

    library: str
    call: str
    timing: Timing | None = None
    difference: float | None = None
    error: float | None = None
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; milliseconds."""
        return asdict(self)


class Row(Protocol):
    """A task of the table."""

    @property
    def title(self) -> str:
        """Its name."""

    @property
    def about(self) -> str:
        """What is measured, for people."""

    def entries(self, problem: Problem, say: Callable[[str], None]) -> list[Entry]:
        """Time everyone; `say` is told who is at work."""


@dataclass(frozen=True)
class ImageRow:
    """A task that gives an image (or what makes one).

    Attributes:
        title, about: for people.
        candidates: who does it; the first is ours.
        image: the image of a result.
        error: its difference to the truth; None: there is no truth.
        figures: what else is judged, from the image.
    """

    title: str
    about: str
    candidates: Sequence[Candidate]
    error: Callable[[Problem, NDArray[Any]], float] | None = None
    image: Callable[[Problem, NDArray[Any]], NDArray[Any]] = lambda _, result: result
    figures: Callable[[Problem, NDArray[Any]], dict[str, float]] = lambda _, image: {}

    def entries(self, problem: Problem, say: Callable[[str], None]) -> list[Entry]:
        """Time everyone; who fails says why, and takes nobody with him."""
        entries, ours = [], None
        for candidate in self.candidates:
            say(f"{self.title}: {candidate.library}, {candidate.call}")
            hint = missing(candidate.library)
            if hint:
                entries.append(Entry(candidate.library, candidate.call, note=f"not installed: {hint}"))
                continue
            try:
                task = candidate.make(problem)
                result, timing = measure(task.run)
                image = self.image(problem, task.read(result))
                entries.append(
                    Entry(
                        candidate.library,
                        candidate.call,
                        timing,
                        None if ours is None else problem.difference(image, ours),
                        None if self.error is None else self.error(problem, image),
                        self.figures(problem, image) | (candidate.more(problem) if candidate.more else {}),
                        task.remark(),
                    )
                )
                if candidate is self.candidates[0]:
                    ours = image
            except Exception as failure:  # whatever a library raises is its line of the table
                note = f"failed: {type(failure).__name__}: {failure}".replace("\n", " ")
                entries.append(Entry(candidate.library, candidate.call, note=note[:200]))
        return entries
