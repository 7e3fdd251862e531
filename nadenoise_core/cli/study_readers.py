"""`nadenoise study`: the commands of the paper's evaluation."""

from __future__ import annotations

import typer

from nadenoise_core.cli import readers

app = typer.Typer(help="The paper's evaluation: its reader study.", no_args_is_help=True)
app.add_typer(readers.app, name="readers")
