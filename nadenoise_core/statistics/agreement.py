"""Agreement with a reference: Bland and Altman's limits, Pearson's correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nadenoise_core.statistics.one_sample import one_sample_t
from nadenoise_core.statistics.tested import Interval, Tested, differences, sample

COVERAGE = 1.959963984540054
"""Standard deviations on either side of the bias that hold 95 % of normal differences."""


@dataclass(frozen=True)
class BlandAltman:
    """Bland and Altman's analysis: differences, method minus reference.

    Attributes:
        bias: mean difference, with its confidence interval.
        sd: standard deviation of the differences.
        lower, upper: limits of agreement, bias -+ 1.96 sd, each with its confidence interval.
        tested: one-sample t-test of the bias.
        n: subjects.
    """

    bias: float
    bias_interval: Interval
    sd: float
    lower: float
    lower_interval: Interval
    upper: float
    upper_interval: Interval
    tested: Tested
    n: int

    @property
    def half_width(self) -> float:
        """Half of the distance between the limits."""
        return (self.upper - self.lower) / 2


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation.

    Attributes:
        r: the coefficient; NaN where a sample does not vary.
        interval: of r, by Fisher's transformation; NaN for fewer than 4 pairs.
        tested: t-test of r = 0.
    """

    r: float
    interval: Interval
    tested: Tested


def bland_altman(method: ArrayLike, reference: ArrayLike) -> BlandAltman:
    """Bias and limits of agreement with their confidence intervals.

    The limits have the standard error `sd sqrt(1/n + 1.96^2 / (2 (n - 1)))` (Bland and Altman, Statistical Methods in
    Medical Research 8:135, 1999, section 2.1), and Student's t as the bias.

    Args:
        method, reference: (n,) values of the same subjects.

    Raises:
        BadInputError: not pairs, fewer than 2, or values not finite.
    """
    change = differences(method, reference, 2, "Bland-Altman analysis")
    n, bias, sd = len(change), float(change.mean()), float(change.std(ddof=1))
    quantile = float(stats.t.ppf(0.975, n - 1))
    bias_reach = quantile * sd / n**0.5
    limit_reach = quantile * sd * (1 / n + COVERAGE**2 / (2 * (n - 1))) ** 0.5
    lower, upper = bias - COVERAGE * sd, bias + COVERAGE * sd
    return BlandAltman(
        bias=bias,
        bias_interval=_around(bias, bias_reach),
        sd=sd,
        lower=lower,
        lower_interval=_around(lower, limit_reach),
        upper=upper,
        upper_interval=_around(upper, limit_reach),
        tested=one_sample_t(change),
        n=n,
    )


def pearson(first: ArrayLike, second: ArrayLike) -> Correlation:
    """Pearson's correlation, with its confidence interval and test (R: `cor.test`).

    Args:
        first, second: (n,) paired values.

    Raises:
        BadInputError: not pairs, fewer than 3, or values not finite.
    """
    differences(first, second, 3, "Pearson correlation")
    one, two = sample(first, 3, "Pearson correlation"), sample(second, 3, "Pearson correlation")
    nan, n = float("nan"), len(one)
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        tested = Tested("Pearson correlation, t", "one of the samples does not vary: no correlation", nan, 1.0, n)
        return Correlation(nan, Interval(nan, nan), tested)
    found = stats.pearsonr(one, two)
    r = float(found.statistic)
    t = r * ((n - 2) / (1 - r**2)) ** 0.5 if abs(r) < 1 else float("inf") * r
    interval = Interval(nan, nan)
    if n > 3:
        limits = found.confidence_interval()
        interval = Interval(float(limits.low), float(limits.high))
    reason = "asks whether the values of the same subjects rise together"
    return Correlation(r, interval, Tested("Pearson correlation, t", reason, t, float(found.pvalue), n, r))


def _around(centre: float, reach: float) -> Interval:
    return Interval(centre - reach, centre + reach)
