"""An outbox: a folder of DICOM files that wait for delivery.

A restart loses nothing, since the files are all there is to know: `*.dcm` in the folder wait, `refused/` holds those
that the peer would not take, each with the reason in a text file beside it, and `sent/` those kept after delivery.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from nadenoise_core.dicom.folder import write
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.files import make_folder, write_whole

_STALE = 3600.0  # s; no file is being written for so long
_UNDEFINED = 0xFFFFFFFF  # length of a value that a delimiter ends (PS3.5 7.1.1)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL")


@dataclass(frozen=True)
class Waiting:
    """A file that waits, and what a sender must know to offer it.

    `stamp` (inode, time of change) tells whether another file has taken its name since.
    """

    path: Path
    stamp: tuple[int, int]
    sop_class: str
    sop_instance: str
    transfer_syntax: str


@dataclass(frozen=True)
class Outbox:
    """The outbox in a folder; many may put files in, one at a time delivers them."""

    folder: Path

    def put(self, dataset: Dataset) -> Path:
        """Put an object in, on the disc when this returns; the same object again replaces the first.

        Raises:
            OutputError: it could not be written; nothing is left behind.
        """
        return write(dataset, self.folder, f"{dataset.SOPInstanceUID}.dcm", durable=True)

    def waiting(self) -> list[Path]:
        """The files that wait, the oldest first.

        Raises:
            BadInputError: there is no such folder.
        """
        ages: dict[Path, int] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name.endswith(".dcm") and not entry.name.startswith(".") and entry.is_file():
                        with suppress(FileNotFoundError):
                            ages[self.folder / entry.name] = entry.stat().st_mtime_ns
        except OSError as error:
            raise BadInputError(
                f"outbox {self.folder}: {error.strerror or error}; give the folder that the chain's deliver names"
            ) from None
        return sorted(ages, key=lambda path: (ages[path], path.name))

    def remove(self, file: Waiting, *, keep: bool, remark: str = "") -> None:
        """Take out a file that was delivered; `keep` moves it to `sent/`, with the peer's remark beside it.

        A file that took its name in the meantime goes on waiting.

        Raises:
            OutputError: it cannot be moved, and would be sent again and again.
        """
        with self._moving(file.path):
            if _stamp(file.path) != file.stamp:
                return
            if keep:
                self._move(file.path, "sent", remark)
            else:
                file.path.unlink()

    def refuse(self, path: Path, reason: str) -> None:
        """Move a file to `refused/`, with the reason beside it.

        Raises:
            OutputError: it cannot be moved.
        """
        with self._moving(path):
            self._move(path, "refused", reason)

    def recall(self) -> int:
        """Let what was refused wait again: the number of files.

        Raises:
            OutputError: they cannot be moved.
        """
        refused = sorted((self.folder / "refused").glob("*.dcm"))
        for path in refused:
            with self._moving(path):
                os.replace(path, self.folder / path.name)
                path.with_suffix(".txt").unlink(missing_ok=True)
        return len(refused)

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Be the only one who delivers from here; however the process ends, the lock ends with it.

        Raises:
            BadInputError: there is no such folder, or another process delivers from it.
        """
        self.waiting()
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInputError(
                f"outbox {self.folder}: another process delivers from it; one is enough, or use another folder"
            ) from None
        except OSError as error:
            raise BadInputError(f"outbox {self.folder}: cannot write here: {error.strerror or error}") from None
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _move(self, path: Path, into: str, remark: str) -> None:
        """Move a file, with a remark beside it if there is one."""
        target = self.folder / into / path.name
        make_folder(target.parent)
        os.replace(path, target)
        if remark:
            with suppress(OutputError):  # a disc that is full: the log has the remark, too
                write_whole(target.with_suffix(".txt"), f"{remark}\n".encode())

    def _sweep(self) -> None:
        """Remove what writers left that were killed in the middle of a file."""
        for path in self.folder.glob(".*.part"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()

    @contextmanager
    def _moving(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:  # somebody took the file out by hand
            pass
        except OSError as error:
            raise OutputError(f"outbox: cannot move {path}: {error.strerror or error}; check the folder") from error


def read_waiting(path: Path) -> Waiting:
    """Look at a file that waits; its pixels are not read.

    Raises:
        OSError: it cannot be read, or is gone.
        BadInputError: it is not a DICOM file, or does not tell what it is.
    """
    stamp = _stamp(path)
    dataset = _read(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
    identity = {
        "SOPClassUID": dataset.get("SOPClassUID"),
        "SOPInstanceUID": dataset.get("SOPInstanceUID"),
        "TransferSyntaxUID": dataset.file_meta.get("TransferSyntaxUID"),
    }
    if missing := [name for name, value in identity.items() if not value]:
        raise BadInputError(f"it is a DICOM file without {', '.join(missing)}")
    return Waiting(path, stamp, *map(str, identity.values()))


def read_whole(file: Waiting) -> Dataset:
    """The data set of a file that waits.

    Raises:
        OSError: it cannot be read, or is gone.
        BadInputError: it is damaged, such as cut off.
    """
    dataset = _read(file.path)
    if _is_cut_off(dataset):
        raise BadInputError("it is a damaged DICOM file: it is not all there")
    return dataset


def _is_cut_off(dataset: FileDataset) -> bool:
    """Whether the file ends early, which pydicom does not say: a value is short, or an image without pixels."""
    for element in map(dataset.get_item, dataset.keys()):
        if (
            isinstance(element, RawDataElement)
            and element.length != _UNDEFINED
            and len(element.value or b"") < element.length
        ):
            return True
    return "Image Storage" in UID(dataset.SOPClassUID).name and not any(word in dataset for word in _PIXELS)


def _read(path: Path, **options: Any) -> FileDataset:
    try:
        return dcmread(path, **options)
    except (InvalidDicomError, EOFError, ValueError, NotImplementedError, AttributeError, struct.error, zlib.error):
        raise BadInputError("it is not a DICOM file, or a damaged one") from None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns
