"""Allowed words, declared once where the science means them."""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """As Python 3.11's `enum.StrEnum`: every member is its own text, in files and in messages."""

    def __str__(self) -> str:
        return str(self.value)
