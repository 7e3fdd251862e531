"""Density compensation: the area of k-space that each sample stands for.

Weights are areas in (cycles/pixel)^2, so that `sum(w * s * exp(2 pi i k.r))` is the integral over k-space, and an
object of uniform value c reconstructs to c.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import BadInputError, TrajectoryError

Weights = NDArray[np.float32]


class DensityCompensation(StrEnum):
    """Ways to find the weights."""

    PIPE_MENON = "pipe_menon"
    JACOBIAN = "jacobian"


def sample_weights(
    k: NDArray[np.floating],
    matrix: tuple[int, int],
    method: str = DensityCompensation.PIPE_MENON,
    repeats: NDArray[np.floating] | None = None,
) -> Weights:
    """Density compensation of a trajectory by a named method.

    Args:
        k: (interleaves, samples, 2) in cycles/pixel.
        matrix: (rows, columns) of the image.
        method: "pipe_menon", ten Pipe-Menon iterations from the analytic weights, which leave a bias of muscle
            aTSC below 0.05 mmol/L on the paper's spiral; or "jacobian", the analytic weights alone.
        repeats: (interleaves,) how often each was taken: where samples lie close together, those count more that have
            less noise. None: all alike.

    Returns:
        (interleaves, samples) float32, in (cycles/pixel)^2.

    Raises:
        BadInputError: an unknown method.
        TrajectoryError: "jacobian" for readouts that are no rotated centre-out arms, fewer than three samples a
            readout, or samples that do not spread over k-space.
    """
    if method not in list(DensityCompensation):
        known = ", ".join(DensityCompensation)
        raise BadInputError(f"unknown density compensation '{method}'; use one of {known}")
    if k.shape[-2] < 3 or float(np.ptp(np.linalg.norm(k, axis=-1))) == 0:
        raise TrajectoryError("the trajectory does not spread over k-space; check the traj of the raw file")
    k = np.ascontiguousarray(k, dtype=np.float32)
    shares = None if repeats is None else np.ascontiguousarray(repeats / np.mean(repeats), np.float32).tobytes()
    return _weights(k.tobytes(), k.shape, matrix, method, shares).copy()


@lru_cache(maxsize=8)
def _weights(
    k_bytes: bytes, shape: tuple[int, ...], matrix: tuple[int, int], method: str, shares: bytes | None
) -> Weights:
    """`sample_weights` of a trajectory given as bytes: the next scan has the same trajectory, and need not wait."""
    k = np.frombuffer(k_bytes, np.float32).reshape(shape)
    share = np.ones((len(k), 1)) if shares is None else np.frombuffer(shares, np.float32)[:, None]
    if method == DensityCompensation.JACOBIAN:
        if not _runs_outwards(k):
            raise TrajectoryError(
                "density 'jacobian' needs centre-out arms that are rotated copies, in square pixels; use 'pipe_menon'"
            )
        return (jacobian_weights(k) * share).astype(np.float32)
    if _runs_outwards(k):
        return pipe_menon_weights(k, matrix, start=jacobian_weights(k) * share, iterations=10)
    return pipe_menon_weights(k, matrix, start=np.broadcast_to(share, shape[:-1]), iterations=50)


def jacobian_weights(k: NDArray[np.floating]) -> NDArray[np.float64]:
    """Weights of arms that are rotated copies of one another: `2 pi |k| d|k| / interleaves`.

    Hoge, Kwan and Pike, Magn Reson Med 38:117 (1997). Shapes and unit as in `sample_weights`.
    """
    radius = np.linalg.norm(np.asarray(k, dtype=np.float64), axis=-1)
    edges = np.empty((*radius.shape[:-1], radius.shape[-1] + 1))
    edges[..., 1:-1] = (radius[..., 1:] + radius[..., :-1]) / 2
    edges[..., 0] = np.maximum(1.5 * radius[..., 0] - 0.5 * radius[..., 1], 0)
    edges[..., -1] = 1.5 * radius[..., -1] - 0.5 * radius[..., -2]
    return np.asarray(np.abs(np.diff(edges**2, axis=-1)) * np.pi / k.shape[0])


def pipe_menon_weights(
    k: NDArray[np.floating],
    matrix: tuple[int, int],
    start: NDArray[np.floating] | None,
    iterations: int,
) -> Weights:
    """Fixed-point weights `w <- w / (K * w)`, with the kernel K that matches the field of view exactly.

    Pipe and Menon, Magn Reson Med 41:179 (1999). K is the transform of the autocorrelation of the disc inscribed in
    the field of view, applied by a NUFFT pair on a grid of twice the matrix.

    Args:
        k: (interleaves, samples, 2) in cycles/pixel.
        matrix: (rows, columns).
        start: (interleaves, samples) weights to begin with; None for ones.
        iterations: how often the fixed-point step is taken.

    Returns:
        (interleaves, samples) float32 in (cycles/pixel)^2.
    """
    import finufft

    points = np.ascontiguousarray(2 * np.pi * k.reshape(-1, 2).T.astype(np.float64))
    rows, columns = matrix
    grid = (2 * rows, 2 * columns)
    spread = finufft.Plan(1, grid, eps=1e-6, isign=1, dtype=np.complex128, nthreads=1)
    sample = finufft.Plan(2, grid, eps=1e-6, isign=-1, dtype=np.complex128, nthreads=1)
    for plan in (spread, sample):
        plan.setpts(points[1], points[0])
    kernel = _disc_autocorrelation(rows, columns)
    weights = np.ones(points.shape[1]) if start is None else start.astype(np.float64).ravel()
    floor = np.finfo(np.float64).tiny
    for _ in range(iterations):
        density = sample.execute(kernel * spread.execute(weights.astype(np.complex128))).real
        weights = weights / np.maximum(density, floor)
    return weights.reshape(k.shape[:-1]).astype(np.float32)


def _disc_autocorrelation(rows: int, columns: int) -> NDArray[np.float64]:
    """`psi(u) = 2/pi (acos u - u sqrt(1 - u^2))`, u = r / FOV, on (2 rows, 2 columns); psi(0) = 1."""
    y = np.arange(-rows, rows)[:, None] / rows
    x = np.arange(-columns, columns)[None, :] / columns
    u = np.minimum(np.hypot(y, x), 1.0)
    return np.asarray(2 / np.pi * (np.arccos(u) - u * np.sqrt(1 - u**2)))


def _runs_outwards(k: NDArray[np.floating]) -> bool:
    """Whether every readout is a centre-out arm of one shape, as the analytic weights assume."""
    radius = np.linalg.norm(k, axis=-1)
    tolerance = 1e-3 * float(radius.max())
    same = np.allclose(radius, radius[:1], atol=20 * tolerance)
    return (
        same and bool(np.all(np.diff(radius, axis=-1) > -tolerance)) and bool(radius[:, 0].max() < 0.1 * radius.max())
    )
