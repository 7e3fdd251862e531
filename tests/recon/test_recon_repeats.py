"""How averages compare with the first of them: strength, agreement and scatter that were put in."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.recon.averaging import KspaceAverager

SIGNAL = 100 * np.exp(-np.linspace(0, 8, 400)) * np.exp(1j * np.linspace(0, 5, 400))
INTERLEAVES = range(3, 9)


def repeats(factors, noise: float = 3.0, spike: int | None = None):
    """Of averages of one signal times factors, each a number or one an interleaf; a spike in one interleaf."""
    rng = np.random.default_rng(1)
    averager = KspaceAverager((), slice(200, None))
    for average, factor in enumerate(factors):
        for interleaf, times in zip(INTERLEAVES, np.broadcast_to(factor, len(INTERLEAVES)), strict=True):
            samples = times * SIGNAL + noise * (rng.standard_normal(400) + 1j * rng.standard_normal(400))
            samples[300] += 100 * (average == 1 and interleaf == spike)
            averager.add(average, interleaf, 0, samples[None].astype(np.complex64))
    return averager.average(len(factors), INTERLEAVES, [0]).repeats


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_the_average_that_is_stronger_or_weaker_is_told(strength):
    found = repeats([1, 1, strength, 1])
    assert found.strangest == 2
    assert found.strength == pytest.approx(strength, abs=0.05)


def test_a_first_one_of_noise_alone_is_told_by_the_others():
    assert repeats([0, 1, 1]).strength > 10


@pytest.mark.parametrize("noise", [0.0, 3.0, 100.0])
def test_equal_averages_are_alike_whatever_the_noise(noise):
    found = repeats([1] * 5, noise)
    assert found.strength == pytest.approx(1, abs=0.05)
    assert found.uneven == 1
    assert np.isnan(found.agreement) if noise == 100 else found.agreement == pytest.approx(1, abs=0.02)


def test_phases_that_run_on_leave_no_agreement():
    turns = np.exp(2j * np.pi * np.random.default_rng(2).random((6, len(INTERLEAVES))))
    assert repeats(list(turns)).agreement < 0.5
    assert repeats([1, -1, 1j]).agreement == pytest.approx(1, abs=0.02)  # a phase of all is another matter


def test_a_spike_is_told_with_its_interleaf():
    found = repeats([1, 1, 1], spike=5)
    assert INTERLEAVES[0] + 2 == found.uneven_interleaf == 5
    scatter = 200 * 2 * 2 * 3.0**2  # of the others: samples, repeats but one, noise power
    assert found.uneven == pytest.approx(1 + 100**2 * (1 - 1 / 3) / scatter, rel=0.3)


@pytest.mark.parametrize(
    ("kernel", "expected"), [([1.0], 0.0), ([0.25, 0.5, 0.25], 2 / 3), ([0.1, 0.8, 0.1], 0.16 / 0.66)]
)
def test_noise_that_a_filter_made_alike_in_neighbours_is_told(kernel, expected):
    """Correlation of white noise after a filter: that of the filter with itself, one sample on."""
    rng = np.random.default_rng(4)
    averager = KspaceAverager((), slice(200, None))
    for average, interleaf in np.ndindex(4, 6):
        noise = np.convolve(rng.standard_normal(420) + 1j * rng.standard_normal(420), kernel, "same")[10:410]
        averager.add(average, interleaf, 0, (SIGNAL + 3 * noise)[None].astype(np.complex64))
    found = averager.average(4, range(6), [0]).repeats.noise_correlation
    assert found == pytest.approx(expected, abs=0.05)
