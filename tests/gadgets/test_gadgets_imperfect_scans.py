"""Scans that are not as they should be, and still give what can be had of them."""

from __future__ import annotations

import logging

import ismrmrd
import numpy as np
import pytest
from ismrmrd.xsd import CreateFromDocument

from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.image import known_facts, pixels_of

IMAGE = ["accumulate", "reconstruct"]


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="nadenoise")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("nadenoise.")]


def image_of(run_chain, measurement, items, header_xml=None):
    return run_chain(IMAGE, header_xml or measurement.header_xml(), items)


def test_one_bad_slice_leaves_the_others(measured, run_chain, changed, warnings) -> None:
    measurement, items = measured()
    second = [changed(item, slice=1) for item in items if item.idx.kspace_encode_step_1 != 7]
    for item in second:
        item.position[2] = 40.0
    images = image_of(run_chain, measurement, [*items, *second])
    assert [image.getHead().slice for image in images] == [0]
    assert len(warnings()) == 1
    assert "slice 1, contrast 0" in warnings()[0] and "interleaf 7 of 20" in warnings()[0]


def test_nothing_but_bad_slices_is_an_error(measured, run_chain, changed) -> None:
    measurement, items = measured()
    bad = [changed(item, slice=s) for s in (0, 1) for item in items if item.idx.kspace_encode_step_1 != 7]
    with pytest.raises(RawDataError, match="interleaf 7 of 20"):
        image_of(run_chain, measurement, bad)


def test_an_encoded_space_of_another_shape_is_left_aside(measured, run_chain, warnings) -> None:
    measurement, items = measured()
    header = CreateFromDocument(measurement.header_xml())
    header.encoding[0].encodedSpace = ismrmrd.xsd.encodingSpaceType(
        matrixSize=ismrmrd.xsd.matrixSizeType(x=80, y=20, z=1),
        fieldOfView_mm=ismrmrd.xsd.fieldOfViewMm(x=180.0, y=180.0, z=30.0),
    )
    plain, odd = (image_of(run_chain, measurement, items, xml)[0] for xml in (None, serialise_header(header)))
    np.testing.assert_array_equal(pixels_of(odd), pixels_of(plain))
    assert any("encodedSpace" in warning for warning in warnings())


@pytest.mark.parametrize("coordinate", [np.nan, -np.inf, 1e30])
def test_a_position_that_is_no_place_is_0_and_said(measured, run_chain, changed, warnings, coordinate) -> None:
    measurement, items = measured()
    lost = []
    for item in items:
        head = item.getHead()
        head.position[:] = (coordinate, 5.0, 0.0)
        lost.append(ismrmrd.Acquisition(head, data=item.data.copy(), trajectory=item.traj.copy()))
    (image,) = image_of(run_chain, measurement, lost)
    assert tuple(image.getHead().position) == (0.0, 0.0, 0.0)
    assert any("position of the acquisitions is no place" in warning for warning in warnings())


@pytest.mark.parametrize("length", [0.0, 0.99])
def test_directions_are_made_unit_vectors_or_transverse(measured, run_chain, changed, warnings, length) -> None:
    measurement, items = measured(angles=(0.0, 30.0, 0.0))
    rescaled = []
    for item in items:
        copy = changed(item)
        for name in ("read_dir", "phase_dir", "slice_dir"):
            getattr(copy, name)[:] = [length * x for x in getattr(item, name)]
        rescaled.append(copy)
    image = image_of(run_chain, measurement, rescaled)[0]
    expected = np.eye(3) if length == 0 else [items[0].read_dir[:], items[0].phase_dir[:], items[0].slice_dir[:]]
    head = image.getHead()
    np.testing.assert_allclose([head.read_dir[:], head.phase_dir[:], head.slice_dir[:]], expected, atol=1e-6)
    said = "it is taken as transverse"
    assert any(said in warning for warning in warnings()) == (length == 0)
    assert any(said in words for words in known_facts(image).comments) == (length == 0)


def test_a_trajectory_may_be_rounded_but_not_be_another(measured, run_chain, changed) -> None:
    measurement, items = measured()
    rounded = [changed(item, trajectory=item.traj + np.float32(1e-6 * item.idx.average)) for item in items]
    assert len(image_of(run_chain, measurement, rounded)) == 1
    other = [changed(item, trajectory=item.traj * np.float32(1 + 0.01 * item.idx.average)) for item in items]
    with pytest.raises(TrajectoryError, match="places of their own, where half-pulses do not cancel"):
        image_of(run_chain, measurement, other)


def test_a_noise_scan_of_other_coils_is_refused(measured, run_chain, changed) -> None:
    measurement, items = measured(coils=2)
    assert items[0].is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    fewer = [changed(items[0], data=items[0].data[:1]), *items[1:]]
    with pytest.raises(RawDataError, match="the image data has 2 coils, the noise scan before it 1"):
        run_chain(["prewhiten", *IMAGE], measurement.header_xml(), fewer)


def test_several_coils_are_said_to_weight_the_signal(measured, run_chain) -> None:
    measurement, items = measured(coils=2)
    images = [item for item in image_of(run_chain, measurement, items) if isinstance(item, ismrmrd.Image)]
    assert any("sensitivity" in words for words in known_facts(images[0]).comments)
