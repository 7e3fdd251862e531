"""Whether samples were cut at a largest value, as by a receiver that was overloaded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEW = 64
"""Readouts that tell whether samples were cut."""
_SHARE = 0.75  # quantile over the readouts: the stronger ones of two half-pulses are cut first
_FINE_STEP = 1e-5  # of a value: steps that no two samples of a signal share by chance
_ENOUGH = 8  # readouts of whole numbers, which may be the same by chance: more must be at the limit than near it
_ROUNDING = 4e-7  # of a magnitude


def samples_at_limit(readouts: NDArray[np.complex64], variance: float) -> float:
    """How many different samples of a readout have exactly the largest value that there is, in the coil with most.

    The value is that of the real or imaginary part or, where noise is known, of the magnitude. Samples that are copies
    are counted once, unless both parts are cut: without noise all at the very centre of k-space are. Noise leaves one
    at most; others were cut.

    Args:
        readouts: (readouts, coils, samples).
        variance: of the real part of the noise of a sample; 0 or NaN: there is none, or it is not known.

    Returns:
        What a quarter of the readouts have at least; 0 where samples have steps too coarse to tell.
    """
    noise = variance**0.5 if variance > 0 else 0.0
    return max((_in_coil(readouts[:, coil], noise) for coil in range(readouts.shape[1])), default=0.0)


def _in_coil(readouts: NDArray[np.complex64], noise: float) -> float:
    parts = np.abs(np.stack([readouts.real, readouts.imag]))
    values, largest = np.unique(parts), float(parts.max(initial=0.0))
    one, other = at_part = parts == largest
    if not _are_fine(values):
        steps = np.diff(values[values > largest / 2])
        near = (parts >= largest - noise) & ~at_part
        if len(readouts) < _ENOUGH or not steps.min(initial=np.inf) < noise or at_part.sum() <= near.sum():
            return 0.0
    counts = [_different(readouts, one ^ other) + (one & other).sum(axis=1)]
    if noise > _FINE_STEP * largest:
        magnitudes = np.abs(readouts)
        counts.append(_different(readouts, magnitudes >= (1 - _ROUNDING) * magnitudes.max()))
    return float(np.quantile(counts, _SHARE, axis=1).max())


def _are_fine(values: NDArray[np.float32]) -> bool:
    """Whether values, rising, have steps so fine that no two samples share one by chance; floats have relative ones."""
    relative = np.diff(np.log(values[values > 0], dtype=np.float64))
    return bool(relative.min(initial=np.inf) < _FINE_STEP)


def _different(readouts: NDArray[np.complex64], where: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many different samples each readout has there."""
    return np.array([np.unique(readout[at]).size for readout, at in zip(readouts, where, strict=True)])
