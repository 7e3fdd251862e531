"""Where the pixels of an image lie in the scanner, as NIfTI says it, and whether a file's lie there too.

NIfTI axes point to the right, front and head (RAS); DICOM's and ISMRMRD's to the left, back and head (LPS). Array axis
0 of a file is the column (x) of an image, axis 1 the row (y), axis 2 the slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError

_AXES = ("x (columns)", "y (rows)")
_LARGEST_ANGLE = 2.0  # degrees
_LARGEST_SHIFT = 0.25  # of a pixel
_LARGEST_STRETCH = 0.01


def nifti_affine(
    centre: Sequence[float],
    directions: NDArray[np.floating],
    spacing: tuple[float, float, float],
    matrix: tuple[int, int],
) -> NDArray[np.float64]:
    """Array indices (column, row, slice) to positions in mm, RAS; (4, 4).

    Args:
        centre: of pixel (rows // 2, columns // 2), LPS mm.
        directions: (3, 3) rows: read (along columns), phase (along rows) and slice direction, LPS.
        spacing: (row, column, slice) in mm.
        matrix: (rows, columns).
    """
    steps = np.asarray(directions, np.float64).T * (spacing[1], spacing[0], spacing[2])
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = np.asarray(centre, np.float64) - steps[:, :2] @ (matrix[1] // 2, matrix[0] // 2)
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def check_geometry(path: Path, found: NDArray[np.floating], expected: NDArray[np.floating]) -> None:
    """Check that the pixels of a file lie where those of an image lie.

    The direction of the slice axis does not count: there is one slice.

    Args:
        path: of the file, for the message.
        found, expected: (4, 4) affines of the file and of the image.

    Raises:
        BadInputError: an axis points elsewhere, or is stretched, or the file is shifted; the axis is named.
    """
    hint = "draw the labels on the NIfTI image that the study exports, and save them without reorienting"
    steps, wanted = (np.asarray(affine, np.float64)[:3, :2] for affine in (found, expected))
    lengths, wanted_lengths = np.linalg.norm(steps, axis=0), np.linalg.norm(wanted, axis=0)
    units = steps / np.where(lengths > 0, lengths, 1)
    along = (wanted / wanted_lengths).T @ units  # cosines: of the image's axes with the file's
    enough = np.cos(np.radians(_LARGEST_ANGLE))
    for axis, name in enumerate(_AXES):
        if along[axis, axis] >= enough:
            continue
        other = 1 - axis
        if along[axis, axis] <= -enough:
            problem = f"axis {name} runs the other way"
        elif abs(along[axis, other]) >= enough:
            problem = f"axis {name} lies along the image's {_AXES[other]}: the axes are swapped"
        else:
            angle = np.degrees(np.arccos(np.clip(along[axis, axis], -1, 1)))
            problem = f"axis {name} points {angle:.0f} degrees away from the image's"
        raise BadInputError(f"{path}: wrong orientation: {problem}; {hint}")
    for axis, name in enumerate(_AXES):
        if abs(lengths[axis] / wanted_lengths[axis] - 1) > _LARGEST_STRETCH:
            raise BadInputError(
                f"{path}: axis {name} has pixels of {lengths[axis]:.4g} mm, the image {wanted_lengths[axis]:.4g} mm; "
                f"{hint}"
            )
    shift = np.asarray(found, np.float64)[:3, 3] - np.asarray(expected, np.float64)[:3, 3]
    for axis, name in enumerate(_AXES):
        amount = float(shift @ wanted[:, axis] / wanted_lengths[axis])
        if abs(amount) > _LARGEST_SHIFT * wanted_lengths[axis]:
            raise BadInputError(f"{path}: lies {amount:+.2f} mm off the image along axis {name}; {hint}")
    normal = np.cross(wanted[:, 0], wanted[:, 1])
    amount = float(shift @ normal / np.linalg.norm(normal))
    thickness = float(np.linalg.norm(np.asarray(expected, np.float64)[:3, 2]))
    if abs(amount) > thickness / 2:
        raise BadInputError(f"{path}: lies {amount:+.2f} mm off the image along axis z (slice); {hint}")
