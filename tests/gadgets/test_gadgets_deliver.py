"""What `deliver` lets go on: the images as they are, or as a console takes them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pydicom
import pytest

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import read_chain
from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import OutputError
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.mrd.meta import from_meta
from nadenoise_core.mrd.scan import read_scan


@pytest.fixture
def images(measured, run_chain, smoothing_chain):
    """The images of a scan, with these properties of `deliver`."""
    measurement, acquisitions = measured(averages=4, noise=10.0)

    def run(**properties: str):
        stages = [("accumulate", {"emit_at": "2, 4"}), *smoothing_chain[1:-1], ("deliver", properties)]
        return run_chain(stages, measurement.header_xml(), acquisitions)

    return run


def test_whole_numbers_and_their_scale_give_the_image_back(images) -> None:
    real, whole = images(), images(pixels="12 bit")
    assert [known_facts(image).kind.value for image in whole] == 2 * ["plain", "denoised", "atsc"]
    for before, after in zip(real, whole, strict=True):
        steps = pixels_of(after)
        assert steps.dtype == np.uint16 and 0 < steps.max() <= 4095
        slope, intercept = known_facts(after).rescale
        values = np.abs(pixels_of(before)) if np.iscomplexobj(pixels_of(before)) else pixels_of(before)
        np.testing.assert_allclose(steps * slope + intercept, np.clip(values, intercept, None), atol=0.501 * slope)
        assert after.getHead().image_series_index == before.getHead().image_series_index


def test_numbers_of_two_images_of_a_scan_compare(images) -> None:
    scales = {
        kind: {known_facts(image).rescale for image in images(pixels="12 bit") if known_facts(image).kind.value == kind}
        for kind in ("plain", "denoised", "atsc")
    }
    assert all(len(found) == 1 for found in scales.values()) and scales["plain"] == scales["denoised"]


def test_dicom_of_whole_numbers_is_that_of_the_image(images) -> None:
    real = [item.content for item in images(send="true") if isinstance(item, DicomFile)]
    whole = [item.content for item in images(send="true", pixels="12 bit") if isinstance(item, DicomFile)]
    assert len(real) == 6 and real == whole


def test_an_outbox_that_takes_nothing_fails_the_scan_after_its_last_image(
    measured, chain_file, smoothing_chain, tmp_path
) -> None:
    measurement, acquisitions = measured(averages=4, noise=10.0)
    (tmp_path / "outbox").write_text("a file, where a folder should be")
    stages = [*smoothing_chain[:-1], ("deliver", {"outbox": str(tmp_path / "outbox")})]
    chain = read_chain(chain_file(stages))
    given = []
    with pytest.raises(OutputError, match="3 images are not in the outbox and will not be delivered: cannot write"):
        for item in run(build(chain, read_scan(measurement.header_xml())), acquisitions):
            given.append(known_facts(item).kind.value)
    assert given == ["plain", "denoised", "atsc"]


class TestIncompleteScans:
    """A client that vanishes reaches a node as a normal end: the header alone tells that something is missing."""

    @pytest.fixture
    def ended(self, measured, run_chain, smoothing_chain):
        """The images of a scan that ended after some averages, and those of the whole scan."""
        measurement, acquisitions = measured(averages=10, noise=10.0)
        size = len(acquisitions) // 10

        def run(averages: int, **properties: str):
            stages = [*smoothing_chain[:-1], ("deliver", properties)]
            return run_chain(stages, measurement.header_xml(), acquisitions[: averages * size])

        return run

    def test_are_marked_in_image_meta_and_dicom(self, ended) -> None:
        words = "incomplete: the scan ended after 4 of the 10 averages that it announced"
        items = ended(4, send="true")
        images = [item for item in items if not isinstance(item, DicomFile)]
        assert len(images) == 3
        for image in images:
            assert known_facts(image).announced == 10 and words in known_facts(image).comments
            assert from_meta(image.meta).announced == 10
        for item in items:
            if isinstance(item, DicomFile):
                assert words in pydicom.dcmread(BytesIO(item.content)).ImageComments

    @pytest.mark.parametrize("averages", [9, 10])
    def test_one_that_lacks_little_is_not(self, averages, ended) -> None:
        images = ended(averages)
        assert [known_facts(image).announced for image in images] == [0, 0, 0]
        assert not any("incomplete" in comment for image in images for comment in known_facts(image).comments)

    def test_are_delivered_unless_they_must_not(self, ended, tmp_path) -> None:
        for given, files in (("true", 3), ("false", 0)):
            folder = tmp_path / given
            assert len(ended(4, folder=str(folder), incomplete=given)) == 3
            assert len(list(folder.glob("*.dcm"))) == files
        assert len(ended(10, folder=str(tmp_path / "whole"), incomplete="false")) == 3
        assert len(list((tmp_path / "whole").glob("*.dcm"))) == 3
