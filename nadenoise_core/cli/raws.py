"""Raw files that commands are given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nadenoise_core.errors import BadInputError


def raw_files(given: Iterable[Path]) -> list[Path]:
    """The files, and those of the folders.

    Raises:
        BadInputError: a folder holds none.
    """
    found: list[Path] = []
    for path in given:
        inside = sorted(path.glob("*.h5")) if path.is_dir() else [path]
        if not inside:
            raise BadInputError(f"{path}: the folder holds no .h5 file; give the raw files themselves")
        found += inside
    return found
