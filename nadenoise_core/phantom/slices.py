"""What a thick slice makes of an object that stands oblique to it, in closed form.

A cylinder that leans is, in the image, its cross-section averaged along a line: each layer of the slice sees it a
little further on. In k-space that average is a factor, the Fourier transform of the slice profile at the frequency with
which the layers turn the phase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.special import ndtr

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.shapes import Floats

_TAIL = 5.0  # standard deviations of the edge beyond which nothing of it is left
_NODES = 96


@dataclass(frozen=True)
class SliceProfile:
    """How much of the signal comes from each depth: a slab whose two edges are those of a normal distribution.

    Attributes:
        thickness: between the depths of half signal, mm.
        edge: standard deviation of the edges, mm. Selective half-pulses of few lobes have soft edges.

    Raises:
        BadInputError: the thickness is not positive, or the edge is negative.
    """

    thickness: float = 30.0
    edge: float = 5.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.thickness) and self.thickness > 0 and math.isfinite(self.edge) and self.edge >= 0):
            raise BadInputError(f"a slice needs a positive thickness and edges of 0 mm or more, not {self}")

    @property
    def reach(self) -> float:
        """Distance from the middle of the slice within which all but 0.1 % of the signal lies, mm."""
        return self.thickness / 2 + 3 * self.edge

    def transform(self, frequency: ArrayLike) -> Floats:
        """Fourier transform of the profile, 1 at the frequency 0.

        Args:
            frequency: (...) cycles per mm of depth.
        """
        along = np.asarray(frequency, np.float64)
        soft: Floats = np.sinc(along * self.thickness) * np.exp(-2 * (np.pi * self.edge * along) ** 2)
        return soft

    def layers(self) -> tuple[Floats, Floats]:
        """Depths (layers,) in mm and their shares (layers,) of the signal, by Gauss-Legendre quadrature."""
        nodes, weights = leggauss(_NODES)
        if not self.edge:
            return nodes * self.thickness / 2, weights / 2
        half = self.thickness / 2
        depth = nodes * (half + _TAIL * self.edge)
        signal = ndtr((depth + half) / self.edge) - ndtr((depth - half) / self.edge)
        shares: Floats = signal * weights / np.sum(signal * weights)
        return depth, shares
