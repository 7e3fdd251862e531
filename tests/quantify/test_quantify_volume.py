"""NIfTI and NRRD volumes against ITK, which ITK-SNAP and 3D Slicer stand on."""

from __future__ import annotations

from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.volume import read_volume

VALUES = np.random.default_rng(0).integers(0, 5, (7, 6, 4)).astype(np.int16)
DIRECTIONS = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()


@pytest.fixture
def itk_file(tmp_path: Path):
    def write(name: str, values: np.ndarray = VALUES) -> tuple[Path, SimpleITK.Image]:
        image = SimpleITK.GetImageFromArray(values.T)
        image.SetSpacing((0.5, 0.7, 5.0)[: values.ndim])
        image.SetOrigin((-12.0, 30.0, 140.0)[: values.ndim])
        if values.ndim == 3:
            image.SetDirection(DIRECTIONS.ravel().tolist())
        SimpleITK.WriteImage(image, str(tmp_path / name))
        return tmp_path / name, image

    return write


@pytest.mark.parametrize("name", ["map.nii", "map.nii.gz", "map.nrrd", "map.nhdr"])
def test_voxels_lie_where_itk_has_them(name: str, itk_file) -> None:
    path, image = itk_file(name)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values, VALUES)
    for index in ((0, 0, 0), (6, 0, 3), (2, 5, 1)):
        place = volume.affine @ (*index, 1)
        np.testing.assert_allclose(place[:3], image.TransformIndexToPhysicalPoint(index), atol=1e-4)


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "left-anterior-superior", "LPS"])
def test_a_nrrd_says_in_which_space_it_is(space: str, tmp_path: Path) -> None:
    header = {"space": space, "space directions": np.diag([2.0, 3.0, 4.0]), "space origin": np.array([1.0, 2.0, 3.0])}
    nrrd.write(str(tmp_path / "map.nrrd"), VALUES, header)
    volume = read_volume(tmp_path / "map.nrrd")
    expected = SimpleITK.ReadImage(str(tmp_path / "map.nrrd")).TransformIndexToPhysicalPoint((1, 1, 1))
    np.testing.assert_allclose((volume.affine @ (1, 1, 1, 1))[:3], expected, atol=1e-6)


def test_a_segmentation_of_slicer_names_its_segments(tmp_path: Path) -> None:
    header = {"space": "LPS", "space directions": np.eye(3), "space origin": np.zeros(3)}
    segments = {"Segment0_LabelValue": "1", "Segment0_Name": "skin", "Segment1_LabelValue": "3", "Segment1_Name": "m"}
    nrrd.write(str(tmp_path / "leg.seg.nrrd"), VALUES, header | segments)
    assert read_volume(tmp_path / "leg.seg.nrrd").names == {1: "skin", 3: "m"}


def test_overlapping_layers_are_refused(tmp_path: Path) -> None:
    directions = np.vstack([np.full(3, np.nan), np.eye(3)])
    header = {"space": "LPS", "space directions": directions, "space origin": np.zeros(3)}
    nrrd.write(str(tmp_path / "leg.seg.nrrd"), np.stack([VALUES, VALUES]), header)
    with pytest.raises(BadInputError, match="2x7x6x4 values, several a voxel; export one label map"):
        read_volume(tmp_path / "leg.seg.nrrd")


def test_a_file_that_does_not_say_where_it_lies_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VALUES, None)
    image.header.set_sform(None, 0)
    image.header.set_qform(None, 0)
    nibabel.save(image, tmp_path / "nowhere.nii")
    nrrd.write(str(tmp_path / "nowhere.nrrd"), VALUES)
    for name in ("nowhere.nii", "nowhere.nrrd"):
        with pytest.raises(BadInputError, match=f"{name}: does not say where it lies"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("name", ["cut.nii", "cut.nii.gz", "cut.nrrd", "map.png", "missing.nii", "missing.nrrd"])
def test_what_is_no_volume_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"NRRD0004\ntype: int16" if name.endswith("nrrd") else b"\x5c\x01 cut")
    with pytest.raises(BadInputError, match=name):
        read_volume(tmp_path / name)


def test_several_volumes_in_one_file_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 2, 2), np.int16), np.eye(4)), tmp_path / "two.nii")
    with pytest.raises(BadInputError, match="has 4 axes"):
        read_volume(tmp_path / "two.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 3, 2, 1), np.int16), np.eye(4)), tmp_path / "one.nii")
    assert read_volume(tmp_path / "one.nii").values.shape == (3, 3, 2)
