"""`nadenoise chain openrecon`: the label of an OpenRecon container."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nadenoise_core.chain.files import chain_files, find_chain, read_chain
from nadenoise_core.chain.openrecon_label import describe_container, label_text
from nadenoise_core.cli.options import chain_names


def command(
    chain: Annotated[
        str, typer.Argument(help="Chain file, or name of a chain.", autocompletion=chain_names)
    ] = "sodium_calf",
    as_label: Annotated[bool, typer.Option("--label", help="As the container's label carries it, in base64.")] = False,
) -> None:
    """The description of an OpenRecon container that runs a chain, with the parameters that an operator sets."""
    described = describe_container(read_chain(find_chain(chain)), [path.stem for path in chain_files()])
    typer.echo(label_text(described) if as_label else json.dumps(described, indent=2))
