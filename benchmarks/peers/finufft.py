"""finufft, called by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.problem import Problem
from benchmarks.task import Task

_OPTIONS: dict[str, Any] = {"eps": 1e-5, "isign": 1, "nthreads": 1}


def adjoint_plan(problem: Problem) -> Task:
    """`finufft.Plan.execute`."""
    import finufft

    x, y, weighted = _points(problem)
    plan = finufft.Plan(1, problem.matrix, dtype="complex64", **_OPTIONS)
    plan.setpts(y, x)

    def run() -> Any:
        _ = x, y  # the plan does not copy the points: they must live as long as it
        return plan.execute(weighted)

    return Task(run)


def adjoint_once(problem: Problem) -> Task:
    """`finufft.nufft2d1`, which plans anew each time."""
    import finufft

    x, y, weighted = _points(problem)
    return Task(lambda: finufft.nufft2d1(y, x, weighted, problem.matrix, **_OPTIONS))


def _points(problem: Problem) -> tuple[Any, Any, Any]:
    x, y = np.ascontiguousarray(2 * np.pi * problem.trajectory.reshape(-1, 2).T, np.float32)
    return x, y, (problem.clean.kspace[0] * problem.weights).ravel()
