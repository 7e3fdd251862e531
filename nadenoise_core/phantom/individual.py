"""Draws individuals: a leg from an anatomical plan with random variation, and tubes around it.

The plan is a transverse section through the thickest part of the calf. Its coordinates are fractions of the muscle
outline: (medial, posterior), the unit disc being all that the deep fascia encloses.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import TUBE_CONCENTRATIONS, Calf, Tissue
from nadenoise_core.phantom.shapes import Ellipse, inside, outline, signed_distance
from nadenoise_core.phantom.tubes import TUBE_CLEARANCE, place_tubes

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
class _Plan:
    """Where a part lies and how large it is, in fractions of the muscle outline; angle in degrees."""

    name: str
    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float


_BONES = (
    _Plan("tibia", (0.37, -0.53), (0.33, 0.25), 35),
    _Plan("fibula", (-0.49, -0.02), (0.15, 0.125), 20),
)
_MARROW = {"tibia": 0.56, "fibula": 0.48}
_BUNDLES = {
    "posterior tibial": ((0.20, 0.14), ("vein 1", "artery", "vein 2")),
    "peroneal": ((-0.25, 0.15), ("vein 1", "artery", "vein 2")),
    "anterior tibial": ((-0.15, -0.29), ("artery",)),
}
_SAPHENOUS = {"great saphenous vein": 5.0, "small saphenous vein": 95.0}
_COMPARTMENTS = (
    _Plan("soleus", (0.02, 0.38), (0.66, 0.16), 0),
    _Plan("gastrocnemius medial head", (0.38, 0.70), (0.36, 0.135), -27),
    _Plan("gastrocnemius lateral head", (-0.35, 0.71), (0.30, 0.13), 26),
    _Plan("anterior compartment", (-0.31, -0.59), (0.33, 0.21), -27),
    _Plan("lateral compartment", (-0.79, -0.12), (0.26, 0.12), -81),
    _Plan("deep posterior compartment", (-0.03, -0.08), (0.27, 0.16), 0),
)


@dataclass(frozen=True)
class _Frame:
    """Anatomical axes (medial, posterior) laid into the image; `medial` is +1 where medial is to the right."""

    centre: tuple[float, float]
    rotation: float
    medial: int

    def at(self, medial: float, posterior: float) -> tuple[float, float]:
        cos, sin, x = math.cos(self.rotation), math.sin(self.rotation), self.medial * medial
        return self.centre[0] + cos * x - sin * posterior, self.centre[1] + sin * x + cos * posterior

    def turned(self, angle: float) -> float:
        return self.rotation + self.medial * angle


def random_calf(
    seed: int,
    *,
    muscle: float | None = None,
    skin: float | None = None,
    tube_diameter: float = 20.0,
    tube_radius: float = 74.0,
    field_of_view: float = 180.0,
) -> Calf:
    """An individual calf with its five reference tubes; the same arguments always give the same one.

    `muscle` and `skin` change concentrations alone: the anatomy and the tubes stay those of the seed.

    Args:
        seed: 0 or more.
        muscle: mean muscle concentration, mmol/L; None: normal, 21.5 +- 2.2 (clipped to 14 to 30).
        skin: skin concentration, mmol/L; None: normal, 18.8 +- 3.8 (clipped to 8 to 32).
        tube_diameter: mm.
        tube_radius: distance of the tube centres from the FOV centre, mm. With tube_radius + tube_diameter / 2
            beyond field_of_view / 2 the tubes stand in the corners of the FOV.
        field_of_view: mm, square.

    Returns:
        The calf: no tissue crosses another, tubes are 2 mm or more from the leg and from each other.

    Raises:
        BadInputError: a number is out of range, or the tubes leave no room for a leg or do not fit the FOV.
    """
    _check(seed, muscle, skin, tube_diameter, tube_radius, field_of_view)
    room = min(tube_radius - tube_diameter / 2 - TUBE_CLEARANCE, field_of_view / 2)
    leg_rng, tube_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))

    side = "right" if leg_rng.random() < 0.5 else "left"
    own_muscle = _clipped_normal(leg_rng, MUSCLE_MEAN_SD, MUSCLE_LIMITS)
    own_skin = _clipped_normal(leg_rng, SKIN_MEAN_SD, SKIN_LIMITS)
    muscle = own_muscle if muscle is None else float(muscle)
    skin = own_skin if skin is None else float(skin)
    return Calf(
        seed=int(seed),
        side=side,
        field_of_view=float(field_of_view),
        muscle=muscle,
        skin=skin,
        tissues=tuple(_leg(leg_rng, side, muscle, skin, room)),
        tubes=place_tubes(tube_rng, TUBE_CONCENTRATIONS, tube_diameter, tube_radius, field_of_view),
    )


def clearance(first: Ellipse, second: Ellipse) -> float:
    """Gap in mm between two ellipses side by side; negative where they overlap."""
    if inside(first, second.centre):
        return -min(first.semi_axes)
    return float(signed_distance(second, outline(first))[0].min())


def depth(inner: Ellipse, outer: Ellipse) -> float:
    """Least distance in mm from the inner ellipse to the edge of the outer; negative where it crosses it."""
    return float(-signed_distance(outer, outline(inner))[0].max())


def _check(
    seed: int, muscle: float | None, skin: float | None, diameter: float, radius: float, field_of_view: float
) -> None:
    if seed != int(seed) or seed < 0:
        raise BadInputError(f"seed must be a whole number of 0 or more, not {seed}")
    for name, value, unit in (
        ("muscle", muscle, "mmol/L"),
        ("skin", skin, "mmol/L"),
        ("tube_diameter", diameter, "mm"),
        ("tube_radius", radius, "mm"),
        ("field_of_view", field_of_view, "mm"),
    ):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadInputError(f"{name} must be a positive number in {unit}, not {value}")


def _leg(rng: Generator, side: str, muscle: float, skin: float, room: float) -> Iterator[Tissue]:
    """The tissues of a leg that stays within `room` mm of the FOV centre."""
    envelope = _Envelope.draw(rng, side, skin, room)
    yield from (envelope.skin, envelope.fat)

    outside = Tissue("muscle", "muscle", "fat", muscle, *_geometry(envelope.muscle))
    bones = list(_bones(rng, envelope))
    vessels = list(_deep_vessels(rng, envelope, [bone.outline for bone in bones if bone.parent == "muscle"]))
    taken = [part.outline for part in (*bones, *vessels) if part.parent == "muscle"]
    compartments = _compartments(rng, envelope, taken, muscle)
    yield from _with_mean_muscle(rng, outside, compartments, taken)
    yield from bones
    yield from vessels
    yield from _saphenous_veins(rng, envelope)


@dataclass(frozen=True)
class _Envelope:
    """The layers around the muscle, and the anatomical axes inside it."""

    skin: Tissue
    fat: Tissue
    muscle: Ellipse
    frame: _Frame

    @classmethod
    def draw(cls, rng: Generator, side: str, skin: float, room: float) -> _Envelope:
        largest = min(LEG_RADIUS[1], (room - LEG_OFFSET) / (1 + LEG_ECCENTRICITY[1]))
        if largest < LEG_RADIUS[0]:
            raise BadInputError(
                f"no leg fits within {room:.1f} mm of the FOV centre (it needs "
                f"{LEG_RADIUS[0] * (1 + LEG_ECCENTRICITY[1]) + LEG_OFFSET:.1f} mm): use a larger tube_radius or "
                "field_of_view, or a smaller tube_diameter"
            )
        radius = rng.uniform(LEG_RADIUS[0], largest)
        eccentricity = rng.uniform(*LEG_ECCENTRICITY) * rng.choice([-1, 1])
        a, b = float(radius * (1 + eccentricity)), float(radius * (1 - eccentricity))
        offset, direction = LEG_OFFSET * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
        centre = (offset * math.cos(direction), offset * math.sin(direction))
        frame = _Frame(centre, math.radians(rng.uniform(-25, 25)), 1 if side == "right" else -1)

        skin_thickness = float(rng.uniform(*SKIN_THICKNESS))
        inner = (a - skin_thickness, b - skin_thickness)
        fat_thickness, uneven = rng.uniform(*FAT_THICKNESS), rng.uniform(-0.2, 0.2)
        # The shin has the least fat, so the muscle lies towards the front of it.
        shift = rng.uniform(0.3, 1.0) * (fat_thickness * (1 - abs(uneven)) - LEAST_FAT)
        lean = math.radians(rng.uniform(-60, 60))
        muscle = Ellipse(
            frame.at(shift * math.sin(lean), -shift * math.cos(lean)),
            (float(inner[0] - fat_thickness * (1 + uneven)), float(inner[1] - fat_thickness * (1 - uneven))),
            frame.rotation,
        )
        return cls(
            Tissue("skin", "skin", None, skin, centre, (a, b), frame.rotation),
            Tissue("fat", "fat", "skin", float(rng.uniform(5, 10)), centre, inner, frame.rotation),
            muscle,
            dataclasses.replace(frame, centre=muscle.centre),
        )

    def place(self, plan: _Plan, rng: Generator, scale: float = 1.0) -> Ellipse:
        """The planned part with an individual's variation."""
        a, b = self.muscle.semi_axes
        size = math.sqrt(a * b) * scale
        medial, posterior = (centre + rng.normal(0, 0.012) for centre in plan.centre)
        along, across = (float(axis * size * rng.uniform(0.94, 1.06)) for axis in plan.semi_axes)
        angle = self.frame.turned(math.radians(plan.angle + rng.normal(0, 4)))
        return Ellipse(self.frame.at(a * medial, b * posterior), (along, across), angle)

    def holds(self, part: Ellipse, taken: Iterable[Ellipse]) -> bool:
        """Whether a part lies inside the muscle, free of what is there already."""
        return depth(part, self.muscle) >= TISSUE_GAP and _free(part, taken)


def _bones(rng: Generator, envelope: _Envelope) -> Iterator[Tissue]:
    placed: list[Ellipse] = []
    for plan in _BONES:
        bone = _settle(plan, rng, envelope, placed)
        placed.append(bone)
        yield Tissue(plan.name, "bone", "muscle", float(rng.uniform(1, 3)), *_geometry(bone))
        share = _MARROW[plan.name] * rng.uniform(0.92, 1.08)
        marrow = (float(bone.semi_axes[0] * share), float(bone.semi_axes[1] * share))
        yield Tissue(
            f"{plan.name} marrow", "bone", plan.name, float(rng.uniform(4, 8)), bone.centre, marrow, bone.angle
        )


def _deep_vessels(rng: Generator, envelope: _Envelope, bones: Sequence[Ellipse]) -> Iterator[Tissue]:
    """Neurovascular bundles: an artery between its two companion veins, in a row."""
    taken = list(bones)
    blood = _blood(rng)
    for bundle, (centre, members) in _BUNDLES.items():
        row = _row_of_vessels(rng, envelope, centre, len(members), taken)
        taken += row
        for member, vessel in zip(members, row, strict=True):
            yield Tissue(f"{bundle} {member}", "vessel", "muscle", blood, *_geometry(vessel))


def _row_of_vessels(
    rng: Generator, envelope: _Envelope, centre: tuple[float, float], count: int, taken: Sequence[Ellipse]
) -> list[Ellipse]:
    a, b = envelope.muscle.semi_axes
    for _ in range(200):
        radii = rng.uniform(LEAST_VESSEL, 3.5, count) / 2
        tilt = math.radians(rng.normal(0, 10))
        medial, posterior = (fraction + rng.normal(0, 0.015) for fraction in centre)
        ends = np.cumsum(2 * radii + 1.5 * TISSUE_GAP)
        along = ends - radii - ends[-1] / 2
        row = [
            Ellipse(
                envelope.frame.at(a * medial + d * math.cos(tilt), b * posterior + d * math.sin(tilt)),
                (float(r), float(r)),
            )
            for d, r in zip(along, radii, strict=True)
        ]
        if all(envelope.holds(vessel, taken) for vessel in row):
            return row
    raise AssertionError(f"no place for vessels near {centre}")


def _saphenous_veins(rng: Generator, envelope: _Envelope) -> Iterator[Tissue]:
    """Superficial veins, each half way between the fascia and the skin."""
    blood = _blood(rng)
    for name, degrees in _SAPHENOUS.items():
        direction = math.radians(degrees + rng.normal(0, 6))
        ray = np.array(
            [
                envelope.frame.at(r * math.cos(direction), r * math.sin(direction))
                for r in np.linspace(0.9, 1.5, 301) * max(envelope.muscle.semi_axes)
            ]
        )
        free = np.minimum(signed_distance(envelope.muscle, ray)[0], -signed_distance(envelope.fat.outline, ray)[0])
        best = int(np.argmax(free))
        radius = float(min(rng.uniform(1.25, 2.25), free[best] - TISSUE_GAP))
        yield Tissue(name, "vessel", "fat", blood, (float(ray[best, 0]), float(ray[best, 1])), (radius, radius), 0.0)


def _compartments(rng: Generator, envelope: _Envelope, taken: Sequence[Ellipse], muscle: float) -> list[Tissue]:
    """Muscles between the bones and vessels that are there already, shrunk to fit."""
    placed = list(taken)
    compartments = []
    for plan in _COMPARTMENTS:
        belly = _settle(plan, rng, envelope, placed, shrink=0.98)
        placed.append(belly)
        concentration = muscle * float(np.clip(rng.normal(1, 0.03), 0.93, 1.07))
        compartments.append(Tissue(plan.name, "muscle", "muscle", concentration, *_geometry(belly)))
    return compartments


def _with_mean_muscle(
    rng: Generator, muscle: Tissue, compartments: Sequence[Tissue], holes: Sequence[Ellipse]
) -> Iterator[Tissue]:
    """The muscle and its compartments, scaled so that their mean by area is the muscle's concentration."""
    between = muscle.concentration * float(np.clip(rng.normal(1, 0.02), 0.95, 1.05))
    whole = muscle.outline.area - sum(hole.area for hole in holes)
    areas = [compartment.outline.area for compartment in compartments]
    total = between * (whole - sum(areas)) + sum(
        compartment.concentration * area for compartment, area in zip(compartments, areas, strict=True)
    )
    scale = muscle.concentration * whole / total
    yield dataclasses.replace(muscle, concentration=between * scale)
    for compartment in compartments:
        yield dataclasses.replace(compartment, concentration=compartment.concentration * scale)


def _settle(plan: _Plan, rng: Generator, envelope: _Envelope, taken: Sequence[Ellipse], shrink: float = 1.0) -> Ellipse:
    """Draw a part until it lies free."""
    for attempt in range(200):
        part = envelope.place(plan, rng, shrink**attempt)
        if envelope.holds(part, taken):
            return part
    raise AssertionError(f"no place for the {plan.name}")


def _free(part: Ellipse, others: Iterable[Ellipse]) -> bool:
    return all(
        math.dist(part.centre, other.centre) > max(part.semi_axes) + max(other.semi_axes) + TISSUE_GAP
        or clearance(part, other) >= TISSUE_GAP
        for other in others
    )


def _geometry(ellipse: Ellipse) -> tuple[tuple[float, float], tuple[float, float], float]:
    return ellipse.centre, ellipse.semi_axes, ellipse.angle


def _blood(rng: Generator) -> float:
    return _clipped_normal(rng, (80.0, 3.0), (72.0, 88.0))


def _clipped_normal(rng: Generator, mean_sd: tuple[float, float], limits: tuple[float, float]) -> float:
    return float(np.clip(rng.normal(*mean_sd), *limits))
