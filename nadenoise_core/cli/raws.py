"""Raw files that commands are given."""

from __future__ import annotations

from collections import Counter
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


def check_names(raws: Iterable[Path], remedy: str) -> None:
    """Check that each raw file has a name of its own, by which results are told apart.

    Raises:
        BadInputError: several have the same; the message ends in the remedy.
    """
    if twice := sorted(name for name, count in Counter(raw.stem for raw in raws).items() if count > 1):
        raise BadInputError(f"several raw files are called {', '.join(twice)}; {remedy}")
