"""One image from k-space, weights and plan ready."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.peers import bart, mri_nufft, mrpro, sigpy, torchkbnufft
from benchmarks.problem import Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate


def _ours(problem: Problem) -> Any:
    return ours.reconstruction(problem, problem.clean)


def _error(problem: Problem, image: NDArray[Any]) -> float:
    return problem.error(image, problem.clean)


ROW = ImageRow(
    "One image by gridding",
    "noise-free k-space to an image, all with our weights; error against the exact band-limited image",
    (
        Candidate("nadenoise", "Reconstruction, gridding", _ours),
        Candidate("mri-nufft", "finufft operator with density, adj_op", mri_nufft.image),
        Candidate("mrpro", "NonUniformFastFourierOp.H @ DensityCompensationOp", mrpro.image),
        Candidate("SigPy", "nufft_adjoint of weighted samples, default", sigpy.image),
        Candidate("torchkbnufft", "KbNufftAdjoint of weighted samples, default (table)", torchkbnufft.image),
        Candidate("BART", "fmac and nufft -a, two processes", bart.image),
    ),
    _error,
)
