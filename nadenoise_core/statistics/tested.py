"""What a statistical test says, and the check of what it is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nadenoise_core.errors import BadInputError


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Tested:
    """The outcome of one test.

    Attributes:
        test: which test ran, with its form.
        reason: why this test, in this form.
        statistic: R's: V of Wilcoxon, W of Shapiro and Wilk, chi squared of Friedman, t.
        p: two-sided; 1 where there is nothing to test, which `reason` says.
        n: observations that count.
        estimate: mean, mean difference or median difference, where the test is of one; else None.
    """

    test: str
    reason: str
    statistic: float
    p: float
    n: int
    estimate: float | None = None


def sample(values: ArrayLike, least: int, what: str) -> NDArray[np.float64]:
    """A sample as a float array, (n,).

    Raises:
        BadInputError: not one-dimensional, fewer than `least` values, or NaN or infinite ones.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) < least:
        raise BadInputError(f"{what}: needs at least {least} values in a row, there are {array.size}; add subjects")
    if not np.isfinite(array).all():
        raise BadInputError(
            f"{what}: {np.sum(~np.isfinite(array))} values are NaN or infinite; leave those subjects out"
        )
    return array


def differences(first: ArrayLike, second: ArrayLike, least: int, what: str) -> NDArray[np.float64]:
    """First minus second of paired samples, (n,).

    Raises:
        BadInputError: as `sample`, or the samples are not of one size.
    """
    one, two = sample(first, least, what), sample(second, least, what)
    if one.shape != two.shape:
        raise BadInputError(f"{what}: {len(one)} and {len(two)} values are no pairs; give both of every subject")
    return one - two


def table(values: ArrayLike, columns: int, what: str) -> NDArray[np.float64]:
    """A table as a float array, (subjects, methods).

    Raises:
        BadInputError: not two-dimensional, fewer than two subjects, another number of methods, or values not finite.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or len(array) < 2 or array.shape[1] != columns:
        raise BadInputError(
            f"{what}: needs two subjects or more and a value of each of {columns} methods, it is of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise BadInputError(
            f"{what}: {np.sum(~np.isfinite(array))} values are NaN or infinite; leave those subjects out"
        )
    return array
