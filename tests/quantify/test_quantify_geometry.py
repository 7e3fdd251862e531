"""Geometry of NIfTI files against ITK, which ITK-SNAP stands on, and label maps that were stored in another order."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.quantify.geometry import nifti_affine
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.region_reader import labels_on_pixels
from nadenoise_core.quantify.volume import read_volume

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


PLANE = SlicePlane.of_nifti(AFFINE, MATRIX)


def test_an_affine_and_a_slice_say_the_same() -> None:
    np.testing.assert_allclose(PLANE.centre, CENTRE)
    np.testing.assert_allclose(PLANE.directions, DIRECTIONS, atol=1e-12)
    assert PLANE.pixel == pytest.approx(SPACING[:2])
    assert PLANE.thickness == pytest.approx(SPACING[2])


def test_labels_drawn_on_the_image_are_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii.gz", LABELS, AFFINE)
    np.testing.assert_array_equal(labels_on_pixels(read_volume(tmp_path / "map.nii.gz"), PLANE), LABELS)


def test_labels_saved_by_itk_are_read(tmp_path: Path) -> None:
    """ITK-SNAP saves with ITK; it may turn the slice axis round."""
    write_nifti(tmp_path / "image.nii.gz", LABELS.astype(np.float32), AFFINE)
    image = SimpleITK.ReadImage(str(tmp_path / "image.nii.gz"))
    drawn = SimpleITK.GetImageFromArray(LABELS[None].astype(np.uint8))
    drawn.CopyInformation(image)
    for name in ("drawn.nii.gz", "drawn.nrrd"):
        SimpleITK.WriteImage(drawn, str(tmp_path / name))
        np.testing.assert_array_equal(labels_on_pixels(read_volume(tmp_path / name), PLANE), LABELS)


@pytest.mark.parametrize(
    "orientation", [((0, -1), (1, 1), (2, 1)), ((0, 1), (1, -1), (2, -1)), ((1, 1), (0, -1), (2, 1))]
)
def test_labels_stored_in_another_order_are_read(orientation, tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii.gz", LABELS, AFFINE)
    stored = nibabel.load(tmp_path / "map.nii.gz").as_reoriented(np.array(orientation))  # the same places in space
    nibabel.save(stored, tmp_path / "stored.nii.gz")
    np.testing.assert_array_equal(labels_on_pixels(read_volume(tmp_path / "stored.nii.gz"), PLANE), LABELS)


def test_labels_that_lie_elsewhere_are_refused_with_the_distance(tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii", LABELS, nifti_affine(CENTRE + 40 * DIRECTIONS[2], DIRECTIONS, SPACING, MATRIX))
    with pytest.raises(BadInputError, match=r"map.nii: the label map lies 10.0 mm outside of the slice"):
        labels_on_pixels(read_volume(tmp_path / "map.nii"), PLANE)
    write_nifti(tmp_path / "image.nii", LABELS + np.float32(0.5), AFFINE)
    with pytest.raises(BadInputError, match="image.nii: holds values that are no labels"):
        labels_on_pixels(read_volume(tmp_path / "image.nii"), PLANE)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write .*nowhere"):
        write_nifti(tmp_path / "nowhere" / "map.nii", LABELS, AFFINE)
