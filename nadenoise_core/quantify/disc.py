"""A homogeneous disc (a tube cut across) as the scan sees it: blurred, with Gibbs ringing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import j0, j1

_KNOTS = 10  # per 1 / k_max of radius; with cubics between them the profile is good to 1e-4
_NODES = 801  # of Simpson's rule: some 30 in a period of the fastest oscillation in a field of view of 200 mm


@lru_cache(maxsize=256)
def _profile(diameter: float, k_max: float, reach: float) -> CubicSpline:
    # Simpson's rule, not Gauss-Legendre: its nodes are eigenvalues, which take seconds where threads compete.
    k = np.linspace(0, k_max, _NODES)
    weights = np.full(_NODES, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    weights *= k_max / (3 * (_NODES - 1))
    spectrum = np.pi * diameter * j1(np.pi * diameter * k) * weights
    radius = np.linspace(0, reach, int(np.ceil(_KNOTS * k_max * reach)) + 8)
    return CubicSpline(radius, j0(2 * np.pi * radius[:, None] * k) @ spectrum)


def blurred_disc(distance: NDArray[np.floating], diameter: float, k_max: float) -> NDArray[np.float64]:
    """A disc of value 1 through a k-space disc: `2 pi R int_0^k_max J1(2 pi R k) J0(2 pi r k) dk`.

    Args:
        distance: any shape, from the centre, mm.
        diameter: of the disc, mm.
        k_max: radius of the sampled k-space, cycles/mm.
    """
    reach = float(np.ceil(np.max(distance))) + 1
    return np.asarray(_profile(round(diameter, 3), k_max, reach)(distance), dtype=np.float64)
