"""Averages in k-space against numpy's mean, whatever the order; and the noise that they tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import RawDataError
from nadenoise_core.recon.averaged import AveragedKspace
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
    assert (averager.averages, averager.interleaves, averager.half_pulses) == (
        averages,
        tuple(range(interleaves)),
        tuple(range(halves)),
    )
    for level in {*levels, averages}:
        result = averager.average(level if level in levels else averages + 1, range(interleaves), range(halves))
        # Half-pulses are summed, averages averaged.
        expected = data[:level].astype(complex).mean(axis=0).sum(axis=1).swapaxes(0, 1)
        assert result.kspace.dtype == np.complex64
        np.testing.assert_allclose(result.kspace, expected, atol=1e-6)
        assert result.averages.tolist() == [level] * interleaves
        assert averager.missing(level, range(interleaves), range(halves)) == {}
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
        assert averager.missing(level, range(3), range(2)) == lost
    empty = [i for i in range(3) if any(not any((a, i, h) in keys for a in range(4)) for h in range(2))]
    if empty:
        came = [{i for _, i, h in keys if h == half} for half in range(2)]
        one_half = set() in came and {0, 1, 2} in came
        named = f"half-pulse {came.index(set())} never" if one_half else f"interleaf {', '.join(map(str, empty))} of 3"
        with pytest.raises(RawDataError, match=named):
            averager.average(5, range(3), range(2))
    else:
        result = averager.average(5, range(3), range(2))
        counts = [[sum((a, i, h) in keys for a in range(4)) for h in range(2)] for i in range(3)]
        assert result.averages.tolist() == [min(pair) for pair in counts]
        for i in range(3):
            halves = [data[[a for a in range(4) if (a, i, h) in keys], i, h].mean(axis=0) for h in range(2)]
            np.testing.assert_allclose(result.kspace[:, i], sum(halves), atol=1e-6)


def test_an_interleaf_that_came_only_after_the_level_is_missing_in_it() -> None:
    averager = feed(KspaceAverager((2,), ALL), readouts(3, 2, 1), [(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 1, 0)])
    with pytest.raises(RawDataError, match="interleaf 1 of 2"):
        averager.average(2, range(2), range(1))


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("signal", [0.0, 3.0, 3e4])
def test_the_repeats_tell_the_noise(halves: int, signal: float) -> None:
    sigma, averages = 2.5, 12
    rng = np.random.default_rng(1)
    object_ = signal * np.exp(2j * np.pi * rng.uniform(size=(4, halves, 2, 300)))
    data = (object_ + sigma * readouts(averages, 4, halves, 2, 300, seed=2)).astype(np.complex64)
    result = feed(KspaceAverager((), slice(100, None)), data).average(averages, range(4), range(halves))
    freedom = 2 * 4 * halves * 2 * 200 * (averages - 1)
    expected = sigma * np.sqrt(halves / averages)
    np.testing.assert_allclose(result.noise_std, expected, rtol=4 / np.sqrt(2 * freedom))
    # It is the noise of what was given out: that of the mean, of the summed half-pulses.
    left = result.kspace - object_.sum(axis=1).swapaxes(0, 1)
    assert left.real.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * left.size))


def test_an_interleaf_with_fewer_averages_is_noisier() -> None:
    data = readouts(16, 2, 1, 2, 500)
    keys = [key for key in np.ndindex(16, 2, 1) if key[1] == 0 or key[0] < 4]
    result = feed(KspaceAverager((), ALL), data, keys).average(16, range(2), range(1))
    np.testing.assert_allclose(result.noise_std, [1 / 4, 1 / 2], rtol=0.02)


def test_drift_of_the_signal_in_the_centre_is_no_noise() -> None:
    """The signal falls outwards, as that of a leg does, and turns by 60 degrees during the scan."""
    averages = 30
    decay = 200 / (1 + np.arange(400)) ** 1.5
    turn = np.exp(1j * np.radians(60) * np.arange(averages) / averages)
    data = readouts(averages, 3, 1, 1, 400) + turn[:, None, None, None, None] * decay
    outer = feed(KspaceAverager((), slice(200, None)), data.astype(np.complex64)).average(averages, range(3), range(1))
    np.testing.assert_allclose(outer.noise_std, 1 / np.sqrt(averages), rtol=0.02)
    whole = feed(KspaceAverager((), ALL), data.astype(np.complex64)).average(averages, range(3), range(1))
    assert whole.noise_std[0] > 1.1 / np.sqrt(averages)


def test_noise_without_repeats_is_unknown() -> None:
    result = feed(KspaceAverager((), ALL), readouts(1, 2, 2)).average(1, range(2), range(2))
    assert np.isnan(result.noise_std).all()


@pytest.mark.parametrize("degrees", [-60.0, 0.0, 25.0, 80.0])
def test_phase_between_half_pulses(degrees: float) -> None:
    first = 10 * readouts(1, 4, 1, 2, 200, seed=5)
    turned = first * np.exp(1j * np.radians(degrees))
    data = np.concatenate([first, turned], axis=2).repeat(6, axis=0) + readouts(6, 4, 2, 2, 200, seed=6)
    averager = feed(KspaceAverager((), ALL), data.astype(np.complex64))
    plain, corrected = (
        averager.average(6, range(4), range(2)),
        averager.average(6, range(4), range(2), correct_half_pulse_phase=True),
    )
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
    result = feed(KspaceAverager((), ALL), data.astype(np.complex64)).average(6, range(4), range(2))
    assert result.half_pulse_phase == pytest.approx(20, abs=4)


def test_the_error_of_the_phase_is_its_scatter() -> None:
    first = 0.3 * readouts(1, 4, 1, 2, 200, seed=5)
    results = []
    for seed in range(60):
        noisy = np.concatenate([first, first], axis=2).repeat(6, axis=0) + readouts(6, 4, 2, 2, 200, seed=100 + seed)
        results.append(feed(KspaceAverager((), ALL), noisy.astype(np.complex64)).average(6, range(4), range(2)))
    scatter = np.std([result.half_pulse_phase for result in results])
    assert np.mean([result.half_pulse_phase_error for result in results]) == pytest.approx(scatter, rel=0.3)


def test_no_phase_without_half_pulses() -> None:
    assert feed(KspaceAverager((), ALL), readouts(2, 2, 1)).average(2, range(2), range(1)).half_pulse_phase == 0


def test_an_average_does_not_disturb_the_sums() -> None:
    data = readouts(4, 2, 2)
    averager = feed(KspaceAverager((2,), ALL), data[:2])
    for _ in range(2):
        early = averager.average(2, range(2), range(2), correct_half_pulse_phase=True)
    feed(averager, data, [key for key in np.ndindex(4, 2, 2) if key[0] >= 2])
    np.testing.assert_array_equal(
        averager.average(2, range(2), range(2), correct_half_pulse_phase=True).kspace, early.kspace
    )
    expected = data.mean(axis=0).sum(axis=1).swapaxes(0, 1)
    np.testing.assert_allclose(averager.average(5, range(2), range(2)).kspace, expected, atol=1e-6)


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
    assert (
        short == long == 3 * 2 * (3 * 2 + 1)
    )  # interleaves, half-pulses; spans with sum and power of each, and the first


MIXING = np.array([[3, 0, 0, 0], [1, 2, 0, 0], [0.5j, 1, 1, 0], [0, 0, 1j, 5]])


def scan_of_coils(mixing: np.ndarray, averages: int = 10, signal: float = 50.0, **shape: int) -> AveragedKspace:
    """The average of a scan whose coils' noise is `mixing` times white noise of standard deviation 1."""
    coils = len(mixing)
    noise = readouts(averages, 4, 2, coils, shape.get("samples", 400), seed=3)
    object_ = signal * readouts(1, 4, 2, coils, noise.shape[-1], seed=4)
    data = (object_ + np.einsum("cd,aihds->aihcs", mixing, noise)).astype(np.complex64)
    return feed(KspaceAverager((), ALL), data).average(averages, range(4), range(2))


def test_the_repeats_tell_the_covariance_of_the_coils() -> None:
    expected = 2 * MIXING @ MIXING.conj().T
    scale = np.sqrt(np.outer(expected.diagonal().real, expected.diagonal().real))
    np.testing.assert_allclose(scan_of_coils(MIXING).noise_covariance / scale, expected / scale, atol=0.02)


def test_correlated_coils_of_unequal_noise_come_out_white() -> None:
    """The signal drops out of the difference of two scans of the same object; a factor of the mean of 10 is left."""
    averaged = scan_of_coils(MIXING)
    whitened = averaged.whitened()
    noise = scan_of_coils(MIXING, signal=0.0)
    left = np.einsum("cd,dis->cis", recovered(averaged, whitened), noise.kspace).reshape(4, -1)
    covariance = left @ left.conj().T / left.shape[1]
    std = whitened.noise_std[0]
    np.testing.assert_allclose(covariance / (2 * std**2), np.eye(4), atol=0.1)
    # Half-pulses are summed, so that the noise of an interleaf is that of a readout times sqrt(2 / 10).
    assert std == pytest.approx(np.sqrt(np.mean(np.sum(np.abs(MIXING) ** 2, axis=1)) * 2 / 10), rel=0.02)
    np.testing.assert_allclose(
        whitened.noise_covariance, np.trace(averaged.noise_covariance) / 4 * np.eye(4), rtol=1e-6, atol=1e-9
    )
    assert whitened.kspace.dtype == np.complex64
    np.testing.assert_array_equal(whitened.noise_std, averaged.noise_std)
    assert whitened.whitened() is whitened


def recovered(before: AveragedKspace, after: AveragedKspace) -> np.ndarray:
    """The matrix (coils, coils) that made one k-space of the other."""
    flat = [np.asarray(one.kspace, complex).reshape(len(one.kspace), -1).T for one in (before, after)]
    matrix, residual = np.linalg.lstsq(*flat, rcond=None)[:2]
    assert residual.max() < 1e-6 * np.linalg.norm(flat[1]) ** 2
    return matrix.T


@pytest.mark.parametrize("scale", [1e-5, 1.0, 300.0])
def test_white_coils_pass_bit_for_bit(scale: float) -> None:
    averaged = scan_of_coils(scale * np.eye(4))
    assert averaged.whitened() is averaged


def test_one_coil_passes_bit_for_bit() -> None:
    averaged = scan_of_coils(np.array([[7.0]]))
    assert averaged.whitened() is averaged


def test_images_of_few_and_many_averages_stay_on_one_scale() -> None:
    """Coils that are only just white, or not: whether they are whitened must not show in the intensity."""
    mixing = np.diag([1.0, 1.0, 1.0, np.sqrt(1.06)])
    object_ = 50 * readouts(1, 4, 2, 4, 200, seed=4)
    energies, kept = [], []
    for averages in range(3, 40, 3):
        noise = np.einsum("cd,aihds->aihcs", mixing, readouts(averages, 4, 2, 4, 200, seed=averages))
        averaged = feed(KspaceAverager((), ALL), (object_ + noise).astype(np.complex64)).average(
            averages, range(4), range(2)
        )
        kept.append(averaged.whitened() is averaged)
        energies.append(np.linalg.norm(averaged.whitened().kspace))
    assert 0 < sum(kept) < len(kept)
    np.testing.assert_allclose(energies, energies[0], rtol=0.01)


@pytest.mark.parametrize("averages", [1, 5])
def test_without_noise_there_is_nothing_to_whiten(averages: int) -> None:
    averaged = scan_of_coils(np.zeros((4, 4)), averages)
    assert averaged.whitened() is averaged
    np.testing.assert_array_equal(averaged.noise_std, np.nan if averages == 1 else 0.0)


def test_a_single_average_is_not_whitened() -> None:
    averaged = scan_of_coils(MIXING, averages=1)
    assert np.isnan(averaged.noise_covariance).all()
    assert averaged.whitened() is averaged


def test_too_few_repeats_for_so_many_coils_are_not_whitened() -> None:
    data = readouts(2, 1, 1, 8, 5)
    averaged = feed(KspaceAverager((), ALL), data).average(2, range(1), range(1))
    assert np.isnan(averaged.noise_covariance).all() and np.isnan(averaged.noise_std).all()
    assert averaged.whitened() is averaged


@pytest.mark.parametrize("mixing", [MIXING, np.eye(4)], ids=["correlated", "white"])
def test_a_silent_coil_stays_silent_and_the_others_are_whitened(mixing: np.ndarray) -> None:
    with_silent = np.insert(np.insert(mixing, 2, 0, axis=0), 2, 0, axis=1)
    averaged = scan_of_coils(with_silent, signal=0.0)
    whitened, live = averaged.whitened(), [0, 1, 3, 4]
    assert (whitened is averaged) == np.array_equal(mixing, np.eye(4))
    np.testing.assert_array_equal(whitened.kspace[2], 0)
    assert whitened.kspace[live].real.std() == pytest.approx(whitened.noise_std[0], rel=0.03)
    np.testing.assert_allclose(whitened.kspace[live].real.std(axis=(1, 2)), whitened.noise_std[0], rtol=0.05)


@pytest.mark.parametrize("gain", [1.0, 50.0])
def test_a_copied_coil_counts_once(gain: float, caplog: pytest.LogCaptureFixture) -> None:
    copied = scan_of_coils(np.array([[1.0, 0.0, 0.0], [gain, 0.0, 0.0], [0.5, 2.0, 0.0]]), signal=0.0).whitened()
    assert "coil 1 (counted from 0) is silent, or a copy of others" in caplog.text
    assert not copied.kspace[1].any()
    live = copied.kspace[[0, 2]].reshape(2, -1)
    np.testing.assert_allclose(live.real.std(axis=1), copied.noise_std[0], rtol=0.05)
    assert abs(np.vdot(live[0], live[1])) < 0.1 * np.vdot(live[0], live[0]).real
