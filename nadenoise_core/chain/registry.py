"""The gadgets there are: the modules of the package `gadgets`, and those that installed packages offer.

A package offers a gadget by an entry point of the group `nadenoise.gadgets`: the gadget's name, and its class.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from nadenoise_core.chain.gadget import Gadget
from nadenoise_core.configuration.explain import suggestion
from nadenoise_core.errors import ChainError

GROUP = "nadenoise.gadgets"

_PACKAGE = "gadgets"


def gadget_names() -> list[str]:
    """Names of all gadgets, as they stand in chain files."""
    return sorted({*_ours(), *_offered()})


def gadget_class(name: str) -> type[Gadget]:
    """The gadget of a name.

    Raises:
        ChainError: no gadget has this name, and the message suggests one; or a package offers what is no gadget.
    """
    if name in _ours():
        gadget: type[Gadget] = getattr(importlib.import_module(f"{_PACKAGE}.{name}"), name.capitalize())
        return gadget
    if name not in _offered():
        raise ChainError(f"there is no gadget '{name}'{suggestion(name, gadget_names())}")
    return _loaded(_offered()[name])


def package_of(name: str) -> str | None:
    """Name and version of the installed package that offers a gadget; None for one of ours."""
    point = _offered().get(name)
    if point is None:
        return None
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


@lru_cache(maxsize=1)
def _ours() -> tuple[str, ...]:
    package = find_spec(_PACKAGE)
    folders = package.submodule_search_locations if package else None
    return tuple(module.name for module in pkgutil.iter_modules(folders or []))


@lru_cache(maxsize=1)
def _offered() -> dict[str, EntryPoint]:
    """What installed packages offer; a gadget of ours goes before one of the same name."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _ours()}


def _loaded(point: EntryPoint) -> type[Gadget]:
    place = f"the gadget '{point.name}', which an installed package offers as {point.value},"
    try:
        found = point.load()
    except Exception as error:  # whatever the package raises as it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ChainError(f"{place} cannot be loaded ({reason}); install its package anew") from None
    if not (isinstance(found, type) and issubclass(found, Gadget) and found.name() == point.name):
        raise ChainError(f"{place} is no Gadget of this name; correct the package's entry point")
    return found
