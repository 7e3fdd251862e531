"""`nadenoise chain show`: the text of a chain."""

from __future__ import annotations

from typing import Annotated

import typer

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.cli.options import chain_names


def command(
    name: Annotated[str, typer.Argument(help="Name of a chain, or path of a chain file.", autocompletion=chain_names)],
) -> None:
    """The text of a chain, to begin a file of your own with: `nadenoise chain show sodium_calf > my.xml`."""
    path = find_chain(name)
    read_chain(path)  # what is wrong is told before it is copied
    typer.echo(path.read_text(encoding="utf-8"), nl=False)
