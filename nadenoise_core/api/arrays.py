"""Images and k-space that come as arrays, with no raw file behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.image import new_image
from nadenoise_core.mrd.scan import Scan
from nadenoise_core.mrd.study_header import Sequence, StudyHeader
from nadenoise_core.sampling.spiral import SODIUM_GAMMA
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
        study=StudyHeader(),
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


@dataclass(frozen=True)
class Measured:
    """How k-space was measured that comes as an array.

    Attributes:
        matrix: (rows, columns) of the image.
        field_of_view: (rows, columns) of the image, mm.
        thickness: of the slice, mm.
        position: of its centre, LPS mm.
        directions: read, phase and slice direction, LPS; transverse by default.
        dwell_time: between two samples, us; 0: not known.
        repetition_time, echo_time: ms; None: not known.
        flip_angle: degrees; None: not known.
        frequency: of the nucleus, Hz; that of sodium at 3 T by default.
    """

    matrix: tuple[int, int]
    field_of_view: tuple[float, float]
    thickness: float = 30.0
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    directions: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    dwell_time: float = 0.0
    repetition_time: float | None = None
    echo_time: float | None = None
    flip_angle: float | None = None
    frequency: float = 1e6 * SODIUM_GAMMA * 3.0


def write_arrays(
    path: Path, kspace: NDArray[Any], trajectory: NDArray[Any], measured: Measured, *, overwrite: bool = False
) -> None:
    """Write averages as a raw file.

    Args:
        path: of the file.
        kspace: (averages, coils, interleaves, samples) complex.
        trajectory: (interleaves, samples, 2).
        measured: how.
        overwrite: a file that is there.

    Raises:
        BadInputError: shapes that do not go together, or a number that is not finite.
        OutputError: the file cannot be written, or is there already.
    """
    from nadenoise_core.mrd.rawfile import write_raw_file

    if kspace.ndim != 4 or 0 in kspace.shape or trajectory.shape != (*kspace.shape[2:], 2):
        raise BadInputError(
            f"k-space of shape {kspace.shape} and a trajectory of shape {trajectory.shape} do not go together; give "
            "(averages, coils, interleaves, samples) and (interleaves, samples, 2)"
        )
    if not (np.isfinite(kspace).all() and np.isfinite(trajectory).all()):
        raise BadInputError("k-space and trajectory must be finite numbers")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; choose another name, or give overwrite=True")
    readouts = _readouts(kspace.astype(np.complex64), trajectory.astype(np.float32), measured)
    write_raw_file(path, _header_of(kspace.shape, measured), readouts, replace=overwrite)


def _readouts(
    kspace: NDArray[np.complex64], trajectory: NDArray[np.float32], measured: Measured
) -> Iterator[ismrmrd.Acquisition]:
    import ismrmrd

    for average, interleaf in np.ndindex(kspace.shape[0], kspace.shape[2]):
        acquisition = ismrmrd.Acquisition.from_array(kspace[average, :, interleaf], trajectory[interleaf])
        acquisition.idx.average, acquisition.idx.kspace_encode_step_1 = average, interleaf
        acquisition.scan_counter = average * kspace.shape[2] + interleaf
        acquisition.sample_time_us = measured.dwell_time
        acquisition.position[:] = measured.position
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = measured.directions
        yield acquisition


def _header_of(shape: tuple[int, ...], measured: Measured) -> str:
    from ismrmrd import xsd

    from nadenoise_core.mrd.header import serialise_header

    (rows, columns), (height, width) = measured.matrix, measured.field_of_view
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=columns, y=rows, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(x=width, y=height, z=measured.thickness),
    )
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_1=xsd.limitType(minimum=0, maximum=shape[2] - 1, center=0),
        average=xsd.limitType(minimum=0, maximum=shape[0] - 1, center=0),
    )
    times = {"TR": measured.repetition_time, "TE": measured.echo_time, "flipAngle_deg": measured.flip_angle}
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=round(measured.frequency)),
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(receiverChannels=shape[1]),
        encoding=[
            xsd.encodingType(
                encodedSpace=space, reconSpace=space, encodingLimits=limits, trajectory=xsd.trajectoryType.SPIRAL
            )
        ],
        sequenceParameters=xsd.sequenceParametersType(**{k: [v] for k, v in times.items() if v is not None}),
    )
    return serialise_header(header)
