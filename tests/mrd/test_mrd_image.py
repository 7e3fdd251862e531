"""Images and the facts that ride on them, within a process and over the wire."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import ismrmrd
import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind, Network, Replica
from nadenoise_core.mrd.geometry import with_directions
from nadenoise_core.mrd.image import (
    as_integers,
    comment,
    facts_of,
    image_beside,
    known_facts,
    new_image,
    pixel_size,
    pixels_of,
    put_facts,
    replicas_of,
    without_replicas,
)
from nadenoise_core.quantify.calibration import Line

# ismrmrd 1.14's own reader of images.
pytestmark = pytest.mark.filterwarnings(
    "ignore:This function currently returns a result that is inconsistent:UserWarning"
)

ROWS, COLUMNS = 6, 4
PLAIN = ImageFacts(Kind.PLAIN, 30, noise_std=1 / 3, k_max=0.2)
DENOISED = replace(PLAIN, kind=Kind.DENOISED, network=Network("tiny", "1.0", "ab"))
ATSC = replace(PLAIN, kind=Kind.ATSC, atsc=AtscFacts(Kind.PLAIN, Line(1.0, 0.0, 1.0), 1.0, ()))


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
    return new_image(pixels, acquisition_header(), (180.0, 90.0, 30.0), 4, PLAIN)


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


def test_facts_ride_within_a_process_and_are_read_behind_the_wire(image):
    assert facts_of(image) is PLAIN and facts_of(over_the_wire(image)) == PLAIN
    comment(image, "first")
    comment(image, 'second: <&> "quoted" \u00b5\u00e4')
    for one in (image, over_the_wire(image)):
        assert known_facts(one).comments == ("first", 'second: <&> "quoted" \u00b5\u00e4')


def test_an_image_of_others_has_no_facts(image):
    other = ismrmrd.Image(image.getHead())
    assert facts_of(other) is None and facts_of("no image") is None
    assert without_replicas(other) is other
    with pytest.raises(BadInputError, match="put 'reconstruct' before"):
        known_facts(other)


def test_what_others_wrote_into_the_meta_stays(image):
    image.meta["FunctorStore"] = "theirs"
    put_facts(image, PLAIN.commented("ours"))
    beside = image_beside(over_the_wire(image), np.zeros((ROWS, COLUMNS), np.float32), DENOISED)
    assert image.meta["FunctorStore"] == beside.meta["FunctorStore"] == "theirs"
    assert "ImageComment" in image.meta and "ImageComment" not in beside.meta


def test_replicas_come_back_and_are_taken_off():
    planes = np.arange(3 * ROWS * COLUMNS, dtype=np.complex64).reshape(3, ROWS, COLUMNS)
    facts = replace(PLAIN, replicas=(Replica(15, 0.5), Replica(15, 0.25)))
    received = over_the_wire(new_image(planes[0], acquisition_header(), (1, 1, 1), 1, facts, planes[1:]))
    assert known_facts(received) == facts
    np.testing.assert_array_equal(replicas_of(received), planes[1:])
    alone = without_replicas(received)
    assert known_facts(alone) == PLAIN and len(replicas_of(alone)) == 0
    np.testing.assert_array_equal(pixels_of(alone), planes[0])
    assert without_replicas(alone) is alone


@pytest.mark.parametrize(
    ("facts", "dtype", "series", "image_type", "role"),
    [
        (PLAIN, np.complex64, 1, ismrmrd.IMTYPE_COMPLEX, "Image"),
        (DENOISED, np.complex64, 2, ismrmrd.IMTYPE_COMPLEX, "Image"),
        (DENOISED, np.float32, 2, ismrmrd.IMTYPE_MAGNITUDE, "Image"),
        (ATSC, np.float32, 3, ismrmrd.IMTYPE_REAL, "Quantitative"),
    ],
)
def test_what_an_image_is_is_said_to_gadgetron_and_fire(facts, dtype, series, image_type, role):
    made = over_the_wire(new_image(np.zeros((2, 3), dtype), acquisition_header(), (1, 1, 1), 1, facts))
    head, meta = made.getHead(), made.meta
    assert (head.image_series_index, head.image_type) == (series, image_type)
    assert meta["DataRole"] == meta["GADGETRON_DataRole"] == role
    assert meta["SeriesDescription"] == meta["GADGETRON_SeqDescription"] == facts.description
    assert meta["Keep_image_geometry"] == "1"
    assert [float(value) for value in meta["ImageRowDir"]] == [0, 1, 0]
    assert [float(value) for value in meta["ImageColumnDir"]] == [0, 0, 1]


def test_whole_numbers_tell_their_scale(image):
    whole = over_the_wire(as_integers(image, 0.5, -1.0, 100))
    assert pixels_of(whole).dtype == np.uint16 and pixels_of(whole).max() == 100
    assert known_facts(whole).rescale == (0.5, -1.0)
    assert (whole.meta["RescaleSlope"], whole.meta["RescaleIntercept"]) == ("0.5", "-1.0")
    assert whole.getHead().image_type == ismrmrd.IMTYPE_MAGNITUDE
    np.testing.assert_array_equal(pixels_of(whole)[0], [2, 6, 11, 15])  # |1 + 2i| n = 2.236 n, plus 1, in halves


def test_data_types_are_those_that_gadgetron_reads(image):
    assert image.getHead().data_type == 7  # complex64
    assert image_beside(image, np.zeros((2, 2), np.float32), PLAIN).getHead().data_type == 5  # float32, never int16


def test_an_image_beside_has_facts_of_its_own(image):
    beside = image_beside(image, np.ones((ROWS, COLUMNS), np.float32), ATSC.commented("of one"))
    assert known_facts(image).comments == ()
    assert known_facts(image).kind is Kind.PLAIN and image.getHead().image_series_index == 1
    assert list(beside.getHead().position) == [10.5, -20.25, 30.0]
    assert pixels_of(image).dtype == np.complex64


def test_meta_is_the_xml_that_ismrmrd_defines(image):
    root = ElementTree.fromstring(image.attribute_string)
    assert root.tag == "ismrmrdMeta"
    assert {child.tag for child in root} == {"meta"}


@pytest.mark.parametrize("digits", [2, 3, 6])
def test_rounded_directions_become_the_nearest_at_right_angles(digits):
    rotation = np.linalg.qr(np.random.default_rng(digits).standard_normal((3, 3)))[0]
    header = ismrmrd.AcquisitionHeader()
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = np.round(rotation, digits)
    made, known = with_directions(header)
    directions = np.array([made.read_dir[:], made.phase_dir[:], made.slice_dir[:]], np.float64)
    assert known
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(directions, rotation, atol=1.5 * 10.0**-digits)


def test_directions_that_are_skew_are_not_known():
    header = ismrmrd.AcquisitionHeader()
    header.read_dir[:], header.phase_dir[:], header.slice_dir[:] = (1, 0, 0), (0.1, 0.995, 0), (0, 0, 1)
    made, known = with_directions(header)
    assert not known and list(made.phase_dir) == [0, 1, 0]
