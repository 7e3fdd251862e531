"""`nadenoise study export`: a reference as NIfTI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.cli.options import ChainName, Deidentify
from nadenoise_core.cli.pseudonyms import pseudonyms_by
from nadenoise_core.console import say
from nadenoise_core.study.export import export_scan


def command(
    raw: Annotated[Path, typer.Argument(help="ISMRMRD file.")],
    out: Annotated[Path, typer.Option(help="Folder of the NIfTI files.")] = Path("nifti"),
    chain: ChainName = "sodium_calf",
    deidentify: Deidentify = None,
) -> None:
    """Write the reference of a raw file, image and aTSC map, as NIfTI, to draw regions on in ITK-SNAP."""
    for path in export_scan(raw, out, chain, pseudonyms_by(deidentify)):
        say(str(path))
    say(f"draw muscle, skin and background with the labels of {out / 'labels.txt'}, save them as {raw.stem}.nii.gz")
