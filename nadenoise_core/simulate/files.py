"""A virtual measurement as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.files import write_whole
from nadenoise_core.mrd.rawfile import RawFile, write_raw_file
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom import Label
from nadenoise_core.phantom import labels as drawn_labels
from nadenoise_core.progress import ProgressCallback, counted
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.sampling import PAPER_SPIRAL
from nadenoise_core.simulate.header import SLICE_THICKNESS
from nadenoise_core.simulate.measurement import VirtualMeasurement

_DESCRIBED = "tissues"
_LABEL_PIXEL = 0.5  # mm, as of a 1H image
_TISSUES = (Label.MUSCLE, Label.SKIN, Label.FAT, Label.BONE, Label.VESSEL)
_NAMES = "".join(f"{tissue.value} {tissue.name.lower()}\n" for tissue in _TISSUES)


def label_map(measurement: VirtualMeasurement) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """The tissues of the individual, as if drawn on a 1H image: (rows, columns) values of `phantom.Label`, and the
    (4, 4) affine of NIfTI; one slab holds all slices of the stack."""
    matrix = round(PAPER_SPIRAL.field_of_view / _LABEL_PIXEL)
    drawn = drawn_labels(measurement.calf(), matrix, PAPER_SPIRAL.field_of_view, margin=None)
    slab = SLICE_THICKNESS + (measurement.slices - 1) * measurement.slice_distance
    directions = measurement.places()[0].directions
    affine = nifti_affine(measurement.position, directions, (_LABEL_PIXEL, _LABEL_PIXEL, slab), (matrix, matrix))
    return np.where(np.isin(drawn, _TISSUES), drawn, np.int16(0)), affine


def write_label_map(measurement: VirtualMeasurement, path: Path) -> Path:
    """Write the tissues of the individual as NIfTI, and the names of the labels as text beside it.

    Returns:
        Path of the names.

    Raises:
        OutputError: a file cannot be written.
    """
    names = _names_beside(path)
    write_nifti(path, *label_map(measurement), _DESCRIBED)
    write_whole(names, _NAMES.encode(), make_folders=False)
    return names


def write_measurement(
    measurement: VirtualMeasurement,
    raw: Path,
    truth: Path | None = None,
    labels: Path | None = None,
    *,
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> None:
    """Write a virtual measurement as a raw file, and what is to be found in it.

    Args:
        measurement: to write.
        raw: ISMRMRD file.
        truth: JSON file; None writes none.
        labels: NIfTI label map of the tissues, with their names in a `.txt` file beside it; None writes none.
        overwrite: files that are there.
        progress: called with (acquisitions written, acquisitions in all).

    Raises:
        BadInputError: one label map cannot lie on several stacks.
        OutputError: a file cannot be written, or is there already.
    """
    names = labels and _names_beside(labels)
    if labels is not None and measurement.stacks > 1:
        raise BadInputError(f"{labels}: labels lie on one stack of slices; simulate one, not {measurement.stacks}")
    for path, is_simulated in ((raw, _is_virtual), (truth, _is_truth), (labels, _is_label_map), (names, _is_names)):
        if path is not None and path.exists():
            _check_replaceable(path, overwrite, is_simulated)
    acquisitions = counted(measurement.acquisitions(), measurement.acquisition_count(), progress)
    write_raw_file(raw, measurement.header_xml(), acquisitions)
    if truth is not None:
        text = json.dumps(measurement.truth(), indent=2) + "\n"
        write_whole(truth, text.encode(), make_folders=False)
    if labels is not None:
        write_label_map(measurement, labels)


def _names_beside(labels: Path) -> Path:
    return labels.with_name(f"{labels.name.partition('.')[0]}.txt")


def _check_replaceable(path: Path, overwrite: bool, is_simulated: Callable[[Path], bool]) -> None:
    """Check that a file which is there may be replaced: it is of a simulation, and of nobody.

    Raises:
        OutputError: it may not.
    """
    if not overwrite:
        raise OutputError(f"{path}: exists already; choose another name, or --overwrite it")
    if not is_simulated(path):
        raise OutputError(f"{path}: is not replaced, since it is of no simulation; choose another name")


def _is_virtual(raw: Path) -> bool:
    try:
        with RawFile(raw) as file:
            return read_scan(file.header_xml).is_virtual
    except BadInputError:
        return False


def _is_truth(path: Path) -> bool:
    try:
        return path.read_bytes().lstrip().startswith(b"{") and "tubes" in json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False


def _is_label_map(path: Path) -> bool:
    import nibabel

    try:
        return bytes(nibabel.load(path).header["descrip"]).rstrip(b"\0") == _DESCRIBED.encode()
    except Exception:  # nibabel raises as many kinds as there are damages
        return False


def _is_names(path: Path) -> bool:
    return path.read_bytes() == _NAMES.encode()
