"""Whole files or none; what may tell of a patient is for its owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from nadenoise_core.errors import OutputError, reason_of


def write_whole(
    path: Path, content: bytes, *, make_folders: bool = True, durable: bool = False, private: bool = True
) -> None:
    """Write a file so that whoever looks sees all of it or what was there before.

    Args:
        path: of the file.
        content: of the file.
        make_folders: that are missing on the way to it.
        durable: a power cut after the return leaves the file, too.
        private: nobody but the owner may read the file.

    Raises:
        OutputError: it could not be written; nothing is left behind.
    """
    with whole_file(path, make_folders=make_folders, durable=durable, private=private) as unfinished:
        unfinished.write_bytes(content)


def no_file(path: Path) -> str:
    """Why something is no file to be read."""
    if not path.exists():
        return "no such file"
    what = "a folder" if path.is_dir() else "a pipe or device"
    return f"{what}, no file; copy what is to be read into a file, and give its path"


def check_name(path: Path) -> None:
    """Check that a path is text, as reports and DICOM need it.

    Raises:
        OutputError: it has bytes that are not of the encoding of file names.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = ascii(str(path))[1:-1]
        raise OutputError(f"{shown}: the name is not text in UTF-8; rename the file or folder") from None


def make_folder(folder: Path) -> None:
    """Make a folder, and those that are missing on the way to it, for the owner alone; one that is there stays.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.parent.exists():
        make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def whole_file(
    path: Path, *, make_folders: bool = True, durable: bool = False, replace: bool = True, private: bool = True
) -> Iterator[Path]:
    """A hidden file to write to, empty now, which takes its name when all went well and is gone when not.

    Args:
        path: of the file.
        make_folders: that are missing on the way to it.
        durable: a power cut after the end leaves the file, too.
        replace: a file of this name; else that is an error.
        private: nobody but the owner may read the file.

    Raises:
        OutputError: it could not be written; nothing is left behind.
    """
    unfinished = path.with_name(f".{uuid4().hex}.part")
    try:
        if make_folders:
            make_folder(path.parent)
        try:
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
            yield unfinished
            if durable:
                _sync(unfinished)
            if replace:
                os.replace(unfinished, path)
            else:
                _rename(unfinished, path)
            if durable and os.name != "nt":  # Windows opens no folder, and keeps renames in a journal
                _sync(path.parent)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {reason_of(error)}; check the folder and its free space") from error


def _rename(unfinished: Path, path: Path) -> None:
    """Give a file its name if no other has it."""
    try:
        os.link(unfinished, path)
        unfinished.unlink()
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        os.replace(unfinished, path)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disc."""
    opened = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows syncs what is open to be written
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
