"""DICOM files in a folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset

from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole


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
    write_whole(path, encode(dataset), durable=durable)
    return path
