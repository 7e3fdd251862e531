"""Which tissue each pixel belongs to, free of partial volume."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom.calf import Calf
from nadenoise_core.phantom.pixels import check_grid, pixel_grid
from nadenoise_core.phantom.shapes import Ellipse, inside, signed_distance


class Label(IntEnum):
    """Values of a label map; tubes by increasing concentration."""

    NONE = 0
    BACKGROUND = 1
    MUSCLE = 2
    SKIN = 3
    FAT = 4
    BONE = 5
    VESSEL = 6
    TUBE_1 = 11
    TUBE_2 = 12
    TUBE_3 = 13
    TUBE_4 = 14
    TUBE_5 = 15


def labels(calf: Calf, matrix: int, field_of_view: float, margin: float | None = 0.0) -> NDArray[np.int16]:
    """Label map of a calf.

    A pixel has a label only when the whole of its square lies in that kind of tissue, at least `margin` from any
    other kind, in the whole depth of the slice; else it is NONE. Edges between muscle compartments, or of the marrow,
    are no edges.

    Args:
        calf: the individual.
        matrix: pixels along each side.
        field_of_view: mm, square.
        margin: mm, 0 or more; None: a pixel has the label of its centre, partial volume or not, in the middle of the
            slice. Skin is thinner than a pixel of a sodium image, so that only None labels skin there.

    Returns:
        (matrix, matrix) values of `Label`.

    Raises:
        BadInputError: a number is out of range.
    """
    check_grid(matrix, field_of_view)
    if margin is not None and not (math.isfinite(margin) and margin >= 0):
        raise BadInputError(f"margin must be 0 mm or more, or None, not {margin}")
    pixel = field_of_view / matrix
    centres = pixel_grid(matrix, field_of_view)
    result = np.full(centres.shape[:-1], Label.BACKGROUND, np.int16)
    for outline, label, sway in _boundaries(calf):
        if margin is None:
            result[inside(outline, centres)] = label
            continue
        wholly_inside, wholly_outside = _whole_pixels(outline, centres, pixel, margin + sway)
        result[~wholly_outside] = Label.NONE
        result[wholly_inside] = label
    return result


def _boundaries(calf: Calf) -> Iterator[tuple[Ellipse, Label, float]]:
    """Outlines at which the kind of tissue changes, from the outside in, with the label of what they hold.

    The last is how far, in mm, the outline moves from the middle of the slice to where its signal ends.
    """
    kind = {tissue.name: tissue.kind for tissue in calf.tissues}
    for tissue in calf.tissues:
        if tissue.parent is None or kind[tissue.parent] != tissue.kind:
            yield tissue.outline, Label[tissue.kind.upper()], 0.0
    for number, tube in enumerate(calf.tubes, start=1):
        yield tube.outline, Label[f"TUBE_{number}"], calf.profile.reach * math.hypot(*tube.lean)


def _whole_pixels(
    outline: Ellipse, centres: NDArray[np.float64], pixel: float, margin: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels that lie wholly inside, and wholly outside, by the margin.

    The signed distance to a convex shape is a convex function. So over a pixel it is largest at a corner, and
    nowhere below the tangent plane at the centre: the first test is exact, the second errs to the safe side.
    """
    half = pixel / 2
    distance, normal = signed_distance(outline, centres)
    wholly_outside = distance - half * np.abs(normal).sum(axis=-1) >= margin
    wholly_inside = distance <= -margin
    for corner in ((-half, -half), (-half, half), (half, -half), (half, half)):
        near = np.flatnonzero(wholly_inside)
        distances = signed_distance(outline, centres.reshape(-1, 2)[near] + corner)[0]
        wholly_inside.flat[near] = distances <= -margin
    return wholly_inside, wholly_outside
