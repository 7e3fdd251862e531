"""`nadenoise-train configs`: list or print the configurations that come with nadenoise."""

from __future__ import annotations

from typing import Annotated

import typer

from nadenoise_core.console import show_json, show_table
from training.cli.options import AsJson
from training.config import find_config, shipped_configs


def command(
    name: Annotated[str | None, typer.Argument(help="Which to print, to begin a file of your own with.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the configurations that come with nadenoise, or print one."""
    if name is not None:
        typer.echo(find_config(name).read_text(encoding="utf-8"), nl=False)
        return
    found = {
        name: (path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# "), str(path))
        for name, path in shipped_configs().items()
    }
    if as_json:
        show_json([{"name": name, "makes": makes, "file": file} for name, (makes, file) in found.items()])
        return
    show_table(("configuration", "what it makes", "file"), [(name, *described) for name, described in found.items()])
