"""The key of `--deidentify`."""

from __future__ import annotations

from pathlib import Path

from nadenoise_core.console import note
from nadenoise_core.mrd.pseudonyms import Pseudonyms, read_pseudonyms


def pseudonyms_by(key: Path | None) -> Pseudonyms | None:
    """The pseudonyms by the key in a file; None where none is named. That a key is new, the operator is told.

    Raises:
        BadInputError, OutputError: see `read_pseudonyms`.
    """
    if key is None:
        return None
    is_new = not key.exists()
    made = read_pseudonyms(key)
    if is_new:
        note(f"made a new key, {key}: keep it, and keep it secret; without it nobody makes these pseudonyms again")
    return made
