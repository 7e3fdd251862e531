"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Assignments: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set a property of the chain, e.g. quantify.tube_diameter=20; may be repeated.",
        metavar="GADGET.PROPERTY=VALUE",
    ),
]
ChainName: TypeAlias = Annotated[str, typer.Option(help="Name of a chain, or path of a chain file.")]
MaxMatrix: TypeAlias = Annotated[int, typer.Option(min=16, max=4096, help="Largest matrix of a scan, pixels.")]
MaxMemory: TypeAlias = Annotated[
    int, typer.Option(min=64, max=1 << 20, help="Most memory of a scan, for sums and for images each, MiB.")
]
