"""`nadenoise-train configs`: list or print the configurations that come with nadenoise."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from nadenoise_core.console import output
from training.config import find_config, shipped_configs


def command(
    name: Annotated[str | None, typer.Argument(help="Which to print, to begin a file of your own with.")] = None,
) -> None:
    """List the configurations that come with nadenoise, or print one."""
    if name is not None:
        typer.echo(find_config(name).read_text(encoding="utf-8"), nl=False)
        return
    table = Table("configuration", "what it makes")
    for shipped, path in shipped_configs().items():
        table.add_row(shipped, path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "))
    output.print(table)
