"""Whether a readout is a spiral arm, and a set of arms whole, for Archimedean arms in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nadenoise_core.sampling.arms import compare_arms, is_continuous, is_spiral

MATRIX = 64


def arms(numbers: list[float], of: int, samples: int = 200) -> NDArray[np.float64]:
    """Arms of a set of `of` at Nyquist's distance: radius = of / (2 pi matrix) * angle, out to 0.5 cycles/pixel."""
    theta = np.linspace(0, np.pi * MATRIX / of, samples)
    arm = of / (2 * np.pi * MATRIX) * theta * np.exp(1j * theta)
    turned = arm * np.exp(2j * np.pi * np.array(numbers)[:, None] / of)
    return np.stack([turned.real, turned.imag], axis=-1)


@pytest.mark.parametrize(
    ("numbers", "of", "missing"),
    [
        (list(range(15)), 15, 0),
        (list(range(14)), 15, 1),
        ([n for n in range(15) if n not in (3, 4, 9)], 15, 3),
        ([0], 1, 0),
        ([0], 4, 0),  # one arm alone leaves no gap that tells, but is too far from itself
        ([0, 2, 4, 6], 8, 0),  # as are every second
        ([0, 1, 2], 4, 1),
        ([0, 1, 2, 3, 3], 4, 0),  # one came under two numbers
    ],
)
def test_a_set_is_whole_when_no_arm_is_missing(numbers, of, missing):
    compared = compare_arms(arms(numbers, of), MATRIX)
    assert compared is not None
    assert compared.whole == (sorted(numbers) == list(range(of)))
    assert compared.missing == missing
    assert compared.gaps.sum() == pytest.approx(2 * np.pi, rel=1e-6)


def test_golden_angles_of_a_fibonacci_number_are_whole():
    golden = (np.arange(13) * 13 * (3 - 5**0.5) / 2).tolist()
    compared = compare_arms(arms(golden, 13), MATRIX)
    assert compared is not None and compared.whole and not compared.missing


def test_the_distance_of_arms_is_in_nyquist_intervals():
    for of, factor in ((16, 1), (16, 2), (16, 4)):
        compared = compare_arms(arms(list(range(0, of, factor)), of), MATRIX)
        assert compared is not None and compared.step == pytest.approx(factor, rel=0.02)


def test_arms_that_are_no_copies_of_one_another_tell_nothing():
    k = arms([0, 1, 2, 3], 4)
    assert compare_arms(np.concatenate([k[:3], 0.7 * k[3:]]), MATRIX) is None
    assert compare_arms(np.zeros((3, 20, 2)), MATRIX) is None


@pytest.mark.parametrize("turn", [0.0, 1.0, -2.5])
def test_arms_in_and_out_are_spirals_and_spokes_and_rows_are_not(turn):
    (out,) = arms([turn], 15)
    line = np.linspace(-0.5, 0.5, 200)
    spoke = np.stack([line * np.cos(turn), line * np.sin(turn)], axis=-1)
    row = np.stack([line, np.full(200, 0.1)], axis=-1)
    assert is_spiral(out) and is_spiral(out[::-1]) and is_spiral(np.concatenate([-out[:0:-1], out]))
    assert not is_spiral(spoke[100:]) and not is_spiral(row) and not is_spiral(np.zeros((9, 2)))


def test_columns_written_as_rows_leap():
    (out,) = arms([0], 15)
    assert is_continuous(out) and is_continuous(np.concatenate([-out[:0:-1], out]))
    rows = np.ascontiguousarray(out.T).reshape(out.shape)
    assert not is_continuous(rows) and not is_spiral(rows)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_widest_gap_counts(factor):
    compared = compare_arms(arms(list(range(0, 12, factor)), 12), MATRIX)
    assert compared is not None and compared.widest == pytest.approx(factor, rel=0.02) and not compared.twins
    lost = compare_arms(arms([n for n in range(12) if n != 5], 12), MATRIX)
    assert lost is not None and lost.widest == pytest.approx(2, rel=0.02)
    same = compare_arms(arms([0] * 12, 12), MATRIX)
    assert same is not None and same.twins and same.widest == pytest.approx(12, rel=0.02)


def test_readouts_in_and_out_are_two_arms_each():
    both = [np.concatenate([-arm[:0:-1], arm]) for arm in arms(list(range(6)), 12)]
    compared = compare_arms(np.array(both), MATRIX)
    assert compared is not None and compared.whole and compared.widest == pytest.approx(1, rel=0.02)
