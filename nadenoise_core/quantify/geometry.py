"""Where the pixels of an image lie in the scanner, as NIfTI says it.

NIfTI axes point to the right, front and head (RAS); DICOM's and ISMRMRD's to the left, back and head (LPS). Array axis
0 of a file is the column (x) of an image, axis 1 the row (y), axis 2 the slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
