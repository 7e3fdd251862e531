"""The designed spiral against the paper's numbers and the hardware limits it was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.sampling import PAPER_SPIRAL, SpiralDesign

SODIUM_HZ_PER_T = 11.262e6  # published; not taken from the code


def gradient_and_slew(
    k: np.ndarray, dwell_us: float, hz_per_t: float = SODIUM_HZ_PER_T
) -> tuple[np.ndarray, np.ndarray]:
    """Largest-arm gradient (mT/m) and slew rate (T/m/s) between samples, from k in cycles/mm."""
    seconds = dwell_us * 1e-6
    gradient = np.diff(k * 1e3, axis=1) / seconds / hz_per_t  # T/m
    slew = np.diff(gradient, axis=1) / seconds
    return np.linalg.norm(gradient, axis=-1) * 1e3, np.linalg.norm(slew, axis=-1)


@pytest.fixture(scope="module")
def k() -> np.ndarray:
    return PAPER_SPIRAL.trajectory()


def test_the_papers_numbers(k: np.ndarray) -> None:
    assert k.shape == (20, 510, 2)
    assert k.shape[1] * 14.8e-3 == pytest.approx(7.55, abs=0.005)  # ms
    turned = np.unwrap(np.arctan2(k[0, :, 1], k[0, :, 0]))
    assert 1.97 <= turned[-1] / (2 * np.pi) <= 1.98
    # The edge of matrix 80 is 40 / FOV; the last turn stands for half an interval beyond itself.
    assert np.linalg.norm(k[:, -1], axis=-1) * 180 == pytest.approx(39.5, abs=0.01)
    assert np.linalg.norm(k, axis=-1).max() * 180 <= 40


def test_twice_nyquist_along_the_readout(k: np.ndarray) -> None:
    steps = np.linalg.norm(np.diff(k, axis=1), axis=-1)
    assert steps.max() * 180 == pytest.approx(0.5, rel=1e-3)


def test_neighbouring_arms_are_one_nyquist_interval_apart(k: np.ndarray) -> None:
    radius = np.linalg.norm(k[0], axis=-1)
    angle = np.unwrap(np.arctan2(k[0, :, 1], k[0, :, 0]))
    # An arm moves outwards by 20 intervals, one for each arm, in a turn.
    np.testing.assert_allclose(radius * 180, 20 * angle / (2 * np.pi), atol=1e-3)


def test_arms_are_rotated_copies(k: np.ndarray) -> None:
    arms = k[..., 0] + 1j * k[..., 1]
    for number, arm in enumerate(arms):
        np.testing.assert_allclose(arm, arms[0] * np.exp(2j * np.pi * number / 20), atol=1e-12)


@pytest.mark.parametrize(
    ("design", "gradient"),
    [
        (PAPER_SPIRAL, 1e3 / (SODIUM_HZ_PER_T * 0.18 * 14.8e-6 * 2)),  # the readout bandwidth limits: 16.7 mT/m
        (SpiralDesign(max_gradient=8.0), 8.0),
        (SpiralDesign(matrix=64, field_of_view=220, interleaves=8, dwell_time=10, rise_time=20, max_gradient=10), 10.0),
    ],
)
def test_hardware_limits_are_reached_and_not_exceeded(design: SpiralDesign, gradient: float) -> None:
    # The last interval is cut where the arm ends, because of the delay.
    gradients, slews = gradient_and_slew(design.trajectory()[:, :-2], design.dwell_time)
    assert gradients.max() == pytest.approx(gradient, rel=2e-3)
    limit = 1e3 / design.rise_time  # T/m/s
    assert 0.9 * limit < slews.max() < 1.01 * limit


def test_a_proton_scan_needs_less_gradient_for_the_same_curve() -> None:
    """The same k-space by a nucleus of 3.7805 times the gamma takes gradient and slew 3.7805 times smaller."""
    ratio = 42.577479 / 11.261972
    proton = SpiralDesign(gamma=42.577479, max_gradient=24 / ratio, rise_time=8.125 * ratio)
    np.testing.assert_allclose(proton.trajectory(), PAPER_SPIRAL.trajectory(), atol=1e-9)


def test_a_delay_shifts_the_samples() -> None:
    dwell = PAPER_SPIRAL.dwell_time
    on_time = SpiralDesign(delay=0).trajectory()
    lag, lead = SpiralDesign(delay=dwell).trajectory(), SpiralDesign(delay=-dwell).trajectory()
    assert np.all(on_time[:, 0] == 0)
    assert np.all(lag[:, :2] == 0)
    np.testing.assert_allclose(lag[:, 1:], on_time[:, :-1], atol=1e-12)
    np.testing.assert_allclose(lead[:, :-1], on_time[:, 1:], atol=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        {"matrix": 0}, {"matrix": 1}, {"field_of_view": -180}, {"interleaves": 0}, {"max_gradient": 0},
        {"max_gradient": np.nan}, {"rise_time": 0}, {"rise_time": np.inf}, {"dwell_time": -1}, {"gamma": 0},
        {"oversampling": 0.5}, {"oversampling": np.nan}, {"delay": np.nan}, {"delay": np.inf},
    ],
)  # fmt: skip
def test_bad_parameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=next(iter(bad))):
        SpiralDesign(**bad)


@pytest.mark.parametrize(
    "change", [{"max_gradient": 1e-300}, {"max_gradient": 1e-3}, {"rise_time": 1e12}, {"matrix": 60000}]
)
def test_a_design_that_never_ends_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match="readout would take longer than 200 ms"):
        replace(PAPER_SPIRAL, **change).trajectory()


def test_more_than_a_counter_holds_is_refused() -> None:
    with pytest.raises(BadInputError, match="ISMRMRD counts to 65535"):
        replace(PAPER_SPIRAL, interleaves=2**32)
