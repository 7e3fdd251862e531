"""A YAML file as plain data, with the line that every value stands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nadenoise_core.configuration.explain import Keys
from nadenoise_core.errors import ConfigError

if TYPE_CHECKING:
    from nadenoise_core.configuration.reading import Parsed


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
    from nadenoise_core.configuration.reading import LARGEST

    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode("utf-8")
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


def _parse(text: str, source: str) -> Parsed:
    from nadenoise_core.configuration.reading import parse  # chains need what is beside it, and no YAML

    return parse(text, source)
