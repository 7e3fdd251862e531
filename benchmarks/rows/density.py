"""Density compensation, judged by the image that gridding makes of noise-free samples with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.peers import mri_nufft, mrpro, sigpy, torchkbnufft
from benchmarks.problem import Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate


def _image(problem: Problem, weights: NDArray[Any]) -> NDArray[Any]:
    """Gridded with double precision and the factor that fits the truth best: libraries scale weights as they like."""
    samples = problem.clean
    image = problem.exact.adjoint(samples.kspace[0] * weights)
    seen, truth = image[problem.disc], (problem.truth * samples.maps[0])[problem.disc]
    return np.asarray(image * (np.vdot(seen, truth) / np.vdot(seen, seen)))


def _error(problem: Problem, image: NDArray[Any]) -> float:
    return problem.error(image, problem.clean)


ROW = ImageRow(
    "Density compensation",
    "weights of the paper's spiral; error of the image that gridding makes of noise-free samples with them (by finufft "
    "at 1e-12), scaled to the best fit",
    (
        Candidate("nadenoise", "pipe_menon_weights from jacobian_weights, 10 iterations: sample_weights", ours.density),
        Candidate("nadenoise", "jacobian_weights", ours.density_analytic),
        Candidate("SigPy", "pipe_menon_dcf, default 30 iterations", sigpy.density),
        Candidate("mri-nufft", "density.pipe(backend=finufft), default 10 iterations", mri_nufft.density),
        Candidate("mri-nufft", "density.pipe, 100 iterations", partial(mri_nufft.density, max_iter=100)),
        Candidate("mri-nufft", "density.voronoi", mri_nufft.density_voronoi),
        Candidate("torchkbnufft", "calc_density_compensation_function, default 10 iterations", torchkbnufft.density),
        Candidate(
            "torchkbnufft",
            "calc_density_compensation_function, 50 iterations",
            partial(torchkbnufft.density, num_iterations=50),
        ),
        Candidate("mrpro", "DcfData.from_traj_voronoi", mrpro.density),
    ),
    _error,
    _image,
)
