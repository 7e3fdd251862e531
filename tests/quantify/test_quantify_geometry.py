"""Geometry of NIfTI files against ITK, which ITK-SNAP stands on, and label maps that were reoriented."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.quantify.geometry import check_geometry, nifti_affine
from nadenoise_core.quantify.nifti import read_label_map, write_nifti

MATRIX = (70, 80)  # rows, columns
SPACING = (2.5, 2.25, 30.0)
CENTRE = (12.0, -31.0, 140.0)
DIRECTIONS = Rotation.from_euler("xyz", (25, -15, 40), degrees=True).as_matrix().T
AFFINE = nifti_affine(CENTRE, DIRECTIONS, SPACING, MATRIX)
LABELS = np.random.default_rng(0).integers(0, 4, MATRIX).astype(np.int16)


@pytest.mark.parametrize("name", ["map.nii", "map.nii.gz"])
def test_itk_finds_every_pixel_where_the_scanner_has_it(name: str, tmp_path: Path) -> None:
    write_nifti(tmp_path / name, LABELS, AFFINE, "labels")
    image = SimpleITK.ReadImage(str(tmp_path / name))
    assert image.GetSize() == (80, 70, 1)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image)[0], LABELS)
    for row, column in ((0, 0), (35, 40), (69, 3), (7, 79)):
        # ITK's positions are LPS, as DICOM's; pixel N // 2 is the centre of the field of view.
        expected = (
            np.array(CENTRE) + (column - 40) * SPACING[1] * DIRECTIONS[0] + (row - 35) * SPACING[0] * DIRECTIONS[1]
        )
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((column, row, 0)), expected, atol=1e-3)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_labels_drawn_on_the_image_are_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii.gz", LABELS, AFFINE)
    np.testing.assert_array_equal(read_label_map(tmp_path / "map.nii.gz", MATRIX, AFFINE), LABELS)


def test_labels_saved_by_itk_are_read(tmp_path: Path) -> None:
    """ITK-SNAP saves with ITK; it may turn the slice axis round."""
    write_nifti(tmp_path / "image.nii.gz", LABELS.astype(np.float32), AFFINE)
    image = SimpleITK.ReadImage(str(tmp_path / "image.nii.gz"))
    drawn = SimpleITK.GetImageFromArray(LABELS[None].astype(np.uint8))
    drawn.CopyInformation(image)
    SimpleITK.WriteImage(drawn, str(tmp_path / "drawn.nii.gz"))
    np.testing.assert_array_equal(read_label_map(tmp_path / "drawn.nii.gz", MATRIX, AFFINE), LABELS)
    other_side = AFFINE.copy()
    other_side[:3, 2] *= -1
    check_geometry(Path("map.nii"), other_side, AFFINE)


@pytest.mark.parametrize(
    ("flip", "words"), [(0, r"axis x \(columns\) runs the other way"), (1, r"axis y \(rows\) runs the other way")]
)
def test_a_flipped_label_map_is_refused_with_its_axis(flip: int, words: str, tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii.gz", LABELS, AFFINE)
    orientation = [[0, 1], [1, 1], [2, 1]]
    orientation[flip][1] = -1
    flipped = nibabel.load(tmp_path / "map.nii.gz").as_reoriented(np.array(orientation))  # the same places in space
    nibabel.save(flipped, tmp_path / "flipped.nii.gz")
    with pytest.raises(BadInputError, match=rf"flipped.nii.gz: wrong orientation: {words}; draw the labels on"):
        read_label_map(tmp_path / "flipped.nii.gz", MATRIX, AFFINE)


def test_swapped_axes_are_refused() -> None:
    square = nifti_affine(CENTRE, DIRECTIONS, (2.25, 2.25, 30.0), (80, 80))
    with pytest.raises(
        BadInputError, match=r"axis x \(columns\) lies along the image's y \(rows\): the axes are swapped"
    ):
        check_geometry(Path("map.nii"), square[:, [1, 0, 2, 3]], square)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (nifti_affine(CENTRE, np.eye(3), SPACING, MATRIX), r"axis x \(columns\) points \d+ degrees away"),
        (
            nifti_affine(CENTRE, DIRECTIONS, (2.5, 2.0, 30), MATRIX),
            r"axis x \(columns\) has pixels of 2 mm, the image 2.25",
        ),
        (nifti_affine(CENTRE, DIRECTIONS, (2.6, 2.25, 30), MATRIX), r"axis y \(rows\) has pixels of 2.6 mm"),
        (
            nifti_affine(CENTRE + 2 * DIRECTIONS[0], DIRECTIONS, SPACING, MATRIX),
            r"\+2.00 mm off the image along axis x",
        ),
        (nifti_affine(CENTRE - 3 * DIRECTIONS[1], DIRECTIONS, SPACING, MATRIX), r"-3.00 mm off the image along axis y"),
        (
            nifti_affine(CENTRE + 40 * DIRECTIONS[2], DIRECTIONS, SPACING, MATRIX),
            r"40.00 mm off the image along axis z",
        ),
    ],
)
def test_another_geometry_is_refused(changed: np.ndarray, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        check_geometry(Path("map.nii"), changed, AFFINE)


def test_small_shifts_of_rounding_are_allowed() -> None:
    check_geometry(Path("map.nii"), nifti_affine(CENTRE + 0.4 * DIRECTIONS[0], DIRECTIONS, SPACING, MATRIX), AFFINE)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write .*nowhere"):
        write_nifti(tmp_path / "nowhere" / "map.nii", LABELS, AFFINE)
