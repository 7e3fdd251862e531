"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
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
Raws: TypeAlias = Annotated[
    list[Path], typer.Argument(help="ISMRMRD files, and folders: all of their .h5 files.", metavar="RAW...")
]
Group: TypeAlias = Annotated[str | None, typer.Option(help="Measurement in the raw file, if it holds several.")]
ChainName: TypeAlias = Annotated[str, typer.Option(help="Name of a chain, or path of a chain file.")]
MaxMatrix: TypeAlias = Annotated[int, typer.Option(min=16, max=4096, help="Largest matrix of a scan, pixels.")]
MaxMemory: TypeAlias = Annotated[
    int, typer.Option(min=64, max=1 << 20, help="Most memory of a scan, for sums and for images each, MiB.")
]
