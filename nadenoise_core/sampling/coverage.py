"""What of k-space a set of readouts covers: how far it reaches, from where, and how densely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.sampling.arms import compare_arms
from nadenoise_core.sampling.trajectory import Encoding


@dataclass(frozen=True)
class Coverage:
    """What readouts cover.

    Attributes:
        reach: part of the way to the edge of encoded k-space, along the axis where it is largest.
        nearest: distance of the sample nearest to the centre, cycles/FOV.
        widest: distance between neighbouring arms where it is largest, in Nyquist intervals; NaN where they are no
            rotated copies of one another.
        twins: whether arms lie upon each other.
        apart: the same in the mean over the arms.
        stride: distance from one sample to the next, cycles/FOV; the median.
        shortest: how far the arm reaches that reaches least, against the one that reaches furthest.
    """

    reach: float
    nearest: float
    widest: float
    twins: bool
    apart: float = float("nan")
    stride: float = 0.0
    shortest: float = 1.0


def coverage_of(k: NDArray[np.floating], encoding: Encoding) -> Coverage:
    """What readouts cover, (interleaves, samples, 2) in cycles/pixel of the image."""
    k = np.ascontiguousarray(k, np.float32)
    return _coverage(k.tobytes(), k.shape, encoding)


@lru_cache(maxsize=8)
def _coverage(k_bytes: bytes, shape: tuple[int, ...], encoding: Encoding) -> Coverage:
    """`coverage_of` a trajectory given as bytes: the next scan has the same."""
    k = np.frombuffer(k_bytes, np.float32).reshape(shape)
    to_encoded = np.divide(encoding.encoded_pixel, encoding.pixel)[::-1]
    in_field_of_view = k * np.array(encoding.matrix[::-1], np.float32)
    arms = compare_arms(k, min(encoding.matrix))
    reaches = np.linalg.norm(k * to_encoded, axis=-1).max(axis=1)
    return Coverage(
        reach=2 * float(np.abs(k * to_encoded).max()),
        nearest=float(np.linalg.norm(in_field_of_view, axis=-1).min()),
        widest=float("nan") if arms is None else arms.widest,
        twins=arms is not None and arms.twins,
        apart=float("nan") if arms is None else arms.step,
        stride=float(np.median(np.linalg.norm(np.diff(in_field_of_view, axis=1), axis=-1))),
        shortest=float(reaches.min() / reaches.max()) if reaches.any() else 1.0,
    )
