"""Pixels around the field of view that travel to a network change nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.mrd.image import known_facts, pixels_of, wide_pixels_of

WIDE = ("reconstruct", {"surroundings": "12"})


@pytest.fixture(scope="module")
def scan(measured):
    return measured(averages=3, noise=10.0)


def test_the_plain_image_is_the_same_to_the_bit(scan, run_chain, smoothing_chain) -> None:
    measurement, items = scan
    header = measurement.header_xml()
    alone = run_chain(["accumulate", "reconstruct"], header, items)[0]
    wide = run_chain(["accumulate", WIDE], header, items)[0]
    assert known_facts(wide).surroundings == 12 and wide_pixels_of(wide).shape == (1, 104, 104)
    np.testing.assert_array_equal(pixels_of(wide), pixels_of(alone))
    # The network was made without surroundings: it gives the same images, and none carries them on.
    usual = run_chain(smoothing_chain, header, items)
    surrounded = run_chain([smoothing_chain[0], WIDE, *smoothing_chain[2:]], header, items)
    assert [image.data.shape for image in surrounded] == [image.data.shape for image in usual]
    for image, other in zip(surrounded, usual, strict=True):
        np.testing.assert_array_equal(pixels_of(image), pixels_of(other))
