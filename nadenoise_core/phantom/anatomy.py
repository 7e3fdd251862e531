"""The plan of a calf: a transverse section through its thickest part.

Coordinates are fractions of the muscle outline: (medial, posterior), the unit disc being all that the deep fascia
encloses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MUSCLE_MEAN_SD = (21.5, 2.2)
MUSCLE_LIMITS = (14.0, 30.0)
SKIN_MEAN_SD = (18.8, 3.8)
SKIN_LIMITS = (8.0, 32.0)
SKIN_THICKNESS = (1.5, 2.5)
LEG_RADIUS = (48.5, 55.5)
LEG_ECCENTRICITY = (0.01, 0.045)
LEG_OFFSET = 3.0
FAT_THICKNESS = (4.5, 9.0)
LEAST_FAT = 3.2
TISSUE_GAP = 0.4
LEAST_VESSEL = 2.0


@dataclass(frozen=True)
class Plan:
    """Where a part lies and how large it is, in fractions of the muscle outline; angle in degrees."""

    name: str
    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float


BONES = (
    Plan("tibia", (0.37, -0.53), (0.33, 0.25), 35),
    Plan("fibula", (-0.49, -0.02), (0.15, 0.125), 20),
)
MARROW = {"tibia": 0.56, "fibula": 0.48}
BUNDLES = {
    "posterior tibial": ((0.20, 0.14), ("vein 1", "artery", "vein 2")),
    "peroneal": ((-0.25, 0.15), ("vein 1", "artery", "vein 2")),
    "anterior tibial": ((-0.15, -0.29), ("artery",)),
}
SAPHENOUS = {"great saphenous vein": 5.0, "small saphenous vein": 95.0}
COMPARTMENTS = (
    Plan("soleus", (0.02, 0.38), (0.66, 0.16), 0),
    Plan("gastrocnemius medial head", (0.38, 0.70), (0.36, 0.135), -27),
    Plan("gastrocnemius lateral head", (-0.35, 0.71), (0.30, 0.13), 26),
    Plan("anterior compartment", (-0.31, -0.59), (0.33, 0.21), -27),
    Plan("lateral compartment", (-0.79, -0.12), (0.26, 0.12), -81),
    Plan("deep posterior compartment", (-0.03, -0.08), (0.27, 0.16), 0),
)


@dataclass(frozen=True)
class Frame:
    """Anatomical axes (medial, posterior) laid into the image; `medial` is +1 where medial is to the right."""

    centre: tuple[float, float]
    rotation: float
    medial: int

    def at(self, medial: float, posterior: float) -> tuple[float, float]:
        cos, sin, x = math.cos(self.rotation), math.sin(self.rotation), self.medial * medial
        return self.centre[0] + cos * x - sin * posterior, self.centre[1] + sin * x + cos * posterior

    def turned(self, angle: float) -> float:
        return self.rotation + self.medial * angle
