"""Pseudonyms by a secret key: who holds it makes the same ones again, and nobody else can tell whose they are."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from nadenoise_core.errors import BadInputError, reason_of
from nadenoise_core.files import whole_file

_LEAST = 16  # bytes
_DIGITS = 16  # of a pseudonym: two patients in a million share one by a chance of 3e-8


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces what tells who somebody is, by HMAC-SHA-256 (RFC 2104).

    Args:
        key: the secret, one for a study; it stays out of `repr`.

    Raises:
        BadInputError: the key is too short to be one.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < _LEAST:
            raise BadInputError(f"the key of the pseudonyms has {len(self.key)} bytes; it needs {_LEAST} or more")

    def word(self, kind: str, *parts: str) -> str:
        """A word for what is of a kind and has these parts, such as "P0123456789abcdef"."""
        return kind[:1].upper() + self._digest(kind, *parts).hex()[:_DIGITS]

    def uid(self, uid: str) -> str:
        """A unique identifier in the place of another (DICOM PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def number(self, number: int) -> int:
        """A number of 32 bits in the place of another."""
        return int.from_bytes(self._digest("number", str(number))[:4], "big")

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self.key, json.dumps(parts).encode(), "sha256")


def read_pseudonyms(path: Path) -> Pseudonyms:
    """The pseudonyms by the key in a file, which is made, for its owner alone, if it is missing.

    Raises:
        BadInputError: it cannot be read, or holds no key.
        OutputError: it cannot be made.
    """
    if not path.exists():
        with whole_file(path, replace=False, durable=True) as unfinished:
            unfinished.write_text(f"{secrets.token_hex(32)}\n")
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise BadInputError(f"{path}: the key cannot be read ({reason_of(error)}); check the file") from None
    try:
        return Pseudonyms(key)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}; name another file, which is made if it is missing") from None
