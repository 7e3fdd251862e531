"""Images that come as arrays, with no raw file behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.header_words import HeaderWords, Sequence
from nadenoise_core.mrd.image import new_image
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.sampling.trajectory import Encoding

if TYPE_CHECKING:
    import ismrmrd


def scan_of_array(shape: tuple[int, ...], pixel: tuple[float, float], thickness: float) -> Scan:
    """A scan of which nothing is known but its matrix and its pixels."""
    matrix = (shape[0], shape[1])
    field_of_view = (matrix[0] * pixel[0], matrix[1] * pixel[1])
    return Scan(
        encoding=Encoding(matrix, field_of_view, matrix, field_of_view),
        slice_thickness=thickness,
        encoding_space=0,
        says_spiral=True,
        limits={},
        sequence=Sequence(),
        words=HeaderWords(),
        patient_position="",
        noise_bandwidth=1.0,
        measurement_id="array",
        fingerprint="",
    )


def image_of_array(
    array: NDArray[Any], averages: int, noise_std: float, pixel: tuple[float, float], thickness: float
) -> ismrmrd.Image:
    """A plain image, transverse in the isocentre.

    Raises:
        BadInputError: the array is not two-dimensional, holds no numbers, or one that is not finite.
    """
    import ismrmrd

    if array.ndim != 2 or array.dtype.kind not in "iufc" or not np.isfinite(array).all():
        raise BadInputError(f"an array of shape {array.shape} is no image; give finite numbers, (rows, columns)")
    header = ismrmrd.AcquisitionHeader()
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = np.eye(3)
    pixels = array.astype(np.complex64 if np.iscomplexobj(array) else np.float32)
    facts = ImageFacts(kind=Kind.PLAIN, averages=averages, noise_std=noise_std, k_max=0.5 / max(pixel))
    field_of_view = (array.shape[1] * pixel[1], array.shape[0] * pixel[0], thickness)
    return new_image(pixels, header, field_of_view, 1, facts)
