"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer


def chain_names(incomplete: str) -> list[str]:
    """Names of chains that come with nadenoise, for the shell."""
    from nadenoise_core.chain.files import chain_files

    return [path.stem for path in chain_files() if path.stem.startswith(incomplete)]


def gadgets(incomplete: str) -> list[str]:
    """Names of gadgets, for the shell."""
    from nadenoise_core.chain.registry import gadget_names

    return [name for name in gadget_names() if name.startswith(incomplete)]


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
    list[Path], typer.Argument(help="ISMRMRD files, and folders: all of their .h5 files.", metavar="RAW")
]
Group: TypeAlias = Annotated[str | None, typer.Option(help="Measurement in the raw file, if it holds several.")]
ChainName: TypeAlias = Annotated[
    str, typer.Option(help="Name of a chain, or path of a chain file.", autocompletion=chain_names)
]
Deidentify: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="De-identify what is written (DICOM PS3.15, basic profile). The file holds the secret key of the "
        "pseudonyms, one for a study; it is made if it is missing.",
        metavar="KEYFILE",
    ),
]
MaxMatrix: TypeAlias = Annotated[int, typer.Option(min=16, max=4096, help="Largest matrix of a scan, pixels.")]
MaxMemory: TypeAlias = Annotated[
    int, typer.Option(min=64, max=1 << 20, help="Most memory of a scan, for sums and for images each, MiB.")
]
