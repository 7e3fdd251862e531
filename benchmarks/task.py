"""What is timed, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Problem


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Task:
    """Work that is ready to start.

    Attributes:
        run: does it once, and gives the library's own result; this alone is timed.
        read: turns that result into numpy, in the units of `Problem`.
        remark: what is to be said of it after the runs.
    """

    run: Callable[[], Any]
    read: Callable[[Any], NDArray[Any]] = np.asarray
    remark: Callable[[], str] = _nothing

    def result(self) -> NDArray[Any]:
        """Run once, untimed."""
        return self.read(self.run())


@dataclass(frozen=True)
class Candidate:
    """One line of the table.

    Attributes:
        library: see `machine.LIBRARIES`.
        call: how it is called, in words for its authors.
        make: gets everything ready.
        more: further figures of this candidate, found after the timing.
    """

    library: str
    call: str
    make: Callable[[Problem], Task]
    more: Callable[[Problem], dict[str, float]] | None = None
