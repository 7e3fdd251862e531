"""The images of a replay as NIfTI: slices that lie one on the other as one volume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.files import make_folder
from nadenoise_core.mrd.attachments import attachments_of
from nadenoise_core.mrd.geometry import affine_of
from nadenoise_core.mrd.image import facts_of, known_facts, pixels_of
from nadenoise_core.quantify.nifti import write_nifti

if TYPE_CHECKING:
    import ismrmrd

_TOLERANCE = 0.01  # mm, by which slices of a volume may lie off


def write_volumes(images: Iterable[ismrmrd.Image], folder: Path) -> None:
    """Write magnitudes, maps in mmol/L and the regions that were read, such as `atsc_denoised_030avg.nii.gz`.

    Echoes and repetitions after the first have files of their own (`_echo2`, `_rep2`), and slices that do not lie one
    on the other at even distances (`_slice2`).

    Raises:
        OutputError: a file cannot be written.
    """
    make_folder(folder)
    groups: dict[str, list[ismrmrd.Image]] = {}
    for image in images:
        if facts_of(image) is not None:
            groups.setdefault(_name(image), []).append(image)
    for name, group in groups.items():
        for suffix, stack, affine in _volumes(group):
            facts = known_facts(stack[0])
            unit = "mmol/L" if facts.kind.is_concentration else "magnitude, arbitrary unit"
            values = np.stack([np.abs(p) if np.iscomplexobj(p) else p for p in map(pixels_of, stack)])
            write_nifti(folder / f"{name}{suffix}.nii.gz", values.astype(np.float32), affine, unit)
            labels = [drawn for image in stack if (drawn := attachments_of(image).labels) is not None]
            if len(labels) == len(stack):
                path = folder / f"regions_{name}{suffix}.nii.gz"
                write_nifti(path, np.stack(labels).astype(np.int16), affine, "regions")


def _name(image: ismrmrd.Image) -> str:
    head = image.getHead()
    counters = {"echo": head.contrast, "phase": head.phase, "rep": head.repetition}
    return known_facts(image).file_stem + "".join(f"_{name}{count + 1}" for name, count in counters.items() if count)


def _volumes(images: Sequence[ismrmrd.Image]) -> Iterator[tuple[str, list[ismrmrd.Image], NDArray[np.float64]]]:
    """Suffix of the name, slices and affine of each volume."""
    normal = np.asarray(images[0].slice_dir[:], np.float64)
    ordered = sorted(images, key=lambda image: float(normal @ np.asarray(image.position[:], np.float64)))
    affines = [affine_of(image) for image in ordered]
    if len(ordered) == 1:
        yield "", ordered, affines[0]
        return
    steps = np.diff([affine[:3, 3] for affine in affines], axis=0)
    together = np.abs(steps - steps[0]).max() < _TOLERANCE and np.linalg.norm(steps[0]) > _TOLERANCE
    alike = all(np.abs(affine[:3, :3] - affines[0][:3, :3]).max() < _TOLERANCE for affine in affines)
    if together and alike and len({pixels_of(image).shape for image in ordered}) == 1:
        affine = affines[0].copy()
        affine[:3, 2] = steps[0]
        yield "", ordered, affine
        return
    for number, (image, affine) in enumerate(zip(images, map(affine_of, images), strict=True), 1):
        yield f"_slice{number}", [image], affine
