"""mrpro. Its trajectory is in cycles/FOV, its transform is divided by sqrt(pixels)."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.problem import Problem, Samples
from benchmarks.task import Task


def density(problem: Problem) -> Task:
    """`DcfData.from_traj_voronoi`."""
    _make_importable()
    from mrpro.data import DcfData

    trajectory = _trajectory(problem)
    shape = problem.trajectory.shape[:-1]
    return Task(lambda: DcfData.from_traj_voronoi(trajectory), lambda dcf: dcf.data.numpy().reshape(shape))


def adjoint(problem: Problem) -> Task:
    """`NonUniformFastFourierOp.adjoint` of weighted samples."""
    operator, scale = _operator(problem), _scale(problem)
    weighted = _samples(problem.clean) * _weights(problem)
    return Task(lambda: operator.adjoint(weighted)[0], lambda image: image.numpy()[0, 0, 0] * scale)


def image(problem: Problem) -> Task:
    """The adjoint of `NonUniformFastFourierOp` and `DensityCompensationOp`."""
    _make_importable()
    from mrpro.data import DcfData

    operator, scale = _operator(problem), _scale(problem)
    gridding = operator.H @ DcfData(_weights(problem)).as_operator()
    kspace = _samples(problem.clean)
    return Task(lambda: gridding(kspace)[0], lambda image: image.numpy()[0, 0, 0] * scale)


def total_variation(problem: Problem, samples: Samples, weight: float, iterations: int, **steps: float) -> Task:
    """`pdhg` from the gridded image, put together as `TotalVariationRegularizedReconstruction` does it.

    That class knows no weights of samples, and its TV is that of real and imaginary part apart. So the roots of the
    weights are part of the operator, and TV is `L1Norm` of periodic differences: anisotropic, complex.
    """
    _make_importable()
    import torch
    from mrpro.algorithms.optimizers import pdhg
    from mrpro.data import DcfData
    from mrpro.operators import FiniteDifferenceOp, LinearOperatorMatrix, ProximableFunctionalSeparableSum
    from mrpro.operators.functionals import L1Norm, L2NormSquared

    root = torch.sqrt(_weights(problem))
    acquisition = _scale(problem) * (DcfData(root).as_operator() @ _operator(problem))
    differences = FiniteDifferenceOp(dim=(-2, -1), mode="forward", pad_mode="circular")
    operator = LinearOperatorMatrix(((acquisition,), (differences,)))
    weighted = root * _samples(samples)
    data_term = L2NormSquared(target=weighted, weight=0.5**0.5)
    functional = ProximableFunctionalSeparableSum(data_term, L1Norm(weight=weight))

    def run() -> Any:
        torch.manual_seed(0)  # of the power iteration that finds the norm of the operator
        start = acquisition.adjoint(weighted)
        return pdhg(functional, None, operator, start, max_iterations=iterations, **steps)[0]

    return Task(run, lambda image: image.numpy()[0, 0, 0])


def sense(problem: Problem, samples: Samples, ridge: float, iterations: int) -> Task:
    """`cg` on the weighted Toeplitz Gram operator of the NUFFT between `SensitivityOp`s."""
    _make_importable()
    import torch
    from mrpro.algorithms.optimizers import cg
    from mrpro.data import DcfData
    from mrpro.operators import IdentityOp, SensitivityOp
    from mrpro.operators.NonUniformFastFourierOp import NonUniformFastFourierOpGramOp

    scale = _scale(problem)
    weights, kspace = _weights(problem), _samples(samples)
    fourier = _operator(problem)
    coils = SensitivityOp(torch.from_numpy(samples.maps[None, :, None] * scale))
    normal = coils.H @ NonUniformFastFourierOpGramOp(fourier, weights) @ coils + ridge * IdentityOp()
    gridding = coils.H @ fourier.H @ DcfData(weights).as_operator()

    def run() -> Any:
        (gridded,) = gridding(kspace)
        return cg(normal, gridded, max_iterations=iterations, tolerance=0)[0]

    return Task(run, lambda image: image.numpy()[0, 0, 0])


def _make_importable() -> None:
    """Let mrpro import where torchvision does not: PyPI's is built for CUDA, and fails beside a torch without it.

    mrpro needs torchvision for one phantom alone, which is not used here.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[name] = ModuleType(name)


def _operator(problem: Problem) -> Any:
    _make_importable()
    from mrpro.operators import NonUniformFastFourierOp

    return NonUniformFastFourierOp((-2, -1), problem.matrix, problem.matrix, _trajectory(problem))


def _trajectory(problem: Problem) -> Any:
    """(other, coils, k2, k1, k0) of interleaves along k1 and samples along k0."""
    import torch
    from mrpro.data import KTrajectory

    cycles = torch.from_numpy((problem.trajectory * problem.matrix[::-1]).astype(np.float32))[None, None, None]
    return KTrajectory(kz=torch.zeros(1, 1, 1, 1, 1), ky=cycles[..., 1], kx=cycles[..., 0])


def _samples(samples: Samples) -> Any:
    """(other, coils, k2, k1, k0)."""
    import torch

    return torch.from_numpy(samples.kspace[None, :, None])


def _weights(problem: Problem) -> Any:
    import torch

    return torch.from_numpy(problem.weights[None, None, None])


def _scale(problem: Problem) -> float:
    return float(np.sqrt(np.prod(problem.matrix)))
