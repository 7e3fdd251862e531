"""Our methods with the settings that users get: what they cost, and how close they come to the truth."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.problem import Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate, Task
from nadenoise_core.recon.settings import Method


def _candidate(method: str) -> Candidate:
    def make(problem: Problem) -> Task:
        return ours.reconstruction(problem, problem.noisy, method=method)

    return Candidate("nadenoise", f"Reconstruction, {method}, defaults", make)


def _error(problem: Problem, image: NDArray[Any]) -> float:
    return problem.error(image, problem.noisy)


ROW = ImageRow(
    "Our methods by default",
    "30 averages, one coil; error against the exact band-limited image, noise included",
    tuple(_candidate(method.value) for method in Method),
    _error,
)
