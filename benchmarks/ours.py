"""How nadenoise itself is called."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problem import Problem, Samples
from benchmarks.task import Task
from nadenoise_core.device import Device
from nadenoise_core.recon.conjugate_gradients import conjugate_gradients
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.recon.nufft import Nufft
from nadenoise_core.recon.reconstruction import Reconstruction
from nadenoise_core.recon.settings import Settings
from nadenoise_core.recon.total_variation import total_variation as solve_total_variation
from nadenoise_core.sampling import jacobian_weights, pipe_menon_weights

_CPU = Device()
_ITERATIONS = 10  # of Pipe and Menon, as `sample_weights` takes them
_PENALTY = 2.0  # of the method, for a weight of one noise level; it changes the way to the minimiser, not the minimiser
_CONVERGED = 2000  # iterations, more than 20 times those that ours needs
_LEAST_EIGENVALUE = 1e-3


def density(problem: Problem) -> Task:
    """`pipe_menon_weights`, as `sample_weights` calls it; its cache is passed by."""
    k = problem.trajectory.astype(np.float32)
    return Task(lambda: pipe_menon_weights(k, problem.matrix, jacobian_weights(k), _ITERATIONS))


def density_analytic(problem: Problem) -> Task:
    """`jacobian_weights`."""
    k = problem.trajectory.astype(np.float32)
    return Task(lambda: jacobian_weights(k))


def adjoint(problem: Problem) -> Task:
    """`Nufft.adjoint` of weighted samples."""
    nufft = Nufft(problem.trajectory, problem.matrix)
    weighted = (problem.clean.kspace[0] * problem.weights).ravel()
    return Task(lambda: nufft.adjoint(weighted))


def reconstruction(problem: Problem, samples: Samples, **settings: Any) -> Task:
    """`Reconstruction`, made once and called with k-space: what the gadget `reconstruct` does for an image."""
    ready = Reconstruction(problem.trajectory.astype(np.float32), problem.matrix, Settings(**settings), _CPU)
    noise = np.full(len(problem.trajectory), samples.noise_std)
    return Task(lambda: ready(samples.kspace, noise), lambda made: made.image)


def converged_total_variation(problem: Problem, weight: float, isotropic: bool) -> NDArray[Any]:
    """The minimiser for `noisy` samples; `weight` in noise levels."""
    model = _model(problem)
    solution = solve_total_variation(
        model.grid(problem.noisy.kspace)[0],
        model.normal,
        np.maximum(model.circulant, _LEAST_EIGENVALUE),
        weight * problem.image_noise,
        weight * _PENALTY,
        _CPU,
        isotropic,
        refinements=0,
        tolerance=0,
        iterations=_CONVERGED,
    )
    return np.asarray(solution.image)


def sense(problem: Problem, samples: Samples, ridge: float, iterations: int) -> Task:
    """`conjugate_gradients` on `SignalModel.normal` plus the ridge."""
    model, maps = _model(problem), samples.maps
    flat = np.ones(problem.matrix, np.float32)
    weight = np.float32(ridge)

    def run() -> Any:
        gridded = (maps.conj() * model.grid(samples.kspace)).sum(axis=0)[None]
        steps = conjugate_gradients(lambda images: model.normal(images, maps) + weight * images, gridded, flat, np)
        *_, (images, _) = islice(steps, iterations)
        return images[0]

    return Task(run)


def _model(problem: Problem) -> SignalModel:
    model = SignalModel(problem.trajectory.astype(np.float32), problem.weights, problem.matrix, _CPU)
    model.normal(np.zeros(problem.matrix, np.complex64))  # makes its kernel
    return model
