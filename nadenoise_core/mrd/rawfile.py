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

from nadenoise_core.errors import OutputError, RawDataError, reason_of
from nadenoise_core.files import no_file, whole_file
from nadenoise_core.helper import Helper, HelperFailed
from nadenoise_core.mrd.header import storable_header
from nadenoise_core.mrd.rawfile_reading import BLOCK, CHECKSUMS, Block, Opened, checksum, read_parts

_PATIENCE = 30.0  # s for a block
_log = logging.getLogger("nadenoise.rawfile")


class RawFile:
    """An ISMRMRD file open for reading; a context manager.

    Args:
        path: of the HDF5 file.
        group: of the measurement inside it; None takes the only one.
        seconds: that the reading of a few hundred acquisitions may take.

    Attributes:
        header_xml: of the measurement.
        has_checksums: whether the file tells if a bit of it has changed.

    Raises:
        RawDataError: missing, empty, truncated, not HDF5, without ISMRMRD data, with data in another file, or damaged
            so that HDF5 never ends.
    """

    def __init__(self, path: Path, group: str | None = None, *, seconds: float = _PATIENCE) -> None:
        self.path = path
        if not path.is_file():
            raise RawDataError(f"{path}: {no_file(path)}")
        self._read = lambda: read_parts(path, group)
        self._seconds = seconds
        self._opened, self._helper = self._open()
        self._fresh = True
        self.header_xml = self._opened.header_xml
        self.has_checksums = self._opened.has_checksums

    def __len__(self) -> int:
        """How many acquisitions the file holds."""
        return self._opened.acquisitions

    def __enter__(self) -> RawFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helper.close()

    def acquisitions(self) -> Iterator[ismrmrd.Acquisition]:
        """The acquisitions in the order of the file.

        Raises:
            RawDataError: data that do not match their header, or a part of the file that cannot be read.
        """
        if not self._fresh:
            self._helper.close()
            self._opened, self._helper = self._open()
        self._fresh = False
        if self._opened.missing:
            _log.warning("the acquisitions have no %s, which is taken as 0", ", ".join(self._opened.missing))
        with self._helper as parts, self._failures_named():
            for block in parts:
                yield from _acquisitions(block)

    def _open(self) -> tuple[Opened, Helper[Any]]:
        helper: Helper[Any] = Helper(self._read, self._seconds)
        try:
            with self._failures_named():
                return next(helper), helper
        except BaseException:
            helper.close()
            raise

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except HelperFailed as failure:
            raise RawDataError(f"{self.path}: cannot be read ({failure}); copy or convert it anew") from None


def _acquisitions(block: Block) -> Iterator[ismrmrd.Acquisition]:
    """The acquisitions of a block."""
    data, trajectory = block.data.view(np.complex64), block.trajectory
    first_sample = first_place = 0
    for stored in block.heads:
        head = ismrmrd.AcquisitionHeader.from_buffer_copy(stored.tobytes())
        samples, coils, dimensions = head.number_of_samples, head.active_channels, head.trajectory_dimensions
        last_sample, last_place = first_sample + coils * samples, first_place + samples * dimensions
        yield ismrmrd.Acquisition(
            head,
            data=data[first_sample:last_sample].reshape(coils, samples),
            trajectory=trajectory[first_place:last_place].reshape(samples, dimensions),
        )
        first_sample, first_place = last_sample, last_place


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
    header = storable_header(header_xml)
    xml = group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
    xml[0] = header
    growing = {"shape": (0,), "maxshape": (None,), "fletcher32": True}
    rows = group.create_dataset("data", chunks=(64,), dtype=acquisition_dtype, **growing)
    checksums = group.create_dataset(CHECKSUMS, chunks=(1024,), dtype=np.uint32, **growing)
    rows.attrs[CHECKSUMS] = True  # else who loses them by one damage would not find the next
    checksums.attrs["xml"] = np.uint32(zlib.crc32(header))
    while block := list(islice(acquisitions, BLOCK)):
        filled, sums = np.empty(len(block), dtype=acquisition_dtype), np.empty(len(block), np.uint32)
        for number, (row, acquisition) in enumerate(zip(filled, block, strict=True)):
            row["head"] = np.frombuffer(acquisition.getHead(), dtype=acquisition_header_dtype)[0]
            row["data"] = acquisition.data.view(np.float32).ravel()
            row["traj"] = acquisition.traj.ravel()
            sums[number] = checksum(bytes(acquisition.getHead()), row["traj"], row["data"])
        for dataset, values in ((rows, filled), (checksums, sums)):
            dataset.resize(dataset.shape[0] + len(block), axis=0)
            dataset[-len(block) :] = values
