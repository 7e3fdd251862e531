"""What is wrong with what was given, in one sentence: file, line, name, value, what is allowed, and what is near.

One explainer serves YAML configurations and the XML of chains.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Protocol, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from nadenoise_core.configuration.fields import choices, is_class, values

Keys = tuple[str, ...]

_LONGEST_MEANING = 80


class Source(Protocol):
    """What was given, and where it stands."""

    @property
    def noun(self) -> str:
        """What a name is called there, such as "key"."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The values, nested by name."""

    def place(self, keys: Keys) -> str:
        """Where a value stands, or what it would stand in, such as "my.yaml:7"."""


def explain(error: ValidationError, document: Source, model: type[BaseModel]) -> str:
    """The first thing that is wrong, and how many more there are."""
    # A misspelt key is the cause of a missing one, too.
    details = sorted(error.errors(), key=lambda one: (one["type"] == "missing", one["type"] != "extra_forbidden"))
    wrong = {_locate(one["loc"], document.data, model)[0] for one in details}  # a value of two types is wrong twice
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return _sentence(details[0], document, model) + more


def suggestion(given: str, known: Iterable[str]) -> str:
    """What to write instead: "; did you mean 'x'?" or the whole list."""
    names = list(known)
    return _near(given, names) or f"; there are {', '.join(names)}"


def _sentence(detail: ErrorDetails, document: Source, model: type[BaseModel]) -> str:
    keys, section, field = _locate(detail["loc"], document.data, model)
    name = ".".join(keys)
    place = document.place(keys)
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"{place}: there is no {document.noun} {name}{_other_key(keys, section, model)}"
    if kind == "missing" and field is not None and not _held(document.data, keys):
        return f"{place}: {name} is missing; give {_allowed(field)}{_meaning(field)}"
    value = _value(document.data, keys)
    if field is not None and (kind.startswith("union_tag") or len(list(_sections(field.annotation))) > 1):
        return _wrong_kind(document, keys, field, value)
    if field is None:
        message = _plain(detail["msg"])
        if not name:  # a rule between sections: it names the key that it is about
            return f"{document.place(tuple(message.split()[0].split('.')))}: {message}"
        return f"{place}: {name}: {message}"
    reason = f"; {_plain(detail['msg'])}" if kind == "value_error" else ""
    hint = _near(str(value), choices(field.annotation))
    return f"{place}: {name} is {_shown(value)}; allowed is {_allowed(field)}{_meaning(field)}{reason}{hint}"


def _locate(
    loc: tuple[int | str, ...], data: Any, model: type[BaseModel]
) -> tuple[Keys, type[BaseModel], FieldInfo | None]:
    """Keys in the file, the section they end in, and the field there; None where it is a section or unknown."""
    keys: list[str] = []
    field: FieldInfo | None = None
    for part in map(str, loc):
        sections = list(_sections(field.annotation)) if field is not None else [model]
        if not sections:  # within a list
            break
        if len(sections) > 1 and part in {_kind(section) for section in sections}:
            model = next(section for section in sections if _kind(section) == part)
            field = None
            continue
        model = sections[0]
        keys.append(part)
        field = model.model_fields.get(part)
    if (
        field is not None
        and len(list(_sections(field.annotation))) == 1
        and isinstance(_value(data, tuple(keys)), dict)
    ):
        return tuple(keys), model, None
    return tuple(keys), model, field


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if is_class(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, Annotated):
        for part in get_args(annotation):
            yield from _sections(part)


def _kind(section: type[BaseModel]) -> str:
    kinds = choices(section.model_fields["kind"].annotation) if "kind" in section.model_fields else []
    return kinds[0] if kinds else ""


def _wrong_kind(document: Source, keys: Keys, field: FieldInfo, value: Any) -> str:
    name = ".".join(keys)
    kinds = [_kind(section) for section in _sections(field.annotation)]
    listed = ", ".join(kinds)
    if not isinstance(value, dict):
        return f"{document.place(keys)}: {name} is {_shown(value)}; it must be a section with kind: {listed}"
    if "kind" not in value:
        return f"{document.place(keys)}: {name}.kind is missing; allowed is {listed}"
    given = value["kind"]
    place = document.place((*keys, "kind"))
    return f"{place}: {name}.kind is {_shown(given)}; allowed is {listed}{_near(str(given), kinds)}"


def _other_key(keys: Keys, section: type[BaseModel], model: type[BaseModel]) -> str:
    """A near key of the section; else the section that has this very key."""
    if not get_close_matches(keys[-1], list(section.model_fields), n=1, cutoff=0.5):
        for name, field in model.model_fields.items():
            if any(keys[-1] in part.model_fields for part in _sections(field.annotation)):
                return f"; did you mean '{name}.{keys[-1]}'?"
    return suggestion(keys[-1], section.model_fields)


def _allowed(field: FieldInfo) -> str:
    """The values a field may have, in words."""
    if sections := list(_sections(field.annotation)):
        return f"a section with {', '.join(sections[0].model_fields)}"
    return values(field)


def _near(given: str, known: Iterable[str]) -> str:
    near = get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _meaning(field: FieldInfo) -> str:
    """The first clause of what a field means, where it is short."""
    clause = re.split(r"[;:.] |, e\.g\.", field.description or "")[0].rstrip(".")
    return f" ({clause})" if 0 < len(clause) <= _LONGEST_MEANING else ""


def _held(data: Any, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(data, dict) or key not in data:
            return False
        data = data[key]
    return True


def _value(data: Any, keys: Keys) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    text = f"'{value}'" if isinstance(value, str) else text
    return text if len(text) <= 80 else text[:77] + "..."


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
