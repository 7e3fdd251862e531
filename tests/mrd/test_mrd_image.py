"""Images and their words, over the wire and back."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import ismrmrd
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadenoise_core import __version__
from nadenoise_core.mrd.image import (
    add_to_history,
    comment,
    history_of,
    image_beside,
    label,
    new_image,
    pixel_size,
    pixels_of,
    say,
    told,
    told_number,
    told_numbers,
    window,
    words_of,
)

# ismrmrd 1.14's own reader of images.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This function currently returns a result that is inconsistent:UserWarning"
)

ROWS, COLUMNS = 6, 4


def acquisition_header() -> ismrmrd.AcquisitionHeader:
    header = ismrmrd.AcquisitionHeader()
    header.measurement_uid, header.acquisition_time_stamp = 4000000000, 777
    header.position[:] = (10.5, -20.25, 30.0)
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = (0, 1, 0), (0, 0, 1), (1, 0, 0)
    header.idx.slice, header.idx.repetition, header.idx.contrast, header.idx.phase = 3, 5, 1, 2
    return header


@pytest.fixture
def image() -> ismrmrd.Image:
    pixels = (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) * (1 + 2j)).astype(np.complex64)
    made = new_image(pixels, acquisition_header(), (180.0, 90.0, 30.0), 4)
    label(made, "plain", "23Na NUFFT 30 avg")
    return made


def over_the_wire(image: ismrmrd.Image) -> ismrmrd.Image:
    return ismrmrd.Image.from_bytes(image.to_bytes())


def test_an_image_lies_where_the_acquisition_was(image):
    head = over_the_wire(image).getHead()
    assert list(head.position) == [10.5, -20.25, 30.0]
    assert [list(head.read_dir), list(head.phase_dir), list(head.slice_dir)] == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert list(head.field_of_view) == [180.0, 90.0, 30.0]
    assert list(head.matrix_size) == [COLUMNS, ROWS, 1]
    assert (head.slice, head.repetition, head.contrast, head.phase) == (3, 5, 1, 2)
    assert (head.measurement_uid, head.acquisition_time_stamp, head.image_index) == (4000000000, 777, 4)
    assert pixel_size(image) == (90 / ROWS, 180 / COLUMNS)


def test_pixels_come_back(image):
    np.testing.assert_array_equal(pixels_of(over_the_wire(image)), pixels_of(image))
    assert pixels_of(over_the_wire(image)).dtype == np.complex64


def test_words_come_back(image):
    comment(image, "first")
    comment(image, 'second: <&> "quoted" \u00b5\u00e4')
    add_to_history(image, "reconstruct", {"method": "gridding", "sizes": (1.5, 2.0)})
    add_to_history(image, "denoise", {})
    window(image, 50, 100)
    say(image, text="a b", numbers=[0.1, 1 / 3], one=[2.5], nothing=[], empty="", count=30, unknown=math.nan)
    received = over_the_wire(image)
    for one in (image, received):
        assert words_of(one, "ImageComment") == ["first", 'second: <&> "quoted" \u00b5\u00e4']
        assert words_of(one, "GADGETRON_ImageComment") == words_of(one, "ImageComment")
        assert history_of(one) == ["reconstruct(method=gridding, sizes=[1.5 2.0])", "denoise()"]
        assert words_of(one, "WindowCenter") == words_of(one, "GADGETRON_WindowCenter") == ["50"]
        assert told(one, "text") == "a b" and told(one, "count") == "30"
        assert told_numbers(one, "numbers") == [0.1, 1 / 3] and told_numbers(one, "one") == [2.5]
        assert told_numbers(one, "nothing") == [] and not told(one, "empty")
        assert told(one, "never said") is None and math.isnan(told_number(one, "never said"))
        assert math.isnan(told_number(one, "unknown"))
        assert told(one, "version") == __version__


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_exactly(value):
    made = new_image(np.zeros((2, 2), np.complex64), acquisition_header(), (1, 1, 1), 1)
    say(made, value=value)
    assert told_number(over_the_wire(made), "value") == value


@pytest.mark.parametrize(
    ("kind", "dtype", "series", "image_type", "role"),
    [
        ("plain", np.complex64, 1, ismrmrd.IMTYPE_COMPLEX, "Image"),
        ("denoised", np.complex64, 2, ismrmrd.IMTYPE_COMPLEX, "Image"),
        ("denoised", np.float32, 2, ismrmrd.IMTYPE_MAGNITUDE, "Image"),
        ("atsc", np.float32, 3, ismrmrd.IMTYPE_REAL, "Quantitative"),
    ],
)
def test_what_an_image_is_is_said_to_gadgetron_and_fire(kind, dtype, series, image_type, role):
    made = new_image(np.zeros((2, 3), dtype), acquisition_header(), (1, 1, 1), 1)
    label(made, kind, "words")
    made = over_the_wire(made)
    head = made.getHead()
    assert (head.image_series_index, head.image_type) == (series, image_type)
    assert words_of(made, "DataRole") == words_of(made, "GADGETRON_DataRole") == [role]
    assert words_of(made, "SeriesDescription") == words_of(made, "GADGETRON_SeqDescription") == ["words"]
    assert words_of(made, "Keep_image_geometry") == ["1"]
    assert [float(value) for value in words_of(made, "ImageRowDir")] == [0, 1, 0]
    assert [float(value) for value in words_of(made, "ImageColumnDir")] == [0, 0, 1]


def test_data_types_are_those_that_gadgetron_reads(image):
    assert image.getHead().data_type == 7  # complex64
    assert image_beside(image, np.zeros((2, 2), np.float32)).getHead().data_type == 5  # float32, never int16


def test_an_image_beside_has_words_of_its_own(image):
    comment(image, "of both")
    beside = image_beside(image, np.ones((ROWS, COLUMNS), np.float32))
    comment(beside, "of one")
    label(beside, "atsc", "map")
    assert words_of(image, "ImageComment") == ["of both"]
    assert told(image, "kind") == "plain" and image.getHead().image_series_index == 1
    assert list(beside.getHead().position) == [10.5, -20.25, 30.0]
    assert pixels_of(image).dtype == np.complex64


def test_meta_is_the_xml_that_ismrmrd_defines(image):
    root = ElementTree.fromstring(image.attribute_string)
    assert root.tag == "ismrmrdMeta"
    assert {child.tag for child in root} == {"meta"}
