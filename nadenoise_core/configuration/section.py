"""The parts of a configuration, and how a document is checked by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nadenoise_core.configuration.document import Document
from nadenoise_core.configuration.explain import explain, suggestion
from nadenoise_core.errors import ConfigError


class Section(BaseModel):
    """A part of a configuration: fixed once read, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Checked = TypeVar("Checked", bound=Section)


def checked(document: Document, model: type[Checked]) -> Checked:
    """The configuration that a document holds.

    Raises:
        ConfigError: a wrong key or value; names file, line, key, value and what is allowed.
    """
    try:
        # JSON is checked strictly, yet knows lists for tuples and text for paths, as YAML does.
        return model.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, document, model)) from None


def find_shipped(name: str, shipped: Mapping[str, Path]) -> Path:
    """The file of a configuration, by the name of a shipped one or by path.

    Raises:
        ConfigError: neither.
    """
    if Path(name).is_file():
        return Path(name)
    if name in shipped:
        return shipped[name]
    if "/" in name or name.endswith((".yaml", ".yml")):
        raise ConfigError(
            f"{name}: no such file; give the path of one, or a shipped name: {', '.join(sorted(shipped))}"
        )
    raise ConfigError(f"there is no file and no shipped configuration '{name}'{suggestion(name, shipped)}")
