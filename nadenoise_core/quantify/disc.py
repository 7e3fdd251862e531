"""A homogeneous disc (a tube cut across) as the scan sees it: blurred, with Gibbs ringing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, j1

_QUADRATURE = 400


@lru_cache(maxsize=256)
def _profile(diameter: float, k_max: float, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE)
    k = (nodes + 1) / 2 * k_max
    radius = np.linspace(0, reach, 400)
    spectrum = np.pi * diameter * j1(np.pi * diameter * k) * weights * k_max / 2
    return radius, j0(2 * np.pi * radius[:, None] * k) @ spectrum


def blurred_disc(distance: NDArray[np.floating], diameter: float, k_max: float) -> NDArray[np.float64]:
    """A disc of value 1 through a k-space disc: `2 pi R int_0^k_max J1(2 pi R k) J0(2 pi r k) dk`.

    Args:
        distance: any shape, from the centre, mm.
        diameter: of the disc, mm.
        k_max: radius of the sampled k-space, cycles/mm.
    """
    reach = float(np.ceil(np.max(distance))) + 1
    radius, profile = _profile(round(diameter, 3), k_max, reach)
    return np.interp(distance, radius, profile)
