"""ISMRMRD raw files (HDF5), read and written in blocks."""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, acquisition_header_dtype
from numpy.typing import NDArray

from nadenoise_core.errors import OutputError, RawDataError, reason_of
from nadenoise_core.files import whole_file
from nadenoise_core.mrd.compound import NEEDED, by_name, missing_fields, numbers

_BLOCK = 256  # acquisitions read or written at once: a few MB
_log = logging.getLogger("nadenoise.rawfile")
_CHECKSUMS = "checksums"  # CRC-32 of each acquisition: HDF5's own leave out what has a variable length


class RawFile:
    """An ISMRMRD file open for reading; a context manager.

    Args:
        path: of the HDF5 file.
        group: of the measurement inside it; None takes the only one.

    Raises:
        RawDataError: missing, empty, truncated, not HDF5, or without ISMRMRD data.
    """

    def __init__(self, path: Path, group: str | None = None) -> None:
        self.path = path
        if not path.is_file():
            raise RawDataError(f"{path}: no such file")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            reason = "it is empty" if path.stat().st_size == 0 else reason_of(error)
            raise RawDataError(f"{path}: not a readable HDF5 file ({reason}); copy or convert it anew") from None
        try:
            self._group = self._find_group(group)
            self._refuse_other_files()
            self._checksums = self._read_checksums()
            self.header_xml = self._read_header()
            self._acquisitions = self._find_acquisitions()
        except RawDataError:
            self._file.close()
            raise
        except Exception as error:  # h5py has no type of its own for a file that HDF5 opens and cannot read
            self._file.close()
            raise RawDataError(
                f"{path}: holds no readable ISMRMRD measurement ({reason_of(error)}); copy or convert it anew"
            ) from None

    def __len__(self) -> int:
        """How many acquisitions the file holds."""
        return int(self._acquisitions.shape[0])

    @property
    def has_checksums(self) -> bool:
        """Whether the file tells if a bit of it has changed."""
        return self._checksums is not None

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def acquisitions(self) -> Iterator[ismrmrd.Acquisition]:
        """The acquisitions in the order of the file.

        Raises:
            RawDataError: data that do not match their header, or a part of the file that cannot be read.
        """
        missing = missing_fields(self._acquisitions.dtype)
        if missing:
            _log.warning("the acquisitions have no %s, which is taken as 0", ", ".join(sorted(missing)))
        for start in range(0, len(self), _BLOCK):
            try:
                block = self._acquisitions[start : start + _BLOCK]
            except Exception as error:  # of whatever type h5py chooses
                words = f"acquisitions from {start} on cannot be read ({reason_of(error)})"
                raise RawDataError(f"{self.path}: {words}; the file is damaged") from None
            heads = by_name(block["head"], acquisition_header_dtype)
            for number, (head, row) in enumerate(zip(heads, block, strict=True), start):
                yield self._acquisition(ismrmrd.AcquisitionHeader.from_buffer_copy(head.tobytes()), row, number)

    def _acquisition(self, head: ismrmrd.AcquisitionHeader, row: Any, number: int) -> ismrmrd.Acquisition:
        samples, coils, dimensions = head.number_of_samples, head.active_channels, head.trajectory_dimensions
        data, trajectory = (numbers(row[name], self._kinds[name]) for name in ("data", "traj"))
        if data.size != 2 * samples * coils or trajectory.size != samples * dimensions:
            raise RawDataError(
                f"{self.path}: acquisition {number} holds {data.size // 2} samples and {trajectory.size} trajectory "
                f"values, its header says {coils} x {samples} and {samples} x {dimensions}; the file is damaged"
            )
        data, trajectory = np.asarray(data, np.float32), np.asarray(trajectory, np.float32)
        if self._checksums is not None and _checksum(bytes(head), trajectory, data) != self._checksums[number]:
            raise RawDataError(f"{self.path}: acquisition {number} is not as it was written; the file is damaged")
        return ismrmrd.Acquisition(
            head,
            data=data.view(np.complex64).reshape(coils, samples),
            trajectory=trajectory.reshape(samples, dimensions),
        )

    def _find_group(self, name: str | None) -> Any:
        found: list[str] = []

        def collect(path: str, item: Any) -> None:
            if isinstance(item, h5py.Group) and {"xml", "data"} <= set(item):
                found.append(path)

        self._file.visititems(collect)
        wanted = name.strip("/") if name is not None else None
        if wanted in found or (wanted is None and len(found) == 1):
            return self._file[wanted or found[0]]
        inside = ", ".join(found or self._file) or "nothing"
        if name is None and found:
            raise RawDataError(f"{self.path}: holds several measurements ({inside}); choose one with --group")
        missing = f"no measurement '{name}'" if name else "no ISMRMRD measurement (a group with 'xml' and 'data')"
        raise RawDataError(f"{self.path}: {missing}; it holds {inside}")

    def _refuse_other_files(self) -> None:
        """A file may say that its data are in another file, anywhere on this machine."""
        for name in ("xml", "data", _CHECKSUMS):
            link = self._group.get(name, getlink=True)
            if link is None:
                continue
            if isinstance(link, h5py.ExternalLink) or self._group[name].external or self._group[name].is_virtual:
                raise RawDataError(f"{self.path}: '{name}' is in another file; copy it into this one (h5repack)")

    def _read_checksums(self) -> NDArray[np.uint32] | None:
        stored = self._group.get(_CHECKSUMS)
        if stored is None:
            return None
        if stored.shape != self._group["data"].shape:
            raise RawDataError(f"{self.path}: there are not as many checksums as acquisitions; the file is damaged")
        return np.asarray(stored[:], np.uint32)

    def _find_acquisitions(self) -> Any:
        rows = self._group["data"]
        needed = missing_fields(rows.dtype) & NEEDED
        if needed:
            names = ", ".join(sorted(needed))
            raise RawDataError(
                f"{self.path}: acquisitions of another ISMRMRD version, without {names}; convert it anew"
            )
        if rows.ndim != 1:
            raise RawDataError(
                f"{self.path}: acquisitions in an array of shape {rows.shape}, where ISMRMRD has one after the other; "
                "convert it anew"
            )
        # h5py gives what has a variable length in the byte order of the file, as if it were that of the machine.
        self._kinds = {name: h5py.check_dtype(vlen=rows.dtype[name]) for name in ("data", "traj")}
        return rows

    def _read_header(self) -> bytes:
        try:
            stored = self._group["xml"]
            value = stored[()].tobytes() if stored.dtype.itemsize == 1 else stored[(0,) * stored.ndim]
        except (OSError, ValueError, IndexError) as error:
            raise RawDataError(f"{self.path}: the ISMRMRD header cannot be read ({reason_of(error)})") from None
        header = value if isinstance(value, bytes) else str(value).encode("utf-8")
        if self._checksums is not None and zlib.crc32(header) != self._group[_CHECKSUMS].attrs.get("xml"):
            raise RawDataError(f"{self.path}: the ISMRMRD header is not as it was written; the file is damaged")
        return header


@contextmanager
def named_in_errors(raw: Path) -> Iterator[None]:
    """Say in errors about raw data which file they are about."""
    try:
        yield
    except RawDataError as error:
        if str(error).startswith(f"{raw}: "):
            raise
        raise type(error)(f"{raw}: {error}") from error


def write_raw_file(
    path: Path, header_xml: str | bytes, acquisitions: Iterable[ismrmrd.Acquisition], *, replace: bool = True
) -> None:
    """Write an ISMRMRD file, as the group "dataset", with checksums; it appears under its name when it is whole.

    Args:
        path: of the file.
        header_xml: ISMRMRD header.
        acquisitions: in the order of the file.
        replace: a file of this name; else that is an error.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with (
            whole_file(path, make_folders=False, replace=replace) as unfinished,
            _Disc(unfinished) as disc,
            h5py.File(disc, "w") as file,
        ):
            _fill(file.create_group("dataset"), header_xml, disc.watched(acquisitions))
    except RuntimeError as error:  # HDF5 reports a full disc as this, too
        raise OutputError(f"cannot write {path}: {reason_of(error)}; check the folder and its free space") from None


class _Disc(io.FileIO):
    """The file beneath an HDF5 file, which tells of a failure (a full disc) when HDF5 has let go of it.

    HDF5 cannot close a file that it cannot write: it crashes the process at its end. So after a failure it is told
    that all is well.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._failure is None:
                left = left[super().write(left) :]
        except OSError as failure:
            self._failure = failure
        return size

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size) if self._failure is None else size or 0
        except OSError as failure:
            self._failure = failure
            return size or 0

    def watched(self, acquisitions: Iterable[ismrmrd.Acquisition]) -> Iterator[ismrmrd.Acquisition]:
        """The same acquisitions, as long as they can be written."""
        for acquisition in acquisitions:
            self._raise_failure()
            yield acquisition

    def close(self) -> None:
        super().close()
        self._raise_failure()

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, self._failure and None
        if failure is not None:
            raise failure


def _fill(group: Any, header_xml: str | bytes, acquisitions: Iterator[ismrmrd.Acquisition]) -> None:
    header = header_xml if isinstance(header_xml, bytes) else header_xml.encode("utf-8")
    xml = group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
    xml[0] = header
    growing = {"shape": (0,), "maxshape": (None,), "fletcher32": True}
    rows = group.create_dataset("data", chunks=(64,), dtype=acquisition_dtype, **growing)
    checksums = group.create_dataset(_CHECKSUMS, chunks=(1024,), dtype=np.uint32, **growing)
    checksums.attrs["xml"] = np.uint32(zlib.crc32(header))
    while block := list(islice(acquisitions, _BLOCK)):
        filled, sums = np.empty(len(block), dtype=acquisition_dtype), np.empty(len(block), np.uint32)
        for number, (row, acquisition) in enumerate(zip(filled, block, strict=True)):
            row["head"] = np.frombuffer(acquisition.getHead(), dtype=acquisition_header_dtype)[0]
            row["data"] = acquisition.data.view(np.float32).ravel()
            row["traj"] = acquisition.traj.ravel()
            sums[number] = _checksum(bytes(acquisition.getHead()), row["traj"], row["data"])
        for dataset, values in ((rows, filled), (checksums, sums)):
            dataset.resize(dataset.shape[0] + len(block), axis=0)
            dataset[-len(block) :] = values


def _checksum(head: bytes, trajectory: NDArray[np.float32], data: NDArray[np.float32]) -> int:
    """CRC-32 of an acquisition."""
    so_far = zlib.crc32(head)
    for array in (trajectory, data):
        so_far = zlib.crc32(np.ascontiguousarray(array).data, so_far)
    return so_far
