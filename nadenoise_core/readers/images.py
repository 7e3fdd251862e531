"""Images of a case: read from NIfTI or DICOM as plain arrays, and drawn as anonymous PNG on one window."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError

NIFTI_SUFFIXES = (".nii", ".nii.gz")
DICOM_SUFFIXES = (".dcm", ".ima")

_PERCENTILES = (1.0, 99.5)  # those of the window that our DICOM images carry
_BLANK = 0.05  # of the window between those percentiles of an image: nothing can be seen
_MOST_PIXELS = 4096 * 4096


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice.

    Attributes:
        pixels: (rows, columns) float64; NaN where a map knows nothing.
        geometry: of the file's kind, numbers that say how the slice lies: equal where two files lie equal.
    """

    pixels: NDArray[np.float64]
    kind: str
    geometry: tuple[float, ...]


def image_name(path: Path) -> str | None:
    """The name of an image file without its suffix; None where the suffix is none of NIfTI or DICOM."""
    for suffix in (*NIFTI_SUFFIXES, *DICOM_SUFFIXES):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return None


def read_picture(path: Path) -> Picture:
    """Read one slice from a NIfTI file, else from a DICOM file; complex values become magnitudes.

    Array axis 0 of a NIfTI file is the column of the image, axis 1 the row, as for label maps.

    Raises:
        BadInputError: it cannot be read, holds more than one slice, colours, burned-in text, or no finite number.
    """
    picture = _read_nifti(path) if path.name.lower().endswith(NIFTI_SUFFIXES) else _read_dicom(path)
    if picture.pixels.size > _MOST_PIXELS:
        raise BadInputError(f"{path}: has more than 4096 x 4096 pixels")
    if np.isinf(picture.pixels).any() or not np.isfinite(picture.pixels).any():
        raise BadInputError(f"{path}: holds infinite values, or no number at all")
    return picture


def _read_nifti(path: Path) -> Picture:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path)
        data = np.asarray(image.dataobj)
        affine = np.asarray(image.affine, float)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as error:
        raise BadInputError(f"{path}: cannot be read as a NIfTI image ({_first_line(error)})") from None
    if data.dtype.kind not in "iufc" or data.ndim < 2 or data.size != data.shape[0] * data.shape[1]:
        shape = "x".join(map(str, data.shape))
        raise BadInputError(f"{path}: is {shape} of {data.dtype}; give one slice of numbers, the one to be ranked")
    plane = data.reshape(data.shape[:2]).T
    plane = np.abs(plane) if np.iscomplexobj(plane) else plane
    return Picture(plane.astype(np.float64), "NIfTI", tuple(affine[:3].ravel().round(3)))


def _read_dicom(path: Path) -> Picture:
    import pydicom
    from pydicom.pixels import apply_rescale

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            frames = int(dataset.get("NumberOfFrames") or 1)
            if frames != 1 or int(dataset.get("SamplesPerPixel") or 1) != 1:
                raise BadInputError(f"{path}: has several frames or colours; give one grey slice, the one to be ranked")
            if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
                raise BadInputError(f"{path}: has burned-in text, which may name the patient; give it without")
            pixels = np.asarray(apply_rescale(dataset.pixel_array, dataset), np.float64)
            # The window is of the numbers, so an inverted display is undone by their sign.
            inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
            geometry = _dicom_geometry(dataset)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror or _first_line(error)})") from None
    except BadInputError:
        raise
    except Exception as error:  # a damaged file fails in pydicom in many ways
        raise BadInputError(f"{path}: cannot be read as a NIfTI or DICOM image ({_first_line(error)})") from None
    return Picture(-pixels if inverted else pixels, "DICOM", geometry)


def _dicom_geometry(dataset: Any) -> tuple[float, ...]:
    keywords = ("ImageOrientationPatient", "PixelSpacing")
    return tuple(round(float(number), 3) for keyword in keywords for number in (dataset.get(keyword) or ()))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def window_of(reference: NDArray[np.float64], source: str) -> tuple[float, float]:
    """The window of a case: the 1st and the 99.5th percentile of its reference image.

    Raises:
        BadInputError: the image is flat.
    """
    low, high = (float(value) for value in np.nanpercentile(reference, _PERCENTILES))
    if not low < high:
        raise BadInputError(f"{source}: the reference image has no contrast, so that it gives no window; set --window")
    return low, high


def draw_png(pixels: NDArray[np.float64], window: tuple[float, float], source: str) -> bytes:
    """An 8-bit grey PNG, `window` from black to white and clipped, without any text in it.

    Raises:
        BadInputError: nothing can be seen on this window: the images of the case differ in their units.
    """
    from PIL import Image

    low, high = window
    scaled = np.nan_to_num((pixels - low) / (high - low), nan=0.0).clip(0, 1)
    if np.ptp(np.percentile(scaled, _PERCENTILES)) < _BLANK:
        raise BadInputError(
            f"{source}: is blank on the window of its case, {low:.4g} to {high:.4g}; "
            "give all images of a case in the same units"
        )
    stored = BytesIO()
    Image.fromarray(np.rint(scaled * 255).astype(np.uint8)).save(stored, "PNG", optimize=True)
    return stored.getvalue()
