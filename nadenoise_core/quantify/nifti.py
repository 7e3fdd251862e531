"""Maps that come as NIfTI files: labels drawn by hand (ITK-SNAP), flip angles, receive sensitivities.

Array axis 0 of the file is the column (x) of the image, axis 1 the row (y), as ITK-SNAP writes an image.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole
from nadenoise_core.quantify.geometry import check_geometry

_LARGEST_OFF_RESONANCE = 5000.0  # Hz, far more than 30 ppm of sodium at 7 T


def read_label_map(
    path: Path, matrix: tuple[int, int], affine: NDArray[np.floating] | None = None
) -> NDArray[np.int64]:
    """Read a label map drawn on an image of this matrix, (rows, columns).

    Args:
        path: of the file.
        matrix: of the image.
        affine: (4, 4) of the image (`geometry.nifti_affine`), which the file's must agree with; None: not checked.

    Returns:
        (rows, columns) integer labels, 0 for no label.

    Raises:
        BadInputError: not a NIfTI file, more than one slice, another matrix, another geometry, or labels that are not
            integers.
    """
    labels = _read_plane(path, matrix, "label map", affine)
    if labels.dtype.kind not in "iuf" or not np.array_equal(labels, np.round(labels)):
        raise BadInputError(f"{path}: holds values that are not whole numbers; export a label map, not an image")
    return labels.astype(np.int64)


def read_map(path: Path, matrix: tuple[int, int]) -> NDArray[np.float64]:
    """Read a map of numbers that belongs to images of this matrix, (rows, columns).

    Returns:
        (rows, columns); what the file does not know is as it stands there: 0, NaN.

    Raises:
        BadInputError: not a NIfTI file, more than one slice, another matrix, or values that are not real numbers.
    """
    values = _read_plane(path, matrix, "map")
    if values.dtype.kind not in "iuf":
        raise BadInputError(f"{path}: holds {values.dtype} values; export a map of real numbers")
    return values.astype(np.float64)


def read_field_map(path: Path, matrix: tuple[int, int]) -> NDArray[np.float64]:
    """Off-resonance in Hz, (rows, columns).

    Raises:
        BadInputError: the file holds no map of this matrix, or not all of its values can be frequencies in Hz.
    """
    field_map = read_map(path, matrix)
    # Off-resonance is corrected by sums over the image: one value that is not known would spoil all pixels.
    if not np.isfinite(field_map).all():
        raise BadInputError(
            f"{path}: {np.sum(~np.isfinite(field_map))} values are NaN or infinite; fill them, with the mean or 0 Hz"
        )
    largest = float(np.abs(field_map).max())
    if largest > _LARGEST_OFF_RESONANCE:
        raise BadInputError(
            f"{path}: holds {largest:.4g} Hz; convert the map to Hz, not rad/s or the phase of a scanner"
        )
    return field_map


def write_nifti(path: Path, values: NDArray[np.generic], affine: NDArray[np.floating], unit: str = "") -> None:
    """Write one slice, (rows, columns), as ITK-SNAP opens it beside others of the same geometry.

    Args:
        path: ends in .nii or .nii.gz; it appears under its name when it is whole.
        values: integers (labels) or float32.
        affine: (4, 4) of `geometry.nifti_affine`.
        unit: of the values, for the header's description.

    Raises:
        OutputError: the file cannot be written.
    """
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray(values.T[..., None]), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = unit.encode()[:79]
    content = image.to_bytes()
    # Without a time in it, the same image gives the same file.
    write_whole(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content, make_folders=False)


def _read_plane(
    path: Path, matrix: tuple[int, int], what: str, affine: NDArray[np.floating] | None = None
) -> NDArray[np.generic]:
    """The one slice of a file, (rows, columns)."""
    import zlib

    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        file = nibabel.load(path)
        data = np.asarray(file.dataobj)
    except (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise BadInputError(f"{path}: cannot be read as a NIfTI {what} ({error})") from None
    plane = data.reshape(data.shape[:2] + (-1,)) if data.ndim >= 2 else data
    if plane.ndim != 3 or plane.shape[2] != 1 or plane.shape[:2] != matrix[::-1]:
        raise BadInputError(
            f"{path}: the {what} is {'x'.join(map(str, data.shape))}, the image {matrix[1]}x{matrix[0]}x1; "
            "make it on the image itself"
        )
    if affine is not None:
        check_geometry(path, file.affine, affine)
    return np.asarray(plane[:, :, 0].T)
