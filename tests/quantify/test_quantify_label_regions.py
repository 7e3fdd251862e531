"""Label maps of any matrix, resolution and orientation against areas in closed form."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.plane import SlicePlane
from nadenoise_core.quantify.pose import Pose
from nadenoise_core.quantify.regions import regions_in_slice
from nadenoise_core.quantify.volume import Volume, read_volume

DIRECTIONS = Rotation.from_euler("xyz", (25, -15, 40), degrees=True).as_matrix().T
PLANE = SlicePlane(np.array([12.0, -31.0, 140.0]), DIRECTIONS, (2.25, 2.25), (80, 80), 30.0)
NAMES = {1: "skin", 2: "muscle", 3: "bone"}


def drawn(affine: np.ndarray, shape: tuple[int, int, int], centre=(5.0, -8.0)) -> Volume:
    """Nested discs about the slice's normal: skin of 40 to 37 mm, muscle within, a bone of 8 mm in it."""
    index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], axis=-1)
    places = ((index @ affine.T)[..., :3] - PLANE.centre) @ DIRECTIONS.T
    radius = np.hypot(places[..., 0] - centre[0], places[..., 1] - centre[1])
    bone = np.hypot(places[..., 0] - centre[0] - 12, places[..., 1] - centre[1]) < 8
    labels = np.where(radius < 40, 1, 0) + (radius < 37) + ((radius < 37) & bone)
    return Volume(Path("labels.nii"), labels.astype(np.int16), affine)


def aligned(voxel: float, size: int, slices: int = 1) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS.T * (voxel, voxel, 30.0 / slices)
    affine[:3, 3] = PLANE.centre - affine[:3, :3] @ (size // 2, size // 2, (slices - 1) / 2)
    return affine


AREAS = np.pi * np.array([40**2 - 37**2, 37**2 - 8**2, 8**2])


@pytest.mark.parametrize(("voxel", "size", "slices"), [(0.5, 360, 1), (0.3, 400, 1), (1.0, 150, 6)])
def test_areas_are_those_of_what_was_drawn(voxel: float, size: int, slices: int) -> None:
    regions = regions_in_slice(drawn(aligned(voxel, size, slices), (size, size, slices)), PLANE, NAMES)
    assert regions.names == ("skin", "muscle", "bone")
    assert regions.numbers == ((1,), (2,), (3,))
    np.testing.assert_allclose(regions.areas, AREAS, rtol=0.05)
    x, y = regions.axes()
    muscle = regions.mask("muscle") + regions.mask("bone")
    middle = np.average(x, weights=muscle.sum(0)), np.average(y, weights=muscle.sum(1))
    np.testing.assert_allclose(middle, (5, -8), atol=0.05)
    assert regions.remarks == ()


@pytest.mark.parametrize(
    "orientation", [[(0, -1), (1, 1), (2, 1)], [(1, 1), (2, -1), (0, 1)], [(2, 1), (1, -1), (0, -1)]]
)
def test_the_order_of_storage_means_nothing(orientation, tmp_path: Path) -> None:
    volume = drawn(aligned(0.5, 240), (240, 240, 1))
    image = nibabel.Nifti1Image(volume.values, np.diag([-1, -1, 1, 1]) @ volume.affine)
    nibabel.save(image.as_reoriented(np.array(orientation)), tmp_path / "labels.nii.gz")
    stored = regions_in_slice(read_volume(tmp_path / "labels.nii.gz"), PLANE, NAMES)
    straight = regions_in_slice(volume, PLANE, NAMES)
    # Single precision of the file's affine may move a point from one voxel to the next.
    assert np.abs(stored.fractions - straight.fractions).mean() < 1e-3
    np.testing.assert_allclose(stored.corner, straight.corner, atol=1e-6)


def test_an_oblique_volume_is_cut_by_the_slice() -> None:
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS.T @ Rotation.from_euler("xyz", (30, 10, 50), degrees=True).as_matrix()
    affine[:3, 3] = PLANE.centre - affine[:3, :3] @ (70, 70, 70)
    regions = regions_in_slice(drawn(affine, (140, 140, 140)), PLANE, NAMES)
    np.testing.assert_allclose(regions.areas, AREAS, rtol=0.05)


def test_regions_that_end_within_the_slice_count_by_their_share() -> None:
    volume = drawn(aligned(1.0, 150, 6), (150, 150, 6))
    values = volume.values.copy()
    values[..., 3:][values[..., 3:] == 3] = 2
    regions = regions_in_slice(Volume(volume.path, values, volume.affine), PLANE, NAMES)
    np.testing.assert_allclose(regions.areas[2], AREAS[2] / 2, rtol=0.05)


def test_layers_without_labels_do_not_count_and_are_told() -> None:
    volume = drawn(aligned(1.0, 150, 6), (150, 150, 6))
    values = volume.values.copy()
    values[..., [0, 1, 4, 5]] = 0
    regions = regions_in_slice(Volume(volume.path, values, volume.affine), PLANE, NAMES)
    np.testing.assert_allclose(regions.areas, AREAS, rtol=0.05)
    assert regions.remarks == ("labels are drawn in 10 of the slice's 30 mm",)


def test_tissue_without_a_label_becomes_a_region_of_its_own() -> None:
    volume = drawn(aligned(0.5, 360), (360, 360, 1))
    values = np.where(volume.values == 3, 0, volume.values)
    regions = regions_in_slice(Volume(volume.path, values, volume.affine), PLANE, NAMES)
    assert regions.names == ("skin", "muscle", "unlabelled 1")
    assert regions.numbers[2] == ()
    np.testing.assert_allclose(regions.areas, AREAS, rtol=0.04)
    assert "199 mm2 inside the labels have none and are fitted as one region" in regions.remarks[0]


def test_labels_of_one_name_are_one_region() -> None:
    regions = regions_in_slice(drawn(aligned(0.5, 360), (360, 360, 1)), PLANE, {1: "skin", 2: "rest", 3: "rest"})
    assert (regions.names, regions.numbers) == (("skin", "rest"), ((1,), (2, 3)))
    np.testing.assert_allclose(regions.areas, [AREAS[0], AREAS[1] + AREAS[2]], rtol=0.05)


def test_the_other_leg_is_left_out() -> None:
    volume = drawn(aligned(1.0, 600), (600, 600, 1))
    other = drawn(aligned(1.0, 600), (600, 600, 1), centre=(150.0, 0.0)).values
    values = np.where(other > 0, other + 10, volume.values)
    regions = regions_in_slice(Volume(volume.path, values, volume.affine), PLANE, NAMES)
    assert regions.names == ("skin", "muscle", "bone")
    assert any("label 11 lies 21 mm beside the image and is left out" in remark for remark in regions.remarks)


@pytest.mark.parametrize(
    ("axis", "amount", "words"),
    [
        (0, 60.0, "label 1 reaches 1[67].. mm beyond the edge of the image"),
        (1, -140.0, r"its labels lie 1[78].. mm outside beside the image, along its rows \(y\)"),
        (2, 42.0, "its labels lie 12.0 mm outside of the slice, along its normal"),
    ],
)
def test_labels_that_lie_elsewhere_are_refused_with_the_distance(axis: int, amount: float, words: str) -> None:
    volume = drawn(aligned(0.5, 360), (360, 360, 1))
    moved = volume.affine.copy()
    moved[:3, 3] += amount * DIRECTIONS[axis]
    with pytest.raises(BadInputError, match=words):
        regions_in_slice(Volume(volume.path, volume.values, moved), PLANE, NAMES)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((4, 4, 1), 0.5), "not whole numbers"),
        (np.full((4, 4, 1), -1), "labels below 0"),
        (np.zeros((4, 4, 1)), "holds no label"),
    ],
)
def test_what_is_no_label_map_is_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(BadInputError, match=f"labels.nii: .*{words}"):
        regions_in_slice(Volume(Path("labels.nii"), values, aligned(0.5, 4)), PLANE)


def test_shares_of_pixels_add_up_to_areas_and_hold_the_labels() -> None:
    regions = regions_in_slice(drawn(aligned(0.5, 360), (360, 360, 1)), PLANE, NAMES)
    shares = regions.on_pixels(PLANE)
    assert shares.shape == (3, 80, 80)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)) * 2.25**2, regions.areas, rtol=1e-5)
    assert shares[1, 40 - 4, 40 + 2] == pytest.approx(1)  # the middle of the discs
    own = regions_in_slice(drawn(aligned(2.25, 80), (80, 80, 1)), PLANE, NAMES).on_pixels(PLANE)
    np.testing.assert_array_equal(np.unique(own.round(6)), [0, 1])  # labels drawn on the image itself


def test_a_pose_moves_regions_about_their_middle() -> None:
    regions = regions_in_slice(drawn(aligned(0.5, 360), (360, 360, 1)), PLANE, NAMES)
    moved = regions.moved(Pose((3.0, -2.0), 30.0, 1.1))
    np.testing.assert_allclose(moved.areas, 1.21 * regions.areas, rtol=0.01)
    np.testing.assert_allclose(moved.middle, np.array(regions.middle) + (3.0, -2.0), atol=0.05)
    x, y = moved.axes()
    bone = moved.mask("bone")
    turn = np.radians(30.0)
    arm = np.array([17.0, -8.0]) - regions.middle  # of the bone, which turns from x towards y
    expected = np.array([np.cos(turn) * arm[0] - np.sin(turn) * arm[1], np.sin(turn) * arm[0] + np.cos(turn) * arm[1]])
    place = np.array([np.average(x, weights=bone.sum(0)), np.average(y, weights=bone.sum(1))])
    np.testing.assert_allclose(place, np.array(moved.middle) + 1.1 * expected, atol=0.1)
