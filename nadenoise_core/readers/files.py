"""Files, and JSON that is read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nadenoise_core.errors import BadInputError


def read_file(path: Path) -> bytes:
    """The content of a file.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror or error})") from None


def parse_json(content: bytes, source: str) -> Any:
    """JSON in which no key stands twice and no number is NaN.

    Raises:
        BadInputError: it is not that.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise BadInputError(f"{source}: is not text in UTF-8") from None
    except RecursionError:
        raise BadInputError(f"{source}: is nested too deeply") from None
    except ValueError as error:
        raise BadInputError(f"{source}: is not whole JSON ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
