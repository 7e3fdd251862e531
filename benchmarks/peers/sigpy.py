"""SigPy. Its coordinates are cycles/FOV in the order of the image's axes, its transform is divided by sqrt(pixels)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Problem, Samples
from benchmarks.task import Task


def density(problem: Problem, **options: Any) -> Task:
    """`sigpy.mri.pipe_menon_dcf`."""
    import sigpy.mri

    coordinates = _coordinates(problem)
    return Task(lambda: sigpy.mri.pipe_menon_dcf(coordinates, problem.matrix, show_pbar=False, **options))


def adjoint(problem: Problem, **options: Any) -> Task:
    """`sigpy.nufft_adjoint` of weighted samples; SigPy has no plans."""
    import sigpy

    coordinates, weighted = _coordinates(problem), problem.clean.kspace[0] * problem.weights
    scale = _scale(problem)
    return Task(
        lambda: sigpy.nufft_adjoint(weighted, coordinates, problem.matrix, **options), lambda image: image * scale
    )


def image(problem: Problem) -> Task:
    """Gridding: weights, and `sigpy.nufft_adjoint`."""
    import sigpy

    coordinates, kspace, weights = _coordinates(problem), problem.clean.kspace[0], problem.weights
    scale = _scale(problem)
    return Task(lambda: sigpy.nufft_adjoint(kspace * weights, coordinates, problem.matrix), lambda image: image * scale)


def total_variation(problem: Problem, samples: Samples, weight: float, iterations: int, **options: Any) -> Task:
    """`sigpy.mri.app.TotalVariationRecon`, by its own PDHG; anisotropic, periodic.

    The maps carry the scale of the transform, so that its image and its weight are ours.
    """
    import sigpy.mri

    coordinates = _coordinates(problem)
    maps = np.full_like(samples.maps, _scale(problem))
    return Task(
        lambda: sigpy.mri.app.TotalVariationRecon(
            samples.kspace,
            maps,
            weight,
            weights=problem.weights,
            coord=coordinates,
            max_iter=iterations,
            show_pbar=False,
            **options,
        ).run()
    )


def sense(problem: Problem, samples: Samples, ridge: float, iterations: int) -> Task:
    """`sigpy.mri.app.SenseRecon`, by its own conjugate gradients."""
    import sigpy.mri

    coordinates = _coordinates(problem)
    maps = (samples.maps * _scale(problem)).astype(np.complex64)
    return Task(
        lambda: sigpy.mri.app.SenseRecon(
            samples.kspace,
            maps,
            ridge,
            weights=problem.weights,
            coord=coordinates,
            max_iter=iterations,
            show_pbar=False,
        ).run()
    )


def _coordinates(problem: Problem) -> NDArray[np.float32]:
    return (problem.trajectory[..., ::-1] * problem.matrix).astype(np.float32)


def _scale(problem: Problem) -> np.float32:
    return np.float32(np.sqrt(np.prod(problem.matrix)))
