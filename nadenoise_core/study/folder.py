"""Folders and files of results that appear when they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nadenoise_core.errors import OutputError


@contextmanager
def folder_in_progress(final: Path) -> Iterator[Path]:
    """A folder under a hidden name beside `final`, that takes its name when all went well and is gone when not.

    Raises:
        OutputError: it cannot be written.
    """
    folder = final.with_name(f".{final.name}.part")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
        if final.exists():
            retired = final.with_name(f".{final.name}.old")
            shutil.rmtree(retired, ignore_errors=True)
            os.replace(final, retired)
            os.replace(folder, final)
            shutil.rmtree(retired)
        else:
            os.replace(folder, final)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = error.strerror or (str(error).splitlines() or ["unknown"])[0]
        raise OutputError(f"cannot write {final}: {reason}; check the folder and its free space") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file; it appears under its name when it is whole.

    Raises:
        OutputError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise OutputError(f"cannot write {path}: {error.strerror}; check the folder and its free space") from None
