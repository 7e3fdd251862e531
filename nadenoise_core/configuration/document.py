"""A YAML file as plain data, with the line that every value stands in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from nadenoise_core.configuration.explain import Keys
from nadenoise_core.errors import ConfigError

_LARGEST = 1 << 20  # bytes
_MOST_VALUES = 100_000  # aliases make many of a few bytes

_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars, so that 1e-4 is a number, and `no` and a date are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_INT, r"[-+]?[0-9]+", list("-+0123456789")),
    (_FLOAT, r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    (_FLOAT, r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


@dataclass(frozen=True)
class Document:
    """Nested dictionaries, lists and scalars, and where they come from.

    Attributes:
        source: name of the file.
        data: what it says.
        places: keys from the top to a value, to "file:line" of its key.
    """

    noun: ClassVar[str] = "key"

    source: str
    data: dict[str, Any]
    places: Mapping[Keys, str]

    def place(self, keys: Keys) -> str:
        """Where a value stands, or what it would stand in."""
        while keys and keys not in self.places:
            keys = keys[:-1]
        return self.places.get(keys, self.source)

    def with_value(self, assignment: str) -> Document:
        """The same document with one value set, given as "fit.seed=3".

        Raises:
            ConfigError: no assignment, or its value is not YAML.
        """
        name, sign, text = assignment.partition("=")
        keys = tuple(name.strip().split("."))
        if not sign or not all(keys):
            raise ConfigError(f"--set {assignment}: write it as key=value, e.g. --set fit.seed=3")
        value = _parse(text, f"--set {name}")
        data = dict(self.data)
        inner = data
        for key in keys[:-1]:
            held = inner.get(key)
            inner[key] = dict(held) if isinstance(held, dict) else {}
            inner = inner[key]
        inner[keys[-1]] = value.value
        known = {place: line for place, line in self.places.items() if place[: len(keys)] != keys}
        return replace(self, data=data, places={**known, keys: f"--set {name}"})


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, has a key twice, or is no table of keys and values.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1).decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not text in UTF-8") from None
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """As `read_document`, from the text of a file."""
    parsed = _parse(text, source)
    if not isinstance(parsed.value, dict):
        raise ConfigError(f"{source}: is no table of keys and values; write sections, each with its keys")
    return Document(source, parsed.value, parsed.places)


@dataclass(frozen=True)
class _Parsed:
    value: Any
    places: dict[Keys, str]


def _parse(text: str, source: str) -> _Parsed:
    if len(text) > _LARGEST:
        raise ConfigError(f"{source}: is larger than {_LARGEST >> 20} MiB; that is no configuration")
    reading = _Reading(source)
    try:
        node = yaml.compose(text, Loader=_Loader)
        return _Parsed(None if node is None else reading.plain(node), reading.places)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line}: is not YAML ({error.problem or error.context})") from None
    except yaml.YAMLError:
        raise ConfigError(f"{source}: is not YAML (it holds control characters)") from None
    except RecursionError:
        raise ConfigError(f"{source}: is nested too deeply") from None


class _Reading:
    """The values of a document as they are made, and the places of their keys."""

    def __init__(self, source: str) -> None:
        self.places: dict[Keys, str] = {}
        self._source = source
        self._values = 0

    def plain(self, node: yaml.Node, keys: Keys = (), above: tuple[yaml.Node, ...] = ()) -> Any:
        """The value of a node that stands at `keys`, within the nodes `above`."""
        place = f"{self._source}:{node.start_mark.line + 1}"
        self._values += 1
        if self._values > _MOST_VALUES:
            raise ConfigError(f"{place}: there are more than {_MOST_VALUES} values; take aliases out")
        if node in above:
            raise ConfigError(f"{place}: an alias holds itself")
        above = (*above, node)
        if isinstance(node, yaml.MappingNode):
            return self._table(node, keys, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*keys, str(index)), above) for index, item in enumerate(node.value)]
        return _scalar(node, place)

    def _table(self, node: yaml.MappingNode, keys: Keys, above: tuple[yaml.Node, ...]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = f"{self._source}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{at}: a key must be a word")
            key = str(key_node.value)
            if key in made:
                raise ConfigError(f"{at}: {'.'.join((*keys, key))} is there twice; leave one")
            self.places[(*keys, key)] = at
            made[key] = self.plain(value_node, (*keys, key), above)
        return made


def _scalar(node: yaml.Node, place: str) -> Any:
    text = str(node.value)
    try:
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return text.lower() == "true"
        if node.tag == _INT:
            return int(text)
        if node.tag == _FLOAT:
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise ConfigError(f"{place}: '{text}' is no {node.tag.rpartition(':')[2]}") from None
    return text
