"""A point of known place in the patient is found at that place by two independent readers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.dicom import Geometry, to_dataset, write
from nadenoise_core.errors import BadInputError

SIZES = st.integers(6, 97)
LENGTHS = st.floats(60.0, 400.0)
PLACES = st.tuples(*[st.floats(-500.0, 500.0)] * 3)
QUATERNIONS = st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
WITHIN = st.floats(-0.4, 0.4)


def rotation(quaternion):
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def plane(quaternion, place, field_of_view, handedness=1):
    read, phase, normal = rotation(quaternion).T
    return Geometry(place, read, phase, handedness * normal, field_of_view, 30.0, "HFS")


def place_of_pixel(geometry, row, column, rows, columns):
    """Vector algebra from the centre of the field of view, which is pixel (rows // 2, columns // 2)."""
    read, phase = geometry.field_of_view
    return (
        np.array(geometry.position)
        + (column - columns // 2) * read / columns * np.array(geometry.read_dir)
        + (row - rows // 2) * phase / rows * np.array(geometry.phase_dir)
    )


def place_read_by_pydicom(path, row, column):
    """The equation of DICOM PS3.3 C.7.6.2.1.1."""
    dataset = pydicom.dcmread(path)
    along_row, down_column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = (float(x) for x in dataset.PixelSpacing)
    first = np.array(dataset.ImagePositionPatient, float)
    return first + along_row * between_columns * column + down_column * between_rows * row


@settings(max_examples=40, deadline=None)
@given(
    quaternion=QUATERNIONS, place=PLACES, field_of_view=st.tuples(LENGTHS, LENGTHS), rows=SIZES, columns=SIZES,
    along=WITHIN, across=WITHIN, handedness=st.sampled_from([1, -1]),
)  # fmt: skip
def test_a_point_is_found_where_it_is(
    tmp_path_factory,
    make,
    full_study,
    quaternion,
    place,
    field_of_view,
    rows,
    columns,
    along,
    across,
    handedness,
):
    geometry = plane(quaternion, place, field_of_view, handedness)
    row, column = rows // 2 + round(across * rows), columns // 2 + round(along * columns)
    row, column = min(row, rows - 1), min(column, columns - 1)
    point = place_of_pixel(geometry, row, column, rows, columns)
    pixels = np.zeros((rows, columns))
    pixels[row, column] = 1000.0
    dataset = to_dataset(make("plain", pixels=pixels, scale=1.0), geometry, full_study)
    path = write(dataset, tmp_path_factory.getbasetemp(), "point.dcm")

    image = sitk.ReadImage(str(path))
    index = image.TransformPhysicalPointToIndex(point.tolist())
    assert image[index] == 1000
    assert np.linalg.norm(np.array(image.TransformIndexToPhysicalPoint(index)) - point) < 0.5

    ((found_row, found_column),) = np.argwhere(pydicom.dcmread(path).pixel_array)
    assert np.linalg.norm(place_read_by_pydicom(path, found_row, found_column) - point) < 0.5


def test_a_point_off_the_grid_is_found_within_half_a_millimetre(geometry, make, full_study, tmp_path):
    """33.3 mm along read and -21.7 mm along phase, by hand: read (0.8, 0.6, 0), phase (0, 0, -1)."""
    point = np.array([12.5 + 33.3 * 0.8, -40.25 + 33.3 * 0.6, 333.0 + 21.7])
    path = write(to_dataset(make("plain"), geometry, full_study), tmp_path, "image.dcm")
    column, row = 40 + 33.3 / 2.25, 40 - 21.7 / 2.5
    found = sitk.ReadImage(str(path)).TransformPhysicalPointToContinuousIndex(point.tolist())
    np.testing.assert_allclose(found[:2], (column, row), atol=1e-6)
    np.testing.assert_allclose(place_read_by_pydicom(path, row, column), point, atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(80, 80), (81, 81), (80, 97), (1, 1)])
def test_the_centre_pixel_lies_at_the_position(rows, columns, geometry, make, full_study, tmp_path):
    dataset = to_dataset(make("plain", pixels=np.ones((rows, columns))), geometry, full_study)
    path = write(dataset, tmp_path, "image.dcm")
    centre = place_read_by_pydicom(path, rows // 2, columns // 2)
    np.testing.assert_allclose(centre, geometry.position, atol=1e-6)


def test_a_direction_that_is_zero_but_for_rounding_does_not_lead_itk_astray(make, full_study, tmp_path):
    geometry = plane((0.0, 0.6799696060590414, 2.2250738585072014e-308, 0.0), (0.0, 0.0, 0.0), (60.0, 60.0))
    assert 0 < abs(geometry.read_dir[1]) < 1e-300
    dataset = to_dataset(make("plain", pixels=np.ones((6, 6))), geometry, full_study)
    image = sitk.ReadImage(str(write(dataset, tmp_path, "image.dcm")))
    assert image.TransformPhysicalPointToIndex((0.0, 0.0, 0.0)) == (3, 3, 0)
    assert str(dataset.ImageOrientationPatient) == "[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]"


def test_spacing_orientation_and_slice_location(geometry, make, full_study):
    dataset = to_dataset(make("plain"), geometry, full_study)
    assert dataset.PixelSpacing == [2.5, 2.25]  # between rows (phase), then between columns (read)
    assert dataset.ImageOrientationPatient == [0.8, 0.6, 0, 0, 0, -1]
    assert dataset.SliceThickness == 30
    # slice = read x phase = (-0.6, 0.8, 0)
    assert dataset.SliceLocation == pytest.approx(12.5 * -0.6 + -40.25 * 0.8)


def test_single_precision_directions_are_accepted(geometry):
    turned = rotation((0.3, 0.5, -0.2, 0.7)).astype(np.float32).T
    replace(geometry, read_dir=turned[0], phase_dir=turned[1], slice_dir=turned[2])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"read_dir": (1.6, 1.2, 0.0)}, "unit vectors"),
        ({"phase_dir": (0.8, 0.6, 0.0)}, "right angles"),
        ({"slice_dir": (0.0, 0.0, 1.0)}, "right angles"),
        ({"read_dir": (0.0, 0.0, 0.0)}, "unit vectors"),
        ({"position": (1.0, 2.0)}, "three finite numbers"),
        ({"position": (1.0, 2.0, float("nan"))}, "three finite numbers"),
        ({"phase_dir": (float("nan"),) * 3}, "three finite numbers"),
        ({"field_of_view": (180.0, 0.0)}, "> 0 mm"),
        ({"slice_thickness": -1.0}, "> 0 mm"),
    ],
)
def test_an_impossible_plane_is_refused_with_the_reason(changes, reason, geometry):
    with pytest.raises(BadInputError) as refusal:
        replace(geometry, **changes)
    assert reason in str(refusal.value)
