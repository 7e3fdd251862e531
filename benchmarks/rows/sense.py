"""Least squares on 8 coils with a ridge: one linear problem, so all converge to one image.

minimise  1/2 sum_c |A S_c x - s_c|^2_W + ridge / 2 |x|^2
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.peers import bart, mrpro, sigpy
from benchmarks.problem import COILS, Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate, Task

RIDGE = 0.3  # a tenth of the largest eigenvalue of the data term
ITERATIONS = 15
_CONVERGED = 20 * ITERATIONS


def _solved(problem: Problem, call: Any, iterations: int = ITERATIONS) -> Task:
    task: Task = call(problem, problem.coils, RIDGE, iterations)
    return task


@lru_cache
def _minimiser(problem: Problem) -> NDArray[Any]:
    return _solved(problem, ours.sense, _CONVERGED).result()


def _error(problem: Problem, image: NDArray[Any]) -> float:
    return problem.error(image, problem.coils)


def _figures(problem: Problem, image: NDArray[Any]) -> dict[str, float]:
    return {"distance to minimiser": problem.difference(image, _minimiser(problem))}


def _candidate(library: str, call: str, solve: Any) -> Candidate:
    return Candidate(library, f"{call}, {ITERATIONS} iterations", partial(_solved, call=solve))


ROW = ImageRow(
    f"SENSE, {COILS} coils",
    f"30 averages, true sensitivities for all, ridge {RIDGE:g}, conjugate gradients; distance against ours run for "
    f"{_CONVERGED} iterations; error against the exact band-limited image",
    (
        _candidate("nadenoise", "conjugate_gradients on SignalModel.normal", ours.sense),
        _candidate("SigPy", "SenseRecon", sigpy.sense),
        _candidate("mrpro", "cg on the Toeplitz Gram operator", mrpro.sense),
        _candidate("BART", "pics -l2, a process", bart.sense),
    ),
    _error,
    figures=_figures,
)
