"""The meta of an image, read with suspicion: it may come from a peer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import isfinite, nan
from typing import Any, TypeVar

from nadenoise_core.errors import RawDataError

PREFIX = "nadenoise_"
"""Of the keys that are ours alone."""

_Member = TypeVar("_Member", bound=Enum)


class MetaReader:
    """The values of a meta, by key; what cannot be understood is a `RawDataError` that names it.

    Args:
        meta: as ismrmrd has it.
    """

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self._meta = meta

    def shared(self, key: str) -> list[str]:
        """All values of a key."""
        value = self._meta.get(key, [])
        several = value if isinstance(value, list) else [value]
        return ["" if part is None else str(part) for part in several]  # an empty text comes off the wire as None

    def texts(self, name: str) -> list[str]:
        """All values of a key of ours."""
        return self.shared(PREFIX + name)

    def text(self, name: str) -> str:
        """The first value of a key of ours; empty where there is none."""
        return next(iter(self.texts(name)), "")

    def numbers(self, name: str) -> list[float]:
        """All numbers of a key of ours."""
        return self._numbers(PREFIX + name)

    def known(self, key: str) -> float | None:
        """The finite number of a key; None where there is none."""
        value = next(iter(self._numbers(key)), None)
        if value is not None and not isfinite(value):
            raise self._wrong(key)
        return value

    def exactly(self, name: str, count: int) -> list[float]:
        """So many values, or none."""
        numbers = self.numbers(name)
        if len(numbers) not in (0, count):
            raise self.wrong(name)
        return numbers

    def number(self, name: str) -> float:
        """The first number of a key of ours; NaN where there is none."""
        return next(iter(self.numbers(name)), nan)

    def optional(self, name: str) -> float | None:
        """The first number of a key of ours; None where there is none."""
        return next(iter(self.numbers(name)), None)

    def needed(self, name: str) -> float:
        """The finite number that a key of ours must have."""
        value = self.number(name)
        if not isfinite(value):
            raise self.wrong(name)
        return value

    def count(self, name: str, otherwise: int | None = None) -> int:
        """A whole number; `otherwise` where there is none, else it must be there."""
        return int(self.needed(name)) if otherwise is None or self.texts(name) else otherwise

    def members(self, name: str, of: type[_Member]) -> list[_Member]:
        """All members of an enum that a key of ours names."""
        try:
            return [of(text) for text in self.texts(name)]
        except ValueError:
            raise self.wrong(name) from None

    def member(self, name: str, of: type[_Member]) -> _Member:
        """The one member of an enum that a key of ours names."""
        found = self.members(name, of)
        if len(found) != 1:
            raise self.wrong(name)
        return found[0]

    def rows(self, table: str, names: tuple[str, ...]) -> list[tuple[float, ...]]:
        """The rows of a table that is written in columns; NaN in a column that is missing; the first never is."""
        columns = [self.numbers(f"{table}_{name}") for name in names]
        length = len(columns[0])
        if any(len(column) not in (0, length) for column in columns) or not all(map(isfinite, columns[0])):
            raise self.wrong(f"{table}_{names[0]}")
        return list(zip(*(column or [nan] * length for column in columns), strict=True))

    def wrong(self, name: str) -> RawDataError:
        """The error that says so of a key of ours."""
        return self._wrong(PREFIX + name)

    def _numbers(self, key: str) -> list[float]:
        try:
            return [float(text) for text in self.shared(key)]
        except ValueError:
            raise self._wrong(key) from None

    def _wrong(self, key: str) -> RawDataError:
        found = " ".join(" ".join(self.shared(key)).split())[:100] or "nothing"
        return RawDataError(
            f"the meta of an image has {key} = {found}, which nadenoise does not understand; check the gadgets that it "
            "came through"
        )
