"""`nadenoise chain describe`: what gadgets declare of their properties."""

from __future__ import annotations

from typing import Annotated

import typer

from nadenoise_core.chain.gadget import Gadget
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.cli.options import AsJson, gadgets
from nadenoise_core.configuration.fields import shown, values
from nadenoise_core.console import show_json, show_table


def command(
    gadget: Annotated[
        str | None, typer.Argument(help="Name of a gadget; none: all of them.", autocompletion=gadgets)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The properties of a gadget: values with their unit, default, meaning."""
    gadgets = [gadget_class(name) for name in ([gadget] if gadget else gadget_names())]
    if as_json:
        show_json({found.name(): _schema(found) for found in gadgets})
        return
    for found in gadgets:
        rows = [
            (name, values(field), shown(field.default), field.description or "")
            for name, field in found.Parameters.model_fields.items()
        ]
        show_table(("property", "values", "default", "meaning"), rows, title=f"{found.name()}: {_summary(found)}")


def _schema(gadget: type[Gadget]) -> dict[str, object]:
    """JSON schema of a gadget's properties, with their units."""
    schema = gadget.Parameters.model_json_schema()
    return {**schema, "title": gadget.name(), "description": _summary(gadget)}


def _summary(gadget: type[Gadget]) -> str:
    return " ".join((gadget.__doc__ or "").split())
