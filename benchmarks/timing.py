"""How time is taken."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR", "VECLIB", "PYFFTW")
}
"""Environment in which no library uses more than one thread."""

_SECONDS = 2.0
_LEAST = 3
_MOST = 100


@dataclass(frozen=True)
class Timing:
    """Wall-clock time of repeated calls, milliseconds."""

    median: float
    least: float
    most: float
    repeats: int


def measure(run: Callable[[], Any]) -> tuple[Any, Timing]:
    """Result and time of a call: one to warm up, then for two seconds, 3 to 100 times."""
    result = run()
    times: list[float] = []
    while len(times) < _LEAST or (sum(times) < _SECONDS and len(times) < _MOST):
        start = perf_counter()
        result = run()
        times.append(perf_counter() - start)
    milliseconds = [1e3 * seconds for seconds in times]
    return result, Timing(statistics.median(milliseconds), min(milliseconds), max(milliseconds), len(times))
