"""Time segments against the phase that they follow, and images of objects that are off resonance."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import FieldMap, Physics
from nadenoise_core.recon.reconstruction import Reconstruction
from nadenoise_core.recon.settings import Settings
from nadenoise_core.sampling import PAPER_SPIRAL
from nadenoise_core.sampling.off_resonance import Segments, time_segments

TIMES = 14.8e-6 * np.arange(510)  # the paper's readout, 7.55 ms
K = (PAPER_SPIRAL.trajectory() * 2.25).astype(np.float32)
PIXELS = np.stack(np.meshgrid(np.arange(80) - 40, np.arange(80) - 40), axis=-1)  # (x, y)


def followed(segments: Segments) -> np.ndarray:
    """(rows, columns, samples): what the segments take exp(2 pi i f t) for."""
    return segments.carrier * np.tensordot(segments.phases, segments.shares, axes=(0, 0))


@pytest.mark.parametrize(
    ("least", "most", "delay"),
    [(-50, 50, 0), (-50, 50, 2e-3), (0, 0.1, 0), (-20, 200, 0), (-200, 200, 0), (-500, 500, 0), (-3000, 2000, 0)],
)
def test_segments_follow_the_phase(least, most, delay) -> None:
    field_map = np.linspace(least, most, 300).reshape(20, 15)
    segments = time_segments(field_map, TIMES + delay)
    exact = np.exp(2j * np.pi * np.multiply.outer(field_map, TIMES + delay))
    assert np.abs(followed(segments) - exact).max() < 1e-4
    assert np.abs(segments.shares).max() < 10  # larger ones cancel, and raise the error of single precision


@pytest.mark.parametrize("reach", [50, 500])
def test_segments_follow_the_difference_of_two_pixels(reach) -> None:
    """It is what the normal operator meets: the frequency of one pixel, minus that of another."""
    field_map = np.random.default_rng(0).uniform(-reach, reach, (10, 10))
    field_map[0, :2] = -reach, reach
    segments = time_segments(field_map, TIMES)
    phases = segments.phases.reshape(len(segments.phases), -1)
    pairs = np.einsum("lp,lq,lt->pqt", phases, phases.conj(), segments.shares)
    difference = field_map.reshape(-1, 1) - field_map.reshape(1, -1)
    assert np.abs(pairs - np.exp(2j * np.pi * np.multiply.outer(difference, TIMES))).max() < 1e-4


@pytest.mark.parametrize("offset", [0.0, -35.0, 400.0])
def test_a_uniform_offset_is_one_segment(offset) -> None:
    segments = time_segments(np.full((6, 5), offset), TIMES)
    assert segments.shares.shape == (1, 510) and segments.phases.shape == (1, 6, 5)
    exact = np.broadcast_to(np.exp(2j * np.pi * offset * TIMES), (6, 5, 510))
    np.testing.assert_allclose(followed(segments), exact, atol=1e-5)


def test_segments_are_single_precision_and_few() -> None:
    segments = time_segments(np.linspace(-50, 50, 20).reshape(4, 5), TIMES)
    assert (segments.carrier.dtype, segments.shares.dtype, segments.phases.dtype) == ("c8", "f4", "c8")
    assert len(segments.shares) <= 8


def image_of(kspace: np.ndarray, field_map: np.ndarray | None, method: str = "gridding") -> np.ndarray:
    reconstruction = Reconstruction(K, (80, 80), Settings(method), Device(), field_map, TIMES)
    return reconstruction(kspace, np.zeros(20)).image


@pytest.mark.parametrize("frequency", [40.0, -40.0])
def test_a_point_off_resonance_is_brought_back(frequency, relative) -> None:
    """A point at r with the phase exp(-2 pi i (k.r + f t)), written out; the map of the other sign blurs it further."""
    place = np.array([13, -21])  # (x, y)
    resonant = np.exp(-2j * np.pi * (K.astype(float) @ place))[None]
    measured = resonant * np.exp(-2j * np.pi * frequency * TIMES)
    field_map = np.full((80, 80), 5.0)
    field_map[PIXELS[..., 1] < 0] = frequency
    sharp, blurred = image_of(resonant, None), image_of(measured, None)
    corrected, wrong = image_of(measured, field_map), image_of(measured, -field_map)
    assert np.unravel_index(np.abs(corrected).argmax(), (80, 80)) == (40 - 21, 40 + 13)
    peak = (40 - 21, 40 + 13)
    assert corrected[peak] == pytest.approx(sharp[peak], rel=1e-3)
    assert abs(sharp[peak]) > 1.1 * abs(blurred[peak]) > 1.1 * abs(wrong[peak])
    there = PIXELS[..., 1] < 0
    assert relative(corrected, sharp, there) < 1e-3


@cache
def measured_with(calf_scan, field_map: FieldMap):
    return calf_scan(1, physics=Physics(14.8, field_map))


@pytest.mark.parametrize(
    ("field_map", "most"),
    [(FieldMap(0, 50, (2, 0), 0.3), 0.03), (FieldMap(0, -50, (2, 1), 0.3), 0.03), (FieldMap(10, 25), 0.02)],
)
@pytest.mark.parametrize("method", ["gridding", "least_squares"])
def test_a_calf_off_resonance_is_recovered(field_map, most, method, calf_scan, disc, relative) -> None:
    """Its k-space is in closed form, and so is the image that it should give; 50 Hz over 7.55 ms is 136 degrees."""
    scan = measured_with(calf_scan, field_map)
    frequency = field_map.at(2.25 * PIXELS)
    forgotten, corrected, wrong = (
        relative(image_of(scan.kspace, given, method), scan.truth, disc) for given in (None, frequency, -frequency)
    )
    assert corrected < most
    assert corrected < 0.25 * forgotten < 0.25 * wrong


@pytest.mark.parametrize("method", ["gridding", "least_squares"])
def test_a_uniform_offset_is_taken_out_wholly(method, calf_scan, disc, relative) -> None:
    scan, resonant = measured_with(calf_scan, FieldMap(40.0)), calf_scan(1)
    corrected = image_of(scan.kspace, np.full((80, 80), 40.0), method)
    assert relative(corrected, image_of(resonant.kspace, None, method), disc) < 1e-4


@pytest.mark.parametrize("method", ["gridding", "least_squares"])
def test_a_map_of_zeros_is_no_map(method, calf_scan) -> None:
    kspace = calf_scan(1).kspace
    np.testing.assert_array_equal(image_of(kspace, np.zeros((80, 80)), method), image_of(kspace, None, method))


def test_noise_stays_what_it_was(noise) -> None:
    """Off-resonance turns every sample in every pixel, and no more."""
    field_map = FieldMap(0, 50).at(2.25 * PIXELS)
    reconstruction = Reconstruction(K, (80, 80), Settings(), Device(), field_map, TIMES)
    results = [reconstruction(noise(1, 20, 510, seed=seed), np.ones(20)) for seed in range(20)]
    images = np.stack([result.image for result in results])
    assert images.real.std() == pytest.approx(results[0].noise_std, rel=0.01)


def test_a_map_without_times_is_refused() -> None:
    with pytest.raises(ValueError, match="times"):
        Reconstruction(K, (80, 80), Settings(), Device(), np.zeros((80, 80)))
