"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
ChainName: TypeAlias = Annotated[str, typer.Option(help="Name of a chain, or path of a chain file.")]
