"""Phases of averages and likeness of half-pulses, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.recon.averaging import KspaceAverager
from nadenoise_core.recon.phase import likeness, phase_loss

SIGNAL = np.exp(-np.linspace(0, 3, 400)) * np.exp(1j * np.linspace(0, 5, 400))


def averaged(phases, noise: float, seed: int = 0):
    """The mean of averages of one signal with phases in degrees, of 4 interleaves."""
    rng = np.random.default_rng(seed)
    averager = KspaceAverager((), slice(200, None))
    for average, phase in enumerate(phases):
        for interleaf in range(4):
            error = noise * (rng.standard_normal((1, 400)) + 1j * rng.standard_normal((1, 400)))
            samples = 100 * SIGNAL * np.exp(1j * np.radians(phase)) + error
            averager.add(average, interleaf, 0, samples.astype(np.complex64))
    return averager.average(len(phases), range(4), [0])


@pytest.mark.parametrize("degrees", [0.0, 60.0, 150.0])
@pytest.mark.parametrize("noise", [0.0, 5.0, 20.0])
def test_the_loss_is_what_cancels_in_the_mean(degrees, noise):
    phases = np.linspace(0, degrees, 30)
    truth = 1 - abs(np.exp(1j * np.radians(phases)).mean())
    loss = averaged(phases, noise).repeats.phase_loss
    assert loss.excess == pytest.approx(truth, abs=0.005)
    if noise:
        assert loss.certain(4) == (degrees > 0)


def test_alternating_averages_lose_half():
    assert averaged([0, 90] * 10, 5.0).repeats.phase_loss.excess == pytest.approx(1 - 0.5**0.5, abs=0.005)


def test_noise_alone_is_no_loss():
    """Where there is hardly any signal in an average, phases are drawn by noise: nothing is certain then."""
    certain = sum(averaged(np.zeros(20), 400.0, seed).repeats.phase_loss.certain(4) for seed in range(40))
    assert certain == 0


def test_averages_above_the_level_do_not_count():
    averager = KspaceAverager((2,), slice(200, None))
    rng = np.random.default_rng(1)
    for average, phase in enumerate((0, 0, 90, 90)):
        samples = 100 * SIGNAL * np.exp(1j * np.radians(phase)) + rng.standard_normal(400)
        averager.add(average, 0, 0, samples[None].astype(np.complex64))
    assert averager.average(2, [0], [0]).repeats.phase_loss.excess == pytest.approx(0, abs=1e-3)
    assert averager.average(4, [0], [0]).repeats.phase_loss.excess == pytest.approx(1 - 0.5**0.5, abs=1e-3)


def test_nothing_repeated_tells_nothing():
    assert not phase_loss({}, {}, float("nan")).certain(4)
    assert not phase_loss({1: 1j}, {1: 2.0}, float("nan")).certain(4)


@pytest.mark.parametrize("gain", [0.5, 1.0, 2j])
def test_a_multiple_is_told_whatever_the_noise(gain):
    rng = np.random.default_rng(2)
    noise = 0.03 * (rng.standard_normal((2, 400)) + 1j * rng.standard_normal((2, 400)))
    assert likeness(SIGNAL + noise[0], gain * SIGNAL + noise[1], 0.03**2) == pytest.approx(abs(gain), rel=0.02)
    assert likeness(SIGNAL, gain * SIGNAL, 0.0) == pytest.approx(abs(gain))


def test_other_shapes_and_mere_noise_are_no_multiples():
    rng = np.random.default_rng(3)
    outside = np.exp(-np.linspace(0, 1, 400)) * np.exp(1j * np.linspace(0, 9, 400))
    assert np.isnan(likeness(SIGNAL + 0.5 * outside, SIGNAL - 0.5 * outside, 0.0))
    noise = rng.standard_normal((2, 400)) + 1j * rng.standard_normal((2, 400))
    assert np.isnan(likeness(noise[0], noise[1], 1.0))
