"""Bulk phases between repeats that should be alike, with their errors by noise, and the signal that they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SAME_SHAPE = 0.98  # correlation
_KNOWN = 0.3  # variance of a phase by noise, rad^2, up to which it tells something
_ROUNDING = 1e-6


def bulk_phase(
    first: NDArray[np.complexfloating], second: NDArray[np.complexfloating], variance: float
) -> tuple[float, float]:
    """Phase of the second half-pulse against the first, and its standard error, radians.

    The halves are a/2 + o and a/2 - o, with o what lies outside the slice. Their product has the phase 0 where o is
    weak and pi where it is strong; so the phase is known within half a turn, and a bulk phase is taken as small.

    Args:
        first, second: of one shape.
        variance: of the real part of their noise.
    """
    product = _inner(first, second)
    phase = float(np.angle(product))
    within = phase - np.pi * round(phase / np.pi)
    energy = _inner(first, first).real + _inner(second, second).real
    error = (variance * energy) ** 0.5 / abs(product) if product else float("inf")
    return within, error


def likeness(first: NDArray[np.complexfloating], second: NDArray[np.complexfloating], variance: float) -> float:
    """How many times as strong the second is as the first, where it is but a multiple of it; else NaN.

    Half-pulses never are: what lies outside the slice, and the slice itself, are never the same shape. Two flip angles
    or two echoes are.

    Args:
        first, second: (..., samples).
        variance: of the real part of their noise.
    """
    noise = 2 * variance * first.size
    energies = [_inner(part, part).real - noise for part in (first, second)]
    if not min(energies) > noise / 10:
        return float("nan")
    correlation = abs(_inner(first, second)) / (energies[0] * energies[1]) ** 0.5
    return (energies[1] / energies[0]) ** 0.5 if correlation > _SAME_SHAPE else float("nan")


def _inner(first: NDArray[np.complexfloating], second: NDArray[np.complexfloating]) -> complex:
    """`np.vdot`, without BLAS: it wakes threads for arrays of this length, and waits for cores that have other work."""
    return complex((first.conj() * second).sum())


@dataclass(frozen=True)
class PhaseLoss:
    """What differing phases of averages cost.

    Attributes:
        loss: share of the signal that cancels in their mean.
        by_noise: share that noise alone makes seem to cancel.
        error: standard error of the loss, by noise.
    """

    loss: float = 0.0
    by_noise: float = 0.0
    error: float = float("inf")

    @property
    def excess(self) -> float:
        """The loss that is not noise."""
        return self.loss - self.by_noise

    def certain(self, errors: float) -> bool:
        """Whether the loss is more than noise explains, by a number of standard errors."""
        return self.excess > errors * self.error


def phase_loss(products: Mapping[int, complex], energies: Mapping[int, float], variance: float) -> PhaseLoss:
    """What the phases of averages against one of them, the reference, cost their mean.

    Args:
        products: inner product of the reference with every other average, by number.
        energies: sum of the energies of the reference and of that average, over the samples of the product.
        variance: of the real part of the noise of a sample.
    """
    if not products or not variance >= 0:
        return PhaseLoss()
    product = np.array(list(products.values()))
    noise = variance * np.array([energies[number] for number in products])  # of the product's power
    known = np.abs(product) ** 2 > noise * (1 + 1 / _KNOWN)
    if known.mean() < 0.5:
        return PhaseLoss()
    product = product[known]
    spread = noise[known] / (np.abs(product) ** 2 - noise[known])  # of phases, rad^2
    total = 1 + len(product)
    loss = 1 - abs(1 + (product / np.abs(product)).sum()) / total
    by_noise = float(spread.sum()) / (2 * total)
    return PhaseLoss(float(loss), by_noise, by_noise * (2 / total) ** 0.5 + _ROUNDING)
