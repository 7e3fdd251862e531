"""Do readers rank methods differently? The paper's test on ranks (section 2.7), and what suits ranks better beside it.

All functions take `ranks`, (observations, methods): a row is one case, read once or averaged over readers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nadenoise_core.statistics.one_sample import paired_t, wilcoxon_signed_rank
from nadenoise_core.statistics.several import bonferroni, friedman
from nadenoise_core.statistics.tested import Tested

_DIGITS = 12  # means over readers tie in all but their last bits


@dataclass(frozen=True)
class PairTest:
    """A test of two methods.

    Attributes:
        first, second: columns of the methods.
        test: which test, in words.
        difference: mean rank of the first less that of the second.
        statistic: t, or V (the sum of the ranks of the positive differences); None where there is no test.
        p: two-sided; None where there is no test.
        p_bonferroni: p times the number of pairs, at most 1.
    """

    first: int
    second: int
    test: str
    difference: float
    statistic: float | None = None
    p: float | None = None
    p_bonferroni: float | None = None


@dataclass(frozen=True)
class FriedmanTest:
    """Friedman's test, corrected for ties.

    Attributes:
        chi_square, degrees, p: of the test; None where every row is tied throughout, or there are fewer than
            three methods or two rows.
        w: Kendall's coefficient of concordance of the rows, chi_square / (rows * degrees).
    """

    chi_square: float | None
    degrees: int
    p: float | None
    w: float | None


def competition_ranks(given: ArrayLike) -> NDArray[np.int64]:
    """Competition ranking along the last axis: ties share the smallest rank, the next are skipped (1 1 3 4)."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(given, method="min", axis=-1), np.int64)


def paired_t_tests(ranks: NDArray[np.float64]) -> list[PairTest]:
    """Student's paired t test of every pair, with Bonferroni's correction."""
    return _pair_tests(ranks, paired_t)


def wilcoxon_tests(ranks: NDArray[np.float64]) -> list[PairTest]:
    """Wilcoxon's signed-rank test of every pair, with Bonferroni's correction and R's choices."""
    return _pair_tests(ranks, wilcoxon_signed_rank)


def friedman_test(ranks: NDArray[np.float64]) -> FriedmanTest:
    """Friedman's test of all methods together."""
    rows, methods = ranks.shape
    none = FriedmanTest(None, methods - 1, None, None)
    if methods < 3 or rows < 2 or not np.ptp(ranks, axis=1).any():
        return none
    tested = friedman(ranks.round(_DIGITS))
    return FriedmanTest(tested.statistic, methods - 1, tested.p, tested.statistic / (rows * (methods - 1)))


def _pair_tests(ranks: NDArray[np.float64], test: Callable[[ArrayLike, ArrayLike], Tested]) -> list[PairTest]:
    pairs = list(itertools.combinations(range(ranks.shape[1]), 2))
    tests = []
    for first, second in pairs:
        difference = (ranks[:, first] - ranks[:, second]).round(_DIGITS)
        mean = float(difference.mean())
        if not (np.ptp(difference) if test is paired_t else difference.any()):
            tests.append(PairTest(first, second, "none: all differences are equal", mean))
            continue
        tested = test(difference, np.zeros_like(difference))
        p = bonferroni(tested.p, len(pairs))
        tests.append(PairTest(first, second, tested.test, mean, tested.statistic, tested.p, p))
    return tests
