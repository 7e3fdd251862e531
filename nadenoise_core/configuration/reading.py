"""YAML, read with the line that every value stands in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from nadenoise_core.configuration.explain import Keys
from nadenoise_core.errors import ConfigError

LARGEST = 1 << 20  # bytes

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
class Parsed:
    """Nested dictionaries, lists and scalars, and where their keys stand."""

    value: Any
    places: dict[Keys, str]


def parse(text: str, source: str) -> Parsed:
    """The value of a text, and the places of its keys.

    Raises:
        ConfigError: it is not YAML, has a key twice, or holds more than a configuration does.
    """
    if len(text) > LARGEST:
        raise ConfigError(f"{source}: is larger than {LARGEST >> 20} MiB; that is no configuration")
    reading = _Reading(source)
    try:
        node = yaml.compose(text, Loader=_Loader)
        return Parsed(None if node is None else reading.plain(node), reading.places)
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
