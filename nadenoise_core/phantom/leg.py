"""Draws the tissues of a leg: the anatomical plan with random variation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.anatomy import (
    BONES,
    BUNDLES,
    COMPARTMENTS,
    FAT_THICKNESS,
    LEAST_FAT,
    LEAST_VESSEL,
    LEG_ECCENTRICITY,
    LEG_OFFSET,
    LEG_RADIUS,
    MARROW,
    SAPHENOUS,
    SKIN_THICKNESS,
    TISSUE_GAP,
    Frame,
    Plan,
)
from nadenoise_core.phantom.calf import Tissue
from nadenoise_core.phantom.shapes import Ellipse, clearance, depth, signed_distance


def draw_leg(
    rng: Generator, side: str, muscle: float, skin: float, skin_thickness: float | None, room: float
) -> Iterator[Tissue]:
    """The tissues of a leg that stays within `room` mm of the FOV centre."""
    envelope = _Envelope.draw(rng, side, skin, skin_thickness, room)
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
    frame: Frame

    @classmethod
    def draw(cls, rng: Generator, side: str, skin: float, skin_thickness: float | None, room: float) -> _Envelope:
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
        frame = Frame(centre, math.radians(rng.uniform(-25, 25)), 1 if side == "right" else -1)

        own_thickness = float(rng.uniform(*SKIN_THICKNESS))
        thickness = own_thickness if skin_thickness is None else skin_thickness
        inner = (a - thickness, b - thickness)
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

    def place(self, plan: Plan, rng: Generator, scale: float = 1.0) -> Ellipse:
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
    for plan in BONES:
        bone = _settle(plan, rng, envelope, placed)
        placed.append(bone)
        yield Tissue(plan.name, "bone", "muscle", float(rng.uniform(1, 3)), *_geometry(bone))
        share = MARROW[plan.name] * rng.uniform(0.92, 1.08)
        marrow = (float(bone.semi_axes[0] * share), float(bone.semi_axes[1] * share))
        yield Tissue(
            f"{plan.name} marrow", "bone", plan.name, float(rng.uniform(4, 8)), bone.centre, marrow, bone.angle
        )


def _deep_vessels(rng: Generator, envelope: _Envelope, bones: Sequence[Ellipse]) -> Iterator[Tissue]:
    """Neurovascular bundles: an artery between its two companion veins, in a row."""
    taken = list(bones)
    blood = _blood(rng)
    for bundle, (centre, members) in BUNDLES.items():
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
    for name, degrees in SAPHENOUS.items():
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
    for plan in COMPARTMENTS:
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


def _settle(plan: Plan, rng: Generator, envelope: _Envelope, taken: Sequence[Ellipse], shrink: float = 1.0) -> Ellipse:
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
    return clipped_normal(rng, (80.0, 3.0), (72.0, 88.0))


def clipped_normal(rng: Generator, mean_sd: tuple[float, float], limits: tuple[float, float]) -> float:
    """A normal number of mean and standard deviation, held within limits."""
    return float(np.clip(rng.normal(*mean_sd), *limits))
