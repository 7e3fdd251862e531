"""The gadgets there are: the modules of the package `gadgets`, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec

from nadenoise_core.chain.gadget import Gadget
from nadenoise_core.configuration.explain import suggestion
from nadenoise_core.errors import ChainError

_PACKAGE = "gadgets"


def gadget_names() -> list[str]:
    """Names of all gadgets, as they stand in chain files."""
    package = find_spec(_PACKAGE)
    folders = package.submodule_search_locations if package else None
    return sorted(module.name for module in pkgutil.iter_modules(folders or []))


def gadget_class(name: str) -> type[Gadget]:
    """The gadget of a name.

    Raises:
        ChainError: no gadget has this name; the message suggests one.
    """
    if name not in gadget_names():
        raise ChainError(f"there is no gadget '{name}'{suggestion(name, gadget_names())}")
    module = importlib.import_module(f"{_PACKAGE}.{name}")
    gadget: type[Gadget] = getattr(module, name.capitalize())
    return gadget
