"""Banks of clean objects from which scenes are composed: bodies and small structures, band-limited, without noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("calf", "limb", "leaves")
SHAPE_SIZE = 64  # pixels a side of a small structure's image


@dataclass(frozen=True)
class Objects:
    """What scenes are composed of.

    Attributes:
        bodies: (bodies, matrix, matrix) float16, mmol/L.
        clearance: (bodies, matrix, matrix) float16, pixels from the skin, 0 inside the body.
        kinds: (bodies,) index into KINDS.
        shapes: (shapes, SHAPE_SIZE, SHAPE_SIZE) float16 of amplitude 1, centred within a pixel.
    """

    bodies: NDArray[np.float16]
    clearance: NDArray[np.float16]
    kinds: NDArray[np.int64]
    shapes: NDArray[np.float16]
