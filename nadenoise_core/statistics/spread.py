"""What a sample is summed up by: median and interquartile range, with a confidence interval of the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nadenoise_core.statistics.tested import Interval


@dataclass(frozen=True)
class Spread:
    """A sample in short; NaN where there is nothing to sum up.

    Attributes:
        median: of the values.
        iqr: interquartile range (R's type 7).
        n: how many values there are.
        interval: of the median, free of assumptions on the distribution; NaN for fewer than six values.
    """

    median: float
    iqr: float
    n: int
    interval: Interval

    @classmethod
    def of(cls, values: ArrayLike) -> Spread:
        """Of the values that are finite."""
        given = np.asarray(values, np.float64).ravel()
        known = np.sort(given[np.isfinite(given)])
        if not len(known):
            return cls(float("nan"), float("nan"), 0, _UNKNOWN)
        low, middle, high = np.percentile(known, (25, 50, 75))
        return cls(float(middle), float(high - low), len(known), median_interval(known))


def median_interval(ordered: NDArray[np.float64]) -> Interval:
    """The 95 % confidence interval of a median between two order statistics.

    A sample's r-th smallest and r-th largest value hold the median between them unless fewer than r values lie on one
    side of it, whose number is binomial (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2).

    Args:
        ordered: (n,) values, rising.

    Returns:
        The narrowest of these intervals that holds the median with 95 % or more; NaN for fewer than six values.
    """
    rank = int(stats.binom.ppf(0.025, len(ordered), 0.5))
    return Interval(float(ordered[rank - 1]), float(ordered[-rank])) if rank else _UNKNOWN


_UNKNOWN = Interval(float("nan"), float("nan"))
