"""The files of a volunteer's images and label map, as ITK-SNAP opens them."""

from __future__ import annotations

from pathlib import Path

from nadenoise_core.files import make_folder, write_whole
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.study.products import Products
from nadenoise_core.study.regions import Regions

LABEL_NAMES = {1: "muscle", 2: "skin", 3: "background"}
_LABEL_COLOURS = {0: (0, 0, 0), 1: (220, 60, 60), 2: (60, 140, 220), 3: (240, 200, 60)}


def export_nifti(folder: Path, products: Products, regions: Regions | None) -> None:
    """Write magnitudes and aTSC maps as NIfTI, with the label map, so that ITK-SNAP opens them together.

    Raises:
        OutputError: they cannot be written.
    """
    make_folder(folder)
    for (method, averages), product in products.images.items():
        stem = nifti_stem(method, averages)
        write_nifti(folder / f"{stem}.nii.gz", product.magnitude, products.affine, "magnitude, arbitrary unit")
        if product.concentration is not None:
            write_nifti(folder / f"{stem}_atsc.nii.gz", product.concentration, products.affine, "aTSC, mmol/L")
    if regions is not None:
        write_nifti(folder / "labels.nii.gz", regions.label_map(), products.affine, "1 muscle, 2 skin, 3 background")
    write_label_names(folder / "labels.txt")


def write_label_names(path: Path) -> None:
    """Write what the labels are called, as ITK-SNAP reads it.

    Raises:
        OutputError: the file cannot be written.
    """
    lines = [
        f'{number:5d} {red:4d} {green:4d} {blue:4d} {int(number > 0)} 1 1 "{LABEL_NAMES.get(number, "Clear Label")}"'
        for number, (red, green, blue) in _LABEL_COLOURS.items()
    ]
    write_whole(path, ("\n".join(["# ITK-SNAP label description", *lines]) + "\n").encode())


def nifti_stem(method: str, averages: int) -> str:
    """Name of an image's file without its suffix; that of its map has "_atsc" behind it."""
    return f"{method.lower()}_{averages:03d}"
