"""torchkbnufft. Its trajectory is in radians/voxel, its transform is not scaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.problem import Problem
from benchmarks.task import Task


def density(problem: Problem, **options: Any) -> Task:
    """`torchkbnufft.calc_density_compensation_function`."""
    import torchkbnufft

    trajectory, shape = _trajectory(problem), problem.trajectory.shape[:-1]
    return Task(
        lambda: torchkbnufft.calc_density_compensation_function(trajectory, problem.matrix, **options),
        lambda weights: np.abs(weights.numpy()).reshape(shape),
    )


def adjoint(problem: Problem, sparse: bool) -> Task:
    """`KbNufftAdjoint` of weighted samples, by table (its default) or by sparse matrices."""
    import torch
    import torchkbnufft

    trajectory = _trajectory(problem)
    operator = torchkbnufft.KbNufftAdjoint(problem.matrix)
    weighted = torch.from_numpy((problem.clean.kspace[0] * problem.weights).reshape(1, 1, -1))
    matrices = torchkbnufft.calc_tensor_spmatrix(trajectory, problem.matrix) if sparse else None
    return Task(lambda: operator(weighted, trajectory, interp_mats=matrices), _read)


def image(problem: Problem) -> Task:
    """Weights, and `KbNufftAdjoint` by table, the faster on the CPU."""
    import torch
    import torchkbnufft

    trajectory = _trajectory(problem)
    operator = torchkbnufft.KbNufftAdjoint(problem.matrix)
    kspace = torch.from_numpy(problem.clean.kspace.reshape(1, 1, -1))
    weights = torch.from_numpy(problem.weights.reshape(1, 1, -1))
    return Task(lambda: operator(kspace * weights, trajectory), _read)


def _trajectory(problem: Problem) -> Any:
    """(2, points) in the order of the image's axes."""
    import torch

    points = 2 * np.pi * problem.trajectory.reshape(-1, 2)[:, ::-1].T
    return torch.from_numpy(np.ascontiguousarray(points, np.float32))


def _read(image: Any) -> Any:
    return image.numpy()[0, 0]
