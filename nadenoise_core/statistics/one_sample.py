"""Tests of one sample, or of the differences of pairs, as R computes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nadenoise_core.statistics.tested import Tested, differences, sample

EXACT_BELOW = 50
"""R's wilcox.test takes the exact distribution for fewer pairs than this."""


def shapiro_wilk(values: ArrayLike) -> Tested:
    """Shapiro and Wilk's test of normality (R: `shapiro.test`).

    Args:
        values: (n,) with n from 3 to 5000.

    Raises:
        BadInputError: fewer than 3 values, or values not finite.
    """
    array = sample(values, 3, "Shapiro-Wilk test")
    reason = "asks whether the values may come from a normal distribution, before a test that assumes one"
    if np.ptp(array) == 0:
        return Tested("Shapiro-Wilk", "all values are the same: no distribution to test", float("nan"), 1.0, len(array))
    found = stats.shapiro(array)
    return Tested("Shapiro-Wilk", reason, float(found.statistic), float(found.pvalue), len(array))


def wilcoxon_signed_rank(first: ArrayLike, second: ArrayLike) -> Tested:
    """Wilcoxon's signed-rank test of pairs, two-sided (R: `wilcox.test(first, second, paired = TRUE)`).

    Pairs without a difference are left out. The distribution is exact below 50 pairs if no two differences have the
    same size and none is 0; else it is the normal approximation with continuity correction.

    Args:
        first, second: (n,) paired values.

    Returns:
        `statistic` is the sum of ranks of positive differences, `estimate` the median difference.

    Raises:
        BadInputError: not pairs, or values not finite.
    """
    given = differences(first, second, 1, "Wilcoxon signed-rank test")
    change = given[given != 0]
    zeros, n = len(given) - len(change), len(change)
    median = float(np.median(given))
    if n == 0:
        return Tested("Wilcoxon signed-rank", "all differences are 0: nothing to test", 0.0, 1.0, 0, median)
    ties = len(np.unique(np.abs(change))) < n
    against = [f"{zeros} of {len(given)} differences are 0"] if zeros else []
    against += ["some differences are of the same size"] if ties else []
    against += [f"there are {n} pairs, not fewer than {EXACT_BELOW}"] if n >= EXACT_BELOW else []
    if against:
        form, reason = "normal approximation with continuity correction", ", ".join(against)
    else:
        form, reason = "exact", f"there are {n} pairs, without ties and without differences of 0"
    found = stats.wilcoxon(change, correction=bool(against), method="approx" if against else "exact")
    test, p = f"Wilcoxon signed-rank, paired, {form}", min(float(found.pvalue), 1.0)
    return Tested(test, reason, _positive_ranks(change), p, n, median)


def one_sample_t(values: ArrayLike) -> Tested:
    """Student's test of a mean of 0, two-sided (R: `t.test(values)`).

    Args:
        values: (n,) such as differences from the reference.

    Raises:
        BadInputError: fewer than 2 values, or values not finite.
    """
    return _t(sample(values, 2, "one-sample t-test"), "one-sample t", "asks whether the mean differs from 0")


def paired_t(first: ArrayLike, second: ArrayLike) -> Tested:
    """Student's test of pairs, two-sided (R: `t.test(first, second, paired = TRUE)`).

    Args:
        first, second: (n,) paired values.

    Raises:
        BadInputError: not pairs, fewer than 2, or values not finite.
    """
    change = differences(first, second, 2, "paired t-test")
    return _t(change, "paired t", "asks whether the mean difference of the pairs is 0")


def _positive_ranks(change: NDArray[np.float64]) -> float:
    return float(stats.rankdata(np.abs(change))[change > 0].sum())


def _t(values: NDArray[np.float64], test: str, reason: str) -> Tested:
    mean = float(values.mean())
    if np.ptp(values) == 0:
        p = 1.0 if mean == 0 else 0.0
        return Tested(test, "all differences are the same: their scatter is 0", float("nan"), p, len(values), mean)
    found = stats.ttest_1samp(values, 0.0)
    return Tested(test, reason, float(found.statistic), float(found.pvalue), len(values), mean)
