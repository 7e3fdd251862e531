"""Draws individuals: a leg from the anatomical plan with random variation, and tubes around it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.anatomy import MUSCLE_LIMITS, MUSCLE_MEAN_SD, SKIN_LIMITS, SKIN_MEAN_SD
from nadenoise_core.phantom.calf import TUBE_CONCENTRATIONS, Calf
from nadenoise_core.phantom.leg import clipped_normal, draw_leg
from nadenoise_core.phantom.slices import SliceProfile
from nadenoise_core.phantom.tubes import TUBE_CLEARANCE, place_tubes

LARGEST_TILT = 30.0
"""Degrees by which a tube may lean."""


def random_calf(
    seed: int,
    *,
    muscle: float | None = None,
    skin: float | None = None,
    tube_diameter: float = 20.0,
    tube_radius: float = 74.0,
    field_of_view: float = 180.0,
    skin_thickness: float | None = None,
    tube_wall: float = 0.0,
    tube_tilt: float = 0.0,
) -> Calf:
    """An individual calf with its five reference tubes; the same arguments always give the same one.

    `muscle` and `skin` change concentrations alone: the anatomy and the tubes stay those of the seed.

    Args:
        seed: 0 or more.
        muscle: mean muscle concentration, mmol/L; None: normal, 21.5 +- 2.2 (clipped to 14 to 30).
        skin: skin concentration, mmol/L; None: normal, 18.8 +- 3.8 (clipped to 8 to 32).
        tube_diameter: of their filling, mm.
        tube_radius: distance of the tube centres from the FOV centre, mm. With tube_radius + tube_diameter / 2
            beyond field_of_view / 2 the tubes stand in the corners of the FOV.
        field_of_view: mm, square.
        skin_thickness: mm; None: uniform, 1.5 to 2.5.
        tube_wall: mm; it gives no signal.
        tube_tilt: degrees by which every tube leans against the normal of the slice, each in a direction of its own.

    Returns:
        The calf: no tissue crosses another, walls of tubes are 2 mm or more from the leg and from each other over the
        whole thickness of the slice.

    Raises:
        BadInputError: a number is out of range, or the tubes leave no room for a leg or do not fit the FOV.
    """
    lengths = {"tube_diameter": tube_diameter, "tube_radius": tube_radius, "field_of_view": field_of_view}
    _check(seed, {"muscle": muscle, "skin": skin}, {**lengths, "skin_thickness": skin_thickness})
    _check_tubes(tube_wall, tube_tilt)
    profile = SliceProfile()
    tangent = math.tan(math.radians(tube_tilt))
    margin = tube_wall + tangent * profile.thickness / 2
    room = min(tube_radius - tube_diameter / 2 - margin - TUBE_CLEARANCE, field_of_view / 2)
    leg_rng, tube_rng, lean_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))

    side = "right" if leg_rng.random() < 0.5 else "left"
    drawn = clipped_normal(leg_rng, MUSCLE_MEAN_SD, MUSCLE_LIMITS), clipped_normal(leg_rng, SKIN_MEAN_SD, SKIN_LIMITS)
    muscle, skin = (own if given is None else float(given) for own, given in zip(drawn, (muscle, skin), strict=True))
    gap = TUBE_CLEARANCE + 2 * margin
    tubes = place_tubes(tube_rng, TUBE_CONCENTRATIONS, tube_diameter, tube_radius, field_of_view, gap)
    return Calf(
        seed=int(seed),
        side=side,
        field_of_view=float(field_of_view),
        muscle=muscle,
        skin=skin,
        tissues=tuple(draw_leg(leg_rng, side, muscle, skin, skin_thickness, room)),
        tubes=tuple(dataclasses.replace(tube, lean=_lean(lean_rng, tangent)) for tube in tubes),
        profile=profile,
    )


def _lean(rng: Generator, tangent: float) -> tuple[float, float]:
    angle = rng.uniform(0, 2 * math.pi)
    return (tangent * math.cos(angle), tangent * math.sin(angle)) if tangent else (0.0, 0.0)


def _check(seed: int, concentrations: Mapping[str, float | None], lengths: Mapping[str, float | None]) -> None:
    if seed != int(seed) or seed < 0:
        raise BadInputError(f"seed must be a whole number of 0 or more, not {seed}")
    for numbers, unit in ((concentrations, "mmol/L"), (lengths, "mm")):
        for name, value in numbers.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise BadInputError(f"{name} must be a positive number in {unit}, not {value}")


def _check_tubes(tube_wall: float, tube_tilt: float) -> None:
    if not (0 <= tube_wall < math.inf and 0 <= tube_tilt <= LARGEST_TILT):
        raise BadInputError(
            f"tube_wall must be 0 mm or more, and tube_tilt 0 to {LARGEST_TILT:g} degrees; they are {tube_wall} and "
            f"{tube_tilt}"
        )
