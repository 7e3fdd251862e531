"""Averages in k-space against numpy's mean, whatever the order; and the noise that they tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import RawDataError
from nadenoise_core.recon.averaging import KspaceAverager

ALL = slice(None)


def readouts(
    averages: int, interleaves: int, halves: int, coils: int = 2, samples: int = 5, seed: int = 0
) -> np.ndarray:
    """(averages, interleaves, halves, coils, samples) complex64."""
    parts = np.random.default_rng(seed).standard_normal((averages, interleaves, halves, coils, samples, 2))
    return parts.astype(np.float32).view(np.complex64)[..., 0]


def feed(averager: KspaceAverager, data: np.ndarray, keys=None) -> KspaceAverager:
    for key in np.ndindex(data.shape[:3]) if keys is None else keys:
        averager.add(*key, data[key])
    return averager


@st.composite
def arrivals(draw):
    """A small scan, the keys of its readouts in any order with some sent twice or thrice, and levels."""
    averages, interleaves, halves = (draw(st.integers(1, top)) for top in (6, 3, 2))
    keys = [(a, i, h) for a in range(averages) for i in range(interleaves) for h in range(halves)]
    again = draw(st.lists(st.sampled_from(keys), max_size=8))
    levels = draw(st.sets(st.integers(1, averages), max_size=3))
    return averages, interleaves, halves, draw(st.permutations(keys + again)), tuple(sorted(levels))


@settings(max_examples=80, deadline=None)
@given(arrivals())
def test_any_order_and_duplicates_give_the_mean(scan) -> None:
    averages, interleaves, halves, keys, levels = scan
    data = readouts(averages, interleaves, halves)
    averager = KspaceAverager(levels, ALL)
    taken = [averager.add(*key, data[key]) for key in keys]
    assert sum(taken) == averages * interleaves * halves
    assert (averager.averages, averager.interleaves, averager.half_pulses) == (averages, interleaves, halves)
    for level in {*levels, averages}:
        result = averager.average(level if level in levels else averages + 1, interleaves, halves)
        # Half-pulses are summed, averages averaged.
        expected = data[:level].astype(complex).mean(axis=0).sum(axis=1).swapaxes(0, 1)
        assert result.kspace.dtype == np.complex64
        np.testing.assert_allclose(result.kspace, expected, atol=1e-6)
        assert result.averages.tolist() == [level] * interleaves
        assert averager.missing(level, interleaves, halves) == {}
    for level in levels:
        assert averager.is_complete(level, interleaves * halves)


@settings(max_examples=30, deadline=None)
@given(st.permutations(list(np.ndindex(5, 2, 2))))
def test_a_level_is_complete_when_its_last_readout_has_come(keys) -> None:
    data = readouts(5, 2, 2)
    averager = KspaceAverager((2, 3), ALL)
    came: set[tuple[int, ...]] = set()
    for key in keys:
        averager.add(*key, data[key])
        came.add(key)
        for level in (2, 3):
            assert averager.is_complete(level, 4) == (came >= set(np.ndindex(level, 2, 2)))


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(list(np.ndindex(4, 3, 2))), min_size=1))
def test_what_is_missing_is_counted_and_named(keys) -> None:
    data = readouts(4, 3, 2)
    averager = feed(KspaceAverager((2,), ALL), data, sorted(keys))
    for level in (2, 4):
        lost = {}
        for i, h in np.ndindex(3, 2):
            count = level - sum((a, i, h) in keys for a in range(level))
            if count:
                lost[i, h] = count
        assert averager.missing(level, 3, 2) == lost
    empty = [i for i in range(3) if any(not any((a, i, h) in keys for a in range(4)) for h in range(2))]
    if empty:
        with pytest.raises(RawDataError, match=f"interleaf {', '.join(map(str, empty))} of 3"):
            averager.average(5, 3, 2)
    else:
        result = averager.average(5, 3, 2)
        counts = [[sum((a, i, h) in keys for a in range(4)) for h in range(2)] for i in range(3)]
        assert result.averages.tolist() == [min(pair) for pair in counts]
        for i in range(3):
            halves = [data[[a for a in range(4) if (a, i, h) in keys], i, h].mean(axis=0) for h in range(2)]
            np.testing.assert_allclose(result.kspace[:, i], sum(halves), atol=1e-6)


def test_an_interleaf_that_came_only_after_the_level_is_missing_in_it() -> None:
    averager = feed(KspaceAverager((2,), ALL), readouts(3, 2, 1), [(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 0)])
    with pytest.raises(RawDataError, match="interleaf 1 of 2"):
        averager.average(2, 2, 1)


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("signal", [0.0, 3.0, 3e4])
def test_the_repeats_tell_the_noise(halves: int, signal: float) -> None:
    sigma, averages = 2.5, 12
    rng = np.random.default_rng(1)
    object_ = signal * np.exp(2j * np.pi * rng.uniform(size=(4, halves, 2, 300)))
    data = (object_ + sigma * readouts(averages, 4, halves, 2, 300, seed=2)).astype(np.complex64)
    result = feed(KspaceAverager((), slice(100, None)), data).average(averages, 4, halves)
    freedom = 2 * 4 * halves * 2 * 200 * (averages - 1)
    expected = sigma * np.sqrt(halves / averages)
    np.testing.assert_allclose(result.noise_std, expected, rtol=4 / np.sqrt(2 * freedom))
    # It is the noise of what was given out: that of the mean, of the summed half-pulses.
    left = result.kspace - object_.sum(axis=1).swapaxes(0, 1)
    assert left.real.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * left.size))


def test_an_interleaf_with_fewer_averages_is_noisier() -> None:
    data = readouts(16, 2, 1, 2, 500)
    keys = [key for key in np.ndindex(16, 2, 1) if key[1] == 0 or key[0] < 4]
    result = feed(KspaceAverager((), ALL), data, keys).average(16, 2, 1)
    np.testing.assert_allclose(result.noise_std, [1 / 4, 1 / 2], rtol=0.02)


def test_drift_of_the_signal_in_the_centre_is_no_noise() -> None:
    """The signal falls outwards, as that of a leg does, and turns by 60 degrees during the scan."""
    averages = 30
    decay = 200 / (1 + np.arange(400)) ** 1.5
    turn = np.exp(1j * np.radians(60) * np.arange(averages) / averages)
    data = readouts(averages, 3, 1, 1, 400) + turn[:, None, None, None, None] * decay
    outer = feed(KspaceAverager((), slice(200, None)), data.astype(np.complex64)).average(averages, 3, 1)
    np.testing.assert_allclose(outer.noise_std, 1 / np.sqrt(averages), rtol=0.02)
    whole = feed(KspaceAverager((), ALL), data.astype(np.complex64)).average(averages, 3, 1)
    assert whole.noise_std[0] > 1.1 / np.sqrt(averages)


def test_noise_without_repeats_is_unknown() -> None:
    result = feed(KspaceAverager((), ALL), readouts(1, 2, 2)).average(1, 2, 2)
    assert np.isnan(result.noise_std).all()


@pytest.mark.parametrize("degrees", [-60.0, 0.0, 25.0, 80.0])
def test_phase_between_half_pulses(degrees: float) -> None:
    first = 10 * readouts(1, 4, 1, 2, 200, seed=5)
    turned = first * np.exp(1j * np.radians(degrees))
    data = np.concatenate([first, turned], axis=2).repeat(6, axis=0) + readouts(6, 4, 2, 2, 200, seed=6)
    averager = feed(KspaceAverager((), ALL), data.astype(np.complex64))
    plain, corrected = averager.average(6, 4, 2), averager.average(6, 4, 2, correct_half_pulse_phase=True)
    assert plain.half_pulse_phase == pytest.approx(degrees, abs=0.3)
    together = 2 * first[0, :, 0].swapaxes(0, 1)
    gain = np.vdot(together, plain.kspace) / np.vdot(together, together)
    assert abs(gain) == pytest.approx(np.cos(np.radians(degrees / 2)), abs=0.01)
    gain = np.vdot(together, corrected.kspace) / np.vdot(together, together)
    assert gain == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(plain.noise_std, corrected.noise_std)


@pytest.mark.parametrize("strength", [0.2, 0.75, 1.5])
def test_the_phase_between_half_pulses_survives_what_lies_outside_the_slice(strength: float) -> None:
    """The halves are a/2 + o and a/2 - o: where o is strong, their product points the other way."""
    rng = np.random.default_rng(7)
    inside, outside = (rng.standard_normal((1, 4, 1, 2, 2000)) for _ in range(2))
    halves = [inside / 2 + strength * outside, (inside / 2 - strength * outside) * np.exp(1j * np.radians(20))]
    data = np.concatenate(halves, axis=2).repeat(6, axis=0) * 10 + readouts(6, 4, 2, 2, 2000, seed=6)
    result = feed(KspaceAverager((), ALL), data.astype(np.complex64)).average(6, 4, 2)
    assert result.half_pulse_phase == pytest.approx(20, abs=4)


def test_the_error_of_the_phase_is_its_scatter() -> None:
    first = 0.3 * readouts(1, 4, 1, 2, 200, seed=5)
    results = []
    for seed in range(60):
        noisy = np.concatenate([first, first], axis=2).repeat(6, axis=0) + readouts(6, 4, 2, 2, 200, seed=100 + seed)
        results.append(feed(KspaceAverager((), ALL), noisy.astype(np.complex64)).average(6, 4, 2))
    scatter = np.std([result.half_pulse_phase for result in results])
    assert np.mean([result.half_pulse_phase_error for result in results]) == pytest.approx(scatter, rel=0.3)


def test_no_phase_without_half_pulses() -> None:
    assert feed(KspaceAverager((), ALL), readouts(2, 2, 1)).average(2, 2, 1).half_pulse_phase == 0


def test_an_average_does_not_disturb_the_sums() -> None:
    data = readouts(4, 2, 2)
    averager = feed(KspaceAverager((2,), ALL), data[:2])
    for _ in range(2):
        early = averager.average(2, 2, 2, correct_half_pulse_phase=True)
    feed(averager, data, [key for key in np.ndindex(4, 2, 2) if key[0] >= 2])
    np.testing.assert_array_equal(averager.average(2, 2, 2, correct_half_pulse_phase=True).kspace, early.kspace)
    expected = data.mean(axis=0).sum(axis=1).swapaxes(0, 1)
    np.testing.assert_allclose(averager.average(5, 2, 2).kspace, expected, atol=1e-6)


def stored_arrays(thing: object) -> int:
    if isinstance(thing, np.ndarray):
        return 1
    if isinstance(thing, dict):
        return sum(stored_arrays(value) for value in thing.values())
    if isinstance(thing, list | tuple):
        return sum(stored_arrays(value) for value in thing)
    return sum(stored_arrays(value) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 0


def test_memory_does_not_grow_with_averages() -> None:
    short, long = (
        stored_arrays(feed(KspaceAverager((2, 4), ALL), readouts(averages, 3, 2, 1, 4))) for averages in (6, 150)
    )
    assert short == long == 3 * 2 * 3 * 2  # interleaves, half-pulses, spans between levels; sum and power of each
