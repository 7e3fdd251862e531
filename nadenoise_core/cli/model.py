"""`nadenoise model`: list and describe bundles."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.json import JSON
from rich.table import Table

from nadenoise_core.cli.console import output
from nadenoise_core.denoise.bundle import find_bundle, shipped_bundles

app = typer.Typer(help="List and describe the networks (bundles).", no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """The bundles that come with nadenoise."""
    table = Table("bundle", "matrix", "averages", "input", "description")
    for bundle in shipped_bundles():
        said = bundle.metadata
        table.add_row(
            said.name,
            f"{said.matrix[1]}x{said.matrix[0]}",
            f"{said.averages[0]} to {said.averages[1]}",
            f"{said.input.channels}, {said.input.normalisation}",
            said.description,
        )
    output.print(table)


@app.command("describe")
def describe(
    name: Annotated[str, typer.Argument(help="Name of a bundle, or path of a .pt or .pt2 file.")],
    sha256: Annotated[str | None, typer.Option(help="Checksum that a bundle given by path must have.")] = None,
) -> None:
    """What a bundle was trained for, how, and how well it did."""
    bundle = find_bundle(name, sha256)
    output.print(f"{bundle.path}\nsha256 {bundle.sha256}", highlight=False, soft_wrap=True)
    output.print(JSON(bundle.metadata.model_dump_json()))
