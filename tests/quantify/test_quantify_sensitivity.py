"""Maps of excitation and reception: images that they shaded, and what they do not say."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import TUBE_CONCENTRATIONS, Label, band_limited, labels, random_calf
from nadenoise_core.quantify.atsc import TubeSetup, concentration_map
from nadenoise_core.quantify.sensitivity import SignalCorrection, with_maps

PIXEL, K_MAX, SEED = (2.25, 2.25), 39.5 / 180, 4
FLIP, TR, TISSUE_T1, TUBE_T1 = 70.0, 40.0, 30.0, 55.0


def signal(angle: np.ndarray, t1: float) -> np.ndarray:
    """The spoiled steady state, written out."""
    a, e = np.deg2rad(angle), np.exp(-TR / t1)
    return np.sin(a) * (1 - e) / (1 - np.cos(a) * e)


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """A field from 0.7 to 1.3 across the image, another along rows than along columns."""
    y, x = np.mgrid[-40:40, -40:40] / 40
    return 1 + 0.2 * x - 0.1 * y


@pytest.fixture(scope="module")
def calf() -> np.ndarray:
    return band_limited(random_calf(SEED), 80, 180.0, K_MAX)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return labels(random_calf(SEED), 80, 180.0, margin=3) == Label.MUSCLE


@pytest.fixture(scope="module")
def setup() -> TubeSetup:
    return TubeSetup(TUBE_CONCENTRATIONS, 20.0, tuple(tube.centre for tube in random_calf(SEED).tubes))


@pytest.fixture(scope="module")
def by_tubes() -> np.ndarray:
    """Pixels that are nearer to a tube than its diameter."""
    y, x = np.mgrid[-40:40, -40:40] * 2.25
    centres = [tube.centre for tube in random_calf(SEED).tubes]
    return np.any([np.hypot(x - cx, y - cy) < 20 for cx, cy in centres], axis=0)


def test_none_is_none(calf, setup) -> None:
    plain = concentration_map(calf, PIXEL, setup, K_MAX)
    same = concentration_map(calf, PIXEL, setup, K_MAX, correction=with_maps(1.0, None, None))
    np.testing.assert_array_equal(same.values, plain.values)
    np.testing.assert_array_equal(same.standard_error, plain.standard_error)
    assert (plain.uncovered, plain.uncovered_tubes) == (0.0, ())


def test_reception_drops_out(calf, setup, tissue, smooth) -> None:
    plain, shaded = (concentration_map(image, PIXEL, setup, K_MAX) for image in (calf, smooth * calf))
    correction = with_maps(1.0, None, 730 * smooth)  # in any unit
    got = concentration_map(smooth * calf, PIXEL, setup, K_MAX, correction=correction)
    assert np.abs(shaded.values - plain.values)[tissue].max() > 2
    np.testing.assert_allclose(got.values, plain.values, atol=1e-3)
    assert got.calibration.slope == pytest.approx(np.median(smooth) * plain.calibration.slope, rel=1e-6)


def test_excitation_drops_out_of_tissue_and_of_tubes(calf, setup, tissue, smooth, by_tubes) -> None:
    """Tissue and tubes saturate each on their own; then the factor between them is one number."""
    t1 = np.where(by_tubes, TUBE_T1, TISSUE_T1)
    correction = with_maps(
        float(signal(FLIP, TUBE_T1) / signal(FLIP, TISSUE_T1)), smooth, None, FLIP, TR, (TISSUE_T1, TUBE_T1)
    )
    plain = concentration_map(calf, PIXEL, setup, K_MAX)
    got = concentration_map(signal(smooth * FLIP, t1) * calf, PIXEL, setup, K_MAX, correction=correction)
    np.testing.assert_allclose(got.values[tissue], plain.values[tissue], rtol=1e-3)
    half = with_maps(correction.factor, smooth, None, FLIP, TR, (TISSUE_T1, TISSUE_T1))
    worse = concentration_map(signal(smooth * FLIP, t1) * calf, PIXEL, setup, K_MAX, correction=half)
    assert np.abs(worse.values / plain.values - 1)[tissue].max() > 5e-3


def test_without_t1_it_is_the_sine(calf, setup, smooth) -> None:
    plain = concentration_map(calf, PIXEL, setup, K_MAX)
    correction = with_maps(1.0, smooth, None, 60.0)
    got = concentration_map(np.sin(np.deg2rad(60 * smooth)) * calf, PIXEL, setup, K_MAX, correction=correction)
    np.testing.assert_allclose(got.values, plain.values, atol=1e-3)
    both = with_maps(1.0, smooth, 2 * smooth, 60.0)
    shaded = np.sin(np.deg2rad(60 * smooth)) * smooth * calf
    got = concentration_map(shaded, PIXEL, setup, K_MAX, correction=both)
    np.testing.assert_allclose(got.values, plain.values, atol=1e-3)


def test_the_factor_multiplies_map_and_error(calf, setup) -> None:
    plain = concentration_map(calf, PIXEL, setup, K_MAX, noise_std=3.0)
    got = concentration_map(calf, PIXEL, setup, K_MAX, noise_std=3.0, correction=SignalCorrection(0.9))
    np.testing.assert_allclose(got.values, 0.9 * plain.values, rtol=1e-6)
    np.testing.assert_allclose(got.standard_error, 0.9 * plain.standard_error, rtol=1e-6)
    assert got.calibration == plain.calibration


def test_noise_rises_where_reception_is_weak(calf, setup, smooth) -> None:
    noise = 3 * np.random.default_rng(0).standard_normal(calf.shape)
    got = concentration_map(
        smooth * calf + noise, PIXEL, setup, K_MAX, noise_std=3.0, correction=with_maps(1.0, None, smooth)
    )
    ratio = np.median(got.standard_error[:, :10]) / np.median(got.standard_error[:, -10:])
    assert ratio == pytest.approx(np.median(smooth[:, -10:]) / np.median(smooth[:, :10]), rel=0.02)
    assert np.median(got.standard_error[:12, :12]) == pytest.approx((got.values - calf)[:12, :12].std(), rel=0.2)


@pytest.mark.parametrize("nothing", [0.0, -1.0, np.nan, np.inf, 0.05])
def test_where_a_map_says_nothing_the_signal_stays(nothing, calf, setup, smooth) -> None:
    masked = smooth.copy()
    masked[:, 35:45] = nothing
    for b1, receive in ((masked, None), (None, masked), (masked, smooth), (smooth, masked)):
        correction = with_maps(1.0, b1, receive, 60.0)
        assert not correction.covered[:, 35:45].any()
        assert correction.covered[:, :35].all() and correction.covered[:, 45:].all()
        assert np.all(correction.tissue[:, 35:45] == 1) and np.all(correction.tubes[:, 35:45] == 1)


def test_a_flip_angle_of_half_a_turn_says_nothing() -> None:
    b1 = np.array([[0.5, 1.0, 1.9, 2.2]])
    np.testing.assert_array_equal(with_maps(1.0, b1, None, 90.0).covered, [[True, True, True, False]])
    np.testing.assert_array_equal(with_maps(1.0, b1, None, 95.0).covered, [[True, True, False, False]])


def test_what_a_map_leaves_out_is_told(calf, setup) -> None:
    """A mask of the air is no loss, one of half of the object and of its tubes is."""
    noisy = calf + 8 * np.random.default_rng(0).standard_normal(calf.shape)
    whole = labels(random_calf(SEED), 80, 180.0) != Label.BACKGROUND
    for mask, low, high in ((whole, 0.0, 0.1), (np.arange(80)[None] < np.full((80, 1), 40), 0.3, 0.7)):
        got = concentration_map(noisy, PIXEL, setup, K_MAX, correction=with_maps(1.0, None, 1.0 * mask))
        assert low <= got.uncovered <= high
    tubes = random_calf(SEED).tubes
    assert set(got.uncovered_tubes) == {tube.concentration for tube in tubes if tube.centre[0] + 7 > 0}


@pytest.mark.parametrize(
    ("b1", "receive", "words"),
    [
        (np.zeros((4, 4)), None, "b1_map: holds no value above 0"),
        (None, np.full((4, 4), np.nan), "receive_map: holds no value above 0"),
        (np.full((4, 4), 98.0), None, "b1_map: its median is 98"),
        (np.full((4, 4), 0.02), None, r"b1_map: its median is 0\.02"),
    ],
)
def test_maps_that_cannot_be_are_told(b1, receive, words) -> None:
    with pytest.raises(BadInputError, match=words):
        with_maps(1.0, b1, receive, 60.0)


def test_a_nominal_flip_angle_without_signal_is_told() -> None:
    with pytest.raises(BadInputError, match="flip angle"):
        with_maps(1.0, np.ones((4, 4)), None, 180.0)
