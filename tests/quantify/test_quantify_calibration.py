"""The calibration line against scipy and numpy, and its standard error against a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress

from nadenoise_core.errors import CalibrationError
from nadenoise_core.quantify.calibration import fit_calibration

TUBES = (10.0, 25.0, 50.0, 75.0, 100.0)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.01, 1e4),
    st.floats(-20, 20),
    st.lists(st.floats(5, 150), min_size=3, max_size=8, unique_by=lambda c: round(c)),
    st.integers(0, 1000),
)
def test_the_line_is_that_of_linear_regression(slope, intercept, concentrations, seed) -> None:
    c = np.array(concentrations)
    scatter = 0.05 * np.ptp(c) * np.clip(np.random.default_rng(seed).standard_normal(c.size), -2, 2)
    signals = slope * (c + intercept + scatter)
    line, theirs = fit_calibration(c, signals), linregress(c, signals)
    assert line.slope == pytest.approx(theirs.slope, rel=1e-9)
    assert line.intercept == pytest.approx(theirs.intercept, rel=1e-7, abs=1e-7 * slope)
    assert line.r2 == pytest.approx(theirs.rvalue**2, rel=1e-9)
    np.testing.assert_allclose(
        np.sqrt(np.diag(line.covariance)), [theirs.stderr, theirs.intercept_stderr], rtol=1e-5, atol=1e-9 * slope
    )
    np.testing.assert_allclose(line.concentration(line.slope * c + line.intercept), c)


def test_the_whole_covariance() -> None:
    signals = np.array([32.0, 80.0, 148.0, 231.0, 299.0])
    _, theirs = np.polyfit(TUBES, signals, 1, cov=True)
    np.testing.assert_allclose(fit_calibration(TUBES, signals).covariance, theirs, rtol=1e-9)


@pytest.mark.parametrize("pixels", [1.0, 25.0])
@pytest.mark.parametrize("truth", [0.0, 20.0, 60.0])
def test_the_standard_error_is_the_scatter_of_repeated_scans(truth: float, pixels: float) -> None:
    slope, intercept, tube_std, pixel_std = 3.0, 5.0, 4.0, 9.0
    rng = np.random.default_rng(0)
    got, claimed = [], []
    for _ in range(3000):
        line = fit_calibration(TUBES, slope * np.array(TUBES) + intercept + tube_std * rng.standard_normal(5))
        signal = slope * truth + intercept + pixel_std / np.sqrt(pixels) * rng.standard_normal()
        got.append(line.concentration(np.array(signal)))
        claimed.append(line.standard_error(np.array(truth), pixel_std, pixels))
    assert np.sqrt(np.mean(np.square(claimed))) == pytest.approx(np.std(got), rel=0.06)
    assert np.mean(got) == pytest.approx(truth, abs=0.15)


def test_perfect_tubes_leave_the_noise_alone() -> None:
    line = fit_calibration(TUBES, 2 * np.array(TUBES) - 1)
    assert line.r2 == pytest.approx(1)
    np.testing.assert_allclose(line.standard_error(np.array([[0.0, 50.0]]), 6.0, 9.0), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("concentrations", "signals", "words"),
    [
        ((10, 100), (1, 10), "at least three"),
        ((50, 50, 50), (1, 2, 3), "at least three"),
        (TUBES, (5, 4, 3, 2, 1), "slope -"),
        (TUBES, (1, 9, 2, 8, 4), "R2"),
        (TUBES, (3, 3, 3, 3, 3), "calibration line"),
        (TUBES, (1, 2, np.nan, 4, 5), "calibration line"),
    ],
)
def test_what_is_no_calibration_line(concentrations, signals, words: str) -> None:
    with pytest.raises(CalibrationError, match=words):
        fit_calibration(concentrations, signals)


def test_the_line_through_zero() -> None:
    c, signals = np.array(TUBES), np.array([32.0, 80.0, 148.0, 231.0, 299.0])
    line = fit_calibration(TUBES, signals, through_zero=True)
    slope = (c @ signals) / (c @ c)
    variance = np.sum((signals - slope * c) ** 2) / 4 / (c @ c)
    assert (line.slope, line.intercept) == (pytest.approx(slope), 0)
    np.testing.assert_allclose(line.covariance, [[variance, 0], [0, 0]])
    np.testing.assert_allclose(line.standard_error(np.array(20.0), 0.0), 20 * np.sqrt(variance) / slope)
