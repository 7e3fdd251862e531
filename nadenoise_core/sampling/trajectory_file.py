"""Trajectories that were measured or designed elsewhere: NumPy, HDF5, or a Pulseq sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError, reason_of
from nadenoise_core.hdf5 import is_elsewhere
from nadenoise_core.helper import Helper
from nadenoise_core.sampling.trajectory import TrajectoryUnit

_PATIENCE = 30.0  # s
_SAME = 0.02  # of its reach: what repeats of a readout may differ by; arms differ by much more
_NAME = "trajectory"  # of the array, where a file holds several


@dataclass(frozen=True)
class TrajectoryFile:
    """The arms of a file.

    Attributes:
        k: (interleaves, samples, 2) float64, columns (read, phase).
        unit: None where the file does not say.
    """

    k: NDArray[np.float64]
    unit: TrajectoryUnit | None = None


def read_trajectory(path: Path) -> TrajectoryFile:
    """Read the trajectory of a scan from a file.

    Args:
        path: a NumPy file (.npy, or .npz with an array "trajectory"), an HDF5 file (.h5, .hdf5) with a dataset
            "trajectory" or a single one, of shape (interleaves, samples, 2 or 3); or a Pulseq sequence (.seq), of
            whose readouts the different ones are taken in their order, in 1/m.

    Raises:
        BadInputError: no such file, another form, values that are not finite, or pypulseq is not installed.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such file; trajectory_file names a .npy, .npz, .h5 or .seq file")
    readers = {".npy": _read_numpy, ".npz": _read_numpy, ".h5": _read_hdf5, ".hdf5": _read_hdf5, ".seq": _read_pulseq}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadInputError(f"{path}: is no trajectory file; it must end in {', '.join(readers)}")
    try:
        k = reader(path)
    except BadInputError:
        raise
    except Exception as error:  # of whatever type the libraries choose for a file that is damaged
        raise BadInputError(f"{path}: cannot be read as a trajectory ({reason_of(error)})") from None
    if k.ndim != 3 or k.shape[-1] not in (2, 3) or k.dtype.kind not in "fiu" or 0 in k.shape:
        raise BadInputError(
            f"{path}: holds {k.dtype} of shape {k.shape}; a trajectory has real numbers, (interleaves, samples, 2 or 3)"
        )
    if not np.isfinite(k).all():
        raise BadInputError(f"{path}: holds NaN or infinite values")
    return TrajectoryFile(
        np.asarray(k[..., :2], np.float64), TrajectoryUnit.PER_METRE if path.suffix.lower() == ".seq" else None
    )


def _read_numpy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        return np.asarray(_chosen(path, {name: loaded[name] for name in loaded.files}))


def _read_hdf5(path: Path) -> NDArray[Any]:
    with Helper(lambda: _hdf5_arrays(path), _PATIENCE) as arrays:
        return next(arrays)


def _hdf5_arrays(path: Path) -> Iterator[NDArray[Any]]:
    """The one array that is wanted; what is in other files is not seen."""
    import h5py

    with h5py.File(path, "r") as file:
        here = [name for name in file if not is_elsewhere(file, name)]
        found = {name: file[name] for name in here if isinstance(file[name], h5py.Dataset)}
        yield np.asarray(_chosen(path, found)[()])


def _chosen(path: Path, arrays: dict[str, Any]) -> Any:
    if _NAME in arrays:
        return arrays[_NAME]
    if len(arrays) != 1:
        raise BadInputError(f"{path}: holds {', '.join(arrays) or 'nothing'}; call the array '{_NAME}'")
    return next(iter(arrays.values()))


def _read_pulseq(path: Path) -> NDArray[np.float64]:
    try:
        import pypulseq
    except ImportError:
        raise BadInputError(f"{path}: a Pulseq sequence needs pypulseq: pip install 'nadenoise[pulseq]'") from None
    if "[VERSION]" not in path.read_text(encoding="utf-8", errors="replace"):
        raise BadInputError(f"{path}: is no Pulseq sequence")
    sequence = pypulseq.Sequence()
    sequence.read(str(path))
    k = np.asarray(sequence.calculate_kspace()[0], np.float64)[:2].T
    lengths = [block.adc.num_samples for block in map(sequence.get_block, sequence.block_events) if block.adc]
    if not lengths:
        raise BadInputError(f"{path}: holds no readout")
    usual = max(set(lengths), key=lengths.count)
    arms: list[NDArray[np.float64]] = []
    for length, arm in zip(lengths, np.split(k, np.cumsum(lengths)[:-1]), strict=True):
        tolerance = _SAME * float(np.abs(arm).max())
        if length == usual and not any(np.allclose(arm, other, rtol=0, atol=tolerance) for other in arms):
            arms.append(arm)
    return np.stack(arms)
