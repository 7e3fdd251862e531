"""From an image to a map in mmol/L: phase, tubes given or found, standard error."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import CalibrationError
from nadenoise_core.phantom import TUBE_CONCENTRATIONS, Label, band_limited, labels, random_calf
from nadenoise_core.quantify.atsc import TubeSetup, concentration_map, locate_tubes
from nadenoise_core.quantify.phase import in_phase

PIXEL, K_MAX, SEED = (2.25, 2.25), 39.5 / 180, 4


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return band_limited(random_calf(SEED), 80, 180.0, K_MAX)


@pytest.fixture(scope="module")
def muscle() -> np.ndarray:
    return labels(random_calf(SEED), 80, 180.0, margin=3) == Label.MUSCLE


@pytest.fixture(scope="module")
def turning() -> np.ndarray:
    """A phase of two thirds of a turn over the field of view, as off-resonance makes it."""
    y, x = np.mgrid[-40:40, -40:40] / 80
    return np.exp(1j * (0.7 + 4 * x - 2 * y))


def test_in_phase_is_unbiased_where_a_magnitude_is_not(truth, muscle, turning) -> None:
    """Against the real part of the same images turned back by the true phase: Gaussian, with no bias at all.

    The error of the phase itself costs its cosine: some 3 % of the tube of 10 mmol/L, which stands alone.
    """
    rng, std = np.random.default_rng(0), 58 / np.sqrt(30)
    tube = labels(random_calf(SEED), 80, 180.0, margin=2) == Label.TUBE_1
    noisy = [truth * turning + std * rng.standard_normal((80, 80, 2)).view(complex)[..., 0] for _ in range(40)]
    real = np.mean([in_phase(image, PIXEL) for image in noisy], axis=0)
    perfect = np.mean([(image / turning).real for image in noisy], axis=0)
    magnitude = np.mean(np.abs(noisy), axis=0)
    for region, biased, lost in ((muscle, 0.1, 0.01), (tube, 0.3, 0.04)):
        true = truth[region].mean()
        assert (1 - lost) * perfect[region].mean() < real[region].mean() < 1.002 * perfect[region].mean()
        assert magnitude[region].mean() > (1 + biased) * true
    air = labels(random_calf(SEED), 80, 180.0, margin=8) == Label.BACKGROUND
    assert abs(real[air].mean()) < 0.03 * std
    assert magnitude[air].mean() == pytest.approx(np.sqrt(np.pi / 2) * std, rel=0.05)


def test_in_phase_undoes_a_smooth_phase(truth, muscle, turning) -> None:
    np.testing.assert_allclose(in_phase(truth * turning, PIXEL)[muscle], truth[muscle], rtol=0.02)


def test_a_real_image_is_left_alone(truth) -> None:
    np.testing.assert_array_equal(in_phase(truth.astype(np.float32), PIXEL), truth.astype(np.float32))


def setups() -> dict[str, TubeSetup]:
    calf = random_calf(SEED)
    y, x = np.mgrid[-40:40, -40:40] * 2.25
    drawn = np.zeros((80, 80), np.int64)
    for number, tube in enumerate(calf.tubes, start=1):
        drawn[np.hypot(x - tube.centre[0], y - tube.centre[1]) <= tube.diameter / 2] = number
    return {
        "found": TubeSetup(TUBE_CONCENTRATIONS),
        "diameter": TubeSetup(TUBE_CONCENTRATIONS, 20.0),
        "given": TubeSetup(TUBE_CONCENTRATIONS, 20.0, tuple(tube.centre for tube in calf.tubes)),
        "drawn": TubeSetup(TUBE_CONCENTRATIONS, labels=drawn),
    }


@pytest.mark.parametrize("how", ["found", "diameter", "given", "drawn"])
def test_a_map_of_a_noise_free_calf(truth, muscle, turning, how: str) -> None:
    """An arbitrary scale and phase of the scanner drop out."""
    got = concentration_map(0.037 * truth * turning, PIXEL, setups()[how], K_MAX)
    assert got.values.dtype == np.float32
    assert got.values[muscle].mean() == pytest.approx(truth[muscle].mean(), abs=0.35)
    assert got.calibration.slope == pytest.approx(0.037, rel=0.012)
    assert got.calibration.r2 > 0.999
    if how == "given":
        assert got.values[muscle].mean() == pytest.approx(truth[muscle].mean(), abs=0.15)
    for tube, true in zip(got.tubes, random_calf(SEED).tubes, strict=True):
        assert np.hypot(*np.subtract(tube.centre, true.centre)) < 1
        assert tube.diameter == pytest.approx(20, abs=1)


def test_noise_that_is_given_and_noise_that_is_measured(truth) -> None:
    rng = np.random.default_rng(0)
    image = truth + 3 * rng.standard_normal(truth.shape)
    known = concentration_map(image, PIXEL, setups()["given"], K_MAX, noise_std=3.0)
    measured = concentration_map(image, PIXEL, setups()["given"], K_MAX)
    assert known.noise_std == 3.0
    assert measured.noise_std == pytest.approx(3, rel=0.15)
    spread = (known.values - truth)[:12, :12].std()
    assert np.median(known.standard_error[:12, :12]) == pytest.approx(spread, rel=0.2)


def test_places_that_cannot_be(truth) -> None:
    setup = setups()["drawn"]
    setup.labels[setup.labels == 3] = 0
    with pytest.raises(CalibrationError, match="no label 3"):
        locate_tubes(truth, PIXEL, setup, K_MAX)
    centres = tuple(tube.centre for tube in random_calf(SEED).tubes)
    with pytest.raises(CalibrationError, match="without tube_diameter"):
        locate_tubes(truth, PIXEL, TubeSetup(TUBE_CONCENTRATIONS, None, centres), K_MAX)
    with pytest.raises(CalibrationError, match=r"\(0, 95\) mm lies outside"):
        locate_tubes(truth, PIXEL, TubeSetup(TUBE_CONCENTRATIONS, 20.0, (*centres[:4], (0.0, 95.0))), K_MAX)
