"""Do readers rank methods differently? The paper's test on ranks (section 2.7), and what suits ranks better beside it.

All functions take `ranks`, (observations, methods): a row is one case, read once or averaged over readers.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LARGEST_EXACT = 50  # observations below which R's wilcox.test is exact


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
    from scipy.stats import t as student

    tests = []
    for first, second, difference in _differences(ranks):
        count, mean = len(difference), float(difference.mean())
        spread = float(difference.std(ddof=1)) if count > 1 else 0.0
        if spread <= 1e-12:
            tests.append(PairTest(first, second, "none: all differences are equal", mean))
            continue
        statistic = mean / (spread / math.sqrt(count))
        p = 2 * float(student.sf(abs(statistic), count - 1))
        tests.append(PairTest(first, second, f"paired t, {count - 1} degrees of freedom", mean, statistic, p))
    return _corrected(tests)


def wilcoxon_tests(ranks: NDArray[np.float64]) -> list[PairTest]:
    """Wilcoxon's signed-rank test of every pair, with Bonferroni's correction and R's choices.

    Zero differences are dropped. Exact with fewer than 50 observations if there is neither a zero nor a tie, else by
    the normal approximation with continuity correction.
    """
    from scipy.stats import rankdata, wilcoxon

    tests = []
    for first, second, difference in _differences(ranks):
        mean = float(difference.mean())
        kept = difference[np.abs(difference) > 1e-12]
        if not len(kept):
            tests.append(PairTest(first, second, "none: all differences are zero", mean))
            continue
        sizes = np.abs(kept).round(12)  # means over readers tie in all but their last bits
        exact = len(difference) < _LARGEST_EXACT and len(kept) == len(difference) == len(set(sizes.tolist()))
        method, words = ("exact", "exact") if exact else ("approx", "normal approximation with continuity correction")
        p = float(wilcoxon(np.sign(kept) * sizes, correction=not exact, method=method).pvalue)
        statistic = float(rankdata(sizes)[kept > 0].sum())
        tests.append(PairTest(first, second, f"Wilcoxon, {words}", mean, statistic, p))
    return _corrected(tests)


def friedman_test(ranks: NDArray[np.float64]) -> FriedmanTest:
    """Friedman's test of all methods together."""
    rows, methods = ranks.shape
    none = FriedmanTest(None, methods - 1, None, None)
    if methods < 3 or rows < 2 or not np.ptp(ranks, axis=1).any():
        return none
    from scipy.stats import friedmanchisquare

    result = friedmanchisquare(*ranks.round(12).T)
    chi_square = float(result.statistic)
    return FriedmanTest(chi_square, methods - 1, float(result.pvalue), chi_square / (rows * (methods - 1)))


def _differences(ranks: NDArray[np.float64]) -> list[tuple[int, int, NDArray[np.float64]]]:
    pairs = itertools.combinations(range(ranks.shape[1]), 2)
    return [(first, second, ranks[:, first] - ranks[:, second]) for first, second in pairs]


def _corrected(tests: list[PairTest]) -> list[PairTest]:
    return [test if test.p is None else replace(test, p_bonferroni=min(1.0, test.p * len(tests))) for test in tests]
