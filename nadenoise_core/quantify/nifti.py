"""Slices as a NIfTI file; array axis 0 of the file is the column (x) of the image, axis 1 the row (y)."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.files import write_whole


def write_nifti(path: Path, values: NDArray[np.generic], affine: NDArray[np.floating], unit: str = "") -> None:
    """Write a slice, or a stack of them, as ITK-SNAP opens it beside others of the same geometry.

    Args:
        path: ends in .nii or .nii.gz; it appears under its name when it is whole.
        values: (rows, columns), or (slices, rows, columns); integers (labels) or float32.
        affine: (4, 4) of `geometry.nifti_affine`.
        unit: of the values, for the header's description.

    Raises:
        OutputError: the file cannot be written.
    """
    import nibabel

    image = nibabel.Nifti1Image(np.ascontiguousarray((values if values.ndim == 3 else values[None]).T), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = unit.encode()[:79]
    content = image.to_bytes()
    # Without a time in it, the same image gives the same file.
    write_whole(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content, make_folders=False)
