"""Relaxation against the Bloch equations step by step, and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.quantify.relaxation import decay, saturation_factor, steady_state, t2_star_factor


def after_many_pulses(flip_angle: float, repetition_time: float, t1: float) -> float:
    """Transverse signal of the last of 4000 excitations, of a magnetisation that is spoiled between them."""
    angle, left, z = np.deg2rad(flip_angle), np.exp(-repetition_time / t1), 1.0
    for _ in range(4000):
        signal, z = z * np.sin(angle), z * np.cos(angle)
        z = 1 + (z - 1) * left
    return signal


@pytest.mark.parametrize("flip_angle", [5.0, 30.0, 54.7, 90.0, 120.0])
@pytest.mark.parametrize("t1", [5.0, 35.0, 55.0, 900.0])
def test_the_steady_state_is_that_of_many_pulses(flip_angle, t1) -> None:
    for repetition_time in (10.0, 100.0):
        expected = after_many_pulses(flip_angle, repetition_time, t1)
        assert steady_state(flip_angle, repetition_time, t1) == pytest.approx(expected, rel=1e-9)


def test_without_t1_there_is_no_saturation() -> None:
    np.testing.assert_allclose(steady_state(np.array([30.0, 90.0]), 100.0, 0.0), [0.5, 1.0])


def test_muscle_against_tubes_at_90_degrees() -> None:
    """(1 - exp(-100/55)) / (1 - exp(-100/35)) = 0.837679 / 0.942567: uncorrected, muscle reads 12.5 % high."""
    factor = saturation_factor(90.0, 100.0, tissue_t1=35.0, tube_t1=55.0)
    assert factor == pytest.approx(0.888721, abs=2e-6)
    assert 1 / factor - 1 == pytest.approx(0.125, abs=1e-3)
    assert saturation_factor(60.0, 100.0, 40.0, 40.0) == 1.0


def test_decay_of_two_components() -> None:
    """0.6 exp(-0.23/3) + 0.4 exp(-0.23/15) = 0.6 * 0.926198 + 0.4 * 0.984784; the tubes have exp(-0.23/40)."""
    assert decay(0.23, (3.0, 15.0), (0.6, 0.4)) == pytest.approx(0.949632, abs=2e-6)
    assert t2_star_factor(0.23, (3.0, 15.0), (40.0,), 0.6) == pytest.approx(0.994266 / 0.949632, abs=3e-6)
    assert t2_star_factor(0.23, (3.0, 15.0), (15.0,), 0.0) == pytest.approx(1.0)
    assert t2_star_factor(0.23, (3.0, 15.0), (3.0, 15.0), 0.6) == pytest.approx(1.0)


@pytest.mark.parametrize("flip_angle", [0.0, -10.0, 180.0])
def test_flip_angles_without_signal_are_told(flip_angle) -> None:
    with pytest.raises(BadInputError, match="flip angle is .* between 0 and 180"):
        saturation_factor(flip_angle, 100.0, 35.0, 55.0)
