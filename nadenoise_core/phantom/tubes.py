"""Where the reference tubes stand: around the leg, or in the corners of the field of view."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import Tube

TUBE_CLEARANCE = 2.0
"""Least gap in mm between tubes, and between a tube and the leg."""


def place_tubes(
    rng: Generator,
    concentrations: Sequence[float],
    diameter: float,
    radius: float,
    field_of_view: float,
    gap: float = TUBE_CLEARANCE,
) -> tuple[Tube, ...]:
    """Tubes on a circle around the FOV centre, in random order and at random angles.

    Args:
        rng: source of randomness.
        concentrations: one a tube, mmol/L.
        diameter: of every tube, mm.
        radius: of the circle of tube centres, mm.
        field_of_view: mm, square; every tube lies wholly inside.
        gap: least distance between tubes, mm.

    Returns:
        One tube for each concentration, in the order given.

    Raises:
        BadInputError: that many tubes of that size do not fit.
    """
    count = len(concentrations)
    apart = _angle_of_chord(diameter + gap, radius)
    reach = field_of_view / 2 - diameter / 2
    if radius <= reach:
        angles = _around(rng, count, apart, gap)
    else:
        # On this circle a tube fits only within this angle of a diagonal.
        half_width = math.pi / 4 - math.acos(min(1.0, reach / radius)) if reach > 0 else -1.0
        if half_width < 0:
            raise BadInputError(
                f"tubes of diameter {diameter:g} mm at {radius:g} mm from the centre do not fit into a field of "
                f"view of {field_of_view:g} mm: use a smaller tube_radius or tube_diameter"
            )
        angles = _in_corners(rng, count, apart, half_width, gap)
    return tuple(
        Tube(float(concentration), (radius * math.cos(angle), radius * math.sin(angle)), float(diameter))
        for concentration, angle in zip(concentrations, rng.permutation(angles).tolist(), strict=True)
    )


def _around(rng: Generator, count: int, apart: float, gap: float) -> NDArray[np.float64]:
    slack = 2 * math.pi / count - apart
    if slack < 0:
        raise _too_crowded(count, gap)
    jitter = min(slack / 2, math.radians(8))
    regular = 2 * math.pi * np.arange(count) / count + rng.uniform(0, 2 * math.pi)
    return regular + rng.uniform(-jitter, jitter, count)


def _in_corners(rng: Generator, count: int, apart: float, half_width: float, gap: float) -> NDArray[np.float64]:
    """Angles near the diagonals; corners take turns, so that some hold one tube more than others."""
    corners = rng.permutation(4)
    # Tubes of neighbouring corners come closest across an axis.
    half_width = min(half_width, math.pi / 4 - apart / 2)
    angles: list[float] = []
    for turn, corner in enumerate(corners.tolist()):
        here = len(range(turn, count, 4))
        slack = 2 * half_width - (here - 1) * apart
        if slack < 0:
            raise _too_crowded(count, gap)
        starts = np.sort(rng.uniform(0, slack, here)) + apart * np.arange(here) - half_width
        angles += (math.pi / 4 + math.pi / 2 * corner + starts).tolist()
    return np.array(angles)


def _angle_of_chord(chord: float, radius: float) -> float:
    if chord > 2 * radius:
        raise BadInputError(f"tubes {chord:g} mm apart do not fit on a circle of radius {radius:g} mm")
    return 2 * math.asin(chord / (2 * radius))


def _too_crowded(count: int, gap: float) -> BadInputError:
    return BadInputError(
        f"{count} tubes do not fit side by side with gaps of {gap:g} mm: use a smaller tube_diameter "
        "or another tube_radius"
    )
