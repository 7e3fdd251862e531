"""The inside of an ISMRMRD raw file (HDF5), checked and read in blocks.

It runs in a helper process, since HDF5 itself may hang or crash on a damaged file.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype
from numpy.typing import NDArray

from nadenoise_core.errors import RawDataError, reason_of
from nadenoise_core.hdf5 import is_elsewhere
from nadenoise_core.mrd.compound import NEEDED, by_name, missing_fields, numbers

BLOCK = 256
"""Acquisitions read or written at once: a few MB."""
CHECKSUMS = "checksums"
"""CRC-32 of each acquisition: HDF5's own leave out what has a variable length."""

_DAMAGED = (
    "the file is damaged; if it was edited on purpose, delete the attribute 'checksums' of its dataset 'data' (h5py: "
    "del file['dataset/data'].attrs['checksums'])"
)
_LEAST_STORED = 1e-3  # bytes of a file for a byte of an acquisition's header; no compression does better


@dataclass(frozen=True, eq=False)
class Opened:
    """What is known before the acquisitions are read.

    Attributes:
        missing: names of fields that the acquisitions have not, and that are taken as 0.
    """

    header_xml: bytes
    acquisitions: int
    has_checksums: bool
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Acquisitions in a row.

    Attributes:
        heads: (acquisitions,) of `acquisition_header_dtype`; they tell how the values are parted.
        data: (all samples of all coils, 2) real and imaginary part, float32, one after the other.
        trajectory: float32, one after the other.
    """

    heads: NDArray[Any]
    data: NDArray[np.float32]
    trajectory: NDArray[np.float32]


def read_parts(path: Path, group: str | None) -> Iterator[Opened | Block]:
    """What a file holds: first what is known of it, then all acquisitions.

    Raises:
        RawDataError: not HDF5, damaged, without ISMRMRD data, or with data in another file.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        reason = "it is empty" if path.stat().st_size == 0 else reason_of(error)
        raise RawDataError(f"{path}: not a readable HDF5 file ({reason}); copy or convert it anew") from None
    with file:
        try:
            measurement = _Measurement(path, file, group)
            opened = measurement.opened()
        except RawDataError:
            raise
        except Exception as error:  # h5py has no type of its own for a file that HDF5 opens and cannot read
            raise RawDataError(
                f"{path}: holds no readable ISMRMRD measurement ({reason_of(error)}); copy or convert it anew"
            ) from None
        yield opened
        for start in range(0, opened.acquisitions, BLOCK):
            yield measurement.block(start)


class _Measurement:
    """A measurement in an open file."""

    def __init__(self, path: Path, file: Any, group: str | None) -> None:
        self._path = path
        self._group = _find_group(path, file, group)
        self._refuse_other_files()
        self._checksums = self._read_checksums()
        self._header = self._read_header()
        self._rows = self._find_acquisitions()

    def opened(self) -> Opened:
        """What is known of it."""
        missing = tuple(sorted(missing_fields(self._rows.dtype)))
        return Opened(self._header, int(self._rows.shape[0]), self._checksums is not None, missing)

    def block(self, start: int) -> Block:
        """The acquisitions from a number on."""
        try:
            rows = self._rows[start : start + BLOCK]
        except Exception as error:  # of whatever type h5py chooses
            failure = f"acquisitions from {start} on cannot be read ({reason_of(error)})"
            raise RawDataError(f"{self._path}: {failure}; the file is damaged") from None
        heads = by_name(rows["head"], acquisition_header_dtype)
        values = [
            self._values(head, row, number) for number, (head, row) in enumerate(zip(heads, rows, strict=True), start)
        ]
        data, trajectory = (np.concatenate(parts) for parts in zip(*values, strict=True))
        return Block(heads, data, trajectory)

    def _values(self, head: Any, row: Any, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Data and trajectory of an acquisition, checked against its header and its checksum."""
        samples, coils, dimensions = (
            int(head[name]) for name in ("number_of_samples", "active_channels", "trajectory_dimensions")
        )
        data, trajectory = (numbers(row[name], self._kinds[name]) for name in ("data", "traj"))
        if data.size != 2 * samples * coils or trajectory.size != samples * dimensions:
            raise RawDataError(
                f"{self._path}: acquisition {number} holds {data.size // 2} samples and {trajectory.size} trajectory "
                f"values, its header says {coils} x {samples} and {samples} x {dimensions}; the file is damaged"
            )
        data, trajectory = np.asarray(data, np.float32), np.asarray(trajectory, np.float32)
        if self._checksums is not None and checksum(head.tobytes(), trajectory, data) != self._checksums[number]:
            raise RawDataError(f"{self._path}: acquisition {number} is not as it was written; {_DAMAGED}")
        return data, trajectory

    def _refuse_other_files(self) -> None:
        """A file may say that its data are in another file, anywhere on this machine: no link is followed."""
        for name in ("xml", "data", CHECKSUMS):
            if is_elsewhere(self._group, name):
                raise RawDataError(f"{self._path}: '{name}' is in another file; copy it into this one (h5repack)")

    def _read_checksums(self) -> NDArray[np.uint32] | None:
        if CHECKSUMS not in self._group["data"].attrs:
            return None  # of another program, or edited on purpose
        stored = self._group.get(CHECKSUMS)
        if stored is None:
            raise RawDataError(f"{self._path}: the checksums that it was written with are gone; {_DAMAGED}")
        if stored.shape != self._group["data"].shape:
            raise RawDataError(f"{self._path}: there are not as many checksums as acquisitions; {_DAMAGED}")
        self._check_size(stored)
        return np.asarray(stored[:], np.uint32)

    def _find_acquisitions(self) -> Any:
        rows = self._group["data"]
        if not isinstance(rows, h5py.Dataset) or rows.dtype.names is None:
            what = "an array of numbers" if isinstance(rows, h5py.Dataset) else "a group"
            raise RawDataError(f"{self._path}: 'data' is {what}, where ISMRMRD has acquisitions; convert it anew")
        needed = missing_fields(rows.dtype) & NEEDED
        if needed:
            names = ", ".join(sorted(needed))
            raise RawDataError(
                f"{self._path}: acquisitions of another ISMRMRD version, without {names}; convert it anew"
            )
        if rows.ndim != 1:
            raise RawDataError(
                f"{self._path}: acquisitions in an array of shape {rows.shape}, where ISMRMRD has one after the other; "
                "convert it anew"
            )
        self._check_size(rows)
        # h5py gives what has a variable length in the byte order of the file, as if it were that of the machine.
        kinds = {name: rows.dtype[name] for name in ("data", "traj")}
        self._kinds = {name: np.dtype(h5py.check_vlen_dtype(kind) or kind.base) for name, kind in kinds.items()}
        for name, kind in self._kinds.items():
            if kind.names is None and kind.kind not in "fiu":
                raise RawDataError(f"{self._path}: '{name}' of the acquisitions holds no numbers; convert it anew")
        return rows

    def _check_size(self, stored: Any) -> None:
        """A damaged number of acquisitions would be read for ever: what was never written reads as zeros."""
        if stored.size * stored.dtype.itemsize * _LEAST_STORED > self._path.stat().st_size:
            raise RawDataError(
                f"{self._path}: says that it holds {stored.size} acquisitions, for which it is too small; the file is "
                "damaged"
            )

    def _read_header(self) -> bytes:
        try:
            stored = self._group["xml"]
            if not isinstance(stored, h5py.Dataset):
                raise RawDataError(f"{self._path}: 'xml' is a group, where ISMRMRD has its header; convert it anew")
            value = stored[()].tobytes() if stored.dtype.itemsize == 1 else stored[(0,) * stored.ndim]
        except (OSError, ValueError, IndexError) as error:
            raise RawDataError(f"{self._path}: the ISMRMRD header cannot be read ({reason_of(error)})") from None
        header = value if isinstance(value, bytes) else str(value).encode("utf-8")
        if self._checksums is not None and zlib.crc32(header) != self._group[CHECKSUMS].attrs.get("xml"):
            raise RawDataError(f"{self._path}: the ISMRMRD header is not as it was written; {_DAMAGED}")
        return header


def checksum(head: bytes, trajectory: NDArray[np.float32], data: NDArray[np.float32]) -> int:
    """CRC-32 of an acquisition."""
    so_far = zlib.crc32(head)
    for array in (trajectory, data):
        so_far = zlib.crc32(np.ascontiguousarray(array).data, so_far)
    return so_far


def _find_group(path: Path, file: Any, name: str | None) -> Any:
    """The group of a measurement; links are not followed."""
    found: list[str] = [""] if {"xml", "data"} <= set(file) else []

    def collect(inside: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and {"xml", "data"} <= set(item):
            found.append(inside)

    file.visititems(collect)
    wanted = name.strip("/") if name else None
    if wanted in found or (wanted is None and len(found) == 1):
        return file[wanted or found[0] or "/"]
    inside = ", ".join(group or "/" for group in found or file) or "nothing"
    if name is None and found:
        raise RawDataError(f"{path}: holds several measurements ({inside}); choose one with --group")
    missing = f"no measurement '{name}'" if name else "no ISMRMRD measurement (a group with 'xml' and 'data')"
    raise RawDataError(f"{path}: {missing}; it holds {inside}")
