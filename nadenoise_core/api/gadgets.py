"""Gadgets with properties from Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nadenoise_core.chain.chain import Chain, Property, Stage, build

if TYPE_CHECKING:
    from nadenoise_core.chain.gadget import Gadget
    from nadenoise_core.mrd.scan import Scan


def stage_of(gadget: str, properties: Mapping[str, Any], number: int = 1) -> Stage:
    """A stage of a chain, with properties as Python values."""
    place = "Python"
    given = {name: Property(as_text(value), place) for name, value in properties.items()}
    return Stage(gadget, given, number, place)


def gadgets_of(stages: Sequence[tuple[str, Mapping[str, Any]]], scan: Scan) -> list[Gadget]:
    """Gadgets, made for a scan.

    Raises:
        NadenoiseError: an unknown gadget or property, or whatever a gadget finds wrong.
    """
    made = (stage_of(name, properties, number) for number, (name, properties) in enumerate(stages, 1))
    return build(Chain("Python", "Python", tuple(made), 1), scan)


def run_over(gadgets: Sequence[Gadget], items: Iterable[Any]) -> Iterator[Any]:
    """The items that come out of gadgets in a row."""
    from nadenoise_core.chain.runner import run

    return run(gadgets, items)


def as_text(value: Any) -> str:
    """A value of a property as a chain file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    return ", ".join(map(as_text, value))
