"""A homogeneous disc (a tube cut across) as the scan sees it: blurred, with Gibbs ringing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter1d
from scipy.special import j0, j1

_KNOTS = 10  # per 1 / k_max of radius; with cubics between them the profile is good to 1e-4
_BEYOND = 8  # knots beyond the reach, where the end of the spline is not felt
_NODES = 801  # of Simpson's rule: some 30 in a period of the fastest oscillation in a field of view of 200 mm


@lru_cache(maxsize=256)
def _profile(diameter: float, k_max: float, reach: float) -> tuple[NDArray[np.float64], float]:
    """Coefficients of a cubic spline, even about the centre, and the distance of its knots in mm."""
    # Simpson's rule, not Gauss-Legendre: its nodes are eigenvalues, which take seconds where threads compete.
    k = np.linspace(0, k_max, _NODES)
    weights = np.full(_NODES, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    weights *= k_max / (3 * (_NODES - 1))
    spectrum = np.pi * diameter * j1(np.pi * diameter * k) * weights
    step = 1 / (_KNOTS * k_max)
    radius = step * np.arange(int(np.ceil(reach / step)) + _BEYOND)
    return spline_filter1d(j0(2 * np.pi * radius[:, None] * k) @ spectrum, mode="mirror"), step


def blurred_disc(distance: NDArray[np.floating], diameter: float, k_max: float) -> NDArray[np.float64]:
    """A disc of value 1 through a k-space disc: `2 pi R int_0^k_max J1(2 pi R k) J0(2 pi r k) dk`.

    Args:
        distance: any shape, from the centre, mm.
        diameter: of the disc, mm.
        k_max: radius of the sampled k-space, cycles/mm.
    """
    reach = float(np.ceil(np.max(distance))) + 1
    coefficients, step = _profile(round(diameter, 3), k_max, reach)
    knots = np.asarray(distance, np.float64)[None] / step
    return np.asarray(map_coordinates(coefficients, knots, mode="mirror", prefilter=False), dtype=np.float64)
