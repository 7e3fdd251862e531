"""Total variation at 30 averages: one convex problem, so all converge to one image.

minimise  1/2 |A x - s|^2_W + weight * TV(x),   x complex, TV of periodic forward differences
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.peers import bart, mrpro, sigpy
from benchmarks.problem import Problem
from benchmarks.rows.row import ImageRow
from benchmarks.task import Candidate, Task

WEIGHT = 1.5  # noise levels of the gridded image; near the best for truth
_SWEEP = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)

Solver = Callable[[Problem, float], Task]
"""Makes a task of a problem and a weight in noise levels."""


def _solvers(isotropic: bool) -> dict[tuple[str, str], Solver]:
    def own(problem: Problem, weight: float, **settings: Any) -> Task:
        return ours.reconstruction(
            problem, problem.noisy, method="total_variation", weight=weight, isotropic=isotropic, **settings
        )

    solvers: dict[tuple[str, str], Solver] = {
        ("nadenoise", "Reconstruction, total_variation, no refinement"): partial(own, refinements=0),
    }
    if isotropic:
        return solvers | {
            ("BART", "pics -R T, default rho and 30 iterations, a process"): _peer(bart.total_variation, 30),
            ("BART", "pics -R T -u 3 -C 2 -i 100, a process"): _peer(bart.total_variation, 100, "-u", "3", "-C", "2"),
        }
    return solvers | {
        ("SigPy", "TotalVariationRecon, default 100 iterations"): _peer(sigpy.total_variation, 100),
        ("SigPy", "TotalVariationRecon, sigma 2, 200 iterations"): _peer(sigpy.total_variation, 200, sigma=2),
        ("mrpro", "pdhg, default steps, 100 iterations"): _peer(mrpro.total_variation, 100),
        ("mrpro", "pdhg, dual step 2, 200 iterations"): _peer(mrpro.total_variation, 200, dual_stepsize=2.0),
    }


def _peer(call: Callable[..., Task], iterations: int, *arguments: Any, **options: Any) -> Solver:
    def solve(problem: Problem, weight: float) -> Task:
        return call(problem, problem.noisy, weight * problem.image_noise, iterations, *arguments, **options)

    return solve


def _at_weight(problem: Problem, solver: Solver) -> Task:
    return solver(problem, WEIGHT)


def _best(problem: Problem, solver: Solver) -> dict[str, float]:
    """The weight of the sweep that comes closest to the truth."""
    errors = {weight: problem.error(solver(problem, weight).result(), problem.noisy) for weight in _SWEEP}
    weight = min(errors, key=errors.__getitem__)
    return {"least error": errors[weight], "at weight": weight}


@lru_cache
def _minimum(problem: Problem, isotropic: bool) -> tuple[NDArray[Any], float]:
    """The minimiser, and its objective."""
    image = ours.converged_total_variation(problem, WEIGHT, isotropic)
    return image, _objective(problem, image, isotropic)


def _objective(problem: Problem, image: NDArray[Any], isotropic: bool) -> float:
    residual = problem.exact.forward(image) - problem.noisy.kspace[0]
    slopes = np.abs(np.stack([np.roll(image, -1, axis) - image for axis in (0, 1)]).astype(np.complex128))
    variation = np.sqrt((slopes**2).sum(axis=0)).sum() if isotropic else slopes.sum()
    misfit = (problem.weights * np.abs(residual) ** 2).sum() / 2
    return float(misfit + WEIGHT * problem.image_noise * variation)


def _figures(problem: Problem, image: NDArray[Any], isotropic: bool) -> dict[str, float]:
    minimiser, minimum = _minimum(problem, isotropic)
    return {
        "objective above minimum": _objective(problem, image, isotropic) / minimum - 1,
        "distance to minimiser": problem.difference(image, minimiser),
    }


def _error(problem: Problem, image: NDArray[Any]) -> float:
    return problem.error(image, problem.noisy)


def _row(isotropic: bool) -> ImageRow:
    kind = "isotropic" if isotropic else "anisotropic"
    return ImageRow(
        f"Total variation, {kind}",
        f"30 averages, weight {WEIGHT:g} noise levels; objective and distance against ours run for 2000 iterations; "
        "least error against the exact band-limited image over weights of "
        + ", ".join(f"{weight:g}" for weight in _SWEEP),
        tuple(
            Candidate(library, call, partial(_at_weight, solver=solver), partial(_best, solver=solver))
            for (library, call), solver in _solvers(isotropic).items()
        ),
        _error,
        figures=partial(_figures, isotropic=isotropic),
    )


ISOTROPIC = _row(True)
ANISOTROPIC = _row(False)
