"""The adjoint NUFFT, with everything ready that a library can keep."""

from __future__ import annotations

from functools import partial
from typing import Any

from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.peers import bart, finufft, mri_nufft, mrpro, sigpy, torchkbnufft
from benchmarks.problem import Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate


def _error(problem: Problem, image: NDArray[Any]) -> float:
    exact = problem.exact.adjoint(problem.clean.kspace[0] * problem.weights)
    return problem.difference(image, exact)


ROW = ImageRow(
    "Adjoint NUFFT",
    "10 200 weighted samples to 80 x 80 pixels, single precision, plan reused; error against finufft at 1e-12 in "
    "double precision",
    (
        Candidate("nadenoise", "Nufft.adjoint", ours.adjoint),
        Candidate("finufft", "Plan.execute by hand, eps 1e-5", finufft.adjoint_plan),
        Candidate("finufft", "nufft2d1, no plan, eps 1e-5", finufft.adjoint_once),
        Candidate("mri-nufft", "finufft operator, adj_op, default eps 1e-6", mri_nufft.adjoint),
        Candidate("mri-nufft", "finufft operator, adj_op, eps 1e-5", partial(mri_nufft.adjoint, eps=1e-5)),
        Candidate("mrpro", "NonUniformFastFourierOp.adjoint", mrpro.adjoint),
        Candidate("SigPy", "nufft_adjoint, default", sigpy.adjoint),
        Candidate("SigPy", "nufft_adjoint, oversamp 2, width 6", partial(sigpy.adjoint, oversamp=2, width=6)),
        Candidate("torchkbnufft", "KbNufftAdjoint, default (table)", partial(torchkbnufft.adjoint, sparse=False)),
        Candidate("torchkbnufft", "KbNufftAdjoint, sparse matrices", partial(torchkbnufft.adjoint, sparse=True)),
        Candidate("BART", "nufft -a, a process", bart.adjoint),
    ),
    _error,
)
