"""The single readouts of a scan, from its ISMRMRD raw file.

The stream averages readouts as they arrive and forgets them; learning from repeats needs every one. Readouts are
counted as ISMRMRD does by default: interleaf by kspace_encode_step_1, average by average, half-pulse by set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import TrajectoryError
from nadenoise_core.sampling import Encoding, normalise_trajectory
from training.errors import DataError

Key = tuple[int, int, int]  # average, interleaf, half-pulse

_NO_IMAGE_DATA = (
    ismrmrd.ACQ_IS_NOISE_MEASUREMENT,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION,
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
)


@dataclass(frozen=True)
class Readouts:
    """What was measured, nothing averaged.

    Attributes:
        samples: (averages, interleaves, half-pulses, coils, samples) complex64; complete averages only.
        trajectory: (interleaves, samples, 2) in cycles/pixel.
        matrix: (rows, columns) of the image.
        sha256: of the file.
    """

    samples: NDArray[np.complex64]
    trajectory: NDArray[np.float32]
    matrix: tuple[int, int]
    sha256: str = ""


def read_readouts(path: Path) -> Readouts:
    """Read the only measurement of a raw file.

    Raises:
        DataError: no such file, no ISMRMRD measurement, several slices or contrasts, or no complete average.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such raw file")
    samples: dict[Key, NDArray[np.complex64]] = {}
    trajectories: dict[int, NDArray[np.float32]] = {}
    images: set[tuple[int, ...]] = set()
    dataset = None
    try:
        dataset = ismrmrd.Dataset(str(path), _group(path), mode="r")
        encoding = _encoding(dataset.read_xml_header())
        for acquisition in _of_the_image(dataset):
            idx = acquisition.idx
            kept = slice(acquisition.discard_pre, acquisition.number_of_samples - acquisition.discard_post)
            images.add((idx.slice, idx.contrast, idx.repetition, idx.phase, idx.kspace_encode_step_2))
            samples[idx.average, idx.kspace_encode_step_1, idx.set] = acquisition.data[:, kept].astype(np.complex64)
            trajectories.setdefault(idx.kspace_encode_step_1, acquisition.traj[kept].astype(np.float32))
    except DataError:
        raise
    except Exception:  # h5py, ismrmrd and xsdata have no type of their own for a file that is no raw file
        raise DataError(f"{path}: is no ISMRMRD raw file, or damaged; convert it anew") from None
    finally:
        if dataset is not None:
            dataset.close()
    if len(images) > 1:
        raise DataError(f"{path}: holds {len(images)} images (slices, contrasts or repetitions); give files of one")
    array = _complete(samples, path)
    try:
        raw = np.stack([trajectories[interleaf] for interleaf in range(array.shape[1])])
        trajectory = normalise_trajectory(raw, encoding)[0]
    except (TrajectoryError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    return Readouts(array, trajectory, encoding.matrix, hashlib.sha256(path.read_bytes()).hexdigest())


def _group(path: Path) -> str:
    """The name of the only measurement."""
    with h5py.File(path, "r") as file:
        found = [name for name, item in file.items() if isinstance(item, h5py.Group) and {"xml", "data"} <= set(item)]
    if len(found) != 1:
        raise DataError(f"{path}: holds {len(found)} ISMRMRD measurements; fine-tuning takes files of one")
    return str(found[0])


def _of_the_image(dataset: Any) -> Iterator[Any]:
    for number in range(dataset.number_of_acquisitions()):
        acquisition = dataset.read_acquisition(number)
        if acquisition.encoding_space_ref == 0 and not any(map(acquisition.is_flag_set, _NO_IMAGE_DATA)):
            yield acquisition


def _encoding(header: bytes) -> Encoding:
    encoding = ismrmrd.xsd.CreateFromDocument(header).encoding[0]
    recon, encoded = encoding.reconSpace, encoding.encodedSpace
    return Encoding(
        (int(recon.matrixSize.y), int(recon.matrixSize.x)),
        (float(recon.fieldOfView_mm.y), float(recon.fieldOfView_mm.x)),
        (int(encoded.matrixSize.y), int(encoded.matrixSize.x)),
        (float(encoded.fieldOfView_mm.y), float(encoded.fieldOfView_mm.x)),
    )


def _complete(samples: dict[Key, NDArray[np.complex64]], path: Path) -> NDArray[np.complex64]:
    """The complete averages as one array."""
    interleaves, halves = (1 + max((key[axis] for key in samples), default=-1) for axis in (1, 2))
    places = [(interleaf, half) for interleaf in range(interleaves) for half in range(halves)]
    averages = [a for a in sorted({key[0] for key in samples}) if all((a, *place) in samples for place in places)]
    if not averages:
        raise DataError(f"{path}: holds no complete average of a spiral scan")
    if len({part.shape for part in samples.values()}) > 1:
        raise DataError(f"{path}: its readouts differ in length or coils; the raw file is damaged")
    stacked = np.array([[samples[(average, *place)] for place in places] for average in averages], np.complex64)
    if not np.isfinite(stacked).all():
        raise DataError(f"{path}: holds NaN or infinite samples; the raw file is damaged")
    return stacked.reshape(len(averages), interleaves, halves, *stacked.shape[2:])
