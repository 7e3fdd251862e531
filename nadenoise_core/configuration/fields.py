"""What a field declares: its values, its limits, its unit, and marks for those who offer it to others.

Unit and marks are annotations, as in `Annotated[float, Unit("ms"), CONSOLE]`, which pydantic keeps in the field's
metadata and writes into the JSON schema.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_SIGNS = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}


@dataclass(frozen=True)
class Mark:
    """Something said of a field beside its type; `schema` is what the JSON schema says of it."""

    def schema(self) -> dict[str, Any]:
        return {}

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core_schema), **self.schema()}


@dataclass(frozen=True)
class Unit(Mark):
    """The unit of a number, such as "ms"."""

    symbol: str

    def schema(self) -> dict[str, Any]:
        return {"unit": self.symbol}


@dataclass(frozen=True)
class Console(Mark):
    """An operator may set the field at the scanner (OpenRecon)."""

    def schema(self) -> dict[str, Any]:
        return {"console": True}


@dataclass(frozen=True)
class FilePath(Mark):
    """The field names a file or a folder: what comes over a network may not set it freely."""

    def schema(self) -> dict[str, Any]:
        return {"format": "path"}


CONSOLE = Console()
PATH = FilePath()

AnyMark = TypeVar("AnyMark", bound=Mark)


def mark(field: FieldInfo, kind: type[AnyMark]) -> AnyMark | None:
    """The field's mark of a kind, None where it has none."""
    return next((one for one in field.metadata if isinstance(one, kind)), None)


def unit(field: FieldInfo) -> str:
    """The field's unit, empty where it has none."""
    found = mark(field, Unit)
    return found.symbol if found else ""


def is_class(annotation: Any) -> bool:
    """Whether a type is a class; Python 3.10 takes `tuple[int]` for one."""
    return isinstance(annotation, type) and get_origin(annotation) is None


def choices(annotation: Any) -> list[str]:
    """The values that a type allows, those of an enum or of a literal; empty where it takes other values, too."""
    if is_class(annotation) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [choices(part) for part in get_args(annotation) if part is not type(None)]
        return [word for part in parts for word in part] if all(parts) else []
    return []


def limits(field: FieldInfo) -> tuple[float, float]:
    """The smallest and the largest value of a number, or of every number of a list; infinite where there is none."""
    found = {name: getattr(rule, name) for rule in _number_rules(field) for name in _SIGNS if hasattr(rule, name)}
    least, most = found.get("ge", found.get("gt", -math.inf)), found.get("le", found.get("lt", math.inf))
    return float(least), float(most)


def values(field: FieldInfo) -> str:
    """The values that a field may have, in words, with their unit."""
    empty = " or null" if type(None) in get_args(field.annotation) else ""
    if listed := choices(field.annotation):
        return ", ".join(listed) + empty
    symbol = f" {unit(field)}" if unit(field) else ""
    return f"{_noun(field)}{_range(_number_rules(field))}{symbol}{empty}"


def shown(value: Any) -> str:
    """A default as it would be written in a file; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ", ".join(shown(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_list(field: FieldInfo) -> bool:
    """Whether a field takes several values."""
    return get_origin(field.annotation) is tuple


def _noun(field: FieldInfo) -> str:
    annotation = field.annotation
    if is_list(field):
        parts = get_args(annotation)
        many = _lengths(field) if parts[1:] == (Ellipsis,) else f"{len(parts)} "
        return f"a list of {many}{_plain_noun(parts[0]).removeprefix('a ')}s"
    return _plain_noun(annotation)


def _plain_noun(annotation: Any) -> str:
    return next((_NOUNS[part] for part in (annotation, *get_args(annotation)) if part in _NOUNS), "text")


def _lengths(field: FieldInfo) -> str:
    """How many values a list may have: "3 to 32 ", or nothing where that is not limited."""
    least, most = (
        next((getattr(rule, name) for rule in field.metadata if getattr(rule, name, None) is not None), None)
        for name in ("min_length", "max_length")
    )
    if least is None:
        return "" if most is None else f"up to {most} "
    return f"{least} or more " if most is None else f"{least} to {most} "


def _number_rules(field: FieldInfo) -> Iterator[Any]:
    """The rules that bound a number, or every number of a list."""
    yield from field.metadata
    if is_list(field):
        for rule in getattr(get_args(field.annotation)[0], "__metadata__", ()):
            yield from rule.metadata if isinstance(rule, FieldInfo) else [rule]


def _range(rules: Iterator[Any]) -> str:
    known = list(rules)
    bounds = [
        f"{sign} {getattr(rule, name):g}" for name, sign in _SIGNS.items() for rule in known if hasattr(rule, name)
    ]
    return "".join(f" {part}" for part in bounds)
