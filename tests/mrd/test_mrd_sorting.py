"""Which average a readout is of, where its counters do not tell."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.readouts import Readout
from nadenoise_core.mrd.sorting import Sorter

INTERLEAVES = 5


def readout(interleaf: int, average: int, seed: int, scale: float = 1.0) -> Readout:
    rng = np.random.default_rng((interleaf, seed))
    signal = 10 * np.exp(1j * np.arange(50) * (1 + interleaf))
    samples = scale * (signal + rng.standard_normal(50) + 1j * rng.standard_normal(50))
    return Readout(interleaf, average, 0, samples[None].astype(np.complex64), seed)


def scan(averages: int, counted: bool = True) -> list[Readout]:
    return [readout(i, n if counted else 0, n) for n in range(averages) for i in range(INTERLEAVES)]


def sort(readouts, expected: int | None = INTERLEAVES, by_arrival: bool = False):
    """What is summed in the end: samples by (average, interleaf), and which of them are copies."""
    sorter = Sorter(lambda: expected, by_arrival)
    summed, copies = {}, set()
    for item in [*(item for given in readouts for item in sorter.add(given)), *sorter.finish()]:
        key = item.readout.average, item.readout.interleaf
        if item.instead_of is not None:
            assert item.instead_of.samples is summed[key]
        else:
            assert key not in summed
        summed[key] = item.readout.samples
        copies |= {key} if item.is_copy else set()
    return summed, copies


def assert_is(summed, readouts, averages):
    """That all readouts are there, the n-th of an interleaf as average n."""
    assert sorted(summed) == [(n, i) for n in range(averages) for i in range(INTERLEAVES)]
    for i in range(INTERLEAVES):
        for n, given in enumerate([given for given in readouts if given.interleaf == i]):
            assert summed[n, i] is given.samples


def test_counters_that_tell_are_followed(caplog):
    given = scan(4)
    summed, copies = sort(given)
    assert_is(summed, given, 4)
    assert not copies and not caplog.records


@pytest.mark.parametrize("expected", [INTERLEAVES, None])
@pytest.mark.parametrize("order", ["outermost", "innermost"])
def test_averages_that_nobody_counts_are_counted_by_arrival(order, expected, caplog):
    given = scan(6, counted=False)
    if order == "innermost":
        given.sort(key=lambda one: one.interleaf)
    summed, _ = sort(given, expected)
    assert_is(summed, given, 6)
    assert "counted by the order of arrival" in caplog.text


def test_so_they_are_when_asked_for(caplog):
    given = scan(3, counted=False)
    summed, _ = sort(given, None, by_arrival=True)
    assert_is(summed, given, 3)
    assert not caplog.records


def test_a_counter_that_stood_still_and_goes_on_is_told():
    given = [*scan(3, counted=False), readout(0, 1, 9)]
    with pytest.raises(
        RawDataError, match=r"acquisition 9 \(interleaf 0, average 1, half-pulse 0\): averages were counted by nothing"
    ):
        sort(given)


@pytest.mark.parametrize("dummies", [1, 3, 4])
@pytest.mark.parametrize("averages", [1, 4])
def test_dummies_before_the_data_are_left_out(dummies, averages, caplog):
    given = scan(averages)
    summed, _ = sort([*(readout(i, 0, 99, scale=3.0) for i in range(dummies)), *given])
    assert_is(summed, given, averages)
    assert f"the first {dummies} acquisitions are dummies" in caplog.text


def test_several_dummies_of_one_readout(caplog):
    given = scan(2)
    summed, _ = sort([*(readout(0, 0, 90 + n, scale=3.0) for n in range(3)), *given])
    assert_is(summed, given, 2)
    assert "the first 3 acquisitions" in caplog.text


def test_other_data_under_counters_that_were_there_are_left_out_with_a_warning(caplog):
    given = scan(3)
    summed, _ = sort([*given, readout(2, 1, 77), readout(3, 2, 77)])
    assert_is(summed, given, 3)
    assert "2 acquisitions have the counters of earlier ones and other data" in caplog.text


def test_an_average_that_nobody_counts_and_that_was_cut_off_is_left_out(caplog):
    given = scan(1)
    summed, _ = sort([*given, readout(0, 0, 5), readout(1, 0, 5)])
    assert_is(summed, given, 1)
    assert "set average_counter to arrival" in caplog.text


def test_the_same_data_twice_are_once(caplog):
    given = scan(3)
    summed, copies = sort([*given, *given])
    assert_is(summed, given, 3)
    assert not copies and "15 acquisitions came twice" in caplog.text


def test_averages_that_are_copies_are_told(caplog):
    given = [readout(i, 2 * n + twin, n) for n in range(3) for i in range(INTERLEAVES) for twin in (0, 1)]
    _, copies = sort(given)
    assert copies == {(2 * n + 1, i) for n in range(3) for i in range(INTERLEAVES)}
    assert "15 acquisitions are copies of other averages" in caplog.text


def test_a_scan_without_noise_is_no_copy_of_itself(caplog):
    _, copies = sort([readout(i, n, 0) for n in range(3) for i in range(INTERLEAVES)])
    assert len(copies) == 2 * INTERLEAVES and not caplog.records
