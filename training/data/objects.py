"""Banks of clean objects from which scenes are composed: bodies and small structures, band-limited, without noise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("calf", "limb", "leaves")
SHAPE_SIZE = 64  # pixels a side of a small structure's image
LIMB_LEVEL = np.float32(21.0)  # mmol/L that a limb of level 1 gets


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

    def with_limbs(self, image: NDArray[np.float32], clearance: NDArray[np.float32]) -> Objects:
        """With images of limbs, of level 1, and their clearance, (limbs, matrix, matrix) each."""
        return Objects(
            np.concatenate([self.bodies, (LIMB_LEVEL * image).astype(np.float16)]),
            np.concatenate([self.clearance, clearance.astype(np.float16)]),
            np.concatenate([self.kinds, np.full(len(image), KINDS.index("limb"))]),
            self.shapes,
        )

    def checksum(self) -> str:
        """Of the numbers."""
        digest = hashlib.sha256()
        for array in (self.bodies, self.clearance, self.kinds, self.shapes):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
