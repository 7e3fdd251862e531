"""Samples that were cut at a value are told from those that were not, of decays with and without noise."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.recon.limit import samples_at_limit

REST = 10  # samples at the centre of k-space
MANY = 2  # samples of a readout that are cut


def decays(noise: float, phase: float = 0.2, strengths: tuple[float, ...] = (1.0,)):
    """(readouts, coils, samples): a signal of 100 that rests, then decays and turns."""
    rng = np.random.default_rng(3)
    time = np.maximum(np.arange(400) - REST, 0)
    signal = 100 * np.exp(-time / 50 + 1j * (phase + time / 80))
    samples = np.resize(strengths, 20)[:, None] * signal
    samples = samples + noise * (rng.standard_normal(samples.shape) + 1j * rng.standard_normal(samples.shape))
    return samples.astype(np.complex64)[:, None]


def values(samples):
    return samples.view(np.float32)


def in_steps(samples, step):
    return (step * np.round(values(samples) / step)).astype(np.float32).view(np.complex64)


def with_bits(samples, bits):
    """As floats of few bits, such as of half precision, hold them."""
    mantissa, exponent = np.frexp(values(samples))
    return np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent).astype(np.float32).view(np.complex64)


@pytest.mark.parametrize("noise", [0.0, 0.05, 1.5])
@pytest.mark.parametrize("phase", [0.2, np.pi / 2])
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("strengths", [(1.0,), (1.0, 0.5)])
def test_a_good_scan_is_not_doubted_in_any_precision(noise, phase, is_known, strengths):
    samples = decays(noise, phase, strengths)
    forms = [samples, *(in_steps(samples, step) for step in (1, 0.1, 1e-3)), *(with_bits(samples, n) for n in (8, 11))]
    for form in forms:
        scaled = [form, 1.2345e-5 * form, np.concatenate([form, 0 * form], axis=1)]
        variances = [noise**2, 1.2345e-10 * noise**2, noise**2]
        for given, variance in zip(scaled, variances, strict=True):
            assert samples_at_limit(given, variance if is_known else np.nan) < MANY


@pytest.mark.parametrize("count", [1, 4, 20])
def test_whole_numbers_may_be_the_same_by_chance(count):
    rng = np.random.default_rng(5)
    for _ in range(100):
        rest = 100 + 2 * (rng.standard_normal((count, 1, 50)) + 1j * rng.standard_normal((count, 1, 50)))
        assert samples_at_limit(in_steps(rest.astype(np.complex64), 1), 2.0**2) < MANY


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("phase", [0.2, np.pi / 4])
@pytest.mark.parametrize("strengths", [(1.0,), (1.0, 0.5)])
@pytest.mark.parametrize("coils", [1, 3])
def test_parts_that_were_cut_are_counted(is_known, phase, strengths, coils):
    noise, limit = 1.5, 60.0
    samples = decays(noise, phase, strengths)
    cut = np.clip(values(samples), -limit, limit).view(np.complex64)
    beyond = (np.abs(values(samples)) >= limit).reshape(20, 400, 2).any(axis=2).sum(axis=1)
    weaker = [0.5 * decays(noise, phase + coil) for coil in range(coils - 1)]
    found = samples_at_limit(np.concatenate([*weaker, cut], axis=1), noise**2 if is_known else np.nan)
    assert found == np.quantile(beyond, 0.75) > MANY


def test_whole_numbers_that_were_cut_are_counted_where_noise_is_known():
    samples = in_steps(decays(1.5), 1)
    cut = np.clip(values(samples), -60, 60).view(np.complex64)
    assert samples_at_limit(cut, 1.5**2) > MANY
    assert samples_at_limit(cut, np.nan) == 0


def test_so_are_magnitudes_that_were_cut():
    samples = decays(1.5)
    cut = samples * np.minimum(1, 60 / np.abs(samples))
    beyond = (np.abs(samples[:, 0]) >= 60).sum(axis=1)
    assert samples_at_limit(cut, 1.5**2) == np.quantile(beyond, 0.75) > MANY


def test_one_readout_that_was_cut_does_not_condemn_the_others():
    samples = decays(1.5)
    samples[7] = np.clip(2 * values(samples[7]), -150, 150).view(np.complex64)
    assert samples_at_limit(samples, 1.5**2) == 0
