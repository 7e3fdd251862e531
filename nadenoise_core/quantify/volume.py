"""Volumes as people make them: NIfTI and NRRD files, 2D or 3D, placed in the patient by their affine.

NIfTI points to the right, front and head (RAS), DICOM and ISMRMRD to the left, back and head (LPS); NRRD says which.
Here everything is LPS. The order in which a file stores its voxels means nothing; its affine alone tells where they
lie.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError

_NIFTI = (".nii", ".nii.gz", ".hdr", ".img")
_NRRD = (".nrrd", ".nhdr")
_LARGEST_OFF_RESONANCE = 5000.0  # Hz, far more than 30 ppm of sodium at 7 T
_TO_LPS = {
    "left-posterior-superior": (1.0, 1.0, 1.0),
    "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and where they lie.

    Attributes:
        path: of the file, for messages.
        values: (i, j, k), real.
        affine: (4, 4), voxel indices to LPS mm; whole indices are centres of voxels.
        names: of label numbers, where the file itself tells them (3D Slicer's segmentations do).
    """

    path: Path
    values: NDArray[Any]
    affine: NDArray[np.float64]
    names: Mapping[int, str] = field(default_factory=dict)


def read_volume(path: Path) -> Volume:
    """Read a NIfTI or NRRD file.

    Raises:
        BadInputError: the file cannot be read, is no single 2D or 3D volume of real numbers, or does not say where it
            lies in the patient.
    """
    name = path.name.lower()
    if name.endswith(_NIFTI):
        volume = _read_nifti(path)
    elif name.endswith(_NRRD):
        volume = _read_nrrd(path)
    else:
        raise BadInputError(
            f"{path}: is neither NIfTI ({', '.join(_NIFTI)}) nor NRRD ({', '.join(_NRRD)}); save it as one"
        )
    if volume.values.dtype.kind not in "biuf":
        raise BadInputError(f"{path}: holds {volume.values.dtype} values; export one map of real numbers")
    if not np.isfinite(volume.affine).all() or abs(np.linalg.det(volume.affine[:3, :3])) < 1e-9:
        raise BadInputError(f"{path}: its affine places no voxel; save it again with its geometry")
    return volume


def read_field_map(path: Path) -> Volume:
    """Read a map of off-resonance in Hz.

    Raises:
        BadInputError: as `read_volume`, or not all values can be frequencies in Hz.
    """
    volume = read_volume(path)
    # Off-resonance is corrected by sums over the image: one value that is not known would spoil all pixels.
    unknown = int(np.sum(~np.isfinite(volume.values)))
    if unknown:
        raise BadInputError(f"{path}: {unknown} values are NaN or infinite; fill them, with the mean or 0 Hz")
    largest = float(np.abs(volume.values).max())
    if largest > _LARGEST_OFF_RESONANCE:
        raise BadInputError(
            f"{path}: holds {largest:.4g} Hz; convert the map to Hz, not rad/s or the phase of a scanner"
        )
    return volume


def _read_nifti(path: Path) -> Volume:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        file = nibabel.load(path)
        values = np.asarray(file.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise BadInputError(f"{path}: cannot be read as a NIfTI file ({error}); save it anew") from None
    header = file.header
    if not (int(header.get("sform_code", 0)) or int(header.get("qform_code", 0))):
        raise BadInputError(f"{path}: does not say where it lies (sform and qform codes are 0); save it with both")
    return Volume(path, _three_axes(path, values), np.diag([-1.0, -1.0, 1.0, 1.0]) @ file.affine)


def _read_nrrd(path: Path) -> Volume:
    import nrrd

    try:
        values, header = nrrd.read(str(path))
    except (OSError, EOFError, ValueError, KeyError, zlib.error, nrrd.NRRDError) as error:
        raise BadInputError(f"{path}: cannot be read as a NRRD file ({error}); save it anew") from None
    signs = _TO_LPS.get(str(header.get("space", "")).lower())
    steps = np.asarray(header.get("space directions", np.empty((0, 0))), np.float64)
    origin = np.asarray(header.get("space origin", np.empty(0)), np.float64)
    if signs is None or steps.ndim != 2 or steps.shape[1] != 3 or origin.shape != (3,):
        raise BadInputError(
            f"{path}: does not say where it lies in the patient; it needs space (LPS, RAS or LAS), space directions "
            "and space origin"
        )
    spatial = [bool(np.isfinite(step).all()) for step in steps]
    if any(size != 1 for size, lies in zip(values.shape, spatial, strict=True) if not lies):
        raise BadInputError(
            f"{path}: holds {'x'.join(map(str, values.shape))} values, several a voxel; export one label map without "
            "overlapping layers"
        )
    values, steps = (
        values.reshape([size for size, lies in zip(values.shape, spatial, strict=True) if lies]),
        steps[spatial],
    )
    if len(steps) == 2:
        normal = np.cross(steps[0], steps[1])
        steps = np.vstack([steps, normal / max(float(np.linalg.norm(normal)), 1e-12)])
    affine = np.eye(4)
    values = _three_axes(path, values)
    affine[:3, :3], affine[:3, 3] = steps[:3].T, origin
    return Volume(path, values, np.diag([*signs, 1.0]) @ affine, _segments(header))


def _segments(header: Mapping[str, Any]) -> dict[int, str]:
    """Names of the segments of a 3D Slicer segmentation (.seg.nrrd)."""
    names = {}
    for key, value in header.items():
        if key.startswith("Segment") and key.endswith("_LabelValue"):
            name = header.get(key.replace("_LabelValue", "_Name"))
            if name and str(value).isdigit():
                names[int(value)] = str(name)
    return names


def _three_axes(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """The same with exactly three axes."""
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or 0 in values.shape:
        raise BadInputError(f"{path}: has {values.ndim} axes ({'x'.join(map(str, values.shape))}); give one volume")
    return values
