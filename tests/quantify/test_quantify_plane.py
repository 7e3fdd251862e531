"""Maps in the slice of a scan: any matrix, resolution and orientation, placed by the affine alone."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.plane import SlicePlane, sample_map
from nadenoise_core.quantify.volume import Volume, read_volume

MATRIX = (70, 80)
DIRECTIONS = Rotation.from_euler("xyz", (25, -15, 40), degrees=True).as_matrix().T
PLANE = SlicePlane(np.array([12.0, -31.0, 140.0]), DIRECTIONS, (2.5, 2.25), MATRIX, 30.0)
GRADIENT = np.array([0.3, -0.2, 0.1])


def ramp(place: np.ndarray) -> np.ndarray:
    """A map that is linear in space, which interpolation must give back exactly."""
    return 5 + place @ GRADIENT


def ramp_volume(affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    index = np.stack([*np.meshgrid(*map(np.arange, shape), indexing="ij"), np.ones(shape)], axis=-1)
    return Volume(Path("map.nii"), ramp((index @ affine.T)[..., :3]), affine)


def expected() -> np.ndarray:
    x, y = np.meshgrid(*PLANE.pixel_axes())
    return ramp(PLANE.centre + x[..., None] * DIRECTIONS[0] + y[..., None] * DIRECTIONS[1])


def own_affine() -> np.ndarray:
    """Where the image's own pixels lie, LPS, by what DICOM says of the first pixel."""
    affine = np.eye(4)
    affine[:3, :3] = DIRECTIONS.T * (2.25, 2.5, 30.0)
    affine[:3, 3] = PLANE.centre - 40 * 2.25 * DIRECTIONS[0] - 35 * 2.5 * DIRECTIONS[1]
    return affine


def test_a_map_on_the_image_s_own_grid_is_read_as_it_is() -> None:
    values = np.random.default_rng(1).normal(size=(80, 70, 1))
    sampled = sample_map(Volume(Path("map.nii"), values, own_affine()), PLANE)
    np.testing.assert_allclose(sampled, values[..., 0].T, atol=1e-9)


@pytest.mark.parametrize("flips", [(-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_rows_stored_the_other_way_round_with_a_right_affine_are_read_right(flips, tmp_path: Path) -> None:
    """As dcm2niix stores images of DICOM files."""
    values = np.random.default_rng(2).normal(size=(80, 70, 1)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.diag([-1, -1, 1, 1]) @ own_affine())
    orientation = np.array([[axis, flip] for axis, flip in enumerate(flips)])
    nibabel.save(image.as_reoriented(orientation), tmp_path / "flipped.nii.gz")
    np.testing.assert_allclose(sample_map(read_volume(tmp_path / "flipped.nii.gz"), PLANE), values[..., 0].T, atol=1e-4)


def test_axes_in_another_order_are_read_right(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(size=(80, 70, 1)).astype(np.float32)
    image = nibabel.Nifti1Image(values, np.diag([-1, -1, 1, 1]) @ own_affine())
    nibabel.save(image.as_reoriented(np.array([[2, 1], [0, -1], [1, 1]])), tmp_path / "turned.nii")
    np.testing.assert_allclose(sample_map(read_volume(tmp_path / "turned.nii"), PLANE), values[..., 0].T, atol=1e-4)


def test_an_oblique_map_of_another_resolution_is_interpolated() -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("z", 17, degrees=True).as_matrix() * 3.7
    affine[:3, 3] = PLANE.centre - affine[:3, :3] @ (45, 45, 45)
    np.testing.assert_allclose(sample_map(ramp_volume(affine, (90, 90, 90)), PLANE), expected(), atol=1e-9)


def test_a_map_is_averaged_over_the_thickness_of_the_slice() -> None:
    affine = own_affine()
    affine[:3, 2] /= 6
    affine[:3, 3] -= 2.5 * affine[:3, 2]
    values = np.broadcast_to(np.arange(6.0), (80, 70, 6))
    np.testing.assert_allclose(sample_map(Volume(Path("map.nii"), values, affine), PLANE), 2.5, atol=0.05)


def test_what_a_map_does_not_know_stays_unknown() -> None:
    values = np.ones((80, 70, 1))
    values[:40] = np.nan
    sampled = sample_map(Volume(Path("map.nii"), values, own_affine()), PLANE)
    assert np.isnan(sampled[:, :40]).all()
    assert (sampled[:, 40:] == 1).all()


@pytest.mark.parametrize(
    ("axis", "amount", "words"),
    [
        (2, 45.0, r"map.nii: the map lies 15.0 mm outside of the slice, along its normal"),
        (0, 250.0, r"map.nii: the map lies 70.0 mm outside beside the image, along its columns \(x\)"),
        (0, 10.0, r"map.nii: does not cover the image: 5% of its pixels lie up to 8.9 mm outside of the map"),
    ],
)
def test_a_map_that_lies_elsewhere_is_refused_with_the_distance(axis: int, amount: float, words: str) -> None:
    affine = own_affine()
    affine[:3, 3] += amount * DIRECTIONS[axis]
    with pytest.raises(BadInputError, match=words):
        sample_map(ramp_volume(affine, (80, 70, 1)), PLANE)
