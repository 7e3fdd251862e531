"""Where an image lies in the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.mrd.image import pixel_size, pixels_of
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.plane import SlicePlane

if TYPE_CHECKING:
    import ismrmrd

_SINGLE_PRECISION = 1e-6
_LARGEST_ROUNDING = 0.02  # of the cosine between directions, which two digits leave


def with_directions(header: ismrmrd.AcquisitionHeader) -> tuple[ismrmrd.AcquisitionHeader, bool]:
    """A copy of a header whose directions are orthonormal, and whether the raw data say how the slice lies.

    Many converters leave the directions 0, or round them to a few digits: then the nearest directions at right angles
    are taken. A slice without usable directions is taken as transverse.
    """
    given = np.array([header.read_dir[:], header.phase_dir[:], header.slice_dir[:]], dtype=np.float64)
    lengths = np.linalg.norm(given, axis=1, keepdims=True)
    directions = given / np.where(lengths > 0, lengths, 1)
    error = np.abs(directions @ directions.T - np.eye(3)).max()
    known = bool(error <= _LARGEST_ROUNDING)
    if known and error > _SINGLE_PRECISION:
        left, _, right = np.linalg.svd(directions)
        directions = left @ right
    copy = type(header).from_buffer_copy(header)
    copy.read_dir[:], copy.phase_dir[:], copy.slice_dir[:] = directions if known else np.eye(3)
    return copy, known


def plane_of(image: ismrmrd.Image) -> SlicePlane:
    """Where the pixels of an image lie in the patient."""
    head = image.getHead()
    rows, columns = pixels_of(image).shape
    return plane_at(head, pixel_size(image), (rows, columns), head.field_of_view[2])


def plane_at(
    header: ismrmrd.AcquisitionHeader | ismrmrd.ImageHeader,
    pixel: tuple[float, float],
    matrix: tuple[int, int],
    thickness: float,
) -> SlicePlane:
    """Where the pixels of an image of an acquisition lie; arguments as of `SlicePlane`."""
    directions = np.array([header.read_dir[:], header.phase_dir[:], header.slice_dir[:]], np.float64)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    centre = np.array(header.position[:], np.float64)
    return SlicePlane(centre, directions / np.where(lengths > 0, lengths, 1), pixel, matrix, float(thickness))


def affine_of(image: ismrmrd.Image) -> NDArray[np.float64]:
    """(4, 4), array indices (column, row, slice) to RAS mm, as NIfTI has it."""
    head = image.getHead()
    rows, columns = pixels_of(image).shape
    height, width = pixel_size(image)
    directions = np.array([head.read_dir[:], head.phase_dir[:], head.slice_dir[:]], np.float64)
    return nifti_affine(list(head.position), directions, (height, width, head.field_of_view[2]), (rows, columns))
