"""Whole files or none."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from nadenoise_core.errors import OutputError


def write_whole(path: Path, content: bytes, *, make_folders: bool = True, durable: bool = False) -> None:
    """Write a file so that whoever looks sees all of it or what was there before.

    Args:
        path: of the file.
        content: of the file.
        make_folders: that are missing on the way to it.
        durable: a power cut after the return leaves the file, too.

    Raises:
        OutputError: it could not be written; nothing is left behind.
    """
    unfinished = path.with_name(f".{uuid4().hex}.part")
    try:
        if make_folders:
            path.parent.mkdir(parents=True, exist_ok=True)
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
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}; check the folder and its free space") from error


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disc."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
