"""mri-nufft. Its transform is divided by a factor of its own, `norm_factor`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Problem
from benchmarks.task import Task


def density(problem: Problem, **options: Any) -> Task:
    """`mrinufft.density.pipe` with the finufft backend."""
    from mrinufft.density import pipe

    samples = _samples(problem)
    return Task(lambda: pipe(samples, problem.matrix, backend="finufft", **options), lambda w: _weights(w, problem))


def density_voronoi(problem: Problem) -> Task:
    """`mrinufft.density.voronoi`."""
    from mrinufft.density import voronoi

    samples = _samples(problem)
    return Task(lambda: voronoi(samples), lambda w: _weights(w, problem))


def adjoint(problem: Problem, **options: Any) -> Task:
    """`adj_op` of the finufft operator, of weighted samples."""
    operator = _operator(problem, **options)
    weighted = (problem.clean.kspace[0] * problem.weights).reshape(1, 1, -1)
    return Task(lambda: operator.adj_op(weighted), lambda image: image * operator.norm_factor)


def image(problem: Problem) -> Task:
    """`adj_op` of the finufft operator with density compensation."""
    operator = _operator(problem, density=problem.weights.ravel())
    kspace = problem.clean.kspace.reshape(1, 1, -1)
    return Task(lambda: operator.adj_op(kspace), lambda image: image * operator.norm_factor)


def _operator(problem: Problem, **options: Any) -> Any:
    from mrinufft import get_operator

    return get_operator("finufft")(_samples(problem), problem.matrix, n_coils=1, nthreads=1, **options)


def _samples(problem: Problem) -> NDArray[np.float32]:
    """(points, 2) in cycles/pixel, in the order of the image's axes."""
    return np.ascontiguousarray(problem.trajectory.reshape(-1, 2)[:, ::-1], np.float32)


def _weights(weights: Any, problem: Problem) -> NDArray[np.float64]:
    return np.asarray(np.abs(weights), np.float64).reshape(problem.trajectory.shape[:-1])
