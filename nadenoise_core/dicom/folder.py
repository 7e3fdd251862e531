"""DICOM files in a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from pydicom.dataset import Dataset

from nadenoise_core.errors import BadInputError, OutputError


def encode(dataset: Dataset) -> bytes:
    """A data set as the bytes of a DICOM file (PS3.10)."""
    encoded = BytesIO()
    dataset.save_as(encoded, enforce_file_format=True)
    return encoded.getvalue()


def write(dataset: Dataset, folder: Path | str, name: str, *, durable: bool = False) -> Path:
    """Write a data set to `folder / name` and return that path; the folder is made when missing.

    A reader of the folder sees the whole file or none: it is written under a hidden name and then renamed. A file
    of that name is replaced. `durable`: a power cut after the return leaves the file, too.

    Raises:
        BadInputError: `name` is not a plain file name.
        OutputError: the file could not be written; nothing is left behind.
    """
    if name in ("", ".", "..") or Path(name).name != name:
        raise BadInputError(f"DICOM: {name!r} is not a plain file name")
    path = Path(folder) / name
    content = encode(dataset)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, content, durable)
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; check the folder and its free space"
        ) from error
    return path


def _write_whole(path: Path, content: bytes, durable: bool) -> None:
    unfinished = path.with_name(f".{uuid4().hex}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
        if durable:
            _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disc."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
